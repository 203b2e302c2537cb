/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/desired_watch.h"

#include <string.h>

#include "agent/key_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "messaging/headers.h"
#include "messaging/subscription_gate.h"

#define STREAM         "KV_" BUCKET_DESIRED_STATE
#define SUBJECT_PREFIX "$KV." BUCKET_DESIRED_STATE "."
#define OPERATION      "KV-Operation"       /* header of a deletion; a put has none, or says so (NATS ADR-8) */
#define MARKER_REASON  "Nats-Marker-Reason" /* header of what a server leaves in place of an expired value (ADR-43) */
#define WAIT_MS        3000
#define LAST_CALL_MS   1000

struct desired_watch {
    struct desired_sink sink;
    struct wire_key filter; /* "<device>.*" */
    struct subscription_gate gate;
    pthread_mutex_t mutex; /* held while the sink is called: a former subscription's last call comes before a new one's
                              first, or not at all */
    natsSubscription *subscription; /* changed only by who calls us, one at a time */
    jsCtx *jetstream;
    struct key_table keys;
    bool complete;
};

DEFINE_CLEANUP(jsConsumerInfo *, jsConsumerInfo_Destroy)
DEFINE_CLEANUP(jsStreamInfo *, jsStreamInfo_Destroy)

/** All keys have been read. Called with the mutex held. */
static void complete(struct desired_watch *watch)
{
    if (watch->complete)
        return;
    watch->complete = true;
    const char **names = key_table_names(&watch->keys);
    watch->sink.retain(watch->sink.context, names, watch->keys.count);
    free(names);
}

static bool is_deletion(natsMsg *message)
{
    const char *operation = message_header(message, OPERATION);

    if (operation)
        return strcmp(operation, "DEL") == 0 || strcmp(operation, "PURGE") == 0;
    return message_header(message, MARKER_REASON) != NULL;
}

/** One key's put or deletion. Called with the mutex held. */
static void take(struct desired_watch *watch, natsMsg *message, uint64_t revision)
{
    const char *key = natsMsg_GetSubject(message) + strlen(SUBJECT_PREFIX);
    cleanup_error struct error refused = ERROR_INIT;
    struct wire_target target;

    if (desired_state_key_parse(key, &target, &refused) < 0) {
        log_debug("desired-state key ignored", LOG_TEXT("key", key));
    } else if (is_deletion(message)) {
        key_table_remove(&watch->keys, target.deployment);
        watch->sink.deleted(watch->sink.context, target.deployment);
    } else {
        const char *data = natsMsg_GetData(message);

        key_table_set(&watch->keys, target.deployment, revision);
        watch->sink.put(watch->sink.context, target.deployment, revision, data ? data : "",
                        (size_t)natsMsg_GetDataLength(message));
    }
}

static void on_message(natsConnection *connection __attribute__((unused)), natsSubscription *subscription,
                       natsMsg *message, void *closure)
{
    struct desired_watch *watch = closure;
    jsMsgMetaData *metadata = NULL;

    pthread_mutex_lock(&watch->mutex);
    if (subscription == watch->subscription && text_starts_with(natsMsg_GetSubject(message), SUBJECT_PREFIX) &&
        natsMsg_GetMetaData(&metadata, message) == NATS_OK) {
        take(watch, message, metadata->Sequence.Stream);
        if (metadata->NumPending == 0)
            complete(watch);
    }
    pthread_mutex_unlock(&watch->mutex);
    jsMsgMetaData_Destroy(metadata);
    natsMsg_Destroy(message);
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
    subscription_gate_init(&watch->gate);
    pthread_mutex_init(&watch->mutex, NULL);
    *ret = watch;
    return 0;
}

/** End the subscription there is. */
static void end(struct desired_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    natsSubscription *subscription = TAKE_PTR(watch->subscription);
    jsCtx *jetstream = TAKE_PTR(watch->jetstream);
    watch->complete = false;
    key_table_clear(&watch->keys);
    pthread_mutex_unlock(&watch->mutex);
    natsSubscription_Destroy(subscription);
    jsCtx_Destroy(jetstream);
}

/** A bucket is known by when it was made: one that was lost and made anew says nothing about what was in the other. */
static natsStatus identify_bucket(jsCtx *jetstream, uint64_t *ret)
{
    CLEANUP(jsStreamInfo_Destroy) jsStreamInfo *information = NULL;
    natsStatus status = js_GetStreamInfo(&information, jetstream, STREAM, NULL, NULL);

    if (status == NATS_OK)
        *ret = (uint64_t)information->Created / 1000;
    return status;
}

static natsStatus subscribe(struct desired_watch *watch, jsCtx *jetstream)
{
    cleanup_free char *subject = text_format("%s%s", SUBJECT_PREFIX, watch->filter.text);
    natsSubscription *subscription = NULL;
    jsSubOptions options;
    uint64_t bucket = 0;
    natsStatus status = identify_bucket(jetstream, &bucket);

    if (status != NATS_OK)
        return status;
    jsSubOptions_Init(&options);
    options.Ordered = true;
    options.Stream = STREAM;
    options.Config.DeliverPolicy = js_DeliverLastPerSubject;
    /* With the mutex, so that the first message finds its subscription current. */
    pthread_mutex_lock(&watch->mutex);
    watch->sink.bucket(watch->sink.context, bucket);
    status = js_Subscribe(&subscription, jetstream, subject, on_message, watch, NULL, &options, NULL);
    watch->subscription = subscription;
    pthread_mutex_unlock(&watch->mutex);
    if (status != NATS_OK)
        return status;
    subscription_gate_enter(&watch->gate, subscription);
    return natsSubscription_SetPendingLimits(subscription, -1, -1);
}

/** A device without keys gets no message that would say "that was all". */
static natsStatus complete_if_empty(struct desired_watch *watch, natsSubscription *subscription)
{
    CLEANUP(jsConsumerInfo_Destroy) jsConsumerInfo *information = NULL;
    natsStatus status = natsSubscription_GetConsumerInfo(&information, subscription, NULL, NULL);

    if (status == NATS_OK && information->NumPending == 0 && information->Delivered.Consumer == 0) {
        pthread_mutex_lock(&watch->mutex);
        complete(watch);
        pthread_mutex_unlock(&watch->mutex);
    }
    return status;
}

int desired_watch_restart(struct desired_watch *watch, struct nats_connection *connection, struct error *err)
{
    natsConnection *handle = nats_connection_handle(connection);
    jsOptions options;
    natsStatus status;

    end(watch);
    if (!handle)
        return error_set_nats(err, NATS_NOT_YET_CONNECTED, "watching", watch->filter.text);
    jsOptions_Init(&options);
    options.Wait = WAIT_MS;
    status = natsConnection_JetStream(&watch->jetstream, handle, &options);
    if (status == NATS_OK)
        status = subscribe(watch, watch->jetstream);
    if (status == NATS_OK)
        status = complete_if_empty(watch, watch->subscription);
    if (status == NATS_OK)
        return 0;
    end(watch);
    return error_set_nats(err, status, "watching " BUCKET_DESIRED_STATE " keys", watch->filter.text);
}

bool desired_watch_is_complete(struct desired_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    bool is_complete = watch->complete;
    pthread_mutex_unlock(&watch->mutex);
    return is_complete;
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

/** A bucket that was deleted and made anew takes the server's end of the watch along, and nobody tells us. */
static natsStatus look_for_consumer(const struct desired_watch *watch, bool *there)
{
    CLEANUP(jsConsumerInfo_Destroy) jsConsumerInfo *information = NULL;
    natsStatus status = natsSubscription_GetConsumerInfo(&information, watch->subscription, NULL, NULL);

    *there = status == NATS_OK;
    return status == NATS_NOT_FOUND ? NATS_OK : status;
}

int desired_watch_check(struct desired_watch *watch, struct kv_bucket *bucket, bool *intact, struct error *err)
{
    kvStore *store = kv_bucket_handle(bucket);
    struct key_table keys = {0};
    bool there = false;
    natsStatus status = store ? read_keys(watch, store, &keys) : NATS_NOT_YET_CONNECTED;

    if (status == NATS_OK && watch->subscription)
        status = look_for_consumer(watch, &there);
    pthread_mutex_lock(&watch->mutex);
    /* A change on its way looks like one that was missed; reading all again is harmless. */
    *intact = there && watch->complete && key_table_equal(&watch->keys, &keys);
    pthread_mutex_unlock(&watch->mutex);
    key_table_clear(&keys);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "reading keys", watch->filter.text);
}

void desired_watch_free(struct desired_watch *watch)
{
    if (!watch)
        return;
    end(watch);
    if (!subscription_gate_wait(&watch->gate, deadline_in_ms(LAST_CALL_MS)))
        return; /* nats.c may still call: rather leak than crash */
    subscription_gate_clear(&watch->gate);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
