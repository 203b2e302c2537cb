/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define KEY_MAX   316 /* a Kubernetes label's key: a prefix of 253 bytes, '/', 63 bytes */
#define VALUE_MAX 63

enum selector_operator { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS, SELECTOR_DOES_NOT_EXIST };

static const char *const operator_names[] = {
    [SELECTOR_IN] = "In",
    [SELECTOR_NOT_IN] = "NotIn",
    [SELECTOR_EXISTS] = "Exists",
    [SELECTOR_DOES_NOT_EXIST] = "DoesNotExist",
};

/** matchLabels are requirements too: In, with one value. */
struct requirement {
    char *key;
    enum selector_operator relation;
    struct text_list values;
};

struct selector {
    bool nothing; /* there is no selector: no device is meant */
    struct requirement *requirements;
    size_t count;
};

static bool takes_values(enum selector_operator relation)
{
    return relation == SELECTOR_IN || relation == SELECTOR_NOT_IN;
}

/** What can be the key of a device's label. */
static int check_key(const struct json_cursor *cursor, const char *key, struct error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";
    size_t size = strlen(key);

    if (size == 0 || size > KEY_MAX || strspn(key, letters) != size)
        return json_refuse(cursor, JSON_INVALID, err, "a key has 1 to %d of A-Z, a-z, 0-9, '.', '_', '/' and '-'",
                           KEY_MAX);
    return 0;
}

static int parse_label(const struct json_cursor *cursor, struct requirement *ret, struct error *err)
{
    cleanup_free char *value = NULL;

    if (check_key(cursor, cursor->key, err) < 0 || json_string(cursor, VALUE_MAX, &value, err) < 0)
        return -1;
    ret->key = text_copy(cursor->key);
    text_list_take(&ret->values, TAKE_PTR(value));
    return 0;
}

static int parse_operator(const struct json_cursor *expression, enum selector_operator *ret, struct error *err)
{
    struct json_cursor cursor;
    cleanup_free char *name = NULL;

    if (json_member(expression, "operator", &cursor, err) < 0 || json_string(&cursor, VALUE_MAX, &name, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(operator_names); i++) {
        if (strcmp(name, operator_names[i]) == 0) {
            *ret = (enum selector_operator)i;
            return 0;
        }
    }
    return json_refuse(&cursor, JSON_INVALID, err, "is none of In, NotIn, Exists, DoesNotExist");
}

static int parse_values(const struct json_cursor *expression, struct requirement *ret, struct error *err)
{
    struct json_cursor cursor;
    struct json_cursor child = {0};
    size_t count = 0;

    if (json_optional(expression, "values", &cursor, err) < 0)
        return -1;
    if (json_present(&cursor) && json_array_size(&cursor, SELECTOR_VALUES_MAX, &count, err) < 0)
        return -1;
    if (takes_values(ret->relation) && count == 0)
        return json_refuse(json_present(&cursor) ? &cursor : expression, JSON_INVALID, err, "%s needs values",
                           operator_names[ret->relation]);
    if (!takes_values(ret->relation) && count > 0)
        return json_refuse(&cursor, JSON_INVALID, err, "%s takes no values", operator_names[ret->relation]);
    while (count > 0 && json_next(&cursor, &child)) {
        cleanup_free char *value = NULL;

        if (json_string(&child, VALUE_MAX, &value, err) < 0)
            return -1;
        text_list_take(&ret->values, TAKE_PTR(value));
    }
    return 0;
}

static int parse_expression(const struct json_cursor *expression, struct requirement *ret, struct error *err)
{
    struct json_cursor cursor;

    if (json_member(expression, "key", &cursor, err) < 0 || json_string(&cursor, KEY_MAX, &ret->key, err) < 0)
        return -1;
    if (check_key(&cursor, ret->key, err) < 0)
        return -1;
    return parse_operator(expression, &ret->relation, err) < 0 ? -1 : parse_values(expression, ret, err);
}

typedef int (*requirement_parser)(const struct json_cursor *cursor, struct requirement *ret, struct error *err);

static int parse_all(const struct json_cursor *container, size_t count, requirement_parser parse,
                     struct selector *selector, struct error *err)
{
    struct json_cursor child = {0};

    selector->requirements =
        memory_resize(selector->requirements, selector->count + count + 1, sizeof(*selector->requirements));
    while (count > 0 && json_next(container, &child)) {
        struct requirement *next = &selector->requirements[selector->count++];

        *next = (struct requirement){0};
        if (parse(&child, next, err) < 0)
            return -1;
    }
    return 0;
}

int selector_parse(const struct json_cursor *cursor, struct selector **ret, struct error *err)
{
    CLEANUP(selector_free) struct selector *selector = NEW(struct selector);
    struct json_cursor labels;
    struct json_cursor expressions;
    size_t label_count = 0;
    size_t expression_count = 0;

    selector->nothing = !json_present(cursor);
    if (!selector->nothing) {
        if (json_optional(cursor, "matchLabels", &labels, err) < 0 ||
            json_optional(cursor, "matchExpressions", &expressions, err) < 0)
            return -1;
        if (json_present(&labels) && json_object_size(&labels, SELECTOR_REQUIREMENTS_MAX, &label_count, err) < 0)
            return -1;
        if (json_present(&expressions) &&
            json_array_size(&expressions, SELECTOR_REQUIREMENTS_MAX, &expression_count, err) < 0)
            return -1;
        if (parse_all(&labels, label_count, parse_label, selector, err) < 0 ||
            parse_all(&expressions, expression_count, parse_expression, selector, err) < 0)
            return -1;
    }
    *ret = TAKE_PTR(selector);
    return 0;
}

static const char *find_label(const struct device_label *labels, size_t count, const char *key)
{
    size_t low = 0;

    while (low < count) {
        size_t middle = low + (count - low) / 2;
        int order = strcmp(labels[middle].key, key);

        if (order == 0)
            return labels[middle].value;
        if (order < 0)
            low = middle + 1;
        else
            count = middle;
    }
    return NULL;
}

static bool holds(const struct requirement *requirement, const char *value)
{
    switch (requirement->relation) {
    case SELECTOR_IN:
        return value && text_list_contains(&requirement->values, value);
    case SELECTOR_NOT_IN:
        return !value || !text_list_contains(&requirement->values, value);
    case SELECTOR_EXISTS:
        return value != NULL;
    case SELECTOR_DOES_NOT_EXIST:
        return value == NULL;
    }
    return false;
}

bool selector_matches(const struct selector *selector, const struct device_label *labels, size_t count)
{
    if (selector->nothing)
        return false;
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];

        if (!holds(requirement, find_label(labels, count, requirement->key)))
            return false;
    }
    return true;
}

bool selector_is_missing(const struct selector *selector)
{
    return selector->nothing;
}

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    for (size_t i = 0; i < selector->count; i++) {
        free(selector->requirements[i].key);
        text_list_clear(&selector->requirements[i].values);
    }
    free(selector->requirements);
    free(selector);
}
