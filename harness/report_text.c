/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/report_text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t text_columns(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static void add_spaces(struct text_buffer *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_buffer_append(buffer, " ", 1);
}

void text_pad_right(struct text_buffer *buffer, const char *text, size_t width)
{
    size_t columns = text_columns(text);

    text_buffer_add(buffer, text);
    add_spaces(buffer, columns < width ? width - columns : 0);
}

void text_pad_left(struct text_buffer *buffer, const char *text, size_t width)
{
    size_t columns = text_columns(text);

    add_spaces(buffer, columns < width ? width - columns : 0);
    text_buffer_add(buffer, text);
}

void text_wrap(struct text_buffer *buffer, const char *text, size_t width, size_t indent)
{
    size_t column = 0;

    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        cleanup_free char *word = text_copy_n(text, strcspn(text, " "));
        size_t columns = text_columns(word);
        if (column && column + 1 + columns > width) {
            text_buffer_add(buffer, "\n");
            add_spaces(buffer, indent);
            column = 0;
        } else if (column) {
            text_buffer_add(buffer, " ");
            column++;
        }
        text_buffer_add(buffer, word);
        column += columns;
        text += strlen(word);
    }
}

char *text_seconds(long long microseconds)
{
    return text_format("%lld.%03lld s", microseconds / 1000000, microseconds / 1000 % 1000);
}

bool text_wants_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return isatty(fd) && !(no_colour && *no_colour) && terminal && !text_equal(terminal, "dumb");
}
