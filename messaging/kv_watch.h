/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keys of a bucket, as they are and as they change. nats.c's watches can die without a word when a connection is
 * lost, so after every reconnect the owner restarts it, which reads all keys again, and now and then checks it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "messaging/connection.h"

/** Called from a thread of nats.c's, one call at a time. Must not block. */
struct kv_watch_sink {
    /** All keys will be told now, once more. @param made_us  when the bucket was made, in µs since the epoch */
    void (*begin)(void *context, uint64_t made_us);
    /** @param stamp_ms  when the server took it, in ms since the epoch */
    void (*put)(void *context, const char *key, uint64_t revision, int64_t stamp_ms, const char *data, size_t size);
    /** Somebody deleted the key; also told of those deleted long ago, as long as the server knows. */
    void (*deleted)(void *context, const char *key, uint64_t revision);
    /** All keys have been told since `begin`: no others exist. */
    void (*complete)(void *context);
    void *context;
};

struct kv_watch;
/**
 * @param bucket  its name; copied
 * @param filter  the keys, with wildcards as in a subject; copied; NULL: all
 */
struct kv_watch *kv_watch_new(const char *bucket, const char *filter, const struct kv_watch_sink *sink);
/** Begin (anew) over the connection's present handle. Errors: nats. */
MUST_CHECK int kv_watch_restart(struct kv_watch *watch, struct nats_connection *connection, struct error *err);
/** True once all keys have been told since the last restart. */
bool kv_watch_is_complete(struct kv_watch *watch);
/**
 * Ask the server how far it is. *intact false: what it had at the last check has not come until now, or its end of the
 * watch is gone: restart. How far a watch with a filter is can only be told by its keys: compare them. Errors: nats.
 */
MUST_CHECK int kv_watch_check(struct kv_watch *watch, bool *intact, struct error *err);
/** Ends the watch and waits for a call of the sink in progress. NULL is fine. */
void kv_watch_free(struct kv_watch *watch);
DEFINE_CLEANUP(struct kv_watch *, kv_watch_free)
