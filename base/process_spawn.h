/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to base/process.c: the way from an argv to a running child. Everything the child needs is made before the
 * fork, for between fork and exec only async-signal-safe calls are allowed in a program with threads.
 */

#include "base/process.h"
#include "base/text.h"

struct spawn {
    const struct process_options *options;
    int input, output, errors; /**< become 0, 1 and 2 of the child; -1: inherited; borrowed */
    bool own_group;            /**< a process group of its own, so that it can be killed with all it started */
};

/**
 * Start it. On success *pid is an unreaped child that has executed the program, *pidfd its descriptor (caller closes).
 * Errors: PROCESS_NOT_STARTED caused by the errno.
 */
MUST_CHECK int spawn_start(const struct spawn *spawn, pid_t *pid, int *pidfd, struct error *err);

/** Set PROCESS_NOT_STARTED caused by `errno_value` while doing `step` on `step_subject` (may be NULL). Returns -1. */
int spawn_error(struct error *err, int errno_value, const char *program, const char *step, const char *step_subject);

/** Where `program` may be: itself when it has a slash, else one path per directory of `path` (NULL: a default). */
void spawn_candidates(const char *program, const char *path, struct text_list *ret);
