/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/codec.h"
#include "contracts/score_codec.h"

/** An optional array under `key`: its cursor (no value when absent) and its size, 0 when absent. */
static int optional_array(const struct json_cursor *object, const char *key, size_t max, struct json_cursor *ret,
                          size_t *size, struct error *err)
{
    *size = 0;
    if (json_optional(object, key, ret, err) < 0)
        return -1;
    return json_present(ret) ? json_array_size(ret, max, size, err) : 0;
}

static int take_texts(const struct json_cursor *object, const char *key, struct text_list *ret, struct error *err)
{
    struct json_cursor array;
    struct json_cursor item = {0};
    size_t size;

    if (optional_array(object, key, SCORE_LIST_MAX, &array, &size, err) < 0)
        return -1;
    while (size && json_next(&array, &item)) {
        char *text = NULL;
        if (json_string(&item, SCORE_TEXT_MAX, &text, err) < 0)
            return -1;
        text_list_take(ret, text);
    }
    return 0;
}

/** {"KEY": "value"} */
static int take_variable_member(const struct json_cursor *item, struct environment_variable *ret, struct error *err)
{
    if (strlen(item->key) > SCORE_ENV_NAME_MAX)
        return json_refuse(item, JSON_TOO_LONG, err, "a variable's name is over %d bytes", SCORE_ENV_NAME_MAX);
    if (json_string(item, SCORE_ENV_VALUE_MAX, &ret->value, err) < 0)
        return -1;
    ret->name = text_copy(item->key);
    return 0;
}

/** "KEY=value" */
static int take_variable_text(const struct json_cursor *item, struct environment_variable *ret, struct error *err)
{
    cleanup_free char *text = NULL;

    if (json_string(item, SCORE_ENV_NAME_MAX + 1 + SCORE_ENV_VALUE_MAX, &text, err) < 0)
        return -1;
    char *equals = strchr(text, '=');
    if (!equals)
        return json_refuse(item, JSON_INVALID, err, "is not KEY=value");
    if (equals - text > SCORE_ENV_NAME_MAX || strlen(equals + 1) > SCORE_ENV_VALUE_MAX)
        return json_refuse(item, JSON_TOO_LONG, err, "a variable's name is over %d bytes, or its value over %u",
                           SCORE_ENV_NAME_MAX, SCORE_ENV_VALUE_MAX);
    *equals = '\0';
    ret->name = text_copy(text);
    ret->value = text_copy(equals + 1);
    return 0;
}

static int compare_variables(const void *a, const void *b)
{
    return strcmp(((const struct environment_variable *)a)->name, ((const struct environment_variable *)b)->name);
}

static int sort_environment(const struct json_cursor *environment, struct container_spec *container, struct error *err)
{
    struct environment_variable *sorted = container->environment;

    qsort(sorted, container->environment_count, sizeof(*sorted), compare_variables);
    for (size_t i = 1; i < container->environment_count; i++) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0) {
            cleanup_free char *shown = text_excerpt(sorted[i].name);
            return json_refuse(environment, JSON_INVALID, err, "\"%s\" is given twice", shown);
        }
    }
    return 0;
}

static int take_environment(const struct json_cursor *object, struct container_spec *container, struct error *err)
{
    struct json_cursor environment;
    struct json_cursor item = {0};
    size_t size;

    if (json_optional(object, "env", &environment, err) < 0)
        return -1;
    if (!json_present(&environment))
        return 0;
    bool is_array = cJSON_IsArray(environment.value);
    if ((is_array ? json_array_size(&environment, SCORE_LIST_MAX, &size, err)
                  : json_object_size(&environment, SCORE_LIST_MAX, &size, err)) < 0)
        return -1;
    container->environment = NEW_ARRAY(struct environment_variable, size);
    while (json_next(&environment, &item)) {
        struct environment_variable *variable = &container->environment[container->environment_count++];
        if ((is_array ? take_variable_text : take_variable_member)(&item, variable, err) < 0)
            return -1;
        const char *why = environment_name_check(variable->name);
        if (why)
            return json_refuse(&item, JSON_INVALID, err, "%s", why);
    }
    return sort_environment(&environment, container, err);
}

static int take_ports(const struct json_cursor *object, struct container_spec *container, struct error *err)
{
    struct json_cursor array;
    struct json_cursor item = {0};
    size_t size;

    if (optional_array(object, "ports", SCORE_LIST_MAX, &array, &size, err) < 0)
        return -1;
    container->ports = NEW_ARRAY(struct port_mapping, size);
    while (size && json_next(&array, &item)) {
        cleanup_free char *text = NULL;
        if (json_string(&item, SCORE_TEXT_MAX, &text, err) < 0)
            return -1;
        const char *why = port_mapping_parse(text, &container->ports[container->port_count]);
        if (why) {
            cleanup_free char *shown = text_excerpt(text);
            return json_refuse(&item, JSON_INVALID, err, "\"%s\": %s", shown, why);
        }
        container->port_count++;
    }
    return 0;
}

static bool destination_is_taken(const struct container_spec *container)
{
    const struct volume_mount *last = &container->volumes[container->volume_count];

    for (size_t i = 0; i < container->volume_count; i++) {
        if (strcmp(container->volumes[i].destination, last->destination) == 0)
            return true;
    }
    return false;
}

static int take_volume(const struct json_cursor *item, struct container_spec *container, struct error *err)
{
    struct volume_mount *mount = &container->volumes[container->volume_count];
    cleanup_free char *text = NULL;

    if (json_string(item, SCORE_TEXT_MAX, &text, err) < 0)
        return -1;
    const char *why = volume_mount_parse(text, mount);
    if (!why && destination_is_taken(container)) {
        volume_mount_clear(mount);
        why = "another volume has this destination";
    }
    if (why) {
        cleanup_free char *shown = text_excerpt(text);
        return json_refuse(item, JSON_INVALID, err, "\"%s\": %s", shown, why);
    }
    container->volume_count++;
    return 0;
}

static int take_volumes(const struct json_cursor *object, struct container_spec *container, struct error *err)
{
    struct json_cursor array;
    struct json_cursor item = {0};
    size_t size;

    if (optional_array(object, "volumes", SCORE_LIST_MAX, &array, &size, err) < 0)
        return -1;
    container->volumes = NEW_ARRAY(struct volume_mount, size);
    while (size && json_next(&array, &item)) {
        if (take_volume(&item, container, err) < 0)
            return -1;
    }
    return 0;
}

static int take_restart_policy(const struct json_cursor *object, enum restart_policy *ret, struct error *err)
{
    cleanup_free char *name = NULL;
    struct json_cursor member;

    *ret = RESTART_UNLESS_STOPPED;
    if (json_optional(object, "restart_policy", &member, err) < 0)
        return -1;
    if (!json_present(&member))
        return 0;
    if (json_string(&member, SCORE_TEXT_MAX, &name, err) < 0)
        return -1;
    for (int policy = RESTART_UNLESS_STOPPED; policy <= RESTART_NO; policy++) {
        if (strcmp(name, restart_policy_name((enum restart_policy)policy)) == 0) {
            *ret = (enum restart_policy)policy;
            return 0;
        }
    }
    cleanup_free char *shown = text_excerpt(name);
    return json_refuse(&member, JSON_INVALID, err, "\"%s\" is not unless-stopped, always, on-failure or no", shown);
}

static int take_small_integer(const struct json_cursor *object, const char *key, int minimum, int maximum, int fallback,
                              int *ret, struct error *err)
{
    int64_t number;

    if (codec_optional_integer(object, key, minimum, maximum, fallback, &number, err) < 0)
        return -1;
    *ret = (int)number;
    return 0;
}

static int take_health(const struct json_cursor *object, struct health_check *health, struct error *err)
{
    struct json_cursor member;

    if (json_optional(object, "health", &member, err) < 0)
        return -1;
    if (!json_present(&member))
        return 0;
    if (take_texts(&member, "command", &health->command, err) < 0 ||
        take_small_integer(&member, "interval_s", 1, HEALTH_TIME_MAX_S, HEALTH_INTERVAL_DEFAULT_S, &health->interval_s,
                           err) < 0 ||
        take_small_integer(&member, "timeout_s", 1, HEALTH_TIME_MAX_S, HEALTH_TIMEOUT_DEFAULT_S, &health->timeout_s,
                           err) < 0 ||
        take_small_integer(&member, "retries", 1, HEALTH_RETRIES_MAX, HEALTH_RETRIES_DEFAULT, &health->retries, err) <
            0 ||
        take_small_integer(&member, "start_period_s", 0, HEALTH_TIME_MAX_S, 0, &health->start_period_s, err) < 0)
        return -1;
    if (health->command.count == 0)
        *health = (struct health_check){0};
    return 0;
}

/** What services and init containers have in common. */
static int take_container(const struct json_cursor *object, struct container_spec *container, struct error *err)
{
    struct json_cursor member;

    if (json_member(object, "name", &member, err) < 0 || codec_token(&member, &container->name, err) < 0)
        return -1;
    if (json_member(object, "image", &member, err) < 0 ||
        codec_plain(&member, 1, SCORE_IMAGE_MAX, &container->image, err) < 0)
        return -1;
    if (take_texts(object, "args", &container->args, err) < 0 || take_environment(object, container, err) < 0)
        return -1;
    return take_volumes(object, container, err);
}

static int take_service(const struct json_cursor *object, struct container_spec *service, struct error *err)
{
    if (take_container(object, service, err) < 0 || take_ports(object, service, err) < 0 ||
        take_restart_policy(object, &service->restart_policy, err) < 0)
        return -1;
    return take_health(object, &service->health, err);
}

static int take_init_container(const struct json_cursor *object, struct container_spec *container, struct error *err)
{
    if (take_container(object, container, err) < 0)
        return -1;
    return take_small_integer(object, "timeout", 1, INIT_TIMEOUT_MAX_S, INIT_TIMEOUT_DEFAULT_S, &container->timeout_s,
                              err);
}

typedef int (*take_one)(const struct json_cursor *object, struct container_spec *container, struct error *err);

static int take_containers(const struct json_cursor *data, const char *key, take_one take,
                           struct container_spec **containers, size_t *count, struct error *err)
{
    struct json_cursor array;
    struct json_cursor item = {0};
    size_t size;

    if (optional_array(data, key, SCORE_SERVICES_MAX, &array, &size, err) < 0)
        return -1;
    *containers = NEW_ARRAY(struct container_spec, size);
    while (size && json_next(&array, &item)) {
        if (take(&item, &(*containers)[(*count)++], err) < 0)
            return -1;
    }
    return 0;
}

int podman_v0_take(const struct json_cursor *data, struct podman_v0 *ret, struct error *err)
{
    if (take_containers(data, "services", take_service, &ret->services, &ret->service_count, err) < 0)
        return -1;
    return take_containers(data, "init_containers", take_init_container, &ret->init_containers,
                           &ret->init_container_count, err);
}
