/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/converge.h"

#include <stdarg.h>
#include <stdlib.h>

#include "agent/container_match.h"
#include "agent/init_containers.h"
#include "agent/podman_pull.h"
#include "agent/removal.h"
#include "agent/service_watch.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

/** What is to be done about one service. */
enum action {
    ACTION_NONE,
    ACTION_START,
    ACTION_UNPAUSE,
    ACTION_MAKE, /**< there is none */
    ACTION_REPLACE,
};

struct plan {
    struct convergence *convergence;
    const struct container_owner owner;
    struct observed_list observed;
    bool *taken;                               /**< per observed container: it is a service's */
    enum action *actions;                      /**< per service */
    const struct observed_container **current; /**< per service: its container, or NULL */
    struct error first;                        /**< of the services; the others were still attended to */
};

void converge_say(const struct convergence *convergence, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *text = text_format_v(format, arguments);
    va_end(arguments);
    convergence->progress(convergence->context, text);
}

/** There is no point in going on: podman is not there, or we were told to stop. */
static bool is_over(const struct error *err)
{
    return error_is(err, &http_error_domain, HTTP_UNREACHABLE) || error_is(err, &http_error_domain, HTTP_BROKEN) ||
           error_is(err, &http_error_domain, HTTP_STOPPED);
}

bool converge_was_interrupted(const struct error *err)
{
    return is_over(err) || error_is(err, &podman_error_domain, PODMAN_STALE) ||
           error_is(err, &podman_error_domain, PODMAN_NOT_FOUND);
}

static bool has_label(const cJSON *container, const char *label, const char *value)
{
    const cJSON *labels =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(container, "Config"), "Labels");

    return text_equal(json_text_or(labels, label, NULL), value);
}

/**
 * podman's storage knows the name, podman itself does not: it was killed, or lost power, while it made a container of
 * that name. Nothing has run in it, and nothing but its name is left to know it by.
 */
static int remove_unfinished(const struct convergence *convergence, const char *name, const struct error *refusal,
                             struct error *err)
{
    if (podman_container_remove(convergence->client, name, 0, err) < 0)
        return -1;
    return error_set(err, &podman_error_domain, PODMAN_STALE, "creating container", name, "%s",
                     error_root_detail(refusal));
}

/** Somebody has the name we want: one of ours that came up meanwhile, or a stranger, who keeps it. */
static int explain_conflict(const struct convergence *convergence, const char *name, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *container = NULL;
    cleanup_error struct error refusal = ERROR_INIT;

    error_move(&refusal, err);
    if (podman_container_inspect(convergence->client, name, &container, err) < 0) {
        if (!error_is(err, &podman_error_domain, PODMAN_NOT_FOUND))
            return -1;
        error_clear(err);
        return remove_unfinished(convergence, name, &refusal, err);
    }
    if (has_label(container, LABEL_DEVICE, convergence->device) &&
        has_label(container, LABEL_DEPLOYMENT, convergence->deployment))
        return error_set(err, &podman_error_domain, PODMAN_STALE, "creating container", name,
                         "it was made by somebody else meanwhile");
    const char *id = json_text_or(container, "Id", NULL);
    return error_set(err, &general_error_domain, GENERAL_CONFLICT, "creating container", name,
                     "the name is taken by container %.12s, which is not this deployment's; remove or rename it",
                     id ? id : "?");
}

int converge_create(const struct convergence *convergence, bool init, const struct container_spec *spec, char **id,
                    struct error *err)
{
    const struct container_owner owner = {convergence->device, convergence->deployment, init};
    cleanup_free char *name = container_name(&owner, spec->name);
    cleanup_free char *document = container_create_document(&owner, spec);

    if (podman_container_create(convergence->client, name, document, id, err) == 0)
        return 0;
    if (!error_is(err, &podman_error_domain, PODMAN_NAME_IN_USE))
        return -1;
    return explain_conflict(convergence, name, err);
}

/* Looking */

/** The image's inspect document; *ret stays NULL (and 0 is returned) when it is not in local storage. */
static int look_at_image(struct podman_client *client, const char *image, cJSON **ret, struct error *err)
{
    if (podman_image_inspect(client, image, ret, err) == 0)
        return 0;
    if (!error_is(err, &podman_error_domain, PODMAN_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

/** Compare a container that is not known yet. Sets *matches. */
static int compare(const struct plan *plan, const struct container_spec *spec,
                   const struct observed_container *observed, bool *matches, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *container = NULL;
    CLEANUP(cJSON_Delete) cJSON *image = NULL;
    cleanup_free char *difference = NULL;

    if (podman_container_inspect(plan->convergence->client, observed->id, &container, err) < 0) {
        if (!error_is(err, &podman_error_domain, PODMAN_REFUSED))
            return -1;
        /* podman lists it and does not know what it is: it was killed, or lost power, while it removed it */
        converge_say(plan->convergence, "replacing %s: %s", spec->name, error_root_detail(err));
        error_clear(err);
        *matches = false;
        return 0;
    }
    if (look_at_image(plan->convergence->client, spec->image, &image, err) < 0)
        return -1;
    *matches = container_matches(spec, container, image, &difference);
    if (!*matches)
        converge_say(plan->convergence, "replacing %s: %s", spec->name, difference);
    return 0;
}

static enum action action_for_state(const struct plan *plan, const struct container_spec *spec,
                                    const struct observed_container *observed)
{
    switch (observed->state) {
    case OBSERVED_CREATED:
        return ACTION_START;
    case OBSERVED_PAUSED:
        return ACTION_UNPAUSE;
    case OBSERVED_ENDED:
        if (!service_end_is_final(spec, observed->exit_code))
            return ACTION_START;
        return observed->exit_code != 0 && plan->convergence->retry_failed ? ACTION_START : ACTION_NONE;
    case OBSERVED_RUNNING:
    case OBSERVED_CHANGING:
        break;
    }
    return ACTION_NONE;
}

static const struct observed_container *take_observed(struct plan *plan, const struct container_spec *spec)
{
    cleanup_free char *name = container_name(&plan->owner, spec->name);

    for (size_t i = 0; i < plan->observed.count; i++) {
        const struct observed_container *observed = &plan->observed.items[i];
        if (!plan->taken[i] && text_equal(observed->service, spec->name) && text_equal(observed->name, name)) {
            plan->taken[i] = true;
            return observed;
        }
    }
    return NULL;
}

static int plan_service(struct plan *plan, size_t index, struct error *err)
{
    const struct container_spec *spec = &plan->convergence->podman->services[index];
    const struct observed_container *observed = take_observed(plan, spec);
    char **verified = &plan->convergence->verified[index];
    bool matches = true;

    plan->current[index] = observed;
    if (!observed || !text_equal(*verified, observed->id)) {
        free(TAKE_PTR(*verified));
        if (observed && compare(plan, spec, observed, &matches, err) < 0)
            return -1;
        if (observed && matches)
            *verified = text_copy(observed->id);
    }
    if (!observed)
        plan->actions[index] = ACTION_MAKE;
    else
        plan->actions[index] = matches ? action_for_state(plan, spec, observed) : ACTION_REPLACE;
    return 0;
}

static bool needs_fresh_container(const struct plan *plan)
{
    for (size_t i = 0; i < plan->convergence->podman->service_count; i++) {
        if (plan->actions[i] == ACTION_MAKE || plan->actions[i] == ACTION_REPLACE)
            return true;
    }
    return false;
}

/* Images */

struct pull_report {
    const struct convergence *convergence;
    const char *image;
};

static void say_pull(void *context, const char *text)
{
    const struct pull_report *report = context;

    converge_say(report->convergence, "pulling %s: %s", report->image, text);
}

static int need_image(const struct convergence *convergence, const char *image, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct pull_report report = {convergence, image};

    if (look_at_image(convergence->client, image, &document, err) < 0)
        return -1;
    if (document)
        return 0;
    converge_say(convergence, "pulling %s", image); /* podman's first words may be long in coming */
    return podman_pull(convergence->client, image, say_pull, &report, err);
}

static int need_images(const struct plan *plan, struct error *err)
{
    const struct podman_v0 *podman = plan->convergence->podman;

    for (size_t i = 0; i < podman->init_container_count; i++) {
        if (need_image(plan->convergence, podman->init_containers[i].image, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < podman->service_count; i++) {
        bool fresh = plan->actions[i] == ACTION_MAKE || plan->actions[i] == ACTION_REPLACE;
        if (fresh && need_image(plan->convergence, podman->services[i].image, err) < 0)
            return -1;
    }
    return 0;
}

/* Doing */

/** Keep the first failure, go on; returns -1 when there is no going on. */
static int note_failure(struct plan *plan, struct error *err)
{
    bool over = is_over(err);

    if (error_is_set(&plan->first))
        error_clear(err);
    else
        error_move(&plan->first, err);
    return over ? -1 : 0;
}

/** Containers of the deployment that no service of it is served by. */
static int remove_obsolete(struct plan *plan)
{
    cleanup_free const struct observed_container **obsolete =
        NEW_ARRAY(const struct observed_container *, plan->observed.count);
    struct error err = ERROR_INIT;
    size_t count = 0;

    for (size_t i = 0; i < plan->observed.count; i++) {
        if (plan->taken[i])
            continue;
        obsolete[count++] = &plan->observed.items[i];
        converge_say(plan->convergence, "removing %s", plan->observed.items[i].name);
    }
    if (count == 0 || containers_remove(plan->convergence->client, obsolete, count, STOP_GRACE_S, &err) == 0)
        return 0;
    return note_failure(plan, &err);
}

static int make_service(const struct plan *plan, size_t index, struct error *err)
{
    const struct convergence *convergence = plan->convergence;
    cleanup_free char *id = NULL;

    if (converge_create(convergence, false, &convergence->podman->services[index], &id, err) < 0 ||
        podman_container_start(convergence->client, id, err) < 0)
        return -1;
    /* Made from this very spec: it matches, whatever podman shows of it. */
    convergence->verified[index] = TAKE_PTR(id);
    return 0;
}

/**
 * One that podman was killed in the middle of starting may never start again. The next attempt makes another, but not
 * before this one has been refused some times: what it wrote into its own file system goes with it.
 */
static int start_service(const struct plan *plan, size_t index, struct error *err)
{
    const struct convergence *convergence = plan->convergence;
    const char *id = plan->current[index]->id;
    cleanup_error struct error ignored = ERROR_INIT;

    if (podman_container_start(convergence->client, id, err) == 0)
        return 0;
    if (convergence->failures >= STARTS_REFUSED && error_is(err, &podman_error_domain, PODMAN_REFUSED) &&
        podman_container_remove(convergence->client, id, 0, &ignored) < 0)
        log_debug("a container that does not start could not be removed", LOG_TEXT("container", id),
                  LOG_TEXT("reason", error_root_detail(&ignored)));
    return -1;
}

static int do_action(const struct plan *plan, size_t index, struct error *err)
{
    const struct convergence *convergence = plan->convergence;
    const struct observed_container *current = plan->current[index];
    const char *name = convergence->podman->services[index].name;

    switch (plan->actions[index]) {
    case ACTION_NONE:
        break;
    case ACTION_START:
        converge_say(convergence, "starting %s", name);
        return start_service(plan, index, err);
    case ACTION_UNPAUSE:
        converge_say(convergence, "unpausing %s", name);
        return podman_container_unpause(convergence->client, current->id, err);
    case ACTION_REPLACE:
        if (podman_container_remove(convergence->client, current->id, STOP_GRACE_S, err) < 0)
            return -1;
        return make_service(plan, index, err);
    case ACTION_MAKE:
        converge_say(convergence, "creating %s", name);
        return make_service(plan, index, err);
    }
    return 0;
}

static int do_actions(struct plan *plan)
{
    for (size_t i = 0; i < plan->convergence->podman->service_count; i++) {
        struct error err = ERROR_INIT;
        if (do_action(plan, i, &err) == 0)
            continue;
        error_wrap(&err, "bringing up service", plan->convergence->podman->services[i].name);
        if (note_failure(plan, &err) < 0)
            return -1;
    }
    return 0;
}

static int carry_out(struct plan *plan, struct error *err)
{
    const struct convergence *convergence = plan->convergence;
    size_t service_count = convergence->podman ? convergence->podman->service_count : 0;

    for (size_t i = 0; i < service_count; i++) {
        if (plan_service(plan, i, err) < 0)
            return -1;
    }
    if (service_count > 0 && needs_fresh_container(plan)) {
        if (need_images(plan, err) < 0 || init_containers_run(convergence, &plan->observed, err) < 0)
            return -1;
    }
    if (remove_obsolete(plan) == 0 && service_count > 0)
        (void)do_actions(plan); /* failures are in plan->first */
    if (!error_is_set(&plan->first))
        return 0;
    error_move(err, &plan->first);
    return -1;
}

int converge(struct convergence *convergence, struct error *err)
{
    struct plan plan = {.convergence = convergence, .owner = {convergence->device, convergence->deployment, false}};
    size_t service_count = convergence->podman ? convergence->podman->service_count : 0;

    if (podman_container_list(convergence->client, convergence->device, convergence->deployment, &plan.observed, err) <
        0)
        return -1;
    plan.taken = NEW_ARRAY(bool, plan.observed.count);
    plan.actions = NEW_ARRAY(enum action, service_count);
    plan.current = NEW_ARRAY(const struct observed_container *, service_count);
    int result = carry_out(&plan, err);
    free(plan.taken);
    free(plan.actions);
    free(plan.current);
    observed_list_clear(&plan.observed);
    error_clear(&plan.first);
    return result;
}
