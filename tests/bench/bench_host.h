/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The figures of docs/benchmarks.md about one machine: an agent, NATS and podman as local processes.
 */

#include "fixtures/host_stack.h"
#include "fixtures/images.h"
#include "fixtures/kv_admin.h"
#include "tests/bench/bench.h"

/**
 * One group each; what they measure is said where they are written. bench->host is there, with podman, shared by the
 * groups that do not measure bring-up. Errors: of whatever could not be brought up.
 */
MUST_CHECK int bench_bring_up(struct bench *bench, struct error *err);
MUST_CHECK int bench_ping(struct bench *bench, struct error *err);
MUST_CHECK int bench_deploy(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_size(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_start(struct bench *bench, struct error *err);
MUST_CHECK int bench_agent_memory(struct bench *bench, struct error *err);
MUST_CHECK int bench_reconcile(struct bench *bench, struct error *err);
MUST_CHECK int bench_reap(struct bench *bench, struct error *err);
