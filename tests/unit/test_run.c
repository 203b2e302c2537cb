/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/journal.h"
#include "harness/place.h"
#include "harness/test.h"
#include "tests/unit/support_run.h"

FLEET_TEST(run, leaves_nothing_when_finished)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *directory = text_copy(run_directory(run));
    cleanup_free char *below = text_format("%s/made", directory);
    CHECK(run_id_is_valid(run_id(run)), "id is %s", run_id(run));
    TRY(run_journal(run, RESOURCE_DIRECTORY, below, err));
    TRY(directory_create(below, 0700, err));
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(!file_exists(directory), "%s is still there", directory);
    return 0;
}

FLEET_TEST(run, undoes_one_resource_at_once)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *below = text_format("%s/made", run_directory(run));
    TRY(run_journal(run, RESOURCE_DIRECTORY, below, err));
    TRY(directory_create(below, 0700, err));
    TRY(run_undo(run, RESOURCE_DIRECTORY, below, err));
    CHECK(!file_exists(below), "%s is still there", below);
    TRY(run_undo(run, RESOURCE_DIRECTORY, below, err)); /* twice is fine */
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(run, ends_the_processes_it_journalled)
{
    static const char *const sleeper[] = {"sleep", "600", NULL};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(process_free) struct process *marked = NULL;
    CLEANUP(process_free) struct process *other = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *mark = run_mark(run, "sleeper");
    cleanup_free char *longer = run_mark(run, "sleeper-of-another-name");
    TRY(run_journal(run, RESOURCE_PROCESS, "sleeper", err));
    TRY(process_start(&(struct process_options){.argv = sleeper, .environment = (const char *[]){mark, NULL}}, &marked,
                      err));
    TRY(process_start(&(struct process_options){.argv = sleeper, .environment = (const char *[]){longer, NULL}}, &other,
                      err));
    TRY(run_undo(run, RESOURCE_PROCESS, "sleeper", err));
    CHECK(process_ended(marked, NULL, NULL), "the marked process runs on");
    CHECK(!process_ended(other, NULL, NULL), "a process with a longer mark was ended too");
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(process_ended(other, NULL, NULL), "a process of the run that was never journalled outlived it");
    return 0;
}

FLEET_TEST(run, refuses_directories_that_are_not_its_own)
{
    static const char *const refused[] = {"/", "/root",       "/home",       "/tmp",      "/etc/fleet-e2e", "relative",
                                          "",  "/tmp/../etc", "/tmp//fleet", "/usr/lib/", "/tmp/a/./b"};
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        CHECK_FAILS(run_journal(run, RESOURCE_DIRECTORY, refused[i], err), general_error_domain, GENERAL_INVALID);
        CHECK_FAILS(run_undo(run, RESOURCE_PODMAN_STORAGE, refused[i], err), general_error_domain, GENERAL_INVALID);
    }
    CHECK_FAILS(run_journal(run, RESOURCE_DIRECTORY, run_directory(run), err), general_error_domain, GENERAL_INVALID);
    cleanup_free char *up = text_format("%s/../x", run_directory(run));
    CHECK_FAILS(run_journal(run, RESOURCE_DIRECTORY, up, err), general_error_domain, GENERAL_INVALID);
    cleanup_free char *link = text_format("%s/link", run_directory(run));
    cleanup_free char *through = text_format("%s/victim", link);
    CHECK(symlink(test->artefacts, link) == 0, "symlink: %m");
    CHECK_FAILS(run_journal(run, RESOURCE_DIRECTORY, through, err), general_error_domain, GENERAL_INVALID);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(run, refuses_names_of_others)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    CHECK_FAILS(run_journal(run, RESOURCE_CGROUP, "system.slice", err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(run_journal(run, RESOURCE_CGROUP, "fleet-e2e-", err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(run_journal(run, RESOURCE_CGROUP, "fleet-e2e-x/../..", err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(run_journal(run, RESOURCE_PROCESS, "", err), general_error_domain, GENERAL_INVALID);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(run, never_follows_links_out_of_a_directory)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *outside = text_format("%s/precious", test->artefacts);
    cleanup_free char *below = text_format("%s/made", run_directory(run));
    cleanup_free char *link = text_format("%s/link", below);
    TRY(file_write_atomic(outside, "x", 1, 0600, err));
    TRY(run_journal(run, RESOURCE_DIRECTORY, below, err));
    TRY(directory_create(below, 0700, err));
    CHECK(symlink(test->artefacts, link) == 0, "symlink: %m");
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(file_exists(outside), "a file outside the run was removed through a link");
    return 0;
}

FLEET_TEST(run, refuses_a_runs_directory_that_others_control)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_runs(test, err));
    cleanup_free char *link = text_format("%s/link", test->artefacts);
    CHECK(symlink(test->artefacts, link) == 0, "symlink: %m");
    setenv("FLEET_E2E_RUNS", link, 1);
    CHECK_FAILS(run_start(&(struct run_options){.label = "unit"}, &run, err), general_error_domain, GENERAL_INVALID);
    setenv("FLEET_E2E_RUNS", "/", 1);
    CHECK_FAILS(run_start(&(struct run_options){.label = "unit"}, &run, err), general_error_domain, GENERAL_INVALID);
    setenv("FLEET_E2E_RUNS", "runs", 1);
    CHECK_FAILS(run_start(&(struct run_options){.label = "unit"}, &run, err), general_error_domain, GENERAL_INVALID);
    return 0;
}

FLEET_TEST(run, closes_its_directory_to_others)
{
    struct stat status;

    TRY(support_private_runs(test, err));
    TRY(directory_create(runs_directory(), 0777, err));
    CLEANUP(run_release) struct run *run = NULL;
    TRY(run_start(&(struct run_options){.label = "unit"}, &run, err));
    CHECK(stat(runs_directory(), &status) == 0 && (status.st_mode & 0777) == 0700, "mode is %o", status.st_mode);
    CHECK(stat(run_directory(run), &status) == 0 && (status.st_mode & 0777) == 0700, "mode is %o", status.st_mode);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(run, is_shared_by_opening_it)
{
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(run_release) struct run *opened = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *directory = text_copy(run_directory(run));
    cleanup_free char *below = text_format("%s/made", directory);
    TRY(run_open(directory, &opened, err));
    CHECK(text_equal(run_id(run), run_id(opened)), "%s is not %s", run_id(opened), run_id(run));
    TRY(run_journal(opened, RESOURCE_DIRECTORY, below, err));
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK_FAILS(run_journal(opened, RESOURCE_DIRECTORY, below, err), general_error_domain, GENERAL_NOT_FOUND);
    run_release(TAKE_PTR(opened));
    CHECK_FAILS(run_open(directory, &opened, err), general_error_domain, GENERAL_NOT_FOUND);
    return 0;
}

FLEET_TEST(run, says_when_its_owner_is_already_gone)
{
    static const char *const nothing[] = {"true", NULL};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(process_free) struct process *ended = NULL;

    TRY(support_private_runs(test, err));
    TRY(process_start(&(struct process_options){.argv = nothing}, &ended, err));
    pid_t gone = process_pid(ended);
    TRY(process_stop(ended, SIGKILL, deadline_in_ms(5000), NULL, err));
    CHECK_FAILS(run_start(&(struct run_options){.label = "unit", .owner = gone}, &run, err), system_error_domain,
                ESRCH);
    return 0;
}

FLEET_TEST(run, prunes_no_live_run)
{
    CLEANUP(run_release) struct run *run = NULL;
    int undone = -1;

    TRY(support_private_run(test, &run, err));
    TRY(runs_prune(&undone, err));
    CHECK(undone == 0, "%d runs were pruned", undone);
    CHECK(file_exists(run_directory(run)), "the live run was pruned");
    CHECK_FAILS(runs_down(run_id(run), err), general_error_domain, GENERAL_CONFLICT);
    TRY(runs_down(NULL, err));
    CHECK(file_exists(run_directory(run)), "the live run was taken down");
    CHECK_FAILS(runs_down("fleet-e2e-00000000", err), general_error_domain, GENERAL_NOT_FOUND);
    CHECK_FAILS(runs_down("../../etc", err), general_error_domain, GENERAL_NOT_FOUND);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(run, prunes_a_directory_that_never_began)
{
    int undone = 0;

    TRY(support_private_runs(test, err));
    cleanup_free char *begun = text_format("%s/fleet-e2e-0badcafe", runs_directory());
    cleanup_free char *other = text_format("%s/somebody-elses", runs_directory());
    TRY(directory_create(begun, 0700, err));
    TRY(directory_create(other, 0700, err));
    TRY(runs_prune(&undone, err));
    CHECK(undone == 1 && !file_exists(begun), "it is still there, %d were pruned", undone);
    CHECK(file_exists(other), "a directory that is no run was removed");
    return 0;
}

/* For those who find something of a run elsewhere, in a cluster. */
FLEET_TEST(run, is_over_with_its_owner_unless_it_is_kept)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    CLEANUP(process_free) struct process *owner = NULL;
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(run_release) struct run *kept = NULL;

    TRY(support_private_runs(test, err));
    TRY(process_start(&(struct process_options){.argv = argv}, &owner, err));
    TRY(run_start(&(struct run_options){.label = "unit"}, &run, err));
    TRY(run_start(&(struct run_options){.label = "kept", .keep = true, .owner = process_pid(owner)}, &kept, err));
    cleanup_free char *directory = text_copy(run_directory(run));
    cleanup_free char *id = text_copy(run_id(kept));
    CHECK(!run_is_over(directory) && !run_is_over(run_directory(kept)), "a run that goes on is over");
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(run_is_over(directory), "a run that is finished is not over");
    TRY(process_stop(owner, SIGKILL, deadline_in_ms(5000), NULL, err));
    CHECK(!run_is_over(run_directory(kept)), "a run that is kept is over");
    TRY(runs_down(id, err));
    CHECK(run_is_over(run_directory(kept)), "a kept run that was removed is not over");
    return 0;
}

static int reaper_has_ended(void *context, struct text_buffer *state, struct error *err)
{
    (void)err;
    text_buffer_add(state, "it runs");
    return !process_identity_alive(context);
}

/* As by a stack's options: the reaper has begun already, and must know all the same. */
FLEET_TEST(run, is_kept_when_that_is_decided_later)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    CLEANUP(process_free) struct process *owner = NULL;
    CLEANUP(run_release) struct run *run = NULL;
    cleanup_journal struct journal journal = {0};

    TRY(support_private_runs(test, err));
    TRY(process_start(&(struct process_options){.argv = argv}, &owner, err));
    TRY(run_start(&(struct run_options){.label = "later", .owner = process_pid(owner)}, &run, err));
    CHECK(!run_keeps(run), "it is kept from the beginning");
    TRY(run_keep(run, err));
    CHECK(run_keeps(run), "it is not kept");
    cleanup_free char *id = text_copy(run_id(run));
    TRY(journal_read(run_directory(run), &journal, err));
    TRY(process_stop(owner, SIGKILL, deadline_in_ms(5000), NULL, err));
    TRY(wait_until("the reaper to end", reaper_has_ended, &journal.reaper, NULL, deadline_in_ms(10000), err));
    CHECK(file_exists(run_directory(run)) && !run_is_over(run_directory(run)), "it was removed");
    TRY(runs_down(id, err));
    CHECK(!file_exists(run_directory(run)), "it cannot be removed");
    return 0;
}

FLEET_TEST(run, collects_logs_and_journal)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *deep = text_format("%s/device-1", run_directory(run));
    cleanup_free char *log = text_format("%s/agent.log", deep);
    cleanup_free char *other = text_format("%s/secret.toml", deep);
    TRY(directory_create(deep, 0700, err));
    TRY(file_write_atomic(log, "said\n", 5, 0600, err));
    TRY(file_write_atomic(other, "x", 1, 0600, err));
    TRY(run_collect(run, test->artefacts, err));
    cleanup_free char *copied = text_format("%s/logs/device-1/agent.log", test->artefacts);
    cleanup_free char *journal = text_format("%s/journal", test->artefacts);
    cleanup_free char *secret = text_format("%s/logs/device-1/secret.toml", test->artefacts);
    CHECK(file_exists(copied) && file_exists(journal), "log or journal was not collected");
    CHECK(!file_exists(secret), "a file that is no log was collected");
    return run_finish(TAKE_PTR(run), err);
}

/* A run whose owner and reaper are gone, with a resource that this version cannot undo. */
static int leave_undoable(const char *id, char **directory, struct error *err)
{
    cleanup_journal struct journal journal = {.label = text_copy("unit"), .owner = {1, 1}};
    CLEANUP(cJSON_Delete) cJSON *event = journal_start_event(&journal);
    cleanup_free char *line = journal_line(event);

    *directory = text_format("%s/%s", runs_directory(), id);
    TRY(directory_create(*directory, 0700, err));
    TRY(journal_create(*directory, line, err));
    return journal_append_resource(*directory, "create", "quantum-link", "x", err);
}

FLEET_TEST(run, that_cannot_be_undone_does_not_slow_every_start)
{
    cleanup_free char *directory = NULL;
    CLEANUP(run_release) struct run *run = NULL;
    int undone = 0;

    TRY(support_private_runs(test, err));
    TRY(leave_undoable("fleet-e2e-0badcafe", &directory, err));
    CHECK_FAILS(runs_prune(&undone, err), general_error_domain, GENERAL_UNSUPPORTED);
    TRY(runs_prune(&undone, err)); /* not so soon again */
    CHECK(undone == 0 && file_exists(directory), "it was undone after all");
    CHECK_FAILS(runs_down("fleet-e2e-0badcafe", err), general_error_domain, GENERAL_UNSUPPORTED);
    TRY(run_start(&(struct run_options){.label = "unit"}, &run, err));
    return run_finish(TAKE_PTR(run), err);
}
