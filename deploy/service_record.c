/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/service_record.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum {
    RECORD_MAX = 256,
};

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

/** The number at *at, which moves behind it; false when there is none. */
static bool parse_number(const char **at, int base, uint64_t *ret)
{
    char *end = NULL;

    errno = 0;
    *ret = strtoull(*at, &end, base);
    bool found = end != *at && errno == 0;
    *at = end;
    return found;
}

/** Skip `word`; false when something else stands there. */
static bool parse_word(const char **at, const char *word)
{
    bool found = text_starts_with(*at, word);

    *at += found ? strlen(word) : 0;
    return found;
}

static bool parse_record(const char *text, struct service_record *ret)
{
    uint64_t pid;

    if (!parse_word(&text, "pid ") || !parse_number(&text, 10, &pid) || !parse_word(&text, " start ") ||
        !parse_number(&text, 10, &ret->process.start) || !parse_word(&text, " definition ") ||
        !parse_number(&text, 16, &ret->definition))
        return false;
    ret->process.pid = (pid_t)pid;
    return pid > 0 && pid <= INT_MAX;
}

int service_record_read(const char *path, struct service_record *ret, struct error *err)
{
    cleanup_free char *text = NULL;
    struct service_record record;
    size_t size;

    *ret = (struct service_record){0};
    if (!file_exists(path))
        return 0;
    if (file_read(path, RECORD_MAX, &text, &size, err) < 0)
        return -1;
    if (!parse_record(text, &record))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading service record", path,
                         "it is not one: \"%s\"", text);
    *ret = record;
    return 0;
}

int service_record_write(const char *path, const struct service_record *record, struct error *err)
{
    cleanup_free char *text = text_format("pid %d start %" PRIu64 " definition %016" PRIx64 "\n",
                                          (int)record->process.pid, record->process.start, record->definition);

    return file_write_atomic(path, text, strlen(text), 0600, err);
}
