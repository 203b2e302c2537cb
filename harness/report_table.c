/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "harness/report_model.h"
#include "harness/report_text.h"

/*
 * The breakdown at the end of a run: a row a test with its phases below it, as far as there is something to break
 * down. Tests without phases that passed are one row a suite, so that a hundred unit tests do not bury ten scenarios.
 */

#define RESULT_WIDTH 9
#define TIME_WIDTH   11

static bool has_own_row(const struct report_test *test)
{
    return test->phase_count > 0 || test->result != RESULT_PASSED;
}

static size_t wider(size_t width, size_t columns)
{
    return columns > width ? columns : width;
}

static size_t label_width(const struct report *report)
{
    size_t width = 40;

    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        width = wider(width, text_columns(test->suite) + 1 + text_columns(test->name));
        for (size_t j = 0; j < test->phase_count; j++)
            width = wider(width, 2 + 2 * (size_t)test->phases[j].depth + text_columns(test->phases[j].name));
    }
    return width;
}

static void add_row(struct text_buffer *table, size_t width, const char *label, const char *result, int64_t time_us)
{
    cleanup_free char *seconds = text_seconds(time_us);

    text_pad_right(table, label, width + 2);
    text_pad_right(table, result, RESULT_WIDTH);
    text_pad_left(table, seconds, TIME_WIDTH);
    text_buffer_add(table, "\n");
}

static void add_phases(struct text_buffer *table, size_t width, const struct report_test *test)
{
    for (size_t i = 0; i < test->phase_count; i++) {
        const struct report_phase *phase = &test->phases[i];
        cleanup_free char *label = text_format("%*s%s", 2 + 2 * phase->depth, "", phase->name);
        add_row(table, width, label,
                phase->failure      ? "failed"
                : phase->unfinished ? "crashed"
                                    : "",
                phase->duration_us);
    }
}

static void add_test_rows(struct text_buffer *table, size_t width, const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        if (!has_own_row(test))
            continue;
        cleanup_free char *label = text_format("%s.%s", test->suite, test->name);
        add_row(table, width, label, test_result_name(test->result), test->duration_us);
        add_phases(table, width, test);
    }
}

/* Add up the suite of test `first`, unless an earlier test already stood for it. Returns how many tests it has. */
static int suite_total(const struct report *report, size_t first, int64_t *sum_us)
{
    const char *suite = report->tests[first].suite;
    int tests = 0;

    *sum_us = 0;
    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        if (has_own_row(test) || !text_equal(test->suite, suite))
            continue;
        if (i < first)
            return 0;
        tests++;
        *sum_us += test->duration_us;
    }
    return tests;
}

static void add_suite_rows(struct text_buffer *table, size_t width, const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        int64_t sum_us;
        int tests = has_own_row(&report->tests[i]) ? 0 : suite_total(report, i, &sum_us);
        if (!tests)
            continue;
        cleanup_free char *label = text_format("%s: %d test%s", report->tests[i].suite, tests, tests == 1 ? "" : "s");
        add_row(table, width, label, "passed", sum_us);
    }
}

static void add_indented(struct text_buffer *table, const char *text)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        text_buffer_format(table, "  %.*s\n", length, text);
        text += length + (text[length] == '\n');
    }
}

/* What went wrong, last: that is what is still on the screen. */
static void add_failures(struct text_buffer *table, const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        if (!report_test_is_bad(test))
            continue;
        text_buffer_format(table, "\n%s %s.%s\n", test->result == RESULT_CRASHED ? "CRASHED" : "FAILED", test->suite,
                           test->name);
        add_indented(table, test->message ? test->message : "no reason was given");
        if (test->bundle)
            text_buffer_format(table, "  bundle: %s\n", test->bundle);
    }
}

void report_render_table(const struct report *report, FILE *out)
{
    cleanup_text_buffer struct text_buffer table = {0};
    cleanup_free char *verdict = report_verdict(report);
    cleanup_free char *wall = text_seconds(report->wall_us);
    size_t width = label_width(report);

    text_pad_right(&table, "test", width + 2);
    text_pad_right(&table, "result", RESULT_WIDTH);
    text_pad_left(&table, "time", TIME_WIDTH);
    text_buffer_add(&table, "\n");
    add_suite_rows(&table, width, report);
    add_test_rows(&table, width, report);
    add_row(&table, width, "sum of all tests", "", report->sum_us);
    add_failures(&table, report);
    text_buffer_format(&table, "\n%s in %s\n", verdict, wall);
    fputs(text_buffer_text(&table), out);
}
