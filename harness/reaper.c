/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/reaper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "harness/bundle.h"
#include "harness/criterion_leftovers.h"
#include "harness/holders.h"
#include "harness/place.h"
#include "harness/undo.h"

#define START_LINE_MAX (256u << 10)
#define HOLDERS_MS     5000
#define UNDO_MS        20000

struct reaper {
    const char *directory;
    char *id;
    struct journal journal; /* as it began */
    int lock;
    int holders; /* see harness/holders.h */
    int events;  /* descriptor of the journal: somebody may remove the directory under us */
    int inotify;
    int owner; /* pidfd, -1: gone */
};

/* The first line of the journal, from the process that starts the run; NULL when it ended before that. */
static char *receive_start_line(int fd)
{
    cleanup_text_buffer struct text_buffer line = {0};

    while (line.size < START_LINE_MAX) {
        char chunk[4096];
        ssize_t size = read(fd, chunk, sizeof(chunk));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return NULL;
        text_buffer_append(&line, chunk, (size_t)size);
        if (line.data[line.size - 1] == '\n')
            return text_buffer_take(&line);
    }
    return NULL;
}

/* Make the run: its directory, its journal and our lock come into being under the lock of all runs. */
static int establish(struct reaper *reaper, const char *start_line, struct error *err)
{
    cleanup_close int all = -1;

    if (runs_lock(&all, err) < 0)
        return -1;
    if (mkdir(reaper->directory, 0700) < 0)
        return error_set_errno(err, errno, "creating run", reaper->directory);
    if (reaper_lock(reaper->directory, &reaper->lock, err) < 0 ||
        journal_create(reaper->directory, start_line, err) < 0 ||
        journal_open(reaper->directory, &reaper->events, err) < 0 ||
        holders_create(reaper->directory, &reaper->holders, err) < 0 ||
        journal_read(reaper->directory, &reaper->journal, err) < 0)
        return -1;
    if (reaper->lock < 0 || !reaper->journal.started)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "creating run", reaper->directory,
                         "its first event is not one");
    return 0;
}

static int open_log(const struct reaper *reaper, struct error *err)
{
    cleanup_free char *path = text_format("%s/reaper.log", reaper->directory);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        return error_set_errno(err, errno, "opening", path);
    return 0;
}

static int prepare(struct reaper *reaper, const char *start_line, pid_t owner, struct error *err)
{
    struct process_identity self;

    if (establish(reaper, start_line, err) < 0 || open_log(reaper, err) < 0)
        return -1;
    reaper->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (reaper->inotify < 0 || inotify_add_watch(reaper->inotify, reaper->directory, IN_CREATE | IN_MOVED_TO) < 0)
        return error_set_errno(err, errno, "watching", reaper->directory);
    reaper->owner = process_identity_open(&reaper->journal.owner);
    if (reaper->owner < 0 || reaper->journal.owner.pid != owner)
        return error_set_errno(err, ESRCH, "watching", "owner");
    if (process_identity_of(getpid(), &self, err) < 0)
        return -1;
    return journal_append_reaper(reaper->directory, &self, err);
}

static bool is_finished(const struct reaper *reaper)
{
    cleanup_free char *path = text_format("%s/" RUN_FINISHED, reaper->directory);

    return file_exists(path);
}

static void drain(int fd)
{
    char events[4096];

    while (read(fd, events, sizeof(events)) > 0)
        ;
}

enum watched { WATCH_OWNER, WATCH_DIRECTORY, WATCH_PARENTS };

/* Wait for the end: true when the run was finished by its owner, false when the owner is gone. */
static bool watch(struct reaper *reaper, struct pollfd *fds, size_t count)
{
    while (!is_finished(reaper)) {
        if (poll(fds, count, -1) < 0)
            continue; /* EINTR: the rest cannot happen */
        if (fds[WATCH_OWNER].revents)
            return is_finished(reaper);
        if (fds[WATCH_DIRECTORY].revents)
            drain(reaper->inotify);
        for (size_t i = WATCH_PARENTS; i < count; i++) {
            if (!fds[i].revents)
                continue;
            fds[i].fd = -1;
            pidfd_kill(reaper->owner, SIGKILL); /* its end is the next event */
        }
    }
    return true;
}

static bool wait_for_end(struct reaper *reaper)
{
    size_t count = WATCH_PARENTS + reaper->journal.parents.count;
    cleanup_free struct pollfd *fds = NEW_ARRAY(struct pollfd, count);

    fds[WATCH_OWNER] = (struct pollfd){.fd = reaper->owner, .events = POLLIN};
    fds[WATCH_DIRECTORY] = (struct pollfd){.fd = reaper->inotify, .events = POLLIN};
    for (size_t i = 0; i < reaper->journal.parents.count; i++) {
        int fd = process_identity_open(&reaper->journal.parents.items[i]);
        if (fd < 0)
            pidfd_kill(reaper->owner, SIGKILL);
        fds[WATCH_PARENTS + i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    bool finished = watch(reaper, fds, count);
    for (size_t i = WATCH_PARENTS; i < count; i++)
        close_fd(fds[i].fd);
    return finished;
}

static void save_bundle(const struct reaper *reaper)
{
    cleanup_error struct error err = ERROR_INIT;

    if (reaper->journal.bundle && bundle_collect_run(reaper->directory, reaper->journal.bundle, &err) < 0)
        log_trouble("logs were not saved", &err, LOG_TEXT("bundle", reaper->journal.bundle));
}

/* It may have been decided after we began. */
static bool is_kept(const struct reaper *reaper)
{
    cleanup_journal struct journal now = {0};
    cleanup_error struct error err = ERROR_INIT;

    return reaper->journal.keep || (journal_read(reaper->directory, &now, &err) == 0 && now.keep);
}

/* The owner is gone, or is done and waits for us to go. Returns the exit code. */
static int conclude(const struct reaper *reaper, bool finished)
{
    struct run_place place = {reaper->id, reaper->directory, reaper->events};
    cleanup_error struct error err = ERROR_INIT;

    if (!finished && is_kept(reaper))
        return EXIT_SUCCESS;
    if (!finished && holders_end(reaper->holders, deadline_in_ms(HOLDERS_MS), &err) < 0) {
        log_trouble("processes of the run did not end", &err, LOG_TEXT("run", reaper->id));
        error_clear(&err);
    }
    if (!finished)
        save_bundle(reaper);
    if (undo_run(&place, deadline_in_ms(UNDO_MS), &err) == 0) {
        runs_directory_tidy();
        return EXIT_SUCCESS;
    }
    log_failure("the run could not be undone", &err, LOG_TEXT("run", reaper->id));
    return EXIT_FAILURE;
}

static void answer(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); /* whoever asked may be gone: the owner's pidfd tells */
}

/* Nothing was journalled yet: what stands is ours to take away. */
static int give_up(const struct reaper *reaper, int ready_fd, struct error *err)
{
    cleanup_free char *text = error_text(err);
    cleanup_error struct error ignored = ERROR_INIT;

    if (reaper->lock >= 0 && directory_remove(reaper->directory, &ignored) < 0)
        log_debug("the directory of a run that never began stays", LOG_TEXT("run", reaper->id));
    answer(ready_fd, text);
    return EXIT_FAILURE;
}

int reaper_main(const char *directory, pid_t owner, int ready_fd)
{
    struct reaper reaper = {
        .directory = directory, .lock = -1, .holders = -1, .events = -1, .inotify = -1, .owner = -1};
    cleanup_error struct error err = ERROR_INIT;
    const char *slash = strrchr(directory, '/');
    int code = EXIT_FAILURE;

    log_start("fleet-e2e-reaper");
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (!slash || !run_id_is_valid(slash + 1) || chdir("/") < 0)
        return EXIT_FAILURE;
    reaper.id = text_copy(slash + 1);
    cleanup_free char *start_line = receive_start_line(ready_fd);
    if (start_line && prepare(&reaper, start_line, owner, &err) < 0) {
        code = give_up(&reaper, ready_fd, &err);
    } else if (start_line) {
        answer(ready_fd, "ready\n");
        close_fd(ready_fd);
        code = conclude(&reaper, wait_for_end(&reaper));
        criterion_leftovers_prune();
    }
    journal_clear(&reaper.journal);
    free(reaper.id);
    close_fd(reaper.owner);
    close_fd(reaper.inotify);
    close_fd(reaper.events);
    close_fd(reaper.holders);
    close_fd(reaper.lock);
    return code;
}
