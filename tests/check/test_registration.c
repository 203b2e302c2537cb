/* SPDX-License-Identifier: Apache-2.0 */

/*
 * No test is silently left out: every FLEET_TEST line of tests/ is a CTest test of this build, and a file's suite is
 * named after it.
 */

#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "tests/check/tree.h"

/* "suite.name" of a line that begins with FLEET_TEST(suite, name…, NULL of any other. Caller frees. */
static char *test_of_line(const char *line)
{
    static const char macro[] = "FLEET_TEST(";
    if (!text_starts_with(line, macro))
        return NULL;
    const char *suite = line + strlen(macro);
    const char *name = suite + word_length(suite);
    name += strspn(name, ", ");
    return text_format("%.*s.%.*s", (int)word_length(suite), suite, (int)word_length(name), name);
}

static void check_suite_name(const char *path, int line, const char *test, struct text_list *complaints)
{
    cleanup_free char *expected = text_format("test_%.*s.c", (int)strcspn(test, "."), test);
    if (!text_equal(source_basename(path), expected))
        complain(complaints, path, line, "%s belongs into %s", test, expected);
}

static int find_tests_of(const struct source_tree *tree, const char *path, struct text_list *tests,
                         struct text_list *complaints, struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, path, &text, err) < 0)
        return -1;
    size_t before = tests->count;
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        cleanup_free char *test = test_of_line(walk.line);
        if (!test)
            continue;
        check_suite_name(path, walk.number, test, complaints);
        text_list_take(tests, TAKE_PTR(test));
    }
    if (tests->count == before && text_starts_with(source_basename(path), "test_") && text_ends_with(path, ".c"))
        complain(complaints, path, 0, "holds no FLEET_TEST at the beginning of a line");
    return 0;
}

/* Every test of the tree's sources. */
static int find_tests(const struct source_tree *tree, struct text_list *tests, struct text_list *complaints,
                      struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++)
        if (text_starts_with(tree->files.items[i], "tests/") && source_is_c(tree->files.items[i]) &&
            find_tests_of(tree, tree->files.items[i], tests, complaints, err) < 0)
            return -1;
    return 0;
}

/* What CTest knows: `ctest --show-only=json-v1`. */
static int find_registered(const char *json, size_t size, struct text_list *registered, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    if (json_parse(json, size, &document, err) < 0)
        return -1;
    struct json_cursor root = json_root(document);
    struct json_cursor tests = {0};
    if (json_member(&root, "tests", &tests, err) < 0)
        return -1;
    for (struct json_cursor test = {0}; json_next(&tests, &test);) {
        struct json_cursor name = {0};
        char *text = NULL;
        if (json_member(&test, "name", &name, err) < 0 || json_string(&name, 512, &text, err) < 0)
            return -1;
        text_list_take(registered, text);
    }
    return 0;
}

static void check_registered(const struct text_list *tests, const struct text_list *registered,
                             struct text_list *complaints)
{
    for (size_t i = 0; i < tests->count; i++)
        if (!text_list_contains(registered, tests->items[i]))
            complain(complaints, tests->items[i], 0,
                     "is no CTest test: name its file in a CMakeLists.txt (fleet_test)");
}

static int check_suites(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list tests = {0};
    return find_tests(tree, &tests, complaints, err);
}

static int check_registration(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list tests = {0};
    cleanup_text_list struct text_list registered = {0};
    cleanup_text_list struct text_list other_complaints = {0};
    const char *const argv[] = {"ctest", "--test-dir", FLEET_BINARY_DIRECTORY, "--show-only=json-v1", NULL};
    struct process_options options = {.argv = argv};
    cleanup_process_result struct process_result result = {0};
    if (find_tests(tree, &tests, &other_complaints, err) < 0 ||
        process_run_checked(&options, deadline_in_ms(30000), &result, err) < 0 ||
        find_registered(result.output, result.output_size, &registered, err) < 0)
        return -1;
    check_registered(&tests, &registered, complaints);
    return 0;
}

FLEET_TEST(registration, of_every_test_is_done)
{
    return check_holds(check_registration, err);
}

FLEET_TEST(registration, suites_are_named_after_their_files)
{
    return check_holds(check_suites, err);
}

FLEET_TEST(registration, finds_tests_ctest_does_not_know)
{
    static const char json[] = "{\"kind\": \"ctestInfo\", \"tests\": [{\"name\": \"json.parses\"}]}";
    cleanup_text_list struct text_list tests = {0};
    cleanup_text_list struct text_list registered = {0};
    cleanup_text_list struct text_list complaints = {0};
    TRY(find_registered(json, strlen(json), &registered, err));
    text_list_add(&tests, "json.parses");
    text_list_add(&tests, "json.says_where");
    check_registered(&tests, &registered, &complaints);
    CHECK(complaints.count == 1 && text_starts_with(complaints.items[0], "json.says_where: is no CTest test"),
          "%zu complaints", complaints.count);
    return 0;
}

FLEET_TEST(registration, finds_misnamed_suites)
{
    static const struct sample_file files[] = {
        {"tests/unit/test_empty.c", "static int x;\n    FLEET_TEST(empty, indented)\n"},
        {"tests/unit/test_json.c", "FLEET_TEST(json, parses)\n{\n}\n\nFLEET_TEST(jason, says_where, NEEDS(X))\n"},
        {"tests/unit/tools.c", "int tools(void);\n"},
    };
    static const char *const expected[] = {
        "tests/unit/test_empty.c: holds no FLEET_TEST",
        "tests/unit/test_json.c:5: jason.says_where belongs into test_jason.c",
        NULL,
    };
    return check_finds(test, check_suites, files, ARRAY_SIZE(files), expected, err);
}
