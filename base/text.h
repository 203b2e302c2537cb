/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/** printf into a new string. Never NULL; caller frees. */
char *text_format(const char *format, ...) PRINTF_LIKE(1, 2);
char *text_format_v(const char *format, va_list arguments) PRINTF_LIKE(1, 0);
/** Copy of `text`, or NULL for NULL. Caller frees. */
char *text_copy(const char *text);
/** Copy of the first `size` bytes of `text`, terminated. Caller frees. */
char *text_copy_n(const char *text, size_t size);
/** strcmp()==0 where NULL equals only NULL. */
bool text_equal(const char *a, const char *b);
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
/** Bytes of the well-formed UTF-8 character (RFC 3629) at `data`, 1 to 4; 0 when there is none within `size` bytes. */
size_t text_utf8_character(const char *data, size_t size);
/** True if all `size` bytes are well-formed UTF-8. */
bool text_is_utf8(const char *data, size_t size);
/** U+FFFF: well-formed, but it stands for no character and never will (Unicode 23.7). */
#define TEXT_NO_CHARACTER "\xef\xbf\xbf"
/** The same bytes with U+FFFF, and each that is not part of well-formed UTF-8, replaced by U+FFFD. Never NULL; caller
 *  frees. */
char *text_to_utf8(const char *data, size_t size);
/** True when `text` has a byte below 0x20 or 0x7f. */
bool text_has_control(const char *text);
/** Fill `buffer` with `size - 1` random lower-case hex digits and a terminator (getrandom(2)). */
void text_random_hex(char *buffer, size_t size);

/** A growing string; zero-initialised is empty. `data` is always terminated once anything was appended. */
struct text_buffer {
    char *data;
    size_t size; /**< bytes without the terminator */
    size_t capacity;
};
void text_buffer_append(struct text_buffer *buffer, const char *data, size_t size);
void text_buffer_add(struct text_buffer *buffer, const char *text);
void text_buffer_format(struct text_buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/** Append with `"` and `\` escaped as in C, and control characters and bytes that are not UTF-8 as \n, \t, \r or \xNN. */
void text_buffer_escape(struct text_buffer *buffer, const char *data, size_t size);
/** Append in double quotes, `"` and `\` escaped: a string of TOML and of nats-server's language, if without controls. */
void text_buffer_quote(struct text_buffer *buffer, const char *text);
/** The text ("" when empty), borrowed until the next append. */
const char *text_buffer_text(const struct text_buffer *buffer);
/** Move the text out ("" when empty); the buffer becomes empty. Caller frees. */
char *text_buffer_take(struct text_buffer *buffer);
void text_buffer_clear(struct text_buffer *buffer);
static inline void text_buffer_clear_at_exit(struct text_buffer *buffer)
{
    text_buffer_clear(buffer);
}
#define cleanup_text_buffer __attribute__((cleanup(text_buffer_clear_at_exit)))

/** A NULL-terminated, growing list of owned strings; zero-initialised is empty (items == NULL). */
struct text_list {
    char **items; /**< NULL-terminated once anything was added: usable as an argv */
    size_t count;
};
void text_list_add(struct text_list *list, const char *text);
void text_list_format(struct text_list *list, const char *format, ...) PRINTF_LIKE(2, 3);
/** Append a string the list then owns. */
void text_list_take(struct text_list *list, char *text);
bool text_list_contains(const struct text_list *list, const char *text);
/** The items with `separator` between them. Never NULL; caller frees. */
char *text_list_join(const struct text_list *list, const char *separator);
void text_list_clear(struct text_list *list);
static inline void text_list_clear_at_exit(struct text_list *list)
{
    text_list_clear(list);
}
#define cleanup_text_list __attribute__((cleanup(text_list_clear_at_exit)))
