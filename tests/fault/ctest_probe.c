/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/program.h"
#include "harness/session.h"
#include "harness/test.h"

/*
 * Tests with every outcome, run by a CTest of their own (test_ctest.c). Not written as FLEET_TEST lines, so that the
 * build's own CTest does not list them.
 */
#define PROBE FLEET_TEST

PROBE(probe, passes)
{
    return 0;
}

PROBE(probe, fails)
{
    CHECK(1 == 2, "one is not two");
    return 0;
}

PROBE(probe, fails_without_a_word)
{
    return -1;
}

/* Its gate is closed, and who opens it has no nats-server (test_ctest.c). */
PROBE(probe, is_skipped, .gate = "pod", NEEDS(CAPABILITY_NATS_SERVER))
{
    return 0;
}

PROBE(probe, crashes)
{
    raise(SIGSEGV);
    return 0;
}

PROBE(probe, is_killed)
{
    raise(SIGKILL);
    return 0;
}

PROBE(probe, exits)
{
    exit(0);
}

PROBE(probe, leaks)
{
    static char *volatile lost; /* volatile: the optimizer must not take the leak away */

    lost = malloc(4321);
    CHECK(lost != NULL, "malloc: %m");
    lost = NULL;
    return 0;
}

PROBE(probe, has_a_child_that_reports)
{
    static const char *const child[] = {"sh", "-c", "echo '==7==ERROR: AddressSanitizer: heap-use-after-free' >&2",
                                        NULL};
    CLEANUP(process_free) struct process *process = NULL;

    TRY(process_start(&(struct process_options){.argv = child}, &process, err));
    (void)!poll(&(struct pollfd){.fd = process_fd(process), .events = POLLIN}, 1, 10000);
    return 0;
}

/* Something outside this process: a directory and a process that ends only when PROBE_TETHER does. */
static int create_something(struct run *run, struct error *err)
{
    cleanup_free char *mark = run_mark(run, "stayer");
    cleanup_free char *directory = text_format("%s/made", run_directory(run));
    cleanup_free char *program = NULL;
    CLEANUP(process_free) struct process *stayer = NULL;

    if (program_find("fleet-harness-victim", &program, err) < 0 ||
        run_journal(run, RESOURCE_DIRECTORY, directory, err) < 0 || directory_create(directory, 0700, err) < 0 ||
        run_journal(run, RESOURCE_PROCESS, "stayer", err) < 0)
        return -1;
    const char *const argv[] = {program, "stay", getenv("PROBE_TETHER"), NULL};
    const char *const environment[] = {mark, NULL};
    /* With our standard output it would keep ctest waiting for the end of that. */
    cleanup_free char *log = text_format("%s/stayer.log", run_directory(run));
    struct process_options options = {.argv = argv, .environment = environment, .log_path = log};
    if (process_start(&options, &stayer, err) < 0)
        return -1;
    process_release(TAKE_PTR(stayer));
    return file_write_atomic(getenv("PROBE_UP"), "", 0, 0600, err);
}

PROBE(probe, hangs)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(create_something(run, err));
    for (;;)
        pause();
}

PROBE(probe, crashes_with_something)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *log = text_format("%s/agent.log", run_directory(run));
    TRY(file_write_atomic(log, "its last words\n", 15, 0600, err));
    TRY(create_something(run, err));
    raise(SIGSEGV);
    return 0;
}

PROBE(probe, begins_a_session)
{
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    TRY(run_start(&(struct run_options){.label = "session", .owner = session_owner()}, &run, err));
    TRY(create_something(run, err));
    return session_write(run, document, err);
}

PROBE(probe, sees_the_session)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    TRY(session_read(&document, err));
    CHECK(document != NULL, "there is no session");
    return 0;
}

PROBE(probe, ends_the_session)
{
    return session_end(err);
}
