/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/tree.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

#define SOURCE_MAX (16u << 20)

struct tree_walk {
    struct source_tree *tree;
    const struct text_list *ignored;
    const char *directory; /**< relative, "" at the top */
};

static int walk_directory(struct source_tree *tree, const struct text_list *ignored, const char *directory,
                          struct error *err);

static int visit_entry(void *context, const char *name, struct error *err)
{
    const struct tree_walk *walk = context;
    cleanup_free char *path =
        walk->directory[0] ? text_format("%s/%s", walk->directory, name) : text_format("%s", name);
    if (text_list_contains(walk->ignored, path))
        return 0;
    cleanup_free char *full = source_tree_path(walk->tree, path);
    struct stat status;
    if (lstat(full, &status) < 0)
        return error_set_errno(err, errno, "reading the attributes", full);
    if (S_ISDIR(status.st_mode))
        return walk_directory(walk->tree, walk->ignored, path, err);
    if (S_ISREG(status.st_mode))
        text_list_add(&walk->tree->files, path);
    return 0;
}

static int walk_directory(struct source_tree *tree, const struct text_list *ignored, const char *directory,
                          struct error *err)
{
    struct tree_walk walk = {.tree = tree, .ignored = ignored, .directory = directory};
    cleanup_free char *full = source_tree_path(tree, directory);
    cleanup_free char *cmake_cache = text_format("%s/CMakeCache.txt", full);
    if (file_exists(cmake_cache))
        return 0; /* somebody's build directory, whatever its name */
    return directory_each(full, visit_entry, &walk, err);
}

/* Only the form "/name/" is used in .gitignore; anything cleverer would need git itself, which a tarball has not. */
static int read_ignored(const struct source_tree *tree, struct text_list *ignored, struct error *err)
{
    text_list_add(ignored, ".git");
    cleanup_free char *path = source_tree_path(tree, ".gitignore");
    if (!file_exists(path))
        return 0;
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, ".gitignore", &text, err) < 0)
        return -1;
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        size_t length = strlen(walk.line);
        if (length > 2 && walk.line[0] == '/' && walk.line[length - 1] == '/')
            text_list_take(ignored, text_copy_n(walk.line + 1, length - 2));
    }
    return 0;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int source_tree_open(const char *root, struct source_tree **ret, struct error *err)
{
    CLEANUP(source_tree_free) struct source_tree *tree = NEW(struct source_tree);
    tree->root = text_copy(root);
    cleanup_text_list struct text_list ignored = {0};
    if (read_ignored(tree, &ignored, err) < 0 || walk_directory(tree, &ignored, "", err) < 0)
        return error_wrap(err, "finding the sources below", root);
    if (tree->files.count > 0)
        qsort(tree->files.items, tree->files.count, sizeof(char *), compare_text);
    *ret = TAKE_PTR(tree);
    return 0;
}

void source_tree_free(struct source_tree *tree)
{
    if (!tree)
        return;
    free(tree->root);
    text_list_clear(&tree->files);
    free(tree);
}

char *source_tree_path(const struct source_tree *tree, const char *path)
{
    return path[0] ? text_format("%s/%s", tree->root, path) : text_copy(tree->root);
}

int source_tree_read(const struct source_tree *tree, const char *path, char **text, struct error *err)
{
    cleanup_free char *full = source_tree_path(tree, path);
    size_t size = 0;
    return file_read(full, SOURCE_MAX, text, &size, err);
}

bool source_tree_has(const struct source_tree *tree, const char *path)
{
    return text_list_contains(&tree->files, path);
}

bool source_is_c(const char *path)
{
    static const char *const suffixes[] = {".c", ".h", ".cc", ".cpp", ".hpp"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (text_ends_with(path, suffixes[i]))
            return true;
    return false;
}

void source_tree_add_c(const struct source_tree *tree, struct text_list *argv)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        if (source_is_c(tree->files.items[i]))
            text_list_add(argv, tree->files.items[i]);
    }
}

const char *source_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *source_room(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash ? text_copy_n(path, (size_t)(slash - path)) : NULL;
}

static char *blank_until(char *start, char *end)
{
    for (char *position = start; position < end; position++)
        if (*position != '\n')
            *position = ' ';
    return end;
}

static char *end_of_comment(char *start)
{
    char *end = strstr(start + 2, start[1] == '*' ? "*/" : "\n");
    if (!end)
        return start + strlen(start);
    return start[1] == '*' ? end + 2 : end;
}

/* The closing quote itself, or the end of the line for an unclosed one (an apostrophe in an #error, say). */
static char *end_of_string(char *start)
{
    char *position = start + 1;
    while (*position && *position != *start && *position != '\n')
        position += position[0] == '\\' && position[1] ? 2 : 1;
    return position;
}

void source_blank(char *text, unsigned what)
{
    char *position = text;
    while (*position) {
        if (position[0] == '/' && (position[1] == '*' || position[1] == '/')) {
            char *end = end_of_comment(position);
            position = what & BLANK_COMMENTS ? blank_until(position, end) : end;
        } else if (*position == '"' || *position == '\'') {
            char *end = end_of_string(position);
            if (what & BLANK_STRINGS)
                blank_until(position + 1, end);
            position = *end ? end + 1 : end;
        } else {
            position++;
        }
    }
}

struct line_walk line_walk_start(char *text)
{
    return (struct line_walk){.rest = text};
}

bool line_walk_next(struct line_walk *walk)
{
    walk->line = walk->rest && *walk->rest ? strsep(&walk->rest, "\n") : NULL;
    walk->number++;
    return walk->line != NULL;
}

size_t word_length(const char *text)
{
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    return length;
}

const char *find_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *place = strstr(text, word); place; place = strstr(place + 1, word)) {
        bool starts = place == text || word_length(place - 1) == 0;
        if (starts && word_length(place + length) == 0)
            return place;
    }
    return NULL;
}

void complain(struct text_list *complaints, const char *path, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *message = text_format_v(format, arguments);
    va_end(arguments);
    if (line > 0)
        text_list_format(complaints, "%s:%d: %s", path, line, message);
    else
        text_list_format(complaints, "%s: %s", path, message);
}

static char *join_lines(const struct text_list *list)
{
    struct text_buffer buffer = {0};
    for (size_t i = 0; i < list->count; i++)
        text_buffer_format(&buffer, "\n  %s", list->items[i]);
    return text_buffer_take(&buffer);
}

int check_holds(source_check check, struct error *err)
{
    CLEANUP(source_tree_free) struct source_tree *tree = NULL;
    cleanup_text_list struct text_list complaints = {0};
    TRY(source_tree_open(FLEET_SOURCE_DIRECTORY, &tree, err));
    TRY(check(tree, &complaints, err));
    cleanup_free char *all = join_lines(&complaints);
    CHECK(complaints.count == 0, "%zu complaints:%s", complaints.count, all);
    return 0;
}

int sample_write(struct test_context *test, const struct sample_file *files, size_t count, char **root,
                 struct error *err)
{
    cleanup_free char *directory = text_format("%s/sample", test->artefacts);
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *path = text_format("%s/%s", directory, files[i].path);
        cleanup_free char *parent = text_copy_n(path, (size_t)(strrchr(path, '/') - path));
        if (directory_create(parent, 0700, err) < 0 ||
            file_write_atomic(path, files[i].text, strlen(files[i].text), 0600, err) < 0)
            return error_wrap(err, "writing the sample", files[i].path);
    }
    *root = TAKE_PTR(directory);
    return 0;
}

int check_finds(struct test_context *test, source_check check, const struct sample_file *files, size_t count,
                const char *const *expected, struct error *err)
{
    CLEANUP(source_tree_free) struct source_tree *tree = NULL;
    cleanup_text_list struct text_list complaints = {0};
    cleanup_free char *root = NULL;
    TRY(sample_write(test, files, count, &root, err));
    TRY(source_tree_open(root, &tree, err));
    TRY(check(tree, &complaints, err));
    cleanup_free char *all = join_lines(&complaints);
    size_t wanted = 0;
    for (; expected[wanted]; wanted++) {
        CHECK(wanted < complaints.count, "no complaint like \"%s\"; there were:%s", expected[wanted], all);
        CHECK(strstr(complaints.items[wanted], expected[wanted]) != NULL, "complaint %zu is not like \"%s\":%s", wanted,
              expected[wanted], all);
    }
    CHECK(complaints.count == wanted, "%zu complaints instead of %zu:%s", complaints.count, wanted, all);
    return 0;
}
