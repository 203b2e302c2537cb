/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The little of XML that talking to libvirt takes. Documents come from libvirt or from this program; parsing reaches
 * for nothing outside them.
 */

#include "base/text.h"

#include "base/error.h"

/** What an XPath expression of type string says of a document ("" where nothing matches). Caller frees *ret. */
MUST_CHECK int xml_text(const char *document, const char *expression, char **ret, struct error *err);
/**
 * The first element that `expression` selects, as text, with its child element `child` (made if there is none) having
 * the attribute set. Caller frees *ret. Errors: GENERAL_NOT_FOUND.
 */
MUST_CHECK int xml_with_attribute(const char *document, const char *expression, const char *child,
                                  const char *attribute, const char *value, char **ret, struct error *err);
/** Append text as the content of an element or of an attribute in single quotes. */
void xml_add_escaped(struct text_buffer *buffer, const char *text);
