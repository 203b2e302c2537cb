/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/desired_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "contracts/names.h"
#include "contracts/score.h"

#define NUMBER_MAX     (INT64_C(1) << 53)
#define SUFFIX         ".json"
#define CORRUPT_SUFFIX ".corrupt"

enum {
    FILE_MAX = SCORE_VALUE_MAX + 128, /* what surrounds the value is shorter */
    FILE_MODE = 0600,                 /* environment variables hold secrets */
    DIRECTORY_MODE = 0700,
};

struct desired_store {
    char *directory;
};

int desired_store_new(const char *state_directory, struct desired_store **ret, struct error *err)
{
    cleanup_free char *directory = text_format("%s/desired", state_directory);

    if (directory_create(directory, DIRECTORY_MODE, err) < 0)
        return error_wrap(err, "opening the store of desired states", NULL);
    *ret = NEW(struct desired_store);
    (*ret)->directory = TAKE_PTR(directory);
    return 0;
}

void desired_store_free(struct desired_store *store)
{
    if (!store)
        return;
    free(store->directory);
    free(store);
}

static char *path_of(const struct desired_store *store, const char *deployment)
{
    return text_format("%s/%s" SUFFIX, store->directory, deployment);
}

/** The value between its braces, as it stands in the file. */
static int extract_desired(const cJSON *document, char **ret, struct error *err)
{
    const struct json_cursor root = json_root(document);
    struct json_cursor desired;

    if (json_member(&root, "desired", &desired, err) < 0)
        return -1;
    *ret = json_print(desired.value);
    return 0;
}

static int read_record(const char *path, struct desired_record *record, char **data, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_free char *text = NULL;
    size_t size = 0;
    struct json_cursor revision;
    struct json_cursor bucket;
    struct json_cursor removing;
    int64_t number = 0;
    int64_t bucket_number = 0;
    bool is_removing = false;

    if (file_read(path, FILE_MAX, &text, &size, err) < 0 || json_parse(text, size, &document, err) < 0)
        return -1;
    const struct json_cursor root = json_root(document);
    if (json_member(&root, "revision", &revision, err) < 0 || json_optional(&root, "removing", &removing, err) < 0 ||
        json_integer(&revision, 0, NUMBER_MAX, &number, err) < 0 || json_optional(&root, "bucket", &bucket, err) < 0)
        return -1;
    if (json_present(&bucket) && json_integer(&bucket, 0, NUMBER_MAX, &bucket_number, err) < 0)
        return -1;
    if (json_present(&removing) && json_boolean(&removing, &is_removing, err) < 0)
        return -1;
    if (!is_removing && extract_desired(document, data, err) < 0)
        return -1;
    record->revision = (uint64_t)number;
    record->bucket = (uint64_t)bucket_number;
    record->data = *data;
    record->size = *data ? strlen(*data) : 0;
    return 0;
}

/** Reading a FIFO would wait for ever. */
static int check_is_file(const char *path, struct error *err)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return error_set_errno(err, errno, "reading", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", path, "it is not a regular file");
    return 0;
}

/** Out of the way, but there for whoever wants to know what happened. */
static void set_aside(const char *path, const struct error *why)
{
    cleanup_free char *aside = text_format("%s" CORRUPT_SUFFIX, path);
    int result = rename(path, aside);

    log_trouble("a stored desired state cannot be used and was set aside", why, LOG_TEXT("file", aside),
                LOG_TEXT("renamed", result == 0 ? "yes" : strerror(errno)));
}

static void load_file(const struct desired_store *store, const char *deployment, desired_visit visit, void *context)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *path = path_of(store, deployment);
    cleanup_free char *data = NULL;
    struct desired_record record = {.deployment = deployment};

    if (check_is_file(path, &err) < 0 || read_record(path, &record, &data, &err) < 0)
        set_aside(path, &err);
    else
        visit(context, &record);
}

/** What a directory entry stands for. */
struct found {
    struct text_list deployments;
    struct text_list leftovers; /* of writes that a crash interrupted */
};

static int collect_name(void *context, const char *name, struct error *err)
{
    struct found *found = context;
    size_t size = strlen(name);

    (void)err;
    if (name[0] == '.' && text_ends_with(name, ".tmp"))
        text_list_add(&found->leftovers, name);
    if (!text_ends_with(name, SUFFIX))
        return 0;
    cleanup_free char *deployment = text_copy_n(name, size - strlen(SUFFIX));
    if (token_is_valid(deployment))
        text_list_add(&found->deployments, deployment);
    return 0;
}

static void remove_leftovers(const struct desired_store *store, const struct text_list *names)
{
    for (size_t i = 0; i < names->count; i++) {
        cleanup_free char *path = text_format("%s/%s", store->directory, names->items[i]);
        unlink(path); /* it only wastes a little space */
    }
}

int desired_store_load(struct desired_store *store, desired_visit visit, void *context, struct error *err)
{
    struct found found = {0};

    /* names first: setting a file aside changes the directory */
    int result = directory_each(store->directory, collect_name, &found, err);
    if (result < 0)
        error_wrap(err, "loading the stored desired states", NULL);
    remove_leftovers(store, &found.leftovers);
    for (size_t i = 0; result == 0 && i < found.deployments.count; i++)
        load_file(store, found.deployments.items[i], visit, context);
    text_list_clear(&found.deployments);
    text_list_clear(&found.leftovers);
    return result;
}

void desired_change_clear(struct desired_change *change)
{
    free(change->data);
    *change = (struct desired_change){0};
}

int desired_store_apply(const struct desired_store *store, const char *deployment, const struct desired_change *change,
                        struct error *err)
{
    cleanup_free char *path = path_of(store, deployment);
    cleanup_text_buffer struct text_buffer text = {0};

    switch (change->kind) {
    case CHANGE_NONE:
        return 0;
    case CHANGE_PUT:
        text_buffer_format(&text, "{\"revision\":%" PRIu64 ",\"bucket\":%" PRIu64 ",\"desired\":", change->revision,
                           change->bucket);
        text_buffer_append(&text, change->data, change->size);
        text_buffer_add(&text, "}\n");
        break;
    case CHANGE_REMOVING:
        text_buffer_format(&text, "{\"revision\":%" PRIu64 ",\"removing\":true}\n", change->revision);
        break;
    }
    if (file_write_atomic(path, text.data, text.size, FILE_MODE, err) < 0)
        return error_wrap(err, "storing the desired state of", deployment);
    return 0;
}

int desired_store_remove(const struct desired_store *store, const char *deployment, struct error *err)
{
    cleanup_free char *path = path_of(store, deployment);

    if (file_remove(path, err) < 0)
        return error_wrap(err, "removing the stored desired state of", deployment);
    return 0;
}
