/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/device_setup_score.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "base/file.h"
#include "deploy/device_setup_steps.h"
#include "deploy/service_unit.h"
#include "tests/unit/support_deploy.h"

#define DEADLINE   deadline_in_ms(20000)
#define PUBLIC_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMlZ1pSZ5zbB7mYl6cLZKOmYJLZSgRZXOZ6tTYy8VxQw"

#define TEXT(literal) ((char[]){literal}) /* a label's texts are owned ones elsewhere, so they are not const */

static struct device_label labels[] = {{TEXT("site"), TEXT("berlin")}};
static const struct hosts_entry hosts[] = {{"192.168.122.1", "nats"}};

static struct fleet_device_setup_score good_score(void)
{
    return (struct fleet_device_setup_score){
        .agent_program = "/proc/self/exe",
        .device_id = "device-1",
        .labels = labels,
        .label_count = ARRAY_SIZE(labels),
        .nats_url = "nats://192.168.122.1:4222",
        .credentials = {"device", "device secret"},
        .hosts = hosts,
        .host_count = ARRAY_SIZE(hosts),
        .admin = "fleet-admin",
        .admin_public_key = PUBLIC_KEY " fleet",
    };
}

struct counter {
    int runs;
};

/** A host that counts what it is asked to do, and does nothing. */
static int count_run(void *context, const struct host_command *command, char **output, size_t *size, struct error *err)
{
    (void)command;
    (void)output;
    *size = 0;
    ((struct counter *)context)->runs++;
    return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "running", NULL, "nothing runs here");
}

static int interpret(const struct fleet_device_setup_score *score, struct counter *counter, struct error *err)
{
    static const struct linux_host_operations operations = {.run = count_run};
    struct linux_host host = {.operations = &operations, .context = counter};
    struct topology topology = {.name = "a device", .linux_host = &host};
    struct score_outcome outcome;

    return fleet_device_setup_score_interpret(score, &topology, DEADLINE, &outcome, err);
}

FLEET_TEST(device_setup_score, invalid_ones_touch_nothing)
{
    static const char *const orders[] = {"podman", "crun-", NULL};
    static const char *const options[] = {"--purge", NULL};
    static const char *const upper[] = {"Podman", NULL};
    static const struct hosts_entry no_address[] = {{"nats", "nats"}};
    struct fleet_device_setup_score bad[20];
    size_t count = 0;
    struct counter counter = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good_score();
    bad[count++].agent_program = "/etc/passwd";  /* no program */
    bad[count++].agent_program = "/usr/bin/ldd"; /* a script */
    bad[count++].agent_program = "harmony-fleet-agent";
    bad[count++].device_id = "a.b";
    bad[count++].nats_url = "nats://user:password@192.168.122.1";
    bad[count++].smoke_check_url = "http://127.0.0.1";
    bad[count++].credentials.password = NULL;
    bad[count++].smoke_check.user = "admin";
    bad[count++].heartbeat_interval_ms = 5;
    bad[count++].packages = orders;
    bad[count++].packages = options;
    bad[count++].packages = upper;
    bad[count++].apt_proxy = "192.168.122.1:3142";
    bad[count++].apt_proxy = "http://a b";
    bad[count++].hosts = no_address;
    bad[count++].admin = NULL;
    bad[count++].admin = "-r";
    bad[count++].admin = "root";
    bad[count++].admin_public_key = NULL;
    bad[count++].admin_public_key = PUBLIC_KEY "\nssh-rsa AAAA";
    CHECK(count == ARRAY_SIZE(bad), "%zu cases", count);
    for (size_t i = 0; i < count; i++) {
        CHECK_FAILS(interpret(&bad[i], &counter, err), deploy_error_domain, DEPLOY_INVALID_SCORE);
        CHECK(counter.runs == 0, "case %zu ran something", i);
    }
    struct fleet_device_setup_score good = good_score();
    CHECK_FAILS(interpret(&good, &counter, err), general_error_domain, GENERAL_UNSUPPORTED);
    CHECK(counter.runs == 1, "a good one ran %d commands", counter.runs);
    return 0;
}

FLEET_TEST(device_setup_score, needs_a_host_that_runs_programs)
{
    cleanup_test_host struct test_host host = {0};
    struct fleet_device_setup_score score = good_score();
    struct topology cluster = {.name = "a cluster"};
    struct score_outcome outcome;

    TRY(test_host_new(test, &host, err));
    CHECK_FAILS(fleet_device_setup_score_interpret(&score, &cluster, DEADLINE, &outcome, err), deploy_error_domain,
                DEPLOY_NO_CAPABILITY);
    cleanup_error struct error failure = ERROR_INIT;
    CHECK(fleet_device_setup_score_interpret(&score, &host.topology, DEADLINE, &outcome, &failure) < 0 &&
              error_is(&failure, &deploy_error_domain, DEPLOY_NO_CAPABILITY) &&
              strstr(error_root_detail(&failure), "(run)"),
          "it is %s", error_root_detail(&failure));
    return 0;
}

FLEET_TEST(device_setup_score, agent_may_write_its_state_only)
{
    static const char *const lines[] = {
        "\nType=notify\n",
        "\nWatchdogSec=60\n",
        "\nRestart=always\n",
        "\nCapabilityBoundingSet=\n",
        "\nNoNewPrivileges=yes\n",
        "\nProtectSystem=strict\n",
        "\nStateDirectory=fleet-agent\n",
        "\nEnvironmentFile=/etc/fleet-agent/deployment\n",
        "\nExecStart=:\"/usr/local/bin/harmony-fleet-agent\" \"--config\" \"/etc/fleet-agent/agent-config.toml\"\n",
    };

    CHECK(text_equal(DEVICE_DEPLOYMENT_FILE, "/etc/fleet-agent/deployment"), "the unit names another file");
    TRY(service_unit_check(&device_agent_service, err));
    cleanup_free char *unit = service_unit_text(&device_agent_service);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        CHECK(strstr(unit, lines[i]), "without %s: %s", lines[i], unit);
    CHECK(!strstr(unit, "ReadWritePaths") && !strstr(unit, "User="), "it is %s", unit);
    return 0;
}

FLEET_TEST(device_setup_score, agent_can_read_its_configuration)
{
    cleanup_device_setup struct device_setup setup = {0};
    struct fleet_device_setup_score score = good_score();
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    struct run *run = NULL;

    setup.score = &score;
    TRY(device_setup_prepare(&setup, err));
    TRY(test_run(test, &run, err));
    /* The password's file is not here, where the device has it. */
    cleanup_free char *password_file = text_format("%s/nats-password", run_directory(run));
    cleanup_free char *path = text_format("%s/agent-config.toml", run_directory(run));
    char *at = strstr(setup.agent.configuration, DEVICE_PASSWORD_FILE);
    CHECK(at, "without its password's file: %s", setup.agent.configuration);
    cleanup_free char *text = text_format("%.*s%s%s", (int)(at - setup.agent.configuration), setup.agent.configuration,
                                          password_file, at + strlen(DEVICE_PASSWORD_FILE));
    TRY(file_write_atomic(password_file, setup.agent.password, strlen(setup.agent.password), 0600, err));
    TRY(file_write_atomic(path, text, strlen(text), 0600, err));
    TRY(agent_config_load(path, &config, err));
    CHECK(text_equal(config->device_id, "device-1") && config->runtime_enabled && config->label_count == 1, "device %s",
          config->device_id);
    CHECK(text_equal(config->state_directory, DEVICE_AGENT_STATE), "state in %s", config->state_directory);
    CHECK(text_equal(config->podman_socket, "/run/podman/podman.sock"), "socket %s", config->podman_socket);
    CHECK(text_equal(config->credentials->password, "device secret"), "another password");
    return 0;
}

static int name_of(const struct fleet_device_setup_score *score, char ret[DIGEST_SIZE], struct error *err)
{
    cleanup_device_setup struct device_setup setup = {.score = score};

    TRY(device_setup_prepare(&setup, err));
    memcpy(ret, setup.agent.deployment, DIGEST_SIZE);
    return 0;
}

/* It decides whether the agent is restarted. */
FLEET_TEST(device_setup_score, whatever_the_agent_runs_with_names_the_deployment)
{
    struct fleet_device_setup_score scores[5];
    char names[ARRAY_SIZE(scores)][DIGEST_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(scores); i++)
        scores[i] = good_score();
    scores[1].credentials.password = "another";
    scores[2].nats_url = "nats://192.168.122.2:4222";
    scores[3].agent_program = "/bin/true";
    scores[4].host_count = 0; /* nothing the agent runs with */
    for (size_t i = 0; i < ARRAY_SIZE(scores); i++)
        TRY(name_of(&scores[i], names[i], err));
    for (size_t i = 1; i < 4; i++)
        CHECK(!text_equal(names[i], names[0]), "case %zu has the same name", i);
    CHECK(text_equal(names[4], names[0]), "hosts change the name");
    return 0;
}
