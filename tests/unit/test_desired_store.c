/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/desired_store.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

static void note_record(void *context, const struct desired_record *record)
{
    struct text_buffer *seen = context;

    text_buffer_format(seen, "%s@%" PRIu64 "=%s;", record->deployment, record->revision,
                       record->data ? record->data : "removing");
}

/** What a fresh store in the test's directory loads: "name@revision=data;". Caller frees. */
static int load(const struct test_context *test, char **ret, struct error *err)
{
    CLEANUP(desired_store_free) struct desired_store *store = NULL;
    cleanup_text_buffer struct text_buffer seen = {0};

    if (desired_store_new(test->artefacts, &store, err) < 0 || desired_store_load(store, note_record, &seen, err) < 0)
        return -1;
    *ret = text_buffer_take(&seen);
    return 0;
}

static int put(struct desired_store *store, const char *name, uint64_t revision, const char *data, struct error *err)
{
    struct desired_change change = {
        .kind = CHANGE_PUT, .revision = revision, .data = text_copy(data), .size = strlen(data)};
    int result = desired_store_apply(store, name, &change, err);

    desired_change_clear(&change);
    return result;
}

FLEET_TEST(desired_store, comes_back_after_a_restart)
{
    CLEANUP(desired_store_free) struct desired_store *store = NULL;
    cleanup_free char *seen = NULL;
    cleanup_free char *path = text_format("%s/desired/hello.json", test->artefacts);
    struct stat status;

    TRY(desired_store_new(test->artefacts, &store, err));
    TRY(put(store, "hello", 7, "{\"type\":\"X\",\"data\":{\"n\":[1,2]}}", err));
    TRY(put(store, "hello", UINT64_C(9007199254740991), "{\"type\":\"Y\"}", err));
    TRY(load(test, &seen, err));
    CHECK(strcmp(seen, "hello@9007199254740991={\"type\":\"Y\"};") == 0, "%s", seen);
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600, "others may read the environment of services");
    return 0;
}

FLEET_TEST(desired_store, remembers_a_removal)
{
    CLEANUP(desired_store_free) struct desired_store *store = NULL;
    cleanup_free char *during = NULL;
    cleanup_free char *after = NULL;

    TRY(desired_store_new(test->artefacts, &store, err));
    TRY(put(store, "hello", 7, "{}", err));
    const struct desired_change removing = {.kind = CHANGE_REMOVING, .revision = 7};
    const struct desired_change nothing = {.kind = CHANGE_NONE};
    TRY(desired_store_apply(store, "hello", &removing, err));
    TRY(desired_store_apply(store, "hello", &nothing, err));
    TRY(load(test, &during, err));
    CHECK(strcmp(during, "hello@7=removing;") == 0, "%s", during);
    TRY(desired_store_remove(store, "hello", err));
    TRY(desired_store_remove(store, "never", err));
    TRY(load(test, &after, err));
    CHECK(strcmp(after, "") == 0, "%s", after);
    return 0;
}

FLEET_TEST(desired_store, sets_what_is_corrupt_aside)
{
    static const char *const corrupt[] = {
        "",
        "{\"revision\":7,\"desired\":{\"type\":",
        "\177ELF",
        "[]",
        "{\"desired\":{}}",
        "{\"revision\":7}",
        "{\"revision\":-1,\"desired\":{}}",
        "{\"revision\":\"7\",\"desired\":{}}",
        "{\"revision\":7,\"removing\":\"yes\"}",
    };
    CLEANUP(desired_store_free) struct desired_store *store = NULL;
    cleanup_free char *seen = NULL;
    cleanup_free char *again = NULL;

    TRY(desired_store_new(test->artefacts, &store, err));
    for (size_t i = 0; i < ARRAY_SIZE(corrupt); i++) {
        cleanup_free char *path = text_format("%s/desired/bad%zu.json", test->artefacts, i);
        TRY(file_write_atomic(path, corrupt[i], strlen(corrupt[i]), 0600, err));
    }
    TRY(put(store, "good", 3, "{}", err));
    TRY(load(test, &seen, err));
    CHECK(strcmp(seen, "good@3={};") == 0, "%s", seen);
    for (size_t i = 0; i < ARRAY_SIZE(corrupt); i++) {
        cleanup_free char *path = text_format("%s/desired/bad%zu.json", test->artefacts, i);
        cleanup_free char *aside = text_format("%s.corrupt", path);
        CHECK(!file_exists(path) && file_exists(aside), "bad%zu was not set aside", i);
    }
    TRY(load(test, &again, err));
    CHECK(strcmp(again, "good@3={};") == 0, "%s", again);
    return 0;
}

FLEET_TEST(desired_store, passes_strangers_over_and_leftovers_away)
{
    CLEANUP(desired_store_free) struct desired_store *store = NULL;
    cleanup_free char *leftover = text_format("%s/desired/.hello.json.0123abcd.tmp", test->artefacts);
    cleanup_free char *stranger = text_format("%s/desired/not a token.json", test->artefacts);
    cleanup_free char *seen = NULL;

    TRY(desired_store_new(test->artefacts, &store, err));
    TRY(file_write_atomic(leftover, "{\"rev", 5, 0600, err));
    TRY(file_write_atomic(stranger, "{}", 2, 0600, err));
    TRY(load(test, &seen, err));
    CHECK(strcmp(seen, "") == 0, "%s", seen);
    CHECK(!file_exists(leftover), "what an interrupted write left is still there");
    CHECK(file_exists(stranger), "a file that is not ours was touched");
    return 0;
}

FLEET_TEST(desired_store, needs_its_directory)
{
    CLEANUP(desired_store_free) struct desired_store *store = NULL;

    CHECK_FAILS(desired_store_new("/proc/no/such/place", &store, err), system_error_domain, ENOENT);
    return 0;
}
