/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_command.h"

#include <stdio.h>

#include "base/deadline.h"
#include "base/process.h"

#define COMMAND_MS 7200000 /* only against hanging for ever */

int bench_time_command(const char *const *argv, const char *const *environment, double *ret_s, struct error *err)
{
    const struct process_options options = {.argv = argv, .environment = environment, .die_with_parent = true};
    cleanup_process_result struct process_result result = {0};
    int64_t started_us = clock_monotonic_us();

    if (process_run(&options, deadline_in_ms(COMMAND_MS), &result, err) < 0)
        return -1;
    *ret_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    fprintf(stderr, "  %s: %.1f s\n", argv[0], *ret_s);
    if (result.exit_code == 0)
        return 0;
    fputs(result.output, stderr);
    fputs(result.errors, stderr);
    return error_set(err, &general_error_domain, GENERAL_FAILED, "measuring", argv[0], "it ended with exit code %d",
                     result.exit_code);
}

int bench_time_ctest(const char *option, const char *value, const char *const *environment, double *ret_s,
                     struct error *err)
{
    const char *const argv[] = {"ctest", "--test-dir", "build/debug", "--output-on-failure", "--no-tests=error",
                                option,  value,        NULL};

    return bench_time_command(argv, environment, ret_s, err);
}
