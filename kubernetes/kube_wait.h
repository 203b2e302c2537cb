/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * kube_wait for conditions that look at more than the object itself.
 */

#include "kubernetes/kube_watch.h"

/**
 * kube_wait, where the condition is asked again when `wake_fd` (an eventfd; 0: none) becomes readable, too. The condition
 * drains it.
 */
MUST_CHECK int kube_wait_woken(struct kube_client *client, const struct kube_resource *resource,
                               const char *namespace_name, const char *name, kube_condition satisfied, void *context,
                               int wake_fd, struct deadline deadline, struct error *err);
