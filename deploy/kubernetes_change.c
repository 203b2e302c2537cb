/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/kubernetes_change.h"

#include <string.h>

#include "base/json.h"

#define LINES_MAX 12
#define VALUE_MAX 60

/** One comparison. */
struct comparison {
    struct text_list *changes; /**< may be NULL */
    size_t found;
    bool secret;
};

/** Fields of metadata that the server keeps for itself. */
static bool is_the_servers(const char *path, const char *key)
{
    static const char *const keys[] = {"managedFields", "resourceVersion", "generation", "creationTimestamp",
                                       "uid",           "selfLink",        NULL};

    if (path[0] == '\0')
        return strcmp(key, "status") == 0;
    for (size_t i = 0; strcmp(path, "metadata") == 0 && keys[i]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/** A value short enough for a line. Caller frees. */
static char *short_value(const struct comparison *comparison, const char *path, const cJSON *value)
{
    if (!value)
        return text_copy("(none)");
    if (comparison->secret && text_starts_with(path, "data"))
        return text_copy("(secret)");
    cleanup_free char *text = json_print(value);
    return strlen(text) <= VALUE_MAX ? TAKE_PTR(text) : text_format("%.*s…", VALUE_MAX, text);
}

static void tell(struct comparison *comparison, const char *path, const cJSON *before, const cJSON *after)
{
    comparison->found++;
    if (!comparison->changes || comparison->found > LINES_MAX)
        return;
    if (comparison->found == LINES_MAX) {
        text_list_add(comparison->changes, "…");
        return;
    }
    cleanup_free char *from = short_value(comparison, path, before);
    cleanup_free char *to = short_value(comparison, path, after);
    text_list_format(comparison->changes, "%s: %s -> %s", path, from, to);
}

static void compare(struct comparison *comparison, const char *path, const cJSON *before, const cJSON *after);

/** One after the other: what was there, then what is new. */
static void compare_members(struct comparison *comparison, const char *path, const cJSON *before, const cJSON *after)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, before) {
        cleanup_free char *below = text_format("%s%s%s", path, path[0] ? "." : "", member->string);
        if (!is_the_servers(path, member->string))
            compare(comparison, below, member, cJSON_GetObjectItemCaseSensitive(after, member->string));
    }
    cJSON_ArrayForEach(member, after) {
        cleanup_free char *below = text_format("%s%s%s", path, path[0] ? "." : "", member->string);
        if (!is_the_servers(path, member->string) && !cJSON_GetObjectItemCaseSensitive(before, member->string))
            compare(comparison, below, NULL, member);
    }
}

static void compare_elements(struct comparison *comparison, const char *path, const cJSON *before, const cJSON *after)
{
    const cJSON *one = before->child;
    const cJSON *other = after->child;

    for (size_t i = 0; one || other; i++) {
        cleanup_free char *below = text_format("%s[%zu]", path, i);
        compare(comparison, below, one, other);
        one = one ? one->next : NULL;
        other = other ? other->next : NULL;
    }
}

static void compare(struct comparison *comparison, const char *path, const cJSON *before, const cJSON *after)
{
    if (before && after && cJSON_IsObject(before) && cJSON_IsObject(after)) {
        compare_members(comparison, path, before, after);
    } else if (before && after && cJSON_IsArray(before) && cJSON_IsArray(after)) {
        compare_elements(comparison, path, before, after);
    } else if (!before || !after || !cJSON_Compare(before, after, true)) {
        tell(comparison, path, before, after);
    }
}

bool kubernetes_change(const cJSON *before, const cJSON *after, struct text_list *changes)
{
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(after, "kind");
    struct comparison comparison = {.changes = changes,
                                    .secret = cJSON_IsString(kind) && strcmp(kind->valuestring, "Secret") == 0};

    if (!before)
        return true;
    compare(&comparison, "", before, after);
    return comparison.found > 0;
}
