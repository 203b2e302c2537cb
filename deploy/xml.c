/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <string.h>

#include "base/memory.h"

#define QUIET (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

DEFINE_CLEANUP(xmlBufferPtr, xmlBufferFree)

static const xmlChar *xml_string(const char *text)
{
    return (const xmlChar *)text;
}

/** A document and what an expression found in it. */
struct selection {
    xmlDocPtr document;
    xmlXPathContextPtr context;
    xmlXPathObjectPtr found;
};

static void selection_clear(const struct selection *selection)
{
    xmlXPathFreeObject(selection->found);
    xmlXPathFreeContext(selection->context);
    xmlFreeDoc(selection->document);
}
#define cleanup_selection __attribute__((cleanup(selection_clear)))

static int select_in(const char *document, const char *expression, struct selection *selection, struct error *err)
{
    selection->document = xmlReadMemory(document, (int)strlen(document), NULL, NULL, QUIET);
    if (!selection->document)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "parsing", "XML", "it is not well-formed");
    selection->context = memory_checked(xmlXPathNewContext(selection->document));
    selection->found = xmlXPathEvalExpression(xml_string(expression), selection->context);
    if (!selection->found)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "evaluating XPath", expression,
                         "it is no expression");
    return 0;
}

int xml_text(const char *document, const char *expression, char **ret, struct error *err)
{
    cleanup_selection struct selection selection = {0};

    if (select_in(document, expression, &selection, err) < 0)
        return -1;
    *ret = text_copy(selection.found->type == XPATH_STRING ? (const char *)selection.found->stringval : "");
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
    cleanup_selection struct selection selection = {0};

    if (select_in(document, expression, &selection, err) < 0)
        return -1;
    const xmlNodeSet *nodes = selection.found->type == XPATH_NODESET ? selection.found->nodesetval : NULL;
    if (!nodes || nodes->nodeNr < 1)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for", expression,
                         "the document has none");
    xmlNodePtr node = nodes->nodeTab[0];
    xmlSetProp(child_named(node, child), xml_string(attribute), xml_string(value));
    CLEANUP(xmlBufferFree) xmlBufferPtr buffer = memory_checked(xmlBufferCreate());
    if (xmlNodeDump(buffer, selection.document, node, 0, 0) < 0)
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
