/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the operator counts, for /metrics.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/deadline.h"

enum metric {
    METRIC_KUBE_APPLY,
    METRIC_KUBE_PATCH,
    METRIC_KUBE_STATUS,
    METRIC_KUBE_DELETE,
    METRIC_KV_PUT,
    METRIC_KV_DELETE,
    METRIC_RECONCILE_DEPLOYMENT,
    METRIC_RECONCILE_STATUS,
    METRIC_RECONCILE_DEVICE,
    METRIC_FAILED_DEPLOYMENT,
    METRIC_FAILED_STATUS,
    METRIC_FAILED_DEVICE,
    METRIC_MICROSECONDS_DEPLOYMENT,
    METRIC_MICROSECONDS_STATUS,
    METRIC_MICROSECONDS_DEVICE,
    METRIC_NATS_CONNECTS,
    METRIC_NATS_RESTARTS, /**< watches made anew without a reconnect: something was missed */
    METRIC_KUBE_TROUBLE,
    METRIC_COUNT
};

/** Zero-initialised is empty. */
struct metrics {
    atomic_uint_fast64_t counters[METRIC_COUNT];
};

static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&metrics->counters[metric], amount, memory_order_relaxed);
}

static inline uint64_t metrics_get(struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->counters[metric], memory_order_relaxed);
}
