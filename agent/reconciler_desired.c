/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/reconciler_worker.h"
#include "base/log.h"
#include "base/text.h"

static const char disabled[] = "the container runtime is disabled on this device (runtime_enabled = false)";

/** FNV-1a: tells a value from the one before it; nothing depends on it being hard to forge. */
static uint64_t fingerprint(const char *data, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/** Of the canonical form, so that what means the same is the same. */
static uint64_t score_fingerprint(const struct score *score, const char *data, size_t size)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *canonical = NULL;

    if (score_encode(score, &canonical, &ignored) == 0)
        return fingerprint(canonical, strlen(canonical));
    return fingerprint(data, size); /* with every default written out it is over the limit */
}

static void refuse(struct reconciler *reconciler, const char *name, uint64_t revision, const char *reason)
{
    struct deployment *deployment = deployment_table_need(&reconciler->table, name);

    deployment->bucket = reconciler->bucket;
    if (deployment->goal == GOAL_LEFT_ALONE && deployment->revision == revision &&
        text_equal(deployment->report.state.error, reason))
        return; /* it is put again after every reconnect */
    log_warning("a desired state was refused", LOG_TEXT("deployment", name), LOG_INTEGER("revision", revision),
                LOG_TEXT("reason", reason));
    deployment_refuse(deployment, revision, reason);
}

/** Decode a value; NULL when it was refused. */
static struct score *decode(struct reconciler *reconciler, const char *name, uint64_t revision, const char *data,
                            size_t size)
{
    cleanup_error struct error err = ERROR_INIT;
    struct score *score = NULL;

    if (!reconciler->runtime_enabled) {
        refuse(reconciler, name, revision, disabled);
        return NULL;
    }
    if (score_decode(data, size, &score, &err) < 0) {
        cleanup_free char *reason = error_text(&err);
        refuse(reconciler, name, revision, reason);
        return NULL;
    }
    return score;
}

static void put(struct reconciler *reconciler, const struct command *command)
{
    if (command->refusal) {
        refuse(reconciler, command->deployment, command->revision,
               reconciler->runtime_enabled ? command->refusal : disabled);
        return;
    }
    struct score *score = decode(reconciler, command->deployment, command->revision, command->data, command->size);
    if (!score)
        return;
    uint64_t content = score_fingerprint(score, command->data, command->size);
    struct deployment *deployment = deployment_table_need(&reconciler->table, command->deployment);
    bool again = deployment->score && deployment->content == content;
    if (again && deployment->revision == command->revision && deployment->bucket == reconciler->bucket) {
        score_free(score);
        return;
    }
    log_info("a desired state is to be applied", LOG_TEXT("deployment", command->deployment),
             LOG_INTEGER("revision", command->revision));
    deployment->bucket = reconciler->bucket;
    if (again) {
        deployment_want_again(deployment, command->revision, command->data, command->size);
        score_free(score);
    } else {
        deployment_want(deployment, command->revision, content, score, command->data, command->size);
    }
    deployment_announce(deployment);
}

/** `deployment` NULL: the marker of a deletion long done, which is read again after every connect. */
static void forget(struct deployment *deployment)
{
    if (!deployment || (deployment->goal == GOAL_ABSENT && deployment->report.known))
        return; /* already at it */
    log_info("a deployment is to be removed", LOG_TEXT("deployment", deployment->name));
    deployment_want_absent(deployment, true);
}

/** Its bucket was lost. Nobody said that it is to go; if nobody wants it any more, deleting its key will say so. */
static void outlive_bucket(struct deployment *deployment)
{
    if (deployment->goal == GOAL_ABSENT || deployment->revision == 0)
        return; /* said before */
    log_warning("desired-state is another bucket than before and lacks this deployment: it stays until it is deleted",
                LOG_TEXT("deployment", deployment->name));
    deployment_outlive_bucket(deployment);
}

static bool is_of_another_bucket(const struct reconciler *reconciler, const struct deployment *deployment)
{
    return reconciler->runtime_enabled && deployment->bucket != 0 && deployment->bucket != reconciler->bucket;
}

/** After a full read of the bucket: what it does not have was deleted while we could not hear of it. */
static void retain(struct reconciler *reconciler, const struct text_list *names)
{
    for (size_t i = 0; i < reconciler->table.count; i++) {
        struct deployment *deployment = reconciler->table.items[i];
        if (text_list_contains(names, deployment->name))
            continue;
        if (is_of_another_bucket(reconciler, deployment))
            outlive_bucket(deployment);
        else
            forget(deployment);
    }
    reconciler->bucket_seen = true;
    inbox_want_pass(reconciler->inbox, 0);
}

static void report_all(struct reconciler *reconciler)
{
    for (size_t i = 0; i < reconciler->table.count; i++)
        reconciler->table.items[i]->report.changed = reconciler->table.items[i]->report.known;
}

static void note_death(struct reconciler *reconciler, const struct command *command)
{
    struct deployment *deployment = deployment_table_find(&reconciler->table, command->deployment);

    if (deployment)
        deployment_note_death(deployment, command->service, command->id, command->exit_code, clock_monotonic_ms());
}

static void tell_runtime(struct reconciler *reconciler, char *runtime)
{
    if (text_equal(reconciler->runtime, runtime)) {
        free(runtime);
        return;
    }
    free(reconciler->runtime);
    reconciler->runtime = runtime;
    if (reconciler->sink.runtime_seen)
        reconciler->sink.runtime_seen(reconciler->sink.context, runtime);
}

void reconciler_apply(struct reconciler *reconciler, struct command *commands)
{
    for (struct command *command = commands; command; command = command->next) {
        switch (command->kind) {
        case COMMAND_PUT:
            put(reconciler, command);
            break;
        case COMMAND_DELETE:
            forget(deployment_table_find(&reconciler->table, command->deployment));
            break;
        case COMMAND_BUCKET:
            reconciler->bucket = command->bucket;
            break;
        case COMMAND_RETAIN:
            retain(reconciler, &command->names);
            break;
        case COMMAND_REPORT_ALL:
            report_all(reconciler);
            break;
        case COMMAND_DEATH:
            note_death(reconciler, command);
            break;
        case COMMAND_RUNTIME:
            tell_runtime(reconciler, TAKE_PTR(command->data));
            break;
        case COMMAND_PODMAN_ANSWERS:
            reconciler->outage.retry_ms = 0; /* sooner than we would have asked */
            break;
        }
    }
}

static void load_record(void *context, const struct desired_record *record)
{
    struct reconciler *reconciler = context;

    if (!record->data) {
        struct deployment *deployment = deployment_table_need(&reconciler->table, record->deployment);
        deployment->revision = record->revision;
        deployment_want_absent(deployment, false);
        return;
    }
    struct score *score = decode(reconciler, record->deployment, record->revision, record->data, record->size);
    if (!score)
        return;
    struct deployment *deployment = deployment_table_need(&reconciler->table, record->deployment);
    deployment->bucket = record->bucket;
    deployment_want(deployment, record->revision, score_fingerprint(score, record->data, record->size), score, NULL, 0);
}

int reconciler_load(struct reconciler *reconciler, struct error *err)
{
    return desired_store_load(reconciler->store, load_record, reconciler, err);
}
