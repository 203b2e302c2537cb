/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The device's desired states, as they are and as they change: every key "<device>.*" of the bucket desired-state.
 * nats.c's watches can die without a word when a connection is lost, so after every reconnect the watch is made anew,
 * which reads all keys again, and now and then the keys are compared with what came.
 */

#include "messaging/kv.h"

/** Called from a thread of nats.c's, one call at a time. Must not block. */
struct desired_sink {
    /** What comes from now on is of the bucket that was made at `bucket`, in µs since the epoch. */
    void (*bucket)(void *context, uint64_t bucket);
    void (*put)(void *context, const char *deployment, uint64_t revision, const char *data, size_t size);
    void (*deleted)(void *context, const char *deployment);
    /** All keys have been read: no others exist. */
    void (*retain)(void *context, const char *const *deployments, size_t count);
    void *context;
};

struct desired_watch;
/** Errors: WIRE_INVALID_NAME (the device id). */
MUST_CHECK int desired_watch_new(const char *device_id, const struct desired_sink *sink, struct desired_watch **ret,
                                 struct error *err);
/** Begin (anew) over the connection's present handle: all keys are read, then their changes. Errors: nats. */
MUST_CHECK int desired_watch_restart(struct desired_watch *watch, struct nats_connection *connection,
                                     struct error *err);
/** True once all keys have been read since the last restart. */
bool desired_watch_is_complete(struct desired_watch *watch);
/** True if the deployment has a desired state, by what came so far. */
bool desired_watch_has(struct desired_watch *watch, const char *deployment);
/** Compare the bucket's keys with what came. *intact false: something was missed, restart. Errors: nats. */
MUST_CHECK int desired_watch_check(struct desired_watch *watch, struct kv_bucket *bucket, bool *intact,
                                   struct error *err);
/** Ends the watch and waits for a call of the sink in progress. NULL is fine. */
void desired_watch_free(struct desired_watch *watch);
DEFINE_CLEANUP(struct desired_watch *, desired_watch_free)
