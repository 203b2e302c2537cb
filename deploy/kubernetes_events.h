/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What Kubernetes says of objects beside their status: a Pod that may not be made (quota, admission), finds no node or no
 * volume is told of by events only.
 */

#include "deploy/kubernetes_apply.h"

/**
 * The newest warning about an object, or one made for it ("nats-0" for "nats").
 * @return "2026-11-28T07:30:00Z StatefulSet nats: FailedCreate: …"; NULL: there is none, or it cannot be read (events are
 *         read for a message, which does without them). Caller frees.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
char *kubernetes_newest_warning(const struct kubernetes_apply *apply, const char *name);
