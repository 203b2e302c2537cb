/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A program that measures: its command line, its run and its figures. Each group measures some of docs/benchmarks.md's
 * figures and prints `name<TAB>value<TAB>unit` lines; nothing here is a test and nothing passes or fails by its time.
 */

#include <stdbool.h>

#include "base/error.h"
#include "harness/run.h"
#include "tests/bench/samples.h"

/** What the groups of a suite share. What they have brought up is ended by the suite's `end`. */
struct bench {
    const char *label; /**< of the run */
    int runs;          /**< how often a figure is measured whose median is printed: --runs, else the suite's */
    int devices;       /**< simulated ones: --devices, else the suite's */
    int idle_s;        /**< how long is watched what does nothing: FLEET_BENCH_IDLE_S, else the suite's */
    struct run *run;   /**< NULL until bench_run(): commands that are measured must not see it */
    struct host_stack *host;
    struct stack *pods;   /**< likewise; we are in the cluster's network from then on */
    struct vm_stack *vms; /**< likewise; we are in its network namespace from then on */
};

struct bench_group {
    const char *name;
    const char *text; /**< of --help: what it measures */
    int (*measure)(struct bench *bench, struct error *err);
    bool is_cold; /**< only with --cold or by its name */
};

struct bench_suite {
    const char *program;              /**< its name */
    const char *label;                /**< of its run */
    const char *text;                 /**< of --help: what the suite is about, and what --cold does if it has that */
    const struct bench_group *groups; /**< measured in this order */
    size_t group_count;
    int runs;                                             /**< 0: it has no --runs */
    int devices;                                          /**< 0: it has no --devices */
    int idle_s;                                           /**< 0: nothing of it idles */
    int (*begin)(struct bench *bench, struct error *err); /**< before the first group; may be NULL */
    void (*end)(struct bench *bench);                     /**< after the last one, before the run's end; may be NULL */
};
/**
 * The whole program: reads arguments, measures what they ask for, ends the run.
 * @return  its exit code: 0, 1 when the measuring broke off or something was left behind, 2 for wrong usage
 */
int bench_main(const struct bench_suite *suite, int argc, char **argv);

/** bench->run, started if it is not yet. Errors: as run_start(). */
MUST_CHECK int bench_run(struct bench *bench, struct error *err);
