/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/codec.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

int codec_parse(const char *data, size_t size, size_t max, cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (size > max)
        return codec_refuse(err, WIRE_TOO_LARGE, "$", "has %zu bytes, at most %zu are allowed", size, max);
    if (json_parse(data, size, &document, err) < 0)
        return -1;
    struct json_cursor root = json_root(document);
    if (!cJSON_IsObject(document))
        return json_refuse(&root, JSON_WRONG_TYPE, err, "must be an object");
    *ret = TAKE_PTR(document);
    return 0;
}

static enum wire_error wire_code(const struct error *err)
{
    if (err->domain == &wire_error_domain)
        return (enum wire_error)err->code;
    return error_is(err, &json_error_domain, JSON_TOO_LONG) ? WIRE_TOO_LARGE : WIRE_MALFORMED;
}

void codec_make_wire_error(struct error *err, const char *operation)
{
    cleanup_error struct error refused = ERROR_INIT;

    error_move(&refused, err);
    const char *path = refused.subject ? refused.subject : "";
    error_set(err, &wire_error_domain, wire_code(&refused), operation, NULL, "%s%s%s", path, *path ? ": " : "",
              error_root_detail(&refused));
}

int codec_refuse(struct error *err, enum wire_error code, const char *path, const char *detail_format, ...)
{
    va_list arguments;

    va_start(arguments, detail_format);
    cleanup_free char *detail = text_format_v(detail_format, arguments);
    va_end(arguments);
    return error_set(err, &wire_error_domain, code, "reading", path, "%s", detail);
}

int codec_token(const struct json_cursor *cursor, char **ret, struct error *err)
{
    cleanup_free char *text = NULL;

    if (json_string(cursor, TOKEN_MAX, &text, err) < 0)
        return -1;
    if (!token_is_valid(text)) {
        cleanup_free char *shown = text_excerpt(text);
        return json_refuse(cursor, JSON_INVALID, err,
                           "\"%s\" is not 1 to %d of the characters A-Z, a-z, 0-9, '_' and '-'", shown, TOKEN_MAX);
    }
    *ret = TAKE_PTR(text);
    return 0;
}

int codec_plain(const struct json_cursor *cursor, size_t minimum, size_t max, char **ret, struct error *err)
{
    cleanup_free char *text = NULL;

    if (json_string(cursor, max, &text, err) < 0)
        return -1;
    if (strlen(text) < minimum)
        return json_refuse(cursor, JSON_INVALID, err, "must not be empty");
    if (text_has_control(text))
        return json_refuse(cursor, JSON_INVALID, err, "has a control character");
    *ret = TAKE_PTR(text);
    return 0;
}

int codec_optional_text(const struct json_cursor *object, const char *key, size_t max, char **ret, struct error *err)
{
    struct json_cursor member;

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    return json_present(&member) ? json_string(&member, max, ret, err) : 0;
}

int codec_optional_integer(const struct json_cursor *object, const char *key, int64_t minimum, int64_t maximum,
                           int64_t fallback, int64_t *ret, struct error *err)
{
    struct json_cursor member;

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    *ret = fallback;
    return json_present(&member) ? json_integer(&member, minimum, maximum, ret, err) : 0;
}
