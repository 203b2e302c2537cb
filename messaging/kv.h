/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JetStream KV buckets as the fleet uses them: made if missing, values as bytes with a revision.
 */

#include <stdint.h>

#include "messaging/connection.h"

extern const struct error_domain kv_error_domain;
enum kv_error {
    KV_NOT_FOUND = 1, /**< no such key (or deleted) */
    KV_UNAVAILABLE,   /**< no JetStream, no bucket, or no permission */
};

struct kv_bucket;
/**
 * Open a bucket; where it does not exist, create it (history 1, file storage, values up to `value_max` bytes, 0: no
 * limit). Errors: KV_UNAVAILABLE, nats.
 */
MUST_CHECK int kv_bucket_open(struct nats_connection *connection, const char *bucket, int value_max,
                              struct kv_bucket **ret, struct error *err);
void kv_bucket_free(struct kv_bucket *bucket);
DEFINE_CLEANUP(struct kv_bucket *, kv_bucket_free)
/**
 * nats.c's handle of the bucket, borrowed, for watching; NULL while there is none (not connected). Valid until the
 * connection's handle is replaced (nats_connection_generation); the functions below do not care.
 */
kvStore *kv_bucket_handle(struct kv_bucket *bucket);

/** `ret_revision` may be NULL. */
MUST_CHECK int kv_put(struct kv_bucket *bucket, const char *key, const void *data, size_t size, uint64_t *ret_revision,
                      struct error *err);
/** Delete a key (a missing one is fine). */
MUST_CHECK int kv_delete(struct kv_bucket *bucket, const char *key, struct error *err);

struct kv_value {
    char *data; /**< terminated; owned */
    size_t size;
    uint64_t revision;
};
/** Errors: KV_NOT_FOUND, KV_UNAVAILABLE, nats. */
MUST_CHECK int kv_get(struct kv_bucket *bucket, const char *key, struct kv_value *ret, struct error *err);
void kv_value_clear(struct kv_value *value);

/** Create the four buckets of contracts/names.h where missing. */
MUST_CHECK int kv_ensure_fleet_buckets(struct nats_connection *connection, struct error *err);
/**
 * Have the streams of the four buckets, which exist, on so many servers of a cluster. Those that are already are left.
 * Errors: KV_UNAVAILABLE (also while one of the servers has not caught up: ask again), nats.
 */
MUST_CHECK int kv_replicate_fleet_buckets(struct nats_connection *connection, int replicas, struct error *err);
