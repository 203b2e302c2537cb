/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/identity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Split "PID (comm) S ppid …": comm may hold blanks and parentheses, the last ")" ends it. */
static int parse_stat(char *line, struct process_stat *ret)
{
    char *open = strchr(line, '(');
    char *close = strrchr(line, ')');
    int parent;

    if (!open || !close)
        return -1;
    *close = '\0';
    snprintf(ret->comm, sizeof(ret->comm), "%s", open + 1);
    /* state ppid pgrp session tty tpgid flags, then 12 fields up to starttime */
    if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
               &ret->state, &parent, &ret->flags, &ret->start) != 4)
        return -1;
    ret->parent = parent;
    return 0;
}

int process_stat_read(pid_t pid, struct process_stat *ret)
{
    char path[32];
    char line[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t size = read(fd, line, sizeof(line) - 1);
    if (size < 0)
        return -1;
    line[size] = '\0';
    if (parse_stat(line, ret) < 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

int process_identity_of(pid_t pid, struct process_identity *ret, struct error *err)
{
    struct process_stat status;
    char subject[16];

    snprintf(subject, sizeof(subject), "%d", pid);
    if (process_stat_read(pid, &status) < 0)
        return error_set_errno(err, errno == ENOENT ? ESRCH : errno, "identifying process", subject);
    if (status.state == 'Z' || status.state == 'X')
        return error_set_errno(err, ESRCH, "identifying process", subject);
    *ret = (struct process_identity){pid, status.start};
    return 0;
}

bool process_identity_alive(const struct process_identity *identity)
{
    struct process_stat status;

    if (identity->pid <= 0 || process_stat_read(identity->pid, &status) < 0)
        return false;
    return status.start == identity->start && status.state != 'Z' && status.state != 'X';
}

int process_identity_open(const struct process_identity *identity)
{
    cleanup_close int fd = identity->pid > 0 ? pidfd_open_process(identity->pid) : -1;

    /* The descriptor pins the process: if the number is still the right process now, so was it then. */
    if (fd < 0 || !process_identity_alive(identity))
        return -1;
    return TAKE_FD(fd);
}

int pidfd_open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

void pidfd_kill(int pidfd, int signal)
{
    (void)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}
