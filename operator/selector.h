/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which devices a Deployment is for: a label selector over the labels a device's owner gave it.
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */

#include <stdbool.h>

#include "base/json.h"
#include "contracts/device.h"

#define SELECTOR_REQUIREMENTS_MAX 64  /* of matchLabels, and of matchExpressions */
#define SELECTOR_VALUES_MAX       256 /* of one expression */

struct selector;
/**
 * Read {"matchLabels":{…},"matchExpressions":[{"key","operator","values"}]}. One that is not there matches nothing, an
 * empty one every device. Errors: json, with the path of the field.
 */
MUST_CHECK int selector_parse(const struct json_cursor *cursor, struct selector **ret, struct error *err);
/** True if all it requires holds of these labels, sorted by key. NotIn and DoesNotExist hold where the key is missing. */
bool selector_matches(const struct selector *selector, const struct device_label *labels, size_t count);
/** True for one that is not there. */
bool selector_is_missing(const struct selector *selector);
/** NULL is fine. */
void selector_free(struct selector *selector);
DEFINE_CLEANUP(struct selector *, selector_free)
