/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service_watch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

bool service_end_is_final(const struct container_spec *spec, int exit_code)
{
    return spec->restart_policy == RESTART_NO || (spec->restart_policy == RESTART_ON_FAILURE && exit_code == 0);
}

void service_watch_verify(struct service_watch *watch, const char *id)
{
    if (text_equal(watch->verified, id))
        return;
    service_watch_clear(watch);
    watch->verified = text_copy(id);
}

void service_watch_clear(struct service_watch *watch)
{
    free(watch->verified);
    *watch = (struct service_watch){0};
}

/** What is reported of one that keeps exiting must not change by chance, or at every end: each change is a write. */
static void note_exit_code(struct service_watch *watch, int exit_code, int64_t now_ms)
{
    if (watch->code_ms != 0 && now_ms - watch->code_ms < CODE_RENEWED_MS)
        return;
    watch->exit_code = exit_code;
    watch->code_ms = now_ms;
}

void service_watch_died(struct service_watch *watch, const char *id, int exit_code, int64_t now_ms)
{
    if (!text_equal(watch->verified, id))
        return;
    if (watch->death_count == DEATHS_KEPT)
        memmove(&watch->deaths[0], &watch->deaths[1], (DEATHS_KEPT - 1) * sizeof(watch->deaths[0]));
    else
        watch->death_count++;
    watch->deaths[watch->death_count - 1] = now_ms;
    if (watch->death_count == DEATHS_KEPT && now_ms - watch->deaths[0] <= DEATHS_WITHIN_MS)
        watch->keeps_exiting = true;
    if (watch->keeps_exiting)
        note_exit_code(watch, exit_code, now_ms);
}

/** When it will have stayed up (or down) for long enough. */
static int64_t forgiven_ms(const struct service_watch *watch)
{
    return watch->deaths[DEATHS_KEPT - 1] + DEATHS_FORGIVEN_MS;
}

static bool keeps_exiting(struct service_watch *watch, int64_t now_ms)
{
    if (watch->keeps_exiting && now_ms >= forgiven_ms(watch)) {
        watch->keeps_exiting = false;
        watch->death_count = 0;
        watch->code_ms = 0;
    }
    return watch->keeps_exiting;
}

static void find_well(struct service_finding *ret)
{
    *ret = (struct service_finding){.verdict = SERVICE_WELL};
}

static void PRINTF_LIKE(4, 5) find(struct service_finding *ret, enum service_verdict verdict, int64_t look_again_ms,
                                   const char *reason_format, ...)
{
    va_list arguments;

    va_start(arguments, reason_format);
    *ret = (struct service_finding){
        .verdict = verdict, .reason = text_format_v(reason_format, arguments), .look_again_ms = look_again_ms};
    va_end(arguments);
}

static void judge_ended(struct service_watch *watch, const struct container_spec *spec,
                        const struct observed_container *observed, int64_t now_ms, struct service_finding *ret)
{
    if (watch->ended_ms == 0)
        watch->ended_ms = now_ms;
    if (service_end_is_final(spec, observed->exit_code)) {
        if (observed->exit_code == 0)
            find_well(ret);
        else
            find(ret, SERVICE_FAILED, 0, "%s exited with code %d, and its restart policy is \"%s\"", spec->name,
                 observed->exit_code, restart_policy_name(spec->restart_policy));
        return;
    }
    int64_t restarted_ms = watch->ended_ms + PODMAN_RESTARTS_WITHIN_MS;
    bool podman_may = watch->ran && now_ms < restarted_ms;
    find(ret, podman_may ? SERVICE_LATER : SERVICE_NEEDS_WORK, podman_may ? restarted_ms : 0, "%s exited with code %d",
         spec->name, observed->exit_code);
}

static void judge_state(struct service_watch *watch, const struct container_spec *spec,
                        const struct observed_container *observed, int64_t now_ms, struct service_finding *ret)
{
    switch (observed->state) {
    case OBSERVED_RUNNING:
        watch->ran = true;
        watch->ended_ms = 0;
        find_well(ret);
        break;
    case OBSERVED_ENDED:
        judge_ended(watch, spec, observed, now_ms, ret);
        break;
    case OBSERVED_CREATED:
    case OBSERVED_PAUSED:
        find(ret, SERVICE_NEEDS_WORK, 0, "%s is %s", spec->name, observed->status);
        break;
    case OBSERVED_CHANGING:
        find(ret, SERVICE_LATER, 0, "%s is %s", spec->name, observed->status);
        break;
    }
}

void service_watch_judge(struct service_watch *watch, const struct container_spec *spec,
                         const struct observed_container *observed, int64_t now_ms, struct service_finding *ret)
{
    if (!observed) {
        find(ret, SERVICE_NEEDS_WORK, 0, "%s has no container", spec->name);
    } else if (!text_equal(watch->verified, observed->id)) {
        find(ret, SERVICE_NEEDS_WORK, 0, "%s was not looked at yet", spec->name);
    } else if (keeps_exiting(watch, now_ms)) {
        find(ret, SERVICE_FAILED, forgiven_ms(watch), "%s keeps exiting, lately with code %d", spec->name,
             watch->exit_code);
    } else {
        judge_state(watch, spec, observed, now_ms, ret);
    }
}
