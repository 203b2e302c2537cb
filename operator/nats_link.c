/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/nats_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "messaging/kv.h"
#include "messaging/kv_watch.h"

#define RETRY_MIN_MS      100
#define RETRY_MAX_MS      5000
#define CHECK_MS          30000
#define REPLICATE_MS      2000 /* between two tries to have the buckets on every server */
#define FLUSH_MS          3000
#define TROUBLE_REPEAT_MS 600000 /* the same trouble is logged again after this */

/** What one watch tells the fleet. */
struct told {
    struct fleet *fleet;
    enum fleet_bucket bucket;
};

/*
 *              connected                watches made anew                  time for a check
 *   (offline) ───────────▶ (bringing up) ───────────────▶ (in step) ──────────────────────▶ (in step)
 *       ▲                     ▲  │ failed: back-off           │ │ something was missed
 *       │ lost                └──┴───────────────────────◀────┘ │
 *       └───────────────────────────────────────────────────────┘
 */
struct nats_link {
    struct nats_link_options options;
    struct nats_connection *connection;
    struct kv_watch *watches[FLEET_BUCKET_COUNT];
    struct told told[FLEET_BUCKET_COUNT];
    struct thread thread;
    bool started;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool connected;
    bool stopping;
    uint64_t epoch;    /* counts connects and doubts */
    uint64_t epoch_up; /* the watches are of this one */
    int64_t trouble_at_ms;
    int trouble_code;

    int64_t check_at_ms; /* the thread's own, like those below */
    int retry_ms;
    bool replicated;       /* the buckets are on every server */
    bool replication_told; /* that they cannot be was logged */
};

static void on_begin(void *context, uint64_t made_us)
{
    const struct told *told = context;

    fleet_told_begin(told->fleet, told->bucket);
    fleet_told_made(told->fleet, told->bucket, made_us);
}

static void on_put(void *context, const char *key, uint64_t revision, int64_t stamp_ms, const char *data, size_t size)
{
    const struct told *told = context;

    fleet_told_put(told->fleet, told->bucket, key, revision, stamp_ms, data, size);
}

static void on_deleted(void *context, const char *key, uint64_t revision)
{
    const struct told *told = context;

    fleet_told_deleted(told->fleet, told->bucket, key, revision);
}

static void on_complete(void *context)
{
    const struct told *told = context;

    fleet_told_complete(told->fleet, told->bucket);
}

static void on_change(void *context, bool connected)
{
    struct nats_link *link = context;

    log_info(connected ? "connected to NATS" : "connection to NATS lost");
    fleet_nats_changed(link->options.fleet, connected);
    if (connected)
        metrics_add(link->options.metrics, METRIC_NATS_CONNECTS, 1);
    pthread_mutex_lock(&link->mutex);
    link->connected = connected;
    link->epoch += connected;
    link->trouble_at_ms = 0;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

static void on_trouble(void *context, const struct error *trouble)
{
    struct nats_link *link = context;
    int64_t now_ms = clock_monotonic_ms();

    pthread_mutex_lock(&link->mutex);
    bool news = link->trouble_at_ms == 0 || link->trouble_code != trouble->code ||
                now_ms - link->trouble_at_ms >= TROUBLE_REPEAT_MS;
    if (news) {
        link->trouble_at_ms = now_ms;
        link->trouble_code = trouble->code;
    }
    /* The server's end of a watch is gone: its bucket was deleted, say; or it could not keep up. */
    if (trouble->code == NATS_MISSED_HEARTBEAT || trouble->code == NATS_SLOW_CONSUMER)
        link->epoch++;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    if (news)
        log_trouble("NATS", trouble);
}

static int bring_up(struct nats_link *link, struct error *err)
{
    link->replicated = false; /* a bucket may be another one */
    link->replication_told = false;
    if (nats_connection_flush(link->connection, deadline_in_ms(FLUSH_MS), err) < 0 ||
        kv_ensure_fleet_buckets(link->connection, err) < 0)
        return -1;
    for (size_t i = 0; i < FLEET_BUCKET_COUNT; i++) {
        if (kv_watch_restart(link->watches[i], link->connection, err) < 0)
            return -1;
    }
    link->check_at_ms = clock_monotonic_ms() + link->options.check_interval_ms;
    return 0;
}

static int check(struct nats_link *link, struct error *err)
{
    for (size_t i = 0; i < FLEET_BUCKET_COUNT; i++) {
        bool intact = true;

        if (kv_watch_check(link->watches[i], &intact, err) < 0)
            return -1;
        if (intact)
            continue;
        log_debug("watch is made anew", LOG_TEXT("bucket", fleet_bucket_name((enum fleet_bucket)i)));
        metrics_add(link->options.metrics, METRIC_NATS_RESTARTS, 1);
        if (kv_watch_restart(link->watches[i], link->connection, err) < 0)
            return -1;
    }
    link->check_at_ms = clock_monotonic_ms() + link->options.check_interval_ms;
    return 0;
}

/** Have the buckets on every server of a cluster, or come back soon: a server may not have joined it yet. */
static void replicate(struct nats_link *link)
{
    cleanup_error struct error failure = ERROR_INIT;

    if (link->options.replicas < 2 || link->replicated)
        return;
    link->replicated = kv_replicate_fleet_buckets(link->connection, link->options.replicas, &failure) == 0;
    if (link->replicated)
        return;
    link->check_at_ms = clock_monotonic_ms() + REPLICATE_MS;
    if (!link->replication_told && !error_is(&failure, &kv_error_domain, KV_UNAVAILABLE))
        log_trouble("the buckets cannot be replicated, trying again", &failure);
    link->replication_told = true;
}

/** Bring up or check; without the mutex. */
static void take_turn(struct nats_link *link, uint64_t epoch, bool up)
{
    cleanup_error struct error failure = ERROR_INIT;
    bool done = (up ? check(link, &failure) : bring_up(link, &failure)) == 0;
    bool first = link->retry_ms == 0;

    pthread_mutex_lock(&link->mutex);
    link->epoch_up = done ? epoch : 0;
    bool explained = link->stopping || !link->connected || link->epoch != epoch;
    pthread_mutex_unlock(&link->mutex);
    if (done) {
        link->retry_ms = 0;
        replicate(link);
        return;
    }
    link->retry_ms = first ? RETRY_MIN_MS : link->retry_ms * 2;
    if (link->retry_ms > RETRY_MAX_MS)
        link->retry_ms = RETRY_MAX_MS;
    if (first && !explained) /* said once, not at every try */
        log_trouble("NATS cannot be watched, trying again", &failure);
}

/** When the next turn is due. Called with the mutex held. */
static int64_t next_turn_ms(const struct nats_link *link, int64_t retry_at_ms)
{
    if (!link->connected)
        return INT64_MAX;
    if (link->epoch_up == link->epoch)
        return link->check_at_ms;
    return link->retry_ms > 0 ? retry_at_ms : 0;
}

static void *run(void *context)
{
    struct nats_link *link = context;
    int64_t retry_at_ms = 0;

    pthread_mutex_lock(&link->mutex);
    while (!link->stopping) {
        int64_t at_ms = next_turn_ms(link, retry_at_ms);

        if (at_ms > clock_monotonic_ms()) {
            condition_wait_until(&link->changed, &link->mutex, at_ms);
            continue;
        }
        uint64_t epoch = link->epoch;
        bool up = link->epoch_up == epoch;
        pthread_mutex_unlock(&link->mutex);
        take_turn(link, epoch, up);
        retry_at_ms = clock_monotonic_ms() + link->retry_ms;
        pthread_mutex_lock(&link->mutex);
    }
    pthread_mutex_unlock(&link->mutex);
    return NULL;
}

static void make_watches(struct nats_link *link)
{
    for (size_t i = 0; i < FLEET_BUCKET_COUNT; i++) {
        enum fleet_bucket bucket = (enum fleet_bucket)i;
        struct kv_watch_sink sink = {on_begin, on_put, on_deleted, on_complete, &link->told[i]};

        link->told[i] = (struct told){link->options.fleet, bucket};
        link->watches[i] = kv_watch_new(fleet_bucket_name(bucket), NULL, &sink);
    }
}

int nats_link_start(const struct nats_link_options *options, struct nats_link **ret, struct error *err)
{
    CLEANUP(nats_link_free) struct nats_link *link = NEW(struct nats_link);
    struct nats_settings settings = options->nats;

    link->options = *options;
    if (link->options.check_interval_ms <= 0)
        link->options.check_interval_ms = CHECK_MS;
    pthread_mutex_init(&link->mutex, NULL);
    condition_init(&link->changed);
    make_watches(link);
    settings.wait_for_server = true;
    settings.reconnect = true;
    settings.on_change = on_change;
    settings.on_trouble = on_trouble;
    settings.context = link;
    if (nats_connection_open(&settings, &link->connection, err) < 0 || thread_start(&link->thread, run, link, err) < 0)
        return -1;
    link->started = true;
    *ret = TAKE_PTR(link);
    return 0;
}

struct nats_connection *nats_link_connection(struct nats_link *link)
{
    return link->connection;
}

bool nats_link_is_up(struct nats_link *link)
{
    pthread_mutex_lock(&link->mutex);
    bool up = link->connected && link->epoch_up == link->epoch;
    pthread_mutex_unlock(&link->mutex);
    return up;
}

void nats_link_stop(struct nats_link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->stopping = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    if (link->connection)
        nats_connection_close(link->connection); /* ends whatever call the thread is still in */
    if (link->started)
        thread_join(&link->thread);
    link->started = false;
}

void nats_link_free(struct nats_link *link)
{
    if (!link)
        return;
    nats_link_stop(link);
    for (size_t i = 0; i < FLEET_BUCKET_COUNT; i++)
        kv_watch_free(link->watches[i]);
    nats_connection_free(link->connection);
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->mutex);
    free(link);
}
