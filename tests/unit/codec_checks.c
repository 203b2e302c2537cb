/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/codec_checks.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "contracts/names.h"
#include "harness/test.h"

#define GOLDEN_FILE_MAX (1u << 20)

/** What is in tests/unit/golden/<name>, without the newline at its end. */
static int read_golden(const char *name, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", GOLDEN_DIRECTORY, name);
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read(path, GOLDEN_FILE_MAX, &data, &size, err) < 0)
        return -1;
    if (size < 2 || data[size - 1] != '\n') {
        error_set(err, &general_error_domain, GENERAL_INVALID, "reading", path, "it does not end in a newline");
        return -1;
    }
    data[size - 1] = '\0';
    *ret = TAKE_PTR(data);
    return 0;
}

/** Reading and writing `input` must give `canonical`, and so must reading and writing that. */
static int check_canonical(const struct codec_under_test *codec, const char *name, const char *input,
                           const char *canonical, struct error *err)
{
    cleanup_free char *once = NULL;
    cleanup_free char *twice = NULL;

    if (codec->round_trip(input, strlen(input), &once, err) < 0)
        return error_wrap(err, "round trip of", name);
    CHECK(text_equal(once, canonical), "%s becomes\n%s\nwanted\n%s", name, once, canonical);
    if (codec->round_trip(once, strlen(once), &twice, err) < 0)
        return error_wrap(err, "second round trip of", name);
    CHECK(text_equal(twice, canonical), "%s becomes\n%s\nthe second time", name, twice);
    return 0;
}

struct golden_walk {
    const struct codec_under_test *codec;
    size_t canonical_count;
    size_t input_count;
};

static int visit_golden(void *context, const char *name, struct error *err)
{
    struct golden_walk *walk = context;
    cleanup_free char *prefix = text_format("%s.", walk->codec->kind);
    cleanup_free char *data = NULL;
    cleanup_free char *canonical = NULL;

    if (!text_starts_with(name, prefix) || text_ends_with(name, ".refused.json"))
        return 0;
    if (read_golden(name, &data, err) < 0)
        return -1;
    if (!text_ends_with(name, ".input.json")) {
        walk->canonical_count++;
        return check_canonical(walk->codec, name, data, data, err);
    }
    walk->input_count++;
    cleanup_free char *stem = text_copy_n(name, strlen(name) - strlen(".input.json"));
    cleanup_free char *partner = text_format("%s.json", stem);
    if (read_golden(partner, &canonical, err) < 0)
        return -1;
    return check_canonical(walk->codec, name, data, canonical, err);
}

int codec_check_refused(const struct codec_under_test *codec, const char *data, size_t size, const char *code,
                        const char *where, const char *why, struct error *err)
{
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_free char *accepted = NULL;
    cleanup_free char *place = *where ? text_format("%s: ", where) : text_copy("");

    int result = codec->round_trip(data, size, &accepted, &refused);
    CHECK(result < 0, "%s: accepted as %s", why, accepted);
    CHECK(refused.domain == &wire_error_domain, "%s: the error is of domain %s", why, refused.domain->name);
    cleanup_free char *text = error_text(&refused);
    CHECK(text_equal(refused.domain->code_name(refused.code), code), "%s: %s, wanted %s (%s)", why,
          refused.domain->code_name(refused.code), code, text);
    CHECK(text_starts_with(error_root_detail(&refused), place), "%s: \"%s\" does not name %s", why,
          error_root_detail(&refused), where);
    return 0;
}

/** The bytes of a row: its "text" as it is, or its "input" printed. Caller frees. */
static int row_data(const struct json_cursor *row, char **ret, struct error *err)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(row->value, "input"); /* null is an input too */
    struct json_cursor text;

    if (input) {
        *ret = json_print(input);
        return 0;
    }
    if (json_member(row, "text", &text, err) < 0)
        return -1;
    return json_string(&text, GOLDEN_FILE_MAX, ret, err);
}

static int row_text(const struct json_cursor *row, const char *key, char **ret, struct error *err)
{
    struct json_cursor member;

    if (json_member(row, key, &member, err) < 0)
        return -1;
    return json_string(&member, GOLDEN_FILE_MAX, ret, err);
}

static int check_refused_row(const struct codec_under_test *codec, const struct json_cursor *row, struct error *err)
{
    cleanup_free char *why = NULL;
    cleanup_free char *code = NULL;
    cleanup_free char *where = NULL;
    cleanup_free char *data = NULL;

    if (row_text(row, "why", &why, err) < 0 || row_text(row, "code", &code, err) < 0 ||
        row_text(row, "where", &where, err) < 0 || row_data(row, &data, err) < 0)
        return -1;
    return codec_check_refused(codec, data, strlen(data), code, where, why, err);
}

static int check_refused_table(const struct codec_under_test *codec, struct error *err)
{
    cleanup_free char *name = text_format("%s.refused.json", codec->kind);
    cleanup_free char *data = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct json_cursor row = {0};
    size_t rows;

    if (read_golden(name, &data, err) < 0 || json_parse(data, strlen(data), &document, err) < 0)
        return -1;
    struct json_cursor root = json_root(document);
    TRY(json_array_size(&root, GOLDEN_FILE_MAX, &rows, err));
    CHECK(rows > 0, "%s is empty", name);
    while (json_next(&root, &row)) {
        if (check_refused_row(codec, &row, err) < 0)
            return error_wrap(err, "checking", name);
    }
    return 0;
}

int codec_check_golden(const struct codec_under_test *codec, struct error *err)
{
    struct golden_walk walk = {.codec = codec};

    if (directory_each(GOLDEN_DIRECTORY, visit_golden, &walk, err) < 0)
        return -1;
    CHECK(walk.canonical_count > 0 && walk.input_count > 0, "%zu canonical and %zu other golden files of kind %s",
          walk.canonical_count, walk.input_count, codec->kind);
    return check_refused_table(codec, err);
}

int codec_check_examples(const struct codec_under_test *codec, struct error *err)
{
    cleanup_free char *fence = text_format("\n```json %s\n", codec->kind);
    cleanup_free char *document = NULL;
    size_t size;
    size_t count = 0;

    if (file_read(WIRE_DOCUMENT, GOLDEN_FILE_MAX, &document, &size, err) < 0)
        return -1;
    for (const char *at = strstr(document, fence); at; at = strstr(at, fence), count++) {
        cleanup_free char *encoded = NULL;
        at += strlen(fence);
        const char *end = strstr(at, "\n```");
        CHECK(end, "an example of kind %s has no end", codec->kind);
        cleanup_free char *example = text_copy_n(at, (size_t)(end - at));
        if (codec->round_trip(example, strlen(example), &encoded, err) < 0)
            return error_wrap(err, "reading the example", example);
        at = end;
    }
    CHECK(count > 0, "no example of kind %s in docs/wire.md", codec->kind);
    return 0;
}

static char *build_limited(const struct codec_limit *limit, size_t count)
{
    struct text_buffer value = {0};

    text_buffer_add(&value, limit->before);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_buffer_add(&value, limit->separator);
        for (const char *at = limit->item; *at; at++) {
            if (*at == '#')
                text_buffer_format(&value, "%zu", i + 1);
            else
                text_buffer_append(&value, at, 1);
        }
    }
    text_buffer_add(&value, limit->after);
    return text_buffer_take(&value);
}

int codec_check_limit(const struct codec_under_test *codec, const struct codec_limit *limit, struct error *err)
{
    cleanup_free char *largest = build_limited(limit, limit->max);
    cleanup_free char *too_large = build_limited(limit, limit->max + 1);
    cleanup_free char *encoded = NULL;

    if (codec->round_trip(largest, strlen(largest), &encoded, err) < 0)
        return error_wrap(err, "round trip at the limit of", limit->where);
    return codec_check_refused(codec, too_large, strlen(too_large), "too-large", limit->where, "one over the limit",
                               err);
}
