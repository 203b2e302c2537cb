/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What /healthz, /readyz and /metrics say.
 */

#include "operator/controller.h"
#include "operator/nats_link.h"

/** Zero-initialised: nothing has started. */
struct status_pages {
    atomic_bool started;       /**< all that follows is set, and stays */
    atomic_llong ticked_at_ms; /**< clock_monotonic_ms() when the main loop came by last */
    struct controller_context *context;
    struct controller *const *controllers; /**< NULL-terminated */
    struct nats_link *link;
    struct work_queue *deployments;
    struct work_queue *statuses;
    struct work_queue *devices;
    atomic_bool synced; /**< the Kubernetes API has told all Deployments and Devices */
};
/** An http_answer; `context` is a struct status_pages. */
int status_pages_answer(void *context, const char *path, struct text_buffer *body);
