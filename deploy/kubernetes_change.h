/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What differs between two states of a Kubernetes object, short enough to be read by a person.
 */

#include <cjson/cJSON.h>

#include "base/text.h"

/**
 * Compare an object before and after applying it. What the server writes into every object (versions, times, managers)
 * and status do not count.
 * @param before   NULL: there was none, and no line says so
 * @param changes  a line for each field that differs is appended, "spec.replicas: 1 -> 3"; values of Secrets are not
 *                 shown; at most 12 lines. May be NULL.
 * @return whether anything differs
 */
bool kubernetes_change(const cJSON *before, const cJSON *after, struct text_list *changes);
