/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/hosts_block.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define NAME_MAX_SIZE  253 /* RFC 1123, section 2.1 */
#define LABEL_MAX_SIZE 63

static bool is_label(const char *label, size_t size)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";

    return size >= 1 && size <= LABEL_MAX_SIZE && strspn(label, allowed) >= size && label[0] != '-' &&
           label[size - 1] != '-';
}

static bool is_host_name(const char *name)
{
    if (strlen(name) > NAME_MAX_SIZE)
        return false;
    for (;;) {
        size_t size = strcspn(name, ".");

        if (!is_label(name, size))
            return false;
        if (!name[size])
            return true;
        name += size + 1;
    }
}

int hosts_entry_check(const struct hosts_entry *entry, struct error *err)
{
    unsigned char binary[sizeof(struct in6_addr)];

    if (!entry->address ||
        (inet_pton(AF_INET, entry->address, binary) != 1 && inet_pton(AF_INET6, entry->address, binary) != 1))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "naming host", entry->name,
                         "\"%s\" is no numeric address", entry->address ? entry->address : "");
    if (!entry->name || !is_host_name(entry->name))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "naming host", entry->name,
                         "it is no host name: labels of A-Z, a-z, 0-9 and '-' between dots");
    return 0;
}

static void add_block(struct text_buffer *text, const struct hosts_entry *entries, size_t count)
{
    if (count == 0)
        return;
    if (text->size > 0 && text->data[text->size - 1] != '\n')
        text_buffer_add(text, "\n"); /* the last line had no end */
    text_buffer_add(text, HOSTS_BLOCK_BEGIN "\n");
    for (size_t i = 0; i < count; i++)
        text_buffer_format(text, "%s\t%s\n", entries[i].address, entries[i].name);
    text_buffer_add(text, HOSTS_BLOCK_END "\n");
}

static bool line_is(const char *line, size_t size, const char *wanted)
{
    size_t wanted_size = strlen(wanted);

    if (size > 0 && line[size - 1] == '\n')
        size--;
    return size == wanted_size && memcmp(line, wanted, size) == 0;
}

int hosts_block_replace(const char *text, size_t size, const struct hosts_entry *entries, size_t count, char **ret,
                        size_t *ret_size, struct error *err)
{
    cleanup_text_buffer struct text_buffer edited = {0};
    bool inside = false;
    bool added = false;

    for (const char *line = text, *end = text + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t line_size = newline ? (size_t)(newline + 1 - line) : (size_t)(end - line);

        if (!inside && line_is(line, line_size, HOSTS_BLOCK_BEGIN)) {
            inside = true;
            if (!added)
                add_block(&edited, entries, count);
            added = true;
        } else if (inside) {
            inside = !line_is(line, line_size, HOSTS_BLOCK_END);
        } else {
            text_buffer_append(&edited, line, line_size);
        }
        line += line_size;
    }
    if (inside)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "editing", "/etc/hosts",
                         "our block begins there and does not end: put the line \"" HOSTS_BLOCK_END "\" after it");
    if (!added)
        add_block(&edited, entries, count);
    *ret_size = edited.size;
    *ret = text_buffer_take(&edited);
    return 0;
}
