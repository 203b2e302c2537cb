/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconciler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/service_watch.h"
#include "base/memory.h"
#include "contracts/score.h"
#include "fixtures/images.h"
#include "tests/host/support_reconciler.h"

#define NEEDS_PODMAN NEEDS(CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)
#define SLEEPER      "\"image\":\"" IMAGE_TOOLBOX "\",\"args\":[\"sleep\",\"1000\"]"

/** `actual` must be `expected`; what it is of is `what`. */
static int expect(const char *what, const char *actual, const char *expected, struct error *err)
{
    CHECK(strcmp(actual, expected) == 0, "%s is \"%s\", not \"%s\"", what, actual, expected);
    return 0;
}

static int expect_history(struct scene *scene, const char *deployment, const char *expected, struct error *err)
{
    cleanup_free char *history = reported_history(scene->reported, deployment);

    return expect(deployment, history, expected, err);
}

static int expect_containers(struct scene *scene, const char *expected, struct error *err)
{
    cleanup_free char *containers = NULL;

    TRY(scene_containers(scene, &containers, err));
    return expect("podman ps", containers, expected, err);
}

static int expect_version(struct scene *scene, int port, const char *version, struct error *err)
{
    cleanup_free char *body = NULL;

    TRY(podman_host_get(scene->host, port, "/version", deadline_in_ms(10000), &body, err));
    CHECK(text_starts_with(body, version), "version is %s", body);
    return 0;
}

/** hello-web with something of everything. */
static void put_web(struct scene *scene, uint64_t revision, const char *image, int port)
{
    scene_put(scene, "hello", revision,
              "{\"services\":[{\"name\":\"web\",\"image\":\"%s\",\"ports\":[\"127.0.0.1:%d:80\",\"%d:81/udp\"],"
              "\"env\":[\"A=1\",\"EMPTY=\",\"PATH=/bin:/sbin\"],\"volumes\":[\"data:/var/data\",\"/srv:/srv:ro\"],"
              "\"health\":{\"command\":[\"true\"]}}]}",
              image, port, port);
}

FLEET_TEST(reconciler, deploys_upgrades_and_deletes, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    cleanup_free char *volumes = NULL;
    cleanup_free char *labelled = NULL;
    int port;

    TRY(scene_open(test, &scene, err));
    TRY(podman_host_free_port(scene.host, &port, err));
    put_web(&scene, 1, IMAGE_HELLO_WEB_V1, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 1, err));
    TRY(expect_containers(&scene, "fleet.hello.web:running", err));
    TRY(expect_version(&scene, port, "v1", err));
    TRY(scene_ask(&scene, &labelled, err,
                  "ps -q --no-trunc --filter label=io.harmony.fleet.device=" SCENE_DEVICE
                  " --filter label=io.harmony.fleet.deployment=hello --filter label=io.harmony.fleet.service=web"));
    first = reported_id(scene.reported, "hello", "web");
    TRY(expect("the labelled container", labelled, first, err));

    put_web(&scene, 2, IMAGE_HELLO_WEB_V2, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 2, err));
    TRY(expect_containers(&scene, "fleet.hello.web:running", err));
    TRY(expect_version(&scene, port, "v2", err));
    second = reported_id(scene.reported, "hello", "web");
    CHECK(strcmp(first, second) != 0, "the container was not replaced");

    reconciler_delete(scene.reconciler, "hello");
    TRY(reported_wait_removed(scene.reported, "hello", err));
    TRY(expect_containers(&scene, "", err));
    TRY(expect_history(&scene, "hello", "Pending Running Pending Running Removing removed", err));
    TRY(scene_ask(&scene, &volumes, err, "volume ls -q"));
    return expect("the named volume", volumes, "data", err);
}

FLEET_TEST(reconciler, an_unchanged_spec_keeps_its_container, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    cleanup_free char *first = NULL;
    cleanup_free char *last = NULL;
    int port;

    TRY(scene_open(test, &scene, err));
    TRY(podman_host_free_port(scene.host, &port, err));
    put_web(&scene, 1, IMAGE_HELLO_WEB_V1, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 1, err));
    first = reported_id(scene.reported, "hello", "web");
    TRY(podman_recorder_start(scene.host, &recorder, err));
    TRY(reconcile_times(scene.reconciler, 5, err));
    put_web(&scene, 1, IMAGE_HELLO_WEB_V1, port); /* as after a reconnect */
    TRY(reconcile_times(scene.reconciler, 1, err));
    TRY(expect_history(&scene, "hello", "Pending Running", err));

    /* a new revision of the same, and a restart, compare anew */
    put_web(&scene, 2, IMAGE_HELLO_WEB_V1, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 2, err));
    scene_stop(&scene);
    size_t reports = reported_count(scene.reported, "hello");
    TRY(scene_start(&scene, err));
    put_web(&scene, 2, IMAGE_HELLO_WEB_V1, port);
    TRY(reconcile_times(scene.reconciler, 5, err));
    last = reported_id(scene.reported, "hello", "web");
    TRY(expect("the container's id", last, first, err));
    CHECK(reported_count(scene.reported, "hello") <= reports + 1, "%zu reports after the restart",
          reported_count(scene.reported, "hello") - reports);
    TRY(podman_recorder_stop(recorder, SCENE_DEVICE, &events, err));
    CHECK(events.count == 0, "podman was told to do something: %s", events.items[0]);
    return 0;
}

FLEET_TEST(reconciler, what_is_done_by_hand_is_undone, .gate = "host", NEEDS_PODMAN)
{
    static const char *const deeds[] = {
        "rm --force --time 0 fleet.a.main", "stop --time 0 fleet.a.main", "kill fleet.a.main", "pause fleet.a.main",
        "rename fleet.a.main elsewhere",
    };
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
        size_t before = reported_count(scene.reported, "a");
        TRY(scene_podman(&scene, err, "%s", deeds[i]));
        TRY(reported_wait_more(scene.reported, "a", before, err));
        TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
        TRY(expect_containers(&scene, "fleet.a.main:running", err));
    }
    return 0;
}

#define BY_HAND                                                                                                        \
    "run --replace --detach --name fleet.a.main --label io.harmony.fleet.device=" SCENE_DEVICE                         \
    " --label io.harmony.fleet.deployment=a --label io.harmony.fleet.service=main --restart unless-stopped"

FLEET_TEST(reconciler, what_is_made_by_hand_is_compared, .gate = "host", NEEDS_PODMAN)
{
    static const char *const others[] = {
        "--env X=2 " IMAGE_TOOLBOX " sleep 1000",
        "--env X=1 --env MORE=1 " IMAGE_TOOLBOX " sleep 1000",
        "--env X=1 " IMAGE_TOOLBOX " sleep 1001",
        "--env X=1 --volume /srv:/srv " IMAGE_TOOLBOX " sleep 1000",
        "--env X=1 --publish 7777:80 " IMAGE_TOOLBOX " sleep 1000",
        "--env X=1 --privileged " IMAGE_TOOLBOX " sleep 1000",
        "--env X=1 --entrypoint sleep " IMAGE_TOOLBOX " 1000",
    };
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER ",\"env\":[\"X=1\"]}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        cleanup_free char *made = NULL;
        scene_stop(&scene); /* or it would be quicker than our hand */
        TRY(scene_ask(&scene, &made, err, BY_HAND " %s", others[i]));
        size_t before = reported_count(scene.reported, "a");
        TRY(scene_start(&scene, err));
        TRY(reported_wait_more(scene.reported, "a", before, err));
        TRY(reported_wait_replaced(scene.reported, "a", "main", made, err));
        cleanup_free char *environment = NULL;
        TRY(scene_ask(&scene, &environment, err, "inspect --format {{.Config.Env}}{{.Config.Cmd}} fleet.a.main"));
        CHECK(strstr(environment, "X=1") && strstr(environment, "[sleep 1000]"), "after %s: %s", others[i],
              environment);
    }
    return 0;
}

FLEET_TEST(reconciler, what_is_the_same_is_adopted, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *made = NULL;
    cleanup_free char *id = NULL;

    TRY(scene_open(test, &scene, err));
    scene_stop(&scene);
    TRY(scene_ask(&scene, &made, err,
                  BY_HAND
                  " --env X=1 --publish 127.0.0.1:7777:80/udp --volume data:/data --volume /srv:/srv:ro " IMAGE_TOOLBOX
                  " sleep 1000"));
    TRY(scene_start(&scene, err));
    scene_put(&scene, "a", 1,
              "{\"services\":[{\"name\":\"main\"," SLEEPER ",\"env\":[\"X=1\"],\"ports\":[\"127.0.0.1:7777:80/udp\"],"
              "\"volumes\":[\"data:/data\",\"/srv:/srv:ro\"]}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    id = reported_id(scene.reported, "a", "main");
    return expect("the container", id, made, err);
}

FLEET_TEST(reconciler, what_is_not_ours_is_left_alone, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};

    TRY(scene_open(test, &scene, err));
    TRY(scene_podman(&scene, err, "run --detach --name fleet.a.main " IMAGE_TOOLBOX " sleep 1000"));
    TRY(scene_podman(&scene, err,
                     "run --detach --name fleet.b.main --label io.harmony.fleet.device=pi-02 "
                     "--label io.harmony.fleet.deployment=b --label io.harmony.fleet.service=main " IMAGE_TOOLBOX
                     " sleep 1000"));
    TRY(podman_recorder_start(scene.host, &recorder, err));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 1, err));
    TRY(reported_wait_error(scene.reported, "a", "the name is taken by container", err));
    TRY(reported_wait_error(scene.reported, "b", "the name is taken by container", err));
    reconciler_retain(scene.reconciler, NULL, 0);
    TRY(reported_wait_removed(scene.reported, "a", err));
    TRY(reported_wait_removed(scene.reported, "b", err));
    TRY(expect_containers(&scene, "fleet.a.main:running fleet.b.main:running", err));
    TRY(podman_recorder_stop(recorder, NULL, &events, err));
    CHECK(events.count == 0, "something was done: %s", events.items[0]);

    /* once the name is free, the next attempt takes it */
    scene_put(&scene, "a", 3, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 3, err));
    TRY(scene_podman(&scene, err, "rm --force --time 0 fleet.a.main"));
    return reported_wait(scene.reported, "a", PHASE_RUNNING, 3, err);
}

FLEET_TEST(reconciler, leftovers_go_once_the_bucket_is_known, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    static const char *const kept[] = {"a"};

    TRY(scene_open(test, &scene, err));
    TRY(scene_podman(&scene, err,
                     "run --detach --name anything --label io.harmony.fleet.device=" SCENE_DEVICE
                     " --label io.harmony.fleet.deployment=old --label io.harmony.fleet.service=x " IMAGE_TOOLBOX
                     " sleep 1000"));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    TRY(reconcile_times(scene.reconciler, 1, err));
    TRY(expect_containers(&scene, "anything:running fleet.a.main:running fleet.b.main:running", err));
    reconciler_retain(scene.reconciler, kept, 1);
    TRY(reported_wait_removed(scene.reported, "old", err));
    TRY(reported_wait_removed(scene.reported, "b", err));
    return expect_containers(&scene, "fleet.a.main:running", err);
}

FLEET_TEST(reconciler, services_come_and_go, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *kept = NULL;
    cleanup_free char *still = NULL;
    int one;
    int two;

    TRY(scene_open(test, &scene, err));
    TRY(podman_host_free_port(scene.host, &one, err));
    TRY(podman_host_free_port(scene.host, &two, err));
    scene_put(&scene, "a", 1,
              "{\"services\":[{\"name\":\"kept\"," SLEEPER "},{\"name\":\"gone\"," SLEEPER ",\"ports\":[\"%d:1\"]},"
              "{\"name\":\"left\"," SLEEPER ",\"ports\":[\"%d:1\"]}]}",
              one, two);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    kept = reported_id(scene.reported, "a", "kept");
    /* a new service takes the port of one that is gone, another moves */
    scene_put(&scene, "a", 2,
              "{\"services\":[{\"name\":\"new\"," SLEEPER ",\"ports\":[\"%d:1\"]},{\"name\":\"kept\"," SLEEPER "},"
              "{\"name\":\"left\"," SLEEPER "}]}",
              one);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 2, err));
    TRY(expect_containers(&scene, "fleet.a.kept:running fleet.a.left:running fleet.a.new:running", err));
    still = reported_id(scene.reported, "a", "kept");
    return expect("the service that did not change", still, kept, err);
}

/* Init containers */

/** A service behind init containers that note their order in a volume; the second runs `script`. */
static void put_with_init(struct scene *scene, uint64_t revision, const char *script, int timeout_s)
{
    scene_put(scene, "a", revision,
              "{\"init_containers\":["
              "{\"name\":\"one\",\"image\":\"" IMAGE_TOOLBOX "\",\"volumes\":[\"log:/log\"],"
              "\"args\":[\"sh\",\"-c\",\"echo one >> /log/order\"]},"
              "{\"name\":\"two\",\"image\":\"" IMAGE_TOOLBOX "\",\"volumes\":[\"log:/log\"],\"timeout\":%d,"
              "\"args\":[\"sh\",\"-c\",\"%s\"]}],"
              "\"services\":[{\"name\":\"main\",\"image\":\"" IMAGE_TOOLBOX "\",\"volumes\":[\"log:/log\"],"
              "\"args\":[\"sh\",\"-c\",\"echo main >> /log/order; exec sleep 1000\"]}]}",
              timeout_s, script);
}

FLEET_TEST(reconciler, init_containers_run_first_and_in_order, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *order = NULL;

    TRY(scene_open(test, &scene, err));
    put_with_init(&scene, 1, "echo two >> /log/order", 60);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    TRY(expect_containers(&scene, "fleet.a.main:running", err));
    /* a stopped service is started, not made anew: nothing to prepare */
    size_t before = reported_count(scene.reported, "a");
    TRY(scene_podman(&scene, err, "kill fleet.a.main"));
    TRY(reported_wait_more(scene.reported, "a", before, err));
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    /* a removed one is made anew */
    before = reported_count(scene.reported, "a");
    TRY(scene_podman(&scene, err, "rm --force --time 0 fleet.a.main"));
    TRY(reported_wait_more(scene.reported, "a", before, err));
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    TRY(scene_ask(&scene, &order, err, "exec fleet.a.main cat /log/order"));
    return expect("the order", order, "one\ntwo\nmain\nmain\none\ntwo\nmain", err);
}

FLEET_TEST(reconciler, a_failed_init_container_fails_the_deployment, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *found = NULL;
    cleanup_free char *error = NULL;

    TRY(scene_open(test, &scene, err));
    put_with_init(&scene, 1, "echo no database here >&2; exit 3", 60);
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 1, err));
    error = reported_error(scene.reported, "a");
    TRY(expect("the error", error, "running init container two: it exited with code 3: no database here", err));
    TRY(scene_ask(&scene, &found, err, "ps -a --filter label=io.harmony.fleet.init --format {{.Names}}"));
    TRY(expect("what can be found", found, "fleet.a.init.two", err));
    /* the next attempt begins afresh, and leaves nothing */
    put_with_init(&scene, 2, "true", 60);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 2, err));
    return expect_containers(&scene, "fleet.a.main:running", err);
}

FLEET_TEST(reconciler, a_slow_init_container_is_another_failure, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *error = NULL;

    TRY(scene_open(test, &scene, err));
    put_with_init(&scene, 1, "sleep 1000", 1);
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 1, err));
    error = reported_error(scene.reported, "a");
    TRY(expect("the error", error, "running init container two: it was still running after its timeout of 1 s", err));
    return expect_containers(&scene, "fleet.a.init.two:exited", err);
}

FLEET_TEST(reconciler, slow_work_holds_nobody_up, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    put_with_init(&scene, 1, "sleep 1000", 300);
    TRY(reported_wait(scene.reported, "a", PHASE_PENDING, 1, err));
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    TRY(expect_history(&scene, "a", "Pending", err));
    /* and is given up when something else is wanted */
    put_with_init(&scene, 3, "true", 300);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 3, err));
    put_with_init(&scene, 4, "sleep 1000", 300);
    reconciler_delete(scene.reconciler, "a");
    TRY(reported_wait_removed(scene.reported, "a", err));
    return expect_containers(&scene, "fleet.b.main:running", err);
}

/* Images */

FLEET_TEST(reconciler, a_failing_upgrade_leaves_what_runs, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    int port;

    TRY(scene_open(test, &scene, err));
    TRY(podman_host_free_port(scene.host, &port, err));
    put_web(&scene, 1, IMAGE_HELLO_WEB_V1, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 1, err));
    put_web(&scene, 2, "127.0.0.1:1/none:v1", port);
    TRY(reported_wait(scene.reported, "hello", PHASE_FAILED, 2, err));
    TRY(reported_wait_error(scene.reported, "hello", "connection refused", err)); /* podman's own words */
    TRY(expect_version(&scene, port, "v1", err));
    /* however long the back-off has become, a new revision is tried at once */
    put_web(&scene, 3, IMAGE_HELLO_WEB_V2, port);
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 3, err));
    return expect_version(&scene, port, "v2", err);
}

/* Ends */

FLEET_TEST(reconciler, an_end_may_be_final, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "done", 1,
              "{\"services\":[{\"name\":\"main\",\"image\":\"" IMAGE_TOOLBOX "\",\"args\":[\"true\"],"
              "\"restart_policy\":\"no\"}]}");
    scene_put(&scene, "broken", 2,
              "{\"services\":[{\"name\":\"main\",\"image\":\"" IMAGE_TOOLBOX "\",\"args\":[\"false\"],"
              "\"restart_policy\":\"no\"}]}");
    scene_put(&scene, "loop", 3,
              "{\"services\":[{\"name\":\"main\",\"image\":\"" IMAGE_TOOLBOX "\",\"args\":[\"false\"]}]}");
    TRY(reported_wait_error(scene.reported, "broken", "main exited with code 1", err));
    TRY(reported_wait_error(scene.reported, "loop", "main keeps exiting", err));
    TRY(reported_wait(scene.reported, "done", PHASE_RUNNING, 1, err));
    TRY(reconcile_times(scene.reconciler, 3, err));
    TRY(reported_wait(scene.reported, "done", PHASE_RUNNING, 1, err));
    TRY(reported_wait(scene.reported, "broken", PHASE_FAILED, 2, err));
    return 0;
}

static int is_restarted_often(void *context, struct text_buffer *state, struct error *err)
{
    cleanup_free char *count = NULL;

    TRY(scene_ask(context, &count, err, "inspect --format {{.RestartCount}} fleet.loop.main"));
    text_buffer_format(state, "%s restarts", count);
    return strtol(count, NULL, 10) >= (long)3 * DEATHS_KEPT;
}

/* Each report is a write to NATS; a crash loop must not be one for each crash. */
FLEET_TEST(reconciler, a_crash_loop_is_reported_once, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "loop", 3,
              "{\"services\":[{\"name\":\"main\",\"image\":\"" IMAGE_TOOLBOX "\",\"args\":[\"false\"]}]}");
    TRY(reported_wait_error(scene.reported, "loop", "main keeps exiting, lately with code 1", err));
    size_t reports = reported_count(scene.reported, "loop");
    TRY(wait_until("more restarts", is_restarted_often, &scene, NULL, deadline_in_ms(20000), err));
    CHECK(reported_count(scene.reported, "loop") == reports, "%zu reports, then %zu", reports,
          reported_count(scene.reported, "loop"));
    return 0;
}

/* Desired states that cannot be used */

static void put_text(struct scene *scene, const char *deployment, uint64_t revision, const char *value)
{
    reconciler_put(scene->reconciler, deployment, revision, value, strlen(value));
}

FLEET_TEST(reconciler, unusable_states_fail_and_change_nothing, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    cleanup_free char *large = NEW_ARRAY(char, SCORE_VALUE_MAX + 1);

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    TRY(podman_recorder_start(scene.host, &recorder, err));
    put_text(&scene, "a", 3, "{\"type\":");
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 3, err));
    put_text(&scene, "a", 4, "{\"type\":\"KubeV9\",\"data\":{}}");
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 4, err));
    TRY(reported_wait_error(scene.reported, "a", "KubeV9", err));
    memset(large, ' ', SCORE_VALUE_MAX + 1);
    reconciler_put(scene.reconciler, "a", 5, large, SCORE_VALUE_MAX + 1);
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 5, err));
    TRY(reported_wait_error(scene.reported, "a", "1048577 bytes", err));
    scene_put(&scene, "a", 6, "{\"services\":[{\"name\":\"main\",\"image\":7}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_FAILED, 6, err));
    TRY(reported_wait_error(scene.reported, "a", "$.data.services[0].image", err));
    put_text(&scene, "new", 7, "");
    TRY(reported_wait(scene.reported, "new", PHASE_FAILED, 7, err));
    TRY(reconcile_times(scene.reconciler, 2, err));
    TRY(expect_containers(&scene, "fleet.a.main:running fleet.b.main:running", err));
    TRY(expect_history(&scene, "b", "Pending Running", err));
    TRY(podman_recorder_stop(recorder, NULL, &events, err));
    CHECK(events.count == 0, "something was done: %s", events.items[0]);

    /* a usable one takes up where the last usable one was */
    scene_put(&scene, "a", 8, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 8, err));
    reconciler_delete(scene.reconciler, "new");
    return reported_wait_removed(scene.reported, "new", err);
}

/* Restarts */

FLEET_TEST(reconciler, a_reboot_without_nats_brings_all_back, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *before = NULL;
    cleanup_free char *after = NULL;
    int port;

    TRY(scene_open(test, &scene, err));
    TRY(podman_host_free_port(scene.host, &port, err));
    put_web(&scene, 1, IMAGE_HELLO_WEB_V1, port);
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 1, err));
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    before = reported_id(scene.reported, "hello", "web");
    scene_stop(&scene);
    TRY(podman_host_reboot(scene.host, err));
    size_t reports = reported_count(scene.reported, "hello");
    size_t of_b = reported_count(scene.reported, "b");
    TRY(scene_start(&scene, err));
    TRY(reported_wait_more(scene.reported, "hello", reports, err));
    TRY(reported_wait_more(scene.reported, "b", of_b, err));
    TRY(reported_wait(scene.reported, "hello", PHASE_RUNNING, 1, err));
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    TRY(expect_containers(&scene, "fleet.b.main:running fleet.hello.web:running", err));
    TRY(expect_version(&scene, port, "v1", err));
    after = reported_id(scene.reported, "hello", "web");
    return expect("the container's id", after, before, err);
}

FLEET_TEST(reconciler, podmans_service_may_die_and_come_back, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *before = NULL;
    cleanup_free char *after = NULL;

    TRY(scene_open(test, &scene, err));
    scene_put(&scene, "a", 1, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    before = reported_id(scene.reported, "a", "main");
    TRY(podman_host_kill_service(scene.host, err));
    scene_put(&scene, "b", 2, "{\"services\":[{\"name\":\"main\"," SLEEPER "}]}");
    TRY(reported_wait_error(scene.reported, "b", "podman does not answer", err));
    TRY(expect_history(&scene, "a", "Pending Running", err));
    TRY(expect_history(&scene, "b", "Pending", err));
    TRY(podman_host_start_service(scene.host, err));
    TRY(reported_wait(scene.reported, "b", PHASE_RUNNING, 2, err));
    /* events are heard again */
    TRY(scene_podman(&scene, err, "rm --force --time 0 fleet.a.main"));
    TRY(reported_wait_replaced(scene.reported, "a", "main", before, err));
    after = reported_id(scene.reported, "a", "main");
    CHECK(strcmp(after, before) != 0, "the same id came back");
    return 0;
}

#define STUBBORN                                                                                                       \
    "\"image\":\"" IMAGE_HELLO_WEB_V1 "\",\"args\":[\"sh\",\"-c\",\"trap '' TERM; while :; do sleep 1; done\"]"

static void put_stubborn(struct scene *scene)
{
    scene_put(scene, "a", 1, "{\"services\":[{\"name\":\"one\"," STUBBORN "},{\"name\":\"two\"," STUBBORN "}]}");
}

FLEET_TEST(reconciler, stubborn_services_are_stopped_side_by_side, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    put_stubborn(&scene);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    int64_t begin_ms = clock_monotonic_ms();
    reconciler_delete(scene.reconciler, "a");
    TRY(reported_wait_removed(scene.reported, "a", err));
    int64_t took_ms = clock_monotonic_ms() - begin_ms;
    CHECK(took_ms > 9000 && took_ms < 19000, "two grace periods of 10 s took %" PRId64 " ms", took_ms);
    return expect_containers(&scene, "", err);
}

FLEET_TEST(reconciler, a_removal_is_taken_up_again, .gate = "host", NEEDS_PODMAN)
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_open(test, &scene, err));
    put_stubborn(&scene);
    TRY(reported_wait(scene.reported, "a", PHASE_RUNNING, 1, err));
    reconciler_delete(scene.reconciler, "a");
    TRY(reported_wait_message(scene.reported, "a", "removing fleet.a.", err));
    int64_t begin_ms = clock_monotonic_ms();
    scene_stop(&scene);
    int64_t took_ms = clock_monotonic_ms() - begin_ms;
    CHECK(took_ms < 500, "the agent took %" PRId64 " ms to end", took_ms);
    TRY(scene_start(&scene, err));
    TRY(reported_wait_removed(scene.reported, "a", err));
    return expect_containers(&scene, "", err);
}
