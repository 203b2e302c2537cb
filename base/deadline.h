/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Points in time on CLOCK_MONOTONIC, and the one way to wait for something.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct deadline {
    int64_t at_ms; /**< CLOCK_MONOTONIC milliseconds; INT64_MAX is never */
};
#define DEADLINE_NEVER ((struct deadline){INT64_MAX})

/** CLOCK_MONOTONIC in milliseconds; in microseconds. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/** So many milliseconds from now; negative is past, more than the clock can count is never. */
struct deadline deadline_in_ms(int64_t milliseconds);
/** The earlier of the two. */
struct deadline deadline_min(struct deadline a, struct deadline b);
/** Never is never passed. */
bool deadline_passed(struct deadline deadline);
/** Milliseconds left, 0 when passed; clamped to INT_MAX so that it fits poll(2), -1 for DEADLINE_NEVER. */
int deadline_poll_ms(struct deadline deadline);

/** Current UTC time as RFC 3339 with milliseconds: "2026-11-21T03:00:00.000Z". `buffer` holds RFC3339_SIZE bytes. */
#define RFC3339_SIZE 25
void clock_rfc3339(char buffer[RFC3339_SIZE]);

/**
 * What wait_until asks. Returns 1 when met, 0 when not yet (and describes what it saw in *state, which is empty
 * at each call), -1 with *err set when waiting is pointless.
 */
typedef int (*wait_condition)(void *context, struct text_buffer *state, struct error *err);

struct wait_options {
    /** Readable when the condition should be asked again (an inotify, pidfd or eventfd); the condition drains it. 0 or
     *  -1: none, the condition is asked again after `interval_ms`. */
    int wake_fd;
    /** Without wake_fd: first pause in ms, doubled up to 16 times itself. With it: a safety net. 0: 2 ms (1 s with
     *  wake_fd). */
    int interval_ms;
};

/**
 * Wait until `condition` is met.
 * @param what     what is waited for, for the error: "agent pi-01 to answer a ping"
 * @param options  NULL for plain polling
 * Errors: general/GENERAL_TIMEOUT whose detail names the last state seen; whatever the condition set.
 */
MUST_CHECK int wait_until(const char *what, wait_condition condition, void *context, const struct wait_options *options,
                          struct deadline deadline, struct error *err);
