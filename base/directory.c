/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

static void close_directory(DIR *directory)
{
    if (directory)
        closedir(directory);
}
DEFINE_CLEANUP(DIR *, close_directory)

static bool is_dot_or_dot_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The next entry but "." and "..": 1, 0 at the end, -1 with errno. */
static int next_entry(DIR *directory, const char **name)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? -1 : 0;
        if (!is_dot_or_dot_dot(entry->d_name)) {
            *name = entry->d_name;
            return 1;
        }
    }
}

int directory_each(const char *path, directory_visit visit, void *context, struct error *err)
{
    CLEANUP(close_directory) DIR *directory = opendir(path);
    const char *name = NULL;
    int found;

    if (!directory)
        return error_set_errno(err, errno, "reading directory", path);
    while ((found = next_entry(directory, &name)) > 0) {
        if (visit(context, name, err) < 0)
            return -1;
    }
    if (found < 0)
        return error_set_errno(err, errno, "reading directory", path);
    return 0;
}

/* Make one directory. Returns 0 or -1 with errno. */
static int create_one(const char *path, mode_t mode)
{
    struct stat status;

    if (mkdir(path, mode) == 0)
        return chmod(path, mode); /* the umask took bits away */
    if (errno != EEXIST)
        return -1;
    if (stat(path, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return 0;
}

int directory_create(const char *path, mode_t mode, struct error *err)
{
    cleanup_free char *prefix = text_copy(path);

    for (char *at = prefix; *at; at++) {
        if (*at != '/' || at == prefix || at[-1] == '/')
            continue;
        *at = '\0';
        int result = create_one(prefix, mode);
        *at = '/';
        if (result < 0)
            return error_set_errno(err, errno, "creating directory", path);
    }
    if (create_one(prefix, mode) < 0)
        return error_set_errno(err, errno, "creating directory", path);
    return 0;
}

/* Open the directory `name` in `parent`; EXDEV when something is mounted on it, ELOOP or ENOTDIR when it is a link. */
static int open_within(int parent, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
    };

    return (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
}

static void remove_entry(int parent, const char *path, const char *name, struct error *first);

/* Keep the first failure and go on: what can be removed should be. */
static void note_failure(struct error *first, int errno_value, const char *path)
{
    if (errno_value != ENOENT && !error_is_set(first)) /* ENOENT: somebody else removed it, which is all we want */
        error_set_errno(first, errno_value, "removing", path);
}

/* Remove all that is in the directory `name` of `parent`; `path` is its way from the root, for errors. */
static void empty_directory(int parent, const char *path, const char *name, struct error *first)
{
    int fd = open_within(parent, name);
    CLEANUP(close_directory) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const char *entry = NULL;
    int found;

    if (!directory) {
        note_failure(first, errno, path);
        close_fd(fd);
        return;
    }
    while ((found = next_entry(directory, &entry)) > 0) {
        cleanup_free char *entry_path = text_format("%s/%s", path, entry);
        remove_entry(dirfd(directory), entry_path, entry, first);
    }
    if (found < 0)
        note_failure(first, errno, path);
}

static void remove_entry(int parent, const char *path, const char *name, struct error *first)
{
    struct stat status;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return;
    if (errno != EISDIR && errno != EPERM) { /* EPERM: what POSIX allows for a directory */
        note_failure(first, errno, path);
        return;
    }
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode)) {
        note_failure(first, EPERM, path); /* an immutable file, say */
        return;
    }
    empty_directory(parent, path, name, first);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
        note_failure(first, errno, path);
}

int directory_remove(const char *path, struct error *err)
{
    cleanup_free char *trimmed = text_copy(path);
    size_t size = strlen(trimmed);

    while (size > 1 && trimmed[size - 1] == '/')
        trimmed[--size] = '\0';
    char *slash = strrchr(trimmed, '/');
    const char *name = slash ? slash + 1 : trimmed;
    if (*name == '\0' || is_dot_or_dot_dot(name))
        return error_set_errno(err, EINVAL, "removing directory", path);
    cleanup_free char *above =
        !slash ? text_copy(".") : text_copy_n(trimmed, slash == trimmed ? 1 : (size_t)(slash - trimmed));
    cleanup_close int parent = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "removing directory", path);
    remove_entry(parent, trimmed, name, err);
    return error_is_set(err) ? error_wrap(err, "removing directory", path) : 0;
}
