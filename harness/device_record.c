/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/device_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "harness/place.h"
#include "harness/run.h"

#define DIRECTORY        "devices"
#define SUFFIX           ".json"
#define RECORD_BYTES_MAX (64u << 10)
#define TEXT_BYTES_MAX   4096u
#define DEVICE_BYTES_MAX 63
/* One NATS token, as everywhere (contracts/names.h); the harness knows no contracts. */
#define DEVICE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* The members of the document: each is a string of the record. */
static const struct record_member {
    const char *key;
    size_t offset;
    bool optional;
} members[] = {
    {"device", offsetof(struct device_record, device), false},
    {"domain", offsetof(struct device_record, domain), true},
    {"address", offsetof(struct device_record, address), false},
    {"user", offsetof(struct device_record, user), false},
    {"private_key", offsetof(struct device_record, private_key), false},
    {"host_key", offsetof(struct device_record, host_key), false},
    {"network_namespace", offsetof(struct device_record, network_namespace), true},
    {"libvirt_uri", offsetof(struct device_record, libvirt_uri), true},
    {"console", offsetof(struct device_record, console), true},
    {"architecture", offsetof(struct device_record, architecture), true},
};

static char **member_of(struct device_record *record, const struct record_member *member)
{
    return (char **)(void *)((char *)record + member->offset);
}

static const char *text_of(const struct device_record *record, const struct record_member *member)
{
    return *(char *const *)(const void *)((const char *)record + member->offset);
}

void device_record_clear(struct device_record *record)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        free(*member_of(record, &members[i]));
    free(record->run_directory);
    *record = (struct device_record){0};
}

void device_record_list_clear(struct device_record_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        device_record_clear(&list->items[i]);
    free(list->items);
    *list = (struct device_record_list){0};
}

static bool is_device_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size <= DEVICE_BYTES_MAX && name[0] != '-' && strspn(name, DEVICE_CHARACTERS) == size;
}

/* What is read here becomes words of a command line and lines of a file. */
static int check(const struct device_record *record, struct error *err)
{
    static const char operation[] = "checking the record of device";

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const char *text = text_of(record, &members[i]);
        if (text ? !*text || text_has_control(text) : !members[i].optional)
            return error_set(err, &general_error_domain, GENERAL_INVALID, operation, record->device,
                             "its %s is missing or has control characters", members[i].key);
    }
    if (!is_device_name(record->device))
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, record->device,
                         "a device's name has 1 to %d of: letters, digits, _ and -", DEVICE_BYTES_MAX);
    if (record->address[0] == '-' || record->user[0] == '-' || strpbrk(record->address, " @") ||
        strpbrk(record->user, " @"))
        return error_set(err, &general_error_domain, GENERAL_INVALID, operation, record->device,
                         "%s@%s is nothing that ssh could go to", record->user, record->address);
    return 0;
}

static char *path_of(const char *run_directory, const char *device)
{
    return text_format("%s/" DIRECTORY "/%s" SUFFIX, run_directory, device);
}

int device_record_write(const char *run_directory, const struct device_record *record, struct error *err)
{
    cleanup_free char *directory = text_format("%s/" DIRECTORY, run_directory);
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    if (check(record, err) < 0 || directory_create(directory, 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        json_add_text(document, members[i].key, text_of(record, &members[i]));
    cleanup_free char *path = path_of(run_directory, record->device);
    cleanup_free char *text = json_print(document);
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int decode(const cJSON *document, struct device_record *ret, struct error *err)
{
    struct json_cursor root = json_root(document);

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        struct json_cursor value;
        if (json_optional(&root, members[i].key, &value, err) < 0 ||
            (json_present(&value) && json_string(&value, TEXT_BYTES_MAX, member_of(ret, &members[i]), err) < 0))
            return -1;
    }
    return check(ret, err);
}

int device_record_read(const char *run_directory, const char *device, struct device_record *ret, struct error *err)
{
    cleanup_device_record struct device_record record = {0};
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_free char *path = path_of(run_directory, device);
    cleanup_free char *data = NULL;
    size_t size = 0;

    if (file_read(path, RECORD_BYTES_MAX, &data, &size, err) < 0 || json_parse(data, size, &document, err) < 0 ||
        decode(document, &record, err) < 0)
        return error_wrap(err, "reading the record of device", device);
    if (!text_equal(record.device, device))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading the record of device", device,
                         "it is about %s", record.device);
    record.run_directory = text_copy(run_directory);
    *ret = record;
    record = (struct device_record){0};
    return 0;
}

int device_record_remove(const char *run_directory, const char *device, struct error *err)
{
    cleanup_free char *path = path_of(run_directory, device);

    return file_remove(path, err);
}

/* Lists */

static int add_name(void *context, const char *name, struct error *err)
{
    (void)err;
    if (text_ends_with(name, SUFFIX))
        text_list_take(context, text_copy_n(name, strlen(name) - strlen(SUFFIX)));
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int device_records_of_run(const char *run_directory, struct device_record_list *ret, struct error *err)
{
    cleanup_free char *directory = text_format("%s/" DIRECTORY, run_directory);
    cleanup_text_list struct text_list names = {0};

    if (directory_each(directory, add_name, &names, err) < 0) {
        if (!error_is(err, &system_error_domain, ENOENT))
            return -1;
        error_clear(err);
    }
    if (names.count)
        qsort(names.items, names.count, sizeof(*names.items), by_name);
    for (size_t i = 0; i < names.count; i++) {
        cleanup_error struct error unreadable = ERROR_INIT;
        struct device_record record = {0};
        if (device_record_read(run_directory, names.items[i], &record, &unreadable) < 0) {
            log_debug("a device's record cannot be read", LOG_TEXT("device", names.items[i]),
                      LOG_TEXT("why", error_root_detail(&unreadable)));
            continue;
        }
        ret->items = memory_resize(ret->items, ret->count + 1, sizeof(*ret->items));
        ret->items[ret->count++] = record;
    }
    return 0;
}

int device_records_of_all(struct device_record_list *ret, struct error *err)
{
    cleanup_text_list struct text_list ids = {0};

    if (runs_list(&ids, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.count; i++) {
        cleanup_free char *directory = text_format("%s/%s", runs_directory(), ids.items[i]);
        if (device_records_of_run(directory, ret, err) < 0)
            return -1;
    }
    return 0;
}

/* Finding one */

enum match { MATCH_NAME, MATCH_PREFIX, MATCH_ANY };

static bool matches(const struct device_record *record, const char *name, enum match match)
{
    const char *const names[] = {record->device, record->domain};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i] && (match == MATCH_ANY || (match == MATCH_PREFIX && text_starts_with(names[i], name)) ||
                         text_equal(names[i], name)))
            return true;
    }
    return false;
}

/* Those that match as "device (domain)"; *first is the first of them. */
static size_t collect(const struct device_record_list *list, const char *name, enum match match,
                      const struct device_record **first, struct text_list *described)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct device_record *record = &list->items[i];
        if (!matches(record, name, match))
            continue;
        if (count++ == 0)
            *first = record;
        text_list_format(described, "%s (%s)", record->device, record->domain ? record->domain : record->run_directory);
    }
    return count;
}

int device_record_find(const struct device_record_list *list, const char *name, const struct device_record **ret,
                       struct error *err)
{
    static const char operation[] = "looking for device";
    cleanup_text_list struct text_list all = {0};
    const struct device_record *found = NULL;

    for (enum match match = MATCH_NAME; match < MATCH_ANY; match++) {
        cleanup_text_list struct text_list described = {0};
        size_t count = collect(list, name, match, &found, &described);
        if (count == 1) {
            *ret = found;
            return 0;
        }
        cleanup_free char *which = text_list_join(&described, ", ");
        if (count > 1)
            return error_set(err, &general_error_domain, GENERAL_CONFLICT, operation, name, "it could be any of: %s",
                             which);
    }
    if (collect(list, name, MATCH_ANY, &found, &all) == 0)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, operation, name, "no run in %s has a device",
                         runs_directory());
    cleanup_free char *which = text_list_join(&all, ", ");
    return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, operation, name, "there are: %s", which);
}
