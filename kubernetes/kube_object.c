/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { KEY_MAX = 256 };

/* The first key of a path, and the path after it (NULL: it was the last). */
static const char *next_key(const char *path, char key[KEY_MAX])
{
    size_t size = strcspn(path, ".");

    if (size >= KEY_MAX) {
        fprintf(stderr, "path of a Kubernetes object: a key is too long: %s\n", path);
        abort(); /* paths are literals */
    }
    memcpy(key, path, size);
    key[size] = '\0';
    return path[size] ? path + size + 1 : NULL;
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to here a double holds every whole number */

const cJSON *kube_member(const cJSON *object, const char *path)
{
    char key[KEY_MAX];

    while (path && object) {
        path = next_key(path, key);
        object = cJSON_GetObjectItemCaseSensitive(object, key);
    }
    return object;
}

const char *kube_text(const cJSON *object, const char *path, const char *fallback)
{
    const char *text = cJSON_GetStringValue(kube_member(object, path));

    return text ? text : fallback;
}

long kube_number(const cJSON *object, const char *path, long fallback)
{
    const cJSON *number = kube_member(object, path);
    bool fits = cJSON_IsNumber(number) && number->valuedouble >= -WHOLE_MAX && number->valuedouble <= WHOLE_MAX;

    return fits ? (long)number->valuedouble : fallback; /* a double outside a long's range may not be converted */
}

const char *kube_name(const cJSON *object)
{
    return kube_text(object, "metadata.name", "");
}

const char *kube_namespace(const cJSON *object)
{
    return kube_text(object, "metadata.namespace", "");
}

const char *kube_resource_version(const cJSON *object)
{
    return kube_text(object, "metadata.resourceVersion", "");
}

const char *kube_uid(const cJSON *object)
{
    return kube_text(object, "metadata.uid", "");
}

long kube_generation(const cJSON *object)
{
    return kube_number(object, "metadata.generation", 0);
}

bool kube_is_deleting(const cJSON *object)
{
    return *kube_text(object, "metadata.deletionTimestamp", "") != '\0';
}

const char *kube_label(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(kube_member(object, "metadata.labels"), key));
}

const char *kube_annotation(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(kube_member(object, "metadata.annotations"), key));
}

cJSON *kube_object_new(const struct kube_resource *resource, const char *namespace_name, const char *name)
{
    cJSON *object = memory_checked(cJSON_CreateObject());

    json_add_text(object, "apiVersion", resource->api_version);
    json_add_text(object, "kind", resource->kind);
    cJSON *metadata = json_add_object(object, "metadata");
    json_add_text(metadata, "name", name);
    if (resource->namespaced)
        json_add_text(metadata, "namespace", namespace_name);
    return object;
}

cJSON *kube_ensure(cJSON *object, const char *path)
{
    char key[KEY_MAX];

    while (path) {
        path = next_key(path, key);
        cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
        object = member ? member : json_add_object(object, key);
    }
    return object;
}

void kube_set_label(cJSON *object, const char *key, const char *value)
{
    cJSON *labels = kube_ensure(object, "metadata.labels");

    cJSON_DeleteItemFromObjectCaseSensitive(labels, key);
    json_add_text(labels, key, value);
}

cJSON *kube_json(const char *json_format, ...)
{
    va_list arguments;
    cleanup_error struct error err = ERROR_INIT;
    cJSON *object = NULL;

    va_start(arguments, json_format);
    cleanup_free char *text = text_format_v(json_format, arguments);
    va_end(arguments);
    if (json_parse(text, strlen(text), &object, &err) < 0) {
        cleanup_free char *reason = error_text(&err);
        fprintf(stderr, "a manifest in the program is no JSON: %s: %s\n", reason, text);
        abort();
    }
    return object;
}
