/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "deploy/agent_score.h"
#include "deploy/nats_score.h"
#include "kubernetes/kube_object.h"
#include "messaging/kv.h"
#include "tests/pod/pod_place.h"

#define DEADLINE   deadline_in_ms(PLACE_STEP_MS)
#define REFUSED_MS 5000 /* how long is waited for what cannot come */

static void nats_clear_at_exit(struct fleet_nats_deployed *deployed)
{
    fleet_nats_deployed_clear(deployed);
}
#define cleanup_nats __attribute__((cleanup(nats_clear_at_exit)))

static struct fleet_nats_score score_of(const struct pod_place *place)
{
    return (struct fleet_nats_score){
        .image = place->images.nats,
        .node_port = place->node_port,
        .termination_grace_s = 2,
        .admin = {"admin", "pass word $VARIABLE \" # // ' } ] %s \\"},
        .device = {"device", "device-password"},
    };
}

/** Connect as the user. Errors: NATS_CONNECTION_AUTH_FAILED. */
static int connect_as(const char *url, const struct user_password *user, struct error *err)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    const char *const urls[] = {url, NULL};

    TRY(credentials_user_password(user->user, user->password, &credentials, err));
    const struct nats_settings settings = {.urls = urls, .name = "test", .credentials = credentials};
    return nats_connection_open(&settings, &connection, err);
}

FLEET_TEST(pod_nats_score, second_time_nothing_changes, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    CLEANUP(cJSON_Delete) cJSON *after = NULL;

    TRY(pod_place_open(test, &place, err));
    const struct fleet_nats_score score = score_of(&place);
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK(deployed.outcome.changed, "the first time changed nothing");
    CHECK(deployed.url && deployed.port == place.node_port && deployed.in_cluster_url, "no URLs");
    TRY(pod_place_get(&place, &kube_pods, "nats-0", &before, err));
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK(!deployed.outcome.changed && !deployed.replaces, "the second time changed something");
    TRY(pod_place_get(&place, &kube_pods, "nats-0", &after, err));
    CHECK(text_equal(kube_uid(before), kube_uid(after)), "its Pod is another one");
    return 0;
}

FLEET_TEST(pod_nats_score, another_password_takes_the_place_of_the_former, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};

    TRY(pod_place_open(test, &place, err));
    struct fleet_nats_score score = score_of(&place);
    const struct user_password former = score.admin;
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    TRY(connect_as(deployed.url, &former, err));
    score.admin.password = "another";
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK(deployed.outcome.changed && deployed.replaces, "it is not another one");
    TRY(connect_as(deployed.url, &score.admin, err));
    CHECK_FAILS(connect_as(deployed.url, &former, err), nats_error_domain, NATS_CONNECTION_AUTH_FAILED);
    return 0;
}

FLEET_TEST(pod_nats_score, dry_run_changes_nothing, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};
    CLEANUP(cJSON_Delete) cJSON *set = NULL;

    TRY(pod_place_open(test, &place, err));
    const struct fleet_nats_score score = score_of(&place);
    place.target.dry_run = true;
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK(deployed.outcome.changed, "it would change nothing");
    CHECK_FAILS(pod_place_get(&place, &kube_stateful_sets, "nats", &set, err), kube_error_domain, KUBE_NOT_FOUND);
    return 0;
}

FLEET_TEST(pod_nats_score, taken_port_and_missing_image_are_told_apart, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_pod_place struct pod_place other = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};

    TRY(pod_place_open(test, &place, err));
    struct fleet_nats_score score = score_of(&place);
    TRY(fleet_nats_score_apply(&score, &place.topology, DEADLINE, &deployed, err));
    TRY(pod_place_open(test, &other, err));
    CHECK_FAILS(fleet_nats_score_apply(&score, &other.topology, DEADLINE, &deployed, err), deploy_error_domain,
                DEPLOY_PORT_TAKEN);
    score.node_port = 0;
    score.image = "localhost/no-such-image:1";
    CHECK_FAILS(fleet_nats_score_interpret(&score, &other.topology, DEADLINE, &deployed, err), deploy_error_domain,
                DEPLOY_SMOKE_CHECK_FAILED);
    return 0;
}

FLEET_TEST(pod_nats_score, other_volumes_are_refused_before_anything_changes, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    CLEANUP(cJSON_Delete) cJSON *after = NULL;

    TRY(pod_place_open(test, &place, err));
    struct fleet_nats_score score = score_of(&place);
    score.node_port = 0;
    score.storage = "1Gi";
    score.storage_class = "no-such-class"; /* nobody makes the volume: nothing is waited for here */
    TRY(fleet_nats_score_apply(&score, &place.topology, DEADLINE, &deployed, err));
    score.storage = "1024Mi"; /* the same */
    TRY(fleet_nats_score_apply(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK(!deployed.outcome.changed, "the same size changed something");
    TRY(pod_place_get(&place, &kube_secrets, "nats", &before, err));
    score.storage = NULL;
    score.storage_class = NULL;
    score.sync_interval = "1s"; /* would be in the Secret */
    CHECK_FAILS(fleet_nats_score_apply(&score, &place.topology, DEADLINE, &deployed, err), deploy_error_domain,
                DEPLOY_INVALID_SCORE);
    TRY(pod_place_get(&place, &kube_secrets, "nats", &after, err));
    CHECK(text_equal(kube_resource_version(before), kube_resource_version(after)), "the configuration is another one");
    return 0;
}

FLEET_TEST(pod_nats_score, pods_that_may_not_be_made_are_explained, .gate = "pod", PLACE_NEEDS)
{
    static const struct kube_resource quotas = {"v1", "ResourceQuota", "resourcequotas", true};
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};
    cleanup_error struct error failure = ERROR_INIT;

    TRY(pod_place_open(test, &place, err));
    CLEANUP(cJSON_Delete) cJSON *quota = kube_object_new(&quotas, place.target.namespace_name, "no-pods");
    cJSON_AddItemToObject(quota, "spec", kube_json("%s", "{\"hard\":{\"pods\":\"0\"}}"));
    TRY(kube_create(place.target.client, &quotas, quota, DEADLINE, NULL, err));
    struct fleet_nats_score score = score_of(&place);
    score.node_port = 0;
    CHECK(fleet_nats_score_interpret(&score, &place.topology, deadline_in_ms(REFUSED_MS), &deployed, &failure) < 0,
          "there is no Pod");
    cleanup_free char *text = error_text(&failure);
    CHECK(error_is(&failure, &deploy_error_domain, DEPLOY_SMOKE_CHECK_FAILED) && strstr(text, "exceeded quota"),
          "it does not say why: %s", text);
    return 0;
}

FLEET_TEST(pod_nats_score, three_replicas_keep_values_without_one, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed deployed = {0};

    TRY(pod_place_open(test, &place, err));
    struct fleet_nats_score score = score_of(&place);
    score.replicas = 3;
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));

    CLEANUP(credentials_free) struct credentials *admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    const char *const urls[] = {deployed.url, NULL};
    struct kv_value value = {0};
    TRY(credentials_user_password(score.admin.user, score.admin.password, &admin, err));
    const struct nats_settings settings = {.urls = urls, .name = "test", .credentials = admin, .reconnect = true};
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(kv_bucket_open(connection, BUCKET_DESIRED_STATE, 0, &bucket, err));
    TRY(kv_put(bucket, "device.deployment", "value", 5, NULL, err));
    /* The values of one replica go with its Pod: its volume is an emptyDir. */
    TRY(kube_delete(place.target.client, &kube_pods, place.target.namespace_name, "nats-0", KUBE_BACKGROUND, 1,
                    DEADLINE, err));
    score.replicas = 3;
    TRY(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err));
    TRY(kv_get(bucket, "device.deployment", &value, err));
    bool kept = value.size == 5 && memcmp(value.data, "value", 5) == 0;
    kv_value_clear(&value);
    CHECK(kept, "it is another value");
    score.replicas = 1;
    CHECK_FAILS(fleet_nats_score_interpret(&score, &place.topology, DEADLINE, &deployed, err), deploy_error_domain,
                DEPLOY_INVALID_SCORE);
    CLEANUP(cJSON_Delete) cJSON *route = NULL;
    TRY(kube_delete(place.target.client, &kube_stateful_sets, place.target.namespace_name, "nats", KUBE_BACKGROUND, -1,
                    DEADLINE, err));
    TRY(fleet_nats_score_apply(&score, &place.topology, DEADLINE, &deployed, err));
    CHECK_FAILS(pod_place_get(&place, &kube_services, "nats-2", &route, err), kube_error_domain, KUBE_NOT_FOUND);
    return 0;
}

static void agent_clear_at_exit(struct fleet_agent_deployed *deployed)
{
    fleet_agent_deployed_clear(deployed);
}

FLEET_TEST(pod_nats_score, agent_is_replaced_only_when_it_differs, .gate = "pod", PLACE_NEEDS)
{
    cleanup_pod_place struct pod_place place = {0};
    cleanup_nats struct fleet_nats_deployed nats = {0};
    __attribute__((cleanup(agent_clear_at_exit))) struct fleet_agent_deployed agent = {0};
    struct device_label label = {(char *)"site", (char *)"attic"};

    TRY(pod_place_open(test, &place, err));
    const struct fleet_nats_score nats_score = score_of(&place);
    TRY(fleet_nats_score_interpret(&nats_score, &place.topology, DEADLINE, &nats, err));
    struct fleet_agent_score score = {
        .image = place.images.agent,
        .device_id = "Pi_01", /* no name of an object, but one of a device */
        .nats_url = nats.in_cluster_url,
        .credentials = nats_score.device,
        .smoke_check = nats_score.admin,
        .smoke_check_url = nats.url,
    };
    TRY(fleet_agent_score_interpret(&score, &place.topology, DEADLINE, &agent, err));
    CHECK(agent.outcome.changed, "the first time changed nothing");
    TRY(fleet_agent_score_interpret(&score, &place.topology, DEADLINE, &agent, err));
    CHECK(!agent.outcome.changed, "the second time changed something");
    score.labels = &label;
    score.label_count = 1;
    TRY(fleet_agent_score_interpret(&score, &place.topology, DEADLINE, &agent, err));
    CHECK(agent.outcome.changed, "a label more changed nothing");
    score.runtime_enabled = true;
    CHECK_FAILS(fleet_agent_score_interpret(&score, &place.topology, DEADLINE, &agent, err), deploy_error_domain,
                DEPLOY_INVALID_SCORE);
    return 0;
}
