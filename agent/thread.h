/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Threads with a small stack and every signal blocked: signals are the main thread's.
 */

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/** Errors: system. */
MUST_CHECK int thread_start(pthread_t *ret, void *(*run)(void *context), void *context, struct error *err);

/** A condition variable whose timed waits are on CLOCK_MONOTONIC. */
void condition_init(pthread_cond_t *condition);
/** Wait until signalled or until that moment of clock_monotonic_ms(); INT64_MAX: no end. May wake early. */
void condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms);
