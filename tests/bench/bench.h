/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The figures of docs/benchmarks.md. Each function measures one group and prints `name<TAB>value<TAB>unit` lines; nothing
 * here is a test and nothing passes or fails by its time.
 */

#include "fixtures/host_stack.h"
#include "fixtures/images.h"
#include "fixtures/kv_admin.h"

struct bench {
    struct run *run;
    struct host_stack *stack; /**< shared by the groups that do not measure bring-up; with podman */
    int idle_s;               /**< how long the agent idles before its memory is read; 60 unless FLEET_BENCH_IDLE_S */
};

/** A growing series of samples. */
struct samples {
    double *values;
    size_t count;
};
void samples_add(struct samples *samples, double value);
/** 0 when empty. */
double samples_median(struct samples *samples);
double samples_max(const struct samples *samples);
void samples_clear(struct samples *samples);
static inline void samples_clear_at_exit(struct samples *samples)
{
    samples_clear(samples);
}
#define cleanup_samples __attribute__((cleanup(samples_clear_at_exit)))

/** One line of the result on stdout. */
void bench_print(const char *name, double value, const char *unit);

/** One group each; what they measure is said where they are written. Errors: of whatever could not be brought up. */
MUST_CHECK int bench_bring_up(struct bench *bench, struct error *err);
MUST_CHECK int bench_ping(struct bench *bench, struct error *err);
MUST_CHECK int bench_deploy(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_size(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_start(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_memory(struct bench *bench, struct error *err);
MUST_CHECK int bench_reconcile(struct bench *bench, struct error *err);
MUST_CHECK int bench_reap(struct bench *bench, struct error *err);
