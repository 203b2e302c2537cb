/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/run.h"

/* Somebody named the directory to use. */
static bool is_chosen(void)
{
    const char *chosen = getenv("FLEET_E2E_RUNS");

    return chosen && *chosen;
}

const char *runs_directory(void)
{
    static char directory[PATH_MAX];

    if (is_chosen())
        snprintf(directory, sizeof(directory), "%s", getenv("FLEET_E2E_RUNS"));
    else
        snprintf(directory, sizeof(directory), "/tmp/fleet-e2e-%u", geteuid());
    return directory;
}

bool run_id_is_valid(const char *id)
{
    return strlen(id) == RUN_ID_SIZE - 1 && text_starts_with(id, RUN_ID_PREFIX) &&
           strspn(id + strlen(RUN_ID_PREFIX), "0123456789abcdef") == 8;
}

int runs_directory_ensure(struct error *err)
{
    static const char operation[] = "using runs directory";
    const char *directory = runs_directory();
    struct stat status;

    if (directory[0] != '/' || strlen(directory) < 2)
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, directory, "it must be absolute");
    if (lstat(directory, &status) < 0 && directory_create(directory, 0700, err) < 0)
        return error_wrap(err, operation, directory);
    if (lstat(directory, &status) < 0)
        return error_set_errno(err, errno, operation, directory);
    /* It may stand in /tmp, where anybody could have put something at our name. */
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, directory,
                         "it is not a directory of our own; set FLEET_E2E_RUNS to one");
    if ((status.st_mode & 077) && chmod(directory, 0700) < 0)
        return error_set_errno(err, errno, operation, directory);
    return 0;
}

static int lock_file(int fd, int operation)
{
    while (flock(fd, operation) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return 0;
}

/* Lock the directory that stands there now. Returns 1, 0 when it was removed meanwhile, -1 with errno. */
static int lock_directory(const char *directory, int *ret)
{
    cleanup_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    if (lock_file(fd, LOCK_EX) < 0 || fstat(fd, &status) < 0)
        return -1;
    if (status.st_nlink == 0)
        return 0;
    *ret = TAKE_FD(fd);
    return 1;
}

int runs_lock(int *ret, struct error *err)
{
    int locked = 0;

    while (locked == 0) {
        if (runs_directory_ensure(err) < 0)
            return -1;
        locked = lock_directory(runs_directory(), ret);
        if (locked < 0)
            return error_set_errno(err, errno, "locking", runs_directory());
    }
    return 0;
}

void runs_directory_tidy(void)
{
    cleanup_close int lock = -1;

    if (!is_chosen() && lock_directory(runs_directory(), &lock) > 0)
        (void)rmdir(runs_directory()); /* ENOTEMPTY: there are runs */
}

static int add_run(void *context, const char *name, struct error *err)
{
    (void)err;
    if (run_id_is_valid(name))
        text_list_add(context, name);
    return 0;
}

int runs_list(struct text_list *ret, struct error *err)
{
    if (directory_each(runs_directory(), add_run, ret, err) == 0)
        return 0;
    if (!error_is(err, &system_error_domain, ENOENT))
        return -1;
    error_clear(err);
    return 0;
}

int reaper_lock(const char *directory, int *ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/" RUN_REAPER_LOCK, directory);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    *ret = -1;
    if (fd < 0)
        return error_set_errno(err, errno, "locking run", directory);
    if (lock_file(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : error_set_errno(err, errno, "locking run", directory);
    *ret = TAKE_FD(fd);
    return 0;
}
