/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/codec.h"
#include "contracts/score.h"
#include "contracts/wire_time.h"

static const char label_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";

const char *deployment_phase_name(enum deployment_phase phase)
{
    switch (phase) {
    case PHASE_PENDING:
        return "Pending";
    case PHASE_RUNNING:
        return "Running";
    case PHASE_FAILED:
        return "Failed";
    case PHASE_REMOVING:
        return "Removing";
    }
    return "unknown";
}

/** An optional text, "" when absent, cut to `max` bytes. */
static int take_text(const struct json_cursor *object, const char *key, size_t max, char **ret, struct error *err)
{
    cleanup_free char *text = NULL;

    if (codec_optional_text(object, key, DEVICE_VALUE_MAX, &text, err) < 0)
        return -1;
    *ret = utf8_clean(text ? text : "", max);
    return 0;
}

/** The same, NULL when absent. */
static int take_nullable_text(const struct json_cursor *object, const char *key, size_t max, char **ret,
                              struct error *err)
{
    cleanup_free char *text = NULL;

    if (codec_optional_text(object, key, DEVICE_VALUE_MAX, &text, err) < 0)
        return -1;
    *ret = utf8_clean(text, max);
    return 0;
}

static void add_clean_text(cJSON *object, const char *key, const char *text, size_t max)
{
    cleanup_free char *clean = utf8_clean(text, max);

    json_add_text(object, key, clean);
}

static int take_time(const struct json_cursor *cursor, char ret[RFC3339_SIZE], struct error *err)
{
    cleanup_free char *text = NULL;
    cleanup_error struct error refused = ERROR_INIT;
    int64_t ms;

    if (json_string(cursor, DEVICE_TEXT_MAX, &text, err) < 0)
        return -1;
    if (wire_time_parse(text, &ms, &refused) < 0 || wire_time_format(ms, ret, &refused) < 0)
        return json_refuse(cursor, JSON_INVALID, err, "%s", error_root_detail(&refused));
    return 0;
}

static void add_time(cJSON *object, const char *key, const char time[RFC3339_SIZE])
{
    cleanup_free char *text = text_copy_n(time, strnlen(time, RFC3339_SIZE - 1));

    if (*text)
        json_add_text(object, key, text);
}

/* device-info */

static int take_label(const struct json_cursor *item, struct device_label *label, struct error *err)
{
    size_t size = strlen(item->key);

    if (size < 1 || size > DEVICE_LABEL_MAX || item->key[strspn(item->key, label_characters)] != '\0')
        return json_refuse(item, JSON_INVALID, err,
                           "a label's key is not 1 to %d of the characters A-Z, a-z, 0-9, '.', '_', '/' and '-'",
                           DEVICE_LABEL_MAX);
    label->key = text_copy(item->key);
    return codec_plain(item, 0, DEVICE_LABEL_MAX, &label->value, err);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct device_label *)a)->key, ((const struct device_label *)b)->key);
}

static int take_labels(const struct json_cursor *root, struct device_info *info, struct error *err)
{
    struct json_cursor labels;
    struct json_cursor item = {0};
    size_t size;

    if (json_optional(root, "labels", &labels, err) < 0)
        return -1;
    if (!json_present(&labels))
        return 0;
    if (json_object_size(&labels, DEVICE_LABELS_MAX, &size, err) < 0)
        return -1;
    info->labels = NEW_ARRAY(struct device_label, size);
    while (json_next(&labels, &item)) {
        if (take_label(&item, &info->labels[info->label_count++], err) < 0)
            return -1;
    }
    qsort(info->labels, info->label_count, sizeof(*info->labels), compare_labels);
    for (size_t i = 1; i < info->label_count; i++) {
        if (strcmp(info->labels[i - 1].key, info->labels[i].key) == 0)
            return json_refuse(&labels, JSON_INVALID, err, "\"%s\" is given twice", info->labels[i].key);
    }
    return 0;
}

static int take_inventory(const struct json_cursor *root, struct device_info *info, struct error *err)
{
    static const cJSON nothing = {.type = cJSON_Object};
    struct json_cursor inventory;

    if (json_optional(root, "inventory", &inventory, err) < 0)
        return -1;
    if (!json_present(&inventory))
        inventory.value = &nothing; /* an inventory of defaults */
    if (take_text(&inventory, "hostname", DEVICE_TEXT_MAX, &info->inventory.hostname, err) < 0 ||
        take_text(&inventory, "kernel", DEVICE_TEXT_MAX, &info->inventory.kernel, err) < 0 ||
        codec_optional_integer(&inventory, "cpus", 0, WIRE_INTEGER_MAX, 0, &info->inventory.cpus, err) < 0 ||
        codec_optional_integer(&inventory, "memory_kb", 0, WIRE_INTEGER_MAX, 0, &info->inventory.memory_kb, err) < 0)
        return -1;
    return take_nullable_text(&inventory, "container_runtime", DEVICE_TEXT_MAX, &info->inventory.container_runtime,
                              err);
}

static int take_info(const struct json_cursor *root, struct device_info *info, struct error *err)
{
    struct json_cursor member;

    if (json_member(root, "device_id", &member, err) < 0 || codec_token(&member, &info->device_id, err) < 0)
        return -1;
    if (take_text(root, "agent_version", DEVICE_TEXT_MAX, &info->agent_version, err) < 0 ||
        take_text(root, "arch", DEVICE_TEXT_MAX, &info->arch, err) < 0 ||
        take_text(root, "os", DEVICE_TEXT_MAX, &info->os, err) < 0 || take_labels(root, info, err) < 0)
        return -1;
    return take_inventory(root, info, err);
}

int device_info_decode(const char *data, size_t size, struct device_info **ret, struct error *err)
{
    CLEANUP(device_info_free) struct device_info *info = NEW(struct device_info);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, DEVICE_VALUE_MAX, &document, err) < 0)
        return codec_error(err, "decoding device-info");
    struct json_cursor root = json_root(document);
    if (take_info(&root, info, err) < 0)
        return codec_error(err, "decoding device-info");
    *ret = TAKE_PTR(info);
    return 0;
}

static char *print_info(const struct device_info *info)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    json_add_text(document, "device_id", info->device_id);
    add_clean_text(document, "agent_version", info->agent_version, DEVICE_TEXT_MAX);
    add_clean_text(document, "arch", info->arch, DEVICE_TEXT_MAX);
    add_clean_text(document, "os", info->os, DEVICE_TEXT_MAX);
    cJSON *labels = json_add_object(document, "labels");
    for (size_t i = 0; i < info->label_count; i++)
        json_add_text(labels, info->labels[i].key, info->labels[i].value);
    cJSON *inventory = json_add_object(document, "inventory");
    add_clean_text(inventory, "hostname", info->inventory.hostname, DEVICE_TEXT_MAX);
    add_clean_text(inventory, "kernel", info->inventory.kernel, DEVICE_TEXT_MAX);
    json_add_integer(inventory, "cpus", info->inventory.cpus);
    json_add_integer(inventory, "memory_kb", info->inventory.memory_kb);
    add_clean_text(inventory, "container_runtime", info->inventory.container_runtime, DEVICE_TEXT_MAX);
    return json_print(document);
}

int device_info_encode(const struct device_info *info, char **ret, struct error *err)
{
    CLEANUP(device_info_free) struct device_info *canonical = NULL;
    cleanup_free char *draft = print_info(info);

    if (device_info_decode(draft, strlen(draft), &canonical, err) < 0)
        return error_wrap(err, "encoding device-info", info->device_id);
    *ret = print_info(canonical);
    return 0;
}

void device_info_free(struct device_info *info)
{
    if (!info)
        return;
    free(info->device_id);
    free(info->agent_version);
    free(info->arch);
    free(info->os);
    for (size_t i = 0; i < info->label_count; i++) {
        free(info->labels[i].key);
        free(info->labels[i].value);
    }
    free(info->labels);
    free(info->inventory.hostname);
    free(info->inventory.kernel);
    free(info->inventory.container_runtime);
    free(info);
}

/* device-state */

static int take_phase(const struct json_cursor *root, enum deployment_phase *ret, struct error *err)
{
    cleanup_free char *name = NULL;
    struct json_cursor member;

    if (json_member(root, "phase", &member, err) < 0 || json_string(&member, DEVICE_TEXT_MAX, &name, err) < 0)
        return -1;
    for (int phase = PHASE_PENDING; phase <= PHASE_REMOVING; phase++) {
        if (strcmp(name, deployment_phase_name((enum deployment_phase)phase)) == 0) {
            *ret = (enum deployment_phase)phase;
            return 0;
        }
    }
    cleanup_free char *shown = text_excerpt(name);
    return json_refuse(&member, JSON_INVALID, err, "\"%s\" is not Pending, Running, Failed or Removing", shown);
}

static int take_container_status(const struct json_cursor *item, struct container_status *container, struct error *err)
{
    struct json_cursor member;

    if (json_member(item, "name", &member, err) < 0 || codec_token(&member, &container->name, err) < 0)
        return -1;
    if (take_text(item, "id", DEVICE_TEXT_MAX, &container->id, err) < 0 ||
        take_text(item, "image", SCORE_IMAGE_MAX, &container->image, err) < 0)
        return -1;
    return take_text(item, "status", DEVICE_TEXT_MAX, &container->status, err);
}

static int take_container_statuses(const struct json_cursor *root, struct device_state *state, struct error *err)
{
    struct json_cursor array;
    struct json_cursor item = {0};
    size_t size;

    if (json_optional(root, "containers", &array, err) < 0)
        return -1;
    if (!json_present(&array))
        return 0;
    if (json_array_size(&array, DEVICE_CONTAINERS_MAX, &size, err) < 0)
        return -1;
    state->containers = NEW_ARRAY(struct container_status, size);
    while (json_next(&array, &item)) {
        if (take_container_status(&item, &state->containers[state->container_count++], err) < 0)
            return -1;
    }
    return 0;
}

static int take_state(const struct json_cursor *root, struct device_state *state, struct error *err)
{
    struct json_cursor since;
    int64_t revision;

    if (take_phase(root, &state->phase, err) < 0 ||
        codec_optional_integer(root, "revision", 0, WIRE_INTEGER_MAX, 0, &revision, err) < 0)
        return -1;
    state->revision = (uint64_t)revision;
    if (take_nullable_text(root, "message", DEVICE_ERROR_MAX, &state->message, err) < 0 ||
        take_nullable_text(root, "error", DEVICE_ERROR_MAX, &state->error, err) < 0 ||
        take_container_statuses(root, state, err) < 0 || json_optional(root, "since", &since, err) < 0)
        return -1;
    return json_present(&since) ? take_time(&since, state->since, err) : 0;
}

int device_state_decode(const char *data, size_t size, struct device_state **ret, struct error *err)
{
    CLEANUP(device_state_free) struct device_state *state = NEW(struct device_state);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, DEVICE_VALUE_MAX, &document, err) < 0)
        return codec_error(err, "decoding device-state");
    struct json_cursor root = json_root(document);
    if (take_state(&root, state, err) < 0)
        return codec_error(err, "decoding device-state");
    *ret = TAKE_PTR(state);
    return 0;
}

static char *print_state(const struct device_state *state)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    json_add_text(document, "phase", deployment_phase_name(state->phase));
    /* beyond int64_t the number would turn negative; either way the reader refuses it */
    json_add_integer(document, "revision", (int64_t)state->revision);
    add_clean_text(document, "message", state->message, DEVICE_ERROR_MAX);
    add_clean_text(document, "error", state->error, DEVICE_ERROR_MAX);
    cJSON *containers = json_add_array(document, "containers");
    for (size_t i = 0; i < state->container_count; i++) {
        cJSON *container = json_add_object(containers, NULL);
        json_add_text(container, "name", state->containers[i].name);
        add_clean_text(container, "id", state->containers[i].id, DEVICE_TEXT_MAX);
        add_clean_text(container, "image", state->containers[i].image, SCORE_IMAGE_MAX);
        add_clean_text(container, "status", state->containers[i].status, DEVICE_TEXT_MAX);
    }
    add_time(document, "since", state->since);
    return json_print(document);
}

int device_state_encode(const struct device_state *state, char **ret, struct error *err)
{
    CLEANUP(device_state_free) struct device_state *canonical = NULL;
    cleanup_free char *draft = print_state(state);

    if (device_state_decode(draft, strlen(draft), &canonical, err) < 0)
        return error_wrap(err, "encoding device-state", NULL);
    *ret = print_state(canonical);
    return 0;
}

void device_state_free(struct device_state *state)
{
    if (!state)
        return;
    free(state->message);
    free(state->error);
    for (size_t i = 0; i < state->container_count; i++) {
        free(state->containers[i].name);
        free(state->containers[i].id);
        free(state->containers[i].image);
        free(state->containers[i].status);
    }
    free(state->containers);
    free(state);
}

/* device-heartbeat */

static int take_heartbeat(const struct json_cursor *root, struct device_heartbeat *heartbeat, struct error *err)
{
    struct json_cursor member;

    if (json_member(root, "time", &member, err) < 0 || take_time(&member, heartbeat->time, err) < 0)
        return -1;
    if (codec_optional_integer(root, "uptime_s", 0, WIRE_INTEGER_MAX, 0, &heartbeat->uptime_s, err) < 0)
        return -1;
    return take_text(root, "agent_version", DEVICE_TEXT_MAX, &heartbeat->agent_version, err);
}

int device_heartbeat_decode(const char *data, size_t size, struct device_heartbeat **ret, struct error *err)
{
    CLEANUP(device_heartbeat_free) struct device_heartbeat *heartbeat = NEW(struct device_heartbeat);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, DEVICE_VALUE_MAX, &document, err) < 0)
        return codec_error(err, "decoding device-heartbeat");
    struct json_cursor root = json_root(document);
    if (take_heartbeat(&root, heartbeat, err) < 0)
        return codec_error(err, "decoding device-heartbeat");
    *ret = TAKE_PTR(heartbeat);
    return 0;
}

static char *print_heartbeat(const struct device_heartbeat *heartbeat)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    add_time(document, "time", heartbeat->time);
    json_add_integer(document, "uptime_s", heartbeat->uptime_s);
    add_clean_text(document, "agent_version", heartbeat->agent_version, DEVICE_TEXT_MAX);
    return json_print(document);
}

int device_heartbeat_encode(const struct device_heartbeat *heartbeat, char **ret, struct error *err)
{
    CLEANUP(device_heartbeat_free) struct device_heartbeat *canonical = NULL;
    cleanup_free char *draft = print_heartbeat(heartbeat);

    if (device_heartbeat_decode(draft, strlen(draft), &canonical, err) < 0)
        return error_wrap(err, "encoding device-heartbeat", NULL);
    *ret = print_heartbeat(canonical);
    return 0;
}

void device_heartbeat_free(struct device_heartbeat *heartbeat)
{
    if (!heartbeat)
        return;
    free(heartbeat->agent_version);
    free(heartbeat);
}
