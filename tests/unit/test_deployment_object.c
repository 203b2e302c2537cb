/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/deployment_object.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"

FLEET_TEST(deployment_object, nothing_of_a_former_error_stays)
{
    cleanup_deployment_status struct deployment_status status = {
        .counted = true, .failed = 1, .error_device = text_copy("pi-1"), .error_message = text_copy("no such image")};
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_status_patch(&status);
    const cJSON *time = kube_member(patch, "status.aggregate.lastError.time");

    /* A merge patch leaves what it does not name. */
    CHECK(cJSON_IsNull(time), "the time of another error would stay");
    return 0;
}

FLEET_TEST(deployment_object, a_transition_has_its_time_until_the_next)
{
    cleanup_deployment_status struct deployment_status before = {0};
    cleanup_deployment_status struct deployment_status after = {0};
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("%s", "{\"status\":{\"conditions\":[{\"type\":\"Available\",\"status\":\"True\","
                                    "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}");

    deployment_status_read(object, &before);
    deployment_status_set(&after, &before, CONDITION_AVAILABLE, CONDITION_TRUE, "Other", "other words");
    CHECK(text_equal(after.conditions[CONDITION_AVAILABLE].since, "2026-01-01T00:00:00Z"), "it says %s",
          after.conditions[CONDITION_AVAILABLE].since);
    deployment_status_set(&after, &before, CONDITION_AVAILABLE, CONDITION_FALSE, "Other", "other words");
    CHECK(!text_equal(after.conditions[CONDITION_AVAILABLE].since, "2026-01-01T00:00:00Z"),
          "a transition without time");
    return 0;
}

/** Reads the specification of a Deployment; the reason why it is refused, or "". */
static const char *refusal(const char *name, const char *spec, char **ret_message)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_json("{\"metadata\":{\"name\":\"%s\"},\"spec\":%s}", name, spec);
    CLEANUP(deployment_request_free) struct deployment_request *request = deployment_request_read(object);

    free(*ret_message);
    *ret_message = text_copy(request->message ? request->message : "");
    return request->reason ? request->reason : "";
}

FLEET_TEST(deployment_object, what_is_refused_is_named)
{
#define IMAGE(more)                                                                                                    \
    "{\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"a\",\"image\":\"i\"" more "}]}}}"
    static const struct {
        const char *name, *spec, *reason, *field;
    } rows[] = {
        {"a", IMAGE(""), "", ""},
        {"a", IMAGE(",\"env\":null,\"ports\":null,\"health\":null,\"later\":{\"unknown\":1e300}"), "", ""},
        {"a", IMAGE(",\"env\":{\"A\":null}"), "InvalidScore", "spec.score.data.services[0].env.A"},
        {"a", IMAGE(",\"health\":{\"command\":[\"x\"],\"retries\":99999999999999999999}"), "InvalidScore", "retries"},
        {"a.b", IMAGE(""), "InvalidName", "metadata.name"},
        {"a1234567890123456789012345678901234567890123456789012345678901234", IMAGE(""), "InvalidName",
         "metadata.name"},
        {"a", "{\"score\":[]}", "InvalidScore", "spec.score"},
        {"a", "{}", "InvalidScore", "spec.score"},
        {"a", "null", "InvalidSelector", "spec"},
        {"a", "{\"targetSelector\":7}", "InvalidSelector", "spec.targetSelector"},
        {"a", "{\"targetSelector\":{\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"In\",\"values\":[]}]}}",
         "InvalidSelector", "spec.targetSelector.matchExpressions[0].values"},
        {"a", "{\"targetSelector\":{\"matchLabels\":{\"bad key!\":\"x\"}}}", "InvalidSelector", "bad key!"},
        {"a", "{\"targetSelector\":{\"matchExpressions\":[{\"key\":\"two words\",\"operator\":\"Exists\"}]}}",
         "InvalidSelector", "spec.targetSelector.matchExpressions[0].key"},
        {"a", "{\"score\":{\"type\":\"PodmanV9\",\"data\":{}}}", "InvalidScore", "spec.score.type"},
    };
    cleanup_free char *message = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *reason = refusal(rows[i].name, rows[i].spec, &message);

        CHECK(text_equal(reason, rows[i].reason), "%s %s: \"%s\" (%s)", rows[i].name, rows[i].spec, reason, message);
        CHECK(strstr(message, rows[i].field), "%s: \"%s\" does not name %s", rows[i].spec, message, rows[i].field);
    }
    return 0;
}
