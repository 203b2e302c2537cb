/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Many writes to a bucket, without waiting for each: all are on their way at once, and the last step waits for all.
 */

#include "messaging/connection.h"

/** Told of each write the server confirmed, from a thread of nats.c's and before kv_batch_finish() returns. Must not
 *  block. */
struct kv_batch_sink {
    void (*put)(void *context, const char *key, uint64_t revision, const char *data, size_t size);
    void (*deleted)(void *context, const char *key, uint64_t revision);
    void *context;
};

struct kv_batch;
/** To be used again and again, by one thread. The bucket must exist by the first write. It must be freed after the
 *  connection was closed. `connection` must outlive it. @param sink  copied; NULL: nobody is told */
struct kv_batch *kv_batch_new(struct nats_connection *connection, const char *bucket, const struct kv_batch_sink *sink);
/** Send a put. That it was sent says nothing: see kv_batch_finish. Errors: nats. */
MUST_CHECK int kv_batch_put(struct kv_batch *batch, const char *key, const void *data, size_t size, struct error *err);
/** Send a deletion; of a key that is not there, it does no harm. Errors: nats. */
MUST_CHECK int kv_batch_delete(struct kv_batch *batch, const char *key, struct error *err);
/**
 * Wait until the server has confirmed all that was sent; the batch is empty again then, also after a failure.
 * Errors: nats: one was refused or not confirmed in time; which of the others were written is not known, and writing
 * all of them again is right.
 */
MUST_CHECK int kv_batch_finish(struct kv_batch *batch, struct deadline deadline, struct error *err);
/** Forget what was sent: nobody waits for it. */
void kv_batch_abandon(struct kv_batch *batch);
/** NULL is fine. */
void kv_batch_free(struct kv_batch *batch);
DEFINE_CLEANUP(struct kv_batch *, kv_batch_free)
