/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What /healthz, /readyz and /metrics say.
 */

#include "operator/controller.h"
#include "operator/nats_link.h"

struct status_pages {
    struct controller_context *controllers;
    struct nats_link *link;
    struct work_queue *deployments;
    struct work_queue *statuses;
    struct work_queue *devices;
    atomic_bool synced; /**< the Kubernetes API has told all Deployments and Devices */
};
/** An http_answer; `context` is a struct status_pages. */
int status_pages_answer(void *context, const char *path, struct text_buffer *body);
