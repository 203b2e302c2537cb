/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_score.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config.h"
#include "base/file.h"
#include "deploy/agent_config_text.h"
#include "harness/program.h"
#include "tests/unit/support_deploy.h"

#define DEADLINE deadline_in_ms(20000)

#define TEXT(literal) ((char[]){literal}) /* a label's texts are owned ones elsewhere, so they are not const */

static struct device_label labels[] = {
    {TEXT("site"), TEXT("ber\"lin\" \\ ü")},
    {TEXT("example.org/rack"), TEXT("")},
};

struct deployed_agent {
    struct test_host host;
    char *nats_program;
    char *nats_directory;
    char *agent_program;
    char *directory;
    struct fleet_nats_deployed nats;
    struct fleet_agent_score score;
    struct fleet_agent_deployed result;
};

static const struct user_password admin = {"admin", "admin secret"};
static const struct user_password device = {"device", "device secret"};

static int prepare(struct test_context *test, struct deployed_agent *agent, struct error *err)
{
    TRY(test_host_new(test, &agent->host, err));
    TRY(nats_server_find(&agent->nats_program, err));
    TRY(program_find("harmony-fleet-agent", &agent->agent_program, err));
    agent->nats_directory = text_format("%s/nats", agent->host.directory);
    agent->directory = text_format("%s/agent", agent->host.directory);
    struct fleet_nats_score nats = {
        .server_program = agent->nats_program, .directory = agent->nats_directory, .admin = admin, .device = device};
    TRY(fleet_nats_score_interpret(&nats, &agent->host.topology, DEADLINE, &agent->nats, err));
    agent->score = (struct fleet_agent_score){
        .agent_program = agent->agent_program,
        .directory = agent->directory,
        .device_id = "device-1",
        .labels = labels,
        .label_count = ARRAY_SIZE(labels),
        .nats_url = agent->nats.url,
        .credentials = device,
        .smoke_check = admin,
    };
    return 0;
}

/** Stop the agent in an orderly way, so that a sanitized one can say what it leaked. */
static void clear(struct deployed_agent *agent)
{
    cleanup_error struct error ignored = ERROR_INIT;
    struct linux_host *host = agent->host.topology.linux_host;
    bool changed;

    if (host && host->operations->remove_service(host->context, "fleet-agent-device-1", &changed, &ignored) < 0)
        error_clear(&ignored);
    fleet_nats_deployed_clear(&agent->nats);
    fleet_agent_deployed_clear(&agent->result);
    free(agent->nats_program);
    free(agent->nats_directory);
    free(agent->agent_program);
    free(agent->directory);
    test_host_clear(&agent->host);
}
#define CLEANUP_AGENT __attribute__((cleanup(clear)))

static int interpret(struct deployed_agent *agent, struct error *err)
{
    return fleet_agent_score_interpret(&agent->score, &agent->host.topology, DEADLINE, &agent->result, err);
}

FLEET_TEST(agent_score, deploys_once_and_says_so, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_AGENT struct deployed_agent agent = {0};
    struct stat status;

    TRY(prepare(test, &agent, err));
    TRY(interpret(&agent, err));
    CHECK(agent.result.outcome.changed, "the first interpretation changed nothing");
    CHECK(text_equal(agent.result.service, "fleet-agent-device-1"), "service %s", agent.result.service);
    CHECK(file_exists(agent.result.log_path), "no log at %s", agent.result.log_path);
    cleanup_free char *password = text_format("%s/nats-password", agent.directory);
    CHECK(stat(password, &status) == 0 && (status.st_mode & 0777) == 0600, "the password has mode %o", status.st_mode);
    TRY(interpret(&agent, err));
    CHECK(!agent.result.outcome.changed, "the second interpretation changed something");

    agent.score.label_count = 1;
    TRY(interpret(&agent, err));
    CHECK(agent.result.outcome.changed, "a new configuration changed nothing");
    TRY(local_host_signal(agent.host.local, "fleet-agent-device-1", SIGKILL, NULL, err));
    TRY(interpret(&agent, err));
    CHECK(agent.result.outcome.changed, "a dead agent was not started");
    return 0;
}

FLEET_TEST(agent_score, agent_reads_what_the_score_says, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_AGENT struct deployed_agent agent = {0};
    CLEANUP(agent_config_free) struct agent_config *config = NULL;

    TRY(prepare(test, &agent, err));
    agent.score.runtime_enabled = true;
    agent.score.podman_socket = "/run/a \"quoted\" podman.sock";
    agent.score.heartbeat_interval_ms = 1500;
    agent.score.reconcile_interval_ms = 250;
    agent.score.smoke_check.user = NULL; /* there is no such podman */
    TRY(interpret(&agent, err));
    cleanup_free char *path = text_format("%s/agent-config.toml", agent.directory);
    TRY(agent_config_load(path, &config, err));
    CHECK(text_equal(config->device_id, "device-1"), "device id %s", config->device_id);
    CHECK(config->label_count == 2 && text_equal(config->labels[0].key, "example.org/rack") &&
              text_equal(config->labels[0].value, "") && text_equal(config->labels[1].key, "site") &&
              text_equal(config->labels[1].value, labels[0].value),
          "%zu labels, the first is %s", config->label_count, config->labels[0].key);
    CHECK(config->runtime_enabled && text_equal(config->podman_socket, agent.score.podman_socket), "socket %s",
          config->podman_socket);
    CHECK(config->nats_urls.count == 1 && text_equal(config->nats_urls.items[0], agent.nats.url), "URL %s",
          config->nats_urls.items[0]);
    CHECK(text_equal(config->credentials->user, device.user) &&
              text_equal(config->credentials->password, device.password),
          "other credentials");
    CHECK(config->heartbeat_interval_ms == 1500 && config->reconcile_interval_ms == 250, "intervals %d and %d",
          config->heartbeat_interval_ms, config->reconcile_interval_ms);
    cleanup_free char *state = text_format("%s/state", agent.directory);
    CHECK(text_equal(config->state_directory, state), "state in %s", config->state_directory);
    return 0;
}

FLEET_TEST(agent_score, agent_that_ends_at_once_is_a_failed_smoke_check, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_AGENT struct deployed_agent agent = {0};

    TRY(prepare(test, &agent, err));
    agent.score.agent_program = "/bin/false";
    int64_t started_ms = clock_monotonic_ms();
    CHECK_FAILS(interpret(&agent, err), deploy_error_domain, DEPLOY_SMOKE_CHECK_FAILED);
    CHECK(clock_monotonic_ms() - started_ms < 5000, "it waited for the deadline");
    return 0;
}

FLEET_TEST(agent_score, agent_that_cannot_log_in_is_a_failed_smoke_check, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_AGENT struct deployed_agent agent = {0};

    TRY(prepare(test, &agent, err));
    agent.score.credentials.password = "not the password";
    int result =
        fleet_agent_score_interpret(&agent.score, &agent.host.topology, deadline_in_ms(1000), &agent.result, err);
    CHECK(result < 0 && error_is(err, &deploy_error_domain, DEPLOY_SMOKE_CHECK_FAILED), "result %d", result);
    cleanup_free char *text = error_text(err);
    error_clear(err);
    CHECK(!strstr(text, agent.score.credentials.password), "the password is in the message: %s", text);
    return 0;
}

FLEET_TEST(agent_score, invalid_scores_touch_nothing, NEEDS(CAPABILITY_NATS_SERVER))
{
    struct device_label bad_key[] = {{TEXT("a b"), TEXT("c")}};
    struct device_label bad_value[] = {{TEXT("a"), TEXT("line\nbreak")}};
    CLEANUP_AGENT struct deployed_agent agent = {0};
    struct topology no_host = {.name = "a cluster"};
    size_t count = 0;

    TRY(prepare(test, &agent, err));
    const struct fleet_agent_score good = agent.score;
    struct fleet_agent_score bad[14];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good;
    bad[count++].agent_program = "harmony-fleet-agent";
    bad[count++].agent_program = "/nonexistent";
    bad[count++].directory = "relative";
    bad[count++].device_id = "a.b";
    bad[count++].device_id = NULL;
    bad[count++].nats_url = "http://127.0.0.1";
    bad[count++].nats_url = "nats://user:password@127.0.0.1";
    bad[count++].credentials.password = NULL;
    bad[count++].smoke_check.password = "";
    bad[count].runtime_enabled = true;
    bad[count++].podman_socket = NULL;
    bad[count++].heartbeat_interval_ms = 5;
    bad[count++].reconcile_interval_ms = -1;
    bad[count].label_count = 1;
    bad[count++].labels = bad_key;
    bad[count].label_count = 1;
    bad[count++].labels = bad_value;
    CHECK(count == ARRAY_SIZE(bad), "%zu cases", count);
    for (size_t i = 0; i < count; i++) {
        agent.score = bad[i];
        CHECK_FAILS(interpret(&agent, err), deploy_error_domain, DEPLOY_INVALID_SCORE);
    }
    CHECK(!file_exists(agent.directory), "an invalid score made %s", agent.directory);
    CHECK_FAILS(fleet_agent_score_interpret(&good, &no_host, DEADLINE, &agent.result, err), deploy_error_domain,
                DEPLOY_NO_CAPABILITY);
    return 0;
}
