/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_manifests.h"

#include <string.h>

#include "deploy/kubernetes_manifest.h"
#include "harness/test.h"

static const struct fleet_nats_score usable = {
    .image = "localhost/nats-server:1",
    .admin = {"admin", "admin-password"},
    .device = {"device", "device-password"},
};

static struct fleet_nats_score with_replicas(int replicas)
{
    struct fleet_nats_score score = usable;

    score.replicas = replicas;
    return score;
}

FLEET_TEST(nats_manifests, accepts_what_can_be_deployed)
{
    static const char *const storages[] = {"1Gi", "500M", "1.5Ti", "1073741824", "100Ki"};
    static const char *const intervals[] = {"always", "10s", "1m30s", "500ms", "1.5h"};

    for (size_t i = 0; i < ARRAY_SIZE(storages); i++) {
        struct fleet_nats_score score = with_replicas(i % 2 ? 3 : 1);
        score.node_port = 30423;
        score.storage = storages[i];
        score.sync_interval = intervals[i];
        TRY(nats_score_validate_on_kubernetes(&score, err));
    }
    return nats_score_validate_on_kubernetes(&usable, err);
}

FLEET_TEST(nats_manifests, refuses_what_cannot)
{
    struct fleet_nats_score cases[] = {usable, usable, usable, usable, usable, usable, usable, usable, usable,
                                       usable, usable, usable, usable, usable, usable, usable, usable, usable};
    static const char *const fields[] = {"image",         "image",         "admin",    "device",
                                         "device",        "replicas",      "replicas", "node_port",
                                         "node_port",     "storage",       "storage",  "sync_interval",
                                         "sync_interval", "sync_interval", "storage",  "termination_grace_s",
                                         "storage_class", "storage_class"};

    cases[0].image = NULL;
    cases[1].image = "has space:1";
    cases[2].admin = (struct user_password){NULL, NULL};
    cases[3].device = (struct user_password){"device", NULL};
    cases[4].device = (struct user_password){"admin", "x"};
    cases[5].replicas = 2;
    cases[6].replicas = -1;
    cases[7].node_port = -1;
    cases[8].node_port = 70000;
    cases[9].storage = "1 Gi";
    cases[10].storage = "0Gi";
    cases[11].sync_interval = "";
    cases[12].sync_interval = "10";
    cases[13].sync_interval = "0s";
    cases[14].storage = "-1Gi";
    cases[15].termination_grace_s = -1;
    cases[16].storage_class = "fast"; /* without a size */
    cases[17].storage = "1Gi";
    cases[17].storage_class = "Fast ";
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_error struct error refused = ERROR_INIT;
        CHECK(nats_score_validate_on_kubernetes(&cases[i], &refused) < 0, "case %zu (%s) was accepted", i, fields[i]);
        CHECK(error_is(&refused, &deploy_error_domain, DEPLOY_INVALID_SCORE) && text_equal(refused.subject, fields[i]),
              "case %zu names %s, not %s", i, refused.subject, fields[i]);
    }
    return 0;
}

FLEET_TEST(nats_manifests, routes_are_in_the_configuration_of_a_cluster_only)
{
    cleanup_text_list struct text_list none = {0};
    cleanup_text_list struct text_list routes = {0};
    struct fleet_nats_score three = with_replicas(3);

    text_list_add(&routes, "10.0.0.1");
    text_list_add(&routes, "10.0.0.2");
    text_list_add(&routes, "10.0.0.3");
    cleanup_free char *alone = nats_pods_config_text(&usable, &none, 0);
    cleanup_free char *together = nats_pods_config_text(&three, &routes, 2);
    CHECK(!strstr(alone, "cluster {") && strstr(alone, "sync_interval: 10s"), "alone: %s", alone);
    CHECK(strstr(together, "@10.0.0.1:6222") && strstr(together, "@10.0.0.2:6222") &&
              strstr(together, "@127.0.0.1:6222") && !strstr(together, "10.0.0.3"),
          "together: %s", together);
    const char *routes_text = strstr(together, "cluster {");
    CHECK(routes_text && !strstr(routes_text, "admin-password"), "routes show the admin's password");
    return 0;
}

FLEET_TEST(nats_manifests, a_node_port_makes_the_service_one)
{
    struct fleet_nats_score outside = usable;

    outside.node_port = 30423;
    CLEANUP(cJSON_Delete) cJSON *inner = nats_service(&usable, "space");
    CLEANUP(cJSON_Delete) cJSON *outer = nats_service(&outside, "space");
    CHECK(text_equal(kube_text(inner, "spec.type", ""), "ClusterIP"), "without a node port");
    CHECK(text_equal(kube_text(outer, "spec.type", ""), "NodePort"), "with a node port");
    const cJSON *ports = kube_member(outer, "spec.ports");
    CHECK(cJSON_GetArraySize(ports) == 1 && kube_number(ports->child, "nodePort", 0) == 30423,
          "what a node publishes is not the clients' port alone");
    return 0;
}

FLEET_TEST(nats_manifests, pods_have_no_rights_and_storage_where_asked_for)
{
    struct fleet_nats_score stored = usable;

    stored.storage = "1Gi";
    stored.storage_class = "fast.ssd";
    CLEANUP(cJSON_Delete) cJSON *passing = nats_stateful_set(&usable, "space", "digest");
    CLEANUP(cJSON_Delete) cJSON *lasting = nats_stateful_set(&stored, "space", "digest");
    const cJSON *pod = kube_member(passing, "spec.template.spec");
    const cJSON *container = kube_member(pod, "containers")->child;

    CHECK(cJSON_IsTrue(kube_member(pod, "securityContext.runAsNonRoot")) &&
              cJSON_IsTrue(kube_member(container, "securityContext.readOnlyRootFilesystem")) &&
              cJSON_IsFalse(kube_member(container, "securityContext.allowPrivilegeEscalation")) &&
              cJSON_IsFalse(kube_member(pod, "automountServiceAccountToken")) &&
              text_equal(kube_text(pod, "securityContext.seccompProfile.type", ""), "RuntimeDefault") &&
              text_equal(kube_member(container, "securityContext.capabilities.drop")->child->valuestring, "ALL"),
          "the Pod may more than it needs");
    CHECK(!kube_member(passing, "spec.volumeClaimTemplates"), "a volume nobody asked for");
    const cJSON *claim = kube_member(lasting, "spec.volumeClaimTemplates")->child;
    CHECK(text_equal(kube_text(claim, "spec.resources.requests.storage", ""), "1Gi"), "another size");
    CHECK(text_equal(kube_text(claim, "spec.storageClassName", ""), "fast.ssd"), "another class");
    CHECK(cJSON_GetArraySize(kube_member(lasting, "spec.template.spec.volumes")) == 1, "data is an emptyDir, too");
    return 0;
}

FLEET_TEST(nats_manifests, replicas_are_spread)
{
    struct fleet_nats_score three = with_replicas(3);
    CLEANUP(cJSON_Delete) cJSON *alone = nats_stateful_set(&usable, "space", "digest");
    CLEANUP(cJSON_Delete) cJSON *together = nats_stateful_set(&three, "space", "digest");
    static const char path[] =
        "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution";

    CHECK(!kube_member(alone, path), "one is kept apart from itself");
    CHECK(cJSON_GetArraySize(kube_member(together, path)) == 1, "three may all be on one node");
    return 0;
}

FLEET_TEST(nats_manifests, names_of_objects_come_from_tokens)
{
    static const struct {
        const char *token;
        const char *name; /**< how it begins; "" at its end: it is that name */
        bool same;
    } cases[] = {
        {"pi-01", "pi-01", true}, {"Pi_01", "pi-01-", false}, {"pi_01", "pi-01-", false},
        {"-pi", "-pi-", false},   {"pi-", "pi--", false},     {"0", "0", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *name = kubernetes_name(cases[i].token);
        CHECK(text_starts_with(name, cases[i].name) && (strcmp(name, cases[i].name) == 0) == cases[i].same,
              "%s became %s", cases[i].token, name);
    }
    cleanup_free char *upper = kubernetes_name("Pi_01");
    cleanup_free char *lower = kubernetes_name("pi_01");
    CHECK(strcmp(upper, lower) != 0, "two devices share %s", upper);
    CHECK(kubernetes_is_label_value("Pi_01.x") && kubernetes_is_label_value("") && !kubernetes_is_label_value("-x") &&
              !kubernetes_is_label_value("x_"),
          "values of labels");
    return 0;
}
