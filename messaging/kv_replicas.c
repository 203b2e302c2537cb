/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "contracts/names.h"
#include "messaging/kv.h"

#define UPDATE_WAIT_MS 5000 /* for a cluster to agree on it */

DEFINE_CLEANUP(jsCtx *, jsCtx_Destroy)
DEFINE_CLEANUP(jsStreamInfo *, jsStreamInfo_Destroy)

/** Does a leader answer for the stream, and has every other server what it has? */
static bool is_settled(const jsStreamInfo *stream, int replicas)
{
    const jsClusterInfo *cluster = stream->Cluster;

    if (stream->Config->Replicas != replicas || !cluster || !cluster->Leader || !cluster->Leader[0] ||
        cluster->ReplicasLen != replicas - 1)
        return false;
    for (int i = 0; i < cluster->ReplicasLen; i++)
        if (!cluster->Replicas[i]->Current || cluster->Replicas[i]->Offline)
            return false;
    return true;
}

static int replicate(jsCtx *jetstream, const char *bucket, int replicas, struct error *err)
{
    CLEANUP(jsStreamInfo_Destroy) jsStreamInfo *found = NULL;
    CLEANUP(jsStreamInfo_Destroy) jsStreamInfo *updated = NULL;
    cleanup_free char *stream = text_format("KV_%s", bucket);
    natsStatus status = js_GetStreamInfo(&found, jetstream, stream, NULL, NULL);

    if (status == NATS_OK && found->Config->Replicas != replicas) {
        found->Config->Replicas = replicas;
        status = js_UpdateStream(&updated, jetstream, found->Config, NULL, NULL);
    }
    if (status != NATS_OK)
        return error_set_nats(err, status, "replicating bucket", bucket);
    if (!is_settled(updated ? updated : found, replicas))
        return error_set(err, &kv_error_domain, KV_UNAVAILABLE, "replicating bucket", bucket,
                         "its servers have not caught up yet");
    return 0;
}

int kv_replicate_fleet_buckets(struct nats_connection *connection, int replicas, struct error *err)
{
    CLEANUP(jsCtx_Destroy) jsCtx *jetstream = NULL;
    natsConnection *handle = nats_connection_handle(connection);
    jsOptions options;

    jsOptions_Init(&options);
    options.Wait = UPDATE_WAIT_MS;
    natsStatus status = handle ? natsConnection_JetStream(&jetstream, handle, &options) : NATS_NOT_YET_CONNECTED;
    if (status != NATS_OK)
        return error_set_nats(err, status, "replicating buckets", NULL);
    /* All are asked for, whatever becomes of one: who asks again need not do so once for each of them. */
    for (const char *const *name = wire_buckets; *name; name++) {
        cleanup_error struct error failure = ERROR_INIT;

        if (replicate(jetstream, *name, replicas, &failure) < 0 && !error_is_set(err))
            error_move(err, &failure);
    }
    return error_is_set(err) ? -1 : 0;
}
