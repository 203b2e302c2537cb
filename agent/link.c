/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/link.h"

#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"
#include "contracts/names.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define FLUSH_MS     3000

/*
 *                 connected                 all read and written          heartbeat, check, new in outbox
 *   (offline) ──────────────▶ (bringing up) ───────────────────▶ (in step) ─────────────────▶ (in step)
 *       ▲                        │  ▲  failed: back-off │            │ check: something was missed
 *       │         lost           │  └──────────────────┘            ▼
 *       └────────────────────────┴───────────────────────────  (bringing up)
 */
struct link {
    struct link_options options;
    struct thread thread;
    bool started;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool connected;
    uint64_t epoch; /* counts connects */
    bool woken;
    bool doubted; /* what was read and watched may be out of date */
    bool draining;
    bool stopping;
    bool ended;          /* the thread is done */
    int retry_ms;        /* 0: the last turn went well */
    int64_t retry_at_ms; /* nothing is tried before */

    /* The thread's own. */
    struct kv_bucket *buckets[4]; /* in the order of wire_buckets */
    uint64_t epoch_ready;         /* its message has been sent */
    uint64_t epoch_up;            /* watch and outbox have been renewed since this connect */
    bool stale_states_left;       /* former deployments' keys are still to be looked for */
    int64_t heartbeat_at_ms;
    int64_t check_at_ms;
};

/** What the thread does next, taken under the mutex. */
struct link_turn {
    bool stop;
    bool drain;
    bool connected;
    bool doubted;
    uint64_t epoch;
};

static const char *bucket_name(size_t index)
{
    return wire_buckets[index];
}

static struct kv_bucket *find_bucket(struct link *link, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(link->buckets); i++) {
        if (strcmp(bucket_name(i), name) == 0)
            return link->buckets[i];
    }
    return NULL;
}

/** Opened anew after every connect: the server may have come back without them. */
static int open_buckets(struct link *link, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(link->buckets); i++) {
        kv_bucket_free(TAKE_PTR(link->buckets[i]));
        if (kv_bucket_open(link->options.connection, bucket_name(i), 0, &link->buckets[i], err) < 0)
            return -1;
    }
    return 0;
}

static int write_item(struct link *link, const struct outbox_item *item, struct error *err)
{
    struct kv_bucket *bucket = find_bucket(link, item->bucket);

    if (!bucket)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "writing", item->key, "no such bucket");
    if (!item->value)
        return kv_delete(bucket, item->key, err);
    return kv_put(bucket, item->key, item->value, strlen(item->value), NULL, err);
}

static bool has_to_hurry(struct link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool hurry = link->stopping || !link->connected;
    pthread_mutex_unlock(&link->mutex);
    return hurry;
}

/** Write what waits, each key once; one that fails does not hold up the others. Fails with the last one's error. */
static int sweep(struct link *link, struct error *err)
{
    uint64_t version = 0;

    for (;;) {
        cleanup_outbox_item struct outbox_item item = {0};
        cleanup_error struct error failure = ERROR_INIT;

        if (has_to_hurry(link) || !outbox_next(link->options.outbox, version, &item))
            break;
        version = item.version;
        if (write_item(link, &item, &failure) == 0) {
            outbox_written(link->options.outbox, &item);
            continue;
        }
        error_clear(err);
        error_move(err, &failure);
    }
    return error_is_set(err) ? -1 : 0;
}

static void put_heartbeat(struct link *link)
{
    cleanup_error struct error impossible = ERROR_INIT;
    char *value = link->options.make_heartbeat(link->options.context);
    struct wire_key key;

    if (value && device_heartbeat_key(link->options.device_id, &key, &impossible) == 0)
        outbox_put(link->options.outbox, BUCKET_DEVICE_HEARTBEAT, key.text, TAKE_PTR(value));
    free(value);
    link->heartbeat_at_ms = clock_monotonic_ms() + link->options.heartbeat_interval_ms;
}

/** Delete the state of a deployment that is neither desired nor known to the reconciler. */
static int judge_state_key(struct link *link, struct kv_bucket *bucket, const char *key, struct error *err)
{
    cleanup_error struct error refused = ERROR_INIT;
    struct wire_target target;

    if (device_state_key_parse(key, &target, &refused) < 0 ||
        outbox_knows(link->options.outbox, BUCKET_DEVICE_STATE, key) ||
        desired_watch_has(link->options.watch, target.deployment))
        return 0;
    log_info("state of a former deployment deleted", LOG_TEXT("deployment", target.deployment));
    return kv_delete(bucket, key, err);
}

static int list_state_keys(struct link *link, struct kv_bucket *bucket, struct text_list *ret, struct error *err)
{
    cleanup_free char *filter = text_format("state.%s.*", link->options.device_id);
    kvStore *store = kv_bucket_handle(bucket);
    kvWatcher *watcher = NULL;
    kvEntry *entry = NULL;
    kvWatchOptions options;

    kvWatchOptions_Init(&options);
    options.MetaOnly = true;
    options.IgnoreDeletes = true;
    natsStatus status = store ? kvStore_Watch(&watcher, store, filter, &options) : NATS_NOT_YET_CONNECTED;
    while (status == NATS_OK) {
        status = kvWatcher_Next(&entry, watcher, FLUSH_MS);
        if (status != NATS_OK || !entry) /* no entry: that was all */
            break;
        text_list_add(ret, kvEntry_Key(entry));
        kvEntry_Destroy(TAKE_PTR(entry));
    }
    kvWatcher_Destroy(watcher);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "listing keys", filter);
}

/** Delete what an earlier life of the device reported of deployments that are gone. */
static int delete_stale_states(struct link *link, struct error *err)
{
    struct kv_bucket *bucket = find_bucket(link, BUCKET_DEVICE_STATE);
    cleanup_text_list struct text_list keys = {0};

    if (!link->stale_states_left || !desired_watch_is_complete(link->options.watch))
        return 0;
    if (list_state_keys(link, bucket, &keys, err) < 0)
        return -1;
    for (size_t i = 0; i < keys.count; i++) {
        if (judge_state_key(link, bucket, keys.items[i], err) < 0)
            return -1;
    }
    link->stale_states_left = false;
    return 0;
}

/** After a connect: all that was watched may be dead, all that was written may be lost. */
static int bring_up(struct link *link, uint64_t epoch, struct error *err)
{
    if (link->epoch_ready != epoch) {
        if (nats_connection_flush(link->options.connection, deadline_in_ms(FLUSH_MS), err) < 0)
            return -1;
        link->epoch_ready = epoch;
        link->options.on_ready(link->options.context);
    }
    if (open_buckets(link, err) < 0 || desired_watch_restart(link->options.watch, link->options.connection, err) < 0)
        return -1;
    outbox_repeat_all(link->options.outbox);
    put_heartbeat(link);
    link->stale_states_left = true;
    link->check_at_ms = clock_monotonic_ms() + link->options.check_interval_ms;
    link->epoch_up = epoch;
    return 0;
}

/** Compare the keys now and then; a watch that missed something is made anew. */
static int check_watch(struct link *link, struct error *err)
{
    struct kv_bucket *bucket = find_bucket(link, BUCKET_DESIRED_STATE);
    bool intact = true;

    if (clock_monotonic_ms() < link->check_at_ms)
        return 0;
    link->check_at_ms = clock_monotonic_ms() + link->options.check_interval_ms;
    int result = desired_watch_check(link->options.watch, bucket, &intact, err);
    if (result == 0 && !intact) {
        log_debug("desired-state watch is made anew");
        link->stale_states_left = true;
        result = desired_watch_restart(link->options.watch, link->options.connection, err);
    }
    if (result < 0)
        link->epoch_up = 0; /* begin from the start: the bucket may be gone, and the watch with it */
    return result;
}

static int take_steps(struct link *link, const struct link_turn *turn, struct error *err)
{
    if (turn->doubted)
        link->epoch_up = 0;
    if (link->epoch_up != turn->epoch && bring_up(link, turn->epoch, err) < 0)
        return -1;
    if (clock_monotonic_ms() >= link->heartbeat_at_ms)
        put_heartbeat(link);
    if (sweep(link, err) < 0)
        return -1;
    if (turn->drain)
        return 0;
    return check_watch(link, err) < 0 || delete_stale_states(link, err) < 0 ? -1 : 0;
}

static int do_turn(struct link *link, const struct link_turn *turn, struct error *err)
{
    if (take_steps(link, turn, err) == 0)
        return 0;
    if (error_is(err, &kv_error_domain, KV_UNAVAILABLE))
        link->epoch_up = 0; /* the same */
    return -1;
}

/** When the thread has to look again if nothing else wakes it. */
static int64_t next_turn_ms(const struct link *link)
{
    int64_t at_ms = link->heartbeat_at_ms < link->check_at_ms ? link->heartbeat_at_ms : link->check_at_ms;

    if (!link->connected)
        return INT64_MAX;
    if (link->retry_ms > 0)
        return link->retry_at_ms;
    if (link->epoch_up != link->epoch)
        return 0;
    if (link->stale_states_left && at_ms > clock_monotonic_ms() + RETRY_MIN_MS)
        at_ms = clock_monotonic_ms() + RETRY_MIN_MS; /* the watch is not complete yet */
    return at_ms;
}

static struct link_turn wait_for_turn(struct link *link)
{
    pthread_mutex_lock(&link->mutex);
    while (!link->stopping && !link->draining) {
        int64_t at_ms = next_turn_ms(link);

        if (link->connected && link->woken && link->retry_ms == 0)
            break;
        if (at_ms <= clock_monotonic_ms())
            break;
        condition_wait_until(&link->changed, &link->mutex, at_ms);
    }
    struct link_turn turn = {link->stopping, link->draining, link->connected, link->doubted, link->epoch};
    link->woken = false;
    link->doubted = false;
    pthread_mutex_unlock(&link->mutex);
    return turn;
}

/** How long to wait after this turn. */
static void set_retry(struct link *link, const struct error *failure)
{
    pthread_mutex_lock(&link->mutex);
    bool failed = failure && link->connected && !link->stopping; /* else it is explained by that */
    bool first = link->retry_ms == 0;
    if (!failed)
        link->retry_ms = 0;
    else if (first)
        link->retry_ms = RETRY_MIN_MS;
    else
        link->retry_ms = link->retry_ms * 2 < RETRY_MAX_MS ? link->retry_ms * 2 : RETRY_MAX_MS;
    link->retry_at_ms = clock_monotonic_ms() + link->retry_ms;
    pthread_mutex_unlock(&link->mutex);
    if (failed && first) /* said once, not at every try */
        log_trouble("writing to NATS failed, trying again", failure);
}

static void *run(void *argument)
{
    struct link *link = argument;

    for (;;) {
        cleanup_error struct error failure = ERROR_INIT;
        struct link_turn turn = wait_for_turn(link);

        if (turn.stop || (turn.drain && !turn.connected))
            break;
        set_retry(link, do_turn(link, &turn, &failure) < 0 ? &failure : NULL);
        if (turn.drain)
            break;
    }
    pthread_mutex_lock(&link->mutex);
    link->ended = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    return NULL;
}

int link_start(const struct link_options *options, struct link **ret, struct error *err)
{
    struct link *link = NEW(struct link);

    link->options = *options;
    pthread_mutex_init(&link->mutex, NULL);
    condition_init(&link->changed);
    if (thread_start(&link->thread, run, link, err) < 0) {
        link_free(link);
        return -1;
    }
    link->started = true;
    *ret = link;
    return 0;
}

void link_connected(struct link *link, bool connected)
{
    pthread_mutex_lock(&link->mutex);
    link->connected = connected;
    if (connected)
        link->epoch++;
    link->woken = true;
    link->retry_ms = 0;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

void link_wake(struct link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->woken = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

void link_doubt(struct link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->doubted = true;
    link->woken = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

void link_drain(struct link *link, struct deadline deadline)
{
    pthread_mutex_lock(&link->mutex);
    link->draining = true;
    pthread_cond_broadcast(&link->changed);
    while (!link->ended && !deadline_passed(deadline))
        condition_wait_until(&link->changed, &link->mutex, deadline.at_ms);
    link->stopping = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

void link_free(struct link *link)
{
    if (!link)
        return;
    if (link->started) {
        link_drain(link, deadline_in_ms(0));
        thread_join(&link->thread);
    }
    for (size_t i = 0; i < ARRAY_SIZE(link->buckets); i++)
        kv_bucket_free(link->buckets[i]);
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->mutex);
    free(link);
}
