/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Knowing that nats.c calls back no more: ending a subscription does not wait for its message handler, which runs in a
 * thread of nats.c's. A gate counts the subscriptions that may still call. And ending one while its messages come.
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
/**
 * Like natsSubscription_Destroy(), but safe while messages of it come: nats.c before 3.6 may free a subscription that its
 * reading thread has just found for a message. So the last reference goes only when that thread has read on. Not to be
 * called by a handler.
 * @param connection    of the subscription; waited for at most 1 s if it is connected, then rather memory is lost
 * @param subscription  the caller's reference, which is gone afterwards; NULL: nothing is done
 * Source: https://github.com/nats-io/nats.c/issues/637
 */
void subscription_end(natsConnection *connection, natsSubscription *subscription);
/** Wait until no handler can run any more. False when the deadline passed before. */
bool subscription_gate_wait(struct subscription_gate *gate, struct deadline deadline);
