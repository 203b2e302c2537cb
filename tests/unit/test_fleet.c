/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/fleet.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/unit/support_fleet.h"

static void report(struct scene *scene, const char *device, const char *phase, uint64_t revision, const char *error)
{
    cleanup_free char *key = text_format("state.%s.web", device);
    cleanup_free char *value =
        text_format("{\"phase\":\"%s\",\"revision\":%" PRIu64 ",\"error\":%s,\"since\":\"2026-01-01T00:00:00.000Z\"}",
                    phase, revision, error);

    scene_put(scene, FLEET_STATE, key, 1, value);
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

FLEET_TEST(fleet, keys_go_to_the_devices_a_deployment_is_for)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_register_device(&scene, "pi-2", "rome");
    scene_see(&scene, 1, BERLIN, "a", "");
    CHECK(scene_plan(&scene, &next), "it is not known");
    CHECK(next.finalizer == PLAN_FINALIZER_ADD, "the finalizer does not come first");
    CHECK(next.puts.count == 1 && text_equal(next.puts.items[0], "pi-1") && next.deletes.count == 0,
          "%zu puts, %zu deletes", next.puts.count, next.deletes.count);
    CHECK(
        text_equal(next.score, "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"a\"}]}}"),
        "the value is %s", next.score);
    scene_carry_out(&scene);
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 0 && next.finalizer == PLAN_FINALIZER_KEEP, "it never ends");
    scene_register_device(&scene, "pi-2", "berlin");
    scene_register_device(&scene, "pi-1", "oslo");
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1 && text_equal(next.puts.items[0], "pi-2"),
          "not relabelled");
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

        scene_register_device(&scene, id, "berlin");
    }
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    for (bool more = true; more; more = next.more) {
        scene_drain(scene.deployments);
        CHECK(scene_plan(&scene, &next) && next.puts.count > 0, "a turn for nothing");
        scene_carry_out(&scene);
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
    scene_register_device(&scene, "pi-1", "berlin");
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 7, score); /* of an earlier life */
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 0, "written although it is the same");
    scene_see(&scene, 2, BERLIN, "b", FINALIZED);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "not written although it differs");
    scene_carry_out(&scene);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 0, "written twice");
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 9, "{}"); /* by somebody else */
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "another's value stays");
    fleet_told_deleted(scene.fleet, FLEET_DESIRED, "pi-1.web", 10);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "a lost key stays lost");
    return 0;
}

FLEET_TEST(fleet, what_was_confirmed_and_what_the_watch_tells_may_come_in_any_order)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    cleanup_free char *a = text_format(SCORE, "a");
    cleanup_free char *b = text_format(SCORE, "b");

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "b", FINALIZED);
    fleet_key_confirmed(scene.fleet, "pi-1.web", 6, b, strlen(b));
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, a); /* the watch is behind */
    CHECK(scene_plan(&scene, &next) && next.puts.count == 0, "the key is written twice");
    fleet_told_deleted(scene.fleet, FLEET_DESIRED, "pi-1.web", 7);
    fleet_key_confirmed(scene.fleet, "pi-1.web", 6, b, strlen(b)); /* the watch is ahead */
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "a key somebody deleted is thought to be there");
    scene_see(&scene, 2, BERLIN, "b", DELETED);
    fleet_key_confirmed(scene.fleet, "pi-1.web", 9, NULL, 0);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 8, b);
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0, "the key is deleted twice");

    /* A bucket made anew counts anew. */
    scene_see(&scene, 3, BERLIN, "b", FINALIZED);
    fleet_told_begin(scene.fleet, FLEET_DESIRED);
    fleet_key_confirmed(scene.fleet, "pi-1.web", 100, b, strlen(b)); /* of which bucket? */
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 1, a);
    fleet_told_complete(scene.fleet, FLEET_DESIRED);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "the former bucket's revisions count");
    return 0;
}

FLEET_TEST(fleet, the_finalizer_stays_until_the_last_key_is_gone)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_carry_out(&scene);
    fleet_nats_changed(scene.fleet, false);
    scene_see(&scene, 2, BERLIN, "a", DELETED);
    CHECK(scene_plan(&scene, &next) && next.wait, "something is decided without NATS");
    fleet_nats_changed(scene.fleet, true);
    fleet_told_begin(scene.fleet, FLEET_DESIRED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 3, "{}");
    fleet_told_complete(scene.fleet, FLEET_DESIRED);
    CHECK(scene_plan(&scene, &next) && next.wait, "something is decided without device-info");
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 1 && next.puts.count == 0, "%zu deletes",
          next.deletes.count);
    CHECK(next.finalizer == PLAN_FINALIZER_REMOVE && next.finalizers.count == 2, "the finalizer stays");
    return 0;
}

FLEET_TEST(fleet, keys_of_unknown_deployments_are_let_alone)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 3, "{}");
    scene_put(&scene, FLEET_DESIRED, "not a key", 4, "{}");
    scene_put(&scene, FLEET_DESIRED, "a.b.c", 5, "{}");
    CHECK(!scene_plan(&scene, &next), "a Deployment nobody made");
    CHECK(work_queue_length(scene.deployments) == 0, "something is to be done");
    return 0;
}

FLEET_TEST(fleet, an_invalid_edit_takes_nothing_down)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    struct status_plan status = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_carry_out(&scene);
    scene_see(&scene, 2, "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Gt\"}]}", "a", FINALIZED);
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0 && next.puts.count == 0, "something is done");
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing is said");
    const struct condition_status *accepted = &status.status.conditions[CONDITION_ACCEPTED];
    bool said = accepted->known && accepted->value == CONDITION_FALSE &&
                strcmp(accepted->reason, "InvalidSelector") == 0 &&
                text_starts_with(accepted->message, "spec.targetSelector.matchExpressions[0].operator: ");
    status_plan_clear(&status);
    CHECK(said, "the condition does not say it");
    scene_see(&scene, 3, BERLIN, "", FINALIZED); /* an empty image */
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0 && next.puts.count == 0, "something is done");
    scene_see(&scene, 4, BERLIN, "c", FINALIZED);
    CHECK(scene_plan(&scene, &next) && next.puts.count == 1, "it does not recover");
    return 0;
}

FLEET_TEST(fleet, states_count_when_they_are_about_the_present_revision)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");
    struct status_plan status = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_register_device(&scene, "pi-2", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 4, "null");
    TRY(check_status(&scene, 2, 2, 0, 0, err)); /* no keys yet */
    scene_carry_out(&scene);
    TRY(check_status(&scene, 2, 2, 0, 0, err)); /* they have other revisions */
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    scene_put(&scene, FLEET_DESIRED, "pi-2.web", 6, score);
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

/** What is said of the last failure. */
static int check_error(struct scene *scene, const char *device, const char *message, struct error *err)
{
    struct status_plan next = {0};
    bool to_write = fleet_plan_status(scene->fleet, "web", &next);
    cleanup_free char *said = text_format("%s: %s%s", next.status.error_device, next.status.error_message,
                                          next.error_wanted ? " (to be asked for)" : "");
    cleanup_free char *expected = text_format("%s: %s", device, message);

    status_plan_clear(&next);
    CHECK(to_write && strcmp(said, expected) == 0, "it says \"%s\"", said);
    return 0;
}

FLEET_TEST(fleet, a_device_that_tries_again_still_fails)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_register_device(&scene, "pi-2", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    scene_put(&scene, FLEET_DESIRED, "pi-2.web", 6, score);
    report(&scene, "pi-1", "Pending", 5, "null");
    TRY(check_status(&scene, 2, 2, 0, 0, err));
    report(&scene, "pi-1", "Failed", 5, "\"no such image\"");
    TRY(check_status(&scene, 2, 1, 0, 1, err));
    report(&scene, "pi-1", "Pending", 5, "null"); /* an agent that does not say why it tries again */
    TRY(check_status(&scene, 2, 1, 0, 1, err));
    TRY(check_error(&scene, "pi-1", "no such image", err));

    /* Seen only while it tries again; and one that fails anew is the newer failure, however often the other one does. */
    report(&scene, "pi-2", "Pending", 6, "\"no space\"");
    TRY(check_status(&scene, 2, 0, 0, 2, err));
    TRY(check_error(&scene, "pi-2", "no space", err));
    report(&scene, "pi-1", "Failed", 5, "\"no such image\"");
    TRY(check_error(&scene, "pi-2", "no space", err));
    report(&scene, "pi-2", "Failed", 6, "\"no memory\"");
    TRY(check_error(&scene, "pi-2", "no memory", err));

    /* Better, and then at work for another reason: drift, say. */
    report(&scene, "pi-2", "Running", 6, "null");
    report(&scene, "pi-2", "Pending", 6, "null");
    report(&scene, "pi-1", "Pending", 5, "null"); /* as the bucket tells when it is asked */
    TRY(check_status(&scene, 2, 1, 0, 1, err));
    TRY(check_error(&scene, "pi-1", "failed", err));

    /* A new revision is a new try. */
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 7, score);
    report(&scene, "pi-1", "Pending", 7, "null");
    return check_status(&scene, 2, 2, 0, 0, err);
}

FLEET_TEST(fleet, what_runs_of_before_an_edit_is_no_success)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");
    struct status_plan status = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    TRY(check_status(&scene, 1, 0, 1, 0, err));
    scene_see(&scene, 2, BERLIN, "b", FINALIZED);
    TRY(check_status(&scene, 1, 1, 0, 0, err)); /* its key still says "a" */
    report(&scene, "pi-1", "Failed", 5, "\"no\"");
    TRY(check_status(&scene, 1, 1, 0, 0, err));
    scene_see(&scene, 3, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 5, "null");
    TRY(check_status(&scene, 1, 0, 1, 0, err));

    /* Without NATS nothing is known of the new generation's devices: only a refusal is about it. */
    fleet_nats_changed(scene.fleet, false);
    scene_see(&scene, 4, BERLIN, "b", FINALIZED);
    long observed = fleet_plan_status(scene.fleet, "web", &status) ? status.status.observed_generation : -1;
    status_plan_clear(&status);
    CHECK(observed == 0, "counts of before are said to be of generation %ld", observed);
    scene_see(&scene, 5, BERLIN, "", FINALIZED);
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
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    report(&scene, "pi-1", "Running", 500, "null"); /* revisions began anew meanwhile */
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 3, score);
    TRY(check_status(&scene, 1, 1, 0, 0, err));
    report(&scene, "pi-1", "Running", 3, "null");
    return check_status(&scene, 1, 0, 1, 0, err);
}

FLEET_TEST(fleet, an_operator_that_knows_only_the_bad_edit_counts_what_has_a_key)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    scene_see(&scene, 2, BERLIN, "", FINALIZED);
    TRY(check_status(&scene, 1, 0, 1, 0, err));
    scene_see(&scene, 3, BERLIN, "a", FINALIZED);
    return check_status(&scene, 1, 0, 1, 0, err);
}

FLEET_TEST(fleet, garbage_is_as_good_as_nothing)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    report(&scene, "pi-1", "Running", 5, "null");
    scene_put(&scene, FLEET_STATE, "state.pi-1.web", 6, "{\"phase\":7}");
    TRY(check_status(&scene, 1, 1, 0, 0, err));

    /* A device whose information cannot be read is still a device: what it has is left alone. */
    fleet_told_begin(scene.fleet, FLEET_INFO);
    scene_put(&scene, FLEET_INFO, "info.pi-1", 7, "garbage");
    scene_put(&scene, FLEET_INFO, "info.pi-2", 8, "garbage");
    scene_put(&scene, FLEET_DESIRED, "pi-2.web", 9, score);
    fleet_told_complete(scene.fleet, FLEET_INFO);
    scene_drain(scene.deployments);
    scene_register_device(&scene, "sentinel", "berlin");
    fleet_told_begin(scene.fleet, FLEET_INFO);
    scene_put(&scene, FLEET_INFO, "info.pi-1", 7, "garbage");
    scene_put(&scene, FLEET_INFO, "info.pi-2", 8, "garbage");
    fleet_told_complete(scene.fleet, FLEET_INFO);
    scene_drain(scene.devices);
    TRY(wait_until("the sentinel to be given up", scene_has_work, &scene, NULL, deadline_in_ms(5000), err));
    scene_plan(&scene, &next);
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
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    fleet_nats_changed(scene.fleet, false);
    fleet_deployment_gone(scene.fleet, object); /* its finalizer was taken off by force */
    CHECK(scene_plan(&scene, &next) && next.wait, "something is decided without NATS");
    scene_drain(scene.deployments);
    fleet_nats_changed(scene.fleet, true);
    fleet_told_begin(scene.fleet, FLEET_DESIRED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    fleet_told_complete(scene.fleet, FLEET_DESIRED);
    fleet_told_complete(scene.fleet, FLEET_INFO);
    CHECK(work_queue_length(scene.deployments) == 1, "nobody looks at it again");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 1, "its key stays for ever");
    return 0;
}

FLEET_TEST(fleet, an_object_made_anew_inherits_nothing)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("{\"metadata\":{\"name\":\"web\",\"uid\":\"another\",\"resourceVersion\":\"9\","
                              "\"generation\":1},\"spec\":{\"targetSelector\":{}}}");
    fleet_deployment_seen(scene.fleet, object); /* nobody told of the end of the former */
    CHECK(scene_plan(&scene, &next) && next.puts.count == 0 && next.finalizer == PLAN_FINALIZER_KEEP,
          "it gets what another one asked for");
    return 0;
}

FLEET_TEST(fleet, a_status_is_written_once)
{
    cleanup_scene struct scene scene;
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"resourceVersion\":\"100\"}}");
    struct status_plan status = {0};

    scene_set(&scene);
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    CHECK(fleet_plan_status(scene.fleet, "web", &status), "nothing to write");
    fleet_status_written(scene.fleet, "web", &status.status, object);
    status_plan_clear(&status);
    CHECK(!fleet_plan_status(scene.fleet, "web", &status), "written twice");
    scene_see(&scene, 1, BERLIN, "a", FINALIZED); /* an echo from before */
    CHECK(!fleet_plan_status(scene.fleet, "web", &status), "an old echo is believed");
    return 0;
}

/** Its status as it would be written has this in it. */
static int check_says(struct scene *scene, const char *text, struct error *err)
{
    struct status_plan next = {0};
    bool to_write = fleet_plan_status(scene->fleet, "web", &next);
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_status_patch(&next.status);
    cleanup_free char *said = json_print(patch);

    status_plan_clear(&next);
    CHECK(to_write && strstr(said, text), "%s is not in %s", text, said);
    return 0;
}

FLEET_TEST(fleet, conditions_say_what_is_the_matter)
{
    cleanup_scene struct scene scene;
    cleanup_free char *score = text_format(SCORE, "a");

    scene_set(&scene);
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    TRY(check_says(&scene, "no device matches spec.targetSelector", err));
    TRY(check_says(&scene, "\"observedGeneration\":1,\"lastTransitionTime\"", err));
    scene_see(&scene, 2, "null", "a", FINALIZED);
    TRY(check_says(&scene, "\"reason\":\"Valid\",\"message\":\"spec.targetSelector is missing", err));
    scene_see(&scene, 3, BERLIN, "", FINALIZED);
    TRY(check_says(&scene, "\"reason\":\"NotAccepted\"", err));

    scene_register_device(&scene, "pi-1", "berlin");
    scene_see(&scene, 4, BERLIN, "a", FINALIZED);
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 5, score);
    TRY(check_says(&scene, "waiting for 1 of 1 devices", err));
    report(&scene, "pi-1", "Failed", 5, "\"no such image\"");
    TRY(check_says(&scene, "0 of 1 devices run it, 1 failed; the last one, pi-1: no such image", err));
    return check_says(&scene, "there is no device to wait for", err);
}

FLEET_TEST(fleet, while_nats_is_away_nothing_is_said_of_devices)
{
    cleanup_scene struct scene scene;
    struct status_plan next = {0};

    scene_set(&scene);
    fleet_nats_changed(scene.fleet, false);
    scene_see(&scene, 1, BERLIN, "a", FINALIZED);
    TRY(check_says(&scene, "\"type\":\"Available\",\"status\":\"Unknown\",\"reason\":\"NatsAway\"", err));
    bool to_write = fleet_plan_status(scene.fleet, "web", &next);
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_status_patch(&next.status);
    status_plan_clear(&next);
    CHECK(to_write && !kube_member(patch, "status.aggregate"), "it counts devices");
    return 0;
}
