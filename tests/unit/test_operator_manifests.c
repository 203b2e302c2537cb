/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/operator_manifests.h"

#include <string.h>

#include "contracts/custom_resources.h"
#include "deploy/kubernetes_manifest.h"
#include "harness/test.h"

static const struct fleet_operator_score usable = {
    .image = "localhost/harmony-fleet-operator:1",
    .nats_url = "nats://10.0.0.1:4222",
    .nats = {"admin", "admin-password"},
};

FLEET_TEST(operator_manifests, refuses_what_cannot_be_deployed)
{
    struct fleet_operator_score cases[] = {usable, usable, usable, usable, usable, usable, usable, usable};
    static const char *const fields[] = {
        "image", "nats", "nats_url", "nats_url", "replicas", "offline_after_ms", "offline_after_ms", "nats_replicas"};

    cases[0].image = "";
    cases[1].nats.password = NULL;
    cases[2].nats_url = NULL;
    cases[3].nats_url = "nats://user:password@host:4222";
    cases[4].replicas = 6;
    cases[5].offline_after_ms = -1;
    cases[7].nats_replicas = 7;
    cases[6].offline_after_ms = 5; /* the operator would not start with it */
    TRY(operator_score_validate(&usable, true, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_error struct error refused = ERROR_INIT;
        CHECK(operator_score_validate(&cases[i], true, &refused) < 0, "case %zu (%s) was accepted", i, fields[i]);
        CHECK(error_is(&refused, &deploy_error_domain, DEPLOY_INVALID_SCORE) && text_equal(refused.subject, fields[i]),
              "case %zu names %s, not %s", i, refused.subject, fields[i]);
    }
    return operator_score_validate(&cases[2], false, err);
}

/** Does a rule of the role let it do `verb` to `resource`? */
static bool allows(const cJSON *role, const char *resource, const char *verb)
{
    const cJSON *rule;

    cJSON_ArrayForEach(rule, kube_member(role, "rules")) {
        const cJSON *item;
        bool about = false;

        cJSON_ArrayForEach(item, kube_member(rule, "resources"))
            about = about || text_equal(item->valuestring, resource);
        cJSON_ArrayForEach(item, kube_member(rule, "verbs")) {
            if (about && text_equal(item->valuestring, verb))
                return true;
        }
    }
    return false;
}

FLEET_TEST(operator_manifests, rights_are_no_more_than_needed)
{
    CLEANUP(cJSON_Delete) cJSON *role = operator_role("space");
    CLEANUP(cJSON_Delete) cJSON *cluster_role = operator_cluster_role("space");
    cleanup_free char *text = json_print(role);
    cleanup_free char *cluster_text = json_print(cluster_role);

    CHECK(allows(role, "deployments", "patch") && allows(role, "deployments/status", "patch") &&
              allows(role, "leases", "create") && allows(cluster_role, "devices", "delete") &&
              allows(cluster_role, "devices", "get"),
          "it cannot do its work");
    CHECK(!allows(role, "deployments", "create") && !allows(role, "deployments", "delete") &&
              !allows(role, "deployments", "get") && !allows(role, "secrets", "get") &&
              !allows(cluster_role, "deployments", "list") && !allows(cluster_role, "secrets", "list"),
          "it may more than that");
    CHECK(!strstr(text, "\"*\"") && !strstr(cluster_text, "\"*\""), "a right to everything");
    CHECK(text_equal(kube_name(cluster_role), "harmony-fleet-operator-space"), "two namespaces would share %s",
          kube_name(cluster_role));
    return 0;
}

FLEET_TEST(operator_manifests, pods_are_restricted_and_spread)
{
    struct fleet_operator_score two = usable;
    static const char affinity[] = "affinity.podAntiAffinity";

    two.replicas = 2;
    two.nats_replicas = 3;
    CLEANUP(cJSON_Delete) cJSON *secret = operator_secret(&usable, "space");
    CLEANUP(cJSON_Delete) cJSON *alone = operator_deployment(&usable, "space", secret);
    CLEANUP(cJSON_Delete) cJSON *together = operator_deployment(&two, "space", secret);
    const cJSON *pod = kube_member(alone, "spec.template.spec");
    const cJSON *container = kube_member(pod, "containers")->child;

    CHECK(cJSON_IsTrue(kube_member(pod, "securityContext.runAsNonRoot")) &&
              text_equal(kube_text(pod, "securityContext.seccompProfile.type", ""), "RuntimeDefault") &&
              cJSON_IsTrue(kube_member(container, "securityContext.readOnlyRootFilesystem")) &&
              cJSON_IsFalse(kube_member(container, "securityContext.allowPrivilegeEscalation")),
          "the Pod may more than it needs");
    CHECK(!kube_member(pod, affinity) && kube_member(together, "spec.template.spec.affinity.podAntiAffinity"),
          "two may be lost with one node");
    const cJSON *told = kube_member(together, "spec.template.spec.containers")->child;
    CHECK(cJSON_GetArraySize(kube_member(told, "env")) == cJSON_GetArraySize(kube_member(container, "env")) + 1,
          "it is not told how many servers NATS has");
    return 0;
}

FLEET_TEST(operator_manifests, another_password_is_another_pod)
{
    struct fleet_operator_score changed = usable;

    changed.nats.password = "another";
    CLEANUP(cJSON_Delete) cJSON *secret = operator_secret(&usable, "space");
    CLEANUP(cJSON_Delete) cJSON *later = operator_secret(&usable, "space");
    json_add_text(kube_ensure(secret, "metadata"), "uid", "1");
    json_add_text(kube_ensure(later, "metadata"), "uid", "2");
    CLEANUP(cJSON_Delete) cJSON *one = operator_deployment(&usable, "space", secret);
    CLEANUP(cJSON_Delete) cJSON *same = operator_deployment(&usable, "space", secret);
    CLEANUP(cJSON_Delete) cJSON *other = operator_deployment(&changed, "space", secret);
    CLEANUP(cJSON_Delete) cJSON *elsewhere = operator_deployment(&usable, "space", later);
    cleanup_free char *text = json_print(one);
    char guessed[DIGEST_SIZE];

    digest_sha256("admin-password", strlen("admin-password"), guessed);
    CHECK(!strstr(text, guessed) && !cJSON_Compare(one, elsewhere, true),
          "who may not read the Secret can try out passwords");
    CHECK(cJSON_Compare(one, same, true), "the same score gives another Deployment");
    CHECK(!cJSON_Compare(kube_member(one, "spec.template"), kube_member(other, "spec.template"), true),
          "the operator would go on with the old password");
    CHECK(!strstr(text, "admin-password"), "the Deployment shows the password");
    return 0;
}

/** Every schema has a type, but where anything may be. Returns the way to the first that has none, NULL: all have. */
static char *untyped(const cJSON *schema, const char *path)
{
    static const char *const within[] = {"properties", "items", "additionalProperties"};
    const cJSON *child;

    if (!cJSON_GetObjectItem(schema, "type") &&
        !cJSON_IsTrue(cJSON_GetObjectItem(schema, "x-kubernetes-preserve-unknown-fields")))
        return text_copy(path);
    cJSON_ArrayForEach(child, cJSON_GetObjectItem(schema, within[0])) {
        cleanup_free char *below = text_format("%s.%s", path, child->string);
        char *found = untyped(child, below);
        if (found)
            return found;
    }
    for (size_t i = 1; i < ARRAY_SIZE(within); i++) {
        const cJSON *below = cJSON_GetObjectItem(schema, within[i]);
        char *found = below ? untyped(below, path) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

/** Every field is explained, for `kubectl explain`. Returns the way to the first that is not, NULL: all are. */
static char *unexplained(const cJSON *schema, const char *path)
{
    static const char *const within[] = {"items", "additionalProperties"};
    const cJSON *field;

    cJSON_ArrayForEach(field, cJSON_GetObjectItem(schema, "properties")) {
        cleanup_free char *below = text_format("%s.%s", path, field->string);
        char *found = kube_text(field, "description", "")[0] ? unexplained(field, below) : text_copy(below);
        if (found)
            return found;
    }
    for (size_t i = 0; i < ARRAY_SIZE(within); i++) {
        const cJSON *below = cJSON_GetObjectItem(schema, within[i]);
        char *found = below ? unexplained(below, path) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

FLEET_TEST(operator_manifests, schemas_are_structural)
{
    CLEANUP(cJSON_Delete) cJSON *definitions = fleet_custom_resource_definitions();
    const cJSON *definition;

    CHECK(cJSON_GetArraySize(definitions) == 2, "there are %d", cJSON_GetArraySize(definitions));
    cJSON_ArrayForEach(definition, definitions) {
        const cJSON *version = kube_member(definition, "spec.versions")->child;
        cleanup_free char *path = untyped(kube_member(version, "schema.openAPIV3Schema"), "$");

        CHECK(!path, "%s has no type at %s", kube_name(definition), path);
        cleanup_free char *unclear = unexplained(kube_member(version, "schema.openAPIV3Schema"), "$");
        CHECK(!unclear, "%s does not explain %s", kube_name(definition), unclear);
        CHECK(kube_member(version, "subresources.status"), "%s has no status", kube_name(definition));
        CHECK(text_ends_with(kube_name(definition), "." FLEET_API_GROUP), "it is called %s", kube_name(definition));
    }
    return 0;
}
