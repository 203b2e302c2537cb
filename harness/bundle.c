/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/bundle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/journal.h"
#include "harness/resource.h"

/* A log's end says why; more than this of one file only hides it. */
#define LOG_BYTES_MAX ((off_t)(8 << 20))
#define LOG_DEPTH_MAX 4

static int copy_log(const char *from, const char *directory, const char *name, struct error *err)
{
    cleanup_close int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "reading log", from);
    if (!S_ISREG(status.st_mode))
        return 0;
    off_t start = status.st_size > LOG_BYTES_MAX ? status.st_size - LOG_BYTES_MAX : 0;
    cleanup_free char *data = NEW_ARRAY(char, (size_t)(status.st_size - start) + 1);
    ssize_t size = pread(fd, data, (size_t)(status.st_size - start), start);
    if (size < 0)
        return error_set_errno(err, errno, "reading log", from);
    cleanup_free char *to = text_format("%s/%s", directory, name);
    if (directory_create(directory, 0755, err) < 0)
        return -1;
    return file_write_atomic(to, data, (size_t)size, 0644, err);
}

struct log_walk {
    const char *from;
    const char *to;
    const struct text_list *skip;
    int depth;
    struct error *first; /* the first failure; the walk goes on */
};

static int copy_entry(void *context, const char *name, struct error *err)
{
    const struct log_walk *walk = context;
    cleanup_free char *from = text_format("%s/%s", walk->from, name);
    cleanup_error struct error failure = ERROR_INIT;
    struct stat status;
    int result = 0;

    (void)err;
    if (lstat(from, &status) < 0 || text_list_contains(walk->skip, from))
        return 0;
    if (S_ISDIR(status.st_mode) && walk->depth < LOG_DEPTH_MAX) {
        cleanup_free char *to = text_format("%s/%s", walk->to, name);
        struct log_walk below = {from, to, walk->skip, walk->depth + 1, walk->first};
        result = directory_each(from, copy_entry, &below, &failure);
    } else if (S_ISREG(status.st_mode) && text_ends_with(name, ".log")) {
        result = copy_log(from, walk->to, name, &failure);
    }
    if (result < 0 && !error_is_set(walk->first))
        error_move(walk->first, &failure);
    return 0;
}

int bundle_copy_logs(const char *from, const struct text_list *skip, const char *to, struct error *err)
{
    cleanup_free char *logs = text_format("%s/logs", to);
    cleanup_error struct error first = ERROR_INIT;
    struct log_walk walk = {from, logs, skip, 0, &first};

    if (directory_each(from, copy_entry, &walk, err) < 0)
        return error_wrap(err, "copying logs of", from);
    if (error_is_set(&first)) {
        error_move(err, &first);
        return error_wrap(err, "copying logs of", from);
    }
    return 0;
}

/* Graph roots are large, and podman's logs are asked of podman. */
static void add_storages(const char *directory, struct text_list *skip)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_journal struct journal journal = {0};

    if (journal_read(directory, &journal, &ignored) < 0)
        return;
    for (size_t i = 0; i < journal.resource_count; i++) {
        if (text_equal(journal.resources[i].kind_name, resource_type(RESOURCE_PODMAN_STORAGE)->name))
            text_list_add(skip, journal.resources[i].name);
    }
}

int bundle_collect_run(const char *directory, const char *to, struct error *err)
{
    cleanup_free char *journal = text_format("%s/journal", directory);
    cleanup_text_list struct text_list skip = {0};

    if (directory_create(to, 0755, err) < 0 || copy_log(journal, to, "journal", err) < 0)
        return -1;
    add_storages(directory, &skip);
    return bundle_copy_logs(directory, &skip, to, err);
}

int bundle_write(const char *directory, const char *name, const char *text, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    return file_write_atomic(path, text, strlen(text), 0644, err);
}
