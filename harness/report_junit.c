/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "harness/report_model.h"

/*
 * The intersection of the schemas in use: Ant's (windyroad JUnit.xsd), Jenkins' (junit-10.xsd) and JUnit 5's. Hence no
 * attributes on <testsuites>, a properties element in every suite, and the bundle's path inside the failure's text.
 */

static void add_attribute(struct text_buffer *xml, const char *name, const char *value)
{
    text_buffer_format(xml, " %s=\"", name);
    markup_add(xml, value);
    text_buffer_add(xml, "\"");
}

static void add_seconds(struct text_buffer *xml, int64_t time_us)
{
    text_buffer_format(xml, " time=\"%" PRId64 ".%03" PRId64 "\"", time_us / 1000000, time_us / 1000 % 1000);
}

static void add_problem(struct text_buffer *xml, const struct report_test *test)
{
    const char *element = test->result == RESULT_CRASHED ? "error" : "failure";

    text_buffer_format(xml, "<%s", element);
    add_attribute(xml, "type", test_result_name(test->result));
    add_attribute(xml, "message", test->message);
    text_buffer_add(xml, ">");
    markup_add(xml, test->message);
    if (test->bundle) {
        text_buffer_add(xml, "\nbundle: ");
        markup_add(xml, test->bundle);
    }
    text_buffer_format(xml, "</%s>", element);
}

static void add_case(struct text_buffer *xml, const struct report_test *test)
{
    text_buffer_add(xml, "    <testcase");
    add_attribute(xml, "classname", test->suite);
    add_attribute(xml, "name", test->name);
    add_seconds(xml, test->duration_us);
    if (test->result == RESULT_PASSED) {
        text_buffer_add(xml, "/>\n");
        return;
    }
    text_buffer_add(xml, ">");
    if (test->result == RESULT_SKIPPED) {
        text_buffer_add(xml, "<skipped>");
        markup_add(xml, test->message);
        text_buffer_add(xml, "</skipped>");
    } else {
        add_problem(xml, test);
    }
    text_buffer_add(xml, "</testcase>\n");
}

/* The schemas want "2026-11-21T03:00:00", without a zone. */
static void add_timestamp(struct text_buffer *xml, const char *started)
{
    const size_t size = strlen("2026-11-21T03:00:00");
    cleanup_free char *timestamp = strlen(started) >= size ? text_copy_n(started, size) : NULL;

    add_attribute(xml, "timestamp", timestamp ? timestamp : "1970-01-01T00:00:00");
}

static void add_suite_head(struct text_buffer *xml, const struct report *report, size_t first, int id)
{
    const char *suite = report->tests[first].suite;
    int counts[RESULT_CRASHED + 1] = {0};
    int64_t sum_us = 0;
    int tests = 0;
    char host[256] = "localhost";

    for (size_t i = first; i < report->count; i++) {
        if (!text_equal(report->tests[i].suite, suite))
            continue;
        tests++;
        counts[report->tests[i].result]++;
        sum_us += report->tests[i].duration_us;
    }
    if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
        strcpy(host, "localhost");
    text_buffer_add(xml, "  <testsuite");
    add_attribute(xml, "name", suite);
    add_attribute(xml, "package", "harmony-fleet");
    add_attribute(xml, "hostname", host);
    add_timestamp(xml, report->tests[first].started);
    text_buffer_format(xml, " id=\"%d\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\"", id, tests,
                       counts[RESULT_FAILED], counts[RESULT_CRASHED], counts[RESULT_SKIPPED]);
    add_seconds(xml, sum_us);
    text_buffer_add(xml, ">\n    <properties><property name=\"version\" value=\"" FLEET_VERSION "\"/></properties>\n");
}

static bool suite_came_before(const struct report *report, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (text_equal(report->tests[i].suite, report->tests[index].suite))
            return true;
    }
    return false;
}

void report_render_junit(const struct report *report, struct text_buffer *ret)
{
    int id = 0;

    text_buffer_add(ret, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < report->count; i++) {
        if (suite_came_before(report, i))
            continue;
        add_suite_head(ret, report, i, id++);
        for (size_t j = i; j < report->count; j++) {
            if (text_equal(report->tests[j].suite, report->tests[i].suite))
                add_case(ret, &report->tests[j]);
        }
        text_buffer_add(ret, "    <system-out/>\n    <system-err/>\n  </testsuite>\n");
    }
    text_buffer_add(ret, "</testsuites>\n");
}
