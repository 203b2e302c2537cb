/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "harness/test.h"

FLEET_TEST(json, parses_and_prints)
{
    static const char *const documents[][2] = {
        {"{}", "{}"},
        {" [ ] \n", "[]"},
        {"null", "null"},
        {"true", "true"},
        {"-0.5", "-0.5"},
        {"1e3", "1000"},
        {"\"\"", "\"\""},
        {"{\"a\":[1,{\"b\":null},\"\\u00fc\\n\\/\"],\"c\":false}",
         "{\"a\":[1,{\"b\":null},\"\xc3\xbc\\n/\"],\"c\":false}"},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
        {"{\"a\":1,\"A\":2}", "{\"a\":1,\"A\":2}"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        CLEANUP(cJSON_Delete) cJSON *document = NULL;
        TRY(json_parse(documents[i][0], strlen(documents[i][0]), &document, err));
        cleanup_free char *printed = json_print(document);
        CHECK(text_equal(printed, documents[i][1]), "document %zu is printed as %s", i, printed);
    }
    return 0;
}

static const char *const not_json[] = {
    "",
    " ",
    "nul",
    "truee",
    "True",
    "{",
    "[",
    "}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "{1:2}",
    "{\"a\":1]",
    "[1}",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "--1",
    "0x10",
    "NaN",
    "Infinity",
    "1e999",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\\u0000\"",
    "\"a\nb\"",
    "\"\x01\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xed\xa0\x80\"",
    "1 2",
    "{} x",
    "[]]",
    "\xef\xbb\xbf{}",
    "\x01{}",
    "\x0b[]",
    "/* */ 1",
    "[1] // one",
    "\xc2\xa0{}",
    "1234567890123456789012345678901234567890123456789012345678901234",
};

FLEET_TEST(json, refuses_what_is_not_json)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_json); i++) {
        cJSON *document = NULL;
        if (json_parse(not_json[i], strlen(not_json[i]), &document, err) == 0) {
            cJSON_Delete(document);
            CHECK(false, "document %zu was taken: %s", i, not_json[i]);
        }
        CHECK(error_is(err, &json_error_domain, JSON_SYNTAX), "document %zu failed differently", i);
        CHECK(document == NULL, "a failed call must leave its result alone");
        error_clear(err);
    }
    return 0;
}

FLEET_TEST(json, refuses_nul_inside)
{
    cJSON *document = NULL;

    CHECK_FAILS(json_parse("{}\0", 3, &document, err), json_error_domain, JSON_SYNTAX);
    CHECK_FAILS(json_parse("[1\0]", 4, &document, err), json_error_domain, JSON_SYNTAX);
    CHECK_FAILS(json_parse("\"a\0b\"", 5, &document, err), json_error_domain, JSON_SYNTAX);
    return 0;
}

FLEET_TEST(json, reads_no_byte_beyond_the_size)
{
    static const char *const documents[] = {"12", "true", "\"ab\"", "{\"a\":[1,\"\\u00fc\"]}", "-1.5e+3"};

    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        for (size_t size = 0; size <= strlen(documents[i]); size++) {
            /* AddressSanitizer watches the end of this copy, which is not terminated. */
            cleanup_free char *data = memory_new(size ? size : 1, 1);
            CLEANUP(cJSON_Delete) cJSON *document = NULL;
            memcpy(data, documents[i], size);
            if (json_parse(data, size, &document, err) < 0)
                error_clear(err);
        }
    }
    return 0;
}

FLEET_TEST(json, says_where)
{
    static const struct {
        const char *document;
        const char *place;
    } samples[] = {
        {"", "line 1, column 1 (byte 0)"},
        {"{\"a\": tru}", "line 1, column 7 (byte 6)"},
        {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7 (byte 18)"},
        {"[1,\n2\n", "line 3, column 1 (byte 6)"},
        {"{}\n\nx", "line 3, column 1 (byte 4)"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        cJSON *document = NULL;
        int result = json_parse(samples[i].document, strlen(samples[i].document), &document, err);
        CHECK(result < 0 && strstr(error_root_detail(err), samples[i].place), "sample %zu: %s", i,
              error_root_detail(err));
        error_clear(err);
    }
    return 0;
}

/* "[[…]]", `depth` deep. Caller frees. */
static char *nested(size_t depth, char open, char close)
{
    char *text = NEW_ARRAY(char, depth * 2 + 1);

    memset(text, open, depth);
    memset(text + depth, close, depth);
    return text;
}

FLEET_TEST(json, bounds_the_depth)
{
    cleanup_free char *deepest = nested(JSON_DEPTH_MAX, '[', ']');
    cleanup_free char *deeper = nested(JSON_DEPTH_MAX + 1, '[', ']');
    cleanup_free char *abyss = nested(1000000, '[', ']');
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cJSON *none = NULL;

    TRY(json_parse(deepest, strlen(deepest), &document, err));
    CHECK_FAILS(json_parse(deeper, strlen(deeper), &none, err), json_error_domain, JSON_SYNTAX);
    CHECK_FAILS(json_parse(abyss, strlen(abyss), &none, err), json_error_domain, JSON_SYNTAX);
    return 0;
}

FLEET_TEST(json, tolerates_what_it_cannot_hold)
{
    cleanup_free char *deepest = nested(JSON_DEPTH_TOLERATED, '[', ']');
    cleanup_free char *abyss = nested(1000000, '[', ']');
    cleanup_free char *text = text_format("{\"deep\":%s,\"\\u0000\":[{},\"a\\u0000b\",\"\\ud83d\\ude00\"]}", abyss);
    CLEANUP(cJSON_Delete) cJSON *whole = NULL;
    CLEANUP(cJSON_Delete) cJSON *mended = NULL;
    struct json_cursor list = {0};
    struct json_cursor item = {0};
    char *none = NULL;

    TRY(json_parse_tolerant(deepest, strlen(deepest), &whole, err));
    CHECK(cJSON_IsArray(cJSON_GetArrayItem(whole, 0)), "what is not too deep is gone");
    TRY(json_parse_tolerant(text, strlen(text), &mended, err));
    cleanup_free char *printed = json_print(mended);
    CHECK(strstr(printed, ",\"\xef\xbf\xbf\":[{},\"a\xef\xbf\xbf"
                          "b\",\"\xf0\x9f\x98\x80\"]}"),
          "%s", printed + strlen(printed) - 50);
    struct json_cursor root = json_root(mended);
    TRY(json_member(&root, "\xef\xbf\xbf", &list, err));
    while (json_next(&list, &item) && item.index < 1)
        continue;
    CHECK_FAILS(json_string(&item, 100, &none, err), json_error_domain, JSON_INVALID);
    return 0;
}

FLEET_TEST(json, tolerates_nothing_that_is_no_json)
{
    static const char *const refused[] = {"", "\"\\u0000", "[\"\\u000\"]", "{\"a\":\"\\u0000\" 1}", "\"\\ud800\""};
    cleanup_free char *half = nested(1000, '[', '[');
    CLEANUP(cJSON_Delete) cJSON *none = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        CHECK_FAILS(json_parse_tolerant(refused[i], strlen(refused[i]), &none, err), json_error_domain, JSON_SYNTAX);
    CHECK_FAILS(json_parse_tolerant(half, strlen(half), &none, err), json_error_domain, JSON_SYNTAX);
    return 0;
}

static int parse(const char *text, cJSON **ret, struct error *err)
{
    return json_parse(text, strlen(text), ret, err);
}

FLEET_TEST(json, finds_members_by_their_exact_name)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct json_cursor member = {0};
    int64_t number = 0;

    TRY(parse("{\"Image\":1,\"image\":2,\"none\":null}", &document, err));
    struct json_cursor root = json_root(document);
    TRY(json_member(&root, "image", &member, err));
    TRY(json_integer(&member, 0, 9, &number, err));
    CHECK(number == 2, "it is %lld", (long long)number);
    CHECK_FAILS(json_member(&root, "IMAGE", &member, err), json_error_domain, JSON_MISSING);
    CHECK_FAILS(json_member(&root, "none", &member, err), json_error_domain, JSON_MISSING);
    TRY(json_optional(&root, "none", &member, err));
    CHECK(!json_present(&member), "null is present");
    TRY(json_optional(&root, "absent", &member, err));
    CHECK(!json_present(&member), "absent is present");
    CHECK_FAILS(json_string(&member, 9, &(char *){NULL}, err), json_error_domain, JSON_WRONG_TYPE);
    return 0;
}

FLEET_TEST(json, refuses_members_of_what_is_no_object)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct json_cursor member = {0};

    TRY(parse("[1]", &document, err));
    struct json_cursor root = json_root(document);
    struct json_cursor nothing = {0};
    CHECK_FAILS(json_member(&root, "a", &member, err), json_error_domain, JSON_WRONG_TYPE);
    CHECK_FAILS(json_optional(&root, "a", &member, err), json_error_domain, JSON_WRONG_TYPE);
    CHECK_FAILS(json_member(&nothing, "a", &member, err), json_error_domain, JSON_WRONG_TYPE);
    return 0;
}

FLEET_TEST(json, copies_strings_within_their_limit)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_free char *text = NULL;
    char *none = NULL;

    TRY(parse("\"gr\\u00fc\\u00df\"", &document, err));
    struct json_cursor root = json_root(document);
    TRY(json_string(&root, 6, &text, err));
    CHECK(text_equal(text, "gr\xc3\xbc\xc3\x9f"), "it is %s", text);
    CHECK_FAILS(json_string(&root, 5, &none, err), json_error_domain, JSON_TOO_LONG);
    CHECK(none == NULL, "a failed call must leave its result alone");
    return 0;
}

FLEET_TEST(json, takes_whole_numbers_only)
{
    static const struct {
        const char *text;
        int64_t value;
        int code; /* 0: taken */
    } samples[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"300", 300, 0},
        {"3e2", 300, 0},
        {"9007199254740991", INT64_C(9007199254740991), 0},
        {"-9007199254740991", -INT64_C(9007199254740991), 0},
        {"9007199254740992", 0, JSON_OUT_OF_RANGE}, /* 2^53 + 1 is the same double */
        {"9007199254740993", 0, JSON_OUT_OF_RANGE},
        {"1e300", 0, JSON_OUT_OF_RANGE},
        {"-1e300", 0, JSON_OUT_OF_RANGE},
        {"0.5", 0, JSON_OUT_OF_RANGE},
        {"\"1\"", 0, JSON_WRONG_TYPE},
        {"true", 0, JSON_WRONG_TYPE},
        {"[1]", 0, JSON_WRONG_TYPE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        CLEANUP(cJSON_Delete) cJSON *document = NULL;
        int64_t value = 4711;
        TRY(parse(samples[i].text, &document, err));
        struct json_cursor root = json_root(document);
        if (samples[i].code) {
            CHECK_FAILS(json_integer(&root, INT64_MIN, INT64_MAX, &value, err), json_error_domain, samples[i].code);
            CHECK(value == 4711, "a failed call must leave its result alone");
        } else {
            TRY(json_integer(&root, INT64_MIN, INT64_MAX, &value, err));
            CHECK(value == samples[i].value, "%s is %lld", samples[i].text, (long long)value);
        }
    }
    return 0;
}

FLEET_TEST(json, keeps_numbers_in_their_range)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    int64_t value = 0;

    TRY(parse("300", &document, err));
    struct json_cursor root = json_root(document);
    TRY(json_integer(&root, 300, 300, &value, err));
    CHECK_FAILS(json_integer(&root, 301, 400, &value, err), json_error_domain, JSON_OUT_OF_RANGE);
    CHECK_FAILS(json_integer(&root, 0, 299, &value, err), json_error_domain, JSON_OUT_OF_RANGE);
    return 0;
}

FLEET_TEST(json, takes_booleans_only)
{
    CLEANUP(cJSON_Delete) cJSON *yes = NULL;
    CLEANUP(cJSON_Delete) cJSON *no = NULL;
    CLEANUP(cJSON_Delete) cJSON *one = NULL;
    bool value = false;

    TRY(parse("true", &yes, err));
    TRY(parse("false", &no, err));
    TRY(parse("1", &one, err));
    struct json_cursor cursor = json_root(yes);
    TRY(json_boolean(&cursor, &value, err));
    CHECK(value, "true is false");
    cursor = json_root(no);
    TRY(json_boolean(&cursor, &value, err));
    CHECK(!value, "false is true");
    cursor = json_root(one);
    CHECK_FAILS(json_boolean(&cursor, &value, err), json_error_domain, JSON_WRONG_TYPE);
    return 0;
}

FLEET_TEST(json, counts_within_limits)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    size_t count = 0;

    TRY(parse("[{\"a\":1,\"b\":2},3]", &document, err));
    struct json_cursor root = json_root(document);
    struct json_cursor first = {0};
    TRY(json_array_size(&root, 2, &count, err));
    CHECK(count == 2, "%zu elements", count);
    CHECK_FAILS(json_array_size(&root, 1, &count, err), json_error_domain, JSON_TOO_LONG);
    CHECK_FAILS(json_object_size(&root, 9, &count, err), json_error_domain, JSON_WRONG_TYPE);
    CHECK(json_next(&root, &first), "there is no first element");
    TRY(json_object_size(&first, 2, &count, err));
    CHECK(count == 2, "%zu members", count);
    CHECK_FAILS(json_object_size(&first, 1, &count, err), json_error_domain, JSON_TOO_LONG);
    CHECK_FAILS(json_array_size(&first, 9, &count, err), json_error_domain, JSON_WRONG_TYPE);
    return 0;
}

FLEET_TEST(json, walks_arrays_and_objects)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_text_list struct text_list paths = {0};

    TRY(parse("{\"a\":[1,null,\"x\"],\"b\":{},\"c\":7}", &document, err));
    struct json_cursor root = json_root(document);
    for (struct json_cursor member = {0}; json_next(&root, &member);) {
        text_list_take(&paths, json_path(&member));
        for (struct json_cursor element = {0}; json_next(&member, &element);)
            text_list_take(&paths, json_path(&element));
    }
    static const char *const expected[] = {"$.a", "$.a[0]", "$.a[1]", "$.a[2]", "$.b", "$.c"};
    CHECK(paths.count == ARRAY_SIZE(expected), "%zu values were seen", paths.count);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        CHECK(text_equal(paths.items[i], expected[i]), "value %zu is %s", i, paths.items[i]);
    struct json_cursor nothing = {0};
    struct json_cursor child = {0};
    CHECK(!json_next(&nothing, &child), "nothing has a child");
    return 0;
}

FLEET_TEST(json, errors_name_the_way_to_the_value)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct json_cursor data = {0};
    struct json_cursor services = {0};
    struct json_cursor service = {0};
    struct json_cursor image = {0};

    TRY(parse("{\"data\":{\"services\":[{},{\"image\":7}]}}", &document, err));
    struct json_cursor root = json_root(document);
    TRY(json_member(&root, "data", &data, err));
    TRY(json_member(&data, "services", &services, err));
    CHECK(json_next(&services, &service) && json_next(&services, &service), "there are not two services");
    TRY(json_member(&service, "image", &image, err));
    int result = json_string(&image, 10, &(char *){NULL}, err);
    CHECK(result < 0 && text_equal(err->subject, "$.data.services[1].image"), "the subject is %s", err->subject);
    CHECK(text_equal(err->detail, "must be a string, is a number"), "the detail is %s", err->detail);
    error_clear(err);
    CHECK(json_refuse(&image, JSON_INVALID, err, "%s is taken", "7") == -1, "json_refuse must return -1");
    CHECK(error_is(err, &json_error_domain, JSON_INVALID) && text_equal(err->detail, "7 is taken"), "it is %s",
          err->detail);
    error_clear(err);
    return 0;
}

FLEET_TEST(json, paths_show_strange_names_safely)
{
    static const struct {
        const char *key;
        const char *path;
    } samples[] = {
        {"a_b-1", "$.a_b-1"},
        {"", "$[\"\"]"},
        {"two words", "$[\"two words\"]"},
        {"1st", "$[\"1st\"]"},
        {"a.b", "$[\"a.b\"]"},
        {"q\"\n\x1b", "$[\"q\\\"\\n\\x1b\"]"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "$[\"0123456789012345678901234567890123456789012345678901234567890123…\"]"},
        {"012345678901234567890123456789012345678901234567890123456789012\xc3\xbc",
         "$[\"012345678901234567890123456789012345678901234567890123456789012…\"]"},
    };
    struct json_cursor root = json_root(NULL);

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct json_cursor cursor = {.parent = &root, .key = samples[i].key};
        cleanup_free char *path = json_path(&cursor);
        CHECK(text_equal(path, samples[i].path), "path %zu is %s", i, path);
    }
    cleanup_free char *path = json_path(&root);
    CHECK(text_equal(path, "$"), "the root is %s", path);
    return 0;
}

FLEET_TEST(json, builds_documents)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    json_add_text(document, "text", "gr\xc3\xbc\xc3\x9f \"x\"");
    json_add_text(document, "none", NULL);
    json_add_boolean(document, "yes", true);
    cJSON *list = json_add_array(document, "list");
    json_add_integer(list, NULL, 1);
    json_add_text(list, NULL, "two");
    json_add_boolean(json_add_object(list, NULL), "three", false);
    json_add_integer(json_add_object(document, "object"), "a", -5);
    cleanup_free char *printed = json_print(document);
    CHECK(text_equal(printed, "{\"text\":\"gr\xc3\xbc\xc3\x9f \\\"x\\\"\",\"yes\":true,"
                              "\"list\":[1,\"two\",{\"three\":false}],\"object\":{\"a\":-5}}"),
          "it is %s", printed);
    return 0;
}

FLEET_TEST(json, prints_every_integer_exactly)
{
    static const int64_t values[] = {0,
                                     -1,
                                     INT64_C(999999999999999),
                                     INT64_C(1000000000000000),
                                     INT64_C(9007199254740991),
                                     INT64_C(9007199254740993),
                                     INT64_MAX,
                                     INT64_MIN};

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
        json_add_integer(document, "n", values[i]);
        cleanup_free char *printed = json_print(document);
        cleanup_free char *expected = text_format("{\"n\":%lld}", (long long)values[i]);
        CHECK(text_equal(printed, expected), "it is %s, not %s", printed, expected);
    }
    return 0;
}

FLEET_TEST(json, builds_json_of_any_bytes)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    CLEANUP(cJSON_Delete) cJSON *parsed = NULL;

    json_add_text(document, "words", "caf\xe9 \xf0\x9f \x01 ok");
    cleanup_free char *printed = json_print(document);
    TRY(parse(printed, &parsed, err));
    const char *words = cJSON_GetObjectItemCaseSensitive(parsed, "words")->valuestring;
    CHECK(text_equal(words, "caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd \x01 ok"), "it is %s", words);
    return 0;
}

FLEET_TEST(json, members_of_trusted_documents)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    TRY(parse("{\"text\":\"a\",\"empty\":\"\",\"number\":-2.5,\"null\":null}", &document, err));
    CHECK(text_equal(json_text_or(document, "text", NULL), "a"), "the text is another one");
    CHECK(text_equal(json_text_or(document, "empty", "x"), ""), "an empty text is not there");
    CHECK(text_equal(json_text_or(document, "number", "x"), "x"), "a number is text");
    CHECK(text_equal(json_text_or(document, "Text", "x"), "x"), "case does not matter");
    CHECK(json_text_or(document, "null", NULL) == NULL && json_text_or(NULL, "text", NULL) == NULL, "nothing is text");
    CHECK(json_number(document, "number") <= -2.5 && json_number(document, "number") >= -2.5,
          "the number is another one");
    CHECK(json_number(document, "text") <= 0 && json_number(NULL, "number") <= 0, "nothing is a number");
    return 0;
}
