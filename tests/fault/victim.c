/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/victim.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/journal.h"
#include "harness/program.h"
#include "tests/fault/leftovers.h"

#define STEP_MS 10000

void victim_clear(struct victim *victim)
{
    process_free(victim->process);
    close_fd(victim->tether); /* whatever is still there ends now */
    close_fd(victim->life);
    close_fd(victim->control);
    text_buffer_clear(&victim->unread);
    free(victim->directory);
    free(victim->runs);
    free(victim->id);
    free(victim->run_directory);
    *victim = (struct victim){.tether = -1, .life = -1, .control = -1};
}

static int make_fifo(const char *directory, const char *name, int flags, int *ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    if (mkfifo(path, 0600) < 0 || (*ret = open(path, flags | O_CLOEXEC | O_NONBLOCK)) < 0)
        return error_set_errno(err, errno, "making", path);
    return 0;
}

int victim_start(struct test_context *test, const char *runs, const char *variable, struct victim *ret,
                 struct error *err)
{
    static int count;
    struct run *outer = NULL;
    cleanup_free char *program = NULL;

    *ret = (struct victim){.tether = -1, .life = -1, .control = -1};
    if (test_run(test, &outer, err) < 0 || program_find("fleet-harness-victim", &program, err) < 0)
        return -1;
    ret->outer = outer;
    ret->directory = text_format("%s/victim-%d", run_directory(outer), ++count);
    ret->runs = text_copy(runs);
    /* Should this test be killed itself: its reaper kills the victim, whose reaper does the rest. */
    cleanup_free char *mark = run_mark(outer, "victim");
    cleanup_free char *variable_runs = text_format("FLEET_E2E_RUNS=%s", runs);
    cleanup_free char *log = text_format("%s/victim.log", ret->directory);
    const char *const argv[] = {program, ret->directory, NULL};
    const char *const environment[] = {mark, variable_runs, "FLEET_E2E_KEEP=", variable, NULL};
    struct process_options options = {.argv = argv, .environment = environment, .log_path = log, .new_session = true};
    if (run_journal(outer, RESOURCE_PROCESS, "victim", err) < 0 || directory_create(ret->directory, 0700, err) < 0 ||
        make_fifo(ret->directory, "life", O_RDONLY, &ret->life, err) < 0 ||
        make_fifo(ret->directory, "control", O_RDWR, &ret->control, err) < 0 ||
        make_fifo(ret->directory, "tether", O_RDWR, &ret->tether, err) < 0)
        return -1;
    return process_start(&options, &ret->process, err);
}

/* The run's facts, once its id is known. */
static int learn_run(struct victim *victim, const char *id, struct error *err)
{
    cleanup_journal struct journal journal = {0};

    if (victim->id || text_equal(id, "-"))
        return 0;
    victim->id = text_copy(id);
    victim->run_directory = text_format("%s/%s", victim->runs, id);
    if (journal_read(victim->run_directory, &journal, err) < 0)
        return -1;
    victim->reaper = journal.reaper;
    /* Some victims' groups are left by nobody's fault but this test's, should it fail half-way. */
    cleanup_free char *group = text_format("%s-victim", id);
    return run_journal(victim->outer, RESOURCE_CGROUP, group, err);
}

/* A line "step name run-id" that has arrived; NULL: none yet. Caller frees the step's name. */
static char *take_line(struct victim *victim, struct error *err)
{
    const char *text = text_buffer_text(&victim->unread);
    const char *end = strchr(text, '\n');

    if (!end)
        return NULL;
    cleanup_free char *line = text_copy_n(text, (size_t)(end - text));
    cleanup_free char *rest = text_copy(end + 1);
    text_buffer_clear(&victim->unread);
    text_buffer_add(&victim->unread, rest);
    victim->heard = true;
    char *blank = strrchr(line, ' ');
    *blank = '\0';
    if (learn_run(victim, blank + 1, err) < 0)
        return NULL;
    return TAKE_PTR(line);
}

int victim_next(struct victim *victim, char **ret, struct error *err)
{
    struct deadline deadline = deadline_in_ms(STEP_MS);
    struct pollfd life = {.fd = victim->life, .events = POLLIN};

    for (;;) {
        char chunk[512];
        char *step = take_line(victim, err);
        if (step) {
            *ret = step;
            return 0;
        }
        if (error_is_set(err))
            return -1;
        if (poll(&life, 1, deadline_poll_ms(deadline)) <= 0 || !(life.revents & POLLIN))
            return error_set(err, &general_error_domain, GENERAL_FAILED, "waiting for the victim's next step",
                             victim->directory, "it ended or hangs");
        ssize_t size = read(victim->life, chunk, sizeof(chunk));
        if (size > 0)
            text_buffer_append(&victim->unread, chunk, (size_t)size);
    }
}

int victim_go(struct victim *victim, size_t steps, struct error *err)
{
    cleanup_free char *bytes = NEW_ARRAY(char, steps);

    if (write(victim->control, bytes, steps) != (ssize_t)steps)
        return error_set_errno(err, errno, "writing", "control");
    return 0;
}

int victim_run_to(struct victim *victim, const char *step, struct error *err)
{
    for (;;) {
        cleanup_free char *name = NULL;
        if (victim_next(victim, &name, err) < 0)
            return -1;
        if (text_equal(name, step))
            return 0;
        if (victim_go(victim, 1, err) < 0)
            return -1;
    }
}

bool victim_lives(struct victim *victim)
{
    struct pollfd life = {.fd = victim->life, .events = POLLIN};
    char chunk[512];

    while (poll(&life, 1, 0) > 0 && (life.revents & POLLIN)) {
        ssize_t size = read(victim->life, chunk, sizeof(chunk));
        if (size <= 0)
            return false;
        text_buffer_append(&victim->unread, chunk, (size_t)size);
    }
    if (victim->unread.size == 0 && !victim->heard) /* a FIFO nobody opened yet does not hang up */
        return !(life.revents & POLLHUP) && !process_ended(victim->process, NULL, NULL);
    return !(life.revents & POLLHUP);
}

static int is_gone(void *context, struct text_buffer *state, struct error *err)
{
    struct victim *victim = context;

    if (victim_lives(victim))
        text_buffer_add(state, "a process it started; ");
    for (char *step; (step = take_line(victim, err));) /* its last words may tell its id */
        free(step);
    if (error_is_set(err))
        return -1;
    const struct leftovers of_victim = {.runs_directory = victim->runs, .run_id = victim->id};
    return leftovers_find(&of_victim, state, err) < 0 ? -1 : state->size == 0;
}

int victim_wait_gone(struct victim *victim, struct deadline deadline, struct error *err)
{
    return wait_until("everything of the victim to be gone", is_gone, victim, NULL, deadline, err);
}
