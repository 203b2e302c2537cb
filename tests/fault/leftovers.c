/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/leftovers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define GROUP_PREFIX  "fleet-e2e-"
#define CGROUP_ROOT   "/sys/fs/cgroup"
#define PROC_FILE_MAX (1u << 20)

struct search {
    const char *runs_directory;
    const struct text_list *known_groups;
    const char *hierarchy; /**< being looked at */
    struct text_list *found;
};

/** True if one of the NUL-separated strings of /proc/PID/environ is `variable`. */
static bool environment_has(const char *data, size_t size, const char *variable)
{
    for (const char *item = data; item < data + size; item += strlen(item) + 1) {
        if (strcmp(item, variable) == 0)
            return true;
    }
    return false;
}

static int look_at_process(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *path = text_format("/proc/%s/environ", name);
    cleanup_free char *variable = text_format("FLEET_E2E_RUNS=%s", search->runs_directory);
    cleanup_free char *data = NULL;
    cleanup_error struct error gone = ERROR_INIT;
    size_t size;

    (void)err;
    if (!isdigit((unsigned char)name[0]) || file_read(path, PROC_FILE_MAX, &data, &size, &gone) < 0 ||
        !environment_has(data, size, variable))
        return 0;
    cleanup_free char *command_path = text_format("/proc/%s/cmdline", name);
    cleanup_free char *command = NULL;
    cleanup_error struct error unreadable = ERROR_INIT;
    if (file_read(command_path, PROC_FILE_MAX, &command, &size, &unreadable) == 0)
        text_list_format(search->found, "process %s %s", name, command);
    return 0;
}

static int look_at_run(void *context, const char *name, struct error *err)
{
    struct search *search = context;

    (void)err;
    if (text_starts_with(name, GROUP_PREFIX)) /* runs have the same prefix as their groups; lock files may stay */
        text_list_format(search->found, "run directory %s/%s", search->runs_directory, name);
    return 0;
}

static int look_at_group(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *path = text_format("%s/%s", search->hierarchy, name);

    (void)err;
    if (text_starts_with(name, GROUP_PREFIX) &&
        !(search->known_groups && text_list_contains(search->known_groups, path)))
        text_list_add(search->found, path);
    return 0;
}

static int look_at_hierarchy(void *context, const char *name, struct error *err)
{
    struct search *search = context;
    cleanup_free char *path = text_format(CGROUP_ROOT "/%s", name);
    cleanup_error struct error not_a_directory = ERROR_INIT;

    search->hierarchy = path;
    if (look_at_group(
            &(struct search){.hierarchy = CGROUP_ROOT, .known_groups = search->known_groups, .found = search->found},
            name, err) < 0)
        return -1;
    int result = directory_each(path, look_at_group, search, &not_a_directory);
    (void)result; /* control files of a unified hierarchy are no directories */
    return 0;
}

int leftovers_groups(struct text_list *ret, struct error *err)
{
    struct search search = {.found = ret};

    return directory_each(CGROUP_ROOT, look_at_hierarchy, &search, err);
}

static int look_at_mounts(struct search *search, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read("/proc/self/mountinfo", PROC_FILE_MAX, &data, &size, err) < 0)
        return -1;
    char *rest = NULL;
    for (char *line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, search->runs_directory))
            text_list_format(search->found, "mount %s", line);
    }
    return 0;
}

int leftovers_find(const char *runs_directory, const struct text_list *known_groups, struct text_list *ret,
                   struct error *err)
{
    struct search search = {.runs_directory = runs_directory, .known_groups = known_groups, .found = ret};

    if (directory_each("/proc", look_at_process, &search, err) < 0 || look_at_mounts(&search, err) < 0)
        return -1;
    if (file_exists(runs_directory) && directory_each(runs_directory, look_at_run, &search, err) < 0)
        return -1;
    return directory_each(CGROUP_ROOT, look_at_hierarchy, &search, err);
}
