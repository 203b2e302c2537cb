/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/capability.h"
#include "harness/resource.h"

#define MOUNTS_BYTES_MAX (16u << 20)
#define BUSY_PAUSE_MS    2

/* Strictly below: "/a/b" is below "/a", "/ab" and "/a" are not. */
static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && path[size] == '/' && path[size + 1] != '\0';
}

static bool is_plain(const char *path)
{
    return path[0] == '/' && path[1] != '\0' && !strchr(path, '\n') && !strstr(path, "//") && !strstr(path, "/./") &&
           !strstr(path, "/../") && !text_ends_with(path, "/") && !text_ends_with(path, "/.") &&
           !text_ends_with(path, "/..");
}

static bool holds_home(const char *path)
{
    const struct passwd *user = getpwuid(geteuid());
    const char *homes[] = {getenv("HOME"), user ? user->pw_dir : NULL, "/root", "/home"};

    for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
        if (homes[i] && (text_equal(homes[i], path) || is_below(homes[i], path)))
            return true;
    }
    return false;
}

/* The first part of `path` below `root` (which may itself be reached through links) that is a symbolic link. */
static bool goes_through_link(const char *root, const char *path)
{
    cleanup_free char *prefix = text_copy(path);
    struct stat status;

    for (char *at = prefix + strlen(root) + 1;; at++) {
        char here = *at;
        if (here != '/' && here != '\0')
            continue;
        *at = '\0';
        if (lstat(prefix, &status) < 0)
            return false; /* nothing there yet */
        if (S_ISLNK(status.st_mode))
            return true;
        if (here == '\0')
            return false;
        *at = here;
    }
}

int removable_check(const struct run_place *place, const char *path, struct error *err)
{
    static const char operation[] = "checking directory";
    cleanup_free char *scratch = text_format("%s/tmp", cache_directory());
    const char *root = is_below(path, place->directory) ? place->directory : is_below(path, scratch) ? scratch : NULL;

    if (!is_plain(path))
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, path,
                         "it must be an absolute path without \".\", \"..\" and empty parts");
    if (!root || holds_home(path))
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, path,
                         "a run removes only what is below %s and %s", place->directory, scratch);
    if (goes_through_link(root, path))
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, path,
                         "it is reached through a symbolic link");
    return 0;
}

/* mountinfo writes blanks and the like as \ooo. */
static void decode_octal(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static int by_length_downwards(const void *a, const void *b)
{
    size_t size_a = strlen(*(char *const *)a);
    size_t size_b = strlen(*(char *const *)b);

    return (size_a < size_b) - (size_a > size_b);
}

/* Mount points on or below `path`, deepest first. */
static int find_mounts(const char *path, struct text_list *ret, struct error *err)
{
    cleanup_free char *data = NULL;
    char *rest = NULL;
    size_t size;

    if (file_read("/proc/self/mountinfo", MOUNTS_BYTES_MAX, &data, &size, err) < 0)
        return -1;
    for (char *line = strtok_r(data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char target[PATH_MAX + 1];
        /* "36 35 98:0 /root /mount/point options …": see proc(5) */
        if (sscanf(line, "%*s %*s %*s %*s %4096s", target) != 1)
            continue;
        decode_octal(target);
        if (text_equal(target, path) || is_below(target, path))
            text_list_add(ret, target);
    }
    if (ret->count)
        qsort(ret->items, ret->count, sizeof(*ret->items), by_length_downwards);
    return 0;
}

static int detach_mounts(const char *path, struct error *err)
{
    cleanup_free char *real = realpath(path, NULL); /* as mountinfo knows it */
    cleanup_text_list struct text_list mounts = {0};

    if (!real)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "resolving", path);
    if (find_mounts(real, &mounts, err) < 0)
        return -1;
    for (size_t i = 0; i < mounts.count; i++) {
        if (umount2(mounts.items[i], MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
            return error_set_errno(err, errno, "unmounting", mounts.items[i]);
    }
    return 0;
}

int tree_remove(const char *path, struct deadline deadline, struct error *err)
{
    for (;;) {
        if (detach_mounts(path, err) == 0 && directory_remove(path, err) == 0)
            return 0;
        /* Somebody who is being killed may still write there (ENOTEMPTY) or stand there (EBUSY). */
        if ((err->code != EBUSY && err->code != ENOTEMPTY && err->code != EXDEV) || deadline_passed(deadline))
            return error_wrap(err, "removing tree", path);
        error_clear(err);
        poll(NULL, 0, BUSY_PAUSE_MS);
    }
}
