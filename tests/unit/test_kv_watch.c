/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/kv_watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "messaging/kv.h"
#include "messaging/kv_batch.h"
#include "tests/unit/support_nats.h"

#define BUCKET  "things"
#define WAIT_MS 20000

/** Counts what a watch tells. */
struct seen {
    atomic_int begun;
    atomic_int puts;
    atomic_int deletions;
    atomic_int completed;
    atomic_int confirmed_puts;
    atomic_int confirmed_deletions;
};

static void on_begin(void *context, uint64_t made_us __attribute__((unused)))
{
    atomic_fetch_add(&((struct seen *)context)->begun, 1);
}

static void on_put(void *context, const char *key __attribute__((unused)), uint64_t revision __attribute__((unused)),
                   int64_t stamp_ms __attribute__((unused)), const char *data __attribute__((unused)),
                   size_t size __attribute__((unused)))
{
    atomic_fetch_add(&((struct seen *)context)->puts, 1);
}

static void on_deleted(void *context, const char *key __attribute__((unused)),
                       uint64_t revision __attribute__((unused)))
{
    atomic_fetch_add(&((struct seen *)context)->deletions, 1);
}

static void on_complete(void *context)
{
    atomic_fetch_add(&((struct seen *)context)->completed, 1);
}

/* What a batch tells of. */

static void on_confirmed_put(void *context, const char *key, uint64_t revision, const char *data, size_t size)
{
    struct seen *seen = context;

    if (text_starts_with(key, "key.") && revision > 0 && size == 5 && memcmp(data, "value", size) == 0)
        atomic_fetch_add(&seen->confirmed_puts, 1);
}

static void on_confirmed_deletion(void *context, const char *key, uint64_t revision)
{
    struct seen *seen = context;

    if (strcmp(key, "key.7") == 0 && revision > 0)
        atomic_fetch_add(&seen->confirmed_deletions, 1);
}

/** NATS, a bucket in it, a watch of it and a batch for it. */
struct scene {
    struct seen seen;
    struct test_nats *nats;
    struct nats_connection *connection;
    struct kv_bucket *bucket;
    struct kv_watch *watch;
    struct kv_batch *batch;
};

static void scene_clear(struct scene *scene)
{
    kv_watch_free(scene->watch);
    if (scene->connection)
        nats_connection_close(scene->connection);
    kv_batch_free(scene->batch);
    kv_bucket_free(scene->bucket);
    nats_connection_free(scene->connection);
    test_nats_free(scene->nats);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_set(struct test_context *test, struct scene *scene, struct error *err)
{
    const struct kv_watch_sink sink = {on_begin, on_put, on_deleted, on_complete, &scene->seen};

    TRY(test_nats_start(test, &scene->nats, err));
    TRY(test_nats_admin(scene->nats, &scene->connection, err));
    TRY(kv_bucket_open(scene->connection, BUCKET, 0, &scene->bucket, err));
    const struct kv_batch_sink confirmed = {on_confirmed_put, on_confirmed_deletion, &scene->seen};
    scene->batch = kv_batch_new(scene->connection, BUCKET, &confirmed);
    scene->watch = kv_watch_new(BUCKET, NULL, &sink);
    return 0;
}

static int put_many(struct scene *scene, int count, struct error *err)
{
    for (int i = 0; i < count; i++) {
        cleanup_free char *key = text_format("key.%d", i);

        TRY(kv_batch_put(scene->batch, key, "value", 5, err));
    }
    return kv_batch_finish(scene->batch, deadline_in_ms(WAIT_MS), err);
}

/** How many of something a watch is to have told. */
struct expectation {
    atomic_int *count;
    int wanted;
};

static int is_met(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct expectation *expectation = context;

    text_buffer_format(state, "%d of %d", atomic_load(expectation->count), expectation->wanted);
    return atomic_load(expectation->count) >= expectation->wanted;
}

static int await(atomic_int *count, int wanted, struct error *err)
{
    struct expectation expectation = {count, wanted};

    return wait_until("the watch to tell", is_met, &expectation, NULL, deadline_in_ms(WAIT_MS), err);
}

FLEET_TEST(kv_watch, tells_all_keys_then_changes, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    bool intact = false;

    TRY(scene_set(test, &scene, err));
    TRY(kv_watch_restart(scene.watch, scene.connection, err));
    TRY(await(&scene.seen.completed, 1, err)); /* an empty bucket is complete, too */
    TRY(put_many(&scene, 2500, err));          /* more than are under way at a time */
    CHECK(scene.seen.confirmed_puts == 2500, "%d are known to be confirmed", scene.seen.confirmed_puts);
    TRY(await(&scene.seen.puts, 2500, err));
    TRY(kv_batch_delete(scene.batch, "key.7", err));
    TRY(kv_batch_finish(scene.batch, deadline_in_ms(WAIT_MS), err));
    CHECK(scene.seen.confirmed_deletions == 1, "%d deletions are known", scene.seen.confirmed_deletions);
    TRY(await(&scene.seen.deletions, 1, err));
    TRY(kv_watch_check(scene.watch, &intact, err));
    CHECK(intact, "a watch that told all is doubted");
    TRY(kv_watch_check(scene.watch, &intact, err));
    CHECK(intact, "a watch that told all is doubted");
    TRY(kv_watch_restart(scene.watch, scene.connection, err));
    TRY(await(&scene.seen.completed, 2, err));
    CHECK(scene.seen.begun == 2 && scene.seen.puts == 2500 + 2499 && scene.seen.deletions == 2,
          "%d begun, %d puts, %d deletions", scene.seen.begun, scene.seen.puts, scene.seen.deletions);
    return 0;
}

FLEET_TEST(kv_watch, a_bucket_made_anew_is_noticed, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    jsCtx *jetstream = NULL;
    bool intact = true;

    TRY(scene_set(test, &scene, err));
    TRY(put_many(&scene, 1, err));
    TRY(kv_watch_restart(scene.watch, scene.connection, err));
    TRY(await(&scene.seen.completed, 1, err));
    natsStatus status = natsConnection_JetStream(&jetstream, nats_connection_handle(scene.connection), NULL);
    if (status == NATS_OK)
        status = js_DeleteKeyValue(jetstream, BUCKET);
    jsCtx_Destroy(jetstream);
    CHECK(status == NATS_OK, "the bucket was not deleted: %d", status);
    kv_bucket_free(TAKE_PTR(scene.bucket));
    TRY(kv_bucket_open(scene.connection, BUCKET, 0, &scene.bucket, err));
    TRY(kv_watch_check(scene.watch, &intact, err));
    CHECK(!intact, "it is not noticed");
    TRY(kv_watch_restart(scene.watch, scene.connection, err));
    return await(&scene.seen.completed, 2, err);
}

FLEET_TEST(kv_watch, a_failed_batch_is_told_and_forgotten, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    struct kv_value value = {0};

    TRY(scene_set(test, &scene, err));
    TRY(test_nats_signal(scene.nats, SIGSTOP, err));
    TRY(kv_batch_put(scene.batch, "a", "1", 1, err));
    CHECK_FAILS(kv_batch_finish(scene.batch, deadline_in_ms(100), err), nats_error_domain, NATS_TIMEOUT);
    TRY(test_nats_signal(scene.nats, SIGCONT, err));
    TRY(kv_batch_put(scene.batch, "a", "2", 1, err));
    TRY(kv_batch_finish(scene.batch, deadline_in_ms(WAIT_MS), err));
    TRY(kv_get(scene.bucket, "a", &value, err));
    bool second = strcmp(value.data, "2") == 0;
    kv_value_clear(&value);
    CHECK(second, "the later value is not there");
    return 0;
}
