/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Knowing that nats.c calls back no more: ending a subscription does not wait for its message handler, which runs in a
 * thread of nats.c's. A gate counts the subscriptions that may still call.
 */

#include <nats/nats.h>
#include <pthread.h>

#include "base/deadline.h"

struct subscription_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int open; /**< subscriptions whose handler may still run */
};

/** An empty gate. */
void subscription_gate_init(struct subscription_gate *gate);
/** Only of a gate that subscription_gate_wait() found empty. */
void subscription_gate_clear(struct subscription_gate *gate);
/** Count a subscription just made. It leaves the gate by itself when its handler has run for the last time. */
void subscription_gate_enter(struct subscription_gate *gate, natsSubscription *subscription);
/** Wait until no handler can run any more. False when the deadline passed before. */
bool subscription_gate_wait(struct subscription_gate *gate, struct deadline deadline);
