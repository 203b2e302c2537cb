/* SPDX-License-Identifier: Apache-2.0 */

/*
 * README.md says what is true: its package table is scripts/packages.txt with reasons, every library has its reason,
 * every environment variable the sources know is there and no other, links lead somewhere.
 */

#include <ctype.h>
#include <string.h>

#include "tests/check/tree.h"

#define README        "README.md"
#define PACKAGES_FILE "scripts/packages.txt"

/* ── tables: "| `name`, `name` | reason |" in the section that a heading begins ── */

/* Adds every `name` of a row's first cell; complains when its last cell, the reason, is empty. */
static void take_row(char *row, int line, struct text_list *names, struct text_list *complaints)
{
    char *rest = row + 1;
    char *first = strsep(&rest, "|");
    size_t length = rest ? strlen(rest) : 0;
    while (length > 0 && strchr("| ", rest[length - 1]))
        rest[--length] = '\0';
    const char *reason = rest && strrchr(rest, '|') ? strrchr(rest, '|') + 1 : rest;
    for (char *start = strchr(first, '`'); start; start = strchr(start, '`')) {
        size_t size = strcspn(start + 1, "`");
        text_list_take(names, text_copy_n(start + 1, size));
        if (!reason || reason[strspn(reason, " ")] == '\0')
            complain(complaints, README, line, "%.*s has no reason", (int)size, start + 1);
        start += size + 1;
        start += *start == '`';
    }
}

/* The names in the table of README's section `heading` ("## Packages"). */
static int read_table(const struct source_tree *tree, const char *heading, struct text_list *names,
                      struct text_list *complaints, struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, README, &text, err) < 0)
        return -1;
    bool inside = false;
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        if (text_starts_with(walk.line, "## "))
            inside = text_equal(walk.line, heading);
        else if (inside && text_starts_with(walk.line, "| `"))
            take_row(walk.line, walk.number, names, complaints);
    }
    if (names->count == 0)
        complain(complaints, README, 0, "has no table in a section \"%s\"", heading);
    return 0;
}

/* Complains of each of `names` that `others` does not have. */
static void compare(const struct text_list *names, const struct text_list *others, const char *path, const char *what,
                    struct text_list *complaints)
{
    for (size_t i = 0; i < names->count; i++)
        if (!text_list_contains(others, names->items[i]))
            complain(complaints, path, 0, "%s %s", names->items[i], what);
}

/* ── packages ── */

/* One package a line, its first word, or several of which one will do ("a|b": the first counts); '#' begins a comment,
 * '[' a line that says for what the packages after it are. */
static int read_packages(const struct source_tree *tree, struct text_list *packages, struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, PACKAGES_FILE, &text, err) < 0)
        return -1;
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        size_t length = strcspn(walk.line, " \t#|[");
        if (length > 0)
            text_list_take(packages, text_copy_n(walk.line, length));
    }
    return 0;
}

static int check_packages(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list explained = {0};
    cleanup_text_list struct text_list installed = {0};
    if (read_table(tree, "## Packages", &explained, complaints, err) < 0 || read_packages(tree, &installed, err) < 0)
        return -1;
    compare(&installed, &explained, README, "is installed (" PACKAGES_FILE ") but not explained", complaints);
    compare(&explained, &installed, PACKAGES_FILE, "is explained in " README " but not installed", complaints);
    return 0;
}

FLEET_TEST(documents, explain_every_package)
{
    return check_holds(check_packages, err);
}

FLEET_TEST(documents, finds_unexplained_packages)
{
    static const struct sample_file files[] = {
        {README, "## Packages\n\n| package | why |\n|---|---|\n| `gcc`, `ninja-build` | build |\n| `podman` | |\n"
                 "| `gone` | it was |\n\n## Other\n\n| `no-package` | other |\n"},
        {PACKAGES_FILE, "# what is installed\ngcc|clang   compiles\nninja-build # fast\npodman\n[vm]\nrunc\n"},
    };
    static const char *const expected[] = {
        README ":6: podman has no reason",
        README ": runc is installed",
        PACKAGES_FILE ": gone is explained",
        NULL,
    };
    return check_finds(test, check_packages, files, ARRAY_SIZE(files), expected, err);
}

/* ── libraries: what CMakeLists.txt looks for with pkg-config ── */

static void take_modules(char *text, struct text_list *modules)
{
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        char *rest = strstr(walk.line, "pkg_check_modules(");
        if (!rest)
            continue;
        rest += strlen("pkg_check_modules(");
        strsep(&rest, " ");
        for (char *word; (word = strsep(&rest, " )"));)
            if (*word && !text_equal(word, "REQUIRED") && !text_equal(word, "IMPORTED_TARGET"))
                text_list_take(modules, text_copy_n(word, strcspn(word, "<>=")));
    }
}

static int check_libraries(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list explained = {0};
    cleanup_text_list struct text_list used = {0};
    if (read_table(tree, "## Libraries", &explained, complaints, err) < 0)
        return -1;
    for (size_t i = 0; i < tree->files.count; i++) {
        cleanup_free char *text = NULL;
        if (!text_equal(source_basename(tree->files.items[i]), "CMakeLists.txt"))
            continue;
        if (source_tree_read(tree, tree->files.items[i], &text, err) < 0)
            return -1;
        take_modules(text, &used);
    }
    compare(&used, &explained, README, "is linked with but not explained", complaints);
    compare(&explained, &used, README, "is explained but not linked with", complaints);
    return 0;
}

FLEET_TEST(documents, explain_every_library)
{
    return check_holds(check_libraries, err);
}

FLEET_TEST(documents, finds_unexplained_libraries)
{
    static const struct sample_file files[] = {
        {"CMakeLists.txt", "  pkg_check_modules(NATS REQUIRED IMPORTED_TARGET libnats>=3.4)\n"},
        {"tests/CMakeLists.txt", "pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)\n"},
        {README, "## Libraries\n| `libnats` | the wire |\n| `libuv` |  |\n"},
    };
    static const char *const expected[] = {
        README ":3: libuv has no reason",
        README ": criterion is linked with but not explained",
        README ": libuv is explained but not linked with",
        NULL,
    };
    return check_finds(test, check_libraries, files, ARRAY_SIZE(files), expected, err);
}

/* ── environment variables ── */

/* Length of an environment variable of ours ("FLEET_…", "HARMONY_FLEET_…") at `text`; 0: none. */
static size_t variable_length(const char *text)
{
    size_t length = word_length(text);
    for (size_t i = 0; i < length; i++)
        if (islower((unsigned char)text[i]))
            return 0;
    bool ours = text_starts_with(text, "FLEET_") || text_starts_with(text, "HARMONY_FLEET_");
    return ours ? length : 0;
}

/* In C a whole string literal, which may end in '='; in a script "$NAME", "${NAME" and "NAME=". */
static size_t variable_at(const char *text, const char *place, bool is_c)
{
    size_t length = variable_length(place);
    int before = place == text ? '\n' : place[-1];
    if (length == 0)
        return 0;
    if (is_c)
        return before == '"' && strchr("\"=", place[length]) ? length : 0;
    return strchr("${", before) || (strchr(" \t\n", before) && place[length] == '=') ? length : 0;
}

static void take_variables(const char *text, bool is_c, struct text_list *variables)
{
    for (const char *place = text; *place; place++) {
        size_t length = place == text || word_length(place - 1) == 0 ? variable_at(text, place, is_c) : 0;
        if (length == 0)
            continue;
        cleanup_free char *name = text_copy_n(place, length);
        if (!text_list_contains(variables, name))
            text_list_add(variables, name);
        place += length - 1;
    }
}

/* Tests set what they like for what they start; benchmarks and the quickstart are run by people. */
static bool is_program(const char *path)
{
    return !text_starts_with(path, "tests/") || text_starts_with(path, "tests/bench/") ||
           text_starts_with(path, "tests/quickstart/");
}

/* What programs and scripts read or set. */
static int find_variables(const struct source_tree *tree, struct text_list *variables, struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        const char *path = tree->files.items[i];
        cleanup_free char *text = NULL;
        bool script =
            text_starts_with(path, "scripts/") || text_starts_with(path, ".ci/") || text_starts_with(path, "CI/");
        bool program = source_is_c(path) && is_program(path);
        if (!script && !program)
            continue;
        if (source_tree_read(tree, path, &text, err) < 0)
            return -1;
        if (program)
            source_blank(text, BLANK_COMMENTS);
        take_variables(text, program, variables);
    }
    return 0;
}

static int check_variables(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list explained = {0};
    cleanup_text_list struct text_list used = {0};
    if (read_table(tree, "## Environment variables", &explained, complaints, err) < 0 ||
        find_variables(tree, &used, err) < 0)
        return -1;
    compare(&used, &explained, README, "is used but not explained", complaints);
    for (size_t i = 0; i < explained.count; i++)
        if (variable_length(explained.items[i]) > 0 && !text_list_contains(&used, explained.items[i]))
            complain(complaints, README, 0, "%s is explained but not used", explained.items[i]);
    return 0;
}

FLEET_TEST(documents, explain_every_environment_variable)
{
    return check_holds(check_variables, err);
}

FLEET_TEST(documents, finds_unexplained_environment_variables)
{
    static const struct sample_file files[] = {
        {README, "## Environment variables\n| `FLEET_LOG` | level |\n| `FLEET_OLD` | gone |\n| `CI` | foreign |\n"},
        {"base/log.c", "/* \"FLEET_COMMENT\" */ getenv(\"FLEET_LOG\"); NOT_FLEET_X; FLEET_MACRO(1); \"FLEET_SAY: \"\n"},
        {"harness/run.c", "text_format(\"%s\", \"FLEET_E2E_MARK=\");\n"},
        {"scripts/test", "FLEET_FUZZ=1 x \"${FLEET_LOG:-info}\" $HARMONY_FLEET_E2E -DFLEET_OPTION=ON\n"},
        {"tests/unit/test_log.c", "setenv(\"FLEET_OTHER\", \"1\");\n"},
    };
    static const char *const expected[] = {
        README ": FLEET_E2E_MARK is used",
        README ": FLEET_FUZZ is used",
        README ": HARMONY_FLEET_E2E is used",
        README ": FLEET_OLD is explained but",
        NULL,
    };
    return check_finds(test, check_variables, files, ARRAY_SIZE(files), expected, err);
}

/* ── links ── */

static void check_link(const struct source_tree *tree, const char *path, int line, const char *target,
                       struct text_list *complaints)
{
    if (strstr(target, "://") || target[0] == '#' || target[0] == '\0')
        return;
    cleanup_free char *relative = text_copy_n(target, strcspn(target, "#"));
    cleanup_free char *directory = text_copy_n(path, (size_t)(source_basename(path) - path));
    cleanup_free char *wanted = text_format("%s%s", directory, relative);
    cleanup_free char *above = text_starts_with(relative, "../") ? text_copy(relative + 3) : NULL;
    const char *full = above ? above : wanted; /* documents stand at the top or one below */
    cleanup_free char *as_directory = text_format("%s%s", full, text_ends_with(full, "/") ? "" : "/");
    for (size_t i = 0; i < tree->files.count; i++)
        if (text_equal(tree->files.items[i], full) || text_starts_with(tree->files.items[i], as_directory))
            return;
    complain(complaints, path, line, "the link to %s leads nowhere", target);
}

static int check_links(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        const char *path = tree->files.items[i];
        cleanup_free char *text = NULL;
        if (!text_ends_with(path, ".md"))
            continue;
        if (source_tree_read(tree, path, &text, err) < 0)
            return -1;
        for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);)
            for (const char *place = strstr(walk.line, "]("); place; place = strstr(place + 1, "](")) {
                cleanup_free char *target = text_copy_n(place + 2, strcspn(place + 2, ") "));
                check_link(tree, path, walk.number, target, complaints);
            }
    }
    return 0;
}

FLEET_TEST(documents, have_links_that_lead_somewhere)
{
    return check_holds(check_links, err);
}

FLEET_TEST(documents, finds_dead_links)
{
    static const struct sample_file files[] = {
        {README,
         "[a](docs/wire.md) [b](docs/gone.md) [c](https://nats.io) [d](#here)\n[e](docs/) [f](docs/wire.md#x)\n"},
        {"docs/wire.md", "[back](../README.md) [other](wire.md) [gone](../gone.md)\n"},
    };
    static const char *const expected[] = {README ":1: the link to docs/gone.md",
                                           "docs/wire.md:1: the link to ../gone.md", NULL};
    return check_finds(test, check_links, files, ARRAY_SIZE(files), expected, err);
}
