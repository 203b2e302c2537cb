/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/unit/support_fleet.h"

/*
 * What devices go on running after NATS lost its store, though nobody asks for it any more.
 */

#define MADE_US    UINT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define BEFORE     "2025-12-31T00:00:00Z"
#define JUST_AFTER "2026-01-01T00:00:00Z" /* or in the same second */
#define LOST_STATE "{\"phase\":\"Running\",\"revision\":0}"

/** NATS comes back with other buckets, and nothing in them. */
static void lose_store(struct scene *scene)
{
    fleet_nats_changed(scene->fleet, false);
    fleet_nats_changed(scene->fleet, true);
    for (int bucket = 0; bucket < FLEET_BUCKET_COUNT; bucket++) {
        fleet_told_begin(scene->fleet, (enum fleet_bucket)bucket);
        fleet_told_made(scene->fleet, (enum fleet_bucket)bucket, MADE_US);
        fleet_told_complete(scene->fleet, (enum fleet_bucket)bucket);
    }
}

/** The Device of pi-1 is in the Kubernetes API since `made`. */
static void see_device(struct scene *scene, const char *made)
{
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("{\"metadata\":{\"name\":\"pi-1\",\"resourceVersion\":\"1\","
                              "\"creationTimestamp\":\"%s\"},\"spec\":{\"deviceId\":\"pi-1\"}}",
                              made);

    fleet_device_seen(scene->fleet, object);
}

static void remove_object(struct scene *scene)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"name\":\"web\"}}");

    fleet_deployment_gone(scene->fleet, object);
}

/** "web" runs on pi-1. */
static void run_it(struct scene *scene)
{
    cleanup_free char *score = text_format(SCORE, "a");

    scene_register_device(scene, "pi-1", "berlin");
    scene_see(scene, 1, BERLIN, "a", FINALIZED);
    scene_put(scene, FLEET_DESIRED, "pi-1.web", 5, score);
    scene_put(scene, FLEET_STATE, "state.pi-1.web", 1, "{\"phase\":\"Running\",\"revision\":5}");
}

/** The next turn deletes the key of pi-1, and the one after it nothing. */
static int expect_deletion(struct scene *scene, struct error *err)
{
    cleanup_plan struct deployment_plan next = {0};

    CHECK(scene_plan(scene, &next) && next.deletes.count == 1 && text_equal(next.deletes.items[0], "pi-1"),
          "%zu deletes", next.deletes.count);
    CHECK(next.left_over == 1 && next.puts.count == 0, "%zu left over, %zu puts", next.left_over, next.puts.count);
    fleet_keys_written(scene->fleet, "web", &next);
    fleet_told_deleted(scene->fleet, FLEET_DESIRED, "pi-1.web", 9);
    scene_put(scene, FLEET_STATE, "state.pi-1.web", 2, "{\"phase\":\"Removing\",\"revision\":0}");
    scene_plan(scene, &next);
    CHECK(next.deletes.count == 0, "it is deleted again and again");
    return 0;
}

static int expect_nothing(struct scene *scene, struct error *err)
{
    cleanup_plan struct deployment_plan next = {0};

    scene_plan(scene, &next);
    CHECK(next.deletes.count == 0, "the key of %s is deleted", next.deletes.items[0]);
    return 0;
}

/** For wait_until(): time passes until a Deployment is to be looked at. */
static int has_deployment(void *context, struct text_buffer *state __attribute__((unused)),
                          struct error *err __attribute__((unused)))
{
    struct scene *scene = context;

    fleet_tick(scene->fleet);
    return work_queue_length(scene->deployments) > 0;
}

FLEET_TEST(fleet_left_over, a_deletion_while_the_store_is_lost_reaches_the_device)
{
    cleanup_scene struct scene scene;
    cleanup_plan struct deployment_plan next = {0};

    scene_set(&scene);
    run_it(&scene);
    fleet_nats_changed(scene.fleet, false);
    scene_see(&scene, 1, BERLIN, "a", DELETED);
    lose_store(&scene);
    CHECK(scene_plan(&scene, &next) && next.finalizer == PLAN_FINALIZER_REMOVE, "the finalizer stays");
    return expect_deletion(&scene, err);
}

FLEET_TEST(fleet_left_over, a_retargeting_while_the_store_is_lost_reaches_the_device)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    run_it(&scene);
    fleet_nats_changed(scene.fleet, false);
    scene_see(&scene, 2, "{\"matchLabels\":{\"site\":\"rome\"}}", "a", FINALIZED);
    lose_store(&scene);
    return expect_deletion(&scene, err);
}

FLEET_TEST(fleet_left_over, an_operator_that_knows_nothing_of_before_finds_what_is_not_targeted)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    lose_store(&scene);
    scene_see(&scene, 2, "{\"matchLabels\":{\"site\":\"rome\"}}", "a", FINALIZED);
    scene_put(&scene, FLEET_STATE, "state.pi-1.web", 1, LOST_STATE);
    TRY(expect_nothing(&scene, err)); /* its labels are not known yet */
    scene_drain(scene.deployments);
    scene_register_device(&scene, "pi-1", "berlin");
    CHECK(work_queue_length(scene.deployments) == 1, "nobody looks at it");
    TRY(expect_deletion(&scene, err));

    /* One that it is for gets its key. */
    cleanup_plan struct deployment_plan next = {0};
    scene_put(&scene, FLEET_STATE, "state.pi-2.web", 1, LOST_STATE);
    scene_register_device(&scene, "pi-2", "rome");
    CHECK(scene_plan(&scene, &next) && next.deletes.count == 0 && next.puts.count == 1, "it is taken down");
    return 0;
}

FLEET_TEST(fleet_left_over, a_bad_edit_takes_nothing_down)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    lose_store(&scene);
    scene_register_device(&scene, "pi-1", "berlin");
    scene_put(&scene, FLEET_STATE, "state.pi-1.web", 1, LOST_STATE);
    scene_see(&scene, 2, BERLIN, "", FINALIZED);
    return expect_nothing(&scene, err);
}

/** An operator that comes up after the loss; `made` is when the Kubernetes API got the Device. */
static int come_up(struct scene *scene, const char *made, struct error *err)
{
    see_device(scene, made);
    lose_store(scene);
    scene_register_device(scene, "pi-1", "berlin");
    scene_put(scene, FLEET_STATE, "state.pi-1.web", 1, LOST_STATE);
    return expect_nothing(scene, err);
}

FLEET_TEST(fleet_left_over, what_nobody_asks_for_goes_after_a_while)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    TRY(come_up(&scene, BEFORE, err));
    fleet_deployments_synced(scene.fleet);
    TRY(expect_nothing(&scene, err)); /* whoever has put it by hand is given the time to put it again */
    TRY(wait_until("it to be looked at", has_deployment, &scene, NULL, deadline_in_ms(5000), err));
    TRY(expect_deletion(&scene, err));

    /* An agent that comes later. */
    scene_drain(scene.deployments);
    scene_put(&scene, FLEET_STATE, "state.pi-2.web", 1, LOST_STATE);
    scene_register_device(&scene, "pi-2", "berlin");
    CHECK(work_queue_length(scene.deployments) == 1, "nobody looks at a device that comes later");
    return 0;
}

FLEET_TEST(fleet_left_over, what_somebody_put_by_hand_stays)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    fleet_deployments_synced(scene.fleet);
    TRY(come_up(&scene, BEFORE, err));
    TRY(wait_until("it to be looked at", has_deployment, &scene, NULL, deadline_in_ms(5000), err));
    scene_put(&scene, FLEET_DESIRED, "pi-1.web", 3, "{}");
    return expect_nothing(&scene, err);
}

struct pause {
    struct scene *scene;
    int64_t until_ms;
};

static int is_over(void *context, struct text_buffer *state __attribute__((unused)),
                   struct error *err __attribute__((unused)))
{
    struct pause *pause = context;
    bool over = clock_monotonic_ms() > pause->until_ms;

    fleet_tick(pause->scene->fleet);
    return over;
}

/** As much time passes as whoever has put something by hand is given. */
static int let_time_pass(struct scene *scene, struct error *err)
{
    struct pause pause = {scene, clock_monotonic_ms() + OFFLINE_MS};

    return wait_until("time to pass", is_over, &pause, NULL, deadline_in_ms(5000), err);
}

FLEET_TEST(fleet_left_over, a_cluster_set_up_again_from_nothing_takes_nothing_down)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    fleet_deployments_synced(scene.fleet);
    TRY(come_up(&scene, JUST_AFTER, err));
    TRY(let_time_pass(&scene, err));
    return expect_nothing(&scene, err);
}

FLEET_TEST(fleet_left_over, nothing_goes_before_all_deployments_are_known)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    TRY(come_up(&scene, BEFORE, err));
    TRY(let_time_pass(&scene, err));
    TRY(expect_nothing(&scene, err));
    fleet_deployments_synced(scene.fleet);
    TRY(wait_until("it to be looked at", has_deployment, &scene, NULL, deadline_in_ms(5000), err));
    fleet_told_begin(scene.fleet, FLEET_STATE); /* and not while it is told again */
    return expect_nothing(&scene, err);
}

FLEET_TEST(fleet_left_over, a_deployment_seen_to_go_needs_no_wait)
{
    cleanup_scene struct scene scene;

    scene_set(&scene);
    run_it(&scene);
    fleet_nats_changed(scene.fleet, false);
    remove_object(&scene);
    lose_store(&scene);
    return expect_deletion(&scene, err);
}
