/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/kv_batch.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "messaging/headers.h"

#define OPERATION   "KV-Operation" /* NATS ADR-8 */
#define PENDING_MAX 1024           /* unconfirmed at a time; then publishing waits */
#define STALL_MS    3000
#define ATTEMPT_MS  1

struct kv_batch {
    struct nats_connection *connection;
    struct kv_batch_sink sink;
    char *bucket;
    char *prefix;        /* "$KV.<bucket>." */
    uint64_t generation; /* of the handle that `jetstream` is over */
    pthread_mutex_t mutex;
    jsCtx *jetstream;   /* NULL: none made yet; changed by the owner only, with the mutex */
    natsStatus refusal; /* of the first write that was refused; NATS_OK: none */
};

DEFINE_CLEANUP(natsMsg *, natsMsg_Destroy)

static void tell(const struct kv_batch *batch, natsMsg *message, uint64_t revision)
{
    const char *key = natsMsg_GetSubject(message) + strlen(batch->prefix);
    const char *data = natsMsg_GetData(message);

    if (message_header(message, OPERATION))
        batch->sink.deleted(batch->sink.context, key, revision);
    else
        batch->sink.put(batch->sink.context, key, revision, data ? data : "", (size_t)natsMsg_GetDataLength(message));
}

/** The server's answer to one write, which may be of a context that was abandoned. The message is ours. */
static void on_answer(jsCtx *jetstream, natsMsg *message, jsPubAck *confirmation, jsPubAckErr *refusal, void *closure)
{
    CLEANUP(natsMsg_Destroy) natsMsg *written = message;
    struct kv_batch *batch = closure;

    if (confirmation && batch->sink.put)
        tell(batch, written, confirmation->Sequence);
    if (confirmation)
        return;
    pthread_mutex_lock(&batch->mutex);
    if (jetstream == batch->jetstream && batch->refusal == NATS_OK)
        batch->refusal = !refusal || refusal->Err == NATS_OK ? NATS_ERR : refusal->Err;
    pthread_mutex_unlock(&batch->mutex);
}

struct kv_batch *kv_batch_new(struct nats_connection *connection, const char *bucket, const struct kv_batch_sink *sink)
{
    struct kv_batch *batch = NEW(struct kv_batch);

    pthread_mutex_init(&batch->mutex, NULL);
    batch->connection = connection;
    batch->bucket = text_copy(bucket);
    batch->prefix = text_format("$KV.%s.", bucket);
    if (sink)
        batch->sink = *sink;
    return batch;
}

void kv_batch_abandon(struct kv_batch *batch)
{
    natsMsgList unconfirmed = {0};

    pthread_mutex_lock(&batch->mutex);
    jsCtx *jetstream = TAKE_PTR(batch->jetstream);
    batch->refusal = NATS_OK;
    pthread_mutex_unlock(&batch->mutex);
    if (!jetstream)
        return;
    if (js_PublishAsyncGetPendingList(&unconfirmed, jetstream) == NATS_OK)
        natsMsgList_Destroy(&unconfirmed);
    jsCtx_Destroy(jetstream);
}

/** A context over the connection's present handle. */
static natsStatus prepare(struct kv_batch *batch)
{
    natsConnection *handle = nats_connection_handle(batch->connection);
    uint64_t generation = nats_connection_generation(batch->connection);
    jsOptions options;
    jsCtx *jetstream = NULL;

    if (batch->jetstream && batch->generation == generation)
        return NATS_OK;
    kv_batch_abandon(batch);
    if (!handle)
        return NATS_NOT_YET_CONNECTED;
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = PENDING_MAX;
    options.PublishAsync.StallWait = STALL_MS;
    options.PublishAsync.AckHandler = on_answer;
    options.PublishAsync.AckHandlerClosure = batch;
    natsStatus status = natsConnection_JetStream(&jetstream, handle, &options);
    pthread_mutex_lock(&batch->mutex);
    batch->jetstream = jetstream;
    batch->generation = generation;
    pthread_mutex_unlock(&batch->mutex);
    return status;
}

int kv_batch_put(struct kv_batch *batch, const char *key, const void *data, size_t size, struct error *err)
{
    cleanup_free char *subject = text_format("%s%s", batch->prefix, key);

    if (size > INT_MAX)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "writing key", key, "%zu bytes", size);
    natsStatus status = prepare(batch);
    if (status == NATS_OK)
        status = js_PublishAsync(batch->jetstream, subject, data, (int)size, NULL);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "writing key", key);
}

int kv_batch_delete(struct kv_batch *batch, const char *key, struct error *err)
{
    cleanup_free char *subject = text_format("%s%s", batch->prefix, key);
    natsMsg *message = NULL;
    natsStatus status = prepare(batch);

    if (status == NATS_OK)
        status = natsMsg_Create(&message, subject, NULL, NULL, 0);
    if (status == NATS_OK)
        status = natsMsgHeader_Set(message, OPERATION, "DEL");
    if (status == NATS_OK)
        status = js_PublishMsgAsync(batch->jetstream, &message, NULL);
    natsMsg_Destroy(message);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "deleting key", key);
}

int kv_batch_finish(struct kv_batch *batch, struct deadline deadline, struct error *err)
{
    jsPubOptions options;

    if (!batch->jetstream)
        return 0;
    jsPubOptions_Init(&options);
    options.MaxWait = deadline_passed(deadline) ? ATTEMPT_MS : deadline_poll_ms(deadline);
    natsStatus status = js_PublishAsyncComplete(batch->jetstream, &options);
    pthread_mutex_lock(&batch->mutex);
    if (status == NATS_OK)
        status = batch->refusal;
    pthread_mutex_unlock(&batch->mutex);
    if (status == NATS_OK)
        return 0;
    kv_batch_abandon(batch);
    return error_set_nats(err, status, "writing to bucket", batch->bucket);
}

void kv_batch_free(struct kv_batch *batch)
{
    if (!batch)
        return;
    kv_batch_abandon(batch);
    pthread_mutex_destroy(&batch->mutex);
    free(batch->bucket);
    free(batch->prefix);
    free(batch);
}
