/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/check/lint.h"

#define COMMANDS_MAX (64u << 20)
#define COMMAND_MAX  (64u << 10)

static void lint_unit_clear(struct lint_unit *unit)
{
    free(unit->path);
    free(unit->directory);
    free(unit->compiler);
    text_list_clear(&unit->arguments);
    *unit = (struct lint_unit){0};
}

void lint_units_clear(struct lint_units *units)
{
    for (size_t i = 0; i < units->count; i++)
        lint_unit_clear(&units->items[i]);
    free(units->items);
    *units = (struct lint_units){0};
}

static void lint_units_take(struct lint_units *units, struct lint_unit *unit)
{
    units->items = memory_resize(units->items, units->count + 1, sizeof(*units->items));
    units->items[units->count++] = *unit;
    *unit = (struct lint_unit){0};
}

bool lint_units_have(const struct lint_units *units, const char *path)
{
    for (size_t i = 0; i < units->count; i++)
        if (text_equal(units->items[i].path, path))
            return true;
    return false;
}

void command_split(const char *command, struct text_list *ret)
{
    struct text_buffer word = {0};
    bool quoted = false;
    bool in_word = false;
    for (const char *position = command; *position; position++) {
        if (*position == ' ' && !quoted) {
            if (in_word)
                text_list_take(ret, text_buffer_take(&word));
            in_word = false;
            continue;
        }
        in_word = true;
        if (*position == '"') {
            quoted = !quoted;
            continue;
        }
        if (*position == '\\' && position[1])
            position++;
        text_buffer_append(&word, position, 1);
    }
    if (in_word)
        text_list_take(ret, text_buffer_take(&word));
    text_buffer_clear(&word);
}

/* Keeps what says how the source is read: neither what is written where nor the source itself. */
static void take_arguments(const struct text_list *words, size_t first, const char *source, struct lint_unit *unit)
{
    static const char *const with_value[] = {"-o", "-MF", "-MT", "-MQ"};
    for (size_t i = first; i < words->count; i++) {
        const char *word = words->items[i];
        bool has_value = false;
        for (size_t j = 0; j < ARRAY_SIZE(with_value); j++)
            has_value = has_value || text_equal(word, with_value[j]);
        if (has_value)
            i++;
        else if (!text_equal(word, "-c") && !text_equal(word, "-MD") && !text_equal(word, source))
            text_list_add(&unit->arguments, word);
    }
}

/* gcc 12 reads C++17 unless told otherwise, so CMake does not say it; clang 14 does not. */
static void add_standard(struct lint_unit *unit)
{
    for (size_t i = 0; i < unit->arguments.count; i++)
        if (text_starts_with(unit->arguments.items[i], "-std="))
            return;
    if (!text_ends_with(unit->path, ".c"))
        text_list_add(&unit->arguments, "-std=gnu++17");
}

static int read_entry(const struct source_tree *tree, const struct json_cursor *entry, struct lint_units *ret,
                      struct error *err)
{
    struct json_cursor member = {0};
    cleanup_free char *file = NULL;
    cleanup_free char *command = NULL;
    cleanup_free char *directory = NULL;
    if (json_member(entry, "file", &member, err) < 0 || json_string(&member, COMMAND_MAX, &file, err) < 0 ||
        json_member(entry, "command", &member, err) < 0 || json_string(&member, COMMAND_MAX, &command, err) < 0 ||
        json_member(entry, "directory", &member, err) < 0 || json_string(&member, COMMAND_MAX, &directory, err) < 0)
        return -1;
    size_t root_length = strlen(tree->root);
    if (!text_starts_with(file, tree->root) || file[root_length] != '/' ||
        !source_tree_has(tree, file + root_length + 1))
        return 0;
    if (lint_units_have(ret, file + root_length + 1))
        return 0; /* compiled twice, for two programs: the first says enough */
    cleanup_text_list struct text_list words = {0};
    command_split(command, &words);
    size_t compiler = words.count > 1 && text_equal(source_basename(words.items[0]), "ccache") ? 1 : 0;
    struct lint_unit unit = {.path = text_copy(file + root_length + 1),
                             .directory = TAKE_PTR(directory),
                             .compiler = text_copy(words.count > compiler ? words.items[compiler] : "cc")};
    take_arguments(&words, compiler + 1, file, &unit);
    add_standard(&unit);
    lint_units_take(ret, &unit);
    return 0;
}

int lint_units_read(const struct source_tree *tree, const char *compile_commands, struct lint_units *ret,
                    struct error *err)
{
    cleanup_lint_units struct lint_units units = {0};
    cleanup_free char *text = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    size_t size = 0;
    if (file_read(compile_commands, COMMANDS_MAX, &text, &size, err) < 0 || json_parse(text, size, &document, err) < 0)
        return error_wrap(err, "reading the compile commands", compile_commands);
    struct json_cursor root = json_root(document);
    for (struct json_cursor entry = {0}; json_next(&root, &entry);)
        if (read_entry(tree, &entry, &units, err) < 0)
            return error_wrap(err, "reading the compile commands", compile_commands);
    *ret = units;
    units = (struct lint_units){0};
    return 0;
}

void lint_units_add_others(const struct source_tree *tree, const char *prefix, struct lint_units *units)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        const char *path = tree->files.items[i];
        if (!text_starts_with(path, prefix) || !text_ends_with(path, ".c") || lint_units_have(units, path))
            continue;
        struct lint_unit unit = {
            .path = text_copy(path), .directory = text_copy(tree->root), .compiler = text_copy("cc")};
        text_list_add(&unit.arguments, "-std=gnu17");
        text_list_add(&unit.arguments, "-D_GNU_SOURCE");
        text_list_add(&unit.arguments, "-DFLEET_VERSION=\"0\"");
        text_list_format(&unit.arguments, "-I%s", tree->root);
        lint_units_take(units, &unit);
    }
}
