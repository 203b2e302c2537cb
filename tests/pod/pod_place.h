/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A namespace of the test's own in the cluster, as a topology for scores: for tests of the scores themselves.
 */

#include "deploy/kubernetes_target.h"
#include "deploy/score.h"
#include "fixtures/cluster_guard.h"
#include "fixtures/pod_images.h"
#include "harness/test.h"

#define PLACE_STEP_MS 60000
#define PLACE_NEEDS   NEEDS(CAPABILITY_CLUSTER, CAPABILITY_PODMAN, CAPABILITY_NATS_SERVER)

struct pod_place {
    struct cluster *cluster;
    struct cluster_guard *guard;
    struct pod_images images;
    struct kubernetes_target target;
    struct topology topology;
    int node_port; /**< nobody else's when it was chosen */
};
MUST_CHECK int pod_place_open(struct test_context *test, struct pod_place *ret, struct error *err);
void pod_place_clear(struct pod_place *place);
#define cleanup_pod_place __attribute__((cleanup(pod_place_clear)))

/** Get an object of the namespace. *ret is freed by cJSON_Delete. */
MUST_CHECK int pod_place_get(const struct pod_place *place, const struct kube_resource *resource, const char *name,
                             cJSON **ret, struct error *err);
