/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_manifests.h"

#include "deploy/kubernetes_manifest.h"

#define GRACE_DEFAULT_S 10

/* JSON is laid out as JSON, not as if it were C. */
/* clang-format off */

cJSON *nats_service_account(const char *namespace_name)
{
    cJSON *account = kube_object_new(&kube_service_accounts, namespace_name, NATS_NAME);

    json_add_boolean(account, "automountServiceAccountToken", false);
    return account;
}

/** A Service of the Pods with a label; the caller adds ports. */
static cJSON *service_of(const char *namespace_name, const char *name, const char *label, const char *value)
{
    cJSON *service = kube_object_new(&kube_services, namespace_name, name);

    json_add_text(kube_ensure(service, "spec.selector"), label, value);
    json_add_array(kube_ensure(service, "spec"), "ports");
    return service;
}

static cJSON *add_port(cJSON *service, const char *name, int port)
{
    cJSON *entry = kube_json(JSON_TEXT({
        "name": "%s", "port": %d, "targetPort": %d, "protocol": "TCP"
    }), name, port, port);

    cJSON_AddItemToArray(cJSON_GetObjectItem(kube_ensure(service, "spec"), "ports"), entry);
    return entry;
}

cJSON *nats_service(const struct fleet_nats_score *score, const char *namespace_name)
{
    cJSON *service = service_of(namespace_name, NATS_NAME, KUBERNETES_LABEL_NAME, NATS_NAME);
    cJSON *spec = kube_ensure(service, "spec");
    cJSON *port = add_port(service, "client", NATS_CLIENT_PORT);

    json_add_text(spec, "type", score->node_port ? "NodePort" : "ClusterIP");
    if (score->node_port)
        json_add_integer(port, "nodePort", score->node_port);
    /* There is nobody else to connect to than the one server: its clients may try before it was found ready. */
    json_add_boolean(spec, "publishNotReadyAddresses", nats_replicas(score) == 1);
    return service;
}

cJSON *nats_pods_service(const char *namespace_name)
{
    cJSON *service = service_of(namespace_name, NATS_PODS_SERVICE, KUBERNETES_LABEL_NAME, NATS_NAME);

    json_add_text(kube_ensure(service, "spec"), "clusterIP", "None");
    json_add_boolean(kube_ensure(service, "spec"), "publishNotReadyAddresses", true);
    add_port(service, "monitor", NATS_MONITOR_PORT);
    return service;
}

cJSON *nats_route_service(const char *namespace_name, int replica)
{
    cleanup_free char *name = text_format(NATS_NAME "-%d", replica);
    cJSON *service = service_of(namespace_name, name, "statefulset.kubernetes.io/pod-name", name);

    /* Servers are ready once they have found each other. */
    json_add_boolean(kube_ensure(service, "spec"), "publishNotReadyAddresses", true);
    add_port(service, "routes", NATS_ROUTES_PORT);
    return service;
}

static cJSON *probe(const char *path, int period_s, int failures)
{
    return kube_json(JSON_TEXT({
        "httpGet": {"path": "%s", "port": %d},
        "periodSeconds": %d, "timeoutSeconds": 2, "failureThreshold": %d
    }), path, NATS_MONITOR_PORT, period_s, failures);
}

static cJSON *server_container(const struct fleet_nats_score *score)
{
    cJSON *container = kube_json(JSON_TEXT({
        "name": "nats", "image": "%s",
        "args": ["--config", "/etc/nats/$(POD_NAME).conf"],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [
            {"name": "client", "containerPort": %d},
            {"name": "monitor", "containerPort": %d},
            {"name": "routes", "containerPort": %d}
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/nats", "readOnly": true},
            {"name": "data", "mountPath": "/data"}
        ]
    }), score->image, NATS_CLIENT_PORT, NATS_MONITOR_PORT, NATS_ROUTES_PORT);

    cJSON_AddItemToObject(container, "readinessProbe", probe("/healthz?js-server-only=true", 1, 3));
    cJSON_AddItemToObject(container, "livenessProbe", probe("/healthz?js-enabled-only=true", 10, 30));
    return container;
}

static cJSON *pod_spec(const struct fleet_nats_score *score)
{
    cJSON *spec = kube_json(JSON_TEXT({
        "serviceAccountName": "%s", "automountServiceAccountToken": false, "enableServiceLinks": false,
        "terminationGracePeriodSeconds": %d,
        "containers": [],
        "volumes": [{"name": "config", "secret": {"secretName": "%s", "defaultMode": 288}}]
    }), NATS_NAME, score->termination_grace_s ? score->termination_grace_s : GRACE_DEFAULT_S, NATS_NAME);

    cJSON_AddItemToArray(cJSON_GetObjectItem(spec, "containers"), server_container(score));
    if (nats_replicas(score) > 1)
        kubernetes_spread(spec, NATS_NAME);
    if (!score->storage) cJSON_AddItemToArray(cJSON_GetObjectItem(spec, "volumes"), kube_json(JSON_TEXT({
        "name": "data",
        "emptyDir": {}
    })));
    kubernetes_harden(spec);
    return spec;
}

static cJSON *volume_claim(const struct fleet_nats_score *score)
{
    cJSON *claim = kube_json(JSON_TEXT({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "%s"}}}
    }), score->storage);

    if (score->storage_class)
        json_add_text(kube_ensure(claim, "spec"), "storageClassName", score->storage_class);
    return claim;
}

cJSON *nats_stateful_set(const struct fleet_nats_score *score, const char *namespace_name, const char *config_digest)
{
    cJSON *set = kube_object_new(&kube_stateful_sets, namespace_name, NATS_NAME);
    cJSON *spec = kube_json(JSON_TEXT({
        "replicas": %d, "serviceName": "%s", "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"%s": "%s"}},
        "template": {"metadata": {"labels": {"%s": "%s"}, "annotations": {"harmony.io/config-digest": "%s"}}}
    }), nats_replicas(score), NATS_PODS_SERVICE, KUBERNETES_LABEL_NAME, NATS_NAME, KUBERNETES_LABEL_NAME, NATS_NAME,
        config_digest);

    cJSON_AddItemToObject(cJSON_GetObjectItem(spec, "template"), "spec", pod_spec(score));
    if (score->storage)
        cJSON_AddItemToArray(json_add_array(spec, "volumeClaimTemplates"), volume_claim(score));
    cJSON_AddItemToObject(set, "spec", spec);
    return set;
}
/* clang-format on */
