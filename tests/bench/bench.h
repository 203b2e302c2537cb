/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The figures of docs/benchmarks.md. Each function measures one group and prints `name<TAB>value<TAB>unit` lines; nothing
 * here is a test and nothing passes or fails by its time.
 */

#include "fixtures/host_stack.h"
#include "fixtures/images.h"
#include "fixtures/kv_admin.h"
#include "tests/bench/samples.h"

struct bench {
    struct run *run;
    struct host_stack *stack; /**< shared by the groups that do not measure bring-up; with podman */
    int idle_s;               /**< how long the agent idles before its memory is read; 60 unless FLEET_BENCH_IDLE_S */
};

/** One group each; what they measure is said where they are written. Errors: of whatever could not be brought up. */
MUST_CHECK int bench_bring_up(struct bench *bench, struct error *err);
MUST_CHECK int bench_ping(struct bench *bench, struct error *err);
MUST_CHECK int bench_deploy(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_size(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_start(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_memory(struct bench *bench, struct error *err);
MUST_CHECK int bench_reconcile(struct bench *bench, struct error *err);
MUST_CHECK int bench_reap(struct bench *bench, struct error *err);
