/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json_lines.h"

#include <string.h>

#include "base/json.h"

static void handle_line(const struct json_lines *lines, const char *line, size_t size)
{
    cleanup_error struct error ignored = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (size > 0 && json_parse(line, size, &document, &ignored) == 0)
        lines->on_line(lines->context, document);
}

int json_lines_feed(struct json_lines *lines, const char *data, size_t size)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t part = end ? (size_t)(end - data) : size;
        if (lines->partial.size + part > lines->line_max)
            return -1;
        text_buffer_append(&lines->partial, data, part);
        if (!end)
            return 0;
        handle_line(lines, lines->partial.data, lines->partial.size);
        text_buffer_clear(&lines->partial); /* not kept: most of the time nothing comes */
        data = end + 1;
        size -= part + 1;
    }
    return 0;
}

void json_lines_end(struct json_lines *lines)
{
    handle_line(lines, text_buffer_text(&lines->partial), lines->partial.size);
    text_buffer_clear(&lines->partial);
}

void json_lines_clear(struct json_lines *lines)
{
    text_buffer_clear(&lines->partial);
}
