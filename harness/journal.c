/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#define JOURNAL_BYTES_MAX (64u << 20)

static char *journal_path(const char *directory)
{
    return text_format("%s/journal", directory);
}

void journal_clear(struct journal *journal)
{
    free(journal->label);
    free(journal->bundle);
    free(journal->parents.items);
    for (size_t i = 0; i < journal->resource_count; i++) {
        free(journal->resources[i].kind_name);
        free(journal->resources[i].name);
    }
    free(journal->resources);
    *journal = (struct journal){0};
}

void process_identity_list_add(struct process_identity_list *list, struct process_identity identity)
{
    list->items = memory_resize(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = identity;
}

/* Reading: members that are missing or of the wrong type read as nothing; nobody else writes this file. */

static const char *text_of(const cJSON *event, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, key));
}

static double number_of(const cJSON *event, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(event, key);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static struct process_identity identity_of(const cJSON *event)
{
    return (struct process_identity){(pid_t)number_of(event, "pid"), (uint64_t)number_of(event, "start")};
}

static void apply_start(struct journal *journal, const cJSON *event)
{
    const cJSON *parent;

    if (journal->started)
        return;
    journal->started = true;
    journal->label = text_copy(text_of(event, "label"));
    journal->bundle = text_copy(text_of(event, "bundle"));
    journal->owner = identity_of(event);
    journal->keep = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(event, "keep"));
    journal->started_at = (int64_t)number_of(event, "at");
    cJSON_ArrayForEach(parent, cJSON_GetObjectItemCaseSensitive(event, "parents"))
        process_identity_list_add(&journal->parents, identity_of(parent));
}

static ssize_t find_resource(const struct journal *journal, const char *kind_name, const char *name)
{
    for (size_t i = 0; i < journal->resource_count; i++) {
        if (text_equal(journal->resources[i].kind_name, kind_name) && text_equal(journal->resources[i].name, name))
            return (ssize_t)i;
    }
    return -1;
}

/* A resource that is made again after it was undone is as new as its last making. */
static void apply_create(struct journal *journal, const char *kind_name, const char *name)
{
    ssize_t found = find_resource(journal, kind_name, name);
    size_t last = journal->resource_count;
    struct journal_resource resource;

    if (found >= 0) {
        resource = journal->resources[found];
        memmove(&journal->resources[found], &journal->resources[found + 1],
                (last - (size_t)found - 1) * sizeof(resource));
        last--;
    } else {
        resource = (struct journal_resource){text_copy(kind_name), text_copy(name), false};
        journal->resources = memory_resize(journal->resources, last + 1, sizeof(resource));
        journal->resource_count++;
    }
    resource.undone = false;
    journal->resources[last] = resource;
}

static void apply_resource(struct journal *journal, const cJSON *event, bool create)
{
    const char *kind_name = text_of(event, "kind");
    const char *name = text_of(event, "name");

    if (!kind_name || !name)
        return;
    if (create) {
        apply_create(journal, kind_name, name);
        return;
    }
    ssize_t found = find_resource(journal, kind_name, name);
    if (found >= 0)
        journal->resources[found].undone = true;
}

static void apply(struct journal *journal, const cJSON *event)
{
    const char *name = text_of(event, "event");

    if (text_equal(name, "start"))
        apply_start(journal, event);
    else if (text_equal(name, "reaper"))
        journal->reaper = identity_of(event);
    else if (text_equal(name, "keep"))
        journal->keep = true;
    else if (text_equal(name, "create") || text_equal(name, "undone"))
        apply_resource(journal, event, text_equal(name, "create"));
}

static void apply_lines(struct journal *journal, const char *data, size_t size)
{
    const char *line = data;

    while (size > 0) {
        const char *end = memchr(line, '\n', size - (size_t)(line - data));
        if (!end)
            return;
        CLEANUP(cJSON_Delete) cJSON *event = cJSON_ParseWithLength(line, (size_t)(end - line));
        if (event)
            apply(journal, event);
        line = end + 1;
    }
}

static int read_path(const char *path, struct journal *ret, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read(path, JOURNAL_BYTES_MAX, &data, &size, err) < 0)
        return -1;
    *ret = (struct journal){0};
    apply_lines(ret, data, size);
    return 0;
}

int journal_read(const char *directory, struct journal *ret, struct error *err)
{
    cleanup_free char *path = journal_path(directory);

    if (read_path(path, ret, err) == 0)
        return 0;
    if (!error_is(err, &system_error_domain, ENOENT))
        return error_wrap(err, "reading the journal of", directory);
    error_clear(err);
    *ret = (struct journal){0};
    return 0;
}

int journal_read_fd(int fd, struct journal *ret, struct error *err)
{
    cleanup_free char *path = text_format("/proc/self/fd/%d", fd);

    return read_path(path, ret, err);
}

int journal_open(const char *directory, int *ret, struct error *err)
{
    cleanup_free char *path = journal_path(directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return error_set_errno(err, errno, "opening the journal of", directory);
    *ret = fd;
    return 0;
}

/* Writing. */

static void add_identity(cJSON *event, struct process_identity identity)
{
    json_add_integer(event, "pid", identity.pid);
    json_add_integer(event, "start", (int64_t)identity.start);
}

cJSON *journal_start_event(const struct journal *journal)
{
    cJSON *event = cJSON_CreateObject();

    json_add_text(event, "event", "start");
    json_add_text(event, "label", journal->label);
    json_add_text(event, "bundle", journal->bundle);
    add_identity(event, journal->owner);
    json_add_boolean(event, "keep", journal->keep);
    json_add_integer(event, "at", (int64_t)time(NULL));
    cJSON *parents = json_add_array(event, "parents");
    for (size_t i = 0; i < journal->parents.count; i++)
        add_identity(json_add_object(parents, NULL), journal->parents.items[i]);
    return event;
}

char *journal_line(const cJSON *event)
{
    cleanup_free char *text = json_print(event);

    return text_format("%s\n", text);
}

static int write_line(int fd, const char *line, const char *directory, struct error *err)
{
    size_t size = strlen(line);
    ssize_t written = write(fd, line, size);

    if (written < 0)
        return error_set_errno(err, errno, "writing the journal of", directory);
    if ((size_t)written != size) /* a full file system: the torn line is closed by the next append */
        return error_set_errno(err, ENOSPC, "writing the journal of", directory);
    return 0;
}

int journal_create(const char *directory, const char *line, struct error *err)
{
    cleanup_free char *path = journal_path(directory);
    cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_set_errno(err, errno, "creating the journal of", directory);
    return write_line(fd, line, directory, err);
}

/* Open the journal and lock it; an ended one is not there or is not the file at that path any more. */
static int open_locked(const char *directory, int lock, int *ret, struct error *err)
{
    cleanup_free char *path = journal_path(directory);
    cleanup_close int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;

    if (fd < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "opening the journal of", directory);
    if (fd < 0)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "opening the journal of", directory,
                         "the run has ended");
    while (flock(fd, lock) < 0) {
        if (errno != EINTR)
            return error_set_errno(err, errno, "locking the journal of", directory);
    }
    if (fstat(fd, &status) < 0 || status.st_nlink == 0)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "opening the journal of", directory,
                         "the run has ended");
    *ret = TAKE_FD(fd);
    return 0;
}

static bool ends_with_torn_line(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';

    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int append(const char *directory, const cJSON *event, struct error *err)
{
    cleanup_close int fd = -1;

    if (open_locked(directory, LOCK_SH, &fd, err) < 0)
        return -1;
    cleanup_free char *line = journal_line(event);
    cleanup_free char *separated = ends_with_torn_line(fd) ? text_format("\n%s", line) : text_copy(line);
    return write_line(fd, separated, directory, err);
}

int journal_append_reaper(const char *directory, const struct process_identity *reaper, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = cJSON_CreateObject();

    json_add_text(object, "event", "reaper");
    add_identity(object, *reaper);
    return append(directory, object, err);
}

int journal_append_keep(const char *directory, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = cJSON_CreateObject();

    json_add_text(object, "event", "keep");
    return append(directory, object, err);
}

int journal_append_resource(const char *directory, const char *event, const char *kind_name, const char *name,
                            struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = cJSON_CreateObject();

    json_add_text(object, "event", event);
    json_add_text(object, "kind", kind_name);
    json_add_text(object, "name", name);
    return append(directory, object, err);
}

int journal_close(const char *directory, off_t size, bool *late, struct error *err)
{
    cleanup_free char *path = journal_path(directory);
    cleanup_error struct error ended = ERROR_INIT;
    cleanup_close int fd = -1;
    struct stat status;

    *late = false;
    if (open_locked(directory, LOCK_EX, &fd, &ended) < 0) {
        if (error_is(&ended, &general_error_domain, GENERAL_NOT_FOUND))
            return 0;
        error_move(err, &ended);
        return -1;
    }
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "closing the journal of", directory);
    *late = status.st_size > size;
    if (!*late && unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "closing the journal of", directory);
    return 0;
}

off_t journal_size(const char *directory)
{
    cleanup_free char *path = journal_path(directory);
    struct stat status;

    return stat(path, &status) < 0 ? 0 : status.st_size;
}
