/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/podman_client.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

char *podman_label_filter(const char *device, const char *deployment)
{
    CLEANUP(cJSON_Delete) cJSON *filters = cJSON_CreateObject();
    cJSON *labels = json_add_array(filters, "label");
    cleanup_free char *of_device = text_format("%s=%s", LABEL_DEVICE, device);

    cJSON_AddItemToArray(labels, cJSON_CreateString(of_device));
    if (deployment) {
        cleanup_free char *of_deployment = text_format("%s=%s", LABEL_DEPLOYMENT, deployment);
        cJSON_AddItemToArray(labels, cJSON_CreateString(of_deployment));
    }
    cleanup_free char *text = json_print(filters);
    return http_escape(text);
}

static enum observed_state state_of(const char *status)
{
    static const struct {
        const char *status;
        enum observed_state state;
    } states[] = {
        {"running", OBSERVED_RUNNING},     {"exited", OBSERVED_ENDED},  {"stopped", OBSERVED_ENDED},
        {"created", OBSERVED_CREATED},     {"paused", OBSERVED_PAUSED}, {"configured", OBSERVED_CREATED},
        {"initialized", OBSERVED_CREATED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        if (strcmp(states[i].status, status) == 0)
            return states[i].state;
    }
    return OBSERVED_CHANGING;
}

static void observe(const cJSON *entry, struct observed_container *ret)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(entry, "Labels");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(entry, "Names");
    const cJSON *exit_code = cJSON_GetObjectItemCaseSensitive(entry, "ExitCode");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));

    *ret = (struct observed_container){
        .id = text_copy(json_text_or(entry, "Id", "")),
        .name = text_copy(name ? name : ""),
        .image = text_copy(json_text_or(entry, "Image", "")),
        .status = text_copy(json_text_or(entry, "State", "")),
        .health = text_copy(json_text_or(entry, "Status", "")), /* libpod's list calls the health so */
        .exit_code = cJSON_IsNumber(exit_code) ? exit_code->valueint : 0,
        .deployment = text_copy(json_text_or(labels, LABEL_DEPLOYMENT, NULL)),
        .service = text_copy(json_text_or(labels, LABEL_SERVICE, NULL)),
        .init = text_copy(json_text_or(labels, LABEL_INIT, NULL)),
    };
    ret->state = state_of(ret->status);
}

int podman_container_list(struct podman_client *client, const char *device, const char *deployment,
                          struct observed_list *ret, struct error *err)
{
    cleanup_free char *filters = podman_label_filter(device, deployment);
    cleanup_free char *query = text_format("/containers/json?all=true&filters=%s", filters);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    const cJSON *entry = NULL;
    struct observed_list list = {0};

    if (podman_get_json(client, "listing containers", deployment ? deployment : device, query, &document, err) < 0)
        return -1;
    if (!cJSON_IsArray(document))
        return error_set(err, &podman_error_domain, PODMAN_BAD_REPLY, "listing containers", device, "it is no array");
    list.items = NEW_ARRAY(struct observed_container, (size_t)cJSON_GetArraySize(document));
    cJSON_ArrayForEach(entry, document)
        observe(entry, &list.items[list.count++]);
    *ret = list;
    return 0;
}

void observed_list_clear(struct observed_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct observed_container *container = &list->items[i];
        free(container->id);
        free(container->name);
        free(container->image);
        free(container->status);
        free(container->health);
        free(container->deployment);
        free(container->service);
        free(container->init);
    }
    free(list->items);
    *list = (struct observed_list){0};
}
