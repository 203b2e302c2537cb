/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/report_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#define RECORD_MAX     (16u << 20)
#define TEXT_MAX       (1u << 20)
#define NAME_BYTES_MAX 4096
#define PHASES_MAX     100000
#define TIME_MAX       INT64_C(0x1fffffffffffff) /* 2^53 - 1: exact in JSON */
#define RECORD_SUFFIX  ".json"

bool report_test_is_bad(const struct report_test *test)
{
    return test->result == RESULT_FAILED || test->result == RESULT_CRASHED;
}

static void test_clear(struct report_test *test)
{
    for (size_t i = 0; i < test->phase_count; i++) {
        free(test->phases[i].name);
        free(test->phases[i].failure);
    }
    free(test->phases);
    free(test->suite);
    free(test->name);
    free(test->started);
    free(test->message);
    free(test->bundle);
    *test = (struct report_test){0};
}

void report_clear_model(struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        test_clear(&report->tests[i]);
    free(report->tests);
    free(report->directory);
    *report = (struct report){0};
}

/* Reading one record */

static int read_text(const struct json_cursor *object, const char *key, size_t max, char **ret, struct error *err)
{
    struct json_cursor member;

    if (json_member(object, key, &member, err) < 0)
        return -1;
    return json_string(&member, max, ret, err);
}

static int read_optional_text(const struct json_cursor *object, const char *key, char **ret, struct error *err)
{
    struct json_cursor member;

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    return json_present(&member) ? json_string(&member, TEXT_MAX, ret, err) : 0;
}

static int read_time(const struct json_cursor *object, const char *key, int64_t *ret, struct error *err)
{
    struct json_cursor member;

    if (json_member(object, key, &member, err) < 0)
        return -1;
    return json_integer(&member, 0, TIME_MAX, ret, err);
}

static int read_phases(const struct json_cursor *object, int depth, struct report_test *test, struct error *err);

static int read_phase(const struct json_cursor *entry, int depth, struct report_test *test, struct error *err)
{
    struct json_cursor duration;

    test->phases = memory_resize(test->phases, test->phase_count + 1, sizeof(*test->phases));
    struct report_phase *phase = &test->phases[test->phase_count++];
    *phase = (struct report_phase){.depth = depth};
    if (read_text(entry, "name", NAME_BYTES_MAX, &phase->name, err) < 0 ||
        read_optional_text(entry, "failure", &phase->failure, err) < 0 ||
        read_time(entry, "begin_us", &phase->begin_us, err) < 0 ||
        json_optional(entry, "duration_us", &duration, err) < 0)
        return -1;
    phase->unfinished = !json_present(&duration);
    if (phase->unfinished)
        phase->duration_us = test->duration_us > phase->begin_us ? test->duration_us - phase->begin_us : 0;
    else if (json_integer(&duration, 0, TIME_MAX, &phase->duration_us, err) < 0)
        return -1;
    return read_phases(entry, depth + 1, test, err);
}

static int read_phases(const struct json_cursor *object, int depth, struct report_test *test, struct error *err)
{
    struct json_cursor phases;
    struct json_cursor entry = {0};
    size_t count = 0;

    if (json_optional(object, "phases", &phases, err) < 0)
        return -1;
    if (!json_present(&phases))
        return 0;
    if (json_array_size(&phases, PHASES_MAX, &count, err) < 0)
        return -1;
    while (json_next(&phases, &entry)) {
        if (read_phase(&entry, depth, test, err) < 0)
            return -1;
    }
    return 0;
}

static int read_result(const struct json_cursor *object, enum test_result *ret, struct error *err)
{
    struct json_cursor member;
    cleanup_free char *name = NULL;

    if (json_member(object, "result", &member, err) < 0 || json_string(&member, NAME_BYTES_MAX, &name, err) < 0)
        return -1;
    for (enum test_result result = RESULT_RUNNING; result <= RESULT_CRASHED; result++) {
        if (text_equal(name, test_result_name(result))) {
            *ret = result;
            return 0;
        }
    }
    return json_refuse(&member, JSON_INVALID, err, "there is no result \"%s\"", name);
}

static int read_members(const cJSON *document, struct report_test *test, struct error *err)
{
    struct json_cursor root = json_root(document);

    if (read_text(&root, "suite", NAME_BYTES_MAX, &test->suite, err) < 0 ||
        read_text(&root, "name", NAME_BYTES_MAX, &test->name, err) < 0 ||
        read_text(&root, "started", NAME_BYTES_MAX, &test->started, err) < 0 ||
        read_time(&root, "started_ms", &test->started_ms, err) < 0 ||
        read_time(&root, "updated_us", &test->duration_us, err) < 0 || read_result(&root, &test->result, err) < 0 ||
        read_optional_text(&root, "message", &test->message, err) < 0 ||
        read_optional_text(&root, "bundle", &test->bundle, err) < 0)
        return -1;
    return read_phases(&root, 0, test, err);
}

static int read_record(const char *path, struct report_test *test, struct error *err)
{
    cleanup_free char *data = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    size_t size = 0;

    if (file_read(path, RECORD_MAX, &data, &size, err) < 0 || json_parse(data, size, &document, err) < 0 ||
        read_members(document, test, err) < 0)
        return error_wrap(err, "reading test record", path);
    return 0;
}

/* A record that was never finished: its process went without a word. */
static void explain_crash(struct report_test *test)
{
    const struct report_phase *innermost = NULL;

    test->result = RESULT_CRASHED;
    for (size_t i = 0; i < test->phase_count; i++) {
        if (test->phases[i].unfinished)
            innermost = &test->phases[i];
    }
    free(test->message);
    if (innermost)
        test->message = text_format("the test's process ended without a result, in the phase \"%s\"", innermost->name);
    else
        test->message = text_copy("the test's process ended without a result");
}

static int add_record(void *context, const char *name, struct error *err __attribute__((unused)))
{
    struct report *report = context;
    cleanup_free char *path = text_format("%s/records/%s", report->directory, name);
    cleanup_error struct error unreadable = ERROR_INIT;
    struct report_test test = {0};

    if (!text_ends_with(name, RECORD_SUFFIX))
        return 0;
    if (read_record(path, &test, &unreadable) < 0) {
        test_clear(&test);
        test.suite = text_copy("unreadable");
        test.name = text_copy_n(name, strlen(name) - strlen(RECORD_SUFFIX));
        test.started = text_copy("");
        test.result = RESULT_CRASHED;
        test.message = error_text(&unreadable);
    } else if (test.result == RESULT_RUNNING) {
        explain_crash(&test);
    }
    report->tests = memory_resize(report->tests, report->count + 1, sizeof(*report->tests));
    report->tests[report->count++] = test;
    return 0;
}

/* The run */

static int compare_tests(const void *a, const void *b)
{
    const struct report_test *first = a;
    const struct report_test *second = b;

    if (first->started_ms != second->started_ms)
        return first->started_ms < second->started_ms ? -1 : 1;
    int suites = strcmp(first->suite, second->suite);
    return suites ? suites : strcmp(first->name, second->name);
}

static void add_up(struct report *report)
{
    int64_t last_us = 0;

    for (size_t i = 0; i < report->count; i++) {
        const struct report_test *test = &report->tests[i];
        if (test->started_ms && (!report->first_ms || test->started_ms < report->first_ms))
            report->first_ms = test->started_ms;
    }
    for (size_t i = 0; i < report->count; i++) {
        struct report_test *test = &report->tests[i];
        if (!test->started_ms)
            test->started_ms = report->first_ms;
        int64_t end_us = (test->started_ms - report->first_ms) * 1000 + test->duration_us;
        last_us = end_us > last_us ? end_us : last_us;
        report->sum_us += test->duration_us;
        report->counts[test->result]++;
    }
    report->wall_us = last_us;
}

int report_read(const char *directory, struct report *ret, struct error *err)
{
    cleanup_report struct report report = {.directory = text_copy(directory)};
    cleanup_free char *records = text_format("%s/records", directory);

    if (directory_each(records, add_record, &report, err) < 0)
        return error_wrap(err, "reading the records of a run", directory);
    if (!report.count)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "reading the records of a run", records,
                         "no test was recorded");
    qsort(report.tests, report.count, sizeof(*report.tests), compare_tests);
    add_up(&report);
    *ret = report;
    report = (struct report){0};
    return 0;
}

char *report_verdict(const struct report *report)
{
    int bad = report->counts[RESULT_FAILED] + report->counts[RESULT_CRASHED];
    const char *plural = report->count == 1 ? "" : "s";

    if (bad)
        return text_format("%d of %zu test%s failed", bad, report->count, plural);
    if (report->counts[RESULT_SKIPPED])
        return text_format("%d test%s passed, %d skipped", report->counts[RESULT_PASSED],
                           report->counts[RESULT_PASSED] == 1 ? "" : "s", report->counts[RESULT_SKIPPED]);
    return text_format("All %zu test%s passed", report->count, plural);
}
