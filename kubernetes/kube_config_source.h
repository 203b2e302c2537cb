/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One configuration out of several kubeconfig files.
 */

#include <stddef.h>

#include "kubernetes/kube_config.h"

struct kube_config_source {
    const char *path;      /**< for errors; NULL: it is no file */
    const char *directory; /**< what relative paths in it are relative to */
    const char *yaml;
    size_t size;
};

/**
 * Read a context of `count` sources, at least one: of each thing that has a name the first counts. *ret is untouched on failure.
 * @param context  NULL: the first current-context
 * Errors: KUBE_CONFIG naming file and field.
 */
MUST_CHECK int kube_config_merge(const struct kube_config_source *sources, size_t count, const char *context,
                                 struct kube_config **ret, struct error *err);
