/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading and building objects.
 */

#include "kubernetes/kube_client.h"

/** metadata.name, .namespace ("" when there is none), .resourceVersion, .uid; borrowed, never NULL. */
const char *kube_name(const cJSON *object);
const char *kube_namespace(const cJSON *object);
const char *kube_resource_version(const cJSON *object);
const char *kube_uid(const cJSON *object);
long kube_generation(const cJSON *object);
bool kube_is_deleting(const cJSON *object); /**< metadata.deletionTimestamp is set */
/** The value of a label or annotation; NULL when it is not there; borrowed. */
const char *kube_label(const cJSON *object, const char *key);
const char *kube_annotation(const cJSON *object, const char *key);
/** A member by path ("status.aggregate.succeeded"); NULL when it is not there; borrowed. */
const cJSON *kube_member(const cJSON *object, const char *path);
/** The string there, or `fallback`; borrowed. */
const char *kube_text(const cJSON *object, const char *path, const char *fallback);
/** The whole number there, or `fallback`. */
long kube_number(const cJSON *object, const char *path, long fallback);

/** {"apiVersion":…,"kind":…,"metadata":{"name":…,"namespace":…}}. Never NULL; freed by cJSON_Delete. */
cJSON *kube_object_new(const struct kube_resource *resource, const char *namespace_name, const char *name);
/** The object at a path of objects, made where missing; borrowed. */
cJSON *kube_ensure(cJSON *object, const char *path);
/** Set metadata.labels.<key>. */
void kube_set_label(cJSON *object, const char *key, const char *value);
/**
 * An object from a printf-like JSON text, for manifests in C: a text that is no JSON is a defect of
 * ours and aborts. Values put in by %s must have been escaped or be names. Freed by cJSON_Delete.
 */
cJSON *kube_json(const char *json_format, ...) PRINTF_LIKE(1, 2);
