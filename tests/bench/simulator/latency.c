/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/latency.h"

#include <stdbool.h>
#include <stddef.h>

/* Up to LATENCY_STEPS each value has a bucket of its own; from there on each doubling has LATENCY_STEPS. */

static size_t bucket_of(uint64_t value)
{
    if (value < LATENCY_STEPS)
        return value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - 3; /* leaves LATENCY_STEPS to 2 * LATENCY_STEPS - 1 */
    size_t bucket = (size_t)(shift + 1) * LATENCY_STEPS + ((value >> shift) - LATENCY_STEPS);

    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/** The largest value that falls into it. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / LATENCY_STEPS) - 1;
    uint64_t first = (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS) << shift;

    return first + (1ull << shift) - 1;
}

void latency_add(struct latency *latency, int64_t microseconds)
{
    int64_t value = microseconds > 0 ? microseconds : 0;
    int64_t max = __atomic_load_n(&latency->max_us, __ATOMIC_RELAXED);

    __atomic_add_fetch(&latency->buckets[bucket_of((uint64_t)value)], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&latency->count, 1, __ATOMIC_RELAXED);
    while (value > max &&
           !__atomic_compare_exchange_n(&latency->max_us, &max, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

int64_t latency_percentile_us(const struct latency *latency, double percent)
{
    uint64_t count = __atomic_load_n(&latency->count, __ATOMIC_RELAXED);
    int64_t max = __atomic_load_n(&latency->max_us, __ATOMIC_RELAXED);
    double wanted = (double)count * percent / 100;
    uint64_t seen = 0;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += __atomic_load_n(&latency->buckets[i], __ATOMIC_RELAXED);
        if (seen > 0 && (double)seen >= wanted)
            return (int64_t)bucket_end(i) < max ? (int64_t)bucket_end(i) : max;
    }
    return max;
}
