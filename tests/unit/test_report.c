/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/phase.h"
#include "harness/report_model.h"
#include "harness/test.h"

#define EVIL "<script>alert(\"1\")</script> & 'x' \033[31mred\033[0m \001"

/* A directory for a report inside the test's own artefacts. */
static char *fresh_directory(const struct test_context *test)
{
    return text_format("%s/report", test->artefacts);
}

static char *record_path(const char *directory, const char *suite, const char *name)
{
    return text_format("%s/records/%s.%s.json", directory, suite, name);
}

/* A finished test with the phases "bring-up" and, in it, "nats". */
static int record(const char *directory, const char *suite, const char *name, enum test_result result,
                  const char *message, const char *bundle, struct error *err)
{
    cleanup_free char *path = record_path(directory, suite, name);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    if (timeline_new(suite, name, path, &timeline, err) < 0)
        return -1;
    struct phase *outer = phase_begin(timeline, "bring-up");
    phase_end(phase_begin(timeline, "nats"), NULL);
    phase_end(outer, NULL);
    return timeline_finish(timeline, result, message, bundle, err);
}

/* Write the report of `directory`; the table goes to *table (caller frees). */
static int write_report(const char *directory, char **table, int *failed, struct error *err)
{
    size_t size = 0;
    FILE *out = open_memstream(table, &size);
    int result = report_write(directory, out, failed, err);

    fclose(out);
    return result;
}

static int read_page(const char *directory, const char *name, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);
    size_t size = 0;

    return file_read(path, 1 << 20, ret, &size, err);
}

FLEET_TEST(report, counts_and_breaks_down)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *table = NULL;
    int failed = -1;

    TRY(record(directory, "host_ping", "answers", RESULT_PASSED, NULL, NULL, err));
    TRY(record(directory, "host_pull", "fails", RESULT_FAILED, "no such image", "/tmp/bundle", err));
    TRY(record(directory, "host_pull", "is_skipped", RESULT_SKIPPED, "registry: none", NULL, err));
    TRY(write_report(directory, &table, &failed, err));
    CHECK(failed == 1, "failed %d", failed);
    CHECK(strstr(table, "\nhost_ping.answers "), "no test row:\n%s", table);
    CHECK(strstr(table, "\n  bring-up "), "no phase row:\n%s", table);
    CHECK(strstr(table, "\n    nats "), "no nested phase row:\n%s", table);
    CHECK(strstr(table, "FAILED host_pull.fails\n  no such image\n  bundle: /tmp/bundle\n"), "no failure:\n%s", table);
    CHECK(strstr(table, "1 of 3 tests failed"), "no verdict:\n%s", table);
    return 0;
}

FLEET_TEST(report, a_record_still_running_is_a_crash)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *path = record_path(directory, "host_ping", "crashes");
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    cleanup_free char *table = NULL;
    cleanup_free char *junit = NULL;
    int failed = -1;

    TRY(timeline_new("host_ping", "crashes", path, &timeline, err));
    phase_begin(timeline, "bring-up");
    phase_begin(timeline, "nats");
    TRY(write_report(directory, &table, &failed, err));
    TRY(read_page(directory, "junit.xml", &junit, err));
    CHECK(failed == 1, "failed %d", failed);
    CHECK(strstr(table, "CRASHED host_ping.crashes"), "not told as a crash:\n%s", table);
    CHECK(strstr(table, "in the phase \"nats\""), "the phase is not named:\n%s", table);
    CHECK(strstr(junit, "errors=\"1\""), "not an error:\n%s", junit);
    CHECK(strstr(junit, "<error type=\"crashed\""), "not an error:\n%s", junit);
    return 0;
}

FLEET_TEST(report, a_broken_record_is_a_crash)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *path = record_path(directory, "half", "written");
    cleanup_free char *table = NULL;
    int failed = -1;

    TRY(record(directory, "host_ping", "answers", RESULT_PASSED, NULL, NULL, err));
    TRY(file_write_atomic(path, "{\"suite\":", 9, 0600, err));
    TRY(write_report(directory, &table, &failed, err));
    CHECK(failed == 1, "failed %d", failed);
    CHECK(strstr(table, "CRASHED unreadable.half.written"), "not told:\n%s", table);
    return 0;
}

FLEET_TEST(report, no_record_is_an_error)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *records = text_format("%s/records", directory);
    cleanup_free char *table = NULL;

    TRY(directory_create(records, 0700, err));
    CHECK_FAILS(write_report(directory, &table, NULL, err), general_error_domain, GENERAL_NOT_FOUND);
    return 0;
}

FLEET_TEST(report, junit_has_suites_and_escapes)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *table = NULL;
    cleanup_free char *junit = NULL;

    TRY(record(directory, "a", "passes", RESULT_PASSED, NULL, NULL, err));
    TRY(record(directory, "b", "fails", RESULT_FAILED, EVIL, "/tmp/<bundle>", err));
    TRY(record(directory, "b", "is_skipped", RESULT_SKIPPED, "vm: closed", NULL, err));
    TRY(write_report(directory, &table, NULL, err));
    TRY(read_page(directory, "junit.xml", &junit, err));
    CHECK(strstr(junit, "<testsuite name=\"a\""), "no suite a:\n%s", junit);
    CHECK(strstr(junit, "id=\"1\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""), "suite b:\n%s", junit);
    CHECK(strstr(junit, "<testcase classname=\"a\" name=\"passes\""), "no case:\n%s", junit);
    CHECK(strstr(junit, "<skipped>vm: closed</skipped>"), "no skip:\n%s", junit);
    CHECK(strstr(junit, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; red"), "escapes:\n%s",
          junit);
    CHECK(!strchr(junit, '\033') && !strchr(junit, '\001'), "a character XML cannot hold");
    CHECK(strstr(junit, "\nbundle: /tmp/&lt;bundle&gt;</failure>"), "no bundle:\n%s", junit);
    return 0;
}

FLEET_TEST(report, page_is_self_contained_and_escaped)
{
    static const char *const outside[] = {"http:", "https:", " src=", "url(", "@import", "<script>alert"};
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *table = NULL;
    cleanup_free char *page = NULL;

    TRY(record(directory, "a", "passes", RESULT_PASSED, NULL, NULL, err));
    TRY(record(directory, "b", "fails", RESULT_FAILED, EVIL, NULL, err));
    TRY(write_report(directory, &table, NULL, err));
    TRY(read_page(directory, "report.html", &page, err));
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        CHECK(!strstr(page, outside[i]), "the page has %s", outside[i]);
    CHECK(strstr(page, "1 of 2 tests failed"), "no verdict");
    CHECK(strstr(page, "<div class=\"label\">nats</div>"), "no phase");
    CHECK(strstr(page, "data-result=\"failed\""), "no result");
    return 0;
}

FLEET_TEST(report, bundle_inside_the_report_is_linked)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *bundle = text_format("%s/bundles/b.fails", directory);
    cleanup_free char *table = NULL;
    cleanup_free char *page = NULL;

    TRY(record(directory, "b", "fails", RESULT_FAILED, "why", bundle, err));
    TRY(write_report(directory, &table, NULL, err));
    TRY(read_page(directory, "report.html", &page, err));
    CHECK(strstr(page, "<a href=\"bundles/b.fails/\">"), "no link to the bundle");
    return 0;
}

FLEET_TEST(report, clear_removes_what_an_earlier_run_left)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *records = text_format("%s/records", directory);
    cleanup_free char *page = text_format("%s/report.html", directory);
    cleanup_free char *table = NULL;

    TRY(record(directory, "a", "passes", RESULT_PASSED, NULL, NULL, err));
    TRY(write_report(directory, &table, NULL, err));
    TRY(report_clear(directory, err));
    CHECK(!file_exists(records), "the records are still there");
    CHECK(!file_exists(page), "the page is still there");
    TRY(report_clear(directory, err));
    return 0;
}

FLEET_TEST(report, what_is_kept_is_said_where_ctest_does_not_hide_it)
{
    cleanup_free char *directory = fresh_directory(test);
    cleanup_free char *path = text_format("%s/kept.txt", directory);
    cleanup_free char *said = NULL;
    size_t size;

    setenv("FLEET_E2E_REPORT", directory, 1);
    report_kept("one\n");
    report_kept("two\n");
    TRY(file_read(path, 100, &said, &size, err));
    CHECK(text_equal(said, "one\ntwo\n"), "%s", said);
    TRY(report_clear(directory, err));
    CHECK(!file_exists(path), "it is still there");
    return 0;
}

FLEET_TEST(report, markup_keeps_text_and_nothing_else)
{
    static const struct {
        const char *text, *markup;
    } cases[] = {
        {"plain", "plain"},
        {"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"},
        {"tab\tline\n", "tab\tline\n"},
        {"⠋ é 😀", "⠋ é 😀"},
        {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\033[1;31mred\033[0m", "red"},
        {"\033[", ""},
        {"bell\a", "bell\xef\xbf\xbd"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_text_buffer struct text_buffer buffer = {0};
        markup_add(&buffer, cases[i].text);
        CHECK(text_equal(text_buffer_text(&buffer), cases[i].markup), "case %zu: \"%s\"", i, text_buffer_text(&buffer));
    }
    return 0;
}
