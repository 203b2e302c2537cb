/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/program.h"
#include "harness/test.h"
#include "tests/fault/leftovers.h"

#define CTEST_MS 60000
#define GONE_MS  10000

/* A real ctest over the tests of ctest_probe.c, with runs, session and report of its own. */
struct probe {
    char *directory;
    char *runs;
    char *up; /* the file a probe makes once it has something to lose */
    int tether;
    struct text_list environment;
};

static void probe_clear(struct probe *probe)
{
    close_fd(probe->tether);
    text_list_clear(&probe->environment);
    free(probe->directory);
    free(probe->runs);
    free(probe->up);
}
#define cleanup_probe __attribute__((cleanup(probe_clear)))

static int probe_prepare(struct test_context *test, struct probe *probe, struct error *err)
{
    struct run *outer = NULL;

    unsetenv("BXFI_MAP"); /* Criterion's own, for the process of a test: an executable of tests takes itself for one */
    if (test_run(test, &outer, err) < 0 || run_journal(outer, RESOURCE_PROCESS, "ctest", err) < 0)
        return -1;
    probe->directory = text_format("%s/probe", run_directory(outer));
    probe->runs = text_format("%s/runs", probe->directory);
    probe->up = text_format("%s/up", probe->directory);
    cleanup_free char *tether = text_format("%s/tether", probe->directory);
    /* A CTest directory of this test's own: others of its kind may run at the same time. */
    static const char include[] = "include(\"" FLEET_PROBE_DIRECTORY "/CTestTestfile.cmake\")\n";
    cleanup_free char *list_path = text_format("%s/CTestTestfile.cmake", probe->directory);
    if (directory_create(probe->directory, 0700, err) < 0 ||
        file_write_atomic(list_path, include, sizeof(include) - 1, 0600, err) < 0)
        return -1;
    if (mkfifo(tether, 0600) < 0 || (probe->tether = open(tether, O_RDWR | O_CLOEXEC)) < 0)
        return error_set_errno(err, errno, "making", tether);
    struct text_list *list = &probe->environment;
    text_list_take(list, run_mark(outer, "ctest"));
    text_list_format(list, "FLEET_E2E_RUNS=%s", probe->runs);
    text_list_format(list, "FLEET_E2E_SESSION=%s/session.json", probe->directory);
    text_list_format(list, "FLEET_E2E_REPORT=%s/report", probe->directory);
    text_list_format(list, "PROBE_TETHER=%s", tether);
    text_list_format(list, "PROBE_UP=%s", probe->up);
    text_list_add(list, "FLEET_NATS_SERVER=/nowhere/nats-server");
    for (size_t i = 0; i < 4; i++)
        text_list_add(list, (const char *[]){"HARMONY_FLEET_E2E=", "FLEET_E2E_REQUIRE=", "FLEET_E2E_KEEP=",
                                             "CTEST_OUTPUT_ON_FAILURE=1"}[i]);
    return 0;
}

/* Run the probes that match `expression` to the end. */
static int probe_run(struct probe *probe, const char *expression, const char *variable, struct process_result *ret,
                     struct error *err)
{
    const char *const argv[] = {"ctest", "--test-dir", probe->directory, "-R", expression, NULL};

    if (variable)
        text_list_add(&probe->environment, variable);
    struct process_options options = {.argv = argv, .environment = (const char *const *)probe->environment.items};
    return process_run(&options, deadline_in_ms(CTEST_MS), ret, err);
}

/* Start the probe that hangs and wait until it has something to lose. */
static int is_up(void *context, struct text_buffer *state, struct error *err)
{
    const struct probe *probe = context;

    (void)err;
    text_buffer_format(state, "no %s", probe->up);
    return file_exists(probe->up);
}

static int probe_start_hanging(struct probe *probe, struct process **ret, struct error *err)
{
    const char *const argv[] = {"ctest", "--test-dir", probe->directory, "-R", "^probe.hangs$", NULL};
    cleanup_free char *log = text_format("%s/ctest.log", probe->directory);
    struct process_options options = {.argv = argv,
                                      .environment = (const char *const *)probe->environment.items,
                                      .log_path = log,
                                      .new_session = true};

    if (process_start(&options, ret, err) < 0)
        return -1;
    return wait_until("the probe to hang", is_up, probe, NULL, deadline_in_ms(GONE_MS), err);
}

static int nothing_is_left(void *context, struct text_buffer *state, struct error *err)
{
    const struct probe *probe = context;
    const struct leftovers of_probe = {.runs_directory = probe->runs}; /* probes make no control groups */

    return leftovers_find(&of_probe, state, err) < 0 ? -1 : state->size == 0;
}

static int probe_wait_gone(struct probe *probe, struct error *err)
{
    return wait_until("everything of the ctest to be gone", nothing_is_left, probe, NULL, deadline_in_ms(GONE_MS), err);
}

/* How CTest shows the test in its list: the words after its name. Caller frees; "" when it is not listed. */
static char *shown(const char *output, const char *name)
{
    cleanup_free char *listed = text_format(": probe.%s ", name);
    const char *at = strstr(output, listed);

    if (!at)
        return text_copy("");
    at += strlen(listed);
    at += strspn(at, ".");
    return text_copy_n(at, strcspn(at, "\n"));
}

FLEET_TEST(ctest, shows_every_outcome_as_it_is, .gate = "host")
{
    static const struct {
        const char *name;
        const char *outcome;
    } expected[] = {
        {"passes", "   Passed"},
        {"fails", "***Failed"},
        {"fails_without_a_word", "***Failed"},
        {"is_skipped", "***Skipped"},
        {"crashes", "***Failed"},
        {"is_killed", "***Failed"},
        {"exits", "***Failed"},
        {"has_a_child_that_reports", "***Failed"},
        {"that_does_not_exist", "***Failed"},
#ifdef FLEET_SANITIZED
        {"leaks", "***Failed"},
#endif
    };
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.(passes|fails|is_|crashes$|exits|leaks|has_|that_)", NULL, &result, err));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        cleanup_free char *outcome = shown(result.output, expected[i].name);
        CHECK(strstr(outcome, expected[i].outcome), "%s is shown as \"%s\", should be %s", expected[i].name, outcome,
              expected[i].outcome);
        cleanup_free char *bundle =
            text_format("bundle: %s/report/bundles/probe.%s-", probe.directory, expected[i].name);
        CHECK(!strstr(expected[i].outcome, "Failed") || text_equal(expected[i].name, "that_does_not_exist") ||
                  text_equal(expected[i].name, "has_a_child_that_reports") || strstr(result.output, bundle),
              "the bundle of %s is not shown", expected[i].name);
    }
    CHECK(strstr(result.output, "one is not two"), "the failure's text is not shown");
    CHECK(result.exit_code != 0, "ctest reports success");
    return probe_wait_gone(&probe, err);
}

FLEET_TEST(ctest, fails_a_required_test_that_cannot_run, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.is_skipped$", "FLEET_E2E_REQUIRE=host,pod", &result, err));
    cleanup_free char *outcome = shown(result.output, "is_skipped");
    CHECK(strstr(outcome, "***Failed"), "it is shown as \"%s\"", outcome);
    CHECK(strstr(result.output, "or set FLEET_NATS_SERVER to"), "the remedy is not shown");
    return 0;
}

FLEET_TEST(ctest, leaves_nothing_after_a_crash_but_the_bundle, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.crashes_with_something$", NULL, &result, err));
    TRY(probe_wait_gone(&probe, err));
    cleanup_free char *directory = text_format("%s/report/bundles", probe.directory);
    cleanup_process_result struct process_result found = {0};
    const char *const list[] = {"find", directory, "-name", "agent.log", NULL};
    TRY(process_run_checked(&(struct process_options){.argv = list}, deadline_in_ms(GONE_MS), &found, err));
    CHECK(strstr(found.output, "/logs/agent.log"), "the log was not saved: %s", found.output);
    return 0;
}

FLEET_TEST(ctest, time_out_leaves_nothing, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.hangs_too_long$", NULL, &result, err));
    cleanup_free char *outcome = shown(result.output, "hangs_too_long");
    CHECK(strstr(outcome, "***Timeout"), "it is shown as \"%s\"", outcome);
    CHECK(file_exists(probe.up), "the probe made nothing");
    return probe_wait_gone(&probe, err);
}

FLEET_TEST(ctest, interrupted_leaves_nothing, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    CLEANUP(process_free) struct process *ctest = NULL;

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_start_hanging(&probe, &ctest, err));
    CHECK(kill(-process_pid(ctest), SIGINT) == 0, "kill: %m"); /* what Ctrl-C does */
    CHECK(poll(&(struct pollfd){.fd = process_fd(ctest), .events = POLLIN}, 1, GONE_MS) == 1, "ctest goes on");
    return probe_wait_gone(&probe, err);
}

FLEET_TEST(ctest, killed_leaves_nothing, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    CLEANUP(process_free) struct process *ctest = NULL;

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_start_hanging(&probe, &ctest, err));
    TRY(process_signal(ctest, SIGKILL, err)); /* it alone: the test goes on, until its reaper ends it */
    return probe_wait_gone(&probe, err);
}

FLEET_TEST(ctest, ends_the_session_it_owned, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.(begins_a|sees_the)_session$", NULL, &result, err));
    CHECK(result.exit_code == 0, "ctest says: %s", result.output);
    CHECK(file_exists(probe.up), "the probe made nothing");
    return probe_wait_gone(&probe, err);
}

FLEET_TEST(ctest, ends_a_session_by_its_cleanup_test, .gate = "host")
{
    cleanup_probe struct probe probe = {.tether = -1};
    cleanup_process_result struct process_result result = {0};

    TRY(probe_prepare(test, &probe, err));
    TRY(probe_run(&probe, "^probe.[a-z]*_(a|the)_session$", NULL, &result, err));
    CHECK(result.exit_code == 0, "ctest says: %s", result.output);
    cleanup_text_buffer struct text_buffer left = {0};
    CHECK(nothing_is_left(&probe, &left, err) == 1, "there is still %s", text_buffer_text(&left));
    return 0;
}
