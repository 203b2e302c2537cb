/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/reaper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "harness/place.h"
#include "harness/resource.h"
#include "harness/test.h"
#include "harness/undo.h"

FLEET_TEST(reaper, kills_by_mark_and_nothing_else)
{
    static const char *const sleeper[] = {"sleep", "600", NULL};
    CLEANUP(process_free) struct process *marked = NULL;
    CLEANUP(process_free) struct process *other = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *mark = run_mark(run, "this");
    cleanup_free char *another = run_mark(run, "that");
    TRY(process_start(&(struct process_options){.argv = sleeper, .environment = (const char *[]){mark, NULL}}, &marked,
                      err));
    TRY(process_start(&(struct process_options){.argv = sleeper, .environment = (const char *[]){another, NULL}},
                      &other, err));
    TRY(processes_end(mark, false, deadline_in_ms(5000), err));
    CHECK(process_ended(marked, NULL, NULL), "the marked process runs on");
    CHECK(!process_ended(other, NULL, NULL), "another process was killed");
    return 0;
}

/* A program that replaces itself again and again is, for moments, without an environment. */
FLEET_TEST(reaper, finds_processes_that_are_inside_exec)
{
    static const char *const restless[] = {"sh", "-c", "export LOOP='exec sh -c \"$LOOP\"'; exec sh -c \"$LOOP\"",
                                           NULL};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *mark = run_mark(run, "restless");
    for (int i = 0; i < 20; i++) {
        CLEANUP(process_free) struct process *process = NULL;
        TRY(process_start(&(struct process_options){.argv = restless, .environment = (const char *[]){mark, NULL}},
                          &process, err));
        TRY(processes_end(mark, false, deadline_in_ms(5000), err));
        CHECK(process_ended(process, NULL, NULL), "the process of round %d runs on", i);
    }
    return 0;
}

FLEET_TEST(reaper, removes_no_foreign_control_group, NEEDS(CAPABILITY_ROOT))
{
    cleanup_free char *root = text_format("%s/cgroup", test->artefacts);
    cleanup_free char *group = text_format("%s/cpu/fleet-e2e-unit", root);

    /* not a control group file system: left alone */
    TRY(directory_create(group, 0700, err));
    TRY(control_groups_remove(root, "fleet-e2e-unit", deadline_in_ms(100), err));
    CHECK(file_exists(group), "a plain directory was taken for a control group");
    return 0;
}

FLEET_TEST(reaper, detaches_mounts_before_it_removes, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *outside = text_format("%s/precious", test->artefacts);
    cleanup_free char *file = text_format("%s/file", outside);
    cleanup_free char *tree = text_format("%s/tree with blank", run_directory(run));
    cleanup_free char *bound = text_format("%s/bound", tree);
    cleanup_free char *deeper = text_format("%s/deeper", bound);
    TRY(directory_create(outside, 0700, err));
    TRY(file_write_atomic(file, "x", 1, 0600, err));
    TRY(run_journal(run, RESOURCE_PODMAN_STORAGE, tree, err));
    TRY(directory_create(bound, 0700, err));
    CHECK(mount(outside, bound, NULL, MS_BIND, NULL) == 0, "mount: %m");
    TRY(directory_create(deeper, 0700, err));
    CHECK(mount("tmpfs", deeper, "tmpfs", 0, NULL) == 0, "mount: %m");
    TRY(run_undo(run, RESOURCE_PODMAN_STORAGE, tree, err));
    CHECK(!file_exists(tree), "the tree is still there");
    CHECK(file_exists(file), "what was mounted there was removed");
    return 0;
}

FLEET_TEST(reaper, leaves_a_note_when_it_cannot_undo)
{
    cleanup_free char *directory = text_format("%s/fleet-e2e-0badcafe", test->artefacts);
    cleanup_free char *note = text_format("%s/" UNDO_FAILED_NOTE, directory);
    struct run_place place = {"fleet-e2e-0badcafe", directory, -1};
    cleanup_journal struct journal journal = {.label = text_copy("unit"), .owner = {1, 1}};
    CLEANUP(cJSON_Delete) cJSON *event = journal_start_event(&journal);
    cleanup_free char *line = journal_line(event);

    TRY(directory_create(directory, 0700, err));
    TRY(journal_create(directory, line, err));
    TRY(journal_append_resource(directory, "create", "quantum-link", "x", err));
    CHECK_FAILS(undo_run(&place, deadline_in_ms(100), err), general_error_domain, GENERAL_UNSUPPORTED);
    CHECK(file_exists(note), "there is no note");
    cleanup_journal struct journal after = {0};
    TRY(journal_read(directory, &after, err));
    CHECK(after.resource_count == 1 && !after.resources[0].undone, "the journal forgot the resource");
    return 0;
}

FLEET_TEST(reaper, refuses_directories_a_damaged_journal_names)
{
    cleanup_free char *directory = text_format("%s/fleet-e2e-0badcafe", test->artefacts);
    cleanup_free char *outside = text_format("%s/precious", test->artefacts);
    struct run_place place = {"fleet-e2e-0badcafe", directory, -1};
    cleanup_journal struct journal journal = {.label = text_copy("unit"), .owner = {1, 1}};
    CLEANUP(cJSON_Delete) cJSON *event = journal_start_event(&journal);
    cleanup_free char *line = journal_line(event);

    TRY(directory_create(directory, 0700, err));
    TRY(directory_create(outside, 0700, err));
    TRY(journal_create(directory, line, err));
    TRY(journal_append_resource(directory, "create", "directory", outside, err));
    CHECK_FAILS(undo_run(&place, deadline_in_ms(100), err), general_error_domain, GENERAL_INVALID);
    CHECK(file_exists(outside), "it was removed");
    return 0;
}

FLEET_TEST(reaper, quotes_for_the_shell)
{
    cleanup_free char *plain = shell_quote("/tmp/fleet-e2e-0/x.log");
    cleanup_free char *odd = shell_quote("it's a $(trap)");
    cleanup_free char *empty = shell_quote("");

    CHECK(text_equal(plain, "/tmp/fleet-e2e-0/x.log"), "%s", plain);
    CHECK(text_equal(odd, "'it'\\''s a $(trap)'"), "%s", odd);
    CHECK(text_equal(empty, "''"), "%s", empty);
    return 0;
}

FLEET_TEST(reaper, tells_every_kind_s_commands)
{
    static const enum resource_kind kinds[] = {RESOURCE_PROCESS, RESOURCE_DIRECTORY, RESOURCE_PODMAN_STORAGE,
                                               RESOURCE_CGROUP};
    struct run_place place = {"fleet-e2e-0badcafe", "/tmp/fleet-e2e-0/fleet-e2e-0badcafe", -1};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        cleanup_text_buffer struct text_buffer inspect = {0};
        cleanup_text_buffer struct text_buffer remove = {0};
        const struct resource_type *type = resource_type(kinds[i]);
        type->describe(&place, "fleet-e2e-thing", &inspect, &remove);
        CHECK(inspect.size && remove.size, "kind %s has no commands", type->name);
        CHECK(resource_type_named(type->name) == type, "kind %s is not found by its name", type->name);
    }
    return 0;
}
