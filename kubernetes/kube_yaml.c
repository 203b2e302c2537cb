/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    NODES_MAX = 100000, /* aliases can make much of little */
    KEYS_MAX = 1000,    /* of one mapping: each is compared with the others */
};

struct conversion {
    yaml_document_t *document;
    int nodes;
    int depth;
};

#define cleanup_document __attribute__((cleanup(yaml_document_delete)))
#define cleanup_parser   __attribute__((cleanup(yaml_parser_delete)))

static int refuse(struct error *err, const char *detail)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading YAML", NULL, "%s", detail);
}

static int convert(struct conversion *conversion, int index, cJSON **ret, struct error *err);

/* The text of a scalar, NULL: it has a NUL in it (written as an escape). */
static const char *scalar_text(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;

    return strlen(text) == node->data.scalar.length ? text : NULL;
}

static bool is_null(const yaml_node_t *node, const char *text)
{
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || text_equal(text, "~") || text_equal(text, "null"));
}

static int convert_scalar(const yaml_node_t *node, cJSON **ret, struct error *err)
{
    const char *text = scalar_text(node);

    if (!text || !text_is_utf8(text, strlen(text)))
        return refuse(err, "a text is not UTF-8 without NUL");
    *ret = memory_checked(is_null(node, text) ? cJSON_CreateNull() : cJSON_CreateString(text));
    return 0;
}

static int convert_sequence(struct conversion *conversion, const yaml_node_t *node, cJSON *array, struct error *err)
{
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        cJSON *value = NULL;
        if (convert(conversion, *item, &value, err) < 0)
            return -1;
        cJSON_AddItemToArray(array, value);
    }
    return 0;
}

static int convert_mapping(struct conversion *conversion, const yaml_node_t *node, cJSON *object, struct error *err)
{
    if (node->data.mapping.pairs.top - node->data.mapping.pairs.start > KEYS_MAX)
        return refuse(err, "a mapping is too large");
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(conversion->document, pair->key);
        const char *name = key->type == YAML_SCALAR_NODE ? scalar_text(key) : NULL;
        cJSON *value = NULL;
        if (!name || !text_is_utf8(name, strlen(name)))
            return refuse(err, "a key is no text");
        if (cJSON_GetObjectItemCaseSensitive(object, name))
            return error_set(err, &general_error_domain, GENERAL_INVALID, "reading YAML", NULL,
                             "%zu:%zu: the key \"%s\" is there twice", key->start_mark.line + 1,
                             key->start_mark.column + 1, name);
        if (convert(conversion, pair->value, &value, err) < 0)
            return -1;
        cJSON_AddItemToObject(object, name, value);
    }
    return 0;
}

/* An anchor may be inside of what it names: the depth ends that. */
static int convert(struct conversion *conversion, int index, cJSON **ret, struct error *err)
{
    const yaml_node_t *node = yaml_document_get_node(conversion->document, index);

    if (++conversion->nodes > NODES_MAX || conversion->depth >= JSON_DEPTH_MAX)
        return refuse(err, "it is too large or nested too deep");
    if (node->type == YAML_SCALAR_NODE)
        return convert_scalar(node, ret, err);

    bool is_sequence = node->type == YAML_SEQUENCE_NODE;
    CLEANUP(cJSON_Delete) cJSON *value = memory_checked(is_sequence ? cJSON_CreateArray() : cJSON_CreateObject());
    conversion->depth++;
    int result =
        is_sequence ? convert_sequence(conversion, node, value, err) : convert_mapping(conversion, node, value, err);
    conversion->depth--;
    if (result == 0)
        *ret = TAKE_PTR(value);
    return result;
}

/* What libyaml says of a text that is not well-formed, counted from 1 as editors do. */
static int refuse_syntax(const yaml_parser_t *parser, struct error *err)
{
    if (parser->error == YAML_MEMORY_ERROR)
        memory_checked(NULL);
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading YAML", NULL, "%zu:%zu: %s%s%s",
                     parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                     parser->context ? parser->context : "", parser->context ? ": " : "",
                     parser->problem ? parser->problem : "it is not well-formed");
}

/* Only one document is meant: another is not passed over in silence. */
static int check_end(yaml_parser_t *parser, struct error *err)
{
    cleanup_document yaml_document_t next = {0};

    if (!yaml_parser_load(parser, &next))
        return refuse_syntax(parser, err);
    return yaml_document_get_root_node(&next) ? refuse(err, "it has more than one document") : 0;
}

int kube_yaml_parse(const char *yaml, size_t size, cJSON **ret, struct error *err)
{
    cleanup_parser yaml_parser_t parser = {0};
    cleanup_document yaml_document_t document = {0};
    struct conversion conversion = {.document = &document};
    CLEANUP(cJSON_Delete) cJSON *value = NULL;

    if (memchr(yaml, '\0', size) || !text_is_utf8(yaml, size))
        return refuse(err, "it is not UTF-8 without NUL");
    if (!yaml_parser_initialize(&parser))
        memory_checked(NULL);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, size);
    if (!yaml_parser_load(&parser, &document))
        return refuse_syntax(&parser, err);
    if (!yaml_document_get_root_node(&document))
        return refuse(err, "it is empty");
    if (convert(&conversion, 1, &value, err) < 0 || check_end(&parser, err) < 0)
        return -1;
    *ret = TAKE_PTR(value);
    return 0;
}
