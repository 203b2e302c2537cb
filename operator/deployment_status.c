/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "operator/deployment_object.h"

static const char *const condition_types[CONDITION_COUNT] = {
    [CONDITION_ACCEPTED] = "Accepted",
    [CONDITION_AVAILABLE] = "Available",
    [CONDITION_PROGRESSING] = "Progressing",
};

static const char *const condition_values[] = {
    [CONDITION_FALSE] = "False",
    [CONDITION_TRUE] = "True",
    [CONDITION_UNKNOWN] = "Unknown",
};

static enum condition_value read_value(const cJSON *item)
{
    const char *text = kube_text(item, "status", "");

    if (strcmp(text, condition_values[CONDITION_TRUE]) == 0)
        return CONDITION_TRUE;
    return strcmp(text, condition_values[CONDITION_FALSE]) == 0 ? CONDITION_FALSE : CONDITION_UNKNOWN;
}

static void read_condition(const cJSON *item, struct condition_status *ret)
{
    const char *message = kube_text(item, "message", NULL);

    free(ret->message);
    ret->known = true;
    ret->value = read_value(item);
    ret->observed_generation = kube_number(item, "observedGeneration", 0);
    snprintf(ret->reason, sizeof(ret->reason), "%s", kube_text(item, "reason", ""));
    ret->message = message && message[0] != '\0' ? text_copy(message) : NULL;
    snprintf(ret->since, sizeof(ret->since), "%s", kube_text(item, "lastTransitionTime", ""));
}

void deployment_status_read(const cJSON *object, struct deployment_status *ret)
{
    const cJSON *conditions = kube_member(object, "status.conditions");
    const cJSON *item;

    *ret = (struct deployment_status){
        .observed_generation = kube_number(object, "status.observedGeneration", 0),
        .counted = kube_member(object, "status.aggregate") != NULL,
        .matched = kube_number(object, "status.aggregate.matched", 0),
        .pending = kube_number(object, "status.aggregate.pending", 0),
        .succeeded = kube_number(object, "status.aggregate.succeeded", 0),
        .failed = kube_number(object, "status.aggregate.failed", 0),
        .error_device = text_copy(kube_text(object, "status.aggregate.lastError.device", NULL)),
        .error_message = text_copy(kube_text(object, "status.aggregate.lastError.message", NULL)),
        .error_time = text_copy(kube_text(object, "status.aggregate.lastError.time", NULL)),
    };
    cJSON_ArrayForEach(item, conditions) {
        for (size_t i = 0; i < CONDITION_COUNT; i++) {
            if (text_equal(kube_text(item, "type", ""), condition_types[i]))
                read_condition(item, &ret->conditions[i]);
        }
    }
}

static bool conditions_equal(const struct condition_status *a, const struct condition_status *b)
{
    return a->known == b->known && a->value == b->value && a->observed_generation == b->observed_generation &&
           strcmp(a->reason, b->reason) == 0 && text_equal(a->message, b->message);
}

bool deployment_status_equal(const struct deployment_status *a, const struct deployment_status *b)
{
    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        if (!conditions_equal(&a->conditions[i], &b->conditions[i]))
            return false;
    }
    return a->observed_generation == b->observed_generation && a->counted == b->counted && a->matched == b->matched &&
           a->pending == b->pending && a->succeeded == b->succeeded && a->failed == b->failed &&
           text_equal(a->error_device, b->error_device) && text_equal(a->error_message, b->error_message) &&
           text_equal(a->error_time, b->error_time);
}

void deployment_status_set(struct deployment_status *status, const struct deployment_status *before,
                           enum deployment_condition condition, enum condition_value value, const char *reason,
                           const char *message)
{
    struct condition_status *to = &status->conditions[condition];
    const struct condition_status *from = &before->conditions[condition];

    free(to->message);
    *to = (struct condition_status){.known = true,
                                    .value = value,
                                    .observed_generation = status->observed_generation,
                                    .message = text_copy(message)};
    snprintf(to->reason, sizeof(to->reason), "%s", reason);
    if (from->known && from->value == value && from->since[0] != '\0')
        memcpy(to->since, from->since, sizeof(to->since));
    else
        clock_rfc3339(to->since);
}

static void add_last_error(cJSON *aggregate, const struct deployment_status *status)
{
    if (!status->error_device) {
        cJSON_AddItemToObject(aggregate, "lastError", memory_checked(cJSON_CreateNull())); /* none any more */
        return;
    }
    cJSON *last_error = json_add_object(aggregate, "lastError");
    json_add_text(last_error, "device", status->error_device);
    json_add_text(last_error, "message", status->error_message);
    if (status->error_time)
        json_add_text(last_error, "time", status->error_time);
    else
        cJSON_AddItemToObject(last_error, "time", memory_checked(cJSON_CreateNull())); /* not that of the one before */
}

static void add_aggregate(cJSON *object, const struct deployment_status *status)
{
    cJSON *aggregate = json_add_object(object, "aggregate");

    json_add_integer(aggregate, "matched", status->matched);
    json_add_integer(aggregate, "pending", status->pending);
    json_add_integer(aggregate, "succeeded", status->succeeded);
    json_add_integer(aggregate, "failed", status->failed);
    add_last_error(aggregate, status);
}

cJSON *deployment_status_patch(const struct deployment_status *status)
{
    cJSON *patch = memory_checked(cJSON_CreateObject());
    cJSON *object = json_add_object(patch, "status");

    json_add_integer(object, "observedGeneration", status->observed_generation);
    if (status->counted)
        add_aggregate(object, status);
    cJSON *conditions = json_add_array(object, "conditions");
    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        const struct condition_status *condition = &status->conditions[i];

        if (!condition->known)
            continue;
        cJSON *item = json_add_object(conditions, NULL);
        json_add_text(item, "type", condition_types[i]);
        json_add_text(item, "status", condition_values[condition->value]);
        json_add_text(item, "reason", condition->reason);
        json_add_text(item, "message", condition->message);
        json_add_integer(item, "observedGeneration", condition->observed_generation);
        json_add_text(item, "lastTransitionTime", condition->since);
    }
    return patch;
}

void deployment_status_copy(struct deployment_status *to, const struct deployment_status *from)
{
    *to = *from;
    to->error_device = text_copy(from->error_device);
    to->error_message = text_copy(from->error_message);
    to->error_time = text_copy(from->error_time);
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        to->conditions[i].message = text_copy(from->conditions[i].message);
}

void deployment_status_clear(struct deployment_status *status)
{
    free(status->error_device);
    free(status->error_message);
    free(status->error_time);
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        free(status->conditions[i].message);
    *status = (struct deployment_status){0};
}
