/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to the report: the records of a run, read and put in order, and what its three renderings share.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "harness/phase_model.h"

struct report_phase {
    char *name;
    char *failure;       /**< NULL: it went well */
    int64_t begin_us;    /**< since the test's start */
    int64_t duration_us; /**< up to the last sign of life for one that was never ended */
    bool unfinished;
    int depth;
};

struct report_test {
    char *suite, *name;
    char *started;      /**< RFC 3339; "" when the record does not tell */
    int64_t started_ms; /**< since 1970; 0 when the record does not tell */
    int64_t duration_us;
    enum test_result result;     /**< never RESULT_RUNNING: that is a crash */
    char *message;               /**< NULL: none */
    char *bundle;                /**< NULL: none */
    struct report_phase *phases; /**< each followed by those inside it */
    size_t phase_count;
};

struct report {
    char *directory;
    struct report_test *tests; /**< in the order they were started */
    size_t count;
    int counts[RESULT_CRASHED + 1];
    int64_t first_ms; /**< when the first test started */
    int64_t wall_us;  /**< from the first start to the last end */
    int64_t sum_us;   /**< of all tests' durations */
};

/** Read `directory`/records. A record that cannot be read is a crashed test. Errors: general/GENERAL_NOT_FOUND. */
MUST_CHECK int report_read(const char *directory, struct report *ret, struct error *err);
void report_clear_model(struct report *report);
static inline void report_clear_model_at_exit(struct report *report)
{
    report_clear_model(report);
}
#define cleanup_report __attribute__((cleanup(report_clear_model_at_exit)))

/** True for failed and crashed. */
bool report_test_is_bad(const struct report_test *test);
/** "2 of 12 tests failed", "all 12 tests passed", "11 tests passed, 1 skipped". Caller frees. */
char *report_verdict(const struct report *report);

/** The three renderings. */
void report_render_table(const struct report *report, FILE *out);
void report_render_junit(const struct report *report, struct text_buffer *ret);
void report_render_html(const struct report *report, struct text_buffer *ret);

/**
 * Append text escaped for XML and HTML content and quoted attributes. What XML cannot hold (control characters, broken
 * UTF-8) becomes U+FFFD; terminal colour sequences are dropped.
 */
void markup_add(struct text_buffer *buffer, const char *text);

/** Style sheet and script of the page. */
extern const char report_html_style[];
extern const char report_html_script[];
