/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    NODES_MAX = 100000, /* aliases can make much of little */
    COMPLAINT_MAX = 300,
};

DEFINE_CLEANUP(struct fy_document *, fy_document_destroy)
DEFINE_CLEANUP(struct fy_diag *, fy_diag_destroy)

struct conversion {
    int nodes;
    int depth;
};

static int refuse(struct error *err, const char *detail)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading YAML", NULL, "%s", detail);
}

static int convert(struct conversion *conversion, struct fy_node *node, cJSON **ret, struct error *err);

static int convert_scalar(struct fy_node *node, cJSON **ret, struct error *err)
{
    size_t size = 0;
    const char *text = fy_node_get_scalar(node, &size);
    enum fy_node_style style = fy_node_get_style(node);
    bool plain = style == FYNS_PLAIN || style == FYNS_ANY;

    if (!text)
        size = 0;
    if (plain && (size == 0 || (size == 1 && *text == '~') || (size == 4 && memcmp(text, "null", 4) == 0))) {
        *ret = memory_checked(cJSON_CreateNull());
        return 0;
    }
    if (size > 0 && (memchr(text, '\0', size) || !text_is_utf8(text, size)))
        return refuse(err, "a text is not UTF-8 without NUL");
    cleanup_free char *copy = text_copy_n(text ? text : "", size);
    *ret = memory_checked(cJSON_CreateString(copy));
    return 0;
}

static int convert_sequence(struct conversion *conversion, struct fy_node *node, cJSON *array, struct error *err)
{
    void *place = NULL;
    struct fy_node *item = NULL;

    while ((item = fy_node_sequence_iterate(node, &place))) {
        cJSON *value = NULL;
        if (convert(conversion, item, &value, err) < 0)
            return -1;
        cJSON_AddItemToArray(array, value);
    }
    return 0;
}

static int convert_mapping(struct conversion *conversion, struct fy_node *node, cJSON *object, struct error *err)
{
    void *place = NULL;
    struct fy_node_pair *pair = NULL;

    while ((pair = fy_node_mapping_iterate(node, &place))) {
        size_t size = 0;
        struct fy_node *key = fy_node_pair_key(pair);
        const char *text = key && fy_node_is_scalar(key) ? fy_node_get_scalar(key, &size) : NULL;
        cJSON *value = NULL;
        if (!text || memchr(text, '\0', size) || !text_is_utf8(text, size))
            return refuse(err, "a key is no text");
        if (convert(conversion, fy_node_pair_value(pair), &value, err) < 0)
            return -1;
        cleanup_free char *name = text_copy_n(text, size);
        cJSON_AddItemToObject(object, name, value);
    }
    return 0;
}

/* `node` is NULL for a value that is not there. */
static int convert(struct conversion *conversion, struct fy_node *node, cJSON **ret, struct error *err)
{
    if (node && fy_node_is_alias(node) && !(node = fy_node_resolve_alias(node)))
        return refuse(err, "an alias has no anchor");
    if (!node) {
        *ret = memory_checked(cJSON_CreateNull());
        return 0;
    }
    if (++conversion->nodes > NODES_MAX || conversion->depth >= JSON_DEPTH_MAX)
        return refuse(err, "it is too large or nested too deep");
    if (fy_node_is_scalar(node))
        return convert_scalar(node, ret, err);

    bool is_sequence = fy_node_is_sequence(node);
    CLEANUP(cJSON_Delete) cJSON *value = memory_checked(is_sequence ? cJSON_CreateArray() : cJSON_CreateObject());
    conversion->depth++;
    int result =
        is_sequence ? convert_sequence(conversion, node, value, err) : convert_mapping(conversion, node, value, err);
    conversion->depth--;
    if (result == 0)
        *ret = TAKE_PTR(value);
    return result;
}

/* libfyaml's words; the first of them say it all. */
static void on_complaint(struct fy_diag *diag, void *context, const char *data, size_t size)
{
    struct text_buffer *complaint = context;

    (void)diag;
    if (complaint->size < COMPLAINT_MAX)
        text_buffer_append(complaint, data, size < COMPLAINT_MAX ? size : COMPLAINT_MAX);
}

/* One line without controls. Caller frees. */
static char *tidy(const struct text_buffer *complaint)
{
    const char *text = text_buffer_text(complaint);
    char *line = text_to_utf8(text, strcspn(text, "\n"));

    for (char *place = line; *place; place++)
        if ((unsigned char)*place < ' ' || *place == 0x7f)
            *place = ' ';
    return line;
}

/* A line that begins with "%". libfyaml 0.7 never comes back from some that are not well-formed. */
static bool has_directive(const char *yaml, size_t size)
{
    static const char byte_order_mark[] = {'\xef', '\xbb', '\xbf'};
    bool is_marked = size >= sizeof(byte_order_mark) && memcmp(yaml, byte_order_mark, sizeof(byte_order_mark)) == 0;
    bool is_start = true;

    for (size_t i = is_marked ? sizeof(byte_order_mark) : 0; i < size; i++) {
        if (is_start && yaml[i] == '%')
            return true;
        is_start = yaml[i] == '\n' || yaml[i] == '\r';
    }
    return false;
}

int kube_yaml_parse(const char *yaml, size_t size, cJSON **ret, struct error *err)
{
    cleanup_text_buffer struct text_buffer complaint = {0};
    struct fy_diag_cfg diag_options = {
        .output_fn = on_complaint,
        .user = &complaint,
        .level = FYET_ERROR,
        .module_mask = ~0u,
        .show_position = true,
    };
    CLEANUP(fy_diag_destroy) struct fy_diag *diag = memory_checked(fy_diag_create(&diag_options));
    struct fy_parse_cfg options = {.flags = FYPCF_DEFAULT_PARSE | FYPCF_JSON_NONE, .diag = diag};

    if (memchr(yaml, '\0', size))
        return refuse(err, "there is a NUL in it");
    if (has_directive(yaml, size))
        return refuse(err, "a line begins with \"%\": directives are not supported");
    CLEANUP(fy_document_destroy)
    struct fy_document *document = size > 0 ? fy_document_build_from_string(&options, yaml, size) : NULL;
    if (!document) {
        cleanup_free char *detail = tidy(&complaint);
        return refuse(err, *detail ? detail : "it is empty");
    }
    struct conversion conversion = {0};
    return convert(&conversion, fy_document_root(document), ret, err);
}
