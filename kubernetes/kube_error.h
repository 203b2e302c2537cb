/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a Kubernetes API server can answer instead of what was asked for.
 */

#include "base/error.h"

extern const struct error_domain kube_error_domain;
enum kube_error {
    KUBE_NOT_FOUND = 1,
    KUBE_CONFLICT,     /**< somebody else changed it, or owns a field */
    KUBE_EXISTS,       /**< to be created, but there already */
    KUBE_FORBIDDEN,    /**< the detail has the server's own message */
    KUBE_UNAUTHORIZED, /**< it does not know us */
    KUBE_INVALID,      /**< refused: the object does not validate; the detail names the field */
    KUBE_GONE,         /**< 410: the resource version is too old; list again */
    KUBE_THROTTLED,    /**< 429 */
    KUBE_UNAVAILABLE,  /**< cannot be reached, broke off, or 5xx: may be tried again */
    KUBE_REFUSED,      /**< any other status */
    KUBE_CONFIG,       /**< kubeconfig or service account unusable */
    KUBE_UNTRUSTED,    /**< the server's certificate is not what the configuration trusts */
};
