/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an API server, whatever is between it and us, and a credential plugin may say: a watch, a Status, a credential.
 */

#include "base/json.h"
#include "kubernetes/kube_error.h"
#include "kubernetes/kube_events.h"
#include "kubernetes/kube_exec.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_status.h"
#include "tests/fuzz/fuzz.h"

static int on_event(void *context, enum kube_event event, const cJSON *object, struct error *err)
{
    (void)err;
    REQUIRE(cJSON_IsObject(object), "an event without an object");
    text_buffer_format(context, "%d %s %s\n", (int)event, kube_name(object), kube_resource_version(object));
    return strcmp(kube_name(object), "enough") == 0;
}

/* What is heard when the bytes come in pieces of `piece` bytes. Caller frees. */
static char *hear(const char *data, size_t size, size_t piece)
{
    struct text_buffer heard = {0};
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *version = text_copy("1");
    int told = 0;
    struct kube_events events = {
        .operation = "watching pods",
        .on_event = on_event,
        .context = &heard,
        .resource_version = &version,
        .told = &told,
    };
    int result = 0;

    for (size_t at = 0; at < size && result == 0; at += piece) {
        size_t left = size - at;
        result = kube_events_feed(&events, data + at, left < piece ? left : piece, &err);
    }
    kube_events_clear(&events);
    REQUIRE((result < 0) == error_is_set(&err), "result %d", result);
    REQUIRE(version || result < 0, "it lost its version");
    REQUIRE(!version || *version, "an empty version");
    cleanup_free char *text = result < 0 ? error_text(&err) : text_copy("");
    REQUIRE(result >= 0 || (err.domain == &kube_error_domain && text_is_utf8(text, strlen(text))), "%s", text);
    text_buffer_format(&heard, "%d %d %s %s", result, told, version ? version : "", text);
    return text_buffer_take(&heard);
}

/* Where the network cuts the bytes makes no difference. */
static void watch(const char *data, size_t size)
{
    static const size_t pieces[] = {1, 7, 64};
    cleanup_free char *whole = hear(data, size, size + 1);

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        cleanup_free char *cut = hear(data, size, pieces[i]);
        REQUIRE(text_equal(whole, cut), "%s, in pieces of %zu: %s", whole, pieces[i], cut);
    }
}

static void refuse(const char *data, size_t size)
{
    static const int statuses[] = {302, 401, 404, 409, 422, 429, 500};

    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        cleanup_error struct error err = ERROR_INIT;
        REQUIRE(kube_status_refuse(statuses[i], data, size, "getting Pod", "a/b", &err) < 0, "taken");
        REQUIRE(err.domain == &kube_error_domain && err.code > 0, "another error");
        REQUIRE(*error_root_detail(&err), "no reason");
        cleanup_free char *text = error_text(&err);
        REQUIRE(text_is_utf8(text, strlen(text)), "the error is not UTF-8");
    }
}

static void read_credential(const char *data, size_t size)
{
    const struct kube_config config = {.exec_api_version = (char *)"client.authentication.k8s.io/v1"};
    CLEANUP(kube_exec_credential_clear) struct kube_exec_credential credential = {0};
    cleanup_error struct error refused = ERROR_INIT;

    if (kube_exec_parse(&config, data, size, &credential, &refused) < 0) {
        REQUIRE(refused.domain == &json_error_domain && *error_root_detail(&refused), "another error");
        REQUIRE(!credential.token && !credential.certificate && !credential.key, "refused, but there is a credential");
        return;
    }
    REQUIRE(credential.token || credential.certificate, "no credential");
    REQUIRE(!credential.certificate == !credential.key, "half a certificate");
    REQUIRE(!credential.token || !text_has_control(credential.token), "controls in the token");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    watch((const char *)data, size);
    refuse((const char *)data, size);
    read_credential((const char *)data, size);
    return 0;
}
