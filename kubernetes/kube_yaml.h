/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * YAML as the JSON it stands for, so that one set of readers and errors (base/json.h) serves both.
 */

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/error.h"

/**
 * Read one document of YAML 1.1, as kubectl does. Every scalar becomes a string, but null, ~ and nothing become null: who wants a number
 * or a boolean knows it. Aliases are followed; depth and the number of nodes are bounded.
 * Errors: GENERAL_INVALID with line and column. *ret is freed by cJSON_Delete.
 */
MUST_CHECK int kube_yaml_parse(const char *yaml, size_t size, cJSON **ret, struct error *err);
