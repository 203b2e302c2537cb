/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <ctype.h>
#include <string.h>

#include "base/json_syntax.h"
#include "base/memory.h"
#include "base/text.h"

/* Below this magnitude every whole number is a double of its own. */
#define EXACT_LIMIT 9007199254740992.0 /* 2^53 */
/* cJSON prints whole numbers from here on with an exponent and 15 digits. */
#define PRINTED_EXACTLY INT64_C(1000000000000000)

enum {
    SHOWN_KEY_MAX = 64, /* a name from outside may be as long as the document */
};

static const char *json_code_name(int code)
{
    switch ((enum json_error)code) {
    case JSON_SYNTAX:
        return "syntax";
    case JSON_MISSING:
        return "missing";
    case JSON_WRONG_TYPE:
        return "wrong-type";
    case JSON_TOO_LONG:
        return "too-long";
    case JSON_OUT_OF_RANGE:
        return "out-of-range";
    case JSON_INVALID:
        return "invalid";
    }
    return "unknown";
}
const struct error_domain json_error_domain = {"json", json_code_name};

static int parse_checked(const char *data, size_t size, cJSON **ret, struct error *err)
{
    cJSON *document = cJSON_ParseWithLength(data, size);
    if (!document) /* never seen: what has passed so far is JSON; but outside bytes must not be able to end us */
        return error_set(err, &json_error_domain, JSON_SYNTAX, "parsing JSON", NULL, "refused by cJSON");
    *ret = document;
    return 0;
}

int json_parse(const char *data, size_t size, cJSON **ret, struct error *err)
{
    return json_check_syntax(data, size, err) < 0 ? -1 : parse_checked(data, size, ret, err);
}

int json_parse_tolerant(const char *data, size_t size, cJSON **ret, struct error *err)
{
    cleanup_error struct error refused = ERROR_INIT;

    if (json_parse(data, size, ret, &refused) == 0)
        return 0;
    cleanup_free char *repaired = text_copy_n(data, size);
    return json_repair_syntax(repaired, size, err) < 0 ? -1 : parse_checked(repaired, size, ret, err);
}

char *json_print(const cJSON *document)
{
    return memory_checked(cJSON_PrintUnformatted(document));
}

struct json_cursor json_root(const cJSON *document)
{
    return (struct json_cursor){.value = document};
}

static const char *type_name(const cJSON *value)
{
    if (!value)
        return "nothing";
    if (cJSON_IsObject(value))
        return "an object";
    if (cJSON_IsArray(value))
        return "an array";
    if (cJSON_IsString(value))
        return "a string";
    if (cJSON_IsNumber(value) || cJSON_IsRaw(value))
        return "a number";
    return cJSON_IsBool(value) ? "a boolean" : "null";
}

static int refuse_type(const struct json_cursor *cursor, const char *wanted, struct error *err)
{
    return json_refuse(cursor, JSON_WRONG_TYPE, err, "must be %s, is %s", wanted, type_name(cursor->value));
}

int json_optional(const struct json_cursor *object, const char *key, struct json_cursor *ret, struct error *err)
{
    if (!cJSON_IsObject(object->value))
        return refuse_type(object, "an object", err);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object->value, key);
    *ret = (struct json_cursor){
        .value = cJSON_IsNull(value) ? NULL : value,
        .parent = object,
        .key = key,
    };
    return 0;
}

int json_member(const struct json_cursor *object, const char *key, struct json_cursor *ret, struct error *err)
{
    struct json_cursor member = {0};

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    if (!json_present(&member))
        return json_refuse(&member, JSON_MISSING, err, "is missing");
    *ret = member;
    return 0;
}

int json_string(const struct json_cursor *cursor, size_t max, char **ret, struct error *err)
{
    if (!cJSON_IsString(cursor->value))
        return refuse_type(cursor, "a string", err);
    size_t size = strlen(cursor->value->valuestring);
    if (size > max)
        return json_refuse(cursor, JSON_TOO_LONG, err, "has %zu bytes, at most %zu are allowed", size, max);
    if (strstr(cursor->value->valuestring, TEXT_NO_CHARACTER))
        return json_refuse(cursor, JSON_INVALID, err, "holds a NUL, or U+FFFF, which is no character");
    *ret = text_copy_n(cursor->value->valuestring, size);
    return 0;
}

int json_integer(const struct json_cursor *cursor, int64_t minimum, int64_t maximum, int64_t *ret, struct error *err)
{
    if (!cJSON_IsNumber(cursor->value))
        return refuse_type(cursor, "a whole number", err);
    double number = cursor->value->valuedouble;
    bool exact = number > -EXACT_LIMIT && number < EXACT_LIMIT;
    if (!exact || (double)(int64_t)number != number || (int64_t)number < minimum || (int64_t)number > maximum)
        return json_refuse(cursor, JSON_OUT_OF_RANGE, err, "must be a whole number from %lld to %lld, is %.17g",
                           (long long)minimum, (long long)maximum, number);
    *ret = (int64_t)number;
    return 0;
}

int json_boolean(const struct json_cursor *cursor, bool *ret, struct error *err)
{
    if (!cJSON_IsBool(cursor->value))
        return refuse_type(cursor, "true or false", err);
    *ret = cJSON_IsTrue(cursor->value);
    return 0;
}

static int container_size(const struct json_cursor *cursor, size_t max, const char *elements, size_t *ret,
                          struct error *err)
{
    size_t count = 0;

    for (const cJSON *child = cursor->value->child; child; child = child->next)
        count++;
    if (count > max)
        return json_refuse(cursor, JSON_TOO_LONG, err, "has %zu %s, at most %zu are allowed", count, elements, max);
    *ret = count;
    return 0;
}

int json_array_size(const struct json_cursor *cursor, size_t max, size_t *ret, struct error *err)
{
    if (!cJSON_IsArray(cursor->value))
        return refuse_type(cursor, "an array", err);
    return container_size(cursor, max, "elements", ret, err);
}

int json_object_size(const struct json_cursor *cursor, size_t max, size_t *ret, struct error *err)
{
    if (!cJSON_IsObject(cursor->value))
        return refuse_type(cursor, "an object", err);
    return container_size(cursor, max, "members", ret, err);
}

bool json_next(const struct json_cursor *container, struct json_cursor *child)
{
    bool first = child->value == NULL;
    const cJSON *value = NULL;

    if (!first)
        value = child->value->next;
    else if (container->value)
        value = container->value->child;
    *child = (struct json_cursor){
        .value = value,
        .parent = container,
        .key = value ? value->string : NULL,
        .index = first ? 0 : child->index + 1,
    };
    if (!value)
        *child = (struct json_cursor){0};
    return value != NULL;
}

static bool is_simple_key(const char *key)
{
    size_t size = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return size > 0 && size <= SHOWN_KEY_MAX && key[size] == '\0' && !isdigit((unsigned char)*key);
}

/* A name that is not simple, quoted and cut to SHOWN_KEY_MAX bytes at the border of a character. */
static void add_quoted_key(struct text_buffer *path, const char *key)
{
    size_t size = strlen(key);
    size_t shown = 0;

    while (shown < size) {
        size_t length = text_utf8_character(key + shown, size - shown);
        length = length ? length : 1;
        if (shown + length > SHOWN_KEY_MAX)
            break;
        shown += length;
    }
    text_buffer_add(path, "[\"");
    text_buffer_escape(path, key, shown);
    text_buffer_add(path, shown < size ? "…\"]" : "\"]");
}

char *json_path(const struct json_cursor *cursor)
{
    /* A document is at most JSON_DEPTH_MAX deep, but callers may also build a longer way: then its end is shown. */
    const struct json_cursor *way[JSON_DEPTH_MAX + 1];
    size_t steps = 0;
    cleanup_text_buffer struct text_buffer path = {0};

    for (; cursor->parent && steps < ARRAY_SIZE(way); cursor = cursor->parent)
        way[steps++] = cursor;
    text_buffer_add(&path, cursor->parent ? "…" : "$");
    while (steps > 0) {
        const struct json_cursor *step = way[--steps];
        if (!step->key)
            text_buffer_format(&path, "[%d]", step->index);
        else if (is_simple_key(step->key))
            text_buffer_format(&path, ".%s", step->key);
        else
            add_quoted_key(&path, step->key);
    }
    return text_buffer_take(&path);
}

int json_refuse(const struct json_cursor *cursor, int code, struct error *err, const char *detail_format, ...)
{
    cleanup_free char *path = json_path(cursor);
    va_list arguments;

    va_start(arguments, detail_format);
    cleanup_free char *detail = text_format_v(detail_format, arguments);
    va_end(arguments);
    return error_set(err, &json_error_domain, code, "reading", path, "%s", detail);
}

static void add_item(cJSON *parent, const char *key, cJSON *item)
{
    memory_checked(item);
    cJSON_bool added = key ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item);
    memory_checked(added ? parent : NULL);
}

const char *json_text_or(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text ? text : otherwise;
}

double json_number(const cJSON *object, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

void json_add_text(cJSON *object, const char *key, const char *text)
{
    if (!text)
        return;
    cleanup_free char *clean = text_to_utf8(text, strlen(text)); /* words from outside may be anything, JSON must be */
    add_item(object, key, cJSON_CreateString(clean));
}

void json_add_integer(cJSON *object, const char *key, int64_t value)
{
    if (value > -PRINTED_EXACTLY && value < PRINTED_EXACTLY) {
        add_item(object, key, cJSON_CreateNumber((double)value));
        return;
    }
    cleanup_free char *digits = text_format("%lld", (long long)value);
    add_item(object, key, cJSON_CreateRaw(digits));
}

void json_add_boolean(cJSON *object, const char *key, bool value)
{
    add_item(object, key, cJSON_CreateBool(value));
}

cJSON *json_add_object(cJSON *parent, const char *key)
{
    cJSON *object = cJSON_CreateObject();

    add_item(parent, key, object);
    return object;
}

cJSON *json_add_array(cJSON *parent, const char *key)
{
    cJSON *array = cJSON_CreateArray();

    add_item(parent, key, array);
    return array;
}
