/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "tests/host/inspected.h"
#include "tests/host/scenario.h"
#include "tests/vm/support_events.h"
#include "tests/vm/vm_scenario.h"

/* How often the unchanged score is put: each time is a new revision, which the agent reports on after a whole pass. */
#define RECONCILES 3
/* A directory that every device has, to mount in a container. */
#define DIRECTORY "/var/tmp"

static struct score *web_with_state(const struct vm_scenario *scenario, const char *name, const char *volume)
{
    cleanup_free char *image = vm_stack_image(scenario->stack, name);

    return scenario_hello_web_with_state(image, VM_WEB_PORT, DIRECTORY, volume);
}

/** Deploy the image and hold KV, podman on the device and the web server against each other. Caller frees *id. */
static int deploy_and_compare(struct vm_scenario *scenario, const char *version, const char *volume, char **id,
                              struct error *err)
{
    cleanup_free char *name = text_format("hello-web:%s", version);
    cleanup_free char *image = vm_stack_image(scenario->stack, name);
    CLEANUP(score_free) struct score *score = web_with_state(scenario, name, volume);
    CLEANUP(device_state_free) struct device_state *state = NULL;
    CLEANUP(cJSON_Delete) cJSON *inspected = NULL;
    cleanup_container_list struct podman_container_list list = {0};

    TRY(vm_scenario_deploy(scenario, score, &state, err));
    TRY(vm_scenario_container(scenario, &list, err));
    TRY(expect_reported_container(state, &list, image, err));
    TRY(vm_device_inspect(scenario->device, list.items[0].id, &inspected, err));
    TRY(expect_inspected_state(inspected, DIRECTORY, volume, err));
    TRY(vm_scenario_expect_body(scenario, "/version", version, err));
    *id = TAKE_PTR(list.items[0].id);
    return 0;
}

/** Follow a state until it is gone; *removing: it was Removing before. */
static int follow_removal(kvWatcher *watcher, const char *key, bool *removing, struct error *err)
{
    struct deadline deadline = deadline_in_ms(VM_STEP_MS);
    bool gone = false;

    while (!gone) {
        CLEANUP(device_state_free) struct device_state *state = NULL;
        kvEntry *entry = NULL;
        int left_ms = deadline_poll_ms(deadline);
        natsStatus status = kvWatcher_Next(&entry, watcher, left_ms > 0 ? left_ms : 1);

        if (status != NATS_OK)
            return error_set_nats(err, status, "following the removal of", key);
        if (!entry) /* these were all there are */
            continue;
        int result = 0;
        if (kvEntry_Operation(entry) == kvOp_Put)
            result = device_state_decode(kvEntry_Value(entry), (size_t)kvEntry_ValueLen(entry), &state, err);
        else
            gone = true;
        kvEntry_Destroy(entry);
        if (result < 0)
            return -1;
        *removing = *removing || (state && state->phase == PHASE_REMOVING);
    }
    return 0;
}

/** The watch begins before the deletion, so that no phase is missed. */
static int delete_and_follow(struct vm_scenario *scenario, struct error *err)
{
    struct nats_connection *admin = vm_scenario_admin(scenario);
    const char *device = vm_device_id(scenario->device);
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct wire_key key;
    kvWatcher *watcher = NULL;
    bool removing = false;

    if (device_state_key(device, scenario->deployment, &key, err) < 0 ||
        kv_bucket_open(admin, BUCKET_DEVICE_STATE, 0, &bucket, err) < 0)
        return -1;
    natsStatus status = kvStore_Watch(&watcher, kv_bucket_handle(bucket), key.text, NULL);
    if (status != NATS_OK)
        return error_set_nats(err, status, "watching", key.text);
    int result = admin_delete(admin, device, scenario->deployment, err);
    if (result == 0)
        result = follow_removal(watcher, key.text, &removing, err);
    kvWatcher_Destroy(watcher);
    if (result < 0)
        return -1;
    CHECK(removing, "the state of %s went without having been Removing", scenario->deployment);
    return 0;
}

FLEET_TEST(vm_deploy_lifecycle, deploy_upgrade_delete, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    cleanup_container_list struct podman_container_list left = {0};

    TRY(vm_scenario_new(test, &scenario, err));
    cleanup_free char *volume = text_format("cache-%s", scenario.deployment);
    struct phase *deploy = phase_begin(test->timeline, "deploy v1");
    TRY(deploy_and_compare(&scenario, "v1", volume, &first, err));
    phase_end(deploy, NULL);

    struct phase *upgrade = phase_begin(test->timeline, "upgrade to v2");
    TRY(deploy_and_compare(&scenario, "v2", volume, &second, err));
    phase_end(upgrade, NULL);
    CHECK(!text_equal(first, second), "the container was not replaced");

    struct phase *delete = phase_begin(test->timeline, "delete");
    TRY(delete_and_follow(&scenario, err));
    phase_end(delete, NULL);
    TRY(vm_device_ps(scenario.device, &left, err));
    CHECK(left.count == 0, "%s is still there", left.items[0].name);
    cleanup_free char *remove_volume = text_format("podman volume rm %s", volume); /* volumes are the user's */
    TRY(vm_device_shell(scenario.device, remove_volume, NULL, err));
    return vm_scenario_finish(&scenario, err);
}

FLEET_TEST(vm_deploy_lifecycle, container_id_is_stable_over_reconciles, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    CLEANUP(vm_event_recorder_free) struct vm_event_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    cleanup_free char *id = NULL;

    TRY(vm_scenario_with_web(test, &scenario, &id, err));
    TRY(vm_event_recorder_start(scenario.device, &recorder, err));
    CLEANUP(score_free) struct score *score = vm_scenario_web(&scenario, "v1");
    for (int i = 0; i < RECONCILES; i++) {
        TRY(vm_scenario_deploy(&scenario, score, NULL, err));
        TRY(vm_scenario_expect_container(&scenario, id, err));
    }
    TRY(vm_event_recorder_stop(recorder, scenario.deployment, &events, err));
    CHECK(events.count == 0, "reconciling an unchanged score caused: %s", events.items[0]);
    TRY(vm_scenario_remove(&scenario, err));
    return vm_scenario_finish(&scenario, err);
}
