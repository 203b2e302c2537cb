/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mount_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* setns(2) into our own mount namespace puts us at its root, out of any chroot. */
static int go_to_namespace_root(void)
{
    cleanup_close int self = pidfd_open(getpid(), 0);

    return self < 0 ? -1 : setns(self, CLONE_NEWNS);
}

/* 1: `directory` is the namespace's root, 0: it is not, -1 with errno. */
static int is_namespace_root(int directory)
{
    struct statx there;
    struct statx root;

    if (statx(directory, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &there) < 0 ||
        statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root) < 0)
        return -1;
    return there.stx_mnt_id == root.stx_mnt_id && there.stx_ino == root.stx_ino;
}

/* Make a copy of the tree at `directory`, with the mounts in it, the root of the namespace, and let the former one go. */
static int make_namespace_root(int directory)
{
    cleanup_close int tree =
        open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

    if (tree < 0 || move_mount(tree, "", directory, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ||
        fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return -1;
    return umount2(".", MNT_DETACH); /* the former root, which now lies on top of the new one */
}

int mount_namespace_isolate(void)
{
    cleanup_close int chroot_directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (chroot_directory < 0 || go_to_namespace_root() < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    int root = is_namespace_root(chroot_directory);
    if (root < 0 || (!root && make_namespace_root(chroot_directory) < 0))
        return -1;
    return chdir("/");
}
