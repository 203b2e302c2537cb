/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs clang-tidy over sources, several at a time. A source that was found clean is remembered by the hash of what
 * clang-tidy saw of it (version, configuration, arguments, source and preprocessed text), so that a second run only
 * costs the preprocessing.
 */

#include "tests/check/tree.h"

/** How one source is compiled. */
struct lint_unit {
    char *path;                 /**< relative to the tree's root; owned */
    char *directory;            /**< where the compiler runs; owned */
    char *compiler;             /**< owned */
    struct text_list arguments; /**< without source, output and dependency files */
};
struct lint_units {
    struct lint_unit *items;
    size_t count;
};
void lint_units_clear(struct lint_units *units);
static inline void lint_units_clear_at_exit(struct lint_units *units)
{
    lint_units_clear(units);
}
#define cleanup_lint_units __attribute__((cleanup(lint_units_clear_at_exit)))

/** Take CMake's compile_commands.json apart; only sources of the tree are kept. Errors: json, system. */
MUST_CHECK int lint_units_read(const struct source_tree *tree, const char *compile_commands, struct lint_units *ret,
                               struct error *err);
/** Add the C sources below `prefix` that are not there yet (another build's: the fuzzers), with flags that suffice. */
void lint_units_add_others(const struct source_tree *tree, const char *prefix, struct lint_units *units);
/** True if the source is among them. */
bool lint_units_have(const struct lint_units *units, const char *path);
/** Split a command line as a shell does for what CMake writes: blanks, backslashes and quotes. */
void command_split(const char *command, struct text_list *ret);

struct lint_counts {
    int linted;
    int remembered;
};
/** Lint every unit; `cache` is a directory, made when missing. Complaints are sorted. Errors: process, system. */
MUST_CHECK int lint_run(const struct source_tree *tree, const struct lint_units *units, const char *cache,
                        struct lint_counts *counts, struct text_list *complaints, struct error *err);
