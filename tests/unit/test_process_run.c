/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/support_process.h"

/* The children are the system's own programs; where a test needs one with a script, that is sh: the product never uses
 * one, here it only is a program that can be told what to do. */
#define ARGV(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define SCRIPT(...) ARGV("sh", "-c", __VA_ARGS__)

#define SOON deadline_in_ms(20000)

FLEET_TEST(process_run, keeps_what_was_written)
{
    struct process_options options = {.argv = SCRIPT("printf 'out\\n'; printf err >&2; exit 3")};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run(&options, SOON, &result, err));
    CHECK(result.exit_code == 3 && result.signal == 0, "it ended with %d/%d", result.exit_code, result.signal);
    CHECK(text_equal(result.output, "out\n") && result.output_size == 4, "output is %s", result.output);
    CHECK(text_equal(result.errors, "err"), "errors are %s", result.errors);
    CHECK(!result.truncated, "it is called truncated");
    return 0;
}

FLEET_TEST(process_run, gives_empty_texts_for_silence)
{
    struct process_options options = {.argv = ARGV("true")};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(result.exit_code == 0, "it ended with %d", result.exit_code);
    CHECK(text_equal(result.output, "") && text_equal(result.errors, ""), "it wrote %s", result.output);
    process_result_clear(&result);
    process_result_clear(&result);
    return 0;
}

FLEET_TEST(process_run, feeds_input)
{
    size_t size = 3u << 20;
    cleanup_free char *input = NEW_ARRAY(char, size);
    for (size_t i = 0; i < size; i++)
        input[i] = (char)('a' + i % 23);
    struct process_options options = {.argv = ARGV("cat"), .input = input, .input_size = size};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(result.output_size == size && memcmp(result.output, input, size) == 0, "%zu bytes came back",
          result.output_size);
    return 0;
}

FLEET_TEST(process_run, need_not_read_its_input)
{
    size_t size = 3u << 20;
    cleanup_free char *input = NEW_ARRAY(char, size);
    struct process_options options = {.argv = ARGV("true"), .input = input, .input_size = size};

    TRY(process_run_checked(&options, SOON, NULL, err));
    return 0;
}

FLEET_TEST(process_run, reads_nothing_when_given_nothing)
{
    struct process_options without = {.argv = ARGV("cat")};
    struct process_options empty = {.argv = ARGV("cat"), .input = "", .input_size = 0};
    cleanup_process_result struct process_result first = {0};
    cleanup_process_result struct process_result second = {0};

    TRY(process_run_checked(&without, SOON, &first, err));
    TRY(process_run_checked(&empty, SOON, &second, err));
    CHECK(first.output_size == 0 && second.output_size == 0, "it read something");
    return 0;
}

FLEET_TEST(process_run, output_may_hold_nul)
{
    struct process_options options = {.argv = ARGV("printf", "a\\0b")};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(result.output_size == 3 && memcmp(result.output, "a\0b", 4) == 0, "%zu bytes came", result.output_size);
    return 0;
}

FLEET_TEST(process_run, output_is_bounded)
{
    struct process_options options = {.argv = ARGV("head", "-c", "9000000", "/dev/zero")};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(result.truncated && result.output_size == PROCESS_OUTPUT_MAX, "%zu bytes were kept", result.output_size);
    return 0;
}

FLEET_TEST(process_run, failure_ends_with_its_last_words)
{
    struct process_options options = {.argv = SCRIPT("echo first >&2; echo 'Error: no such image' >&2; exit 125")};
    struct process_result result = {.exit_code = 4711};

    int failed = process_run_checked(&options, SOON, &result, err);
    CHECK(failed < 0 && error_is(err, &process_error_domain, PROCESS_EXITED), "it did not fail so");
    CHECK(text_equal(err->detail, "exit code 125: first; Error: no such image"), "the detail is %s", err->detail);
    CHECK(text_equal(err->subject, "sh"), "the subject is %s", err->subject);
    CHECK(result.exit_code == 4711, "a failed call must leave its result alone");
    error_clear(err);
    return 0;
}

FLEET_TEST(process_run, failure_shows_the_end_of_many_words)
{
    struct process_options options = {.argv = SCRIPT("seq 1 100000 >&2; exit 1")};

    int failed = process_run_checked(&options, SOON, NULL, err);
    CHECK(failed < 0 && text_ends_with(err->detail, "99999; 100000"), "the detail is %s", err->detail);
    CHECK(strlen(err->detail) < 2500, "the detail has %zu bytes", strlen(err->detail));
    error_clear(err);
    return 0;
}

FLEET_TEST(process_run, signals_are_told_apart)
{
    struct process_options options = {.argv = SCRIPT("kill -SEGV $$")};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run(&options, SOON, &result, err));
    CHECK(result.exit_code == -1 && result.signal == SIGSEGV, "it ended with %d/%d", result.exit_code, result.signal);
    int failed = process_run_checked(&options, SOON, NULL, err);
    CHECK(failed < 0 && error_is(err, &process_error_domain, PROCESS_SIGNALLED), "it did not fail so");
    CHECK(text_starts_with(err->detail, "ended by SIGSEGV"), "the detail is %s", err->detail);
    error_clear(err);
    return 0;
}

FLEET_TEST(process_run, is_killed_with_its_group_at_the_deadline)
{
    struct process_options options = {.argv = SCRIPT("trap '' TERM INT; sleep 1000 & echo \"began $!\" >&2; wait")};
    int64_t began = clock_monotonic_ms();

    int failed = process_run(&options, deadline_in_ms(300), &(struct process_result){0}, err);
    int64_t took = clock_monotonic_ms() - began;
    CHECK(failed < 0 && error_is(err, &process_error_domain, PROCESS_TIMED_OUT), "it did not fail so");
    CHECK(took >= 300 && took < 5000, "it took %lld ms", (long long)took);
    const char *words = strstr(err->detail, ": began ");
    CHECK(words, "the detail is %s", err->detail);
    pid_t grandchild = (pid_t)strtol(words + strlen(": began "), NULL, 10);
    error_clear(err);
    CHECK(grandchild > 1, "there is no grandchild");
    TRY(wait_until("the group to be gone", ask_process_ended, &grandchild, NULL, SOON, err));
    return 0;
}

FLEET_TEST(process_run, is_killed_while_it_floods)
{
    struct process_options options = {.argv = ARGV("cat", "/dev/zero")};

    CHECK_FAILS(process_run(&options, deadline_in_ms(100), &(struct process_result){0}, err), process_error_domain,
                PROCESS_TIMED_OUT);
    return 0;
}

FLEET_TEST(process_run, is_not_held_up_by_what_it_left_behind)
{
    struct process_options options = {.argv = SCRIPT("sleep 30 & echo $!")};
    cleanup_process_result struct process_result result = {0};
    int64_t began = clock_monotonic_ms();

    TRY(process_run_checked(&options, SOON, &result, err));
    int64_t took = clock_monotonic_ms() - began;
    pid_t left = (pid_t)strtol(result.output, NULL, 10);
    CHECK(left > 1 && kill(left, SIGKILL) == 0, "%s is not running", result.output);
    CHECK(took < 10000, "it took %lld ms", (long long)took);
    return 0;
}

enum { THREADS = 4, RUNS = 10 };

static void *run_many(void *context)
{
    for (int i = 0; i < RUNS; i++) {
        cleanup_error struct error failure = ERROR_INIT;
        cleanup_process_result struct process_result result = {0};
        struct process_options options = {.argv = ARGV("cat"), .input = "abc", .input_size = 3};
        if (process_run_checked(&options, SOON, &result, &failure) < 0 || !text_equal(result.output, "abc"))
            return context;
    }
    return NULL;
}

FLEET_TEST(process_run, runs_from_many_threads)
{
    pthread_t threads[THREADS];
    int failed = 0;

    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run_many, &failed) == 0, "no thread %d", i);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        failed += result != NULL;
    }
    CHECK(failed == 0, "%d threads failed", failed);
    return 0;
}
