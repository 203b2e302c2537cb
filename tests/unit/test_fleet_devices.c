/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/unit/support_fleet.h"

static void beat(struct scene *scene, const char *key)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fleet_told_put(scene->fleet, FLEET_HEARTBEAT, key, 1, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, "{}", 2);
}

/** Is that the phase its Device is to get? */
static int check_device(struct scene *scene, const char *id, const char *phase, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"resourceVersion\":\"1\"}}");
    struct device_plan next = {0};
    bool to_write = fleet_plan_device(scene->fleet, id, &next);
    bool as_expected = to_write && next.status && text_equal(kube_text(next.status, "status.phase", ""), phase);

    if (to_write)
        fleet_device_written(scene->fleet, id, &next, object);
    device_plan_clear(&next);
    CHECK(as_expected, "%s is not to be %s", id, phase);
    CHECK(!fleet_plan_device(scene->fleet, id, &next), "%s is written twice", id);
    return 0;
}

FLEET_TEST(fleet_devices, heartbeats_cost_nothing_but_at_transitions)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    TRY(check_device(&scene, "pi-1", "Offline", err));
    beat(&scene, "heartbeat.pi-1");
    TRY(check_device(&scene, "pi-1", "Online", err));
    scene_drain(scene.devices);
    for (int i = 0; i < 100; i++)
        beat(&scene, "heartbeat.pi-1");
    fleet_tick(scene.fleet);
    CHECK(work_queue_length(scene.devices) == 0, "a heartbeat makes work");
    TRY(wait_until("the device to be offline", scene_has_work, &scene, NULL, deadline_in_ms(5000), err));
    TRY(check_device(&scene, "pi-1", "Offline", err));
    fleet_nats_changed(scene.fleet, false);
    beat(&scene, "heartbeat.pi-1");
    scene_drain(scene.devices);
    fleet_tick(scene.fleet);
    CHECK(work_queue_length(scene.devices) == 0, "without NATS there is work");
    return 0;
}

/** A Device as the API server has it after a person was there. */
static void see_device(struct scene *scene, int version, const char *labels, const char *phase, const char *ready)
{
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json(
        "{\"metadata\":{\"name\":\"pi-1\",\"resourceVersion\":\"%d\",\"ownerReferences\":[{\"uid\":\"uid-1\"}],"
        "\"labels\":{\"" FLEET_LABEL_DEVICE "\":\"pi-1\",\"" FLEET_LABEL_FLEET
        "\":\"e2e-1\"%s}},\"spec\":{\"deviceId\":\"pi-1\"},\"status\":{\"phase\":\"%s\",\"agentVersion\":\"1\","
        "\"arch\":\"x86_64\",\"os\":\"Debian\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
        "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}",
        version, labels, phase, ready);

    fleet_device_seen(scene->fleet, object);
}

/** Is its object to be applied? Pretends that it was, with what `labels` says in it afterwards. */
static bool apply_device(struct scene *scene, int version, const char *labels)
{
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("{\"metadata\":{\"resourceVersion\":\"%d\",\"ownerReferences\":[{\"uid\":\"uid-1\"}],"
                              "\"labels\":{\"" FLEET_LABEL_FLEET "\":\"e2e-1\",\"" FLEET_LABEL_DEVICE
                              "\":\"pi-1\"%s}},\"spec\":{\"deviceId\":\"pi-1\"}}",
                              version, labels);
    struct device_plan next = {0};
    bool to_apply = fleet_plan_device(scene->fleet, "pi-1", &next) && next.object;

    if (to_apply) {
        next.content_hash = device_object_hash(object);
        fleet_device_written(scene->fleet, "pi-1", &next, object);
    }
    device_plan_clear(&next);
    return to_apply;
}

FLEET_TEST(fleet_devices, what_a_person_does_to_a_device_is_put_right)
{
    cleanup_scene struct scene scene;
    struct device_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    see_device(&scene, 1, ",\"site\":\"berlin\"", "Offline", "False");
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &next), "written although all is as it should be");
    see_device(&scene, 2, ",\"site\":\"rome\"", "Offline", "False");
    CHECK(apply_device(&scene, 3, ",\"site\":\"berlin\""), "a label somebody changed stays");
    see_device(&scene, 3, ",\"site\":\"berlin\"", "Offline", "False");
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &next), "it never ends");
    see_device(&scene, 4, ",\"site\":\"berlin\",\"theirs\":\"1\"", "Offline", "False");
    apply_device(&scene, 4, ",\"site\":\"berlin\",\"theirs\":\"1\"");
    see_device(&scene, 5, ",\"site\":\"berlin\",\"theirs\":\"1\"", "Offline", "False");
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &next), "a label of somebody else's costs a write each time");
    see_device(&scene, 6, ",\"site\":\"berlin\",\"theirs\":\"1\"", "Online", "True");
    CHECK(fleet_plan_device(scene.fleet, "pi-1", &next) && next.status && !next.object, "a phase stays");
    device_plan_clear(&next);
    return 0;
}

FLEET_TEST(fleet_devices, what_one_device_says_of_another_is_refused)
{
    cleanup_scene struct scene scene;
    struct device_plan next = {0};

    scene_set(&scene);
    scene_put(&scene, FLEET_INFO, "info.pi-1", 1, "{\"device_id\":\"pi-2\"}");
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &next) && !fleet_plan_device(scene.fleet, "pi-2", &next),
          "it makes a Device");
    scene_put(&scene, FLEET_INFO, "info.pi-1", 2, "{\"device_id\":\"pi-1\"}");
    bool to_apply = fleet_plan_device(scene.fleet, "pi-1", &next) && next.object;
    device_plan_clear(&next);
    CHECK(to_apply, "it does not recover");
    return 0;
}

FLEET_TEST(fleet_devices, an_id_somebody_changed_is_put_right)
{
    cleanup_scene struct scene scene;
    struct device_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    see_device(&scene, 1, ",\"site\":\"berlin\"", "Offline", "False");
    CLEANUP(cJSON_Delete)
    cJSON *changed = kube_json("{\"metadata\":{\"name\":\"pi-1\",\"resourceVersion\":\"2\"},"
                               "\"spec\":{\"deviceId\":\"zzz\"}}");
    fleet_device_seen(scene.fleet, changed);
    bool to_apply = fleet_plan_device(scene.fleet, "pi-1", &next) && next.object && next.exists;
    device_plan_clear(&next);
    CHECK(to_apply, "its id stays wrong");
    CLEANUP(cJSON_Delete)
    cJSON *own = kube_json("{\"metadata\":{\"name\":\"own\",\"resourceVersion\":\"3\"},"
                           "\"spec\":{\"deviceId\":\"pi-7\"}}");
    fleet_device_seen(scene.fleet, own);
    CHECK(!fleet_plan_device(scene.fleet, "pi-7", &next) && !fleet_plan_device(scene.fleet, "own", &next),
          "somebody's own object is touched");
    return 0;
}

FLEET_TEST(fleet_devices, a_device_is_ready_since_it_came_online_whatever_else_changes)
{
    cleanup_scene struct scene scene;
    struct device_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    beat(&scene, "heartbeat.pi-1");
    see_device(&scene, 1, "", "Online", "True");
    scene_put(&scene, FLEET_INFO, "info.pi-1", 2,
              "{\"device_id\":\"pi-1\",\"agent_version\":\"2\",\"arch\":\"x86_64\","
              "\"os\":\"Debian\",\"labels\":{},\"inventory\":{}}");
    bool to_write = fleet_plan_device(scene.fleet, "pi-1", &next) && next.status;
    cleanup_free char *text = to_write ? json_print(next.status) : text_copy("");
    device_plan_clear(&next);
    CHECK(strstr(text, "\"agentVersion\":\"2\"") && strstr(text, "\"2026-01-01T00:00:00Z\""), "it says %s", text);
    return 0;
}

FLEET_TEST(fleet_devices, a_device_of_another_fleet_is_known_as_such)
{
    static const struct device_owner owner = {"e2e-1", "uid-1"};
    static const struct {
        const char *metadata;
        bool anothers;
    } rows[] = {
        {"{}", false},
        {"{\"labels\":{\"" FLEET_LABEL_FLEET "\":\"e2e-1\"}}", false},
        {"{\"labels\":{\"" FLEET_LABEL_FLEET "\":\"e2e-2\"}}", true},
        {"{\"labels\":{\"" FLEET_LABEL_FLEET "\":\"e2e-2\"},\"ownerReferences\":[{\"uid\":\"uid-2\"}]}", true},
        {"{\"labels\":{\"" FLEET_LABEL_FLEET "\":\"by hand\"},\"ownerReferences\":[{\"uid\":\"uid-1\"}]}", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":%s}", rows[i].metadata);

        CHECK(device_object_is_anothers(object, &owner) == rows[i].anothers, "%s", rows[i].metadata);
    }
    return 0;
}

FLEET_TEST(fleet_devices, a_clock_that_differs_from_the_server_s_takes_nobody_offline)
{
    cleanup_scene struct scene scene;
    int64_t stamp_ms = ((int64_t)time(NULL) - 3600) * 1000;

    /* What was there before may be old: by the stamp, there is no other way to tell. */
    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    fleet_told_begin(scene.fleet, FLEET_HEARTBEAT);
    fleet_told_put(scene.fleet, FLEET_HEARTBEAT, "heartbeat.pi-1", 1, stamp_ms, "{}", 2);
    fleet_told_complete(scene.fleet, FLEET_HEARTBEAT);
    TRY(check_device(&scene, "pi-1", "Offline", err));

    /* What comes now is heard now, whatever the clocks say. */
    fleet_told_put(scene.fleet, FLEET_HEARTBEAT, "heartbeat.pi-1", 2, stamp_ms, "{}", 2);
    TRY(check_device(&scene, "pi-1", "Online", err));
    scene_drain(scene.devices);
    fleet_tick(scene.fleet);
    CHECK(work_queue_length(scene.devices) == 0, "it is offline at once");
    stamp_ms += INT64_C(3) * 3600 * 1000; /* ahead */
    fleet_told_put(scene.fleet, FLEET_HEARTBEAT, "heartbeat.pi-1", 3, stamp_ms, "{}", 2);
    TRY(wait_until("the device to be offline", scene_has_work, &scene, NULL, deadline_in_ms(5000), err));
    return check_device(&scene, "pi-1", "Offline", err);
}

FLEET_TEST(fleet_devices, a_device_is_forgotten_when_it_is_deleted_not_when_it_was_lost)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    struct device_plan device = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_carry_out(&scene);
    TRY(check_device(&scene, "pi-1", "Offline", err));
    fleet_told_begin(scene.fleet, FLEET_INFO); /* the bucket came back empty */
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &device), "a lost device is removed");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0, "a lost device's keys are deleted");
    scene_drain(scene.devices);
    TRY(wait_until("the device to be given up", scene_has_work, &scene, NULL, deadline_in_ms(5000), err));
    CHECK(fleet_plan_device(scene.fleet, "pi-1", &device) && device.remove, "a lost device stays for ever");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 1, "its keys stay for ever");
    scene_register_device(&scene, "pi-1", "berlin");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0, "it does not come back");
    fleet_told_deleted(scene.fleet, FLEET_INFO, "info.pi-1", 9);
    CHECK(fleet_plan_device(scene.fleet, "pi-1", &device) && device.remove, "a deleted device stays");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 1, "its keys stay");
    return 0;
}

FLEET_TEST(fleet_devices, names_of_devices_are_names_of_objects)
{
    static const char *const plain[] = {"pi-01", "a", "0"};
    static const char *const odd[] = {"Pi_01", "pi_01", "-", "_", "a-", "-a", "PI-01"};
    cleanup_text_list struct text_list names = {0};

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        cleanup_free char *name = device_object_name(plain[i]);

        CHECK(strcmp(name, plain[i]) == 0, "%s becomes %s", plain[i], name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        cleanup_free char *name = device_object_name(odd[i]);

        CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) && name[0] != '-', "%s", name);
        CHECK(!text_list_contains(&names, name), "%s is the name of two", name);
        text_list_add(&names, name);
    }
    CHECK(device_label_is_portable("site", "berlin") && device_label_is_portable("a.b/c_d", ""), "refused");
    CHECK(!device_label_is_portable(FLEET_LABEL_FLEET, "x") && !device_label_is_portable("k8s.io/a", "x") &&
              !device_label_is_portable("a/b/c", "x") && !device_label_is_portable("-a", "x") &&
              !device_label_is_portable("a", "two words") && !device_label_is_portable("/a", "x"),
          "not refused");
    return 0;
}
