/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/toml.h"

#include <cstdlib>
#include <cstring>

#define TOML_EXCEPTIONS            0
#define TOML_ENABLE_FORMATTERS     0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_MAX_NESTED_VALUES     16
/* Without this toml++ reads floats with string streams, whose locales cost 100 kB of memory in the running agent. */
#define TOML_FLOAT_CHARCONV 1
#include <toml++/toml.h>

namespace
{

/* C's allocator, because C frees the tree; running out ends the program like everywhere else (base/memory.h). */
void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        abort();
    return memory;
}

char *copy_text(std::string_view text)
{
    char *copy = static_cast<char *>(allocate(text.size() + 1, 1));

    memcpy(copy, text.data(), text.size());
    return copy;
}

void convert(const toml::node &from, int parent_line, toml_node *to);

void convert_table(const toml::table &table, toml_node *to)
{
    to->type = TOML_TABLE;
    to->items = static_cast<toml_node *>(allocate(table.size(), sizeof(toml_node)));
    for (auto &&[key, value] : table) {
        toml_node *item = &to->items[to->count++];

        item->key = copy_text(key.str());
        convert(value, static_cast<int>(key.source().begin.line), item);
    }
}

void convert_array(const toml::array &array, toml_node *to)
{
    to->type = TOML_ARRAY;
    to->items = static_cast<toml_node *>(allocate(array.size(), sizeof(toml_node)));
    for (auto &&value : array)
        convert(value, to->line, &to->items[to->count++]);
}

/* A node without a place of its own (a table implied by a dotted key) stands where its key or parent does. */
void convert(const toml::node &from, int parent_line, toml_node *to)
{
    int line = static_cast<int>(from.source().begin.line);

    to->line = line > 0 ? line : parent_line;
    if (const auto *table = from.as_table()) {
        convert_table(*table, to);
    } else if (const auto *array = from.as_array()) {
        convert_array(*array, to);
    } else if (const auto *text = from.as_string()) {
        to->type = TOML_STRING;
        to->text = copy_text(text->get());
        to->text_size = text->get().size();
    } else if (const auto *integer = from.as_integer()) {
        to->type = TOML_INTEGER;
        to->integer = integer->get();
    } else if (const auto *number = from.as_floating_point()) {
        to->type = TOML_FLOAT;
        to->number = number->get();
    } else if (const auto *boolean = from.as_boolean()) {
        to->type = TOML_BOOLEAN;
        to->boolean = boolean->get();
    } else {
        to->type = TOML_DATE_OR_TIME;
    }
}

void clear(toml_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        clear(&node->items[i]);
    free(node->items);
    free(node->key);
    if (node->text)
        explicit_bzero(node->text, node->text_size); /* it may have been a password */
    free(node->text);
}

} // namespace

int toml_parse(const char *data, size_t size, toml_node **ret, int *error_line, char **error_message)
{
    toml::parse_result result = toml::parse(std::string_view(data, size));

    if (!result) {
        *error_line = static_cast<int>(result.error().source().begin.line);
        *error_message = copy_text(result.error().description());
        return -1;
    }
    toml_node *root = static_cast<toml_node *>(allocate(1, sizeof(toml_node)));
    convert(result.table(), 1, root);
    *ret = root;
    return 0;
}

void toml_free(toml_node *root)
{
    if (!root)
        return;
    clear(root);
    free(root);
}
