/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FleetNatsScore on a Kubernetes API. Everything is applied at once, so that the cluster is busy with all of it while we
 * wait, and the waiting is a half of its own: a caller may have more to deploy meanwhile.
 */

#include <stdlib.h>
#include <string.h>

#include "contracts/custom_resources.h"
#include "deploy/kubernetes_manifest.h"
#include "deploy/nats_config.h"
#include "deploy/nats_manifests.h"
#include "deploy/nats_smoke_check.h"
#include "kubernetes/kube_watch.h"
#include "messaging/connection.h"

#define CONNECT_MS  1000 /* one attempt to connect: a first packet that is lost must not cost more */
#define PROBE_MS    2    /* first pause between attempts */
#define LOOK_MS     1000 /* between two looks at the Pods, while nothing answers */
#define HEADLESS_IP "None"

/** One interpretation, of either half. */
struct deployment {
    const struct fleet_nats_score *score;
    struct kubernetes_apply apply;
    struct text_list routes; /**< addresses of the replicas of a cluster */
    struct fleet_nats_deployed *deployed;
    struct deadline next_look;
};

/** "nats://10.0.0.1:4222"; caller frees. */
static char *nats_url(const char *address, int port)
{
    return text_format(strchr(address, ':') ? "nats://[%s]:%d" : "nats://%s:%d", address, port);
}

static int apply_object(struct deployment *deployment, cJSON *object, cJSON **ret, struct error *err)
{
    return kubernetes_apply_object(&deployment->apply, NATS_NAME, object, NULL, ret, err);
}

/** Where clients find it, in the cluster and from here. */
static void set_urls(struct deployment *deployment, const cJSON *service)
{
    const struct kubernetes_target *target = deployment->apply.target;
    struct fleet_nats_deployed *deployed = deployment->deployed;
    const char *address = kube_text(service, "spec.clusterIP", "");

    deployed->port = deployment->score->node_port;
    if (address[0] && strcmp(address, HEADLESS_IP) != 0)
        deployed->in_cluster_url = nats_url(address, NATS_CLIENT_PORT);
    else /* of a dry run: no address was given to it */
        deployed->in_cluster_url = text_format("nats://%s.%s:%d", NATS_NAME, target->namespace_name, NATS_CLIENT_PORT);
    if (deployment->score->node_port && target->node_address)
        deployed->url = nats_url(target->node_address, deployment->score->node_port);
}

/** A cluster that was taken away to make one server of it leaves the Services of its routes. */
static int remove_routes(struct deployment *deployment, struct error *err)
{
    for (int replica = 0; replica < NATS_CLUSTER_COUNT; replica++) {
        cleanup_free char *name = text_format(NATS_NAME "-%d", replica);

        if (kubernetes_remove_object(&deployment->apply, &kube_services, name, err) < 0)
            return -1;
    }
    return 0;
}

/** `set`: the StatefulSet that is there; NULL: none. */
static int apply_services(struct deployment *deployment, const cJSON *set, struct error *err)
{
    const char *space = deployment->apply.target->namespace_name;
    CLEANUP(cJSON_Delete) cJSON *clients = NULL;
    int replicas = nats_replicas(deployment->score);

    if (apply_object(deployment, nats_service(deployment->score, space), &clients, err) < 0 ||
        apply_object(deployment, nats_pods_service(space), NULL, err) < 0)
        return -1;
    set_urls(deployment, clients);
    if (replicas == 1 && !set && remove_routes(deployment, err) < 0)
        return -1;
    for (int replica = 0; replicas > 1 && replica < replicas; replica++) {
        CLEANUP(cJSON_Delete) cJSON *route = NULL;

        if (apply_object(deployment, nats_route_service(space, replica), &route, err) < 0)
            return -1;
        text_list_add(&deployment->routes, kube_text(route, "spec.clusterIP", ""));
    }
    return 0;
}

/** One server cannot become a cluster, nor a cluster one server: JetStream keeps its store differently. */
static int check_replicas(const struct deployment *deployment, const cJSON *set, struct error *err)
{
    long before = kube_number(set, "spec.replicas", 0);
    int wanted = nats_replicas(deployment->score);

    if (set && before != 0 && (before > 1) != (wanted > 1))
        return score_refuse(err, FLEET_NATS_SCORE, "replicas",
                            "NATS runs with %ld here and cannot be made %d of it: delete StatefulSet %s first", before,
                            wanted, NATS_NAME);
    return 0;
}

/** The volumes of a StatefulSet are fixed once it is there. Whether these are others is asked of the server, which knows
 *  that 1024Mi is 1Gi, before anything is touched. Source: the API server's message; it has no code of its own. */
static int check_volumes(const struct deployment *deployment, const cJSON *set, struct error *err)
{
    static const struct kube_apply_options options = {FLEET_DEPLOY_MANAGER, true, true};
    const struct kubernetes_target *target = deployment->apply.target;
    CLEANUP(cJSON_Delete) cJSON *wanted = nats_stateful_set(deployment->score, target->namespace_name, "");
    cleanup_error struct error refused = ERROR_INIT;

    if (!set || kube_apply(target->client, &kube_stateful_sets, wanted, &options, deployment->apply.deadline, NULL,
                           &refused) == 0)
        return 0;
    if (error_is(&refused, &kube_error_domain, KUBE_INVALID) &&
        strstr(error_root_detail(&refused), "updates to statefulset spec"))
        return score_refuse(
            err, FLEET_NATS_SCORE, "storage",
            "the volumes of NATS cannot be made others in place: delete StatefulSet %s first, and those "
            "of its PersistentVolumeClaims that are to be others",
            NATS_NAME);
    error_move(err, &refused);
    return -1;
}

static int find_set(const struct deployment *deployment, cJSON **ret, struct error *err)
{
    const struct kubernetes_target *target = deployment->apply.target;

    if (kube_get(target->client, &kube_stateful_sets, target->namespace_name, NATS_NAME, deployment->apply.deadline,
                 ret, err) == 0)
        return 0;
    if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

/** A file for each server, by the name of its Pod; in one digest. */
static int apply_configuration(struct deployment *deployment, char digest[DIGEST_SIZE], struct error *err)
{
    const size_t replicas = (size_t)nats_replicas(deployment->score);
    char *files[2 * NATS_CLUSTER_COUNT + 1] = {0}; /* name and text of each */
    cleanup_text_buffer struct text_buffer all = {0};
    CLEANUP(cJSON_Delete) cJSON *secret = NULL;

    for (size_t replica = 0; replica < replicas; replica++) {
        files[2 * replica] = text_format(NATS_NAME "-%zu.conf", replica);
        files[2 * replica + 1] = nats_pods_config_text(deployment->score, &deployment->routes, replica);
        text_buffer_add(&all, files[2 * replica + 1]);
    }
    int result = apply_object(
        deployment, kubernetes_secret(deployment->apply.target->namespace_name, NATS_NAME, (const char *const *)files),
        &secret, err);
    kubernetes_secret_digest(secret, text_buffer_text(&all), digest);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        free(files[i]);
    return result;
}

/** The server's configuration, and the servers. */
static int apply_servers(struct deployment *deployment, struct error *err)
{
    const char *space = deployment->apply.target->namespace_name;
    char config_digest[DIGEST_SIZE];
    CLEANUP(cJSON_Delete) cJSON *set = NULL;
    bool created = false;

    if (apply_object(deployment, nats_service_account(space), NULL, err) < 0 ||
        apply_configuration(deployment, config_digest, err) < 0 ||
        kubernetes_apply_object(&deployment->apply, NATS_NAME,
                                nats_stateful_set(deployment->score, space, config_digest), &created, &set, err) < 0)
        return -1;
    /* Also when an earlier deployment was broken off: its Pods may still be giving way. */
    deployment->deployed->replaces =
        !created && strcmp(kube_text(set, "status.currentRevision", ""), "") != 0 &&
        (kube_number(set, "status.observedGeneration", 0) < kube_generation(set) ||
         strcmp(kube_text(set, "status.currentRevision", ""), kube_text(set, "status.updateRevision", "")) != 0);
    return 0;
}

static int apply_everything(struct deployment *deployment, struct error *err)
{
    struct score_step step = score_step_begin(deployment->apply.topology, "apply nats", &deployment->deployed->outcome);
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    int result = find_set(deployment, &before, err);

    if (result == 0)
        result = check_replicas(deployment, before, err);
    if (result == 0)
        result = check_volumes(deployment, before, err);
    if (result == 0)
        result = apply_services(deployment, before, err);
    if (result == 0)
        result = apply_servers(deployment, err);
    step.changed = deployment->apply.changed;
    score_step_end(&step);
    return result;
}

int fleet_nats_score_apply(const struct fleet_nats_score *score, struct topology *topology, struct deadline deadline,
                           struct fleet_nats_deployed *ret, struct error *err)
{
    struct fleet_nats_deployed deployed = {0};
    struct deployment deployment = {.score = score, .deployed = &deployed};

    if (nats_score_validate_on_kubernetes(score, err) < 0 ||
        kubernetes_apply_begin(FLEET_NATS_SCORE, topology, deadline, &deployment.apply, err) < 0)
        return -1;
    int result = apply_everything(&deployment, err);
    text_list_clear(&deployment.routes);
    kubernetes_apply_clear(&deployment.apply);
    if (result < 0) {
        fleet_nats_deployed_clear(&deployed);
        return error_wrap(err, "deploying NATS to", topology->name);
    }
    fleet_nats_deployed_clear(ret);
    *ret = deployed;
    return 0;
}

/** Does it answer? While it does not, its Pods are looked at from time to time. */
static int answers(void *context, struct text_buffer *state, struct error *err)
{
    struct deployment *deployment = context;
    cleanup_error struct error failure = ERROR_INIT;
    struct deadline attempt = deadline_min(deadline_in_ms(CONNECT_MS), deployment->apply.deadline);

    if (nats_smoke_check(deployment->score, deployment->deployed->url, attempt, &failure) == 0)
        return 1;
    if (error_is(&failure, &nats_error_domain, NATS_CONNECTION_AUTH_FAILED)) {
        error_move(err, &failure);
        return -1;
    }
    text_buffer_add(state, error_root_detail(&failure));
    if (!deadline_passed(deployment->next_look))
        return 0;
    deployment->next_look = deadline_in_ms(LOOK_MS);
    return kubernetes_check_pods(&deployment->apply, NATS_NAME, err);
}

/** Without a way to its node port from here: a server is asked by way of the API server. It is not healthy for a moment
 *  whenever streams are being replicated to it, too. */
static int is_healthy(void *context, struct text_buffer *state, struct error *err)
{
    const struct deployment *deployment = context;
    cleanup_error struct error failure = ERROR_INIT;
    struct deadline attempt = deadline_min(deadline_in_ms(CONNECT_MS), deployment->apply.deadline);
    cleanup_free char *path = text_format("/api/v1/namespaces/%s/services/%s:monitor/proxy/healthz",
                                          deployment->apply.target->namespace_name, NATS_PODS_SERVICE);
    cleanup_free char *body = NULL;

    if (kube_get_raw(deployment->apply.target->client, path, attempt, &body, &failure) == 0)
        return 1;
    if (error_is(&failure, &kube_error_domain, KUBE_UNAVAILABLE) ||
        error_is(&failure, &general_error_domain, GENERAL_TIMEOUT)) {
        text_buffer_add(state, error_root_detail(&failure));
        return 0;
    }
    error_move(err, &failure);
    return -1;
}

static int wait_rollout(const struct deployment *deployment, struct error *err)
{
    const struct kubernetes_target *target = deployment->apply.target;

    return kube_wait_rollout(target->client, &kube_stateful_sets, target->namespace_name, NATS_NAME,
                             deployment->apply.deadline, err);
}

static int smoke_check(struct deployment *deployment, struct error *err)
{
    static const struct wait_options options = {.interval_ms = PROBE_MS};
    bool reachable = deployment->deployed->url != NULL;

    /* One server that is new answers as soon as it can; else Pods that are about to go could answer for the new ones. */
    if ((!reachable || deployment->deployed->replaces || nats_replicas(deployment->score) > 1) &&
        wait_rollout(deployment, err) < 0)
        return -1;
    if (!reachable)
        return wait_until("NATS to be healthy", is_healthy, deployment, &options, deployment->apply.deadline, err);
    deployment->next_look = deadline_in_ms(LOOK_MS);
    return wait_until("NATS to answer", answers, deployment, &options, deployment->apply.deadline, err);
}

int fleet_nats_score_wait(const struct fleet_nats_score *score, struct topology *topology, struct deadline deadline,
                          struct fleet_nats_deployed *deployed, struct error *err)
{
    struct deployment deployment = {.score = score, .deployed = deployed};

    if (topology->kubernetes && topology->kubernetes->dry_run)
        return 0;
    if (kubernetes_apply_begin(FLEET_NATS_SCORE, topology, deadline, &deployment.apply, err) < 0)
        return -1;
    struct score_step step = score_step_begin(topology, "smoke check of nats", &deployed->outcome);
    int result = smoke_check(&deployment, err);
    score_step_end(&step);
    if (result < 0)
        kubernetes_smoke_check_failed(err, &deployment.apply, NATS_NAME);
    kubernetes_apply_clear(&deployment.apply);
    return result < 0 ? error_wrap(err, "deploying NATS to", topology->name) : 0;
}
