/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "harness/report_model.h"
#include "harness/report_text.h"

/*
 * One page without any external resource: style and script are inside, bars are boxes placed by percentages. It reads
 * well without the script too, which only filters and sorts.
 */

static const struct {
    enum test_result result;
    const char *symbol, *label;
} kinds[] = {
    {RESULT_PASSED, "✓", "Passed"},
    {RESULT_FAILED, "✕", "Failed"},
    {RESULT_CRASHED, "!", "Crashed"},
    {RESULT_SKIPPED, "–", "Skipped"},
};

static const char *symbol_of(enum test_result result)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (kinds[i].result == result)
            return kinds[i].symbol;
    }
    return "?";
}

static double percent(int64_t part, int64_t whole)
{
    double value = whole > 0 ? 100.0 * (double)part / (double)whole : 0;

    return value < 0 ? 0 : value > 100 ? 100 : value;
}

/* "34 ms", "1.24 s", "2 min 05 s": three digits are all one reads. With no-break spaces. */
static void add_duration(struct text_buffer *html, int64_t time_us)
{
    if (time_us <= 0)
        text_buffer_add(html, "–");
    else if (time_us < 1000)
        text_buffer_format(html, "%.1f\xc2\xa0ms", (double)time_us / 1e3);
    else if (time_us < 1000000)
        text_buffer_format(html, "%" PRId64 "\xc2\xa0ms", time_us / 1000);
    else if (time_us < 10000000)
        text_buffer_format(html, "%.2f\xc2\xa0s", (double)time_us / 1e6);
    else if (time_us < 60000000)
        text_buffer_format(html, "%.1f\xc2\xa0s", (double)time_us / 1e6);
    else
        text_buffer_format(html, "%" PRId64 "\xc2\xa0min\xc2\xa0%02" PRId64 "\xc2\xa0s", time_us / 60000000,
                           time_us / 1000000 % 60);
}

/* Axis */

/* A step of 1, 2 or 5 times a power of ten that gives at most five intervals. */
static int64_t axis_step(int64_t span_us)
{
    static const int factors[] = {1, 2, 5};

    for (int64_t power = 1;; power *= 10) {
        for (size_t i = 0; i < ARRAY_SIZE(factors); i++) {
            if (power * factors[i] * 5 >= span_us)
                return power * factors[i];
        }
    }
}

static void add_tick_label(struct text_buffer *html, int64_t time_us, int64_t step)
{
    if (time_us == 0)
        text_buffer_add(html, "0");
    else if (step < 1000)
        text_buffer_format(html, "%.1f ms", (double)time_us / 1e3);
    else if (step < 200000)
        text_buffer_format(html, "%" PRId64 " ms", time_us / 1000);
    else if (step < 1000000)
        text_buffer_format(html, "%.1f s", (double)time_us / 1e6);
    else
        text_buffer_format(html, "%" PRId64 " s", time_us / 1000000);
}

static void add_axis(struct text_buffer *html, int64_t span_us)
{
    int64_t step = axis_step(span_us);

    text_buffer_add(html, "<div class=\"axis\" aria-hidden=\"true\"><div class=\"scale\">");
    for (int64_t at = 0; at <= span_us; at += step) {
        text_buffer_format(html, "<span style=\"left:%.3f%%\">", percent(at, span_us));
        add_tick_label(html, at, step);
        text_buffer_add(html, "</span>");
    }
    text_buffer_add(html, "</div></div>\n");
}

/* One test */

static void add_phase(struct text_buffer *html, const struct report_phase *phase, int64_t span_us)
{
    const char *state = phase->failure ? "failed" : phase->unfinished ? "crashed" : "";

    text_buffer_format(html, "<div class=\"phase %s\" style=\"--depth:%d\"><div class=\"label\">", state, phase->depth);
    markup_add(html, phase->name);
    text_buffer_format(
        html, "</div><div class=\"track\"><i class=\"d%d\" style=\"left:%.3f%%;width:%.3f%%\"></i></div>",
        phase->depth < 3 ? phase->depth : 3, percent(phase->begin_us, span_us), percent(phase->duration_us, span_us));
    text_buffer_add(html, "<div class=\"took\">");
    add_duration(html, phase->duration_us);
    text_buffer_format(html, "%s</div></div>\n", phase->unfinished ? " +" : "");
}

static void add_timeline(struct text_buffer *html, const struct report_test *test)
{
    if (!test->phase_count) {
        text_buffer_add(html, "<p class=\"quiet\">No phases were recorded.</p>\n");
        return;
    }
    text_buffer_format(html, "<div class=\"gantt\" style=\"--step:%.3f%%\">\n",
                       percent(axis_step(test->duration_us), test->duration_us));
    for (size_t i = 0; i < test->phase_count; i++)
        add_phase(html, &test->phases[i], test->duration_us);
    add_axis(html, test->duration_us);
    text_buffer_add(html, "</div>\n");
}

/* The path of a bundle inside the report's directory, relative to the page; else NULL. */
static const char *relative_bundle(const struct report *report, const char *bundle)
{
    size_t size = strlen(report->directory);

    if (!text_starts_with(bundle, report->directory) || bundle[size] != '/')
        return NULL;
    return bundle + size + 1;
}

static void add_bundle(struct text_buffer *html, const struct report *report, const char *bundle)
{
    const char *relative = relative_bundle(report, bundle);

    text_buffer_add(html, "<p class=\"bundle\">Bundle ");
    if (relative) {
        text_buffer_add(html, "<a href=\"");
        markup_add(html, relative);
        text_buffer_add(html, "/\">");
    }
    text_buffer_add(html, "<code>");
    markup_add(html, bundle);
    text_buffer_format(html, "</code>%s</p>\n", relative ? "</a>" : "");
}

/* Long names may be broken after an underscore. */
static void add_name(struct text_buffer *html, const char *name)
{
    while (*name) {
        size_t size = strcspn(name, "_");
        size += name[size] == '_';
        cleanup_free char *part = text_copy_n(name, size);
        markup_add(html, part);
        text_buffer_add(html, "<wbr>");
        name += size;
    }
}

static void add_test_head(struct text_buffer *html, const struct report *report, const struct report_test *test)
{
    const char *result = test_result_name(test->result);
    int64_t begin_us = (test->started_ms - report->first_ms) * 1000;

    text_buffer_format(html, "<summary><span class=\"mark %s\" title=\"%s\">%s</span>", result, result,
                       symbol_of(test->result));
    text_buffer_add(html, "<span class=\"name\"><span class=\"suite\">");
    add_name(html, test->suite);
    text_buffer_add(html, ".</span>");
    add_name(html, test->name);
    text_buffer_format(html, "</span><span class=\"result %s\">%s</span>", result, result);
    text_buffer_format(
        html,
        "<span class=\"span track\" aria-hidden=\"true\"><i class=\"%s\" style=\"left:%.3f%%;width:%.3f%%\"></i>"
        "</span><span class=\"took\">",
        result, percent(begin_us, report->wall_us), percent(test->duration_us, report->wall_us));
    add_duration(html, test->duration_us);
    text_buffer_add(html, "</span></summary>\n");
}

static void add_test(struct text_buffer *html, const struct report *report, size_t index)
{
    const struct report_test *test = &report->tests[index];

    text_buffer_format(
        html, "<details class=\"test\" id=\"t%zu\" data-result=\"%s\" data-index=\"%zu\" data-us=\"%" PRId64 "\"%s>\n",
        index, test_result_name(test->result), index, test->duration_us, report_test_is_bad(test) ? " open" : "");
    add_test_head(html, report, test);
    text_buffer_add(html, "<div class=\"body\">\n");
    if (test->message && *test->message) {
        text_buffer_format(html, "<pre class=\"message %s\">", test_result_name(test->result));
        markup_add(html, test->message);
        text_buffer_add(html, "</pre>\n");
    }
    if (test->bundle)
        add_bundle(html, report, test->bundle);
    add_timeline(html, test);
    text_buffer_add(html, "</div></details>\n");
}

/* The page */

static void add_head(struct text_buffer *html, const char *verdict)
{
    text_buffer_add(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                          "<meta name=\"color-scheme\" content=\"light dark\">\n"
                          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                          "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
                          "<link rel=\"icon\" href=\"data:,\">\n<title>");
    markup_add(html, verdict);
    text_buffer_add(html, " – Harmony Fleet</title>\n<style>\n");
    text_buffer_add(html, report_html_style);
    text_buffer_add(html, "</style>\n</head>\n<body>\n<main>\n");
}

/* "2026-11-21 03:45:12 UTC" */
static void add_start(struct text_buffer *html, const struct report *report)
{
    const char *started = report->tests[0].started;

    for (size_t i = 0; i < report->count && !*started; i++)
        started = report->tests[i].started;
    if (strlen(started) < strlen("2026-11-21T03:45:12"))
        return;
    cleanup_free char *day = text_copy_n(started, 10);
    cleanup_free char *time = text_copy_n(started + 11, 8);
    text_buffer_add(html, "started ");
    markup_add(html, day);
    text_buffer_add(html, " ");
    markup_add(html, time);
    text_buffer_add(html, " UTC, ");
}

static void add_summary(struct text_buffer *html, const struct report *report, const char *verdict)
{
    bool bad = report->counts[RESULT_FAILED] || report->counts[RESULT_CRASHED];

    text_buffer_format(html, "<header class=\"%s\">\n<p class=\"product\">Harmony Fleet · end-to-end report</p>\n<h1>",
                       bad ? "bad" : "good");
    markup_add(html, verdict);
    text_buffer_add(html, "</h1>\n<p class=\"quiet\">");
    add_start(html, report);
    text_buffer_add(html, "took ");
    add_duration(html, report->wall_us);
    text_buffer_add(html, " (tests add up to ");
    add_duration(html, report->sum_us);
    text_buffer_add(html, ")</p>\n</header>\n");
}

/* In a run of hundreds, what failed has to be found without scrolling. */
static void add_failures(struct text_buffer *html, const struct report *report)
{
    if (!report->counts[RESULT_FAILED] && !report->counts[RESULT_CRASHED])
        return;
    text_buffer_add(html, "<ul class=\"failures\">\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        if (!report_test_is_bad(test))
            continue;
        text_buffer_format(html, "<li><a class=\"name\" href=\"#t%zu\">", i);
        add_name(html, test->suite);
        text_buffer_add(html, ".");
        add_name(html, test->name);
        text_buffer_add(html, "</a> <span class=\"quiet\">");
        markup_add(html, test->message);
        text_buffer_add(html, "</span></li>\n");
    }
    text_buffer_add(html, "</ul>\n");
}

static void add_controls(struct text_buffer *html, const struct report *report)
{
    text_buffer_format(
        html,
        "<div class=\"controls\">\n<div class=\"kinds\" role=\"group\" aria-label=\"Filter by result\">\n"
        "<button type=\"button\" data-kind=\"\" aria-pressed=\"true\"><b>%zu</b> All</button>\n",
        report->count);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char *name = test_result_name(kinds[i].result);
        int count = report->counts[kinds[i].result];
        text_buffer_format(html,
                           "<button type=\"button\" class=\"%s\" data-kind=\"%s\" aria-pressed=\"false\"%s><b>%d</b> %s"
                           "</button>\n",
                           name, name, count ? "" : " disabled", count, kinds[i].label);
    }
    text_buffer_add(html, "</div>\n<input type=\"search\" id=\"search\" placeholder=\"Filter: test, phase, message\" "
                          "aria-label=\"Filter tests\">\n<select id=\"order\" aria-label=\"Order\">"
                          "<option value=\"index\">as they ran</option><option value=\"us\">slowest first</option>"
                          "<option value=\"name\">by name</option></select>\n"
                          "<button type=\"button\" id=\"fold\">Open all</button>\n</div>\n");
}

static void add_foot(struct text_buffer *html)
{
    struct utsname system;

    text_buffer_add(html, "<p class=\"quiet\" id=\"nothing\" hidden>No test matches this filter.</p>\n<footer>Harmony "
                          "Fleet " FLEET_VERSION);
    if (uname(&system) == 0) {
        text_buffer_add(html, " on ");
        markup_add(html, system.nodename);
        text_buffer_format(html, ", %s %s, %s", system.sysname, system.release, system.machine);
    }
    text_buffer_add(html, "</footer>\n</main>\n<script>\n");
    text_buffer_add(html, report_html_script);
    text_buffer_add(html, "</script>\n</body>\n</html>\n");
}

void report_render_html(const struct report *report, struct text_buffer *ret)
{
    cleanup_free char *verdict = report_verdict(report);

    add_head(ret, verdict);
    add_summary(ret, report, verdict);
    add_failures(ret, report);
    add_controls(ret, report);
    text_buffer_add(
        ret,
        "<div class=\"columns\" aria-hidden=\"true\"><span></span><span>Test</span><span></span>"
        "<span>When in the run</span><span class=\"took\">Time</span><span></span></div>\n<section id=\"tests\">\n");
    for (size_t i = 0; i < report->count; i++)
        add_test(ret, report, i);
    text_buffer_add(ret, "</section>\n");
    add_foot(ret);
}
