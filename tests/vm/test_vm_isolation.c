/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/vm/support_events.h"
#include "tests/vm/vm_scenario.h"

/* How long the device is watched: it reconciles as often as its heart beats (fixtures/vm_device.c). */
#define HEARTBEATS 4

/** A desired state for a device that is not ours, taken back however the body ends. */
struct foreign_key {
    struct nats_connection *admin;
    char *device;
    char *deployment;
    bool put;
};

static void foreign_key_clear_at_exit(struct foreign_key *key)
{
    cleanup_error struct error err = ERROR_INIT;

    if (key->put && admin_delete(key->admin, key->device, key->deployment, &err) < 0)
        fprintf(stderr, "the key of %s is left: %s\n", key->device, error_root_detail(&err));
    free(key->device);
    free(key->deployment);
}
#define cleanup_foreign_key __attribute__((cleanup(foreign_key_clear_at_exit)))

struct watched_device {
    struct vm_event_recorder *recorder;
    struct kv_bucket *heartbeats;
    struct wire_key key;
    uint64_t revision; /**< of the last heartbeat seen */
    int seen;          /**< heartbeats, the one from before included */
};

/** Met when the device's heart has beaten often enough; an event ends the wait at once. */
static int stays_quiet(void *context, struct text_buffer *state, struct error *err)
{
    struct watched_device *watched = context;
    size_t events = vm_event_recorder_count(watched->recorder, NULL);
    struct kv_value heartbeat = {0};

    if (events > 0)
        return error_set(err, &check_error_domain, 1, "watching podman events of", watched->key.text,
                         "%zu events where none was expected", events);
    if (kv_get(watched->heartbeats, watched->key.text, &heartbeat, err) < 0)
        return -1;
    if (heartbeat.revision != watched->revision) {
        watched->revision = heartbeat.revision;
        watched->seen++;
    }
    kv_value_clear(&heartbeat);
    text_buffer_format(state, "%d heartbeats and no event", watched->seen);
    return watched->seen > HEARTBEATS;
}

static int watch_quiet_device(struct vm_scenario *scenario, struct vm_event_recorder *recorder, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *heartbeats = NULL;
    struct watched_device watched = {.recorder = recorder};
    const struct wait_options options = {.wake_fd = vm_event_recorder_fd(recorder), .interval_ms = 200};

    if (kv_bucket_open(vm_scenario_admin(scenario), BUCKET_DEVICE_HEARTBEAT, 0, &heartbeats, err) < 0 ||
        device_heartbeat_key(vm_device_id(scenario->device), &watched.key, err) < 0)
        return -1;
    watched.heartbeats = heartbeats;
    return wait_until("the watched time to pass", stays_quiet, &watched, &options, deadline_in_ms(VM_STEP_MS), err);
}

static int expect_no_state(const struct foreign_key *key, const char *device, struct error *err)
{
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (admin_get_state(key->admin, device, key->deployment, &state, err) < 0)
        return -1;
    CHECK(state == NULL, "%s is reported %s on %s", key->deployment, deployment_phase_name(state->phase), device);
    return 0;
}

FLEET_TEST(vm_isolation, another_devices_key_is_not_touched, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_foreign_key struct foreign_key foreign = {0};
    CLEANUP(vm_event_recorder_free) struct vm_event_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};

    TRY(vm_scenario_new(test, &scenario, err));
    const char *device = vm_device_id(scenario.device);
    foreign.admin = vm_scenario_admin(&scenario);
    foreign.device = host_stack_unique_name("another");
    foreign.deployment = host_stack_unique_name("web");
    TRY(vm_event_recorder_start(scenario.device, &recorder, err));

    CLEANUP(score_free) struct score *score = vm_scenario_web(&scenario, "v1");
    TRY(admin_put(foreign.admin, foreign.device, foreign.deployment, score, NULL, err));
    foreign.put = true;
    TRY(watch_quiet_device(&scenario, recorder, err));
    TRY(expect_no_state(&foreign, foreign.device, err));
    TRY(expect_no_state(&foreign, device, err));

    /* The watch would have seen it: the device's own key does cause events, in the same stream. */
    TRY(vm_scenario_deploy(&scenario, score, NULL, err));
    TRY(vm_event_recorder_wait(recorder, scenario.deployment, deadline_in_ms(VM_STEP_MS), err));
    TRY(vm_event_recorder_stop(recorder, foreign.deployment, &events, err));
    CHECK(events.count == 0, "first event of the other device's deployment: %s", events.items[0]);
    TRY(expect_no_state(&foreign, foreign.device, err));
    TRY(expect_no_state(&foreign, device, err));
    TRY(admin_delete(foreign.admin, foreign.device, foreign.deployment, err));
    foreign.put = false;
    TRY(vm_scenario_remove(&scenario, err));
    return vm_scenario_finish(&scenario, err);
}
