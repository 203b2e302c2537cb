/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers that are due after the same delay each, and so in the order they were asked for. Any thread may use it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "contracts/names.h"

struct simulated_device;

struct delayed_answer {
    struct simulated_device *device;
    char deployment[TOKEN_MAX + 1];
    uint64_t revision;
    int64_t due_ms;
    struct delayed_answer *next;
};

/** A queue; begins with delayed_init. */
struct delayed {
    pthread_mutex_t mutex;
    struct delayed_answer *first;
    struct delayed_answer *last;
};
void delayed_init(struct delayed *delayed);
void delayed_add(struct delayed *delayed, struct simulated_device *device, const char *deployment, uint64_t revision,
                 int64_t due_ms);
/** Take the next one that is due; false when there is none. */
bool delayed_take(struct delayed *delayed, struct delayed_answer *ret);
void delayed_clear(struct delayed *delayed);
