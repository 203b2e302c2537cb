/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/bench/bench.h"

/*
 * fleet-bench-host [GROUP…]: measure and print. Figures go to stdout, progress to stderr.
 */

static const struct {
    const char *name;
    int (*measure)(struct bench *bench, struct error *err);
} groups[] = {
    {"bring-up", bench_bring_up},
    {"agent-size", bench_agent_size},
    {"agent-start", bench_agent_start},
    {"ping", bench_ping},
    {"deploy", bench_deploy},
    {"reconcile", bench_reconcile},
    {"agent-memory", bench_agent_memory},
    {"reap", bench_reap},
};

static bool is_chosen(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc <= 1;
}

static int refuse_unknown(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t j = 0;
        while (j < ARRAY_SIZE(groups) && strcmp(groups[j].name, argv[i]) != 0)
            j++;
        if (j == ARRAY_SIZE(groups)) {
            fprintf(stderr, "fleet-bench-host: no group \"%s\"; there are:", argv[i]);
            for (j = 0; j < ARRAY_SIZE(groups); j++)
                fprintf(stderr, " %s", groups[j].name);
            fprintf(stderr, "\n");
            return -1;
        }
    }
    return 0;
}

static int measure_all(struct bench *bench, int argc, char **argv, struct error *err)
{
    static const struct host_stack_options with_podman = {.with_podman = true};

    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (!is_chosen(argc, argv, groups[i].name))
            continue;
        if (!bench->stack && host_stack_new(bench->run, NULL, &with_podman, &bench->stack, err) < 0)
            return -1;
        fprintf(stderr, "measuring %s …\n", groups[i].name);
        if (groups[i].measure(bench, err) < 0)
            return error_wrap(err, "measuring", groups[i].name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;
    struct bench bench = {.idle_s = 60};
    struct run_options options = {.label = "bench host"};
    const char *idle = getenv("FLEET_BENCH_IDLE_S");

    log_start("fleet-bench-host");
    if (!getenv("FLEET_LOG"))
        log_set_level(LOG_LEVEL_WARNING); /* progress is what a person wants to see beside the figures */
    if (refuse_unknown(argc, argv) < 0)
        return 64;
    if (idle)
        bench.idle_s = (int)strtol(idle, NULL, 10);
    nats_library_start();
    int result = run_start(&options, &bench.run, &err);
    if (result == 0) {
        cleanup_error struct error finish_error = ERROR_INIT;

        result = measure_all(&bench, argc, argv, &err);
        host_stack_free(bench.stack);
        if (run_finish(bench.run, &finish_error) < 0) {
            log_failure("the run left something behind", &finish_error);
            result = -1;
        }
    }
    if (error_is_set(&err))
        log_failure("the benchmark broke off", &err);
    nats_library_stop();
    return result == 0 ? 0 : 1;
}
