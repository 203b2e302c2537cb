/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/kv_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "messaging/headers.h"
#include "messaging/subscription_gate.h"

#define OPERATION      "KV-Operation"       /* header of a deletion; a put has none, or says so (NATS ADR-8) */
#define MARKER_REASON  "Nats-Marker-Reason" /* header of what a server leaves in place of an expired value (ADR-43) */
#define WAIT_MS        3000
#define LAST_CALL_MS   1000
#define NANOSECONDS_US 1000
#define NANOSECONDS_MS 1000000

struct kv_watch {
    struct kv_watch_sink sink;
    char *bucket;
    char *stream;
    char *prefix;  /* "$KV.<bucket>." */
    char *subject; /* of the keys */
    bool has_all;  /* keys of the bucket */
    struct subscription_gate gate;
    pthread_mutex_t mutex; /* held while the sink is called: a former subscription's last call comes before a new one's
                              first, or not at all */
    natsSubscription *subscription; /* changed only by who calls us, one at a time */
    natsConnection *handle;         /* of the subscription, which keeps it */
    jsCtx *jetstream;
    uint64_t made_us;  /* when the bucket was: the same name can be another bucket */
    uint64_t floor;    /* the server's last sequence when this watch began */
    uint64_t reached;  /* the highest one that came */
    uint64_t expected; /* the server's last sequence at the last check */
    bool complete;
};

DEFINE_CLEANUP(jsConsumerInfo *, jsConsumerInfo_Destroy)
DEFINE_CLEANUP(jsStreamInfo *, jsStreamInfo_Destroy)

/** All keys have been told. Called with the mutex held. */
static void complete(struct kv_watch *watch)
{
    if (watch->complete)
        return;
    watch->complete = true;
    if (watch->reached < watch->floor)
        watch->reached = watch->floor;
    watch->sink.complete(watch->sink.context);
}

static bool is_deletion(natsMsg *message)
{
    const char *operation = message_header(message, OPERATION);

    if (operation)
        return strcmp(operation, "DEL") == 0 || strcmp(operation, "PURGE") == 0;
    return message_header(message, MARKER_REASON) != NULL;
}

/** One key's put or deletion. Called with the mutex held. */
static void take(struct kv_watch *watch, natsMsg *message, const jsMsgMetaData *metadata)
{
    const char *key = natsMsg_GetSubject(message) + strlen(watch->prefix);
    const char *data = natsMsg_GetData(message);
    uint64_t revision = metadata->Sequence.Stream;

    if (revision > watch->reached)
        watch->reached = revision;
    if (is_deletion(message))
        watch->sink.deleted(watch->sink.context, key, revision);
    else
        watch->sink.put(watch->sink.context, key, revision, metadata->Timestamp / NANOSECONDS_MS, data ? data : "",
                        (size_t)natsMsg_GetDataLength(message));
}

static void on_message(natsConnection *connection __attribute__((unused)), natsSubscription *subscription,
                       natsMsg *message, void *closure)
{
    struct kv_watch *watch = closure;
    jsMsgMetaData *metadata = NULL;

    pthread_mutex_lock(&watch->mutex);
    if (subscription == watch->subscription && text_starts_with(natsMsg_GetSubject(message), watch->prefix) &&
        natsMsg_GetMetaData(&metadata, message) == NATS_OK) {
        take(watch, message, metadata);
        if (metadata->NumPending == 0)
            complete(watch);
    }
    pthread_mutex_unlock(&watch->mutex);
    jsMsgMetaData_Destroy(metadata);
    natsMsg_Destroy(message);
}

struct kv_watch *kv_watch_new(const char *bucket, const char *filter, const struct kv_watch_sink *sink)
{
    struct kv_watch *watch = NEW(struct kv_watch);

    watch->sink = *sink;
    watch->bucket = text_copy(bucket);
    watch->stream = text_format("KV_%s", bucket);
    watch->prefix = text_format("$KV.%s.", bucket);
    watch->subject = text_format("%s%s", watch->prefix, filter ? filter : ">");
    watch->has_all = !filter;
    subscription_gate_init(&watch->gate);
    pthread_mutex_init(&watch->mutex, NULL);
    return watch;
}

/** End the subscription there is. */
static void end(struct kv_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    natsSubscription *subscription = TAKE_PTR(watch->subscription);
    jsCtx *jetstream = TAKE_PTR(watch->jetstream);
    watch->complete = false;
    pthread_mutex_unlock(&watch->mutex);
    subscription_end(watch->handle, subscription);
    jsCtx_Destroy(jetstream);
}

/** How far the bucket is, and which one. */
static natsStatus look_at_bucket(const struct kv_watch *watch, uint64_t *ret_made_us, uint64_t *ret_last)
{
    CLEANUP(jsStreamInfo_Destroy) jsStreamInfo *information = NULL;
    natsStatus status = js_GetStreamInfo(&information, watch->jetstream, watch->stream, NULL, NULL);

    if (status == NATS_OK) {
        *ret_made_us = (uint64_t)information->Created / NANOSECONDS_US;
        *ret_last = information->State.LastSeq;
    }
    return status;
}

static natsStatus subscribe(struct kv_watch *watch)
{
    natsSubscription *subscription = NULL;
    jsSubOptions options;
    natsStatus status = look_at_bucket(watch, &watch->made_us, &watch->floor);

    if (status != NATS_OK)
        return status;
    jsSubOptions_Init(&options);
    options.Ordered = true;
    options.Stream = watch->stream;
    options.Config.DeliverPolicy = js_DeliverLastPerSubject;
    /* With the mutex, so that the first message finds its subscription current. */
    pthread_mutex_lock(&watch->mutex);
    watch->reached = 0;
    watch->expected = 0;
    watch->sink.begin(watch->sink.context, watch->made_us);
    status = js_Subscribe(&subscription, watch->jetstream, watch->subject, on_message, watch, NULL, &options, NULL);
    watch->subscription = subscription;
    pthread_mutex_unlock(&watch->mutex);
    if (status != NATS_OK)
        return status;
    subscription_gate_enter(&watch->gate, subscription);
    return natsSubscription_SetPendingLimits(subscription, -1, -1);
}

/** Without keys there is no message that would say "that was all". */
static natsStatus complete_if_empty(struct kv_watch *watch)
{
    CLEANUP(jsConsumerInfo_Destroy) jsConsumerInfo *information = NULL;
    natsStatus status = natsSubscription_GetConsumerInfo(&information, watch->subscription, NULL, NULL);

    if (status == NATS_OK && information->NumPending == 0 && information->Delivered.Consumer == 0) {
        pthread_mutex_lock(&watch->mutex);
        complete(watch);
        pthread_mutex_unlock(&watch->mutex);
    }
    return status;
}

int kv_watch_restart(struct kv_watch *watch, struct nats_connection *connection, struct error *err)
{
    natsConnection *handle = nats_connection_handle(connection);
    jsOptions options;
    natsStatus status;

    end(watch);
    if (!handle)
        return error_set_nats(err, NATS_NOT_YET_CONNECTED, "watching", watch->bucket);
    watch->handle = handle;
    jsOptions_Init(&options);
    options.Wait = WAIT_MS;
    status = natsConnection_JetStream(&watch->jetstream, handle, &options);
    if (status == NATS_OK)
        status = subscribe(watch);
    if (status == NATS_OK)
        status = complete_if_empty(watch);
    if (status == NATS_OK)
        return 0;
    end(watch);
    return error_set_nats(err, status, "watching bucket", watch->bucket);
}

bool kv_watch_is_complete(struct kv_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    bool is_complete = watch->complete;
    pthread_mutex_unlock(&watch->mutex);
    return is_complete;
}

/** A bucket that was deleted and made anew takes the server's end of the watch along, and nobody tells us. */
static natsStatus look_for_consumer(const struct kv_watch *watch, bool *there)
{
    CLEANUP(jsConsumerInfo_Destroy) jsConsumerInfo *information = NULL;
    natsStatus status = natsSubscription_GetConsumerInfo(&information, watch->subscription, NULL, NULL);

    *there = status == NATS_OK;
    return status == NATS_NOT_FOUND ? NATS_OK : status;
}

int kv_watch_check(struct kv_watch *watch, bool *intact, struct error *err)
{
    uint64_t made_us = 0;
    uint64_t last = 0;
    bool there = false;
    natsStatus status = NATS_OK;

    *intact = false;
    if (!watch->subscription)
        return 0;
    status = look_at_bucket(watch, &made_us, &last);
    if (status == NATS_OK)
        status = look_for_consumer(watch, &there);
    if (status != NATS_OK)
        return error_set_nats(err, status, "looking at bucket", watch->bucket);
    pthread_mutex_lock(&watch->mutex);
    *intact = there && made_us == watch->made_us && (!watch->complete || watch->reached >= watch->expected);
    if (watch->has_all)
        watch->expected = last;
    pthread_mutex_unlock(&watch->mutex);
    return 0;
}

void kv_watch_free(struct kv_watch *watch)
{
    if (!watch)
        return;
    end(watch);
    if (!subscription_gate_wait(&watch->gate, deadline_in_ms(LAST_CALL_MS)))
        return; /* nats.c may still call: rather leak than crash */
    subscription_gate_clear(&watch->gate);
    pthread_mutex_destroy(&watch->mutex);
    free(watch->bucket);
    free(watch->stream);
    free(watch->prefix);
    free(watch->subject);
    free(watch);
}
