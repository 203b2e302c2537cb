/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>

#include "agent/reconciler_worker.h"
#include "agent/retry_delay.h"
#include "base/log.h"
#include "base/text.h"

enum {
    WORK_MAX = 32, /* deployments worked on at a time: slow ones must not keep others waiting */
    TRIM_AFTER_MS = 1000,
    OUTAGE_RETRY_FIRST_MS = 100,
    OUTAGE_RETRY_MOST_MS = 5000,
    OUTAGE_REPORTED_AFTER_MS = 10000, /* a restart of podman's service is no news for a deployment that runs */
};

/* podman is away */

static void begin_outage(struct reconciler *reconciler, const struct error *err, int64_t since_ms)
{
    struct outage *outage = &reconciler->outage;
    int64_t now_ms = clock_monotonic_ms();

    if (outage->since_ms == 0) {
        outage->since_ms = since_ms;
        log_trouble("podman does not answer", err, LOG_TEXT("socket", reconciler->podman_socket));
    }
    free(outage->text);
    outage->text = text_format("podman does not answer at %s: %s", reconciler->podman_socket, error_root_detail(err));
    outage->failures++;
    outage->retry_ms = now_ms + retry_delay_ms(outage->failures, OUTAGE_RETRY_FIRST_MS, OUTAGE_RETRY_MOST_MS);
}

static void end_outage(struct reconciler *reconciler)
{
    if (reconciler->outage.since_ms != 0)
        log_info("podman answers again", LOG_INTEGER("after_ms", clock_monotonic_ms() - reconciler->outage.since_ms));
    free(reconciler->outage.text);
    reconciler->outage = (struct outage){0};
}

/** Those that wait for podman say so at once, the others when it takes long. */
static void report_outage(struct reconciler *reconciler)
{
    const struct outage *outage = &reconciler->outage;
    bool long_enough = clock_monotonic_ms() - outage->since_ms >= OUTAGE_REPORTED_AFTER_MS;

    for (size_t i = 0; i < reconciler->table.count; i++) {
        struct deployment *deployment = reconciler->table.items[i];
        if (outage->since_ms == 0)
            state_report_outage(&deployment->report, NULL);
        else if (long_enough || deployment->step == STEP_DUE)
            state_report_outage(&deployment->report, outage->text);
    }
}

/* Comparing */

/** Containers with our labels whose deployment nobody wants, once we know what is wanted. */
static void judge_leftovers(struct reconciler *reconciler, const struct look_result *result)
{
    bool known = reconciler->bucket_seen && result->request > reconciler->last_removal;

    for (size_t i = 0; known && i < result->observed.count; i++) {
        const char *name = result->observed.items[i].deployment;
        if (!token_is_valid(name) || deployment_table_find(&reconciler->table, name))
            continue;
        log_info("containers of a deployment that does not exist are removed", LOG_TEXT("deployment", name));
        deployment_want_absent(deployment_table_need(&reconciler->table, name), true);
    }
}

static void judge(struct reconciler *reconciler, const struct look_result *result)
{
    int64_t now_ms = clock_monotonic_ms();

    for (size_t i = 0; i < reconciler->table.count; i++) {
        int64_t look_again_ms =
            deployment_judge(reconciler->table.items[i], &result->observed, result->request, now_ms);
        if (look_again_ms < reconciler->look_again_ms)
            reconciler->look_again_ms = look_again_ms;
    }
    judge_leftovers(reconciler, result);
}

void reconciler_look(struct reconciler *reconciler)
{
    reconciler->tick_ms = clock_monotonic_ms() + reconciler->interval_ms;
    if (!reconciler->runtime_enabled) {
        atomic_fetch_add(&reconciler->passes, 1);
        return;
    }
    reconciler->look_again_ms = INT64_MAX;
    reconciler->outage.retry_ms = INT64_MAX;
    reconciler->last_look = look_request(reconciler->look);
}

void reconciler_observe(struct reconciler *reconciler)
{
    cleanup_look_result struct look_result result = {0};

    if (!reconciler->look || !look_take(reconciler->look, &result))
        return;
    reconciler->trim_ms = clock_monotonic_ms() + TRIM_AFTER_MS;
    if (error_is_set(&result.error)) {
        begin_outage(reconciler, &result.error, result.began_ms);
        return;
    }
    end_outage(reconciler);
    judge(reconciler, &result);
    atomic_fetch_add(&reconciler->passes, 1);
}

/* Doing */

/** All its containers are gone; what is kept of it goes last, so that a crash before that begins again. */
static void forget(struct reconciler *reconciler, size_t index)
{
    struct deployment *deployment = reconciler->table.items[index];
    cleanup_error struct error err = ERROR_INIT;

    if (desired_store_remove(reconciler->store, deployment->name, &err) < 0)
        log_failure("a removed deployment stays in the store", &err);
    log_info("a deployment was removed", LOG_TEXT("deployment", deployment->name));
    if (reconciler->sink.removed)
        reconciler->sink.removed(reconciler->sink.context, deployment->name);
    deployment_table_remove(&reconciler->table, index);
    reconciler->last_removal = reconciler->last_look;
}

void reconciler_trim(struct reconciler *reconciler)
{
    if (clock_monotonic_ms() < reconciler->trim_ms || deployment_table_working(&reconciler->table) > 0)
        return;
    malloc_trim(0); /* a list of containers takes many times what is kept of it */
    reconciler->trim_ms = INT64_MAX;
}

bool reconciler_collect(struct reconciler *reconciler)
{
    int64_t now_ms = clock_monotonic_ms();
    bool ended = false;

    for (size_t i = reconciler->table.count; i-- > 0;) { /* downwards: forgetting moves the last one */
        switch (deployment_collect(reconciler->table.items[i], reconciler->last_look, now_ms)) {
        case NEWS_NONE:
            continue;
        case NEWS_ENDED:
        case NEWS_INTERRUPTED:
            break;
        case NEWS_GONE:
            forget(reconciler, i);
            break;
        }
        ended = true;
    }
    return ended;
}

static void notify(void *context)
{
    inbox_nudge(context);
}

static void begin_one(struct reconciler *reconciler, size_t index)
{
    struct deployment *deployment = reconciler->table.items[index];
    cleanup_error struct error err = ERROR_INIT;
    const struct work_order order = {.podman_socket = reconciler->podman_socket,
                                     .device = reconciler->device_id,
                                     .store = reconciler->store,
                                     .notify = notify,
                                     .context = reconciler->inbox};

    if (!reconciler->runtime_enabled && deployment->goal == GOAL_ABSENT)
        forget(reconciler, index); /* podman is never used */
    else if (deployment_begin(deployment, order, &err) < 0)
        log_trouble("work on a deployment could not begin", &err, LOG_TEXT("deployment", deployment->name));
}

bool reconciler_can_begin(const struct reconciler *reconciler, const struct deployment *deployment)
{
    if (reconciler->outage.since_ms != 0 && deployment->change.kind == CHANGE_NONE)
        return false;
    return deployment_table_working(&reconciler->table) < WORK_MAX;
}

void reconciler_begin(struct reconciler *reconciler)
{
    int64_t now_ms = clock_monotonic_ms();

    for (size_t i = reconciler->table.count; i-- > 0;) {
        const struct deployment *deployment = reconciler->table.items[i];
        if (deployment_is_due(deployment, now_ms) && reconciler_can_begin(reconciler, deployment))
            begin_one(reconciler, i);
    }
}

void reconciler_report(struct reconciler *reconciler)
{
    int64_t now_ms = clock_monotonic_ms();

    report_outage(reconciler);
    for (size_t i = 0; i < reconciler->table.count; i++) {
        struct deployment *deployment = reconciler->table.items[i];
        struct state_report *report = &deployment->report;
        state_report_flush(report, now_ms);
        if (!report->known || !report->changed)
            continue;
        report->changed = false;
        if (reconciler->sink.changed)
            reconciler->sink.changed(reconciler->sink.context, deployment->name, &report->state);
    }
}
