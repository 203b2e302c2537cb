/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Threads with a small stack of their own and every signal blocked: signals are the main thread's. The stack is given
 * back at the end; the C library would keep those of ended threads, some of their pages resident.
 */

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

struct thread {
    pthread_t id;
    void *stack;
};

/** Errors: system. */
MUST_CHECK int thread_start(struct thread *thread, void *(*run)(void *context), void *context, struct error *err);
/** Wait for its end. */
void thread_join(struct thread *thread);

/** A condition variable whose timed waits are on CLOCK_MONOTONIC. */
void condition_init(pthread_cond_t *condition);
/** Wait until signalled or until that moment of clock_monotonic_ms(); INT64_MAX: no end. May wake early. */
void condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms);
