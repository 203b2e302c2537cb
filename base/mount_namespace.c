/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/mount_namespace.h"

/*
 * A plain directory we are chrooted into lies somewhere in a mount whose top we cannot name, and which may be shared
 * with the world outside: nothing may be mounted in it. /proc is a mount of its own, so it can be made private and hold
 * the copy of our tree.
 */
static int leave_plain_chroot(void)
{
    if (mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) < 0 || mount("/", "/proc", NULL, MS_BIND | MS_REC, NULL) < 0 ||
        chdir("/proc") < 0 || chroot(".") < 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int mount_namespace_isolate(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    return errno == EINVAL ? leave_plain_chroot() : -1; /* all that mount(2) has against "/" there */
}
