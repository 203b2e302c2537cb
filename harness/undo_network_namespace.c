/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness/resource_vm.h"

#define BUSY_PAUSE_MS 2

/* Everything mounted there, one over the other. EINVAL: nothing is (any more). */
static int detach_all(const char *path)
{
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        continue;
    return errno == EINVAL || errno == ENOENT ? 0 : -1;
}

int network_namespace_remove(const char *directory, const char *name, struct deadline deadline, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    /* EBUSY: somebody mounted it again between the two, or the mount belongs to a namespace that is just ending. */
    while (detach_all(path) < 0 || unlink(path) < 0) {
        if (errno == ENOENT)
            return 0;
        if (errno != EBUSY || deadline_passed(deadline))
            return error_set_errno(err, errno, "removing network namespace", path);
        poll(NULL, 0, BUSY_PAUSE_MS);
    }
    return 0;
}
