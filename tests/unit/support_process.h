/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Waiting for the end of a process that is not our child.
 */

#include <poll.h>
#include <sys/pidfd.h>

#include "base/deadline.h"

/** A wait_condition: the process whose pid_t is at `context` has ended (whether or not its parent has reaped it). */
static inline int ask_process_ended(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const pid_t *pid = context;
    cleanup_close int pidfd = pidfd_open(*pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    text_buffer_clear(state);
    text_buffer_format(state, "%d is running", *pid);
    return pidfd < 0 || poll(&ended, 1, 0) == 1;
}
