/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keys that are to be worked on. A key is in the queue once, however often it is added, and with one worker at a time:
 * one that is added while it is worked on comes again afterwards. What failed comes again after a back-off of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct work_queue;
/** @param retry_min_ms, retry_max_ms  the back-off: doubled from one to the other with each failure of a key */
struct work_queue *work_queue_new(int retry_min_ms, int retry_max_ms);
/** Only when no thread is in it any more. NULL is fine. */
void work_queue_free(struct work_queue *queue);
DEFINE_CLEANUP(struct work_queue *, work_queue_free)

/** To be worked on now, whatever back-off it has. */
void work_queue_add(struct work_queue *queue, const char *key);
/** To be worked on at that moment of clock_monotonic_ms(), if it is not to be earlier; a back-off is not cut short. */
void work_queue_add_at(struct work_queue *queue, const char *key, int64_t at_ms);
/** Wait for a key. False: the queue was stopped. Then work_queue_done() must be called. The caller frees *ret. */
bool work_queue_take(struct work_queue *queue, char **ret);
/** The work on a taken key has ended. A failed one comes again after its back-off. Returns how often it failed in a row. */
int work_queue_done(struct work_queue *queue, const char *key, bool failed);
/** Nobody gets anything any more; who waits returns. */
void work_queue_stop(struct work_queue *queue);
/** Keys that wait, and those with a worker. */
size_t work_queue_length(struct work_queue *queue);
