/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process_identity.h"
#include "harness/resource.h"

#define ENVIRONMENT_BYTES_MAX (4u << 20)
/* How long a process may look as if it were inside execve(2) before we believe that it is just odd. */
#define EXEC_DOUBT_MS 100
#define SCAN_PAUSE_MS 2

struct scan {
    const char *mark;
    size_t mark_size;
    bool prefix;
    struct text_buffer names; /* "123 (podman)" of those found, for the error */
    struct pollfd *found;     /* pidfds of the processes that were killed */
    size_t found_count;
    size_t doubtful; /* processes whose environment cannot be seen just now */
};

static void scan_clear(struct scan *scan)
{
    for (size_t i = 0; i < scan->found_count; i++)
        close_fd(scan->found[i].fd);
    free(scan->found);
    text_buffer_clear(&scan->names);
    *scan = (struct scan){.mark = scan->mark, .mark_size = scan->mark_size, .prefix = scan->prefix};
}

static bool environment_has(const struct scan *scan, const char *environment, size_t size)
{
    const char *end = environment + size;

    for (const char *entry = environment; entry < end; entry += strlen(entry) + 1) {
        if (strncmp(entry, scan->mark, scan->mark_size) == 0 && (scan->prefix || entry[scan->mark_size] == '\0'))
            return true;
    }
    return false;
}

/* Of /proc/PID; *size is 0 when there is nothing (any more) that we may see. Caller frees. */
static char *read_of_process(pid_t pid, const char *file, size_t *size)
{
    cleanup_error struct error ignored = ERROR_INIT;
    char path[32];
    char *data = NULL;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    if (file_read(path, ENVIRONMENT_BYTES_MAX, &data, size, &ignored) < 0)
        *size = 0; /* gone, or not ours to look at and so not started by us */
    return data;
}

/*
 * A process inside execve(2) has its new memory already but neither arguments nor environment in it: it may carry the
 * mark a moment later. Zombies and kernel threads look the same but stay so.
 */
static bool is_inside_exec(pid_t pid)
{
    struct process_stat status;
    size_t size;

    if (process_stat_read(pid, &status) < 0 || status.state == 'Z' || status.state == 'X' ||
        (status.flags & PROCESS_FLAG_KERNEL_THREAD))
        return false;
    cleanup_free char *arguments = read_of_process(pid, "cmdline", &size);
    return size == 0;
}

/* Its environment; *doubtful when it cannot be seen just now. Caller frees. */
static char *read_environment(pid_t pid, size_t *size, bool *doubtful)
{
    *doubtful = false;
    /* Opened before and read after an execve(2), the file is of the memory that was left behind: empty. */
    for (int attempt = 0; attempt < 3; attempt++) {
        cleanup_free char *environment = read_of_process(pid, "environ", size);
        if (*size > 0)
            return TAKE_PTR(environment);
        *doubtful = is_inside_exec(pid);
    }
    return NULL;
}

static void keep_found(struct scan *scan, pid_t pid, int pidfd)
{
    struct process_stat status = {.comm = "?"};

    (void)!process_stat_read(pid, &status);
    scan->found = memory_resize(scan->found, scan->found_count + 1, sizeof(*scan->found));
    scan->found[scan->found_count++] = (struct pollfd){.fd = pidfd, .events = POLLIN};
    text_buffer_format(&scan->names, "%s%d (%s)", scan->names.size ? ", " : "", pid, status.comm);
}

static int visit_process(void *context, const char *name, struct error *err)
{
    struct scan *scan = context;
    bool doubtful = false;
    size_t size = 0;

    (void)err;
    pid_t pid = process_number(name);
    if (pid <= 0 || pid == getpid())
        return 0;
    /* The descriptor comes first: it pins the process whose environment is then read. */
    cleanup_close int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return 0;
    cleanup_free char *environment = read_environment(pid, &size, &doubtful);
    scan->doubtful += doubtful;
    if (!environment || !environment_has(scan, environment, size))
        return 0;
    pidfd_kill(pidfd, SIGKILL);
    keep_found(scan, pid, TAKE_FD(pidfd));
    return 0;
}

/* Wait until all that were killed have ended. */
static int wait_for_ends(struct scan *scan, struct deadline deadline, struct error *err)
{
    for (size_t i = 0; i < scan->found_count;) {
        int ready = poll(&scan->found[i], 1, deadline_poll_ms(deadline));
        if (ready > 0)
            i++;
        else if (ready == 0)
            return error_set(err, &system_error_domain, EBUSY, "ending processes", scan->mark,
                             "killed but not gone: %s", text_buffer_text(&scan->names));
        else if (errno != EINTR)
            return error_set_errno(err, errno, "ending processes", scan->mark);
    }
    return 0;
}

int processes_end(const char *mark, bool prefix, struct deadline deadline, struct error *err)
{
    struct scan scan = {.mark = mark, .mark_size = strlen(mark), .prefix = prefix};
    struct deadline doubt = deadline_in_ms(EXEC_DOUBT_MS);

    /* A child between fork and exec is found by its parent's environment; whoever was started while we looked, by the
     * next scan: so one empty scan proves nothing, two in a row with everybody's environment readable do. */
    for (int quiet = 0; quiet < 2;) {
        int result = directory_each("/proc", visit_process, &scan, err);
        if (result == 0)
            result = wait_for_ends(&scan, deadline, err);
        bool clean = scan.found_count == 0 && (scan.doubtful == 0 || deadline_passed(doubt));
        scan_clear(&scan);
        if (result < 0)
            return -1;
        quiet = clean ? quiet + 1 : 0;
        if (quiet < 2)
            poll(NULL, 0, SCAN_PAUSE_MS);
    }
    return 0;
}
