/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FleetServerScore: the control plane of a fleet.
 */

#include <string.h>

#include "base/text.h"
#include "contracts/names.h"
#include "deploy/kubernetes_target.h"
#include "deploy/nats_manifests.h"
#include "deploy/operator_manifests.h"
#include "deploy/score_steps.h"
#include "kubernetes/kube_object.h"

#define FLEET_SERVER_SCORE "FleetServerScore"
#define BUCKET_STREAM      "KV_" /* what the name of a bucket's stream begins with */
#define REPLICATION_MS     200   /* between two looks at the buckets */
#define ASK_MS             3000  /* for one of them */

void fleet_server_deployed_clear(struct fleet_server_deployed *deployed)
{
    fleet_nats_deployed_clear(&deployed->nats);
    *deployed = (struct fleet_server_deployed){0};
}

/** Where the monitor is asked, and for how many replicas. */
struct replication {
    const struct kubernetes_target *target;
    int replicas;
    struct deadline deadline;
};

static bool is_fleet_bucket(const char *stream)
{
    for (const char *const *name = wire_buckets; *name; name++)
        if (text_starts_with(stream, BUCKET_STREAM) && strcmp(stream + strlen(BUCKET_STREAM), *name) == 0)
            return true;
    return false;
}

/** How many buckets a server has that are on so many servers. Source:
 *  https://docs.nats.io/running-a-nats-service/nats_admin/monitoring#jetstream-information-jsz */
static size_t count_replicated(const char *jsz, int replicas)
{
    CLEANUP(cJSON_Delete) cJSON *monitor = cJSON_Parse(jsz);
    const cJSON *account;
    const cJSON *stream;
    size_t found = 0;

    cJSON_ArrayForEach(account, cJSON_GetObjectItem(monitor, "account_details"))
        cJSON_ArrayForEach(stream, cJSON_GetObjectItem(account, "stream_detail"))
            found += is_fleet_bucket(kube_text(stream, "name", "")) &&
                     kube_number(stream, "config.num_replicas", 1) == replicas;
    return found;
}

static int are_replicated(void *context, struct text_buffer *state, struct error *err)
{
    const struct replication *replication = context;
    /* Each time another server may be asked: one that does not answer must not hold up the others. */
    struct deadline attempt = deadline_min(deadline_in_ms(ASK_MS), replication->deadline);
    cleanup_free char *path = text_format("/api/v1/namespaces/%s/services/" NATS_PODS_SERVICE
                                          ":monitor/proxy/jsz?accounts=true&streams=true&config=true",
                                          replication->target->namespace_name);
    cleanup_error struct error failure = ERROR_INIT;
    cleanup_free char *body = NULL;
    size_t wanted = 0;

    if (kube_get_raw(replication->target->client, path, attempt, &body, &failure) < 0) {
        if (error_is(&failure, &kube_error_domain, KUBE_UNAVAILABLE)) {
            text_buffer_add(state, error_root_detail(&failure));
            return 0;
        }
        error_move(err, &failure);
        return -1;
    }
    while (wire_buckets[wanted])
        wanted++;
    size_t found = count_replicated(body, replication->replicas);
    text_buffer_format(state, "%zu of %zu buckets are on %d servers", found, wanted, replication->replicas);
    return found == wanted;
}

/** Where NATS cannot be reached from here, its replicas are the operator's to raise: wait until it has. */
static int wait_replicated(const struct fleet_server_score *score, const struct topology *topology,
                           struct deadline deadline, struct fleet_server_deployed *deployed, struct error *err)
{
    static const struct wait_options options = {.interval_ms = REPLICATION_MS};
    struct replication replication = {topology->kubernetes, nats_replicas(&score->nats), deadline};

    if (replication.replicas == 1 || deployed->nats.url || topology->kubernetes->dry_run)
        return 0;
    struct score_step step = score_step_begin(topology, "smoke check of buckets", &deployed->outcome);
    int result = wait_until("the buckets to be replicated", are_replicated, &replication, &options, deadline, err);
    score_step_end(&step);
    if (result == 0)
        return 0;
    error_wrap(err, "smoke check of", "buckets");
    err->domain = &deploy_error_domain;
    err->code = DEPLOY_SMOKE_CHECK_FAILED;
    return error_wrap(err, "deploying " FLEET_SERVER_SCORE " to", topology->name);
}

/** Everything is applied before anything is waited for. */
static int deploy(const struct fleet_server_score *score, struct topology *topology, struct deadline deadline,
                  struct fleet_server_deployed *deployed, struct error *err)
{
    struct fleet_operator_score operator_score = score->operator;

    if (!operator_score.nats_url)
        operator_score.nats_replicas = score->nats.replicas;
    if (fleet_nats_score_apply(&score->nats, topology, deadline, &deployed->nats, err) < 0)
        return -1;
    if (!operator_score.nats_url)
        operator_score.nats_url = deployed->nats.in_cluster_url;
    if (fleet_operator_score_apply(&operator_score, topology, deadline, &deployed->operator, err) < 0 ||
        fleet_nats_score_wait(&score->nats, topology, deadline, &deployed->nats, err) < 0 ||
        fleet_operator_score_wait(&operator_score, topology, deadline, &deployed->operator, err) < 0 ||
        wait_replicated(score, topology, deadline, deployed, err) < 0)
        return -1;
    deployed->outcome.changed = deployed->nats.outcome.changed || deployed->operator.outcome.changed;
    return 0;
}

int fleet_server_score_interpret(const struct fleet_server_score *score, struct topology *topology,
                                 struct deadline deadline, struct fleet_server_deployed *ret, struct error *err)
{
    struct fleet_server_deployed deployed = {0};

    if (!topology->kubernetes)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, "deploying " FLEET_SERVER_SCORE " to",
                         topology->name, "it has no Kubernetes API");
    if (nats_score_validate_on_kubernetes(&score->nats, err) < 0 ||
        operator_score_validate(&score->operator, false, err) < 0)
        return -1;
    if (deploy(score, topology, deadline, &deployed, err) < 0) {
        fleet_server_deployed_clear(&deployed);
        return -1;
    }
    fleet_server_deployed_clear(ret);
    *ret = deployed;
    return 0;
}
