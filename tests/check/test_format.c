/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every C and C++ source is formatted as .clang-format says.
 */

#include <string.h>

#include "base/process.h"
#include "tests/check/tree.h"

/* clang-format says "path:line:column: error: code should be clang-formatted …" once a place; the first of a file does. */
static void take_complaints(const struct source_tree *tree, char *output, struct text_list *complaints)
{
    cleanup_text_list struct text_list seen = {0};
    for (struct line_walk walk = line_walk_start(output); line_walk_next(&walk);) {
        char *rest = walk.line;
        const char *path = strsep(&rest, ":");
        const char *line = rest ? strsep(&rest, ":") : NULL;
        if (!rest || !source_tree_has(tree, path) || text_list_contains(&seen, path))
            continue;
        text_list_add(&seen, path);
        complain(complaints, path, (int)strtol(line, NULL, 10), "is not formatted: run clang-format -i %s", path);
    }
}

static int check_format(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    static const char *const fixed[] = {"clang-format", "--dry-run", "-Werror", "--style=file",
                                        "--fallback-style=none"};
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        text_list_add(&argv, fixed[i]);
    source_tree_add_c(tree, &argv);
    struct process_options options = {.argv = (const char *const *)argv.items, .directory = tree->root};
    cleanup_process_result struct process_result result = {0};
    if (process_run(&options, deadline_in_ms(50000), &result, err) < 0)
        return error_wrap(err, "checking the format with clang-format (scripts/setup installs it)", NULL);
    size_t before = complaints->count;
    cleanup_free char *output = text_copy(result.errors);
    take_complaints(tree, output, complaints);
    if (result.exit_code != 0 && complaints->count == before)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "running clang-format", NULL, "%s", result.errors);
    return 0;
}

FLEET_TEST(format, holds)
{
    return check_holds(check_format, err);
}

FLEET_TEST(format, finds_what_is_not_formatted)
{
    static const struct sample_file files[] = {
        {".clang-format", "BasedOnStyle: LLVM\nIndentWidth: 4\n"},
        {"base/bad.c", "int good(void);\nint   bad( void );\nint  worse( void );\n"},
        {"base/good.h", "int good(void);\n"},
    };
    static const char *const expected[] = {"base/bad.c:2: is not formatted", NULL};
    return check_finds(test, check_format, files, ARRAY_SIZE(files), expected, err);
}
