/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deployment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container_create.h"
#include "agent/converge.h"
#include "agent/retry_delay.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

/* The state machine of deployment.h as a table. */
enum event { EVENT_WANTED, EVENT_DRIFT, EVENT_BEGUN, EVENT_DONE, EVENT_INTERRUPTED, EVENT_FAILED };

static void due_at_once(struct deployment *deployment)
{
    deployment->due_ms = 0;
}

static void due_anew(struct deployment *deployment)
{
    deployment->due_ms = 0;
    deployment->failures = 0;
    deployment->interruptions = 0;
}

static void due_soon(struct deployment *deployment)
{
    deployment->due_ms = clock_monotonic_ms() + INTERRUPTED_DELAY_MS;
}

static void due_later(struct deployment *deployment)
{
    deployment->failures++;
    deployment->due_ms = clock_monotonic_ms() + retry_delay_ms(deployment->failures, RETRY_FIRST_MS, RETRY_MOST_MS);
}

static void cancel(struct deployment *deployment)
{
    due_anew(deployment);
    work_cancel(deployment->work);
}

static void settle(struct deployment *deployment)
{
    due_anew(deployment);
    deployment->retry_failed = false;
}

struct transition {
    enum deployment_step next;
    void (*act)(struct deployment *deployment); /* NULL: nothing */
};

static const struct transition transitions[][6] =
    {
        [STEP_SETTLED] =
            {
                [EVENT_WANTED] = {STEP_DUE, due_anew},
                [EVENT_DRIFT] = {STEP_DUE, due_at_once},
                [EVENT_BEGUN] = {STEP_SETTLED, NULL},
                [EVENT_DONE] = {STEP_SETTLED, NULL},
                [EVENT_INTERRUPTED] = {STEP_SETTLED, NULL},
                [EVENT_FAILED] = {STEP_SETTLED, NULL},
            },
        [STEP_DUE] =
            {
                [EVENT_WANTED] = {STEP_DUE, due_anew},
                [EVENT_DRIFT] = {STEP_DUE, NULL}, /* a back-off goes on */
                [EVENT_BEGUN] = {STEP_WORKING, NULL},
                [EVENT_DONE] = {STEP_SETTLED, settle}, /* there was nothing to do */
                [EVENT_INTERRUPTED] = {STEP_DUE, due_soon},
                [EVENT_FAILED] = {STEP_DUE, due_later}, /* no thread */
            },
        [STEP_WORKING] =
            {
                [EVENT_WANTED] = {STEP_SUPERSEDED, cancel},
                [EVENT_DRIFT] = {STEP_WORKING, NULL},
                [EVENT_BEGUN] = {STEP_WORKING, NULL},
                [EVENT_DONE] = {STEP_SETTLED, settle},
                [EVENT_INTERRUPTED] = {STEP_DUE, due_soon},
                [EVENT_FAILED] = {STEP_DUE, due_later},
            },
        [STEP_SUPERSEDED] =
            {
                [EVENT_WANTED] = {STEP_SUPERSEDED, NULL},
                [EVENT_DRIFT] = {STEP_SUPERSEDED, NULL},
                [EVENT_BEGUN] = {STEP_SUPERSEDED, NULL},
                [EVENT_DONE] = {STEP_DUE, due_at_once},
                [EVENT_INTERRUPTED] = {STEP_DUE, due_at_once},
                [EVENT_FAILED] = {STEP_DUE, due_at_once},
            },
};

static void happen(struct deployment *deployment, enum event event)
{
    const struct transition *transition = &transitions[deployment->step][event];

    deployment->step = transition->next;
    if (transition->act)
        transition->act(deployment);
}

struct deployment *deployment_new(const char *name)
{
    struct deployment *deployment = NEW(struct deployment);

    snprintf(deployment->name, sizeof(deployment->name), "%s", name);
    return deployment;
}

static void drop_score(struct deployment *deployment)
{
    size_t count = deployment->score ? deployment->score->podman.service_count : 0;

    for (size_t i = 0; i < count; i++)
        service_watch_clear(&deployment->watches[i]);
    free(TAKE_PTR(deployment->watches));
    if (deployment->step == STEP_WORKING && deployment->score)
        work_keep(deployment->work, TAKE_PTR(deployment->score)); /* it is being read there */
    score_free(TAKE_PTR(deployment->score));
}

void deployment_free(struct deployment *deployment)
{
    if (!deployment)
        return;
    work_free(deployment->work);
    deployment->step = STEP_SETTLED;
    drop_score(deployment);
    desired_change_clear(&deployment->change);
    state_report_clear(&deployment->report);
    free(deployment);
}

/* What is wanted */

static void store_later(struct deployment *deployment, const char *data, size_t size)
{
    desired_change_clear(&deployment->change);
    if (data)
        deployment->change = (struct desired_change){.kind = CHANGE_PUT,
                                                     .revision = deployment->revision,
                                                     .bucket = deployment->bucket,
                                                     .data = text_copy_n(data, size),
                                                     .size = size};
}

void deployment_want(struct deployment *deployment, uint64_t revision, uint64_t content, struct score *score,
                     const char *data, size_t size)
{
    drop_score(deployment);
    deployment->goal = GOAL_RUN;
    deployment->revision = revision;
    deployment->content = content;
    deployment->score = score;
    deployment->watches = NEW_ARRAY(struct service_watch, score->podman.service_count);
    deployment->retry_failed = true;
    store_later(deployment, data, size);
    happen(deployment, EVENT_WANTED);
}

void deployment_announce(struct deployment *deployment)
{
    state_report_enter(&deployment->report, PHASE_PENDING, deployment->revision, NULL);
    deployment->report.quiet_ms = clock_monotonic_ms() + MESSAGE_INTERVAL_MS;
}

void deployment_want_again(struct deployment *deployment, uint64_t revision, const char *data, size_t size)
{
    deployment->revision = revision;
    deployment->retry_failed = true;
    store_later(deployment, data, size);
    happen(deployment, EVENT_WANTED);
}

void deployment_outlive_bucket(struct deployment *deployment)
{
    deployment->revision = 0;
    state_report_forget_revision(&deployment->report);
}

void deployment_want_absent(struct deployment *deployment, bool store)
{
    drop_score(deployment);
    desired_change_clear(&deployment->change);
    if (store)
        deployment->change = (struct desired_change){.kind = CHANGE_REMOVING, .revision = deployment->revision};
    deployment->goal = GOAL_ABSENT;
    state_report_enter(&deployment->report, PHASE_REMOVING, deployment->revision, NULL);
    happen(deployment, EVENT_WANTED);
}

void deployment_refuse(struct deployment *deployment, uint64_t revision, const char *reason)
{
    drop_score(deployment);
    deployment->goal = GOAL_LEFT_ALONE;
    deployment->revision = revision;
    state_report_enter(&deployment->report, PHASE_FAILED, revision, reason);
    happen(deployment, EVENT_WANTED);
}

/* What is being done */

bool deployment_is_due(const struct deployment *deployment, int64_t now_ms)
{
    return deployment->step == STEP_DUE && now_ms >= deployment->due_ms;
}

static char **verified_of(const struct deployment *deployment)
{
    size_t count = deployment->score ? deployment->score->podman.service_count : 0;
    char **verified = NEW_ARRAY(char *, count);

    for (size_t i = 0; i < count; i++)
        verified[i] = deployment->watches[i].verified; /* borrowed: copied by work_start */
    return verified;
}

int deployment_begin(struct deployment *deployment, struct work_order order, struct error *err)
{
    if (deployment->goal == GOAL_LEFT_ALONE && deployment->change.kind == CHANGE_NONE) {
        happen(deployment, EVENT_DONE);
        return 0;
    }
    cleanup_free char **verified = verified_of(deployment);
    order.deployment = deployment->name;
    order.score = deployment->score;
    order.verified = verified;
    order.retry_failed = deployment->retry_failed;
    order.failures = deployment->failures;
    order.change = deployment->change;
    order.only_store = deployment->goal == GOAL_LEFT_ALONE;
    if (work_start(&order, &deployment->work, err) < 0) {
        happen(deployment, EVENT_FAILED);
        return -1;
    }
    deployment->change = (struct desired_change){0}; /* it is the work's */
    if (deployment->report.known && deployment->report.state.phase == PHASE_FAILED)
        deployment->report.quiet_ms = clock_monotonic_ms() + RETRY_QUIET_MS;
    happen(deployment, EVENT_BEGUN);
    return 0;
}

/** What the work found out about the containers; worth keeping even if it failed later on. */
static void take_verified(struct deployment *deployment)
{
    char *const *verified = work_verified(deployment->work);

    for (size_t i = 0; deployment->score && i < deployment->score->podman.service_count; i++) {
        service_watch_verify(&deployment->watches[i], verified[i]);
        deployment->watches[i].ran = verified[i] != NULL; /* if it has ended already, podman is about to restart it */
        deployment->watches[i].ended_ms = 0;
    }
}

static void report_failure(struct deployment *deployment, const struct error *err)
{
    cleanup_free char *text = error_text(err);

    log_trouble("reconciling a deployment failed", err, LOG_TEXT("deployment", deployment->name),
                LOG_INTEGER("revision", deployment->revision));
    if (deployment->goal == GOAL_ABSENT) /* still removing: it will be tried again */
        state_report_enter(&deployment->report, PHASE_REMOVING, deployment->revision, text);
    else
        state_report_enter(&deployment->report, PHASE_FAILED, deployment->revision, text);
}

static enum deployment_news end_interrupted(struct deployment *deployment, const struct error *err)
{
    bool podman_is_away = error_is(err, &http_error_domain, HTTP_UNREACHABLE);

    if (!podman_is_away && ++deployment->interruptions > INTERRUPTIONS_MAX) {
        report_failure(deployment, err);
        happen(deployment, EVENT_FAILED);
        return NEWS_ENDED;
    }
    log_debug("work on a deployment was interrupted", LOG_TEXT("deployment", deployment->name),
              LOG_TEXT("reason", error_root_detail(err)));
    happen(deployment, EVENT_INTERRUPTED);
    return NEWS_INTERRUPTED;
}

static enum deployment_news end_work(struct deployment *deployment)
{
    cleanup_error struct error err = ERROR_INIT;
    int result = work_result(deployment->work, &err);

    if (deployment->step == STEP_SUPERSEDED) {
        happen(deployment, EVENT_DONE);
        return NEWS_ENDED;
    }
    take_verified(deployment);
    if (result == 0) {
        happen(deployment, EVENT_DONE);
        return deployment->goal == GOAL_ABSENT ? NEWS_GONE : NEWS_ENDED;
    }
    if (converge_was_interrupted(&err))
        return end_interrupted(deployment, &err);
    report_failure(deployment, &err);
    happen(deployment, EVENT_FAILED);
    return NEWS_ENDED;
}

/** What the disk refused waits for another try, unless something newer is to be stored. */
static void take_unstored(struct deployment *deployment, int64_t now_ms)
{
    struct desired_change change = work_unstored(deployment->work);

    if (deployment->change.kind != CHANGE_NONE || deployment->goal == GOAL_ABSENT) {
        desired_change_clear(&change);
        return;
    }
    deployment->change = change;
    deployment->store_at_ms = now_ms + STORE_AGAIN_MS;
}

/**
 * The first thing that is done about one that runs takes it out of its phase. One that has failed stays so, with its
 * error, until it runs: each attempt would otherwise be two changes to report, and most of the time nobody could read why.
 */
static void report_progress(struct deployment *deployment, const char *progress, int64_t now_ms)
{
    struct state_report *report = &deployment->report;

    if (deployment->goal == GOAL_RUN && (!report->known || report->state.phase == PHASE_RUNNING)) {
        state_report_enter(report, PHASE_PENDING, deployment->revision, NULL);
        report->quiet_ms = 0; /* why is worth saying at once */
    }
    state_report_say(report, progress, now_ms);
}

enum deployment_news deployment_collect(struct deployment *deployment, uint64_t last_look, int64_t now_ms)
{
    if (!deployment->work)
        return NEWS_NONE;
    /* in this order: an end that comes in between is taken the next time */
    bool ended = work_has_ended(deployment->work);
    cleanup_free char *progress = work_progress(deployment->work);
    if (progress && deployment->step == STEP_WORKING)
        report_progress(deployment, progress, now_ms);
    if (!ended)
        return NEWS_NONE;
    enum deployment_news news = end_work(deployment);
    take_unstored(deployment, now_ms);
    deployment->last_look = last_look;
    work_free(TAKE_PTR(deployment->work));
    return news;
}

/* What is observed */

static const struct observed_container *find_observed(const struct deployment *deployment,
                                                      const struct container_spec *spec,
                                                      const struct observed_list *observed)
{
    const struct container_owner owner = {.deployment = deployment->name};
    cleanup_free char *name = container_name(&owner, spec->name);

    for (size_t i = 0; i < observed->count; i++) {
        const struct observed_container *container = &observed->items[i];
        if (text_equal(container->deployment, deployment->name) && text_equal(container->service, spec->name) &&
            strcmp(container->name, name) == 0)
            return container;
    }
    return NULL;
}

static size_t count_observed(const struct deployment *deployment, const struct observed_list *observed)
{
    size_t count = 0;

    for (size_t i = 0; i < observed->count; i++)
        count += text_equal(observed->items[i].deployment, deployment->name);
    return count;
}

/** The gravest of the services' findings, and how many of them have a container. */
static void judge_services(struct deployment *deployment, const struct observed_list *observed, int64_t now_ms,
                           struct service_finding *gravest, size_t *found)
{
    for (size_t i = 0; i < deployment->score->podman.service_count; i++) {
        const struct container_spec *spec = &deployment->score->podman.services[i];
        const struct observed_container *container = find_observed(deployment, spec, observed);
        struct service_finding finding;
        service_watch_judge(&deployment->watches[i], spec, container, now_ms, &finding);
        *found += container != NULL;
        int64_t look_again_ms = finding.look_again_ms ? finding.look_again_ms : INT64_MAX;
        if (look_again_ms > gravest->look_again_ms)
            look_again_ms = gravest->look_again_ms;
        if (finding.verdict > gravest->verdict) {
            free(gravest->reason);
            gravest->verdict = finding.verdict;
            gravest->reason = TAKE_PTR(finding.reason);
        }
        gravest->look_again_ms = look_again_ms;
        free(finding.reason);
    }
}

static void report_health(struct deployment *deployment, const struct observed_list *observed, int64_t now_ms)
{
    cleanup_free char *message = NULL;

    for (size_t i = 0; !message && i < deployment->score->podman.service_count; i++) {
        const struct container_spec *spec = &deployment->score->podman.services[i];
        const struct observed_container *container = find_observed(deployment, spec, observed);
        if (container && strcmp(container->health, "unhealthy") == 0)
            message = text_format("%s is unhealthy", spec->name);
    }
    state_report_say(&deployment->report, message, now_ms);
}

/** Nothing to do: say how it stands. */
static void report_finding(struct deployment *deployment, const struct service_finding *finding,
                           const struct observed_list *observed, int64_t now_ms)
{
    if (finding->verdict == SERVICE_LATER)
        return; /* it is on its way to another state: a report now would be out of date at once */
    bool comes_and_goes = finding->verdict == SERVICE_FAILED && finding->look_again_ms != INT64_MAX;
    if (!comes_and_goes || deployment->report.state.phase != PHASE_FAILED) /* not each time it does */
        state_report_containers(&deployment->report, deployment->name, observed);
    if (finding->verdict == SERVICE_FAILED) {
        state_report_enter(&deployment->report, PHASE_FAILED, deployment->revision, finding->reason);
        return;
    }
    if (deployment->report.state.phase != PHASE_RUNNING || deployment->report.state.revision != deployment->revision ||
        !deployment->report.known)
        state_report_enter(&deployment->report, PHASE_RUNNING, deployment->revision, NULL);
    report_health(deployment, observed, now_ms);
}

/** One that is settled and wanted. Returns when to look again. */
static int64_t judge_settled(struct deployment *deployment, const struct observed_list *observed, int64_t now_ms)
{
    struct service_finding gravest = {.verdict = SERVICE_WELL, .look_again_ms = INT64_MAX};
    size_t found = 0;

    judge_services(deployment, observed, now_ms, &gravest, &found);
    /* Nothing but the services' containers is left of a deployment that is well. */
    if (gravest.verdict == SERVICE_NEEDS_WORK ||
        (gravest.verdict == SERVICE_WELL && count_observed(deployment, observed) > found))
        happen(deployment, EVENT_DRIFT);
    else
        report_finding(deployment, &gravest, observed, now_ms);
    free(gravest.reason);
    return gravest.look_again_ms;
}

int64_t deployment_judge(struct deployment *deployment, const struct observed_list *observed, uint64_t look,
                         int64_t now_ms)
{
    int64_t look_again_ms = INT64_MAX;

    if (look <= deployment->last_look)
        return INT64_MAX; /* another look follows the end of every work */
    if (deployment->goal == GOAL_ABSENT || deployment->step == STEP_WORKING || deployment->step == STEP_SUPERSEDED)
        return INT64_MAX;
    if (deployment->goal == GOAL_LEFT_ALONE || deployment->step == STEP_DUE)
        state_report_containers(&deployment->report, deployment->name, observed);
    else
        look_again_ms = judge_settled(deployment, observed, now_ms);
    if (deployment->change.kind == CHANGE_NONE || deployment->step != STEP_SETTLED)
        return look_again_ms;
    if (now_ms >= deployment->store_at_ms)
        happen(deployment, EVENT_DRIFT); /* what there is to do is to store */
    return look_again_ms < deployment->store_at_ms ? look_again_ms : deployment->store_at_ms;
}

void deployment_note_death(struct deployment *deployment, const char *service, const char *id, int exit_code,
                           int64_t now_ms)
{
    for (size_t i = 0; deployment->score && i < deployment->score->podman.service_count; i++) {
        if (strcmp(deployment->score->podman.services[i].name, service) == 0)
            service_watch_died(&deployment->watches[i], id, exit_code, now_ms);
    }
}
