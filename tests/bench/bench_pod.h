/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The figures of docs/benchmarks.md about the control plane in a cluster.
 */

#include "fixtures/stack.h"
#include "tests/bench/bench.h"
#include "tests/bench/simulation.h"

/** pod_ping_warm_s: `ctest -R '^pod.*ping$'` of the debug build, the cluster being up and the images in it. */
MUST_CHECK int bench_pod_ping(struct bench *bench, struct error *err);
/** cluster_up_s: `fleet-e2e cluster up` after `cluster down`, what it runs being in the cache. Ends what others run in it. */
MUST_CHECK int bench_cluster_up(struct bench *bench, struct error *err);

/** pod_bring_up_s: no namespace → NATS, operator and one agent in Pods, the agent having answered. */
MUST_CHECK int bench_pod_bring_up(struct bench *bench, struct error *err);
/** cr_to_key_ms p50 and p99: a new Deployment that matches one device → its desired-state key seen by a watch. */
MUST_CHECK int bench_cr_to_key(struct bench *bench, struct error *err);
/** converge_1000 p50 and p99: a new Deployment that matches 1,000 devices → its status says that it runs on all. */
MUST_CHECK int bench_converge(struct bench *bench, struct error *err);
/** operator_rss_kb: at 1,000 devices and 100 Deployments, each of which matches 100 of them. */
MUST_CHECK int bench_operator_size(struct bench *bench, struct error *err);
/** heartbeats_10k: what the operator costs while nothing changes but 10,000 devices beat every 15 s. */
MUST_CHECK int bench_heartbeats(struct bench *bench, struct error *err);

/** bench->pods without devices, brought up if it is not yet. Errors: as run_start(), stack_new(). */
MUST_CHECK int pod_bench_stack(struct bench *bench, struct error *err);
/** Simulated devices on the stack's NATS. @param connections  0: one each */
MUST_CHECK int pod_bench_simulate(struct bench *bench, int devices, int connections, struct simulation **ret,
                                  struct error *err);
/** SIGTERM, and wait until the operator has removed their Device objects. */
MUST_CHECK int pod_bench_end_simulation(struct bench *bench, struct simulation *simulation, struct error *err);
/** Wait until the operator knows so many devices to be online. */
MUST_CHECK int pod_bench_wait_online(struct bench *bench, int devices, struct error *err);
/**
 * Apply a Deployment with a new score that matches the simulation's devices, or one of their groups (0 to 9; -1: all).
 * Errors: kube.
 */
MUST_CHECK int pod_bench_apply(struct bench *bench, const struct simulation *simulation, const char *name, int group,
                               struct error *err);
/** Wait until the Deployment's status says that it runs on so many devices. */
MUST_CHECK int pod_bench_wait_succeeded(struct bench *bench, const char *name, long devices, struct error *err);
