/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text for people: column counting and aligned tables, shared by phases, the report and doctor.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/** Terminal columns of UTF-8 text: its code points (no wide or combining characters are used here). */
size_t text_columns(const char *text);
/** Append `text` and the spaces that fill `width` columns; longer text is appended whole. */
void text_pad_right(struct text_buffer *buffer, const char *text, size_t width);
void text_pad_left(struct text_buffer *buffer, const char *text, size_t width);
/**
 * Append `text` broken at spaces into lines of at most `width` columns; every line but the first starts with `indent`
 * spaces. A longer word gets a line of its own. No newline at the end.
 */
void text_wrap(struct text_buffer *buffer, const char *text, size_t width, size_t indent);
/** "0.034 s" from microseconds. Caller frees. */
char *text_seconds(long long microseconds);
/** True if stream `fd` is a terminal that colours are welcome on (not NO_COLOR, not TERM=dumb). */
bool text_wants_colour(int fd);
