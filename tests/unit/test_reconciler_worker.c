/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconciler_worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "harness/test.h"
#include "tests/host/support_reconciler.h"
#include "tests/unit/support_podman.h"

#define API     "/v4.0.0/libpod"
#define SERVICE "{\"services\":[{\"name\":\"main\",\"image\":\"localhost/box:v1\"}]}"

static const char usable[] = "{\"type\":\"PodmanV0\",\"data\":" SERVICE "}";

/** A reconciler with a podman that is not one, or none. */
struct stage {
    struct fake_podman *fake;
    struct reported *reported;
    struct reconciler *reconciler;
};

static void stage_close(struct stage *stage)
{
    reconciler_free(stage->reconciler);
    reported_free(stage->reported);
    fake_podman_free(stage->fake);
}
#define cleanup_stage __attribute__((cleanup(stage_close)))

static int stage_open(struct test_context *test, struct stage *stage, bool runtime_enabled, fake_podman_answer answer,
                      void *context, struct error *err)
{
    TRY(fake_podman_start(test->artefacts, answer, context, &stage->fake, err));
    stage->reported = reported_new();
    const struct reconciler_options options = {.device_id = "pi-01",
                                               .state_directory = test->artefacts,
                                               .podman_socket = fake_podman_socket(stage->fake),
                                               .runtime_enabled = runtime_enabled,
                                               .interval_ms = 3600 * 1000,
                                               .sink = reported_sink(stage->reported)};
    return reconciler_new(&options, &stage->reconciler, err);
}

static void put(struct stage *stage, const char *deployment, uint64_t revision, const char *value)
{
    reconciler_put(stage->reconciler, deployment, revision, value, strlen(value));
}

static int expect_history(struct stage *stage, const char *deployment, const char *expected, struct error *err)
{
    cleanup_free char *history = reported_history(stage->reported, deployment);

    CHECK(strcmp(history, expected) == 0, "%s: %s", deployment, history);
    return 0;
}

FLEET_TEST(reconciler_worker, a_disabled_runtime_is_never_used)
{
    static const char *const none[] = {NULL};
    cleanup_stage struct stage stage = {0};
    cleanup_free char *error = NULL;

    TRY(stage_open(test, &stage, false, NULL, NULL, err));
    put(&stage, "a", 1, usable);
    put(&stage, "b", 2, "nonsense");
    TRY(reported_wait(stage.reported, "a", PHASE_FAILED, 1, err));
    TRY(reported_wait(stage.reported, "b", PHASE_FAILED, 2, err));
    error = reported_error(stage.reported, "a");
    CHECK(strcmp(error, "the container runtime is disabled on this device (runtime_enabled = false)") == 0, "%s",
          error);
    TRY(reconcile_times(stage.reconciler, 2, err));
    reconciler_delete(stage.reconciler, "a");
    TRY(reported_wait_removed(stage.reported, "a", err));
    reconciler_retain(stage.reconciler, none, 0);
    TRY(reported_wait_removed(stage.reported, "b", err));
    CHECK(fake_podman_count(stage.fake, "") == 0, "podman was asked for something");
    return 0;
}

/** Everything that begins so is never answered. */
static bool hang(void *context, const char *request, int fd)
{
    const char **prefix = context;

    if (!text_starts_with(request, *prefix))
        return false;
    http_server_wait_for_end(fd);
    return true;
}

/** It is asked once that was `prefix` was asked. */
struct asked {
    struct fake_podman *fake;
    const char *prefix;
};

static int is_asked(void *context, struct text_buffer *state, struct error *err)
{
    const struct asked *asked = context;

    (void)state;
    (void)err;
    return fake_podman_count(asked->fake, asked->prefix) > 0;
}

FLEET_TEST(reconciler_worker, ends_at_once_whatever_podman_does)
{
    static const char *prefixes[] = {"GET " API "/containers/json", "GET " API "/_ping", "GET " API "/images/",
                                     "POST " API "/images/pull"};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        cleanup_stage struct stage stage = {0};
        TRY(stage_open(test, &stage, true, hang, &prefixes[i], err));
        put(&stage, "a", i + 1, usable);
        struct asked asked = {stage.fake, prefixes[i]};
        TRY(wait_until("podman to be asked", is_asked, &asked, NULL, deadline_in_ms(20000), err));
        int64_t begin_ms = clock_monotonic_ms();
        reconciler_free(TAKE_PTR(stage.reconciler));
        int64_t took_ms = clock_monotonic_ms() - begin_ms;
        CHECK(took_ms < 500, "%s: ended after %d ms", prefixes[i], (int)took_ms);
    }
    return 0;
}

FLEET_TEST(reconciler_worker, waits_for_podman)
{
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    fake_podman_free(TAKE_PTR(stage.fake));
    put(&stage, "a", 1, usable);
    TRY(reported_wait_error(stage.reported, "a", "podman does not answer", err));
    TRY(expect_history(&stage, "a", "Pending", err));
    reconciler_delete(stage.reconciler, "a");
    TRY(reported_wait(stage.reported, "a", PHASE_REMOVING, 1, err));
    TRY(reported_wait_error(stage.reported, "a", "podman does not answer", err));
    /* and does what is wanted by then */
    TRY(fake_podman_start(test->artefacts, NULL, NULL, &stage.fake, err));
    return reported_wait_removed(stage.reported, "a", err);
}

FLEET_TEST(reconciler_worker, tells_what_podman_it_is)
{
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    return reported_wait_runtime(stage.reported, "podman 9.9.9", err);
}

/** A container that somebody keeps changing: it is listed, and never there. */
static bool list_a_ghost(void *context, const char *request, int fd)
{
    (void)context;
    if (!text_starts_with(request, "GET " API "/containers/json"))
        return false;
    http_server_reply(fd, 200,
                      "[{\"Id\":\"c1\",\"Names\":[\"fleet.a.main\"],\"State\":\"running\",\"Labels\":{"
                      "\"io.harmony.fleet.deployment\":\"a\",\"io.harmony.fleet.service\":\"main\"}}]");
    return true;
}

FLEET_TEST(reconciler_worker, what_is_interrupted_for_ever_has_failed)
{
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, list_a_ghost, NULL, err));
    put(&stage, "a", 1, usable);
    TRY(reported_wait(stage.reported, "a", PHASE_FAILED, 1, err));
    TRY(expect_history(&stage, "a", "Pending Failed", err));
    CHECK(fake_podman_count(stage.fake, "GET " API "/containers/c1/json") == INTERRUPTIONS_MAX + 1,
          "it was looked at %d times", fake_podman_count(stage.fake, "GET " API "/containers/c1/json"));
    return 0;
}

FLEET_TEST(reconciler_worker, a_removal_goes_on_after_a_restart)
{
    cleanup_stage struct stage stage = {0};
    cleanup_free char *path = text_format("%s/desired/a.json", test->artefacts);
    static const char removing[] = "{\"revision\":7,\"removing\":true}";

    TRY(directory_create(test->artefacts, 0755, err));
    cleanup_free char *directory = text_format("%s/desired", test->artefacts);
    TRY(directory_create(directory, 0755, err));
    TRY(file_write_atomic(path, removing, strlen(removing), 0600, err));
    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    TRY(reported_wait_removed(stage.reported, "a", err));
    CHECK(!file_exists(path), "its record is still there");
    return 0;
}

static int is_there(void *context, struct text_buffer *state, struct error *err)
{
    (void)state;
    (void)err;
    return file_exists(context);
}

/* A bucket keeps the marker of every deletion, and a device meets all of them at every connect. */
FLEET_TEST(reconciler_worker, deletion_of_what_is_not_here_is_no_work)
{
    cleanup_stage struct stage stage = {0};
    cleanup_free char *path = text_format("%s/desired/gone.json", test->artefacts);

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    reconciler_delete(stage.reconciler, "gone");
    put(&stage, "after", 1, usable);
    TRY(reported_wait(stage.reported, "after", PHASE_PENDING, 1, err));
    CHECK(!file_exists(path), "a file says that it is to be removed");
    return expect_history(&stage, "gone", "", err);
}

FLEET_TEST(reconciler_worker, only_usable_states_are_stored)
{
    cleanup_stage struct stage stage = {0};
    cleanup_free char *path = text_format("%s/desired/a.json", test->artefacts);
    cleanup_free char *stored = NULL;
    size_t size = 0;

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    put(&stage, "a", 7, usable);
    put(&stage, "a", 8, "{");
    TRY(reported_wait(stage.reported, "a", PHASE_FAILED, 8, err));
    TRY(wait_until("the desired state to be stored", is_there, path, NULL, deadline_in_ms(20000), err));
    TRY(file_read(path, 4096, &stored, &size, err));
    cleanup_free char *expected = text_format("{\"revision\":7,\"bucket\":0,\"desired\":%s}\n", usable);
    CHECK(strcmp(stored, expected) == 0, "%s", stored);
    return 0;
}

#define NOTHING "{\"type\":\"PodmanV0\",\"data\":{}}"

static int restart(struct test_context *test, struct stage *stage, struct error *err)
{
    stage_close(stage);
    *stage = (struct stage){0};
    return stage_open(test, stage, true, NULL, NULL, err);
}

/* A server that lost its store, or a bucket made anew, must not empty a fleet's devices. */
FLEET_TEST(reconciler_worker, what_came_from_a_lost_bucket_stays)
{
    static const char *const none[] = {NULL};
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    reconciler_bucket(stage.reconciler, 5);
    put(&stage, "again", 7, NOTHING);
    put(&stage, "gone", 8, NOTHING);
    TRY(reported_wait(stage.reported, "again", PHASE_RUNNING, 7, err));
    TRY(reported_wait(stage.reported, "gone", PHASE_RUNNING, 8, err));
    reconciler_bucket(stage.reconciler, 6);
    reconciler_retain(stage.reconciler, none, 0);
    TRY(reported_wait(stage.reported, "again", PHASE_RUNNING, 0, err));
    TRY(reported_wait(stage.reported, "gone", PHASE_RUNNING, 0, err));
    TRY(restart(test, &stage, err));
    reconciler_bucket(stage.reconciler, 6);
    reconciler_retain(stage.reconciler, none, 0);
    TRY(reported_wait(stage.reported, "again", PHASE_RUNNING, 0, err));
    put(&stage, "again", 1, NOTHING);
    TRY(reported_wait(stage.reported, "again", PHASE_RUNNING, 1, err));
    reconciler_delete(stage.reconciler, "gone"); /* its key need not be there to be deleted */
    TRY(reported_wait_removed(stage.reported, "gone", err));
    TRY(restart(test, &stage, err));
    reconciler_bucket(stage.reconciler, 6);
    reconciler_retain(stage.reconciler, none, 0); /* this one has had it */
    return reported_wait_removed(stage.reported, "again", err);
}

static int is_file(void *context, struct text_buffer *state __attribute__((unused)),
                   struct error *err __attribute__((unused)))
{
    return file_exists(context);
}

FLEET_TEST(reconciler_worker, what_the_disk_refused_is_stored_later)
{
    cleanup_stage struct stage stage = {0};
    cleanup_free char *directory = text_format("%s/desired", test->artefacts);
    cleanup_free char *away = text_format("%s/away", test->artefacts);
    cleanup_free char *path = text_format("%s/desired/a.json", test->artefacts);

    TRY(stage_open(test, &stage, true, NULL, NULL, err));
    CHECK(rename(directory, away) == 0, "moving the store away: %s", strerror(errno));
    put(&stage, "a", 1, NOTHING);
    TRY(reported_wait(stage.reported, "a", PHASE_RUNNING, 1, err));
    CHECK(rename(away, directory) == 0, "moving it back: %s", strerror(errno));
    return wait_until("the desired state to be stored", is_file, path, NULL, deadline_in_ms(20000), err);
}

FLEET_TEST(reconciler_worker, reports_again_when_asked)
{
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, false, NULL, NULL, err));
    put(&stage, "a", 1, usable);
    TRY(reported_wait(stage.reported, "a", PHASE_FAILED, 1, err));
    put(&stage, "a", 1, usable);
    TRY(reconcile_times(stage.reconciler, 2, err));
    CHECK(reported_count(stage.reported, "a") == 1, "%zu reports of one state", reported_count(stage.reported, "a"));
    reconciler_report_all(stage.reconciler);
    return reported_wait_more(stage.reported, "a", 1, err);
}

/** podman was killed while it made the container: its storage has the name until somebody removes it. */
struct half_made {
    atomic_int removals;
    atomic_int creations;
    atomic_int starts;
};

static bool play_half_made(void *context, const char *request, int fd)
{
    struct half_made *half_made = context;
    bool removed = atomic_load(&half_made->removals) > 0;

    if (text_starts_with(request, "GET " API "/images/")) {
        http_server_reply(fd, 200, "{\"Id\":\"i1\"}");
    } else if (text_starts_with(request, "DELETE " API "/containers/fleet.a.main?force=true")) {
        atomic_fetch_add(&half_made->removals, 1);
        http_server_reply(fd, 200, "[]");
    } else if (text_starts_with(request, "POST " API "/containers/create") && !removed) {
        http_server_reply(fd, 500,
                          "{\"message\":\"the container name is already in use by 34: that name is already in "
                          "use\"}");
    } else if (text_starts_with(request, "POST " API "/containers/create")) {
        atomic_fetch_add(&half_made->creations, 1);
        http_server_reply(fd, 201, "{\"Id\":\"c1\"}");
    } else if (text_starts_with(request, "POST " API "/containers/c1/start")) {
        atomic_fetch_add(&half_made->starts, 1);
        http_server_reply(fd, 204, "");
    } else if (text_starts_with(request, "GET " API "/containers/json") && atomic_load(&half_made->starts) > 0) {
        return list_a_ghost(NULL, request, fd);
    } else {
        return false;
    }
    return true;
}

FLEET_TEST(reconciler_worker, what_an_interrupted_creation_left_is_removed)
{
    struct half_made half_made = {0};
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, play_half_made, &half_made, err));
    put(&stage, "a", 1, usable);
    TRY(reported_wait(stage.reported, "a", PHASE_RUNNING, 1, err));
    CHECK(atomic_load(&half_made.removals) == 1 && atomic_load(&half_made.creations) == 1, "%d removals, %d creations",
          atomic_load(&half_made.removals), atomic_load(&half_made.creations));
    return expect_history(&stage, "a", "Pending Running", err);
}

/** A podman that has no image and is told to pull one: it takes its time, and then the registry is not there. */
static bool refuse_to_pull(void *context, const char *request, int fd)
{
    atomic_int *hangs = context;

    if (text_starts_with(request, "GET " API "/images/")) {
        http_server_reply(fd, 404, "{\"message\":\"no such image\"}");
    } else if (text_starts_with(request, "POST " API "/images/pull")) {
        if (atomic_load(hangs) == 0)
            http_server_reply(fd, 200, "{\"error\":\"connection refused\"}");
        else
            http_server_wait_for_end(fd);
    } else {
        return false;
    }
    return true;
}

struct pulls {
    struct fake_podman *fake;
    int count;
};

static int are_pulled(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct pulls *pulls = context;
    int count = fake_podman_count(pulls->fake, "POST " API "/images/pull");

    text_buffer_format(state, "%d attempts", count);
    return count >= pulls->count;
}

/* A retry that fails in the same way is no news: not to NATS, and not to who reads the error meanwhile. */
FLEET_TEST(reconciler_worker, what_fails_again_is_said_once)
{
    atomic_int hangs = 0;
    cleanup_stage struct stage stage = {0};

    TRY(stage_open(test, &stage, true, refuse_to_pull, &hangs, err));
    put(&stage, "a", 1, usable);
    TRY(reported_wait_error(stage.reported, "a", "connection refused", err));
    size_t reports = reported_count(stage.reported, "a");
    struct pulls pulls = {stage.fake, 3};
    TRY(wait_until("the third attempt", are_pulled, &pulls, NULL, deadline_in_ms(20000), err));
    CHECK(reported_count(stage.reported, "a") == reports, "%zu reports, then %zu", reports,
          reported_count(stage.reported, "a"));
    TRY(expect_history(&stage, "a", "Pending Failed", err));
    /* One that takes long says what it is at, and what failed the last time. */
    atomic_store(&hangs, 1);
    TRY(reported_wait_message(stage.reported, "a", "pulling localhost/box:v1", err));
    cleanup_free char *error = reported_error(stage.reported, "a");
    CHECK(strstr(error, "connection refused"), "the error is \"%s\"", error);
    TRY(expect_history(&stage, "a", "Pending Failed", err));
    /* Another revision is another matter. */
    put(&stage, "a", 2, usable);
    TRY(reported_wait(stage.reported, "a", PHASE_PENDING, 2, err));
    cleanup_free char *none = reported_error(stage.reported, "a");
    CHECK(!*none, "the error is \"%s\"", none);
    return 0;
}
