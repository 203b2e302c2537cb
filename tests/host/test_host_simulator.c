/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "fixtures/host_stack.h"
#include "fixtures/kv_admin.h"
#include "harness/program.h"
#include "tests/bench/simulation.h"

/*
 * What measures the operator must itself be right: simulated devices are, to everybody on the wire, devices.
 */

#define DEVICES    50
#define READY_MS   20000
#define STEP_MS    10000
#define EXIT_USAGE 64 /* sysexits.h, as --help promises */

static const char web[] = "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"web:v1\"}]}}";

static int start(struct host_stack *stack, struct test_context *test, const char *const *arguments,
                 struct simulation **ret, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    const struct simulation_options options = {
        .directory = run_directory(run),
        .nats_url = host_stack_nats_url(stack),
        .credentials = host_stack_admin_credentials(stack),
        .devices = DEVICES,
        .heartbeat_ms = 500,
        .report_ms = 1000,
        .arguments = arguments,
    };
    return simulation_start(&options, deadline_in_ms(READY_MS), ret, err);
}

struct key_count {
    const char *suffix;
    int count;
};

static int count_key(void *context, struct kv_bucket *bucket __attribute__((unused)), const char *key,
                     struct error *err __attribute__((unused)))
{
    struct key_count *count = context;

    if (strstr(key, count->suffix))
        count->count++;
    return 0;
}

/** Keys of the simulation's devices in a bucket. */
static int count_keys(struct host_stack *stack, const struct simulation *simulation, const char *bucket, int *ret,
                      struct error *err)
{
    struct key_count count = {.suffix = simulation_suffix(simulation)};

    TRY(admin_each_key(host_stack_admin(stack), bucket, count_key, &count, err));
    *ret = count.count;
    return 0;
}

FLEET_TEST(host_simulator, devices_are_on_the_wire_and_go, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const buckets[] = {BUCKET_DEVICE_INFO, BUCKET_DEVICE_HEARTBEAT, BUCKET_DEVICE_STATE};
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    int count = 0;

    TRY(host_stack_shared(test, &stack, err));
    TRY(start(stack, test, NULL, &simulation, err));
    for (int i = 0; i < DEVICES; i++) {
        CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
        cleanup_free char *device = simulation_device(simulation, i);

        TRY(fleet_ping(host_stack_commands(stack), device, deadline_in_ms(STEP_MS), &reply, err));
        CHECK(text_equal(reply->device_id, device), "%s calls itself %s", device, reply->device_id);
    }
    for (size_t i = 0; i < 2; i++) {
        TRY(count_keys(stack, simulation, buckets[i], &count, err));
        CHECK(count == DEVICES, "%d keys in %s", count, buckets[i]);
    }
    cleanup_free char *device = simulation_device(simulation, 7);
    uint64_t revision;
    TRY(admin_put_raw(host_stack_admin(stack), device, "left", web, strlen(web), &revision, err));
    TRY(wait_for_phase(host_stack_admin(stack), device, "left", PHASE_RUNNING, revision, deadline_in_ms(STEP_MS), NULL,
                       err));
    TRY(simulation_stop(simulation, deadline_in_ms(STEP_MS), err));
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        TRY(count_keys(stack, simulation, buckets[i], &count, err));
        CHECK(count == 0, "%d keys are left in %s", count, buckets[i]);
    }
    return admin_delete(host_stack_admin(stack), device, "left", err);
}

FLEET_TEST(host_simulator, state_follows_desired_state, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const arguments[] = {"--failed-percent", "10", "--delay-ms", "50", "--connections", "3", NULL};
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    CLEANUP(device_state_free) struct device_state *failed = NULL;
    CLEANUP(device_state_free) struct device_state *refused = NULL;
    uint64_t revision;

    TRY(host_stack_shared(test, &stack, err));
    TRY(start(stack, test, arguments, &simulation, err));
    struct nats_connection *admin = host_stack_admin(stack);
    cleanup_free char *failing = simulation_device(simulation, 9);
    cleanup_free char *device = simulation_device(simulation, 10);
    for (int i = 0; i < 2; i++) { /* new, and changed */
        TRY(admin_put_raw(admin, device, "web", web, strlen(web), &revision, err));
        TRY(wait_for_phase(admin, device, "web", PHASE_RUNNING, revision, deadline_in_ms(STEP_MS), NULL, err));
    }
    TRY(admin_put_raw(admin, failing, "web", web, strlen(web), &revision, err));
    TRY(wait_for_phase(admin, failing, "web", PHASE_FAILED, revision, deadline_in_ms(STEP_MS), &failed, err));
    CHECK(failed->error && *failed->error, "it failed without a reason");
    TRY(admin_put_raw(admin, device, "bad", "{}", 2, &revision, err));
    TRY(wait_for_phase(admin, device, "bad", PHASE_FAILED, revision, deadline_in_ms(STEP_MS), &refused, err));
    CHECK(strstr(refused->error, "type"), "refused without the reason: %s", refused->error);
    TRY(admin_delete(admin, device, "web", err));
    TRY(admin_delete(admin, device, "bad", err));
    TRY(admin_delete(admin, failing, "web", err));
    TRY(wait_for_removed(admin, device, "web", deadline_in_ms(STEP_MS), err));
    TRY(wait_for_removed(admin, device, "bad", deadline_in_ms(STEP_MS), err));
    TRY(wait_for_removed(admin, failing, "web", deadline_in_ms(STEP_MS), err));
    return simulation_stop(simulation, deadline_in_ms(STEP_MS), err);
}

struct beat_wait {
    struct kv_bucket *bucket;
    const char *key;
    uint64_t after;
};

static int has_beaten(void *context, struct text_buffer *state, struct error *err)
{
    struct beat_wait *wait = context;
    struct kv_value value = {0};

    if (kv_get(wait->bucket, wait->key, &value, err) < 0)
        return -1;
    text_buffer_format(state, "revision %" PRIu64 ": %s", value.revision, value.data);
    bool beaten = value.revision > wait->after;
    wait->after = value.revision;
    kv_value_clear(&value);
    return beaten;
}

FLEET_TEST(host_simulator, heartbeats_go_on_after_an_outage, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const struct host_stack_options bare = {.with_podman = false};
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct wire_key key;
    uint64_t revision;

    TRY(host_stack_own(test, &bare, &stack, err));
    TRY(start(stack, test, NULL, &simulation, err));
    struct nats_connection *admin = host_stack_admin(stack);
    cleanup_free char *device = simulation_device(simulation, DEVICES - 1);
    TRY(device_heartbeat_key(device, &key, err));
    TRY(kv_bucket_open(admin, BUCKET_DEVICE_HEARTBEAT, 0, &bucket, err));
    struct beat_wait wait = {bucket, key.text, 0};
    for (int i = 0; i < 3; i++) /* the one that is there, and two more */
        TRY(wait_until("a heartbeat", has_beaten, &wait, NULL, deadline_in_ms(STEP_MS), err));
    TRY(host_stack_kill_nats(stack, err));
    TRY(host_stack_start_nats(stack, err));
    TRY(admin_put_raw(admin, device, "web", web, strlen(web), &revision, err));
    TRY(wait_for_phase(admin, device, "web", PHASE_RUNNING, revision, deadline_in_ms(STEP_MS), NULL, err));
    TRY(wait_until("a heartbeat", has_beaten, &wait, NULL, deadline_in_ms(STEP_MS), err));
    return simulation_stop(simulation, deadline_in_ms(STEP_MS), err);
}

#define FLOOD 150000

/** Pings whose answers go nowhere, more than can be answered while they come. */
static int flood(struct host_stack *stack, const char *device, struct error *err)
{
    natsConnection *admin = nats_connection_handle(host_stack_admin(stack));
    struct wire_subject subject;
    natsStatus status = NATS_OK;

    TRY(command_subject(device, VERB_PING, &subject, err));
    for (int i = 0; status == NATS_OK && i < FLOOD; i++)
        status = natsConnection_PublishRequest(admin, subject.text, "nowhere", NULL, 0);
    if (status != NATS_OK)
        return error_set_nats(err, status, "flooding", device);
    return nats_connection_flush(host_stack_admin(stack), deadline_in_ms(STEP_MS), err);
}

/*
 * What is on its way when it ends belongs to somebody too: nothing of it may leak, or be used once it is freed. Whether
 * something is left to leak is a matter of luck, the more of it the busier the machine.
 */
FLEET_TEST(host_simulator, ends_while_messages_come, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const arguments[] = {"--connections", "1", NULL};
    static const struct host_stack_options bare = {.with_podman = false}; /* the shared one has others on it */
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(simulation_free) struct simulation *simulation = NULL;

    TRY(host_stack_own(test, &bare, &stack, err));
    TRY(start(stack, test, arguments, &simulation, err));
    cleanup_free char *device = simulation_device(simulation, 3);
    TRY(flood(stack, device, err));
    return simulation_stop(simulation, deadline_in_ms(3 * STEP_MS), err);
}

FLEET_TEST(host_simulator, refuses_wrong_usage, .gate = "host")
{
    static const char *const wrong[][4] = {
        {"--devices", "many", NULL},
        {"--devices", "0", NULL},
        {"--failed-percent", "101", NULL},
        {"--label", "nothing", NULL},
        {"--nats-user", "alone", NULL},
        {"--speed", "9", NULL},
        {"stray", NULL},
    };
    cleanup_free char *program = NULL;

    TRY(program_find("fleet-simulator", &program, err));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        const char *const argv[] = {program, wrong[i][0], wrong[i][1], NULL};
        const struct process_options options = {.argv = argv};
        cleanup_process_result struct process_result result = {0};

        TRY(process_run(&options, deadline_in_ms(STEP_MS), &result, err));
        CHECK(result.exit_code == EXIT_USAGE, "%s %s: exit code %d", wrong[i][0], wrong[i][1], result.exit_code);
        CHECK(strstr(result.errors, wrong[i][0]), "%s is not named: %s", wrong[i][0], result.errors);
    }
    return 0;
}
