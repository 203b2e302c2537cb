/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whole commands, from the start of the process to its end: what a person waits for. Run at the top of the tree.
 */

#include "base/error.h"

/**
 * Run a command to its end, having taken from and added to our environment what makes it the one to be measured. What it
 * wrote is shown when it fails.
 * @param environment  as in struct process_options; may be NULL
 * @param ret_s        seconds
 * Errors: process, GENERAL_FAILED (its exit code).
 */
MUST_CHECK int bench_time_command(const char *const *argv, const char *const *environment, double *ret_s,
                                  struct error *err);
/** ctest of the debug build, that being what people and pipelines run: `option` "-R" or "-L" with its value. */
MUST_CHECK int bench_time_ctest(const char *option, const char *value, const char *const *environment, double *ret_s,
                                struct error *err);
