/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The main thread's loop: signals, what systemd is told, and trimming memory. All work is done by other threads.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct main_loop_options {
    int signal_fd; /**< a non-blocking signalfd of SIGTERM, SIGINT and SIGHUP */
    int wake_fd;   /**< a non-blocking eventfd: ask is_ready again */
    /** systemd's watchdog is left alone when `progress` did not change for so long. */
    int64_t stalled_ms;
    /** Is the agent ready? *status is a constant text for people. */
    bool (*is_ready)(void *context, const char **status);
    uint64_t (*progress)(void *context);
    void *context;
};

/** Run until SIGTERM or SIGINT. Errors: system. */
MUST_CHECK int main_loop_run(const struct main_loop_options *options, struct error *err);
