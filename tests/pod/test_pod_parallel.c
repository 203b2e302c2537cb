/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/process.h"
#include "harness/program.h"
#include "harness/test.h"
#include "tests/pod/pod_scenario.h"

#define RUNS     2
#define WHOLE_MS 120000

/** A run of its own, from its cluster handle to its end, of everything between a CR and its status. */
static int start_run(struct process **ret, const char *log, struct error *err)
{
    /* BXFI_MAP is Criterion's own, for the process of a test: an executable of tests takes itself for one. */
    static const char *const no_session[] = {"FLEET_E2E_SESSION", "BXFI_MAP", NULL};
    cleanup_free char *program = NULL;

    if (program_find("test_pod_operator", &program, err) < 0)
        return -1;
    const char *const argv[] = {program, "--color=never", "--filter=pod/operator_finalizer_and_kv", NULL};
    const struct process_options options = {
        .argv = argv, .environment = no_session, .log_path = log, .die_with_parent = true};
    return process_start(&options, ret, err);
}

static int has_ended(void *context, struct text_buffer *state, struct error *err)
{
    (void)err;
    text_buffer_add(state, "it runs");
    return process_ended(context, NULL, NULL);
}

/** Exit code 0, in time. */
static int expect_success(struct process *process, struct error *err)
{
    const struct wait_options options = {.wake_fd = process_fd(process)};
    int exit_code = -1;

    TRY(wait_until("a run to end", has_ended, process, &options, deadline_in_ms(WHOLE_MS), err));
    CHECK(process_ended(process, &exit_code, NULL) && exit_code == 0, "exit code %d; its log is in the bundle",
          exit_code);
    return 0;
}

FLEET_TEST(pod, parallel_runs, .gate = "pod", POD_NEEDS)
{
    CLEANUP(process_free) struct process *first = NULL;
    CLEANUP(process_free) struct process *second = NULL;
    cleanup_free char *first_log = text_format("%s/first.log", test->artefacts);
    cleanup_free char *second_log = text_format("%s/second.log", test->artefacts);

    TRY(start_run(&first, first_log, err));
    TRY(start_run(&second, second_log, err));
    TRY(expect_success(first, err));
    TRY(expect_success(second, err));
    return 0;
}
