/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the codecs of this room share. Not for use outside contracts/.
 *
 * A decoder takes a value apart with base/json, whose errors say where, and turns them into wire errors once, at its
 * outer edge. An encoder builds the value, then reads it back with the decoder: what this build writes is, by
 * construction, what it accepts, and the canonical form is decided in one place, the decoder.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "contracts/names.h"

/** Largest whole number on the wire: up to here every JSON reader holds each one exactly. */
#define WIRE_INTEGER_MAX ((INT64_C(1) << 53) - 1)

/** Parse a value of at most `max` bytes whose root is an object. Errors: WIRE_TOO_LARGE, json (see codec_error). */
MUST_CHECK int codec_parse(const char *data, size_t size, size_t max, cJSON **ret, struct error *err);

/**
 * Make the set *err, which base/json or codec_refuse() set, the wire error a decoder returns: JSON_TOO_LONG becomes
 * WIRE_TOO_LARGE, every other json error WIRE_MALFORMED, wire errors stay. The detail begins with the place:
 * "$.data.services[0].image: is missing".
 */
void codec_make_wire_error(struct error *err, const char *operation);

/** The same as the end of a function. Inline: the static analyser must see that it never returns 0. */
static inline int codec_error(struct error *err, const char *operation)
{
    codec_make_wire_error(err, operation);
    return -1;
}

/** Refuse what stands at `path` for a reason that json_refuse() has no code or cursor for. Returns -1. */
int codec_refuse(struct error *err, enum wire_error code, const char *path, const char *detail_format, ...)
    PRINTF_LIKE(4, 5);

/** Refuse the string at `cursor` unless it is a token. Errors: json/JSON_INVALID. */
MUST_CHECK int codec_token(const struct json_cursor *cursor, char **ret, struct error *err);
/** A string without control characters of `minimum`..`max` bytes. Caller frees *ret. Errors: json. */
MUST_CHECK int codec_plain(const struct json_cursor *cursor, size_t minimum, size_t max, char **ret, struct error *err);
/** An optional member that is a string of at most `max` bytes; *ret is untouched when it is absent. Errors: json. */
MUST_CHECK int codec_optional_text(const struct json_cursor *object, const char *key, size_t max, char **ret,
                                   struct error *err);
/** An optional member that is a whole number; `fallback` when it is absent. Errors: json. */
MUST_CHECK int codec_optional_integer(const struct json_cursor *object, const char *key, int64_t minimum,
                                      int64_t maximum, int64_t fallback, int64_t *ret, struct error *err);

/** Bytes of the longest prefix of text[0..size) that is at most `max` bytes and ends where a UTF-8 character ends. */
size_t utf8_prefix(const char *text, size_t size, size_t max);

/**
 * Text that came from elsewhere (a program's words, a file) made fit for the wire and for who reads it in a terminal:
 * bytes that are not UTF-8 become U+FFFD, control characters but line feed and tab "?", and what is over `max` bytes (at
 * least 3) is cut at a character, ending in "…". NULL stays NULL. Caller frees.
 */
char *utf8_clean(const char *text, size_t max);

/** At most 64 bytes of `text` for an error's detail: cleaned, control characters shown as '?'. Caller frees. */
char *text_excerpt(const char *text);
