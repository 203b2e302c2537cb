/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Threads that take keys out of a queue and bring what a key stands for to what it should be, while we lead. What fails
 * is tried again after a back-off; of failures in a row the first, second, fourth, eighth … is logged.
 */

#include "kubernetes/kube_client.h"
#include "messaging/connection.h"
#include "operator/fleet.h"
#include "operator/leader.h"
#include "operator/metrics.h"

/** What all controllers need; it must outlive them, and so must all in it. */
struct controller_context {
    struct fleet *fleet;
    struct leader *leader;
    struct kube_client *client;
    struct nats_connection *connection;
    struct metrics *metrics;
    const char *namespace_name; /**< of the Deployments */
};

/** Bring one key's thing to what it should be. `state` is the worker's own. */
typedef int (*reconcile)(struct controller_context *context, void *state, const char *key, struct error *err);

struct controller_kind {
    const char *name; /**< "deployment" */
    reconcile reconcile;
    void *(*state_new)(struct controller_context *context); /**< NULL: the workers have no state */
    void (*state_free)(void *state);                        /**< after the connection was closed */
    enum metric reconciles;
    enum metric failures;
    enum metric microseconds;
};
extern const struct controller_kind deployment_controller; /**< keys and finalizers; of the queue `deployments` */
extern const struct controller_kind status_controller;     /**< of `statuses` */
extern const struct controller_kind device_controller;     /**< of `devices` */

struct controller;
/** @param workers  1 to 4 threads. Errors: system; the leader has resigned then. */
MUST_CHECK int controller_start(const struct controller_kind *kind, struct controller_context *context,
                                struct work_queue *queue, int workers, struct controller **ret, struct error *err);
/** How long the worker that has been at its key for longest has been at it by now, in ms; 0: none is at work. */
int64_t controller_busy_ms(const struct controller *controller, int64_t now_ms);
/** Stop the queue and wait for the workers; the leader must have resigned. NULL is fine. */
void controller_stop(struct controller *controller);
/** Stops first. After the connection was closed. NULL is fine. */
void controller_free(struct controller *controller);
DEFINE_CLEANUP(struct controller *, controller_free)

/** To be called before each write: GENERAL_CANCELLED when we do not lead. *deadline: for the write. */
MUST_CHECK int controller_may_write(struct controller_context *context, struct deadline *deadline, struct error *err);
