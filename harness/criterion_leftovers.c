/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/criterion_leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Constants of Criterion 2.4 and its sandbox: TMPDIR is not asked. */
static const struct leftover {
    const char *directory;
    const char *prefix;
    const char *suffix;
    mode_t type;
} leftovers[] = {
    {"/tmp", "criterion_", ".sock", S_IFSOCK},
    {"/dev/shm", "bxfi_", "", S_IFREG},
};

/** The process id between prefix and suffix, 0 when the name is another one. */
static pid_t maker_of(const struct leftover *kind, const char *name)
{
    char *end = NULL;

    if (!text_starts_with(name, kind->prefix))
        return 0;
    long pid = strtol(name + strlen(kind->prefix), &end, 10);
    return pid > 0 && strcmp(end, kind->suffix) == 0 ? (pid_t)pid : 0;
}

static bool is_left_over(const struct leftover *kind, int directory, const char *name)
{
    pid_t pid = maker_of(kind, name);
    struct stat status;

    if (pid == 0 || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return (status.st_mode & S_IFMT) == kind->type && status.st_uid == geteuid() && kill(pid, 0) < 0 && errno == ESRCH;
}

void criterion_leftovers_prune(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(leftovers); i++) {
        DIR *directory = opendir(leftovers[i].directory);
        const struct dirent *entry;

        if (!directory)
            continue;
        while ((entry = readdir(directory))) {
            if (is_left_over(&leftovers[i], dirfd(directory), entry->d_name))
                (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
        closedir(directory);
    }
}
