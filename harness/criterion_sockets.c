/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/criterion_sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_DIRECTORY "/tmp" /* a constant of Criterion 2.4: TMPDIR is not asked */

static int is_left_over(int directory, const char *name)
{
    struct stat status;
    int pid = 0;
    int size = 0;

    if (sscanf(name, "criterion_%d.sock%n", &pid, &size) != 1 || size == 0 || name[size] != '\0' || pid <= 0)
        return 0;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(status.st_mode) ||
        status.st_uid != geteuid())
        return 0;
    return kill(pid, 0) < 0 && errno == ESRCH;
}

void criterion_sockets_prune(void)
{
    DIR *directory = opendir(SOCKET_DIRECTORY);
    const struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        if (is_left_over(dirfd(directory), entry->d_name))
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}
