/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmarks' programs as a person at a prompt meets them: none of this measures anything, so each ends at once.
 */
#include <string.h>

#include "base/process.h"
#include "harness/program.h"
#include "harness/test.h"

#define RUN_MS     20000
#define EXIT_USAGE 2

static const char *const programs[] = {"fleet-bench-host", "fleet-bench-pod", "fleet-bench-vm", "fleet-bench-cluster"};

/** @param environment  as in struct process_options; may be NULL */
static int run_program(const char *program, const char *argument, const char *const *environment,
                       struct process_result *result, struct error *err)
{
    cleanup_free char *path = NULL;

    if (program_find(program, &path, err) < 0)
        return -1;
    const char *const argv[] = {path, argument, NULL};
    const struct process_options options = {.argv = argv, .environment = environment, .die_with_parent = true};
    return process_run(&options, deadline_in_ms(RUN_MS), result, err);
}

FLEET_TEST(bench, help_says_what_is_measured)
{
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        cleanup_process_result struct process_result result = {0};
        cleanup_free char *usage = text_format("usage: %s ", programs[i]);

        TRY(run_program(programs[i], "--help", NULL, &result, err));
        CHECK(result.exit_code == 0 && text_starts_with(result.output, usage), "%s --help: %d, %s", programs[i],
              result.exit_code, result.output);
        CHECK(strstr(result.output, "groups:") && strstr(result.output, "options:"), "%s --help: %s", programs[i],
              result.output);
        CHECK(!*result.errors, "%s --help: %s", programs[i], result.errors);
    }
    return 0;
}

static int expect_refused(const char *program, const char *argument, const char *const *environment, const char *named,
                          struct error *err)
{
    cleanup_process_result struct process_result result = {0};

    TRY(run_program(program, argument, environment, &result, err));
    CHECK(result.exit_code == EXIT_USAGE, "%s %s: exit code %d", program, argument, result.exit_code);
    CHECK(strstr(result.errors, named), "%s %s: not named in \"%s\"", program, argument, result.errors);
    CHECK(!*result.output, "%s %s: %s", program, argument, result.output);
    return 0;
}

FLEET_TEST(bench, wrong_arguments_are_named)
{
    static const char *const idle[] = {"FLEET_BENCH_IDLE_S=soon", NULL};

    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        TRY(expect_refused(programs[i], "--bogus", NULL, "--bogus", err));
        TRY(expect_refused(programs[i], "nonsense", NULL, "\"nonsense\"", err));
    }
    TRY(expect_refused("fleet-bench-host", "--runs=3", NULL, "--runs", err)); /* it has none */
    TRY(expect_refused("fleet-bench-pod", "--runs=0", NULL, "--runs \"0\"", err));
    TRY(expect_refused("fleet-bench-pod", "--runs", NULL, "--runs", err));
    TRY(expect_refused("fleet-bench-pod", "--devices=many", NULL, "--devices \"many\"", err));
    TRY(expect_refused("fleet-bench-vm", "--runs=3x", NULL, "--runs \"3x\"", err));
    TRY(expect_refused("fleet-bench-pod", "ping", idle, "FLEET_BENCH_IDLE_S \"soon\"", err));
    return 0;
}
