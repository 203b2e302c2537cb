/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "contracts/codec.h"

#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

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

static bool is_control(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f;
}

/** Also U+0080 to U+009F, which a terminal obeys as it does an escape sequence. */
static void hide_controls(char *text)
{
    char *to = text;

    for (const char *at = text; *at; at++) {
        bool two_bytes = *at == '\xc2' && (unsigned char)at[1] < 0xa0;
        *to = *at;
        if (two_bytes || (is_control(*at) && *at != '\n' && *at != '\t'))
            *to = '?';
        to++;
        at += two_bytes;
    }
    *to = '\0';
}

char *utf8_clean(const char *text, size_t max)
{
    if (!text)
        return NULL;
    /* strnlen: what is over the limit is not worth reading, but for the character that crosses it */
    char *clean = text_to_utf8(text, strnlen(text, max + UTF8_CHARACTER_MAX));
    size_t size = strlen(clean);
    if (size > max)
        memcpy(clean + utf8_prefix(clean, size, max - strlen(ELLIPSIS)), ELLIPSIS, sizeof(ELLIPSIS));
    hide_controls(clean);
    return clean;
}

char *text_excerpt(const char *text)
{
    char *shown = utf8_clean(text, EXCERPT_MAX);

    for (char *at = shown; *at; at++) {
        if (is_control(*at))
            *at = '?';
    }
    return shown;
}
