/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

char *text_format(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *text = text_format_v(format, arguments);
    va_end(arguments);
    return text;
}

char *text_format_v(const char *format, va_list arguments)
{
    char *text = NULL;

    if (vasprintf(&text, format, arguments) < 0)
        memory_checked(NULL); /* the other failure, an encoding error, takes a broken format string */
    return text;
}

char *text_copy(const char *text)
{
    return text ? text_copy_n(text, strlen(text)) : NULL;
}

char *text_copy_n(const char *text, size_t size)
{
    char *copy = NEW_ARRAY(char, size + 1);

    if (size)
        memcpy(copy, text, size);
    return copy;
}

bool text_equal(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t text_size = strlen(text);
    size_t suffix_size = strlen(suffix);

    return text_size >= suffix_size && strcmp(text + text_size - suffix_size, suffix) == 0;
}

size_t text_utf8_character(const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;

    if (size == 0)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4) /* a continuation, an overlong form, or beyond U+10FFFF */
        return 0;
    size_t length = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    if (size < length)
        return 0;
    /* The second byte's range is narrower where it could make an overlong form, a surrogate or too large a value. */
    unsigned char lowest = bytes[0] == 0xe0 ? 0xa0 : bytes[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = bytes[0] == 0xed ? 0x9f : bytes[0] == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < lowest || bytes[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

bool text_is_utf8(const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = text_utf8_character(data + at, size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

char *text_to_utf8(const char *data, size_t size)
{
    struct text_buffer clean = {0};

    for (size_t at = 0; at < size;) {
        size_t length = text_utf8_character(data + at, size - at);
        bool is_character = length > 0 && !(length == 3 && memcmp(data + at, TEXT_NO_CHARACTER, length) == 0);
        if (is_character)
            text_buffer_append(&clean, data + at, length);
        else
            text_buffer_add(&clean, "\xef\xbf\xbd");
        at += length ? length : 1;
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

void text_random_hex(char *buffer, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i + 1 < size; i++) {
        unsigned char byte;
        if (getrandom(&byte, 1, 0) != 1)
            abort(); /* documented to never fail for so few bytes once the pool is ready */
        buffer[i] = digits[byte & 0x0f];
    }
    if (size)
        buffer[size - 1] = '\0';
}

void text_buffer_append(struct text_buffer *buffer, const char *data, size_t size)
{
    if (buffer->size + size + 1 > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 64;
        while (capacity < buffer->size + size + 1)
            capacity *= 2;
        buffer->data = memory_resize(buffer->data, capacity, 1);
        buffer->capacity = capacity;
    }
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void text_buffer_add(struct text_buffer *buffer, const char *text)
{
    text_buffer_append(buffer, text, strlen(text));
}

void text_buffer_format(struct text_buffer *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *text = text_format_v(format, arguments);
    va_end(arguments);
    text_buffer_add(buffer, text);
}

static void escape_byte(struct text_buffer *buffer, unsigned char byte)
{
    switch (byte) {
    case '"':
        text_buffer_append(buffer, "\\\"", 2);
        break;
    case '\\':
        text_buffer_append(buffer, "\\\\", 2);
        break;
    case '\n':
        text_buffer_append(buffer, "\\n", 2);
        break;
    case '\t':
        text_buffer_append(buffer, "\\t", 2);
        break;
    case '\r':
        text_buffer_append(buffer, "\\r", 2);
        break;
    default:
        text_buffer_format(buffer, "\\x%02x", byte);
    }
}

/* True if the character of `length` bytes can be shown as it is: no quote, no backslash, no control character (those of
 * U+0080 to U+009F move a terminal's cursor too). */
static bool is_plain(const unsigned char *bytes, size_t length)
{
    if (length == 1)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f && bytes[0] != '"' && bytes[0] != '\\';
    return length > 2 || (length == 2 && !(bytes[0] == 0xc2 && bytes[1] < 0xa0));
}

void text_buffer_escape(struct text_buffer *buffer, const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = text_utf8_character(data + at, size - at);
        if (is_plain((const unsigned char *)data + at, length)) {
            text_buffer_append(buffer, data + at, length);
            at += length;
        } else {
            escape_byte(buffer, (unsigned char)data[at++]);
        }
    }
}

void text_buffer_quote(struct text_buffer *buffer, const char *text)
{
    text_buffer_add(buffer, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            text_buffer_add(buffer, "\\");
        text_buffer_append(buffer, text, 1);
    }
    text_buffer_add(buffer, "\"");
}

const char *text_buffer_text(const struct text_buffer *buffer)
{
    return buffer->data ? buffer->data : "";
}

char *text_buffer_take(struct text_buffer *buffer)
{
    char *text = buffer->data ? TAKE_PTR(buffer->data) : text_copy("");

    *buffer = (struct text_buffer){0};
    return text;
}

void text_buffer_clear(struct text_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct text_buffer){0};
}

void text_list_add(struct text_list *list, const char *text)
{
    text_list_take(list, text_copy(text));
}

void text_list_format(struct text_list *list, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_list_take(list, text_format_v(format, arguments));
    va_end(arguments);
}

void text_list_take(struct text_list *list, char *text)
{
    list->items = memory_resize(list->items, list->count + 2, sizeof(*list->items));
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

bool text_list_contains(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_equal(list->items[i], text))
            return true;
    }
    return false;
}

char *text_list_join(const struct text_list *list, const char *separator)
{
    struct text_buffer joined = {0};

    for (size_t i = 0; i < list->count; i++)
        text_buffer_format(&joined, "%s%s", i ? separator : "", list->items[i]);
    return text_buffer_take(&joined);
}

void text_list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}
