/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shell scripts are thin and parse; what needs thought is C.
 */

#include <string.h>

#include "base/process.h"
#include "tests/check/tree.h"

#define SCRIPT_LINES_MAX 150

static bool is_script(const char *text)
{
    static const char *const interpreters[] = {"#!/bin/sh\n", "#!/bin/sh -", "#!/usr/bin/env sh\n", "#!/bin/bash\n",
                                               "#!/usr/bin/env bash\n"};
    for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
        if (text_starts_with(text, interpreters[i]))
            return true;
    return false;
}

static int check_syntax(const struct source_tree *tree, const char *path, struct text_list *complaints,
                        struct error *err)
{
    cleanup_free char *full = source_tree_path(tree, path);
    const char *const argv[] = {"sh", "-n", full, NULL};
    struct process_options options = {.argv = argv};
    cleanup_process_result struct process_result result = {0};
    if (process_run(&options, deadline_in_ms(10000), &result, err) < 0)
        return -1;
    if (result.exit_code != 0)
        complain(complaints, path, 0, "does not parse: %.*s", (int)strcspn(result.errors, "\n"), result.errors);
    return 0;
}

/* Without -e a failing step goes unnoticed, without -u a misspelt variable. */
static bool stops_at_failures(const char *text)
{
    return strstr(text, "\nset -eu") != NULL;
}

static int check_script(const struct source_tree *tree, const char *path, const char *text,
                        struct text_list *complaints, struct error *err)
{
    int lines = 0;
    for (const char *position = text; (position = strchr(position, '\n')); position++)
        lines++;
    if (lines > SCRIPT_LINES_MAX)
        complain(complaints, path, 0, "has %d lines, more than %d", lines, SCRIPT_LINES_MAX);
    if (!text_starts_with(text, "#!/bin/sh\n"))
        complain(complaints, path, 1, "begins with #!/bin/sh like every script");
    if (!stops_at_failures(text))
        complain(complaints, path, 0, "does not set -eu");
    return check_syntax(tree, path, complaints, err);
}

static int check_shell(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        cleanup_free char *text = NULL;
        if (source_tree_read(tree, tree->files.items[i], &text, err) < 0)
            return -1;
        if (is_script(text) && check_script(tree, tree->files.items[i], text, complaints, err) < 0)
            return -1;
    }
    return 0;
}

FLEET_TEST(shell, scripts_are_thin_and_parse)
{
    return check_holds(check_shell, err);
}

FLEET_TEST(shell, finds_bad_scripts)
{
    struct text_buffer thick = {0};
    text_buffer_add(&thick, "#!/bin/sh\nset -eu\n");
    for (int i = 2; i <= SCRIPT_LINES_MAX; i++)
        text_buffer_add(&thick, "true\n");
    cleanup_free char *thick_text = text_buffer_take(&thick);
    const struct sample_file files[] = {
        {"scripts/bashful", "#!/bin/bash\nset -eu\n"},
        {"scripts/broken", "#!/bin/sh\nset -eu\nif true; then\n"},
        {"scripts/careless", "#!/bin/sh\ntrue\n"},
        {"scripts/good", "#!/bin/sh\nset -eu\ntrue\n"},
        {"scripts/thick", thick_text},
        {"scripts/words", "no script\nif then fi\n"},
    };
    static const char *const expected[] = {
        "scripts/bashful:1: begins with #!/bin/sh",
        "scripts/broken: does not parse: ",
        "scripts/careless: does not set -eu",
        "scripts/thick: has 151 lines",
        NULL,
    };
    return check_finds(test, check_shell, files, ARRAY_SIZE(files), expected, err);
}
