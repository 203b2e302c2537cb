/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "harness/device_record.h"
#include "harness/place.h"
#include "harness/undo.h"

/* A run that could not be undone must not hold up every run after it; a person waits longer. */
#define PRUNE_MS        3000
#define DOWN_MS         30000
#define WAIT_MS         20
#define FAILED_LATELY_S 60

static char *directory_of(const char *id)
{
    return text_format("%s/%s", runs_directory(), id);
}

/* It could not be undone a moment ago: trying again and again would slow every run that starts. */
static bool failed_lately(const char *directory)
{
    cleanup_free char *note = text_format("%s/" UNDO_FAILED_NOTE, directory);
    struct stat status;

    return stat(note, &status) == 0 && time(NULL) - status.st_mtime < FAILED_LATELY_S;
}

/*
 * Choose a run to undo by taking its reaper's place: nobody else can then. *ret is -1 when it is not to be undone
 * (now); `all`: kept ones, and those that could not be undone a moment ago, too.
 * A directory without a first event is what a reaper left that was killed while it began.
 */
static int choose(const char *directory, bool all, int *ret, struct error *err)
{
    cleanup_journal struct journal journal = {0};

    *ret = -1;
    if (journal_read(directory, &journal, err) < 0)
        return -1;
    if (journal.started && (process_identity_alive(&journal.owner) || (journal.keep && !all)))
        return 0;
    if (!all && failed_lately(directory))
        return 0;
    if (reaper_lock(directory, ret, err) < 0) {
        if (!error_is(err, &system_error_domain, ENOENT))
            return -1;
        error_clear(err);
    }
    return 0;
}

bool run_is_over(const char *directory)
{
    cleanup_journal struct journal journal = {0};
    cleanup_error struct error unreadable = ERROR_INIT;

    if (journal_read(directory, &journal, &unreadable) < 0)
        return false;
    return !journal.started || (!process_identity_alive(&journal.owner) && !journal.keep);
}

/* Undo the run whose lock we hold; the lock is closed. */
static int undo_orphan(const char *id, int lock, int64_t milliseconds, struct error *err)
{
    cleanup_close int held = lock;
    cleanup_free char *directory = directory_of(id);
    struct run_place place = {id, directory, -1};

    if (undo_run(&place, deadline_in_ms(milliseconds), err) < 0)
        return -1;
    runs_directory_tidy();
    return 0;
}

static void keep_first(struct error *err, struct error *failure)
{
    if (!error_is_set(err) && error_is_set(failure))
        error_move(err, failure);
}

int runs_prune(int *undone, struct error *err)
{
    cleanup_text_list struct text_list ids = {0};

    if (undone)
        *undone = 0;
    if (runs_list(&ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.count; i++) {
        cleanup_error struct error failure = ERROR_INIT;
        cleanup_free char *directory = directory_of(ids.items[i]);
        cleanup_close int all = -1;
        int lock = -1;
        if (runs_lock(&all, &failure) == 0 && choose(directory, false, &lock, &failure) == 0 && lock >= 0) {
            close_fd(TAKE_FD(all)); /* undoing takes time: others may start meanwhile */
            if (undo_orphan(ids.items[i], lock, PRUNE_MS, &failure) == 0 && undone)
                ++*undone;
        }
        keep_first(err, &failure);
    }
    return error_is_set(err) ? -1 : 0;
}

/* The run's lock, waiting for a reaper that is at work. */
static int take_over(const char *directory, struct deadline deadline, int *ret, struct error *err)
{
    for (;;) {
        cleanup_close int all = -1;
        if (!file_exists(directory)) {
            *ret = -1;
            return 0;
        }
        if (runs_lock(&all, err) < 0 || choose(directory, true, ret, err) < 0)
            return -1;
        if (*ret >= 0)
            return 0;
        close_fd(TAKE_FD(all));
        if (deadline_passed(deadline))
            return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "removing run", directory,
                             "its reaper is still at work");
        poll(NULL, 0, WAIT_MS);
    }
}

static int down_one(const char *id, struct error *err)
{
    cleanup_free char *directory = directory_of(id);
    cleanup_journal struct journal journal = {0};
    int lock = -1;

    if (!run_id_is_valid(id) || !file_exists(directory))
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "removing run", id,
                         "there is no such run in %s", runs_directory());
    if (journal_read(directory, &journal, err) < 0)
        return -1;
    if (journal.started && process_identity_alive(&journal.owner))
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "removing run", id,
                         "its owner (process %d) is still running", journal.owner.pid);
    if (take_over(directory, deadline_in_ms(DOWN_MS), &lock, err) < 0)
        return -1;
    return lock < 0 ? 0 : undo_orphan(id, lock, DOWN_MS, err);
}

int runs_down(const char *id, struct error *err)
{
    cleanup_text_list struct text_list ids = {0};

    if (id)
        return down_one(id, err);
    if (runs_list(&ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.count; i++) {
        cleanup_error struct error failure = ERROR_INIT;
        if (down_one(ids.items[i], &failure) < 0 && !error_is(&failure, &general_error_domain, GENERAL_CONFLICT) &&
            !error_is(&failure, &general_error_domain, GENERAL_NOT_FOUND))
            keep_first(err, &failure);
    }
    return error_is_set(err) ? -1 : 0;
}

static int print_devices(const char *directory, struct error *err)
{
    cleanup_device_record_list struct device_record_list devices = {0};

    if (device_records_of_run(directory, &devices, err) < 0)
        return -1;
    for (size_t i = 0; i < devices.count; i++) {
        const struct device_record *device = &devices.items[i];
        printf("  device %-32s  %-32s  %-15s  %s\n", device->device, device->domain ? device->domain : "-",
               device->address, device->architecture ? device->architecture : "");
    }
    return 0;
}

static int print_run(const char *id, struct error *err)
{
    cleanup_free char *directory = directory_of(id);
    cleanup_free char *note = text_format("%s/" UNDO_FAILED_NOTE, directory);
    cleanup_journal struct journal journal = {0};
    size_t resources = 0;

    if (journal_read(directory, &journal, err) < 0)
        return -1;
    for (size_t i = 0; i < journal.resource_count; i++)
        resources += !journal.resources[i].undone;
    printf("%-18s  %-64s  %6llds  %-5s  %-6s  %-4s  %9zu%s\n", id, journal.label ? journal.label : "-",
           journal.started ? (long long)(time(NULL) - journal.started_at) : 0LL,
           process_identity_alive(&journal.owner) ? "alive" : "gone",
           process_identity_alive(&journal.reaper) ? "alive" : "gone", journal.keep ? "yes" : "no", resources,
           file_exists(note) ? "  undo failed" : "");
    return print_devices(directory, err);
}

int runs_print(struct error *err)
{
    cleanup_text_list struct text_list ids = {0};

    if (runs_list(&ids, err) < 0)
        return -1;
    if (ids.count == 0) {
        printf("no runs in %s\n", runs_directory());
        return 0;
    }
    printf("%-18s  %-64s  %7s  %-5s  %-6s  %-4s  %9s\n", "RUN", "LABEL", "AGE", "OWNER", "REAPER", "KEPT", "RESOURCES");
    for (size_t i = 0; i < ids.count; i++) {
        if (print_run(ids.items[i], err) < 0)
            return -1;
    }
    return 0;
}
