/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/state_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/** Replace a text that is reported. */
static void set_text(struct state_report *report, char **text, const char *value)
{
    if (text_equal(*text, value))
        return;
    char *copy = text_copy(value);
    free(*text);
    *text = copy;
    report->changed = true;
}

void state_report_enter(struct state_report *report, enum deployment_phase phase, uint64_t revision, const char *error)
{
    struct device_state *state = &report->state;

    if (!report->known || state->phase != phase || state->revision != revision) {
        state->phase = phase;
        state->revision = revision;
        clock_rfc3339(state->since);
        report->changed = true;
    }
    report->known = true;
    report->outage = false;
    set_text(report, &state->error, error);
    set_text(report, &state->message, NULL);
    free(TAKE_PTR(report->later));
}

void state_report_forget_revision(struct state_report *report)
{
    if (!report->known || report->state.revision == 0)
        return;
    report->state.revision = 0;
    report->changed = true;
}

void state_report_say(struct state_report *report, const char *message, int64_t now_ms)
{
    free(TAKE_PTR(report->later));
    if (text_equal(report->state.message, message))
        return;
    if (message && now_ms < report->quiet_ms) {
        report->later = text_copy(message);
        return;
    }
    set_text(report, &report->state.message, message);
    report->quiet_ms = now_ms + MESSAGE_INTERVAL_MS;
}

void state_report_flush(struct state_report *report, int64_t now_ms)
{
    if (!report->later || now_ms < report->quiet_ms)
        return;
    cleanup_free char *later = TAKE_PTR(report->later);
    state_report_say(report, later, now_ms);
}

int64_t state_report_flush_ms(const struct state_report *report)
{
    return report->later ? report->quiet_ms : INT64_MAX;
}

void state_report_outage(struct state_report *report, const char *error)
{
    if (!report->known || report->state.phase == PHASE_FAILED || (!error && !report->outage))
        return;
    report->outage = error != NULL;
    set_text(report, &report->state.error, error);
}

static void clear_containers(struct container_status *containers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(containers[i].name);
        free(containers[i].id);
        free(containers[i].image);
        free(containers[i].status);
    }
    free(containers);
}

/** Services first, then by name, so that the order says nothing about when containers were made. */
static int compare_observed(const void *left, const void *right)
{
    const struct observed_container *a = *(const struct observed_container *const *)left;
    const struct observed_container *b = *(const struct observed_container *const *)right;

    if (!a->service != !b->service)
        return a->service ? -1 : 1;
    return strcmp(a->name, b->name);
}

static size_t select_observed(const char *deployment, const struct observed_list *observed,
                              const struct observed_container **ret)
{
    size_t count = 0;

    for (size_t i = 0; i < observed->count; i++) {
        const struct observed_container *container = &observed->items[i];
        if (text_equal(container->deployment, deployment) && (container->service || container->init))
            ret[count++] = container;
    }
    if (count > 1)
        qsort(ret, count, sizeof(const struct observed_container *), compare_observed);
    return count < DEVICE_CONTAINERS_MAX ? count : DEVICE_CONTAINERS_MAX;
}

static bool containers_are(const struct device_state *state, const struct observed_container *const *selected,
                           size_t count)
{
    if (state->container_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct container_status *container = &state->containers[i];
        const struct observed_container *observed = selected[i];
        if (!text_equal(container->name, observed->service ? observed->service : observed->init) ||
            !text_equal(container->id, observed->id) || !text_equal(container->image, observed->image) ||
            !text_equal(container->status, observed->status))
            return false;
    }
    return true;
}

void state_report_containers(struct state_report *report, const char *deployment, const struct observed_list *observed)
{
    struct device_state *state = &report->state;
    cleanup_free const struct observed_container **selected =
        NEW_ARRAY(const struct observed_container *, observed->count);
    size_t count = select_observed(deployment, observed, selected);

    if (containers_are(state, selected, count))
        return;
    clear_containers(state->containers, state->container_count);
    state->containers = count > 0 ? NEW_ARRAY(struct container_status, count) : NULL;
    state->container_count = count;
    for (size_t i = 0; i < count; i++)
        state->containers[i] = (struct container_status){
            .name = text_copy(selected[i]->service ? selected[i]->service : selected[i]->init),
            .id = text_copy(selected[i]->id),
            .image = text_copy(selected[i]->image),
            .status = text_copy(selected[i]->status)};
    report->changed = true;
}

void state_report_clear(struct state_report *report)
{
    free(report->state.message);
    free(report->state.error);
    clear_containers(report->state.containers, report->state.container_count);
    free(report->later);
    *report = (struct state_report){0};
}
