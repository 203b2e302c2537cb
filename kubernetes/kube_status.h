/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A server's "Status" object, as a typed error.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

#include <cjson/cJSON.h>
#include <stddef.h>

#include "kubernetes/kube_error.h"

/**
 * Set *err from an answer that is no success.
 * @param http_status  of the answer
 * @param body         a Status object, or whatever else the server or something before it wrote
 * @param operation    "creating Pod"; `subject` "namespace/name", may be NULL
 * Returns -1.
 */
int kube_status_refuse(int http_status, const char *body, size_t size, const char *operation, const char *subject,
                       struct error *err);

/** The same from a Status object that came as an event of a watch. Returns -1. */
int kube_status_refuse_object(const cJSON *status, const char *operation, const char *subject, struct error *err);
