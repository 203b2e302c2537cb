/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of at most 600 lines, functions of at most 60. universal-ctags knows where a function ends.
 */

#include <string.h>

#include "base/process.h"
#include "tests/check/tree.h"

#define FILE_LINES_MAX     600
#define FUNCTION_LINES_MAX 60

static int check_file_length(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        const char *path = tree->files.items[i];
        cleanup_free char *text = NULL;
        if (!source_is_c(path))
            continue;
        if (source_tree_read(tree, path, &text, err) < 0)
            return -1;
        int lines = 0;
        for (const char *position = text; (position = strchr(position, '\n')); position++)
            lines++;
        if (lines > FILE_LINES_MAX)
            complain(complaints, path, 0, "has %d lines, more than %d", lines, FILE_LINES_MAX);
    }
    return 0;
}

/* Number after `field` ("line:", "end:") in a tag's extension fields, 0 when it is not there. */
static int tag_number(const char *fields, const char *field)
{
    for (const char *place = strchr(fields, '\t'); place; place = strchr(place + 1, '\t'))
        if (text_starts_with(place + 1, field))
            return (int)strtol(place + 1 + strlen(field), NULL, 10);
    return 0;
}

/* "name<TAB>file<TAB>12;"<TAB>f<TAB>line:12<TAB>end:30". FLEET_TEST bodies come as functions of that name. */
static void check_tag(char *tag, struct text_list *complaints)
{
    char *rest = tag;
    const char *name = strsep(&rest, "\t");
    const char *path = strsep(&rest, "\t");
    if (!rest)
        return;
    int first = tag_number(rest, "line:");
    int lines = tag_number(rest, "end:") - first + 1;
    if (lines > FUNCTION_LINES_MAX)
        complain(complaints, path, first, "%s has %d lines, more than %d", name, lines, FUNCTION_LINES_MAX);
}

static int check_function_length(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    static const char *const fixed[] = {
        "ctags", "--fields=+ne", "--excmd=number", "--kinds-C=f", "--kinds-C++=f", "--sort=no", "-o", "-"};
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        text_list_add(&argv, fixed[i]);
    source_tree_add_c(tree, &argv);
    struct process_options options = {.argv = (const char *const *)argv.items, .directory = tree->root};
    cleanup_process_result struct process_result result = {0};
    if (process_run_checked(&options, deadline_in_ms(30000), &result, err) < 0)
        return error_wrap(err, "measuring functions with universal-ctags (scripts/setup installs it)", NULL);
    for (struct line_walk walk = line_walk_start(result.output); line_walk_next(&walk);)
        check_tag(walk.line, complaints);
    return 0;
}

FLEET_TEST(size, of_files_is_kept)
{
    return check_holds(check_file_length, err);
}

FLEET_TEST(size, of_functions_is_kept)
{
    return check_holds(check_function_length, err);
}

/* `head`, then `count` times `line`, then `tail`. */
static char *repeat(const char *head, const char *line, int count, const char *tail)
{
    struct text_buffer buffer = {0};
    text_buffer_add(&buffer, head);
    for (int i = 0; i < count; i++)
        text_buffer_add(&buffer, line);
    text_buffer_add(&buffer, tail);
    return text_buffer_take(&buffer);
}

FLEET_TEST(size, finds_long_files)
{
    cleanup_free char *fits = repeat("", "int x;\n", FILE_LINES_MAX, "");
    cleanup_free char *is_long = repeat("", "int x;\n", FILE_LINES_MAX + 1, "");
    const struct sample_file files[] = {{"base/fits.c", fits}, {"base/long.c", is_long}, {"docs/long.md", is_long}};
    static const char *const expected[] = {"base/long.c: has 601 lines", NULL};
    return check_finds(test, check_file_length, files, ARRAY_SIZE(files), expected, err);
}

FLEET_TEST(size, finds_long_functions)
{
    cleanup_free char *text = repeat("int fits(void)\n{\n", "\n", FUNCTION_LINES_MAX - 3, "}\n");
    cleanup_free char *more = repeat("int too_long(void)\n{\n", "\n", FUNCTION_LINES_MAX - 2, "}\n");
    cleanup_free char *body =
        repeat("FLEET_TEST(suite, name, NEEDS(X))\n{\n", "    TRY(x());\n", 90, "    return 0;\n}\n");
    cleanup_free char *both = text_format("%s\n%s", text, more);
    const struct sample_file files[] = {{"base/a.c", both}, {"tests/unit/test_a.c", body}};
    static const char *const expected[] = {
        "base/a.c:62: too_long has 61 lines, more than 60",
        "tests/unit/test_a.c:1: FLEET_TEST has 94 lines",
        NULL,
    };
    return check_finds(test, check_function_length, files, ARRAY_SIZE(files), expected, err);
}
