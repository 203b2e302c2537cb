/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/operator_manifests.h"

#include <string.h>

#include "contracts/custom_resources.h"
#include "deploy/agent_config_text.h"
#include "deploy/kubernetes_manifest.h"

#define REPLICAS_MAX      5
#define NATS_REPLICAS_MAX 5 /* of a stream. Source: https://docs.nats.io/nats-concepts/jetstream/streams */
#define INTERVAL_MAX_MS   86400000
#define OFFLINE_MIN_MS    100 /* as the operator has it: it would not start with less */
#define GRACE_S           5
#define HTTP_PORT         8080
#define SECRET_DIRECTORY  "/etc/harmony-fleet"
#define PASSWORD_FILE     "nats-password"

static int check_interval(const char *field, int milliseconds, int least_ms, struct error *err)
{
    if (milliseconds != 0 && (milliseconds < least_ms || milliseconds > INTERVAL_MAX_MS))
        return score_refuse(err, FLEET_OPERATOR_SCORE, field, "%d ms is not within %d and %d", milliseconds, least_ms,
                            INTERVAL_MAX_MS);
    return 0;
}

static int check_url(const char *url, struct error *err)
{
    cleanup_error struct error unusable = ERROR_INIT;

    if (agent_score_check_url("nats_url", url, &unusable) == 0)
        return 0;
    return score_refuse(err, FLEET_OPERATOR_SCORE, "nats_url", "%s", error_root_detail(&unusable));
}

int operator_score_validate(const struct fleet_operator_score *score, bool url_known, struct error *err)
{
    if (kubernetes_check_image(FLEET_OPERATOR_SCORE, score->image, err) < 0 ||
        score_check_credentials(FLEET_OPERATOR_SCORE, "nats", &score->nats, NULL, err) < 0)
        return -1;
    if (score->replicas < 0 || score->replicas > REPLICAS_MAX)
        return score_refuse(err, FLEET_OPERATOR_SCORE, "replicas", "%d is not within 1 and %d", score->replicas,
                            REPLICAS_MAX);
    if (score->nats_replicas < 0 || score->nats_replicas > NATS_REPLICAS_MAX)
        return score_refuse(err, FLEET_OPERATOR_SCORE, "nats_replicas", "%d is not within 1 and %d",
                            score->nats_replicas, NATS_REPLICAS_MAX);
    if ((url_known || score->nats_url) && check_url(score->nats_url, err) < 0)
        return -1;
    if (check_interval("offline_after_ms", score->offline_after_ms, OFFLINE_MIN_MS, err) < 0)
        return -1;
    return check_interval("status_interval_ms", score->status_interval_ms, 1, err);
}

cJSON *operator_service_account(const char *namespace_name)
{
    return kube_object_new(&kube_service_accounts, namespace_name, OPERATOR_NAME);
}

/* JSON is laid out as JSON, not as if it were C. */
/* clang-format off */

cJSON *operator_role(const char *namespace_name)
{
    cJSON *role = kube_object_new(&kube_roles, namespace_name, OPERATOR_NAME);

    /* "create" cannot be limited to a name. The namespace is the owner of Devices, for which its uid is needed. */
    cJSON_AddItemToObject(role, "rules", kube_json(JSON_TEXT([
        {"apiGroups": ["%s"], "resources": ["deployments"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["%s"], "resources": ["deployments/status"], "verbs": ["patch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["%s"],
            "verbs": ["get", "patch"]
        },
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["%s"], "verbs": ["get"]}
    ]), FLEET_API_GROUP, FLEET_API_GROUP, FLEET_OPERATOR_LEASE, namespace_name));
    return role;
}

/** Bind `role` of `kind` to the operator's account; for bindings in a namespace and for cluster-wide ones. */
static void bind(cJSON *binding, const char *kind, const char *role, const char *namespace_name)
{
    cJSON_AddItemToObject(binding, "roleRef", kube_json(JSON_TEXT({
        "apiGroup": "rbac.authorization.k8s.io", "kind": "%s", "name": "%s"
    }), kind, role));
    cJSON_AddItemToObject(binding, "subjects", kube_json(JSON_TEXT([
        {"kind": "ServiceAccount", "name": "%s", "namespace": "%s"}
    ]), OPERATOR_NAME, namespace_name));
}

cJSON *operator_role_binding(const char *namespace_name)
{
    cJSON *binding = kube_object_new(&kube_role_bindings, namespace_name, OPERATOR_NAME);

    bind(binding, "Role", OPERATOR_NAME, namespace_name);
    return binding;
}

/** What is cluster-wide is named by the namespace, of which there may be several with an operator. Caller frees. */
static char *cluster_wide_name(const char *namespace_name)
{
    return text_format(OPERATOR_NAME "-%s", namespace_name);
}

cJSON *operator_cluster_role(const char *namespace_name)
{
    cleanup_free char *name = cluster_wide_name(namespace_name);
    cJSON *role = kube_object_new(&kube_cluster_roles, NULL, name);

    cJSON_AddItemToObject(role, "rules", kube_json(JSON_TEXT([
        {
            "apiGroups": ["%s"], "resources": ["devices"],
            "verbs": ["get", "list", "watch", "create", "patch", "delete"]
        },
        {"apiGroups": ["%s"], "resources": ["devices/status"], "verbs": ["patch"]}
    ]), FLEET_API_GROUP, FLEET_API_GROUP));
    return role;
}

cJSON *operator_cluster_role_binding(const char *namespace_name)
{
    cleanup_free char *name = cluster_wide_name(namespace_name);
    cJSON *binding = kube_object_new(&kube_cluster_role_bindings, NULL, name);

    bind(binding, "ClusterRole", name, namespace_name);
    return binding;
}

cJSON *operator_secret(const struct fleet_operator_score *score, const char *namespace_name)
{
    cleanup_free char *password = text_format("%s\n", score->nats.password);
    const char *const files[] = {PASSWORD_FILE, password, NULL};

    return kubernetes_secret(namespace_name, OPERATOR_NAME, files);
}

static void add_argument(cJSON *arguments, const char *option, const char *value)
{
    json_add_text(arguments, NULL, option);
    json_add_text(arguments, NULL, value);
}

/** 0: the operator's default. */
static void add_number(cJSON *arguments, const char *option, int number)
{
    cleanup_free char *value = text_format("%d", number);

    if (number)
        add_argument(arguments, option, value);
}

static cJSON *operator_arguments(const struct fleet_operator_score *score)
{
    cJSON *arguments = cJSON_CreateArray();
    cleanup_free char *listen = text_format("0.0.0.0:%d", HTTP_PORT);

    add_argument(arguments, "--nats-url", score->nats_url ? score->nats_url : "");
    add_argument(arguments, "--nats-user", score->nats.user);
    add_argument(arguments, "--nats-password-file", SECRET_DIRECTORY "/" PASSWORD_FILE);
    add_argument(arguments, "--listen", listen);
    add_number(arguments, "--offline-after-ms", score->offline_after_ms);
    add_number(arguments, "--status-interval-ms", score->status_interval_ms);
    return arguments;
}

static cJSON *operator_container(const struct fleet_operator_score *score)
{
    cJSON *container = kube_json(JSON_TEXT({
        "name": "operator", "image": "%s",
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
        ],
        "ports": [{"name": "http", "containerPort": %d}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": %d}, "periodSeconds": 1, "timeoutSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": %d},
            "initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "volumeMounts": [{"name": "secret", "mountPath": "%s", "readOnly": true}]
    }), score->image, HTTP_PORT, HTTP_PORT, HTTP_PORT, SECRET_DIRECTORY);

    /* Not an argument: an operator of before there was this one would end at it. */
    if (score->nats_replicas > 1) cJSON_AddItemToArray(cJSON_GetObjectItem(container, "env"), kube_json(JSON_TEXT({
        "name": "HARMONY_FLEET_NATS_REPLICAS", "value": "%d"
    }), score->nats_replicas));
    cJSON_AddItemToObject(container, "args", operator_arguments(score));
    return container;
}

cJSON *operator_deployment(const struct fleet_operator_score *score, const char *namespace_name, const cJSON *secret)
{
    cJSON *deployment = kube_object_new(&kube_deployments, namespace_name, OPERATOR_NAME);
    char password_digest[DIGEST_SIZE];
    cJSON *spec;
    cJSON *pod_spec = kube_json(JSON_TEXT({
        "serviceAccountName": "%s", "enableServiceLinks": false, "terminationGracePeriodSeconds": %d,
        "containers": [],
        "volumes": [{"name": "secret", "secret": {"secretName": "%s", "defaultMode": 288}}]
    }), OPERATOR_NAME, GRACE_S, OPERATOR_NAME);

    cJSON_AddItemToArray(cJSON_GetObjectItem(pod_spec, "containers"), operator_container(score));
    kubernetes_harden(pod_spec);
    if (score->replicas > 1)
        kubernetes_spread(pod_spec, OPERATOR_NAME);
    kubernetes_secret_digest(secret, score->nats.password, password_digest);
    spec = kube_json(JSON_TEXT({
        "replicas": %d,
        "selector": {"matchLabels": {"%s": "%s"}},
        "template": {"metadata": {"labels": {"%s": "%s"}, "annotations": {"harmony.io/secret-digest": "%s"}}}
    }), score->replicas ? score->replicas : 1, KUBERNETES_LABEL_NAME, OPERATOR_NAME, KUBERNETES_LABEL_NAME,
        OPERATOR_NAME, password_digest);
    cJSON_AddItemToObject(cJSON_GetObjectItem(spec, "template"), "spec", pod_spec);
    cJSON_AddItemToObject(deployment, "spec", spec);
    return deployment;
}
/* clang-format on */
