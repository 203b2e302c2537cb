/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mount_namespace.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define MOUNTINFO_MAX (4u << 20)

/* In a child, in namespaces of its own: its exit code is 0 or the errno of what was refused. */
static int run_in_child(int (*steps)(const char *directory), const char *directory, struct error *err)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(steps(directory) < 0 ? errno : 0);
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return error_set_errno(err, errno, "running", "a child");
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return error_set_errno(err, WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD, "taking steps in", directory);
    return 0;
}

/* Enter our own mount namespace as podman exec enters that of a container: "/" must still be what it was. */
static int enter_again(void)
{
    struct stat before;
    struct stat after;
    cleanup_close int self = pidfd_open(getpid(), 0);

    if (self < 0 || stat("/", &before) < 0 || setns(self, CLONE_NEWNS) < 0 || stat("/", &after) < 0)
        return -1;
    if (before.st_dev == after.st_dev && before.st_ino == after.st_ino)
        return 0;
    errno = EXDEV;
    return -1;
}

/* What a container runtime does with a directory that is to be "/": bind it to itself, and let the old root go. */
static int pivot_into(const char *directory)
{
    if (mount(directory, directory, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(directory) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0)
        return -1;
    return umount2(".", MNT_DETACH);
}

static int isolate_and_pivot(const char *directory)
{
    if (unshare(CLONE_NEWNS) < 0 || mount_namespace_isolate() < 0 || enter_again() < 0 || pivot_into(directory) < 0)
        return -1;
    return enter_again();
}

/* Mounts spread to whoever shares them, as systemd sets it up, and "/" is a directory of some mount. */
static int enter_plain_chroot(const char *directory)
{
    if (unshare(CLONE_NEWNS) < 0 || mount_namespace_isolate() < 0 || chdir(directory) < 0 ||
        mount("proc", "proc", "proc", 0, NULL) < 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
}

static int mount_inside(void)
{
    if (chroot(".") < 0 || unshare(CLONE_NEWNS) < 0 || mount_namespace_isolate() < 0)
        return -1;
    return mount("tmpfs", "/inner", "tmpfs", 0, NULL);
}

/* Every mount that is seen here; NULL if it cannot be told. */
static char *mounts_seen(void)
{
    cleanup_error struct error err = ERROR_INIT;
    char *text = NULL;
    size_t size;

    return file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &size, &err) < 0 ? NULL : text;
}

static int mount_inside_plain_chroot(const char *directory)
{
    int status = 0;

    if (enter_plain_chroot(directory) < 0)
        return -1;
    cleanup_free char *before = mounts_seen();
    pid_t child = fork();
    if (child == 0)
        _exit(mount_inside() < 0 ? errno : 0);
    if (child < 0 || waitpid(child, &status, 0) < 0)
        return -1;
    cleanup_free char *after = mounts_seen();
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
    if (errno == 0 && (!before || !after || !text_equal(before, after)))
        errno = EEXIST; /* what it mounted is seen here */
    return errno ? -1 : 0;
}

static int pivot_inside_plain_chroot(const char *directory)
{
    if (enter_plain_chroot(directory) < 0 || chroot(".") < 0)
        return -1;
    return isolate_and_pivot("/inner");
}

static int pivot_inside_chroot_to_mount_point(const char *directory)
{
    if (unshare(CLONE_NEWNS) < 0 || mount_namespace_isolate() < 0 ||
        mount(directory, directory, NULL, MS_BIND, NULL) < 0 || chroot(directory) < 0)
        return -1;
    return isolate_and_pivot("/inner");
}

/* A directory fit to be chrooted into; the caller frees. */
static int make_root(struct test_context *test, char **ret, struct error *err)
{
    cleanup_free char *root = text_format("%s/root", test->artefacts);
    cleanup_free char *proc = text_format("%s/proc", root);
    cleanup_free char *inner = text_format("%s/inner", root);

    if (directory_create(proc, 0755, err) < 0 || directory_create(inner, 0755, err) < 0)
        return -1;
    *ret = TAKE_PTR(root);
    return 0;
}

FLEET_TEST(mount_namespace, fits_container_runtimes, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *root = NULL;

    TRY(make_root(test, &root, err));
    return run_in_child(isolate_and_pivot, root, err);
}

FLEET_TEST(mount_namespace, fits_them_in_a_plain_chroot, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *root = NULL;

    TRY(make_root(test, &root, err));
    return run_in_child(pivot_inside_plain_chroot, root, err);
}

FLEET_TEST(mount_namespace, fits_them_in_a_chroot_to_a_mount_point, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *root = NULL;

    TRY(make_root(test, &root, err));
    return run_in_child(pivot_inside_chroot_to_mount_point, root, err);
}

FLEET_TEST(mount_namespace, keeps_mounts_from_the_world_outside, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *root = NULL;

    TRY(make_root(test, &root, err));
    return run_in_child(mount_inside_plain_chroot, root, err);
}
