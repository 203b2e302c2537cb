/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/leftovers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define RUN_PREFIX    "fleet-e2e-"
#define CGROUP_ROOT   "/sys/fs/cgroup"
#define NETNS_ROOT    "/run/netns"
#define PROC_FILE_MAX (1u << 20)

struct search {
    const struct leftovers *where;
    const char *hierarchy; /**< being looked at */
    struct text_buffer *found;
};

/** The NUL-separated strings of /proc/PID/<name>; none when it has ended. */
static void read_strings(const char *pid, const char *name, struct text_list *ret)
{
    cleanup_free char *path = text_format("/proc/%s/%s", pid, name);
    cleanup_free char *data = NULL;
    cleanup_error struct error gone = ERROR_INIT;
    size_t size = 0;

    if (file_read(path, PROC_FILE_MAX, &data, &size, &gone) < 0)
        return;
    for (const char *item = data; item < data + size; item += strlen(item) + 1)
        text_list_add(ret, item);
}

static bool is_in_network(const char *pid, int network_namespace)
{
    cleanup_free char *path = text_format("/proc/%s/ns/net", pid);
    struct stat its, ours;

    return network_namespace > 0 && stat(path, &its) == 0 && fstat(network_namespace, &ours) == 0 &&
           its.st_ino == ours.st_ino && its.st_dev == ours.st_dev;
}

static int look_at_process(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *variable = text_format("FLEET_E2E_RUNS=%s", search->where->runs_directory);
    cleanup_free char *below = text_format("%s/", search->where->runs_directory);
    cleanup_text_list struct text_list environment = {0};
    cleanup_text_list struct text_list arguments = {0};

    (void)err;
    if (!isdigit((unsigned char)name[0]))
        return 0;
    read_strings(name, "environ", &environment);
    read_strings(name, "cmdline", &arguments);
    cleanup_free char *command = text_list_join(&arguments, " ");
    if (text_list_contains(&environment, variable) || strstr(command, below) ||
        is_in_network(name, search->where->network_namespace))
        text_buffer_format(search->found, "process %s %s; ", name, command);
    return 0;
}

static int look_at_run(void *context, const char *name, struct error *err)
{
    struct search *search = context;

    (void)err;
    if (text_starts_with(name, RUN_PREFIX)) /* lock files may stay */
        text_buffer_format(search->found, "run directory %s/%s; ", search->where->runs_directory, name);
    return 0;
}

static int look_at_group(void *context, const char *name, struct error *err)
{
    struct search *search = context;

    (void)err;
    if (strstr(name, search->where->run_id))
        text_buffer_format(search->found, "%s/%s; ", search->hierarchy, name);
    return 0;
}

static int look_at_hierarchy(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *path = text_format(CGROUP_ROOT "/%s", name);
    cleanup_error struct error not_a_directory = ERROR_INIT;

    search->hierarchy = CGROUP_ROOT; /* of version 2 the groups stand here */
    if (look_at_group(search, name, err) < 0)
        return -1;
    search->hierarchy = path;
    int result = directory_each(path, look_at_group, search, &not_a_directory);
    (void)result; /* control files of a unified hierarchy are no directories */
    return 0;
}

static int look_at_mounts(struct search *search, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read("/proc/self/mountinfo", PROC_FILE_MAX, &data, &size, err) < 0)
        return -1;
    char *rest = NULL;
    for (char *line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, search->where->runs_directory))
            text_buffer_format(search->found, "mount %s; ", line);
    }
    return 0;
}

static void look_at_network(struct search *search)
{
    cleanup_free char *path = text_format(NETNS_ROOT "/%s", search->where->run_id);

    if (file_exists(path))
        text_buffer_format(search->found, "network namespace %s; ", path);
}

int leftovers_find(const struct leftovers *where, struct text_buffer *ret, struct error *err)
{
    struct search search = {.where = where, .found = ret};

    if (directory_each("/proc", look_at_process, &search, err) < 0 || look_at_mounts(&search, err) < 0)
        return -1;
    if (file_exists(where->runs_directory) && directory_each(where->runs_directory, look_at_run, &search, err) < 0)
        return -1;
    if (!where->run_id)
        return 0;
    look_at_network(&search);
    return directory_each(CGROUP_ROOT, look_at_hierarchy, &search, err);
}
