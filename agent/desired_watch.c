/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/desired_watch.h"

#include <pthread.h>
#include <stdlib.h>

#include "agent/key_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "messaging/kv_watch.h"

#define WAIT_MS 3000

struct desired_watch {
    struct desired_sink sink;
    struct wire_key filter; /* "<device>.*" */
    struct kv_watch *watch;
    pthread_mutex_t mutex; /* of the keys, which only calls of the watch change, one at a time. Nothing of the watch is
                              asked while it is held: the watch holds its own while it calls */
    struct key_table keys;
};

static void on_begin(void *context, uint64_t made_us)
{
    struct desired_watch *watch = context;

    pthread_mutex_lock(&watch->mutex);
    key_table_clear(&watch->keys);
    pthread_mutex_unlock(&watch->mutex);
    watch->sink.bucket(watch->sink.context, made_us);
}

static bool is_ours(const char *key, struct wire_target *ret)
{
    cleanup_error struct error refused = ERROR_INIT;

    if (desired_state_key_parse(key, ret, &refused) == 0)
        return true;
    log_debug("desired-state key ignored", LOG_TEXT("key", key));
    return false;
}

static void on_put(void *context, const char *key, uint64_t revision, int64_t stamp_ms __attribute__((unused)),
                   const char *data, size_t size)
{
    struct desired_watch *watch = context;
    struct wire_target target;

    if (!is_ours(key, &target))
        return;
    pthread_mutex_lock(&watch->mutex);
    key_table_set(&watch->keys, target.deployment, revision);
    pthread_mutex_unlock(&watch->mutex);
    watch->sink.put(watch->sink.context, target.deployment, revision, data, size);
}

static void on_deleted(void *context, const char *key, uint64_t revision __attribute__((unused)))
{
    struct desired_watch *watch = context;
    struct wire_target target;

    if (!is_ours(key, &target))
        return;
    pthread_mutex_lock(&watch->mutex);
    key_table_remove(&watch->keys, target.deployment);
    pthread_mutex_unlock(&watch->mutex);
    watch->sink.deleted(watch->sink.context, target.deployment);
}

static void on_complete(void *context)
{
    struct desired_watch *watch = context;
    const char **names = key_table_names(&watch->keys);

    watch->sink.retain(watch->sink.context, names, watch->keys.count);
    free(names);
}

int desired_watch_new(const char *device_id, const struct desired_sink *sink, struct desired_watch **ret,
                      struct error *err)
{
    struct wire_key filter;
    struct desired_watch *watch;

    if (desired_state_filter(device_id, &filter, err) < 0)
        return -1;
    watch = NEW(struct desired_watch);
    watch->sink = *sink;
    watch->filter = filter;
    watch->watch = kv_watch_new(BUCKET_DESIRED_STATE, filter.text,
                                &(struct kv_watch_sink){on_begin, on_put, on_deleted, on_complete, watch});
    pthread_mutex_init(&watch->mutex, NULL);
    *ret = watch;
    return 0;
}

int desired_watch_restart(struct desired_watch *watch, struct nats_connection *connection, struct error *err)
{
    return kv_watch_restart(watch->watch, connection, err) < 0 ? error_wrap(err, "watching keys", watch->filter.text)
                                                               : 0;
}

bool desired_watch_is_complete(struct desired_watch *watch)
{
    return kv_watch_is_complete(watch->watch);
}

bool desired_watch_has(struct desired_watch *watch, const char *deployment)
{
    pthread_mutex_lock(&watch->mutex);
    bool has = key_table_find(&watch->keys, deployment) != NULL;
    pthread_mutex_unlock(&watch->mutex);
    return has;
}

static bool is_put(kvEntry *entry)
{
    kvOperation operation = kvEntry_Operation(entry);

    return operation != kvOp_Delete && operation != kvOp_Purge;
}

/** The keys and revisions that stand in the bucket now, without their values. */
static natsStatus read_keys(const struct desired_watch *watch, kvStore *store, struct key_table *keys)
{
    kvWatchOptions options;
    kvWatcher *watcher = NULL;
    kvEntry *entry = NULL;

    kvWatchOptions_Init(&options);
    options.MetaOnly = true;
    natsStatus status = kvStore_Watch(&watcher, store, watch->filter.text, &options);
    while (status == NATS_OK) {
        cleanup_error struct error refused = ERROR_INIT;
        struct wire_target target;

        status = kvWatcher_Next(&entry, watcher, WAIT_MS);
        if (status != NATS_OK || !entry) /* no entry: that was all */
            break;
        if (is_put(entry) && desired_state_key_parse(kvEntry_Key(entry), &target, &refused) == 0)
            key_table_set(keys, target.deployment, kvEntry_Revision(entry));
        kvEntry_Destroy(TAKE_PTR(entry));
    }
    kvWatcher_Destroy(watcher);
    return status;
}

int desired_watch_check(struct desired_watch *watch, struct kv_bucket *bucket, bool *intact, struct error *err)
{
    kvStore *store = kv_bucket_handle(bucket);
    struct key_table keys = {0};
    natsStatus status = store ? read_keys(watch, store, &keys) : NATS_NOT_YET_CONNECTED;
    bool alive = false;
    int result = status == NATS_OK ? kv_watch_check(watch->watch, &alive, err)
                                   : error_set_nats(err, status, "reading keys", watch->filter.text);

    alive = alive && kv_watch_is_complete(watch->watch);
    pthread_mutex_lock(&watch->mutex);
    /* A change on its way looks like one that was missed; reading all again is harmless. */
    *intact = alive && key_table_equal(&watch->keys, &keys);
    pthread_mutex_unlock(&watch->mutex);
    key_table_clear(&keys);
    return result;
}

void desired_watch_free(struct desired_watch *watch)
{
    if (!watch)
        return;
    kv_watch_free(watch->watch);
    key_table_clear(&watch->keys);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
