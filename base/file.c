/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

enum {
    READ_FIRST = 4096, /* the first buffer of a file whose size is not known: /proc says 0 */
};

/* Directory part of `path` ("." when there is none). Caller frees. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return text_copy(".");
    return slash == path ? text_copy("/") : text_copy_n(path, (size_t)(slash - path));
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Bytes to start reading with: one more than the file is said to have, so that its end shows in the same read. */
static size_t first_capacity(int fd, size_t limit)
{
    struct stat status;

    if (fstat(fd, &status) < 0 || status.st_size < READ_FIRST)
        return limit < READ_FIRST ? limit : READ_FIRST;
    return (uintmax_t)status.st_size < limit ? (size_t)status.st_size + 1 : limit;
}

int file_read(const char *path, size_t max, char **data, size_t *size, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t limit = max < SIZE_MAX - 1 ? max + 1 : SIZE_MAX - 1; /* one byte more tells "too large" from "just fits" */
    size_t used = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "reading", path);
    size_t capacity = first_capacity(fd, limit);
    cleanup_free char *buffer = NEW_ARRAY(char, capacity + 1);
    while (used < limit) {
        if (used == capacity) {
            capacity = capacity < limit / 2 ? capacity * 2 : limit;
            buffer = memory_resize(buffer, capacity + 1, 1);
        }
        ssize_t got = read(fd, buffer + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "reading", path);
        if (got == 0)
            break;
        used += (size_t)got;
    }
    if (used > max)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "reading", path, "more than %zu bytes", max);
    buffer[used] = '\0';
    *data = TAKE_PTR(buffer);
    *size = used;
    return 0;
}

int file_write_all(int fd, const void *data, size_t size)
{
    const char *rest = data;

    while (size > 0) {
        ssize_t written = write(fd, rest, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        rest += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Write, make durable, put in place. Returns 0 or -1 with errno. */
static int replace_in_directory(int directory, const char *temporary, const char *name, const void *data, size_t size,
                                mode_t mode)
{
    cleanup_close int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    /* The mode comes last but one: a secret is never readable by others on the way, whatever the umask. */
    if (file_write_all(fd, data, size) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        renameat(directory, temporary, directory, name) < 0) {
        int saved_errno = errno;
        unlinkat(directory, temporary, 0);
        errno = saved_errno;
        return -1;
    }
    return fsync(directory);
}

int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, struct error *err)
{
    cleanup_free char *parent = parent_of(path);
    const char *name = name_of(path);
    char random[9];

    cleanup_close int directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_set_errno(err, errno, "writing", path);
    text_random_hex(random, sizeof(random));
    cleanup_free char *temporary = text_format(".%s.%s.tmp", name, random);
    if (replace_in_directory(directory, temporary, name, data, size, mode) < 0)
        return error_set_errno(err, errno, "writing", path);
    return 0;
}

bool file_exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

int file_remove(const char *path, struct error *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "removing", path);
    return 0;
}
