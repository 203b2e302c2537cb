/* SPDX-License-Identifier: Apache-2.0 */

/*
 * clang-tidy has nothing to say, and what it may not say is written down with its reason in .clang-tidy.
 */

#include <string.h>

#include "tests/check/lint.h"

/* A source that no program is made of rots. */
static void complain_of_unbuilt(const struct source_tree *tree, const struct lint_units *units,
                                struct text_list *complaints)
{
    for (size_t i = 0; i < tree->files.count; i++)
        if (text_ends_with(tree->files.items[i], ".c") && !lint_units_have(units, tree->files.items[i]))
            complain(complaints, tree->files.items[i], 0, "belongs to no program or library of this build");
}

static int check_lint(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_lint_units struct lint_units units = {0};
    struct lint_counts counts = {0};
    cleanup_free char *cache = text_format("%s/lint", cache_directory());
    if (lint_units_read(tree, FLEET_BINARY_DIRECTORY "/compile_commands.json", &units, err) < 0)
        return -1;
    lint_units_add_others(tree, "tests/fuzz/", &units);
    complain_of_unbuilt(tree, &units, complaints);
    return lint_run(tree, &units, cache, &counts, complaints, err);
}

FLEET_TEST(lint, holds)
{
    return check_holds(check_lint, err);
}

#define CONFIGURATION "Checks: '-*,bugprone-*'\nWarningsAsErrors: '*'\n"
#define BAD_SOURCE    "int half(int a)\n{\n    int b;\n    if (a)\n        ;\n    b = a / 2;\n    return b;\n}\n"
#define GOOD_SOURCE   "int half(int a)\n{\n    return a / 2;\n}\n"

/* Lint a sample of these two sources, with a cache of the test's own. */
static int lint_sample(struct test_context *test, const char *second, struct lint_counts *counts,
                       struct text_list *complaints, struct error *err)
{
    const struct sample_file files[] = {
        {".clang-tidy", CONFIGURATION}, {"base/a.c", GOOD_SOURCE}, {"base/b.c", second}, {"base/c.h", "int c;\n"}};
    CLEANUP(source_tree_free) struct source_tree *tree = NULL;
    cleanup_lint_units struct lint_units units = {0};
    cleanup_free char *root = NULL;
    cleanup_free char *cache = text_format("%s/cache", test->artefacts);
    TRY(sample_write(test, files, ARRAY_SIZE(files), &root, err));
    TRY(source_tree_open(root, &tree, err));
    lint_units_add_others(tree, "", &units);
    TRY(lint_run(tree, &units, cache, counts, complaints, err));
    return 0;
}

FLEET_TEST(lint, finds_a_bug)
{
    cleanup_text_list struct text_list complaints = {0};
    struct lint_counts counts = {0};
    TRY(lint_sample(test, BAD_SOURCE, &counts, &complaints, err));
    CHECK(complaints.count == 1 && text_starts_with(complaints.items[0], "base/b.c:5:"), "%zu complaints, first: %s",
          complaints.count, complaints.count ? complaints.items[0] : "none");
    return 0;
}

FLEET_TEST(lint, remembers_only_what_was_clean)
{
    cleanup_text_list struct text_list complaints = {0};
    struct lint_counts counts = {0};
    TRY(lint_sample(test, BAD_SOURCE, &counts, &complaints, err));
    CHECK(counts.linted == 2 && counts.remembered == 0, "%d linted, %d remembered", counts.linted, counts.remembered);
    TRY(lint_sample(test, BAD_SOURCE, &counts, &complaints, err));
    CHECK(counts.linted == 1 && counts.remembered == 1, "%d linted, %d remembered", counts.linted, counts.remembered);
    CHECK(complaints.count == 1, "%zu complaints", complaints.count);
    TRY(lint_sample(test, "/* other */ " GOOD_SOURCE, &counts, &complaints, err));
    CHECK(counts.linted == 1 && counts.remembered == 1, "%d linted, %d remembered", counts.linted, counts.remembered);
    return 0;
}

FLEET_TEST(lint, takes_compile_commands_apart)
{
    static const char *const expected[] = {"ccache", "/usr/bin/cc", "-DFLEET_VERSION=\"0.1.0\"", "-I/a b", "x.c"};
    cleanup_text_list struct text_list words = {0};
    command_split("ccache  /usr/bin/cc -DFLEET_VERSION=\\\"0.1.0\\\" \"-I/a b\" x.c ", &words);
    CHECK(words.count == ARRAY_SIZE(expected), "%zu words", words.count);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        CHECK(text_equal(words.items[i], expected[i]), "word %zu is %s", i, words.items[i]);
    return 0;
}

FLEET_TEST(lint, reads_how_sources_are_compiled)
{
    cleanup_free char *directory = text_format("%s/sample", test->artefacts);
    cleanup_free char *commands = text_format(
        "[{\"directory\": \"/build\", \"file\": \"%s/base/a.c\","
        "\"command\": \"/usr/bin/ccache gcc -Ix -MD -MT a.o -MF a.o.d -o a.o -c \\\"%s/base/a.c\\\"\"},"
        "{\"directory\": \"/build\", \"file\": \"/elsewhere/b.c\", \"command\": \"gcc -c /elsewhere/b.c\"}]",
        directory, directory);
    const struct sample_file files[] = {{"base/a.c", GOOD_SOURCE}, {"commands.json", commands}};
    CLEANUP(source_tree_free) struct source_tree *tree = NULL;
    cleanup_lint_units struct lint_units units = {0};
    cleanup_free char *root = NULL;
    TRY(sample_write(test, files, ARRAY_SIZE(files), &root, err));
    TRY(source_tree_open(root, &tree, err));
    cleanup_free char *path = source_tree_path(tree, "commands.json");
    TRY(lint_units_read(tree, path, &units, err));
    CHECK(units.count == 1 && text_equal(units.items[0].path, "base/a.c"), "%zu units", units.count);
    CHECK(text_equal(units.items[0].compiler, "gcc"), "compiler %s", units.items[0].compiler);
    CHECK(units.items[0].arguments.count == 1 && text_equal(units.items[0].arguments.items[0], "-Ix"), "%zu arguments",
          units.items[0].arguments.count);
    return 0;
}

/* ── reasons in .clang-tidy: "# check: why" for every "  -check," ── */

static int check_reasons(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, ".clang-tidy", &text, err) < 0)
        return -1;
    cleanup_free char *whole = text_copy(text);
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        if (!text_starts_with(walk.line, "  -") || text_starts_with(walk.line, "  -*") || strchr(walk.line, ':'))
            continue;
        cleanup_free char *check = text_copy_n(walk.line + 3, strcspn(walk.line + 3, ", "));
        cleanup_free char *reason = text_format("\n# %s: ", check);
        if (!strstr(whole, reason))
            complain(complaints, ".clang-tidy", walk.number, "%s is off without a reason (# %s: why)", check, check);
    }
    return 0;
}

FLEET_TEST(lint, says_why_a_check_is_off)
{
    return check_holds(check_reasons, err);
}

FLEET_TEST(lint, finds_a_check_that_is_off_without_a_reason)
{
    static const struct sample_file files[] = {
        {".clang-tidy", "# ours\n# misc-a: because\nChecks: >-\n  -*,\n  misc-*,\n  -misc-a,\n  -misc-b\nX: 1\n"}};
    static const char *const expected[] = {".clang-tidy:7: misc-b is off", NULL};
    return check_finds(test, check_reasons, files, ARRAY_SIZE(files), expected, err);
}
