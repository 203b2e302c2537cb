/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "harness/report.h"
#include "harness/test_frame.h"

#ifdef FLEET_SANITIZED
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

/* Criterion runs every test in a process of its own, so there is one at most. */
static struct test_frame *current;

static void frame_clear(struct test_frame *frame)
{
    timeline_free(frame->context.timeline);
    free(frame->artefacts);
    run_release(frame->context.run);
    current = NULL;
}

static int frame_prepare(struct test_frame *frame, struct error *err)
{
    const struct test_definition *definition = frame->definition;
    cleanup_free char *records = text_format("%s/records", report_directory());
    cleanup_free char *record = text_format("%s/%s.%s.json", records, definition->suite, definition->name);

    if (directory_create(records, 0755, err) < 0 ||
        timeline_new(definition->suite, definition->name, record, &frame->context.timeline, err) < 0)
        return -1;
    frame->artefacts = test_bundle_path(definition, frame->process);
    frame->context.artefacts = frame->artefacts;
    return 0;
}

/* What a failed test leaves; called at the failure, while fixtures are up, and again after they came down. */
static void frame_collect(struct test_frame *frame)
{
    cleanup_error struct error ignored = ERROR_INIT;

    if (!frame->collected && frame->context.collect) {
        frame->collected = true;
        frame->context.collect(frame->context.collect_context, frame->artefacts);
    }
    if (frame->context.run && run_collect(frame->context.run, frame->artefacts, &ignored) < 0)
        fprintf(stderr, "collecting for %s: %s\n", frame->artefacts, error_root_detail(&ignored));
}

/* Called by every check that does not hold: the fixtures of the body are still up now. */
static void collect_at_failure(void)
{
    if (current && current->process == getpid())
        frame_collect(current);
}

static int end_run(struct test_frame *frame, struct error *err)
{
    struct run *run = TAKE_PTR(frame->context.run);

    return run ? run_finish(run, err) : 0;
}

static bool leaks_found(void)
{
#ifdef FLEET_SANITIZED
    /* Criterion reports the result before the process ends, when LeakSanitizer would look: it would come too late. */
    return __lsan_do_recoverable_leak_check() != 0;
#else
    return false;
#endif
}

/* Returns the text to fail with, NULL: passed. */
static char *run_body(struct test_frame *frame)
{
    cleanup_error struct error err = ERROR_INIT;

    if (directory_create(frame->artefacts, 0755, &err) < 0)
        return error_text(&err);
    frame->context.run = NULL;
    current = frame;
    int result = frame->definition->body(&frame->context, &err);
    if (result < 0 && !error_is_set(&err))
        error_set(&err, &check_error_domain, 1, "body", frame->definition->name, "failed and set no error");
    if (result >= 0 && error_is_set(&err)) /* a handled failure was not cleared: the next one could not be reported */
        error_wrap(&err, "body returned success with an error set", frame->definition->name);
    if (error_is_set(&err))
        frame_collect(frame);
    current = NULL;
    cleanup_error struct error end = ERROR_INIT;
    if (end_run(frame, &end) < 0) {
        error_wrap(&end, "ending the run of", frame->definition->name);
        cleanup_free char *text = error_text(&end);
        if (error_is_set(&err))
            fprintf(stderr, "%s\n", text);
        else
            error_move(&err, &end);
    }
    if (!error_is_set(&err) && leaks_found())
        error_set(&err, &check_error_domain, 1, "LeakSanitizer", NULL, "memory was leaked, see its report above");
    return error_is_set(&err) ? error_text(&err) : NULL;
}

static void close_record(const struct test_frame *frame, enum test_result result, const char *message)
{
    cleanup_error struct error err = ERROR_INIT;
    const char *bundle = result == RESULT_FAILED && file_exists(frame->artefacts) ? frame->artefacts : NULL;

    if (timeline_finish(frame->context.timeline, result, message, bundle, &err) < 0)
        fprintf(stderr, "closing the record: %s\n", error_root_detail(&err));
}

/* Gate and capabilities are there: run the body and judge it. Returns as test_execute. */
static char *judge(struct test_frame *frame)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *failure = run_body(frame);

    if (!failure) {
        close_record(frame, RESULT_PASSED, NULL);
        if (directory_remove(frame->artefacts, &err) < 0)
            return error_text(&err);
        return NULL;
    }
    test_bundle_write(frame->artefacts, failure, frame->context.timeline);
    close_record(frame, RESULT_FAILED, failure);
    return text_format("%s\nbundle: %s", failure, frame->artefacts);
}

/*
 * A body (or what it calls) that calls exit(0) would pass in Criterion's eyes. Children that the body forks inherit
 * this handler, hence the comparison.
 */
static void refuse_exit(void)
{
    static const char failure[] = "the test body called exit()";

    if (!current || current->process != getpid())
        return;
    test_bundle_write(current->artefacts, failure, current->context.timeline);
    close_record(current, RESULT_FAILED, failure);
    fprintf(stderr, "%s\nbundle: %s\n", failure, current->artefacts);
    _exit(EXIT_FAILURE);
}

#ifdef FLEET_SANITIZED
/* Called when a sanitizer ends the process. */
static void say_where_the_bundle_is(void)
{
    if (current && current->process == getpid())
        fprintf(stderr, "bundle: %s\n", current->artefacts);
}
#endif

static void watch_the_end(void)
{
    atexit(refuse_exit);
#ifdef FLEET_SANITIZED
    __sanitizer_set_death_callback(say_where_the_bundle_is);
#endif
}

char *test_execute(const struct test_definition *definition, bool *skipped)
{
    struct test_frame frame = {
        .definition = definition,
        .process = getpid(),
        .context = {.suite = definition->suite, .name = definition->name},
    };
    cleanup_error struct error err = ERROR_INIT;
    char *failure = NULL;

    *skipped = false;
    watch_the_end();
    if (frame_prepare(&frame, &err) < 0) {
        frame_clear(&frame);
        return error_text(&err);
    }
    cleanup_free char *gap = test_find_gap(definition);
    if (!gap) {
        failure = judge(&frame);
    } else if (test_is_required(definition)) {
        failure = text_format("required by FLEET_E2E_REQUIRE: %s", gap);
        close_record(&frame, RESULT_FAILED, failure);
    } else {
        printf("FLEET_SKIPPED: %s.%s: %s\n", definition->suite, definition->name, gap);
        fflush(stdout);
        close_record(&frame, RESULT_SKIPPED, gap);
        *skipped = true;
    }
    frame_clear(&frame);
    return failure;
}

int test_run(struct test_context *test, struct run **ret, struct error *err)
{
    cleanup_free char *label = text_format("%s.%s", test->suite, test->name);
    struct run_options options = {.label = label, .bundle = test->artefacts, .follow_parents = true};

    if (!test->run && run_start(&options, &test->run, err) < 0)
        return -1;
    *ret = test->run;
    return 0;
}

static const char *check_code_name(int code)
{
    return code == 1 ? "check-failed" : "unknown";
}
const struct error_domain check_error_domain = {"check", check_code_name};

int test_check_failed(struct error *err, const char *file, int line, const char *condition, const char *format, ...)
{
    cleanup_free char *place = text_format("%s:%d", file, line);
    cleanup_free char *before = error_is_set(err) ? error_text(err) : NULL;
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *explanation = text_format_v(format, arguments);
    va_end(arguments);
    error_clear(err);
    error_set(err, &check_error_domain, 1, place, NULL, "%s (%s)%s%s", explanation, condition,
              before ? "; error: " : "", before ? before : "");
    collect_at_failure();
    return -1;
}

int test_call_failed(struct error *err, const char *file, int line, const char *call)
{
    cleanup_free char *place = text_format("%s:%d:", file, line);

    if (error_is_set(err))
        error_wrap(err, place, call);
    else
        error_set(err, &check_error_domain, 1, place, call, "failed and set no error");
    collect_at_failure();
    return -1;
}

int test_expect_failure(int result, struct error *err, const struct error_domain *domain, int code, const char *file,
                        int line, const char *call)
{
    if (result < 0 && error_is(err, domain, code)) {
        error_clear(err);
        return 0;
    }
    cleanup_free char *wanted = text_format("%s/%s", domain->name, domain->code_name(code));
    if (result >= 0)
        return test_check_failed(err, file, line, call, "should have failed with %s", wanted);
    cleanup_free char *got = error_is_set(err)
                                 ? text_format("%s/%s", err->domain->name, err->domain->code_name(err->code))
                                 : text_copy("no error set");
    return test_check_failed(err, file, line, call, "should have failed with %s, not %s", wanted, got);
}
