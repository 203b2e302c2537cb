/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "harness/report_model.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the UTF-8 character at `text` if XML 1.0 may hold it (section 2.2), else 0. */
static size_t valid_sequence(const char *text)
{
    size_t size = text_utf8_character(text, strnlen(text, 4));

    if (size == 1 && !strchr("\n\t\r", *text) && text_has_control((const char[]){*text, '\0'}))
        return 0;
    if (size == 3 && (memcmp(text, "\xef\xbf\xbe", 3) == 0 || memcmp(text, "\xef\xbf\xbf", 3) == 0))
        return 0; /* U+FFFE and U+FFFF are no characters */
    return size;
}

/* Bytes of the terminal control sequence "ESC [ … letter" at `text`, 0: none. */
static size_t control_sequence(const char *text)
{
    if (text[0] != '\033' || text[1] != '[')
        return 0;
    size_t size = 2 + strspn(text + 2, "0123456789;?");
    return text[size] ? size + 1 : size;
}

static const char *entity(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void markup_add(struct text_buffer *buffer, const char *text)
{
    while (text && *text) {
        size_t skipped = control_sequence(text);
        size_t size = valid_sequence(text);
        const char *escaped = entity(*text);
        if (!skipped && escaped)
            text_buffer_add(buffer, escaped);
        else if (!skipped && size)
            text_buffer_append(buffer, text, size);
        else if (!skipped)
            text_buffer_add(buffer, REPLACEMENT);
        text += skipped ? skipped : size ? size : 1;
    }
}
