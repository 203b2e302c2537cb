/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connection of simulated devices: what it writes to the buckets, and how long the server took to say so.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "messaging/connection.h"
#include "messaging/subscription_gate.h"
#include "tests/bench/simulator/event_loop.h"
#include "tests/bench/simulator/latency.h"

/** What all devices together have done. Any thread counts, by COUNT(). */
struct simulator_counts {
    uint64_t heartbeats;
    uint64_t desired;      /**< desired states that came */
    uint64_t removed;      /**< desired states that went */
    uint64_t states;       /**< device states written or deleted */
    uint64_t pings;        /**< answered */
    uint64_t written;      /**< keys written or deleted, of all buckets */
    uint64_t acknowledged; /**< of these, those the server has stored */
    uint64_t refused;      /**< of these, those it has not */
    uint64_t lost;         /**< connections lost; what was written on them last may never be answered */
    int64_t closing_us;    /**< clock_monotonic_us() from which on what follows counts; INT64_MAX until then */
    uint64_t closing_written;
    uint64_t closing_answered;
    struct latency acknowledgement; /**< key written → stored */
    struct latency desired_age;     /**< desired state stored (the server's clock) → here (ours) */
};
#define COUNT(counter) ((void)__atomic_add_fetch(&(counter), 1, __ATOMIC_RELAXED))

/** Where a connection goes, and who does its reading. All borrowed, and must outlive it. */
struct wire_options {
    const char *url;
    const struct credentials *credentials; /**< NULL: none */
    struct event_loop *loop;
    struct simulator_counts *counts;
    struct subscription_gate *gate; /**< every subscription of the connection enters it */
    /** Called when the connection is there again after a loss, from a thread of nats.c's. Must not block. */
    void (*reconnected)(void *context);
    void *context;
};

struct wire {
    struct wire_options options;
    natsConnection *connection;
    jsCtx *jetstream;
    natsSubscription *acknowledgements;
    char *inbox; /* of the acknowledgements: "<inbox>.<µs>", when they were asked for */
};

/** Connect, or go on where it failed before; `wire` begins zeroed and stays where it is until wire_clear. Errors: nats. */
MUST_CHECK int wire_open(struct wire *wire, const struct wire_options *options, struct error *err);
/** Put a value, or delete the key (value NULL), without waiting for the server. Errors: nats (the connection ended). */
MUST_CHECK int wire_write(struct wire *wire, const char *bucket, const char *key, const char *value, struct error *err);
/** Every write has been answered, one way or the other; or it cannot be told, as connections were lost. */
bool wires_are_settled(const struct simulator_counts *counts);
/** From now on, writes are counted anew, so that it can be told whether these are answered. */
void wires_begin_closing(struct simulator_counts *counts);
/** Every write since then has been answered. */
bool wires_are_closed(const struct simulator_counts *counts);
/** Nothing comes any more; what has come is still handed out: wait for the gate. */
void wire_close(struct wire *wire);
/** Free what is left; nats.c must have been stopped (nats_library_stop), as it could still be calling us. */
void wire_clear(struct wire *wire);
