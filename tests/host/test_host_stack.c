/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/host_stack.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "fixtures/host_stack_model.h"
#include "fixtures/kv_admin.h"
#include "fixtures/sanitizer.h"

#define NEEDS_NATS   NEEDS(CAPABILITY_NATS_SERVER)
#define NEEDS_PODMAN NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

static const struct host_stack_options without_podman = {.with_podman = false};
static const struct host_stack_options with_podman = {.with_podman = true};

static int ping(struct host_stack *stack, const struct host_agent *agent, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    return fleet_ping(host_stack_commands(stack), host_agent_device(agent), deadline_in_ms(5000), &reply, err);
}

FLEET_TEST(host_stack, brings_up_an_agent, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    struct stat status;

    TRY(host_stack_own(test, &with_podman, &stack, err));
    struct host_agent_options options = {.podman = host_stack_podman(stack), .reconcile_interval_ms = 500};
    TRY(host_agent_new(stack, &options, &agent, err));
    TRY(ping(stack, agent, err));
    CHECK(host_agent_pid(agent) > 0, "no process");
    CHECK(file_exists(host_agent_log_path(agent)), "no log at %s", host_agent_log_path(agent));
    cleanup_free char *password = text_format("%s/nats-password", agent->directory);
    CHECK(stat(password, &status) == 0 && (status.st_mode & 0777) == 0600, "the password's file has mode %o",
          status.st_mode);
    host_stack_print(stack);
    TRY(host_agent_finish(&agent, err));
    return 0;
}

FLEET_TEST(host_stack, agents_stop_die_and_start_again, .gate = "host", NEEDS_NATS)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    static const struct host_agent_options options = {.podman = NULL};
    int exit_code = -1;
    int64_t took_ms = -1;

    TRY(host_stack_own(test, &without_podman, &stack, err));
    CHECK(host_stack_podman(stack) == NULL, "podman without asking");
    TRY(host_agent_new(stack, &options, &agent, err));
    pid_t first = host_agent_pid(agent);
    TRY(host_agent_stop(agent, &exit_code, &took_ms, err));
    CHECK(exit_code == 0 && took_ms >= 0, "exit code %d after %" PRId64 " ms", exit_code, took_ms);
    CHECK(host_agent_pid(agent) == 0, "it runs on");
    TRY(host_agent_start(agent, false, err));
    pid_t second = host_agent_pid(agent);
    CHECK(second > 0 && second != first, "pid %d after %d", (int)second, (int)first);
    TRY(host_agent_kill(agent, err));
    CHECK(host_agent_pid(agent) == 0, "it survived SIGKILL");
    TRY(host_agent_start(agent, false, err));
    TRY(ping(stack, agent, err));
    TRY(host_agent_finish(&agent, err));
    CHECK(agent == NULL, "the agent is still there");
    TRY(host_agent_finish(&agent, err)); /* of nobody */
    return 0;
}

FLEET_TEST(host_stack, agent_that_died_by_itself_is_reported, .gate = "host", NEEDS_NATS)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    static const struct host_agent_options options = {.podman = NULL};

    TRY(host_stack_own(test, &without_podman, &stack, err));
    TRY(host_agent_new(stack, &options, &agent, err));
    /* Behind the fixture's back. */
    TRY(local_host_signal(stack->agents.local, agent->service, SIGKILL, NULL, err));
    CHECK_FAILS(host_agent_finish(&agent, err), general_error_domain, GENERAL_FAILED);
    CHECK(agent == NULL, "the agent is still there");
    return 0;
}

FLEET_TEST(host_stack, sanitizer_report_fails_the_agents_end, .gate = "host", NEEDS_NATS)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    static const struct host_agent_options options = {.podman = NULL};

    TRY(host_stack_own(test, &without_podman, &stack, err));
    TRY(host_agent_new(stack, &options, &agent, err));
    cleanup_free char *report = text_format("%s.4711", agent->report_prefix);
    TRY(file_write_atomic(report, "==4711==ERROR: made up\n", 23, 0600, err));
    int result = host_agent_finish(&agent, err);
    CHECK(result < 0 && strstr(error_root_detail(err), "made up"), "result %d", result);
    error_clear(err);
    return 0;
}

FLEET_TEST(host_stack, nats_comes_back_with_what_it_knew, .gate = "host", NEEDS_NATS)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};

    TRY(host_stack_own(test, &without_podman, &stack, err));
    cleanup_free char *url = text_copy(host_stack_nats_url(stack));
    TRY(admin_put_raw(host_stack_admin(stack), "device", "web", "kept", 4, NULL, err));
    TRY(host_stack_kill_nats(stack, err));
    TRY(host_stack_start_nats(stack, err));
    CHECK(text_equal(url, host_stack_nats_url(stack)), "%s became %s", url, host_stack_nats_url(stack));
    TRY(kv_bucket_open(host_stack_admin(stack), BUCKET_DESIRED_STATE, 0, &bucket, err));
    TRY(kv_get(bucket, "device.web", &value, err));
    cleanup_free char *data = value.data;
    CHECK(text_equal(data, "kept"), "it knows %s", data);
    return 0;
}

FLEET_TEST(host_stack, two_in_one_run_do_not_meet, .gate = "host", NEEDS_NATS)
{
    CLEANUP(host_stack_free) struct host_stack *first = NULL;
    CLEANUP(host_stack_free) struct host_stack *second = NULL;

    TRY(host_stack_own(test, &without_podman, &first, err));
    TRY(host_stack_own(test, &without_podman, &second, err));
    CHECK(!text_equal(host_stack_nats_url(first), host_stack_nats_url(second)), "they share %s",
          host_stack_nats_url(first));
    CHECK(!text_equal(host_stack_admin_credentials(first)->password, host_stack_admin_credentials(second)->password),
          "they share a password");
    host_stack_free(TAKE_PTR(first));
    TRY(nats_connection_flush(host_stack_admin(second), deadline_in_ms(5000), err));
    return 0;
}

/** Is `text` in the file of the bundle? */
static int bundle_has(struct test_context *test, const char *name, const char *text, bool wanted, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", test->artefacts, name);
    cleanup_free char *data = NULL;
    size_t size;

    TRY(file_read(path, 16u << 20, &data, &size, err));
    CHECK((strstr(data, text) != NULL) == wanted, "%s: \"%s\" should %sbe in: %s", name, text, wanted ? "" : "not ",
          data);
    return 0;
}

FLEET_TEST(host_stack, failure_is_explained_without_secrets, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;

    TRY(host_stack_own(test, &with_podman, &stack, err));
    struct host_agent_options options = {.podman = host_stack_podman(stack)};
    TRY(host_agent_new(stack, &options, &agent, err));
    const char *device = host_agent_device(agent);
    cleanup_free char *label = text_format("--label=" LABEL_DEVICE "=%s", device);
    const char *const run[] = {"run", "--name=broken", label, "localhost/toolbox:v1", "echo", "last words", NULL};
    TRY(podman_host_cli(options.podman, run, NULL, err));
    TRY(admin_put_raw(host_stack_admin(stack), device, "web", "{", 1, NULL, err));

    CHECK(test->collect != NULL, "nobody would collect");
    test->collect(test->collect_context, test->artefacts);
    cleanup_free char *configuration = text_format("agent-config-%s.toml", device);
    TRY(bundle_has(test, configuration, device, true, err));
    TRY(bundle_has(test, "nats-server.conf", "\"***\"", true, err));
    TRY(bundle_has(test, "nats-server.conf", stack->admin_credentials->password, false, err));
    TRY(bundle_has(test, "nats-server.conf", stack->device_credentials->password, false, err));
    TRY(bundle_has(test, "kv.txt", "desired-state", true, err));
    TRY(bundle_has(test, "podman-ps.txt", "broken", true, err));
    TRY(bundle_has(test, "podman-events.txt", "broken", true, err));
    TRY(bundle_has(test, "podman-inspect-broken.json", "\"Id\"", true, err));
    TRY(bundle_has(test, "podman-logs-broken.txt", "last words", true, err));
    TRY(bundle_has(test, "processes.txt", "nats-server", true, err));
    return host_agent_finish(&agent, err);
}

FLEET_TEST(host_stack, unique_names_are_tokens, .gate = "host")
{
    static const char longest[] = "a-device-id-of-the-greatest-length-that-a-token-may-have-and-more-than-that";
    cleanup_free char *name = host_stack_unique_name(longest);
    cleanup_free char *again = host_stack_unique_name(longest);
    cleanup_free char *plain = host_stack_unique_name("web");

    CHECK(token_is_valid(name) && token_is_valid(plain), "%s or %s is no token", name, plain);
    CHECK(!text_equal(name, again), "%s twice", name);
    CHECK(text_starts_with(plain, "web-") && strlen(plain) == 12, "%s", plain);
    return 0;
}
