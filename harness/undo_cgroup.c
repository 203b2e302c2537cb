/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process_identity.h"
#include "harness/resource.h"

#define MEMBERS_BYTES_MAX (4u << 20)
#define BUSY_PAUSE_MS     2

/* Write a control file that may not exist in this version of control groups. */
static void write_control(const char *group, const char *file, const char *value)
{
    cleanup_free char *path = text_format("%s/%s", group, file);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t ignored = write(fd, value, strlen(value));
        (void)ignored;
    }
}

static void kill_members(const char *group)
{
    cleanup_free char *path = text_format("%s/cgroup.procs", group);
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *members = NULL;
    size_t size;

    write_control(group, "freezer.state", "THAWED"); /* v1: a frozen process does not die */
    write_control(group, "cgroup.kill", "1");        /* v2 */
    if (file_read(path, MEMBERS_BYTES_MAX, &members, &size, &ignored) < 0)
        return;
    for (char *line = members; *line;) {
        pid_t pid = process_number(line); /* 0: a process that our PID namespace does not show */
        if (pid > 0 && pid != getpid())
            kill(pid, SIGKILL);
        line += strcspn(line, "\n");
        line += strspn(line, "\n");
    }
}

/* 0: removed or not there; else the errno that the last attempt ended with. */
static int remove_group(const char *group);

struct group_walk {
    const char *group;
    int errno_value;
};

static int visit_child(void *context, const char *name, struct error *err)
{
    struct group_walk *walk = context;
    cleanup_free char *child = text_format("%s/%s", walk->group, name);
    struct stat status;

    (void)err;
    if (lstat(child, &status) == 0 && S_ISDIR(status.st_mode)) {
        int errno_value = remove_group(child);
        if (errno_value)
            walk->errno_value = errno_value;
    }
    return 0;
}

static int remove_group(const char *group)
{
    struct group_walk walk = {group, 0};
    cleanup_error struct error ignored = ERROR_INIT;

    if (!file_exists(group) || rmdir(group) == 0 || errno == ENOENT) /* read-only hierarchies say EROFS first */
        return 0;
    kill_members(group);
    if (directory_each(group, visit_child, &walk, &ignored) < 0 && error_is(&ignored, &system_error_domain, ENOENT))
        return 0;
    if (rmdir(group) == 0 || errno == ENOENT)
        return 0;
    return walk.errno_value ? walk.errno_value : errno;
}

struct hierarchy_walk {
    const char *root;
    const char *name;
    struct deadline deadline;
};

static bool is_hierarchy(const char *path)
{
    struct statfs status;

    return statfs(path, &status) == 0 && (status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC);
}

static int remove_from_hierarchy(const struct hierarchy_walk *walk, const char *hierarchy, struct error *err)
{
    cleanup_free char *group = text_format("%s/%s", hierarchy, walk->name);
    int errno_value;

    /* Members that were killed stay in the group until the kernel has torn them down: some milliseconds. */
    while ((errno_value = remove_group(group)) != 0) {
        if ((errno_value != EBUSY && errno_value != ENOTEMPTY) || deadline_passed(walk->deadline))
            return error_set_errno(err, errno_value, "removing control group", group);
        poll(NULL, 0, BUSY_PAUSE_MS);
    }
    return 0;
}

static int visit_hierarchy(void *context, const char *name, struct error *err)
{
    const struct hierarchy_walk *walk = context;
    cleanup_free char *path = text_format("%s/%s", walk->root, name);
    struct stat status;

    /* "cpu" is often a link to "cpu,cpuacct" */
    if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode) || !is_hierarchy(path))
        return 0;
    return remove_from_hierarchy(walk, path, err);
}

int control_groups_remove(const char *root, const char *name, struct deadline deadline, struct error *err)
{
    struct hierarchy_walk walk = {root, name, deadline};

    if (is_hierarchy(root)) /* v2: one hierarchy, at the root itself */
        return remove_from_hierarchy(&walk, root, err);
    if (!file_exists(root))
        return 0;
    return directory_each(root, visit_hierarchy, &walk, err);
}
