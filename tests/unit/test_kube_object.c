/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_object.h"

#include <string.h>

#include "harness/test.h"

FLEET_TEST(kube_object, members_are_found_or_not)
{
    CLEANUP(cJSON_Delete)
    cJSON *object =
        kube_json("{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u1\","
                  "\"resourceVersion\":\"%d\",\"generation\":3,\"deletionTimestamp\":\"2026-01-01T00:00:00Z\","
                  "\"labels\":{\"a.b/c\":\"d\"},\"annotations\":{\"e.f/g\":\"h\"}},"
                  "\"status\":{\"aggregate\":{\"succeeded\":2}}}",
                  17);
    CLEANUP(cJSON_Delete) cJSON *empty = kube_json("{\"metadata\":7}");

    CHECK(text_equal(kube_name(object), "web") && text_equal(kube_namespace(object), "shop"), "other names");
    CHECK(text_equal(kube_uid(object), "u1") && text_equal(kube_resource_version(object), "17"), "other versions");
    CHECK(kube_generation(object) == 3 && kube_is_deleting(object), "other generation");
    CHECK(text_equal(kube_label(object, "a.b/c"), "d") && !kube_label(object, "x"), "other labels");
    CHECK(text_equal(kube_annotation(object, "e.f/g"), "h"), "other annotations");
    CHECK(kube_number(object, "status.aggregate.succeeded", -1) == 2, "other number");
    CHECK(kube_number(object, "status.aggregate.failed", -1) == -1, "a number from nowhere");
    CHECK(kube_number(object, "metadata.name", -1) == -1, "a text is no number");
    CHECK(text_equal(kube_text(object, "status.aggregate.succeeded", "none"), "none"), "a number is no text");
    CHECK(!kube_member(object, "status.none.deeper"), "a member from nowhere");
    CHECK(text_equal(kube_name(empty), "") && text_equal(kube_namespace(empty), ""), "names from nowhere");
    CHECK(kube_generation(empty) == 0 && !kube_is_deleting(empty), "a generation from nowhere");
    CHECK(text_equal(kube_name(NULL), ""), "a name of nothing");
    return 0;
}

FLEET_TEST(kube_object, objects_are_built)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_object_new(&kube_deployments, "shop", "web");
    CLEANUP(cJSON_Delete) cJSON *role = kube_object_new(&kube_cluster_roles, "ignored", "r");

    kube_set_label(object, "a.b/c", "1");
    kube_set_label(object, "a.b/c", "2");
    json_add_integer(kube_ensure(object, "spec.template"), "x", 1);
    json_add_integer(kube_ensure(object, "spec.template"), "y", 2);
    cleanup_free char *text = json_print(object);
    CHECK(text_equal(text, "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","
                           "\"namespace\":\"shop\",\"labels\":{\"a.b/c\":\"2\"}},\"spec\":{\"template\":{\"x\":1,"
                           "\"y\":2}}}"),
          "%s", text);
    cleanup_free char *role_text = json_print(role);
    CHECK(text_equal(role_text, "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\","
                                "\"metadata\":{\"name\":\"r\"}}"),
          "%s", role_text);
    CHECK(kube_resource_of(object) == &kube_deployments && kube_resource_of(role) == &kube_cluster_roles, "others");
    CHECK(!kube_resource_of(NULL), "a kind of nothing");
    return 0;
}
