/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "contracts/score.h"
#include "operator/deployment_object.h"
#include "tests/fuzz/fuzz.h"

/** What is accepted must be what an agent accepts, and what is refused must say why. */
static void check_request(const struct deployment_request *request)
{
    cleanup_error struct error refused = ERROR_INIT;
    CLEANUP(score_free) struct score *score = NULL;

    if (request->reason) {
        REQUIRE(request->message && request->message[0] != '\0', "%s without a message", request->reason);
        return;
    }
    REQUIRE(request->selector && request->score, "accepted, but incomplete");
    REQUIRE(token_is_valid(request->name), "\"%s\" is no token", request->name);
    REQUIRE(score_decode(request->score, strlen(request->score), &score, &refused) == 0, "an agent refuses it: %s",
            error_root_detail(&refused));
    selector_matches(request->selector, NULL, 0);
}

/** A status read from anything at all can be written. */
static void check_status(const cJSON *object)
{
    cleanup_deployment_status struct deployment_status status = {0};

    deployment_status_read(object, &status);
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_status_patch(&status);
    cleanup_free char *text = json_print(patch);
    REQUIRE(text_is_utf8(text, strlen(text)), "it is not UTF-8");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *object = NULL;

    if (json_parse((const char *)data, size, &object, &refused) < 0)
        return 0;
    CLEANUP(deployment_request_free) struct deployment_request *request = deployment_request_read(object);
    check_request(request);
    check_status(object);
    return 0;
}
