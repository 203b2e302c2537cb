/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/phase.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "harness/test.h"

static int read_record(const char *path, cJSON **ret, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size = 0;

    if (file_read(path, 1 << 20, &data, &size, err) < 0)
        return -1;
    return json_parse(data, size, ret, err);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "(absent)";
}

static const cJSON *phase_of(const cJSON *object, int index)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "phases"), index);
}

FLEET_TEST(phase, records_what_is_nested)
{
    cleanup_free char *path = text_format("%s/record.json", test->artefacts);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    CLEANUP(cJSON_Delete) cJSON *record = NULL;

    TRY(timeline_new("suite", "name", path, &timeline, err));
    struct phase *outer = phase_begin(timeline, "bring-up");
    phase_end(phase_begin(timeline, "nats"), NULL);
    phase_end(phase_begin(timeline, "agent"), NULL);
    phase_end(outer, NULL);
    phase_end(phase_begin(timeline, "ping"), NULL);
    TRY(timeline_finish(timeline, RESULT_PASSED, NULL, NULL, err));
    TRY(read_record(path, &record, err));

    CHECK(text_equal(text_of(record, "suite"), "suite"), "suite %s", text_of(record, "suite"));
    CHECK(text_equal(text_of(record, "result"), "passed"), "result %s", text_of(record, "result"));
    CHECK(text_equal(text_of(phase_of(record, 0), "name"), "bring-up"), "first phase");
    CHECK(text_equal(text_of(phase_of(phase_of(record, 0), 1), "name"), "agent"), "second inside the first");
    CHECK(text_equal(text_of(phase_of(record, 1), "name"), "ping"), "second phase");
    CHECK(!phase_of(phase_of(record, 0), 2), "ping is not inside bring-up");
    return 0;
}

FLEET_TEST(phase, table_has_every_phase_indented)
{
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    TRY(timeline_new("suite", "name", NULL, &timeline, err));
    struct phase *outer = phase_begin(timeline, "bring-up");
    phase_end(phase_begin(timeline, "nats"), NULL);
    phase_end(outer, NULL);
    cleanup_free char *table = timeline_table(timeline);
    CHECK(strstr(table, "\nbring-up  "), "no outer phase in:\n%s", table);
    CHECK(strstr(table, "\n  nats  "), "no inner phase in:\n%s", table);
    CHECK(strstr(table, "\ntotal"), "no total in:\n%s", table);
    return 0;
}

FLEET_TEST(phase, ending_the_outer_ends_the_inner)
{
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    TRY(timeline_new("suite", "name", NULL, &timeline, err));
    struct phase *outer = phase_begin(timeline, "outer");
    struct phase *inner = phase_begin(timeline, "inner");
    phase_end(outer, NULL);
    phase_end(inner, NULL); /* too late, and harmless */
    struct phase *next = phase_begin(timeline, "next");
    cleanup_free char *table = timeline_table(timeline);
    CHECK(strstr(table, "\nnext  "), "next is inside something:\n%s", table);
    phase_end(next, NULL);
    return 0;
}

FLEET_TEST(phase, failure_is_kept)
{
    cleanup_free char *path = text_format("%s/record.json", test->artefacts);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    CLEANUP(cJSON_Delete) cJSON *record = NULL;
    cleanup_error struct error failure = ERROR_INIT;

    TRY(timeline_new("suite", "name", path, &timeline, err));
    struct phase *phase = phase_begin(timeline, "nats");
    error_set(&failure, &general_error_domain, GENERAL_TIMEOUT, "waiting for", "nats", "nothing listens");
    phase_end(phase, &failure);
    phase_begin(timeline, "left open by an early return");
    TRY(timeline_finish(timeline, RESULT_FAILED, "it \"broke\"", "/tmp/bundle", err));
    TRY(read_record(path, &record, err));

    CHECK(text_equal(text_of(phase_of(record, 0), "failure"), "waiting for nats: nothing listens"), "first: %s",
          text_of(phase_of(record, 0), "failure"));
    CHECK(text_equal(text_of(phase_of(record, 1), "failure"), "it \"broke\""), "open: %s",
          text_of(phase_of(record, 1), "failure"));
    CHECK(text_equal(text_of(record, "message"), "it \"broke\""), "message: %s", text_of(record, "message"));
    CHECK(text_equal(text_of(record, "bundle"), "/tmp/bundle"), "bundle: %s", text_of(record, "bundle"));
    return 0;
}

FLEET_TEST(phase, none_is_fine)
{
    CHECK(phase_begin(NULL, "nothing") == NULL, "a phase of no timeline");
    phase_end(NULL, NULL);
    CHECK(phase_ms(NULL) == 0, "no phase took time");
    timeline_free(NULL);
    return 0;
}

FLEET_TEST(phase, a_record_that_cannot_be_written_says_so)
{
    struct timeline *timeline = NULL;

    CHECK_FAILS(timeline_new("suite", "name", "/proc/nowhere/record.json", &timeline, err), system_error_domain,
                ENOENT);
    CHECK(!timeline, "a timeline was made all the same");
    return 0;
}

/* In a child that then dies without a word, as a crashed test does. */
static void crash_inside_a_phase(const char *path)
{
    cleanup_error struct error err = ERROR_INIT;
    struct timeline *timeline = NULL;

    if (timeline_new("suite", "crashes", path, &timeline, &err) < 0)
        _exit(1);
    phase_end(phase_begin(timeline, "well"), NULL);
    phase_begin(timeline, "doomed");
    kill(getpid(), SIGKILL);
}

FLEET_TEST(phase, a_crash_leaves_the_truth)
{
    cleanup_free char *path = text_format("%s/record.json", test->artefacts);
    CLEANUP(cJSON_Delete) cJSON *record = NULL;

    pid_t child = fork();
    if (child == 0)
        crash_inside_a_phase(path);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "status %x", (unsigned int)status);
    TRY(read_record(path, &record, err));
    CHECK(text_equal(text_of(record, "result"), "running"), "result %s", text_of(record, "result"));
    CHECK(cJSON_HasObjectItem(phase_of(record, 0), "duration_us"), "the first phase ended");
    CHECK(text_equal(text_of(phase_of(record, 1), "name"), "doomed"), "no second phase");
    CHECK(!cJSON_HasObjectItem(phase_of(record, 1), "duration_us"), "the second phase never ended");
    return 0;
}

/* What a person sees */

static void show_phases(void)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_error struct error failure = ERROR_INIT;
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    if (timeline_new("suite", "name", NULL, &timeline, &err) < 0)
        return;
    struct phase *outer = phase_begin(timeline, "bring-up");
    phase_end(phase_begin(timeline, "nats"), NULL);
    struct phase *inner = phase_begin(timeline, "agent");
    error_set(&failure, &general_error_domain, GENERAL_FAILED, "starting", "agent", "no such program");
    phase_end(inner, &failure);
    phase_end(outer, &failure);
}

/* Everything that comes out of `fd` until its writers are gone (a terminal then gives EIO). */
static char *read_to_end(int fd)
{
    struct text_buffer text = {0};
    char block[4096];
    ssize_t size;

    while ((size = read(fd, block, sizeof(block))) > 0)
        text_buffer_append(&text, block, (size_t)size);
    return text_buffer_take(&text);
}

FLEET_TEST(phase, one_line_each_on_a_pipe)
{
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: %m");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        show_phases();
        _exit(0);
    }
    close(ends[1]);
    cleanup_close int reader = ends[0];
    cleanup_free char *output = read_to_end(reader);
    waitpid(child, NULL, 0);
    CHECK(strstr(output, " s  bring-up / nats\n"), "%s", output);
    CHECK(strstr(output, " s  bring-up / agent  failed: starting agent: no such program\n"), "%s", output);
    CHECK(strstr(output, " s  bring-up  failed\n"), "%s", output);
    CHECK(!strchr(output, '\033'), "an escape sequence on a pipe: %s", output);
    return 0;
}

FLEET_TEST(phase, a_moving_line_on_a_terminal)
{
    int terminal = -1;

    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    CHECK(child >= 0, "forkpty: %m");
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        setenv("LC_ALL", "C", 1);
        unsetenv("NO_COLOR");
        show_phases();
        _exit(0);
    }
    cleanup_close int reader = terminal;
    cleanup_free char *output = read_to_end(reader);
    waitpid(child, NULL, 0);
    CHECK(strstr(output, "\r\033[K> \033[1mbring-up\033[0m\r\n"), "no heading: %s", output);
    CHECK(strstr(output, "\r\033[K  - nats  0.0 s\r") || strstr(output, "nats  0.0 s\r"), "no moving line: %s", output);
    CHECK(strstr(output, "  \033[32m+\033[0m nats"), "nats did not end well: %s", output);
    CHECK(strstr(output, "starting agent: no such program"), "no failure: %s", output);
    return 0;
}

FLEET_TEST(phase, takes_down_what_another_thread_timed)
{
    cleanup_free char *path = text_format("%s/record.json", test->artefacts);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    CLEANUP(cJSON_Delete) cJSON *record = NULL;

    TRY(timeline_new("suite", "name", path, &timeline, err));
    struct phase *outer = phase_begin(timeline, "devices");
    int64_t now_us = clock_monotonic_us();
    phase_add(timeline, "restore", now_us - 3000, now_us - 1000, NULL);
    phase_add(timeline, "log in", now_us - 1000, now_us, "refused");
    phase_end(outer, NULL);
    TRY(timeline_finish(timeline, RESULT_PASSED, NULL, NULL, err));
    TRY(read_record(path, &record, err));

    const cJSON *restore = phase_of(phase_of(record, 0), 0);
    const cJSON *log_in = phase_of(phase_of(record, 0), 1);
    const cJSON *duration = cJSON_GetObjectItemCaseSensitive(restore, "duration_us");
    CHECK(text_equal(text_of(restore, "name"), "restore"), "the first inside is %s", text_of(restore, "name"));
    CHECK(cJSON_GetNumberValue(duration) == 2000, "it took %g us", cJSON_GetNumberValue(duration));
    CHECK(text_equal(text_of(log_in, "failure"), "refused"), "its failure is %s", text_of(log_in, "failure"));
    CHECK(!phase_of(record, 1), "something is beside the outer phase");
    phase_add(NULL, "nobody's", 0, 0, NULL);
    return 0;
}
