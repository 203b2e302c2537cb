/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pod/pod_place.h"

#define OPEN_MS 120000 /* the cluster may have to be brought up */

int pod_place_open(struct test_context *test, struct pod_place *ret, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &ret->cluster, err));
    TRY(pod_images_ensure(ret->cluster, test->timeline, deadline_in_ms(PLACE_STEP_MS), &ret->images, err));
    TRY(cluster_guard_new(run, ret->cluster, &ret->guard, err));
    TRY(cluster_guard_node_port(ret->guard, 0, &ret->node_port, err));
    ret->target = (struct kubernetes_target){
        .client = cluster_client(ret->cluster),
        .namespace_name = cluster_guard_namespace(ret->guard),
        .node_address = cluster_node_address(ret->cluster),
    };
    ret->topology = (struct topology){.name = "the cluster", .kubernetes = &ret->target};
    return 0;
}

void pod_place_clear(struct pod_place *place)
{
    cluster_guard_free(place->guard);
    pod_images_clear(&place->images);
    cluster_free(place->cluster);
    *place = (struct pod_place){0};
}

int pod_place_get(const struct pod_place *place, const struct kube_resource *resource, const char *name, cJSON **ret,
                  struct error *err)
{
    return kube_get(place->target.client, resource, place->target.namespace_name, name, deadline_in_ms(PLACE_STEP_MS),
                    ret, err);
}
