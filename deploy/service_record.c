/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/service_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum { RECORD_MAX = 256, STAT_MAX = 4096 };

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): tells definitions apart, protects nothing. */
#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

/** With the terminator, so that {"ab", "c"} and {"a", "bc"} differ. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (size_t i = 0; i <= strlen(text); i++)
        hash = (hash ^ (unsigned char)text[i]) * FNV_PRIME;
    return hash;
}

static uint64_t hash_list(uint64_t hash, const char *const *list)
{
    for (; list && *list; list++)
        hash = hash_text(hash, *list);
    return hash_text(hash, "\n"); /* the end of a list */
}

uint64_t service_definition_hash(const struct service_definition *definition)
{
    return hash_list(hash_list(hash_text(FNV_OFFSET, definition->name), definition->argv), definition->environment);
}

/** State letter and start time out of /proc/PID/stat; false when there is no such process. */
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
    cleanup_free char *path = text_format("/proc/%d/stat", (int)pid);
    cleanup_free char *text = NULL;
    cleanup_error struct error ignored = ERROR_INIT;
    size_t size;

    if (file_read(path, STAT_MAX, &text, &size, &ignored) < 0)
        return false;
    const char *after_name = strrchr(text, ')'); /* a program's name may hold blanks and parentheses */
    return after_name && sscanf(after_name + 1,
                                " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                                state, start) == 2;
}

int service_record_identify(pid_t pid, struct service_record *ret, struct error *err)
{
    char state;

    if (!read_stat(pid, &state, &ret->start)) {
        cleanup_free char *subject = text_format("%d", (int)pid);
        return error_set_errno(err, ESRCH, "identifying process", subject);
    }
    ret->pid = pid;
    return 0;
}

bool service_record_alive(const struct service_record *record)
{
    uint64_t start;
    char state;

    return record->pid > 0 && read_stat(record->pid, &state, &start) && start == record->start && state != 'Z' &&
           state != 'X';
}

int service_record_read(const char *path, struct service_record *ret, struct error *err)
{
    cleanup_free char *text = NULL;
    struct service_record record;
    size_t size;
    int pid;

    *ret = (struct service_record){0};
    if (!file_exists(path))
        return 0;
    if (file_read(path, RECORD_MAX, &text, &size, err) < 0)
        return -1;
    if (sscanf(text, "pid %d start %" SCNu64 " definition %" SCNx64, &pid, &record.start, &record.definition) != 3 ||
        pid <= 0)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading service record", path,
                         "it is not one: \"%s\"", text);
    record.pid = pid;
    *ret = record;
    return 0;
}

int service_record_write(const char *path, const struct service_record *record, struct error *err)
{
    cleanup_free char *text = text_format("pid %d start %" PRIu64 " definition %016" PRIx64 "\n", (int)record->pid,
                                          record->start, record->definition);

    return file_write_atomic(path, text, strlen(text), 0600, err);
}
