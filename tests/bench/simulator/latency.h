/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Many latencies in little memory: a histogram whose buckets grow with what they hold, so that every value is known to
 * an eighth of itself. Any thread may add.
 */

#include <stdint.h>

#define LATENCY_STEPS   8 /* buckets a doubling */
#define LATENCY_BUCKETS (LATENCY_STEPS * 38)

struct latency {
    uint64_t count;
    uint64_t buckets[LATENCY_BUCKETS];
    int64_t max_us;
};

/** Negative ones, of a clock that was set, count as 0. */
void latency_add(struct latency *latency, int64_t microseconds);
/** The upper end of the bucket that holds the `percent` percentile (never above the maximum); 0 when empty. */
int64_t latency_percentile_us(const struct latency *latency, double percent);
