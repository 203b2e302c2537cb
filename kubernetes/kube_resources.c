/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kubernetes/kube_client.h"
#include "kubernetes/kube_object.h"

#define RBAC         "rbac.authorization.k8s.io/v1"
#define API_EXTENDED "apiextensions.k8s.io/v1"

const struct kube_resource kube_namespaces = {"v1", "Namespace", "namespaces", false};
const struct kube_resource kube_nodes = {"v1", "Node", "nodes", false};
const struct kube_resource kube_pods = {"v1", "Pod", "pods", true};
const struct kube_resource kube_services = {"v1", "Service", "services", true};
const struct kube_resource kube_config_maps = {"v1", "ConfigMap", "configmaps", true};
const struct kube_resource kube_secrets = {"v1", "Secret", "secrets", true};
const struct kube_resource kube_service_accounts = {"v1", "ServiceAccount", "serviceaccounts", true};
const struct kube_resource kube_events = {"v1", "Event", "events", true};
const struct kube_resource kube_persistent_volume_claims = {"v1", "PersistentVolumeClaim", "persistentvolumeclaims",
                                                            true};
const struct kube_resource kube_deployments = {"apps/v1", "Deployment", "deployments", true};
const struct kube_resource kube_stateful_sets = {"apps/v1", "StatefulSet", "statefulsets", true};
const struct kube_resource kube_roles = {RBAC, "Role", "roles", true};
const struct kube_resource kube_role_bindings = {RBAC, "RoleBinding", "rolebindings", true};
const struct kube_resource kube_cluster_roles = {RBAC, "ClusterRole", "clusterroles", false};
const struct kube_resource kube_cluster_role_bindings = {RBAC, "ClusterRoleBinding", "clusterrolebindings", false};
const struct kube_resource kube_leases = {"coordination.k8s.io/v1", "Lease", "leases", true};
const struct kube_resource kube_custom_resource_definitions = {API_EXTENDED, "CustomResourceDefinition",
                                                               "customresourcedefinitions", false};

static const struct kube_resource *const known[] = {
    &kube_namespaces,
    &kube_nodes,
    &kube_pods,
    &kube_services,
    &kube_config_maps,
    &kube_secrets,
    &kube_service_accounts,
    &kube_events,
    &kube_persistent_volume_claims,
    &kube_deployments,
    &kube_stateful_sets,
    &kube_roles,
    &kube_role_bindings,
    &kube_cluster_roles,
    &kube_cluster_role_bindings,
    &kube_leases,
    &kube_custom_resource_definitions,
};

const struct kube_resource *kube_resource_of(const cJSON *object)
{
    const char *api_version = kube_text(object, "apiVersion", "");
    const char *kind = kube_text(object, "kind", "");

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(known[i]->api_version, api_version) == 0 && strcmp(known[i]->kind, kind) == 0)
            return known[i];
    return NULL;
}
