/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/leader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"
#include "kubernetes/kube_object.h"

#define LEASE_MS      6000
#define RENEW_MS      2000
#define RELEASE_MS    1000
#define HURRIED_PARTS 4 /* a renewal that failed is tried again after this part of the time between renewals */
#define MICROTIME     32

struct leader {
    struct kube_client *client;
    char *namespace_name;
    char *lease;
    char *identity;
    int lease_ms;
    int renew_ms;
    struct thread thread;
    bool started;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    int64_t until_ms; /* it leads until then, by clock_monotonic_ms(); 0: it does not */

    /* The thread's own: what was seen of another's lease, and when it changed last by our clock. */
    char *seen_version;
    int64_t seen_at_ms;
};

bool leader_is(struct leader *leader)
{
    pthread_mutex_lock(&leader->mutex);
    bool leads = clock_monotonic_ms() < leader->until_ms;
    pthread_mutex_unlock(&leader->mutex);
    return leads;
}

struct deadline leader_deadline(struct leader *leader)
{
    pthread_mutex_lock(&leader->mutex);
    struct deadline deadline = {leader->until_ms};
    pthread_mutex_unlock(&leader->mutex);
    return deadline;
}

bool leader_wait(struct leader *leader)
{
    pthread_mutex_lock(&leader->mutex);
    while (!leader->stopping && clock_monotonic_ms() >= leader->until_ms)
        pthread_cond_wait(&leader->changed, &leader->mutex);
    bool leads = !leader->stopping;
    pthread_mutex_unlock(&leader->mutex);
    return leads;
}

/** Set until when it leads; 0: it does not any more. */
static void lead_until(struct leader *leader, int64_t until_ms)
{
    pthread_mutex_lock(&leader->mutex);
    bool led = leader->until_ms != 0;
    leader->until_ms = until_ms;
    pthread_cond_broadcast(&leader->changed);
    pthread_mutex_unlock(&leader->mutex);
    if (led != (until_ms != 0))
        log_info(led ? "not the leader any more" : "leading", LOG_TEXT("identity", leader->identity));
}

/** Kubernetes' MicroTime: microseconds, which nobody needs to be exact. */
static void micro_time(char ret[MICROTIME])
{
    char now[RFC3339_SIZE];

    clock_rfc3339(now);
    snprintf(ret, MICROTIME, "%.23s000Z", now);
}

/** The spec of a lease that is ours; `mine` as it was, or NULL when it is taken just now. */
static void fill_spec(const struct leader *leader, cJSON *spec, const cJSON *mine, long transitions)
{
    char now[MICROTIME];

    micro_time(now);
    json_add_text(spec, "holderIdentity", leader->identity);
    json_add_integer(spec, "leaseDurationSeconds", (leader->lease_ms + 999) / 1000);
    json_add_text(spec, "acquireTime", kube_text(mine, "spec.acquireTime", now));
    json_add_text(spec, "renewTime", now);
    json_add_integer(spec, "leaseTransitions", transitions);
}

static int create(struct leader *leader, struct deadline deadline, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_object_new(&kube_leases, leader->namespace_name, leader->lease);

    fill_spec(leader, kube_ensure(object, "spec"), NULL, 0);
    return kube_create(leader->client, &kube_leases, object, deadline, NULL, err);
}

/** Take or renew; fails with KUBE_CONFLICT when somebody else was faster. */
static int patch(struct leader *leader, const cJSON *object, bool mine, struct deadline deadline, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *change = memory_checked(cJSON_CreateObject());
    long transitions = kube_number(object, "spec.leaseTransitions", 0);

    json_add_text(json_add_object(change, "metadata"), "resourceVersion", kube_resource_version(object));
    fill_spec(leader, json_add_object(change, "spec"), mine ? object : NULL, mine ? transitions : transitions + 1);
    return kube_merge_patch(leader->client, &kube_leases, leader->namespace_name, leader->lease, NULL, change, deadline,
                            NULL, err);
}

/** Has another's lease run out? Its clock does not matter: only that it has not changed for that long. */
static bool has_expired(struct leader *leader, const cJSON *object)
{
    int64_t duration_ms = kube_number(object, "spec.leaseDurationSeconds", LEASE_MS / 1000) * 1000;
    int64_t now_ms = clock_monotonic_ms();

    if (!leader->seen_version || strcmp(leader->seen_version, kube_resource_version(object)) != 0) {
        free(leader->seen_version);
        leader->seen_version = text_copy(kube_resource_version(object));
        leader->seen_at_ms = now_ms;
    }
    return now_ms - leader->seen_at_ms > duration_ms;
}

/** One attempt to take or renew the lease. *leads: it is ours now. */
static int attempt(struct leader *leader, struct deadline deadline, bool *leads, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;

    *leads = false;
    if (kube_get(leader->client, &kube_leases, leader->namespace_name, leader->lease, deadline, &object, err) < 0) {
        if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
            return -1;
        error_clear(err);
        *leads = create(leader, deadline, err) == 0;
        return *leads ? 0 : -1;
    }
    const char *holder = kube_text(object, "spec.holderIdentity", "");
    bool mine = strcmp(holder, leader->identity) == 0;
    if (!mine && holder[0] != '\0' && !has_expired(leader, object))
        return 0;
    *leads = patch(leader, object, mine, deadline, err) == 0;
    return *leads ? 0 : -1;
}

/** Somebody else was faster: not worth a word. */
static bool was_beaten(const struct error *failure)
{
    return error_is(failure, &kube_error_domain, KUBE_CONFLICT) || error_is(failure, &kube_error_domain, KUBE_EXISTS);
}

/** One turn; returns after how many milliseconds the next is due. */
static int turn(struct leader *leader, bool *troubled)
{
    cleanup_error struct error failure = ERROR_INIT;
    int64_t began_ms = clock_monotonic_ms();
    bool leads = false;

    if (attempt(leader, deadline_in_ms(leader->renew_ms), &leads, &failure) == 0) {
        /* Counted from before the request. It ends sooner here than for the others. */
        lead_until(leader, leads ? began_ms + leader->lease_ms - leader->renew_ms / 2 : 0);
        *troubled = false;
        return leader->renew_ms;
    }
    if (!was_beaten(&failure) && !*troubled) {
        log_trouble("the lease cannot be renewed, trying again", &failure);
        *troubled = true;
    }
    if (!leader_is(leader))
        lead_until(leader, 0);
    return leader->renew_ms / HURRIED_PARTS;
}

static void *run(void *context)
{
    struct leader *leader = context;
    bool troubled = false;

    pthread_mutex_lock(&leader->mutex);
    while (!leader->stopping) {
        pthread_mutex_unlock(&leader->mutex);
        int64_t next_ms = clock_monotonic_ms() + turn(leader, &troubled);
        pthread_mutex_lock(&leader->mutex);
        while (!leader->stopping && clock_monotonic_ms() < next_ms)
            condition_wait_until(&leader->changed, &leader->mutex, next_ms);
    }
    pthread_mutex_unlock(&leader->mutex);
    return NULL;
}

int leader_start(const struct leader_options *options, struct leader **ret, struct error *err)
{
    CLEANUP(leader_free) struct leader *leader = NEW(struct leader);

    leader->client = options->client;
    leader->namespace_name = text_copy(options->namespace_name);
    leader->lease = text_copy(options->lease);
    leader->identity = text_copy(options->identity);
    leader->lease_ms = options->lease_ms > 0 ? options->lease_ms : LEASE_MS;
    leader->renew_ms = options->renew_ms > 0 ? options->renew_ms : RENEW_MS;
    pthread_mutex_init(&leader->mutex, NULL);
    condition_init(&leader->changed);
    if (!leader->client)
        leader->until_ms = INT64_MAX;
    else if (thread_start(&leader->thread, run, leader, err) < 0)
        return -1;
    leader->started = leader->client != NULL;
    *ret = TAKE_PTR(leader);
    return 0;
}

/** Others need not wait until it runs out. */
static void release(struct leader *leader)
{
    cleanup_error struct error failure = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    struct deadline deadline = deadline_in_ms(RELEASE_MS);

    if (kube_get(leader->client, &kube_leases, leader->namespace_name, leader->lease, deadline, &object, &failure) ==
            0 &&
        strcmp(kube_text(object, "spec.holderIdentity", ""), leader->identity) == 0) {
        CLEANUP(cJSON_Delete) cJSON *change = memory_checked(cJSON_CreateObject());

        json_add_text(json_add_object(change, "metadata"), "resourceVersion", kube_resource_version(object));
        json_add_text(json_add_object(change, "spec"), "holderIdentity", "");
        if (kube_merge_patch(leader->client, &kube_leases, leader->namespace_name, leader->lease, NULL, change,
                             deadline, NULL, &failure) == 0)
            return;
    }
    if (error_is_set(&failure))
        log_debug("the lease was not given back", LOG_TEXT("error", error_root_detail(&failure)));
}

void leader_resign(struct leader *leader)
{
    pthread_mutex_lock(&leader->mutex);
    leader->stopping = true;
    pthread_cond_broadcast(&leader->changed);
    pthread_mutex_unlock(&leader->mutex);
}

void leader_stop(struct leader *leader)
{
    leader_resign(leader);
    if (!leader->started)
        return;
    thread_join(&leader->thread);
    leader->started = false;
    if (leader->until_ms == 0)
        return;
    lead_until(leader, 0);
    release(leader);
}

void leader_free(struct leader *leader)
{
    if (!leader)
        return;
    leader_stop(leader);
    free(leader->namespace_name);
    free(leader->lease);
    free(leader->identity);
    free(leader->seen_version);
    pthread_cond_destroy(&leader->changed);
    pthread_mutex_destroy(&leader->mutex);
    free(leader);
}
