/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "harness/report_model.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the UTF-8 sequence at `text` if XML 1.0 may hold its character (section 2.2), else 0. */
static size_t valid_sequence(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead, size;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0x20}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

    if (*text == '\n' || *text == '\t' || *text == '\r')
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if ((*text & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t point = *text & (unsigned char)~forms[i].mask;
        for (size_t j = 1; j < forms[i].size; j++) {
            if ((text[j] & 0xc0) != 0x80) /* also the terminator */
                return 0;
            point = point << 6 | (text[j] & 0x3f);
        }
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        bool usable = point >= forms[i].least && point <= 0x10ffff && !surrogate && (point & 0xfffe) != 0xfffe;
        return usable && point != 0x7f ? forms[i].size : 0;
    }
    return 0;
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
        size_t size = valid_sequence((const unsigned char *)text);
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
