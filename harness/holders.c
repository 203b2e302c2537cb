/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/holders.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process_identity.h"
#include "base/text.h"

#define SCAN_PAUSE_MS 1

static char *handle_path(const char *directory)
{
    return text_format("%s/handle", directory);
}

int holders_create(const char *directory, int *ret, struct error *err)
{
    cleanup_free char *path = handle_path(directory);
    int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_set_errno(err, errno, "creating", path);
    *ret = fd;
    return 0;
}

int holders_join(const char *directory, int *ret, struct error *err)
{
    cleanup_free char *path = handle_path(directory);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0) /* locked by its reaper: it is being undone */
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "opening run", directory, "it has ended");
    *ret = TAKE_FD(fd);
    return 0;
}

struct search {
    char *fds; /* "/proc/PID/fd" */
    struct stat handle;
    bool found;
};

static int look_at_fd(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *path = text_format("%s/%s", search->fds, name);
    struct stat status;

    (void)err;
    if (stat(path, &status) == 0 && status.st_dev == search->handle.st_dev && status.st_ino == search->handle.st_ino)
        search->found = true;
    return 0;
}

static int look_at_process(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_error struct error gone = ERROR_INIT;
    pid_t pid = process_number(name);

    (void)err;
    if (pid <= 0 || pid == getpid())
        return 0;
    cleanup_close int pidfd = pidfd_open(pid, 0); /* first: it pins the process that is then looked at */
    cleanup_free char *fds = text_format("/proc/%d/fd", pid);
    search->fds = fds;
    search->found = false;
    if (pidfd >= 0 && directory_each(fds, look_at_fd, search, &gone) == 0 && search->found)
        pidfd_kill(pidfd, SIGKILL);
    return 0;
}

int holders_end(int fd, struct deadline deadline, struct error *err)
{
    struct search search = {0};

    if (fstat(fd, &search.handle) < 0)
        return error_set_errno(err, errno, "looking for holders of the run", NULL);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (deadline_passed(deadline))
            return error_set(err, &system_error_domain, EBUSY, "ending the processes that use the run", NULL,
                             "killed but not gone");
        if (directory_each("/proc", look_at_process, &search, err) < 0)
            return -1;
        poll(NULL, 0, SCAN_PAUSE_MS);
    }
    return 0;
}
