/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/custom_resources.h"
#include "contracts/names.h"
#include "contracts/score.h"
#include "kubernetes/kube_object.h"
#include "operator/deployment_object.h"

#define JSON_ROOT "$."

static void read_finalizers(struct deployment_request *request, const cJSON *object)
{
    const cJSON *finalizers = kube_member(object, "metadata.finalizers");
    const cJSON *finalizer;

    cJSON_ArrayForEach(finalizer, finalizers) {
        if (cJSON_IsString(finalizer))
            text_list_add(&request->finalizers, finalizer->valuestring);
    }
    request->has_finalizer = text_list_contains(&request->finalizers, FLEET_FINALIZER);
}

static int read_name(struct deployment_request *request)
{
    cleanup_error struct error refused = ERROR_INIT;

    if (token_check(request->name, "deployment name", &refused) == 0)
        return 0;
    request->reason = "InvalidName";
    request->message = text_format("metadata.name: %s", error_root_detail(&refused));
    return -1;
}

static int read_selector(struct deployment_request *request, const cJSON *object)
{
    cleanup_error struct error refused = ERROR_INIT;
    struct json_cursor root = json_root(object);
    struct json_cursor spec;
    struct json_cursor selector;

    if (json_member(&root, "spec", &spec, &refused) == 0 &&
        json_optional(&spec, "targetSelector", &selector, &refused) == 0 &&
        selector_parse(&selector, &request->selector, &refused) == 0)
        return 0;
    const char *path = refused.subject ? refused.subject : ""; /* "$.spec.targetSelector…" */
    if (text_starts_with(path, JSON_ROOT))
        path += strlen(JSON_ROOT);
    request->reason = "InvalidSelector";
    request->message = text_format("%s: %s", path, error_root_detail(&refused));
    return -1;
}

static void read_score(struct deployment_request *request, const cJSON *object)
{
    cleanup_error struct error refused = ERROR_INIT;
    CLEANUP(score_free) struct score *score = NULL;
    const cJSON *value = kube_member(object, "spec.score");

    if (!cJSON_IsObject(value)) {
        request->reason = "InvalidScore";
        request->message = text_copy(value ? "spec.score: is not an object" : "spec.score: is missing");
        return;
    }
    /* As it stands: a newer agent may know fields that this build does not. */
    cleanup_free char *text = json_print(value);
    if (score_decode(text, strlen(text), &score, &refused) < 0) {
        const char *detail = error_root_detail(&refused); /* "$.data.services[0].image: is missing" */
        bool at = detail[0] == '$';

        request->reason = "InvalidScore";
        request->message = text_format("spec.score%s%s", at ? "" : ": ", at ? detail + 1 : detail);
        return;
    }
    request->score = TAKE_PTR(text);
}

struct deployment_request *deployment_request_read(const cJSON *object)
{
    struct deployment_request *request = NEW(struct deployment_request);

    request->name = text_copy(kube_name(object));
    request->uid = text_copy(kube_uid(object));
    request->resource_version = text_copy(kube_resource_version(object));
    request->generation = kube_generation(object);
    request->deleting = kube_is_deleting(object);
    read_finalizers(request, object);
    if (read_name(request) == 0 && read_selector(request, object) == 0)
        read_score(request, object);
    return request;
}

void deployment_request_free(struct deployment_request *request)
{
    if (!request)
        return;
    free(request->name);
    free(request->uid);
    free(request->resource_version);
    text_list_clear(&request->finalizers);
    free(request->message);
    free(request->score);
    selector_free(request->selector);
    free(request);
}

cJSON *deployment_finalizer_patch(const struct text_list *finalizers, const char *resource_version, bool add)
{
    cJSON *patch = memory_checked(cJSON_CreateObject());
    cJSON *metadata = json_add_object(patch, "metadata");
    cJSON *list = json_add_array(metadata, "finalizers");

    json_add_text(metadata, "resourceVersion", resource_version);
    for (size_t i = 0; i < finalizers->count; i++) {
        if (strcmp(finalizers->items[i], FLEET_FINALIZER) != 0)
            cJSON_AddItemToArray(list, memory_checked(cJSON_CreateString(finalizers->items[i])));
    }
    if (add)
        cJSON_AddItemToArray(list, memory_checked(cJSON_CreateString(FLEET_FINALIZER)));
    return patch;
}
