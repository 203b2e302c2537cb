/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/http.h"
#include "kubernetes/kube_transport.h"

static void add_segment(struct text_buffer *path, const char *segment)
{
    cleanup_free char *escaped = http_escape(segment);

    text_buffer_format(path, "/%s", escaped);
}

char *kube_path(const struct kube_resource *resource, const char *namespace_name, const char *name,
                const char *subresource)
{
    struct text_buffer path = {0};

    text_buffer_format(&path, "%s/%s", strchr(resource->api_version, '/') ? "/apis" : "/api", resource->api_version);
    if (resource->namespaced && namespace_name && *namespace_name) {
        text_buffer_add(&path, "/namespaces");
        add_segment(&path, namespace_name);
    }
    add_segment(&path, resource->plural);
    if (name)
        add_segment(&path, name);
    if (subresource)
        add_segment(&path, subresource);
    return text_buffer_take(&path);
}

char *kube_subject(const struct kube_resource *resource, const char *namespace_name, const char *name)
{
    if (!resource->namespaced || !namespace_name)
        return text_copy(name ? name : resource->plural);
    return text_format("%s/%s", namespace_name, name ? name : resource->plural);
}

void kube_query_add(struct text_buffer *path, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    cleanup_free char *escaped = http_escape(value);
    text_buffer_format(path, "%c%s=%s", strchr(text_buffer_text(path), '?') ? '&' : '?', key, escaped);
}
