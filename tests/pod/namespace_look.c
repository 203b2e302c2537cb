/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pod/namespace_look.h"

#include "kubernetes/kube_error.h"
#include "kubernetes/kube_object.h"

#define STEP_MS 20000

int namespace_look(struct cluster *cluster, const char *name, bool *stays, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;

    *stays = false;
    if (kube_get(cluster_client(cluster), &kube_namespaces, NULL, name, deadline_in_ms(STEP_MS), &object, err) == 0) {
        *stays = !kube_is_deleting(object);
        return 0;
    }
    if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}
