/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <string.h>

#include "base/memory.h"

#define QUIET (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

DEFINE_CLEANUP(xmlDocPtr, xmlFreeDoc)
DEFINE_CLEANUP(xmlXPathContextPtr, xmlXPathFreeContext)
DEFINE_CLEANUP(xmlXPathObjectPtr, xmlXPathFreeObject)
DEFINE_CLEANUP(xmlBufferPtr, xmlBufferFree)

static const xmlChar *xml_string(const char *text)
{
    return (const xmlChar *)text;
}

static int parse(const char *document, xmlDocPtr *ret, struct error *err)
{
    xmlDocPtr parsed = xmlReadMemory(document, (int)strlen(document), NULL, NULL, QUIET);

    if (!parsed)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "parsing", "XML", "it is not well-formed");
    *ret = parsed;
    return 0;
}

static int evaluate(xmlXPathContextPtr context, const char *expression, xmlXPathObjectPtr *ret, struct error *err)
{
    xmlXPathObjectPtr found = xmlXPathEvalExpression(xml_string(expression), context);

    if (!found)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "evaluating XPath", expression,
                         "it is no expression");
    *ret = found;
    return 0;
}

int xml_text(const char *document, const char *expression, char **ret, struct error *err)
{
    CLEANUP(xmlFreeDoc) xmlDocPtr parsed = NULL;
    CLEANUP(xmlXPathFreeObject) xmlXPathObjectPtr found = NULL;

    if (parse(document, &parsed, err) < 0)
        return -1;
    CLEANUP(xmlXPathFreeContext) xmlXPathContextPtr context = memory_checked(xmlXPathNewContext(parsed));
    if (evaluate(context, expression, &found, err) < 0)
        return -1;
    *ret = text_copy(found->type == XPATH_STRING ? (const char *)found->stringval : "");
    return 0;
}

static xmlNodePtr child_named(xmlNodePtr parent, const char *name)
{
    for (xmlNodePtr child = parent->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && text_equal((const char *)child->name, name))
            return child;
    }
    return memory_checked(xmlNewChild(parent, NULL, xml_string(name), NULL));
}

int xml_with_attribute(const char *document, const char *expression, const char *child, const char *attribute,
                       const char *value, char **ret, struct error *err)
{
    CLEANUP(xmlFreeDoc) xmlDocPtr parsed = NULL;
    CLEANUP(xmlXPathFreeObject) xmlXPathObjectPtr found = NULL;

    if (parse(document, &parsed, err) < 0)
        return -1;
    CLEANUP(xmlXPathFreeContext) xmlXPathContextPtr context = memory_checked(xmlXPathNewContext(parsed));
    if (evaluate(context, expression, &found, err) < 0)
        return -1;
    if (found->type != XPATH_NODESET || !found->nodesetval || found->nodesetval->nodeNr < 1)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for", expression,
                         "the document has none");
    xmlNodePtr node = found->nodesetval->nodeTab[0];
    xmlSetProp(child_named(node, child), xml_string(attribute), xml_string(value));
    CLEANUP(xmlBufferFree) xmlBufferPtr buffer = memory_checked(xmlBufferCreate());
    if (xmlNodeDump(buffer, parsed, node, 0, 0) < 0)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "printing", expression, "libxml2 refused");
    *ret = text_copy((const char *)xmlBufferContent(buffer));
    return 0;
}

void xml_add_escaped(struct text_buffer *buffer, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            text_buffer_add(buffer, "&amp;");
            break;
        case '<':
            text_buffer_add(buffer, "&lt;");
            break;
        case '>':
            text_buffer_add(buffer, "&gt;");
            break;
        case '\'':
            text_buffer_add(buffer, "&apos;");
            break;
        default:
            text_buffer_append(buffer, text, 1);
        }
    }
}
