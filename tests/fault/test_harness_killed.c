/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/journal.h"
#include "harness/place.h"
#include "harness/program.h"
#include "harness/resource.h"
#include "harness/test.h"
#include "tests/fault/victim.h"

#define GONE_MS       10000
#define REAPED_MAX_MS 2000 /* the promise: SIGKILL of the test process, nothing left within 2 s */
#define RANDOM_KILLS  40
#define ALL_STEPS     64
#define LAST_STEP     "mounts" /* everything is there now */

/* A runs directory of this test alone. Caller frees. */
static char *private_runs(struct run *outer, const char *name)
{
    return text_format("%s/runs-%s", run_directory(outer), name);
}

/* Kill it and measure until nothing is left. */
static int kill_and_wait(struct victim *victim, int64_t *worst_ms, struct error *err)
{
    if (process_signal(victim->process, SIGKILL, err) < 0)
        return -1;
    int64_t killed = clock_monotonic_ms();
    if (victim_wait_gone(victim, deadline_in_ms(GONE_MS), err) < 0)
        return -1;
    int64_t took = clock_monotonic_ms() - killed;
    if (took > *worst_ms)
        *worst_ms = took;
    return 0;
}

static int find_steps(struct test_context *test, const char *runs, struct text_list *steps, struct error *err)
{
    cleanup_victim struct victim victim = {0};
    int exit_code = -1;

    TRY(victim_start(test, runs, NULL, &victim, err));
    while (steps->count == 0 || !text_equal(steps->items[steps->count - 1], "finished")) {
        char *step = NULL;
        TRY(victim_next(&victim, &step, err));
        text_list_take(steps, step);
        TRY(victim_go(&victim, 1, err));
    }
    TRY(victim_wait_gone(&victim, deadline_in_ms(GONE_MS), err));
    CHECK(process_ended(victim.process, &exit_code, NULL) && exit_code == 0, "the victim failed with %d", exit_code);
    return 0;
}

FLEET_TEST(harness_killed, at_every_step_leaves_nothing, .gate = "host", NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_text_list struct text_list steps = {0};
    struct run *outer = NULL;
    int64_t worst_ms = 0;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "steps");
    TRY(find_steps(test, runs, &steps, err));
    CHECK(steps.count > 10, "only %zu steps", steps.count);
    for (size_t i = 0; i < steps.count; i++) {
        cleanup_victim struct victim victim = {0};
        struct phase *phase = phase_begin(test->timeline, steps.items[i]);
        TRY(victim_start(test, runs, NULL, &victim, err));
        TRY(victim_run_to(&victim, steps.items[i], err));
        TRY(kill_and_wait(&victim, &worst_ms, err));
        phase_end(phase, NULL);
    }
    printf("worst time from SIGKILL to nothing left, over %zu steps: %" PRId64 " ms\n", steps.count, worst_ms);
    CHECK(worst_ms <= REAPED_MAX_MS, "it took %" PRId64 " ms", worst_ms);
    return 0;
}

/* How long it lives when nobody stops it. */
static int measure_life(struct test_context *test, const char *runs, int64_t *life_us, struct error *err)
{
    cleanup_victim struct victim victim = {0};
    int64_t begin = clock_monotonic_us();

    TRY(victim_start(test, runs, NULL, &victim, err));
    TRY(victim_go(&victim, ALL_STEPS, err));
    TRY(victim_wait_gone(&victim, deadline_in_ms(GONE_MS), err));
    *life_us = clock_monotonic_us() - begin;
    return 0;
}

FLEET_TEST(harness_killed, at_any_moment_leaves_nothing, .gate = "host", NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    struct run *outer = NULL;
    int64_t worst_ms = 0;
    int64_t life_us = 0;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "moments");
    TRY(measure_life(test, runs, &life_us, err));
    for (int i = 0; i < RANDOM_KILLS; i++) {
        cleanup_victim struct victim victim = {0};
        int64_t delay_us = life_us * i / RANDOM_KILLS;
        struct timespec delay = {delay_us / 1000000, delay_us % 1000000 * 1000};
        TRY(victim_start(test, runs, NULL, &victim, err));
        TRY(victim_go(&victim, ALL_STEPS, err));
        /* the moment itself is what is wanted, so time is what is waited for */
        (void)!ppoll(&(struct pollfd){.fd = process_fd(victim.process), .events = POLLIN}, 1, &delay, NULL);
        TRY(kill_and_wait(&victim, &worst_ms, err));
    }
    printf("worst time from SIGKILL to nothing left, over %d moments: %" PRId64 " ms\n", RANDOM_KILLS, worst_ms);
    CHECK(worst_ms <= REAPED_MAX_MS, "it took %" PRId64 " ms", worst_ms);
    return 0;
}

FLEET_TEST(harness_killed, by_control_c_leaves_nothing, .gate = "host", NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim victim = {0};
    struct run *outer = NULL;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "interrupt");
    TRY(victim_start(test, runs, NULL, &victim, err));
    TRY(victim_run_to(&victim, LAST_STEP, err));
    CHECK(kill(-process_pid(victim.process), SIGINT) == 0, "kill: %m"); /* as the terminal does: to the group */
    TRY(victim_wait_gone(&victim, deadline_in_ms(GONE_MS), err));
    return 0;
}

FLEET_TEST(harness_killed, survives_its_directory_s_removal, .gate = "host",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim victim = {0};
    struct run *outer = NULL;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "removed");
    TRY(victim_start(test, runs, NULL, &victim, err));
    TRY(victim_run_to(&victim, "namespace", err)); /* with no mount yet, "rm -rf" gets through */
    TRY(directory_remove(victim.run_directory, err));
    TRY(process_signal(victim.process, SIGKILL, err));
    TRY(victim_wait_gone(&victim, deadline_in_ms(GONE_MS), err));
    return 0;
}

/* The reaper first, so that it has no chance; then the owner. */
static int kill_with_reaper(struct victim *victim, struct error *err)
{
    cleanup_close int reaper = process_identity_open(&victim->reaper);

    CHECK(reaper >= 0, "the reaper is not alive");
    pidfd_kill(reaper, SIGKILL);
    CHECK(poll(&(struct pollfd){.fd = reaper, .events = POLLIN}, 1, GONE_MS) == 1, "the reaper does not end");
    return process_stop(victim->process, SIGKILL, deadline_in_ms(GONE_MS), NULL, err);
}

FLEET_TEST(harness_killed, together_with_its_reaper_is_pruned_by_the_next_run, .gate = "host",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim victim = {0};
    CLEANUP(run_release) struct run *next = NULL;
    struct run *outer = NULL;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "pruned");
    TRY(victim_start(test, runs, NULL, &victim, err));
    TRY(victim_run_to(&victim, LAST_STEP, err));
    TRY(kill_with_reaper(&victim, err));
    CHECK(victim_lives(&victim) && file_exists(victim.run_directory), "nothing was left to prune");
    setenv("FLEET_E2E_RUNS", runs, 1);
    TRY(run_start(&(struct run_options){.label = "next"}, &next, err));
    CHECK(!victim_lives(&victim) && !file_exists(victim.run_directory), "the next run did not prune");
    TRY(run_finish(TAKE_PTR(next), err));
    return victim_wait_gone(&victim, deadline_in_ms(GONE_MS), err);
}

FLEET_TEST(harness_killed, alone_of_two_runs, .gate = "host", NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim killed = {0};
    cleanup_victim struct victim other = {0};
    struct run *outer = NULL;
    int undone = 0;
    int exit_code = -1;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "two");
    TRY(victim_start(test, runs, NULL, &killed, err));
    TRY(victim_start(test, runs, NULL, &other, err));
    TRY(victim_run_to(&killed, LAST_STEP, err));
    TRY(victim_run_to(&other, LAST_STEP, err));
    TRY(kill_with_reaper(&killed, err));
    setenv("FLEET_E2E_RUNS", runs, 1);
    TRY(runs_prune(&undone, err));
    CHECK(undone == 1 && !victim_lives(&killed), "%d runs were pruned", undone);
    cleanup_free char *work = text_format("%s/work/some/where/deep/device.log", other.run_directory);
    CHECK(victim_lives(&other) && file_exists(work), "the other run was touched");
    TRY(victim_go(&other, ALL_STEPS, err));
    TRY(victim_wait_gone(&other, deadline_in_ms(GONE_MS), err));
    CHECK(process_ended(other.process, &exit_code, NULL) && exit_code == 0, "the other failed with %d", exit_code);
    return 0;
}

static int reaper_is_gone(void *context, struct text_buffer *state, struct error *err)
{
    (void)err;
    text_buffer_add(state, "alive");
    return !process_identity_alive(context);
}

/* A victim that is killed while everything of it is to be kept. */
static int keep_all(struct test_context *test, const char *runs, struct victim *victim, struct error *err)
{
    int undone = 0;

    TRY(victim_start(test, runs, "FLEET_E2E_KEEP=1", victim, err));
    TRY(victim_run_to(victim, LAST_STEP, err));
    TRY(process_stop(victim->process, SIGKILL, deadline_in_ms(GONE_MS), NULL, err));
    TRY(wait_until("the reaper to go", reaper_is_gone, &victim->reaper, NULL, deadline_in_ms(GONE_MS), err));
    setenv("FLEET_E2E_RUNS", runs, 1);
    TRY(runs_prune(&undone, err));
    cleanup_free char *work = text_format("%s/work/some/where/deep/device.log", victim->run_directory);
    CHECK(undone == 0 && victim_lives(victim) && file_exists(work), "a kept run was undone");
    return 0;
}

FLEET_TEST(harness_killed, keeps_all_until_it_is_taken_down, .gate = "host",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim victim = {0};
    cleanup_free char *program = NULL;
    struct run *outer = NULL;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "kept");
    TRY(keep_all(test, runs, &victim, err));
    TRY(program_find("fleet-e2e", &program, err));
    const char *const ps[] = {program, "ps", NULL};
    const char *const down[] = {program, "down", victim.id, NULL};
    cleanup_process_result struct process_result listed = {0};
    TRY(process_run_checked(&(struct process_options){.argv = ps}, deadline_in_ms(GONE_MS), &listed, err));
    CHECK(strstr(listed.output, victim.id) && strstr(listed.output, "yes"), "ps says: %s", listed.output);
    TRY(process_run_checked(&(struct process_options){.argv = down}, deadline_in_ms(GONE_MS), NULL, err));
    CHECK(!victim_lives(&victim), "a process survived \"down\"");
    return victim_wait_gone(&victim, deadline_in_ms(0), err);
}

/* What KEEP prints must work as it stands, pasted into a shell. */
FLEET_TEST(harness_killed, prints_commands_that_work, .gate = "host", NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_victim struct victim victim = {0};
    cleanup_journal struct journal journal = {0};
    struct run *outer = NULL;

    TRY(test_run(test, &outer, err));
    cleanup_free char *runs = private_runs(outer, "printed");
    TRY(keep_all(test, runs, &victim, err));
    TRY(journal_read(victim.run_directory, &journal, err));
    struct run_place place = {victim.id, victim.run_directory, -1};
    for (size_t i = journal.resource_count; i-- > 0;) {
        const struct resource_type *type = resource_type_named(journal.resources[i].kind_name);
        cleanup_text_buffer struct text_buffer inspect = {0};
        cleanup_text_buffer struct text_buffer remove = {0};
        cleanup_process_result struct process_result seen = {0};
        type->describe(&place, journal.resources[i].name, &inspect, &remove);
        const char *const look[] = {"sh", "-c", text_buffer_text(&inspect), NULL};
        const char *const take[] = {"sh", "-c", text_buffer_text(&remove), NULL};
        TRY(process_run_checked(&(struct process_options){.argv = look}, deadline_in_ms(GONE_MS), &seen, err));
        CHECK(seen.output_size > 0, "nothing was seen by: %s", text_buffer_text(&inspect));
        TRY(process_run_checked(&(struct process_options){.argv = take}, deadline_in_ms(GONE_MS), NULL, err));
    }
    CHECK(!victim_lives(&victim), "a process survived its command");
    TRY(directory_remove(victim.run_directory, err));
    return victim_wait_gone(&victim, deadline_in_ms(0), err);
}
