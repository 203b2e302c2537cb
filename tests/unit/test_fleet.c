/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/fleet.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "contracts/custom_resources.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"

#define OFFLINE_MS 60
#define SCORE      "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"%s\"}]}}"
#define BERLIN     "{\"matchLabels\":{\"site\":\"berlin\"}}"

/** A fleet and its queues. */
struct scene {
    struct work_queue *deployments;
    struct work_queue *statuses;
    struct work_queue *devices;
    struct fleet *fleet;
    int versions; /* resourceVersion of the last object */
};

static void scene_clear(struct scene *scene)
{
    fleet_free(scene->fleet);
    work_queue_free(scene->deployments);
    work_queue_free(scene->statuses);
    work_queue_free(scene->devices);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static void plan_clear(struct deployment_plan *plan)
{
    deployment_plan_clear(plan);
}
#define cleanup_plan __attribute__((cleanup(plan_clear)))

static void told_all(struct scene *scene)
{
    for (int bucket = 0; bucket < FLEET_BUCKET_COUNT; bucket++) {
        fleet_told_begin(scene->fleet, (enum fleet_bucket)bucket);
        fleet_told_complete(scene->fleet, (enum fleet_bucket)bucket);
    }
}

/** A fleet that has been told there is nothing. */
static void scene_set(struct scene *scene)
{
    *scene = (struct scene){
        .deployments = work_queue_new(1, 1), .statuses = work_queue_new(1, 1), .devices = work_queue_new(1, 1)};
    const struct fleet_options options = {.deployments = scene->deployments,
                                          .statuses = scene->statuses,
                                          .devices = scene->devices,
                                          .owner = {"e2e-1", "uid-1"},
                                          .offline_after_ms = OFFLINE_MS};
    scene->fleet = fleet_new(&options);
    fleet_nats_changed(scene->fleet, true);
    fleet_devices_synced(scene->fleet);
    told_all(scene);
}

static void put(struct scene *scene, enum fleet_bucket bucket, const char *key, uint64_t revision, const char *value)
{
    fleet_told_put(scene->fleet, bucket, key, revision, (int64_t)time(NULL) * 1000, value, strlen(value));
}

static void register_device(struct scene *scene, const char *id, const char *site)
{
    cleanup_free char *key = text_format("info.%s", id);
    cleanup_free char *value =
        text_format("{\"device_id\":\"%s\",\"agent_version\":\"1\",\"arch\":\"x86_64\",\"os\":\"Debian\","
                    "\"labels\":{\"site\":\"%s\"},\"inventory\":{}}",
                    id, site);

    put(scene, FLEET_INFO, key, 1, value);
}

static void report(struct scene *scene, const char *device, const char *phase, uint64_t revision, const char *error)
{
    cleanup_free char *key = text_format("state.%s.web", device);
    cleanup_free char *value =
        text_format("{\"phase\":\"%s\",\"revision\":%" PRIu64 ",\"error\":%s,\"since\":\"2026-01-01T00:00:00.000Z\"}",
                    phase, revision, error);

    put(scene, FLEET_STATE, key, 1, value);
}

/** Deployment "web", as the API server has it. */
static void see(struct scene *scene, int generation, const char *selector, const char *image, const char *more)
{
    cleanup_free char *score = text_format(SCORE, image);
    CLEANUP(cJSON_Delete)
    cJSON *object =
        kube_json("{\"metadata\":{\"name\":\"web\",\"namespace\":\"e2e-1\",\"uid\":\"u\",\"resourceVersion\":\"%d\","
                  "\"generation\":%d%s},\"spec\":{\"targetSelector\":%s,\"score\":%s}}",
                  ++scene->versions, generation, more, selector, score);

    fleet_deployment_seen(scene->fleet, object);
}
#define FINALIZED ",\"finalizers\":[\"other/one\",\"" FLEET_FINALIZER "\"]"
#define DELETED   FINALIZED ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""

static bool plan(struct scene *scene, struct deployment_plan *ret)
{
    deployment_plan_clear(ret);
    return fleet_plan_deployment(scene->fleet, "web", ret);
}

/** Plan, and pretend that NATS confirmed it. */
static void carry_out(struct scene *scene)
{
    cleanup_plan struct deployment_plan next = {0};

    plan(scene, &next);
    fleet_keys_written(scene->fleet, "web", &next);
}

static int check_status(struct scene *scene, long matched, long pending, long succeeded, long failed, struct error *err)
{
    struct status_plan next = {0};
    bool to_write = fleet_plan_status(scene->fleet, "web", &next);
    struct deployment_status status = next.status;

    status_plan_clear(&next);
    CHECK(to_write, "there is nothing to write");
    CHECK(status.matched == matched && status.pending == pending && status.succeeded == succeeded &&
              status.failed == failed,
          "matched %ld, pending %ld, succeeded %ld, failed %ld", status.matched, status.pending, status.succeeded,
          status.failed);
    return 0;
}

static int has_work(void *context, struct text_buffer *state __attribute__((unused)),
                    struct error *err __attribute__((unused)))
{
    struct scene *scene = context;

    fleet_tick(scene->fleet);
    return work_queue_length(scene->devices) > 0;
}

static void drain(struct work_queue *queue)
{
    while (work_queue_length(queue) > 0) {
        cleanup_free char *key = NULL;

        if (work_queue_take(queue, &key))
            work_queue_done(queue, key, false);
    }
}

FLEET_TEST(fleet, keys_go_to_the_devices_a_deployment_is_for)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    register_device(&scene, "pi-2", "rome");
    see(&scene, 1, BERLIN, "a", "");
    CHECK(plan(&scene, &next), "it is not known");
    CHECK(next.finalizer == PLAN_FINALIZER_ADD, "the finalizer does not come first");
    CHECK(next.puts.count == 1 && text_equal(next.puts.items[0], "pi-1") && next.deletes.count == 0,
          "%zu puts, %zu deletes", next.puts.count, next.deletes.count);
    CHECK(
        text_equal(next.score, "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"a\"}]}}"),
        "the value is %s", next.score);
    fleet_keys_written(scene.fleet, "web", &next);
    see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(plan(&scene, &next) && next.puts.count == 0 && next.finalizer == PLAN_FINALIZER_KEEP, "it never ends");
    register_device(&scene, "pi-2", "berlin");
    register_device(&scene, "pi-1", "oslo");
    CHECK(plan(&scene, &next) && next.puts.count == 1 && text_equal(next.puts.items[0], "pi-2"), "not relabelled");
    CHECK(next.deletes.count == 1 && text_equal(next.deletes.items[0], "pi-1"), "%zu deletes", next.deletes.count);
    return 0;
}

FLEET_TEST(fleet, many_keys_are_written_in_turns)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    size_t written = 0;

    scene_set(&scene);
    for (int i = 0; i < 1500; i++) {
        cleanup_free char *id = text_format("pi-%d", i);

        register_device(&scene, id, "berlin");
    }
    see(&scene, 1, BERLIN, "a", FINALIZED);
    for (bool more = true; more; more = next.more) {
        drain(scene.deployments);
        CHECK(plan(&scene, &next) && next.puts.count > 0, "a turn for nothing");
        fleet_keys_written(scene.fleet, "web", &next);
        written += next.puts.count;
        CHECK(work_queue_length(scene.deployments) == next.more, "it does not get another turn");
    }
    CHECK(written == 1500, "%zu keys", written);
    return 0;
}

FLEET_TEST(fleet, a_key_is_written_when_its_content_differs)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    put(&scene, FLEET_DESIRED, "pi-1.web", 7, score); /* of an earlier life */
    see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(plan(&scene, &next) && next.puts.count == 0, "written although it is the same");
    see(&scene, 2, BERLIN, "b", FINALIZED);
    CHECK(plan(&scene, &next) && next.puts.count == 1, "not written although it differs");
    carry_out(&scene);
    CHECK(plan(&scene, &next) && next.puts.count == 0, "written twice");
    put(&scene, FLEET_DESIRED, "pi-1.web", 9, "{}"); /* by somebody else */
    CHECK(plan(&scene, &next) && next.puts.count == 1, "another's value stays");
    fleet_told_deleted(scene.fleet, FLEET_DESIRED, "pi-1.web", 10);
    CHECK(plan(&scene, &next) && next.puts.count == 1, "a lost key stays lost");
    return 0;
}

FLEET_TEST(fleet, the_finalizer_stays_until_the_last_key_is_gone)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    carry_out(&scene);
    fleet_nats_changed(scene.fleet, false);
    see(&scene, 2, BERLIN, "a", DELETED);
    CHECK(plan(&scene, &next) && next.wait, "something is decided without NATS");
    fleet_nats_changed(scene.fleet, true);
    fleet_told_begin(scene.fleet, FLEET_DESIRED);
    put(&scene, FLEET_DESIRED, "pi-1.web", 3, "{}");
    fleet_told_complete(scene.fleet, FLEET_DESIRED);
    CHECK(plan(&scene, &next) && next.wait, "something is decided without device-info");
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(plan(&scene, &next) && next.deletes.count == 1 && next.puts.count == 0, "%zu deletes", next.deletes.count);
    CHECK(next.finalizer == PLAN_FINALIZER_REMOVE && next.finalizers.count == 2, "the finalizer stays");
    return 0;
}

FLEET_TEST(fleet, keys_of_unknown_deployments_are_let_alone)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    put(&scene, FLEET_DESIRED, "pi-1.web", 3, "{}");
    put(&scene, FLEET_DESIRED, "not a key", 4, "{}");
    put(&scene, FLEET_DESIRED, "a.b.c", 5, "{}");
    CHECK(!plan(&scene, &next), "a Deployment nobody made");
    CHECK(work_queue_length(scene.deployments) == 0, "something is to be done");
    return 0;
}

FLEET_TEST(fleet, an_invalid_edit_takes_nothing_down)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    struct status_plan status = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    carry_out(&scene);
    see(&scene, 2, "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Gt\"}]}", "a", FINALIZED);
    CHECK(plan(&scene, &next) && next.deletes.count == 0 && next.puts.count == 0, "something is done");
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing is said");
    const struct condition_status *accepted = &status.status.conditions[CONDITION_ACCEPTED];
    bool said = accepted->known && !accepted->is_true && strcmp(accepted->reason, "InvalidSelector") == 0 &&
                text_starts_with(accepted->message, "spec.targetSelector.matchExpressions[0].operator: ");
    status_plan_clear(&status);
    CHECK(said, "the condition does not say it");
    see(&scene, 3, BERLIN, "", FINALIZED); /* an empty image */
    CHECK(plan(&scene, &next) && next.deletes.count == 0 && next.puts.count == 0, "something is done");
    see(&scene, 4, BERLIN, "c", FINALIZED);
    CHECK(plan(&scene, &next) && next.puts.count == 1, "it does not recover");
    return 0;
}

FLEET_TEST(fleet, states_count_when_they_are_about_the_present_revision)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");
    struct status_plan status = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    register_device(&scene, "pi-2", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 4, "null");
    TRY(check_status(&scene, 2, 2, 0, 0, err)); /* no keys yet */
    carry_out(&scene);
    TRY(check_status(&scene, 2, 2, 0, 0, err)); /* their revisions are not known yet */
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    put(&scene, FLEET_DESIRED, "pi-2.web", 6, score);
    TRY(check_status(&scene, 2, 2, 0, 0, err)); /* revision 4 is an earlier one */
    report(&scene, "pi-1", "Running", 5, "null");
    report(&scene, "pi-2", "Failed", 6, "\"no such image\"");
    TRY(check_status(&scene, 2, 0, 1, 1, err));
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing to write");
    bool named = text_equal(status.status.error_device, "pi-2") &&
                 text_equal(status.status.error_message, "no such image") && !status.error_wanted;
    status_plan_clear(&status);
    CHECK(named, "the error is not named");
    report(&scene, "pi-1", "Failed", 5, "\"lost\"");
    report(&scene, "pi-1", "Running", 5, "null");
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing to write");
    named = status.error_wanted && strcmp(status.failed_device, "pi-2") == 0;
    status_plan_clear(&status);
    CHECK(named, "an error is named of a device that runs");
    fleet_told_deleted(scene.fleet, FLEET_STATE, "state.pi-2.web", 9);
    return check_status(&scene, 2, 1, 1, 0, err);
}

FLEET_TEST(fleet, what_runs_of_before_an_edit_is_no_success)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");
    struct status_plan status = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    TRY(check_status(&scene, 1, 0, 1, 0, err));
    see(&scene, 2, BERLIN, "b", FINALIZED);
    TRY(check_status(&scene, 1, 1, 0, 0, err)); /* its key still says "a" */
    report(&scene, "pi-1", "Failed", 5, "\"no\"");
    TRY(check_status(&scene, 1, 1, 0, 0, err));
    see(&scene, 3, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 5, "null");
    TRY(check_status(&scene, 1, 0, 1, 0, err));

    /* Without NATS nothing is known of the new generation's devices: only a refusal is about it. */
    fleet_nats_changed(scene.fleet, false);
    see(&scene, 4, BERLIN, "b", FINALIZED);
    long observed = fleet_plan_status(scene.fleet, "web", &status) ? status.status.observed_generation : -1;
    status_plan_clear(&status);
    CHECK(observed == 0, "counts of before are said to be of generation %ld", observed);
    see(&scene, 5, BERLIN, "", FINALIZED);
    observed = fleet_plan_status(scene.fleet, "web", &status) ? status.status.observed_generation : -1;
    status_plan_clear(&status);
    CHECK(observed == 5, "a refusal is not said: generation %ld", observed);
    return 0;
}

FLEET_TEST(fleet, a_state_of_a_lost_bucket_is_not_about_the_new_one)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 500, "null"); /* revisions began anew meanwhile */
    put(&scene, FLEET_DESIRED, "pi-1.web", 3, score);
    TRY(check_status(&scene, 1, 1, 0, 0, err));
    report(&scene, "pi-1", "Running", 3, "null");
    return check_status(&scene, 1, 0, 1, 0, err);
}

FLEET_TEST(fleet, an_operator_that_knows_only_the_bad_edit_counts_what_has_a_key)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    see(&scene, 2, BERLIN, "", FINALIZED);
    TRY(check_status(&scene, 1, 0, 1, 0, err));
    see(&scene, 3, BERLIN, "a", FINALIZED);
    return check_status(&scene, 1, 0, 1, 0, err);
}

FLEET_TEST(fleet, garbage_is_as_good_as_nothing)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    put(&scene, FLEET_STATE, "state.pi-1.web", 6, "{\"phase\":7}");
    TRY(check_status(&scene, 1, 1, 0, 0, err));

    /* A device whose information cannot be read is still a device: what it has is left alone. */
    fleet_told_begin(scene.fleet, FLEET_INFO);
    put(&scene, FLEET_INFO, "info.pi-1", 7, "garbage");
    put(&scene, FLEET_INFO, "info.pi-2", 8, "garbage");
    put(&scene, FLEET_DESIRED, "pi-2.web", 9, score);
    fleet_told_complete(scene.fleet, FLEET_INFO);
    drain(scene.deployments);
    register_device(&scene, "sentinel", "berlin");
    fleet_told_begin(scene.fleet, FLEET_INFO);
    put(&scene, FLEET_INFO, "info.pi-1", 7, "garbage");
    put(&scene, FLEET_INFO, "info.pi-2", 8, "garbage");
    fleet_told_complete(scene.fleet, FLEET_INFO);
    drain(scene.devices);
    TRY(wait_until("the sentinel to be given up", has_work, &scene, NULL, deadline_in_ms(5000), err));
    plan(&scene, &next);
    CHECK(next.deletes.count == 0, "the key of %s is deleted", next.deletes.items[0]);
    return 0;
}

FLEET_TEST(fleet, keys_of_a_deployment_that_went_while_nats_was_away_go_too)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"name\":\"web\"}}");
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    fleet_nats_changed(scene.fleet, false);
    fleet_deployment_gone(scene.fleet, object); /* its finalizer was taken off by force */
    CHECK(plan(&scene, &next) && next.wait, "something is decided without NATS");
    drain(scene.deployments);
    fleet_nats_changed(scene.fleet, true);
    fleet_told_begin(scene.fleet, FLEET_DESIRED);
    put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    fleet_told_complete(scene.fleet, FLEET_DESIRED);
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(work_queue_length(scene.deployments) == 1, "nobody looks at it again");
    CHECK(plan(&scene, &next) && next.deletes.count == 1, "its key stays for ever");
    return 0;
}

FLEET_TEST(fleet, an_object_made_anew_inherits_nothing)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("{\"metadata\":{\"name\":\"web\",\"uid\":\"another\",\"resourceVersion\":\"9\","
                              "\"generation\":1},\"spec\":{\"targetSelector\":{}}}");
    fleet_deployment_seen(scene.fleet, object); /* nobody told of the end of the former */
    CHECK(plan(&scene, &next) && next.puts.count == 0 && next.finalizer == PLAN_FINALIZER_KEEP,
          "it gets what another one asked for");
    return 0;
}

FLEET_TEST(fleet, a_status_is_written_once)
{
    cleanup_scene struct scene scene;
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"resourceVersion\":\"100\"}}");
    struct status_plan status = {0};

    scene_set(&scene);
    see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing to write");
    fleet_status_written(scene.fleet, "web", &status.status, object);
    status_plan_clear(&status);
    CHECK(!fleet_plan_status(scene.fleet, "web", &status), "written twice");
    see(&scene, 1, BERLIN, "a", FINALIZED); /* an echo from before */
    CHECK(!fleet_plan_status(scene.fleet, "web", &status), "an old echo is believed");
    return 0;
}

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

FLEET_TEST(fleet, heartbeats_cost_nothing_but_at_transitions)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    TRY(check_device(&scene, "pi-1", "Offline", err));
    beat(&scene, "heartbeat.pi-1");
    TRY(check_device(&scene, "pi-1", "Online", err));
    drain(scene.devices);
    for (int i = 0; i < 100; i++)
        beat(&scene, "heartbeat.pi-1");
    fleet_tick(scene.fleet);
    CHECK(work_queue_length(scene.devices) == 0, "a heartbeat makes work");
    TRY(wait_until("the device to be offline", has_work, &scene, NULL, deadline_in_ms(5000), err));
    TRY(check_device(&scene, "pi-1", "Offline", err));
    fleet_nats_changed(scene.fleet, false);
    beat(&scene, "heartbeat.pi-1");
    drain(scene.devices);
    fleet_tick(scene.fleet);
    CHECK(work_queue_length(scene.devices) == 0, "without NATS there is work");
    return 0;
}

FLEET_TEST(fleet, a_device_is_forgotten_when_it_is_deleted_not_when_it_was_lost)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    struct device_plan device = {0};

    scene_set(&scene);
    register_device(&scene, "pi-1", "berlin");
    see(&scene, 1, BERLIN, "a", FINALIZED);
    carry_out(&scene);
    TRY(check_device(&scene, "pi-1", "Offline", err));
    fleet_told_begin(scene.fleet, FLEET_INFO); /* the bucket came back empty */
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(!fleet_plan_device(scene.fleet, "pi-1", &device), "a lost device is removed");
    CHECK(plan(&scene, &next) && next.deletes.count == 0, "a lost device's keys are deleted");
    drain(scene.devices);
    TRY(wait_until("the device to be given up", has_work, &scene, NULL, deadline_in_ms(5000), err));
    CHECK(fleet_plan_device(scene.fleet, "pi-1", &device) && device.remove, "a lost device stays for ever");
    CHECK(plan(&scene, &next) && next.deletes.count == 1, "its keys stay for ever");
    register_device(&scene, "pi-1", "berlin");
    CHECK(plan(&scene, &next) && next.deletes.count == 0, "it does not come back");
    fleet_told_deleted(scene.fleet, FLEET_INFO, "info.pi-1", 9);
    CHECK(fleet_plan_device(scene.fleet, "pi-1", &device) && device.remove, "a deleted device stays");
    CHECK(plan(&scene, &next) && next.deletes.count == 1, "its keys stay");
    return 0;
}

FLEET_TEST(fleet, names_of_devices_are_names_of_objects)
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
