/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading JSON with errors that say where. A cursor is a value together with the way to it; cursors live on the
 * caller's stack and point at their parents, so the path ("$.data.services[2].image") is only rendered for an error.
 *
 *   struct json_cursor root = json_root(document);
 *   struct json_cursor image;
 *   if (json_member(&root, "image", &image, err) < 0 || json_string(&image, IMAGE_MAX, &score->image, err) < 0)
 *       return -1;
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

extern const struct error_domain json_error_domain;
enum json_error {
    JSON_SYNTAX = 1, /**< not JSON; the detail has line and column */
    JSON_MISSING,    /**< a required member is not there */
    JSON_WRONG_TYPE,
    JSON_TOO_LONG,     /**< a string, array or object over its limit */
    JSON_OUT_OF_RANGE, /**< a number outside its limits or not whole */
    JSON_INVALID,      /**< right type, unusable value; callers use it through json_refuse */
};

DEFINE_CLEANUP(cJSON *, cJSON_Delete)

/** Nesting deeper than this is refused before parsing. */
#define JSON_DEPTH_MAX 64

/** Parse `size` bytes (one value, nothing after it but white space, no NUL inside). *ret is freed by cJSON_Delete. */
MUST_CHECK int json_parse(const char *data, size_t size, cJSON **ret, struct error *err);
/** Containers nested deeper than this are not read by json_parse_tolerant. */
#define JSON_DEPTH_TOLERATED 500

/**
 * Like json_parse, for documents of which one unreadable part must not take the rest along. A NUL in a string becomes
 * U+FFFF, which is no character and which json_string refuses, so that the reader names the place; a container nested
 * deeper than JSON_DEPTH_TOLERATED becomes an empty string. Errors: JSON_SYNTAX.
 */
MUST_CHECK int json_parse_tolerant(const char *data, size_t size, cJSON **ret, struct error *err);
/** The document without white space. Never NULL; caller frees. */
char *json_print(const cJSON *document);

struct json_cursor {
    const cJSON *value;               /**< NULL: an optional member that is not there */
    const struct json_cursor *parent; /**< NULL at the root; must outlive this cursor */
    const char *key;                  /**< name in the parent object, or NULL */
    int index;                        /**< place in the parent array when key is NULL */
};

/** The cursor to begin with; the document must outlive it. */
struct json_cursor json_root(const cJSON *document);
/** Required member of an object. Errors: JSON_WRONG_TYPE (not an object), JSON_MISSING (also for null). */
MUST_CHECK int json_member(const struct json_cursor *object, const char *key, struct json_cursor *ret,
                           struct error *err);
/** Optional member: absent or null gives ret->value == NULL. Errors: JSON_WRONG_TYPE when `object` is not one. */
MUST_CHECK int json_optional(const struct json_cursor *object, const char *key, struct json_cursor *ret,
                             struct error *err);
static inline bool json_present(const struct json_cursor *cursor)
{
    return cursor->value != NULL;
}
/** Copy of a string of at most `max` bytes. Caller frees *ret. Errors: JSON_WRONG_TYPE, JSON_TOO_LONG, JSON_INVALID (it
 *  holds U+FFFF, which is no character, or, after json_parse_tolerant, a NUL). */
MUST_CHECK int json_string(const struct json_cursor *cursor, size_t max, char **ret, struct error *err);
/** Whole number within [minimum, maximum]; exact up to 2^53. */
MUST_CHECK int json_integer(const struct json_cursor *cursor, int64_t minimum, int64_t maximum, int64_t *ret,
                            struct error *err);
/** true or false. */
MUST_CHECK int json_boolean(const struct json_cursor *cursor, bool *ret, struct error *err);
/** Number of elements of an array of at most `max`. */
MUST_CHECK int json_array_size(const struct json_cursor *cursor, size_t max, size_t *ret, struct error *err);
/** Cursors over the elements of an array or the members of an object: first with *child zeroed, false at the end. */
bool json_next(const struct json_cursor *container, struct json_cursor *child);
/** Errors: JSON_WRONG_TYPE, JSON_TOO_LONG (more than `max` members). */
MUST_CHECK int json_object_size(const struct json_cursor *cursor, size_t max, size_t *ret, struct error *err);

/** Refuse the value at `cursor`: sets JSON_INVALID (or `code`) with the path. Returns -1. */
int json_refuse(const struct json_cursor *cursor, int code, struct error *err, const char *detail_format, ...)
    PRINTF_LIKE(4, 5);
/** "$.data.services[2].image"; caller frees. */
char *json_path(const struct json_cursor *cursor);

/* Documents of programs that are trusted to write them well: what is missing or of another type reads as nothing. */

/** A member's text, borrowed; `otherwise` (may be NULL) when it is not there or no text. */
const char *json_text_or(const cJSON *object, const char *key, const char *otherwise);
/** A member's number; 0 when it is not there or none. */
double json_number(const cJSON *object, const char *key);

/** Add a member to an object being built (key NULL: append to an array). NULL text adds nothing; bytes of the text that
 *  are not UTF-8, and U+FFFF, become U+FFFD: json_string reads whatever was added. */
void json_add_text(cJSON *object, const char *key, const char *text);
/** Printed exactly whatever its size (from 10^15 on as a raw item, which no cursor reads before it was parsed again). */
void json_add_integer(cJSON *object, const char *key, int64_t value);
void json_add_boolean(cJSON *object, const char *key, bool value);
/** New empty object/array put under `key` (or appended when `parent` is an array and key NULL); borrowed. */
cJSON *json_add_object(cJSON *parent, const char *key);
cJSON *json_add_array(cJSON *parent, const char *key);
