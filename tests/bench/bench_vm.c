/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/*
 * fleet-bench-vm [--runs N] [--cold] [GROUP…]: measure and print. Figures go to stdout, progress to stderr. Without
 * groups all are measured; "image-build", which takes minutes and the network, only with --cold or by its name.
 */

#define USAGE_EXIT_CODE 64 /* EX_USAGE of sysexits.h */
#define RUNS            3
#define RUNS_MAX        1000

/** Commands come first: what is brought up by ourselves takes a share of the machine, and us out of its network. */
static const struct group {
    const char *name;
    int (*measure)(struct vm_bench *bench, struct error *err);
    bool is_cold;
} groups[] = {
    {"image-build", bench_vm_image_build, .is_cold = true},
    {"ping", bench_vm_ping, false},
    {"ping-image", bench_vm_ping_image, false},
    {"x86-ping", bench_vm_x86_ping, false},
    {"suite", bench_vm_suite, false},
    {"restore", bench_vm_restore, false},
    {"lifecycle", bench_vm_lifecycle, false},
};

struct arguments {
    int runs;
    bool cold;
    bool chosen[ARRAY_SIZE(groups)];
    bool any_chosen;
};

static int refuse(const char *argument, const char *why)
{
    fprintf(stderr, "fleet-bench-vm: \"%s\" %s\n", argument, why);
    fprintf(stderr, "usage: fleet-bench-vm [--runs N] [--cold] [GROUP…]\ngroups:");
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
        fprintf(stderr, " %s", groups[i].name);
    fprintf(stderr, "\n");
    return -1;
}

static int parse_runs(const char *text, int *ret)
{
    char *end = NULL;
    long runs = text ? strtol(text, &end, 10) : 0;

    if (!text || end == text || *end || runs < 1 || runs > RUNS_MAX)
        return refuse(text ? text : "", "is no number of runs");
    *ret = (int)runs;
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
        if (text_equal(*argument, "--cold"))
            arguments->cold = true;
        else if (text_equal(*argument, "--runs")) {
            if (parse_runs(argument[1], &arguments->runs) < 0)
                return -1;
            argument++;
        } else if (choose(arguments, *argument) < 0)
            return -1;
    }
    return 0;
}

static bool is_wanted(const struct arguments *arguments, size_t group)
{
    if (groups[group].is_cold && arguments->cold)
        return true;
    return arguments->any_chosen ? arguments->chosen[group] : !groups[group].is_cold;
}

int vm_bench_run(struct vm_bench *bench, struct error *err)
{
    static const struct run_options options = {.label = "bench vm"};

    return bench->run ? 0 : run_start(&options, &bench->run, err);
}

static int measure_all(struct vm_bench *bench, const struct arguments *arguments, struct error *err)
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
static int finish(struct vm_bench *bench)
{
    cleanup_error struct error err = ERROR_INIT;

    vm_stack_free(bench->stack);
    if (!bench->run || run_finish(bench->run, &err) == 0)
        return 0;
    log_failure("the run left something behind", &err);
    return -1;
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;
    struct arguments arguments = {.runs = RUNS};

    (void)argc;
    log_start("fleet-bench-vm");
    if (!getenv("FLEET_LOG"))
        log_set_level(LOG_LEVEL_WARNING); /* progress is what a person wants to see beside the figures */
    if (parse(argv, &arguments) < 0)
        return USAGE_EXIT_CODE;
    struct vm_bench bench = {.runs = arguments.runs};
    nats_library_start();
    int result = measure_all(&bench, &arguments, &err);
    if (error_is_set(&err))
        log_failure("the benchmark broke off", &err);
    if (finish(&bench) < 0)
        result = -1;
    nats_library_stop();
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
