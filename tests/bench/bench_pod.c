/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_pod.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

/*
 * fleet-bench-pod [--runs N] [--devices N] [--cold] [GROUP…]: measure and print. Figures go to stdout, progress to stderr.
 * Without groups all are measured; "cluster-up", which ends what anybody runs in the cluster, only with --cold or by its
 * name.
 */

#define USAGE_EXIT_CODE 64 /* EX_USAGE of sysexits.h */
#define RUNS            5
#define RUNS_MAX        1000
#define MANY            10000
#define MANY_MAX        100000
#define IDLE_S          60
#define IDLE_MAX_S      86400

/** Commands come first: what is brought up by ourselves takes a share of the machine, and us out of its network. */
static const struct group {
    const char *name;
    int (*measure)(struct pod_bench *bench, struct error *err);
    bool is_cold;
} groups[] = {
    {"cluster-up", bench_cluster_up, .is_cold = true},
    {"ping", bench_pod_ping, false},
    {"bring-up", bench_pod_bring_up, false},
    {"cr-to-key", bench_cr_to_key, false},
    {"converge", bench_converge, false},
    {"operator-size", bench_operator_size, false},
    {"heartbeats", bench_heartbeats, false},
};

struct arguments {
    int runs;
    int many;
    bool cold;
    bool chosen[ARRAY_SIZE(groups)];
    bool any_chosen;
};

static int refuse(const char *argument, const char *why)
{
    fprintf(stderr, "fleet-bench-pod: \"%s\" %s\n", argument, why);
    fprintf(stderr, "usage: fleet-bench-pod [--runs N] [--devices N] [--cold] [GROUP…]\ngroups:");
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
        fprintf(stderr, " %s", groups[i].name);
    fprintf(stderr, "\n");
    return -1;
}

static int parse_number(const char *text, long max, int *ret)
{
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : 0;

    if (!text || end == text || *end || number < 1 || number > max)
        return refuse(text ? text : "", "is no such number");
    *ret = (int)number;
    return 0;
}

static int choose(struct arguments *arguments, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (!text_equal(groups[i].name, name))
            continue;
        arguments->chosen[i] = true;
        arguments->any_chosen = true;
        return 0;
    }
    return refuse(name, "is no group and no option");
}

static int parse(char **argv, struct arguments *arguments)
{
    for (char **argument = argv + 1; *argument; argument++) {
        if (text_equal(*argument, "--cold")) {
            arguments->cold = true;
        } else if (text_equal(*argument, "--runs")) {
            if (parse_number(*++argument, RUNS_MAX, &arguments->runs) < 0)
                return -1;
        } else if (text_equal(*argument, "--devices")) {
            if (parse_number(*++argument, MANY_MAX, &arguments->many) < 0)
                return -1;
        } else if (choose(arguments, *argument) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_wanted(const struct arguments *arguments, size_t group)
{
    if (groups[group].is_cold && arguments->cold)
        return true;
    return arguments->any_chosen ? arguments->chosen[group] : !groups[group].is_cold;
}

static int measure_all(struct pod_bench *bench, const struct arguments *arguments, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (!is_wanted(arguments, i))
            continue;
        fprintf(stderr, "measuring %s …\n", groups[i].name);
        if (groups[i].measure(bench, err) < 0)
            return error_wrap(err, "measuring", groups[i].name);
    }
    return 0;
}

/** Returns -1 when something is left. */
static int finish(struct pod_bench *bench)
{
    cleanup_error struct error err = ERROR_INIT;

    stack_free(bench->stack);
    if (!bench->run || run_finish(bench->run, &err) == 0)
        return 0;
    log_failure("the run left something behind", &err);
    return -1;
}

static int idle_seconds(void)
{
    const char *text = getenv("FLEET_BENCH_IDLE_S");
    long seconds = text ? strtol(text, NULL, 10) : 0;

    return seconds > 0 && seconds <= IDLE_MAX_S ? (int)seconds : IDLE_S;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.runs = RUNS, .many = MANY};
    cleanup_error struct error err = ERROR_INIT;

    (void)argc;
    log_start("fleet-bench-pod");
    if (!getenv("FLEET_LOG"))
        log_set_level(LOG_LEVEL_WARNING); /* progress is what a person wants to see beside the figures */
    if (parse(argv, &arguments) < 0)
        return USAGE_EXIT_CODE;
    struct pod_bench bench = {.runs = arguments.runs, .many = arguments.many, .idle_s = idle_seconds()};
    nats_library_start();
    int result = measure_all(&bench, &arguments, &err);
    if (error_is_set(&err))
        log_failure("the benchmark broke off", &err);
    if (finish(&bench) < 0)
        result = -1;
    nats_library_stop();
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
