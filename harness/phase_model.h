/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a timeline is made of; shared by phase.c (timing and record) and phase_display.c (what a person sees).
 * Everything reachable from a timeline is guarded by its lock once the display's ticker runs.
 */

#include <pthread.h>
#include <stdint.h>

#include "harness/phase.h"

struct phase {
    struct timeline *timeline;
    struct phase *parent; /**< NULL at the top */
    struct phase *first_child, *last_child;
    struct phase *next; /**< next sibling */
    char *name;
    char *failure;       /**< the error's text; NULL while well */
    int64_t begin_us;    /**< since the timeline began */
    int64_t duration_us; /**< -1 while open */
    int depth;
    bool announced; /**< the display has printed its heading */
};

struct phase_display;

struct timeline {
    pthread_mutex_t lock;
    char *suite, *name;
    char *record_path;  /**< NULL: no record */
    char *started;      /**< RFC 3339, for people; durations come from the monotonic clock */
    int64_t started_ms; /**< the same since 1970, to place tests beside each other */
    int64_t start_us;   /**< CLOCK_MONOTONIC */
    int64_t finish_us;  /**< since start; -1 while running */
    struct phase *first, *last;
    struct phase *open; /**< the innermost open phase */
    enum test_result result;
    char *message, *bundle;
    struct error record_error; /**< why the record could not be written, kept for timeline_finish */
    struct phase_display *display;
};

/** Stable name of a result, as written in records: "running", "passed", … */
const char *test_result_name(enum test_result result);
/** Microseconds since the timeline began. */
int64_t timeline_now_us(const struct timeline *timeline);
/** "bring-up / nats" for a phase inside another. Caller frees. */
char *phase_path(const struct phase *phase);

/** The display of a process: on a terminal a moving line, else one line a finished phase. Never fails. */
struct phase_display *phase_display_new(struct timeline *timeline);
void phase_display_free(struct phase_display *display);
/** Called with the timeline's lock held. */
void phase_display_begin(struct phase_display *display, struct phase *phase);
void phase_display_end(struct phase_display *display, struct phase *phase);
