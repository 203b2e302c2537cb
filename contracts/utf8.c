/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "contracts/codec.h"

#define ELLIPSIS    "\xe2\x80\xa6" /* U+2026 */
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

#define UTF8_CHARACTER_MAX 4
#define EXCERPT_MAX        64

size_t utf8_prefix(const char *text, size_t size, size_t max)
{
    if (size <= max)
        return size;
    size = max;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

char *utf8_clean(const char *text, size_t max)
{
    struct text_buffer clean = {0};

    if (!text)
        return NULL;
    /* strnlen: what is over the limit is not worth reading; one byte more tells that there was something */
    size_t size = strnlen(text, max + 1);
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_character(text + i, strnlen(text + i, UTF8_CHARACTER_MAX));
        if (length)
            text_buffer_append(&clean, text + i, length);
        else
            text_buffer_add(&clean, REPLACEMENT);
        i += length ? length : 1;
    }
    if (clean.size > max) {
        clean.size = utf8_prefix(clean.data, clean.size, max - strlen(ELLIPSIS));
        text_buffer_add(&clean, ELLIPSIS);
    }
    return text_buffer_take(&clean);
}

bool text_has_control(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

char *text_excerpt(const char *text)
{
    char *shown = utf8_clean(text, EXCERPT_MAX);

    for (char *at = shown; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    return shown;
}
