/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every check of the source tree needs: the files, their lines, and complaints of the form "path:line: message".
 * A check is one function over a tree, so that a test can run it over the real tree (it must not complain) and over a
 * sample that breaks the rule (it must).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"
#include "harness/test.h"

struct source_tree {
    char *root;             /**< absolute */
    struct text_list files; /**< relative to root, sorted; without .git, what .gitignore names, build directories */
};

/** Find the files below `root`. Errors: system. */
MUST_CHECK int source_tree_open(const char *root, struct source_tree **ret, struct error *err);
void source_tree_free(struct source_tree *tree);
DEFINE_CLEANUP(struct source_tree *, source_tree_free)

/** The whole text of one file. Caller frees *text. Errors: system, general/GENERAL_TOO_LARGE. */
MUST_CHECK int source_tree_read(const struct source_tree *tree, const char *path, char **text, struct error *err);
/** "<root>/<path>"; caller frees. */
char *source_tree_path(const struct source_tree *tree, const char *path);
/** True if the tree has this file. */
bool source_tree_has(const struct source_tree *tree, const char *path);
/** True for C and C++ sources and headers. */
bool source_is_c(const char *path);
/** Append the C and C++ files, relative to root, to the arguments of a program. */
void source_tree_add_c(const struct source_tree *tree, struct text_list *argv);
/** Position of the last '/' + 1. Borrowed. */
const char *source_basename(const char *path);
/** Copy of the first component of "room/file.c", NULL for a file at the top. Caller frees. */
char *source_room(const char *path);

/** Blank out (keeping lines and columns) what the compiler does not read as code. */
enum blank_what { BLANK_COMMENTS = 1, BLANK_STRINGS = 2 };
void source_blank(char *text, unsigned what);

/** Walks the lines of a text; the line is cut out of it, so the text is used up. */
struct line_walk {
    char *line; /**< without its end; NULL at the end */
    int number; /**< 1-based */
    char *rest;
};
struct line_walk line_walk_start(char *text);
bool line_walk_next(struct line_walk *walk);

/** The word of letters, digits and '_' at `text`, its length (0: none). */
size_t word_length(const char *text);
/** First place where `word` stands as a whole word in `text`, or NULL. */
const char *find_word(const char *text, const char *word);

/** Add "path:line: message" (line 0: "path: message"). */
void complain(struct text_list *complaints, const char *path, int line, const char *format, ...) PRINTF_LIKE(4, 5);

typedef int (*source_check)(const struct source_tree *tree, struct text_list *complaints, struct error *err);

/** The check must have nothing to say about this project's tree. */
MUST_CHECK int check_holds(source_check check, struct error *err);

struct sample_file {
    const char *path;
    const char *text;
};
/**
 * The check must make exactly these complaints (each of `expected`, NULL-terminated, is a part of one, in order) about a
 * tree of these files, which is written into the test's artefacts.
 */
MUST_CHECK int check_finds(struct test_context *test, source_check check, const struct sample_file *files, size_t count,
                           const char *const *expected, struct error *err);
/** Write the sample files to `<artefacts>/sample`. Caller frees *root. */
MUST_CHECK int sample_write(struct test_context *test, const struct sample_file *files, size_t count, char **root,
                            struct error *err);
