/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Public functions carry a docstring. What is checked: every group of prototypes in a header (lines without a blank one
 * between them) begins with a doc comment, or with what the memory contract of ARCHITECTURE.md documents for all
 * rooms (x_free, x_clear).
 */

#include <ctype.h>
#include <string.h>

#include "tests/check/tree.h"

struct group {
    bool documented;    /**< a doc comment came */
    char *undocumented; /**< first function before any doc comment; owned */
    int undocumented_line;
};

static void group_end(struct group *group, const char *path, struct text_list *complaints)
{
    if (group->undocumented)
        complain(complaints, path, group->undocumented_line, "%s() has no docstring", group->undocumented);
    free(group->undocumented);
    *group = (struct group){0};
}

/* Name of the function a line of blanked code declares at file scope, NULL if it does not. Caller frees. */
static char *declared_function(const char *line)
{
    const char *open = strchr(line, '(');
    if (!open || open == line || !(isalpha((unsigned char)*line) || *line == '_'))
        return NULL;
    static const char *const others[] = {"typedef",        "static", "extern", "struct error_domain",
                                         "DEFINE_CLEANUP", "return"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (text_starts_with(line, others[i]))
            return NULL;
    const char *start = open;
    while (start > line && word_length(start - 1) > 0)
        start--;
    bool has_type = start > line && (start[-1] == ' ' || start[-1] == '*');
    return has_type ? text_copy_n(start, (size_t)(open - start)) : NULL;
}

static bool is_documented_by_contract(const char *function)
{
    return text_ends_with(function, "_free") || text_ends_with(function, "_clear");
}

static void look_at_line(struct group *group, const char *raw, const char *code, int number)
{
    if (strstr(raw, "/**"))
        group->documented = true;
    cleanup_free char *function = declared_function(code);
    if (function && !group->documented && !group->undocumented && !is_documented_by_contract(function)) {
        group->undocumented = TAKE_PTR(function);
        group->undocumented_line = number;
    }
}

static int check_header(const struct source_tree *tree, const char *path, struct text_list *complaints,
                        struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, path, &text, err) < 0)
        return -1;
    cleanup_free char *blanked = text_copy(text);
    source_blank(blanked, BLANK_COMMENTS | BLANK_STRINGS);
    struct line_walk code = line_walk_start(blanked);
    struct group group = {0};
    for (struct line_walk raw = line_walk_start(text); line_walk_next(&raw) && line_walk_next(&code);) {
        if (raw.line[0] == '\0')
            group_end(&group, path, complaints);
        look_at_line(&group, raw.line, code.line, raw.number);
    }
    group_end(&group, path, complaints);
    return 0;
}

static int check_docstrings(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++)
        if (text_ends_with(tree->files.items[i], ".h") && check_header(tree, tree->files.items[i], complaints, err) < 0)
            return -1;
    return 0;
}

FLEET_TEST(docstrings, are_there)
{
    return check_holds(check_docstrings, err);
}

FLEET_TEST(docstrings, finds_functions_without)
{
    static const struct sample_file files[] = {
        {"base/bad.h", "/* What this is for. */\nint bad_open(void);\n/** Documented. */\nint bad_read(void);\n\n"
                       "/** Documented. */\nint good(void);\nint good_too(void);\n\n"
                       "MUST_CHECK struct error *bad_write(const char *text,\n    int size);\n"},
        {"base/good.h",
         "/** One. */\nint one(void);\nvoid one_free(struct one *one);\nDEFINE_CLEANUP(struct one *, one_free)\n\n"
         "void two_clear(struct two *two);\nstatic inline int three(void)\n{\n    return four();\n}\n"
         "#define FIVE(x) six(x)\n\nstruct ops {\n    int (*open)(void);\n};\n"},
        {"base/source.c", "int not_public(void);\n"},
    };
    static const char *const expected[] = {
        "base/bad.h:2: bad_open() has no docstring",
        "base/bad.h:10: bad_write() has no docstring",
        NULL,
    };
    return check_finds(test, check_docstrings, files, ARRAY_SIZE(files), expected, err);
}
