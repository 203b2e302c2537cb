/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which objects a watch has told of: their names and versions, not the objects themselves.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>

struct kube_known;
/** Never NULL. */
struct kube_known *kube_known_new(void);
void kube_known_free(struct kube_known *known);

enum kube_known_change { KUBE_KNOWN_NEW, KUBE_KNOWN_CHANGED, KUBE_KNOWN_SAME };
/** The object exists: what is new about it. */
enum kube_known_change kube_known_put(struct kube_known *known, const cJSON *object);
/** The object is gone. Returns whether it was known. */
bool kube_known_remove(struct kube_known *known, const cJSON *object);

/** A list begins: what is not put from now on until kube_known_sweep is gone. */
void kube_known_begin(struct kube_known *known);
/** The list is complete: forget what it did not have, calling `gone` with {"metadata":{"name","namespace","uid"}} of
 *  each; borrowed. */
void kube_known_sweep(struct kube_known *known, void (*gone)(void *context, cJSON *stub), void *context);
