/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/kubernetes_manifest.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/score.h"
#include "deploy/kubernetes_events.h"

#define LABEL_VALUE_MAX 63
#define NAME_PART_MAX   40 /* of a name that has a hash after it, and a prefix before */
#define HASH_SIZE       8
#define LOG_LINES       20

static bool is_lower_or_digit(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9');
}

char *kubernetes_name(const char *token)
{
    size_t size = strlen(token);
    bool fits = size > 0 && size <= NAME_PART_MAX && is_lower_or_digit(token[0]) && is_lower_or_digit(token[size - 1]);
    cleanup_free char *name = text_copy_n(token, size < NAME_PART_MAX ? size : NAME_PART_MAX);
    char digest[DIGEST_SIZE];

    for (char *at = name; *at; at++) {
        char lower = (char)tolower((unsigned char)*at);

        fits = fits && (is_lower_or_digit(*at) || *at == '-');
        *at = (char)(is_lower_or_digit(lower) ? lower : '-');
    }
    if (fits)
        return TAKE_PTR(name);
    digest_sha256(token, size, digest);
    return text_format("%s-%.*s", name, HASH_SIZE, digest);
}

bool kubernetes_is_label_value(const char *text)
{
    static const char inner[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(text);

    return size == 0 || (size <= LABEL_VALUE_MAX && strspn(text, inner) == size && isalnum((unsigned char)text[0]) &&
                         isalnum((unsigned char)text[size - 1]));
}

/** Base64 (RFC 4648) of a text; caller frees. */
static char *encode(const char *text)
{
    size_t size = strlen(text);
    char *encoded = NEW_ARRAY(char, (size + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)size);
    return encoded;
}

cJSON *kubernetes_secret(const char *namespace_name, const char *name, const char *const *files)
{
    cJSON *secret = kube_object_new(&kube_secrets, namespace_name, name);
    cJSON *data = kube_ensure(secret, "data");

    json_add_text(secret, "type", "Opaque");
    for (size_t i = 0; files[i]; i += 2) {
        cleanup_free char *encoded = encode(files[i + 1]);
        json_add_text(data, files[i], encoded);
    }
    return secret;
}

void kubernetes_secret_digest(const cJSON *secret, const char *text, char ret[DIGEST_SIZE])
{
    cleanup_free char *all = text_format("%s\n%s", kube_uid(secret), text);

    digest_sha256(all, strlen(all), ret);
}

void kubernetes_harden(cJSON *pod_spec)
{
    cJSON *container;

    cJSON_AddItemToObject(pod_spec, "securityContext",
                          kube_json("{\"runAsNonRoot\":true,\"runAsUser\":%d,\"runAsGroup\":%d,\"fsGroup\":%d,"
                                    "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}",
                                    POD_USER, POD_USER, POD_USER));
    cJSON_ArrayForEach(container, cJSON_GetObjectItemCaseSensitive(pod_spec, "containers")) {
        cJSON_AddItemToObject(container, "securityContext",
                              kube_json("{\"allowPrivilegeEscalation\":false,\"readOnlyRootFilesystem\":true,"
                                        "\"capabilities\":{\"drop\":[\"ALL\"]}}"));
        json_add_text(container, "imagePullPolicy", "IfNotPresent");
        json_add_text(container, "terminationMessagePolicy", "FallbackToLogsOnError");
    }
}

void kubernetes_spread(cJSON *pod_spec, const char *component)
{
    cJSON_AddItemToObject(
        pod_spec, "affinity",
        kube_json("{\"podAntiAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":100,"
                  "\"podAffinityTerm\":{\"topologyKey\":\"kubernetes.io/hostname\","
                  "\"labelSelector\":{\"matchLabels\":{\"%s\":\"%s\"}}}}]}}",
                  KUBERNETES_LABEL_NAME, component));
}

int kubernetes_check_image(const char *score, const char *image, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@-";
    size_t size = image ? strlen(image) : 0;

    if (size == 0)
        return score_refuse(err, score, "image", "it must be given");
    if (size > SCORE_IMAGE_MAX || strspn(image, allowed) != size)
        return score_refuse(err, score, "image", "\"%s\" is not the reference of an image", image);
    return 0;
}

/** The end of what a container wrote, of its former run where the present one has only begun; NULL: nothing. */
static char *end_of_log(const struct kubernetes_apply *apply, const char *pod, bool previous)
{
    cleanup_error struct error unreadable = ERROR_INIT;
    char *text = NULL;

    if (kube_pod_log(apply->target->client, apply->target->namespace_name, pod, NULL, LOG_LINES, previous,
                     apply->deadline, &text, &unreadable) < 0)
        return NULL;
    return text;
}

/** Why a container that is waiting will go on doing so; NULL where it may start yet. */
static const char *stuck_reason(const cJSON *container)
{
    static const char *const reasons[] = {"ErrImagePull",         "ImagePullBackOff",  "ErrImageNeverPull",
                                          "InvalidImageName",     "CrashLoopBackOff",  "CreateContainerConfigError",
                                          "CreateContainerError", "RunContainerError", NULL};
    const char *reason = kube_text(container, "state.waiting.reason", "");

    for (size_t i = 0; reasons[i]; i++)
        if (strcmp(reason, reasons[i]) == 0)
            return reason;
    return NULL;
}

int kubernetes_check_pod(const struct kubernetes_apply *apply, const cJSON *pod, struct error *err)
{
    const cJSON *container;

    if (kube_is_deleting(pod))
        return 0;
    cJSON_ArrayForEach(container, kube_member(pod, "status.containerStatuses")) {
        const char *reason = stuck_reason(container);

        if (!reason)
            continue;
        bool crashed = strcmp(reason, "CrashLoopBackOff") == 0;
        cleanup_free char *log = crashed ? end_of_log(apply, kube_name(pod), true) : NULL;
        return error_set(err, &general_error_domain, GENERAL_FAILED, "starting Pod", kube_name(pod), "%s: %s%s%s",
                         reason, kube_text(container, "state.waiting.message", ""), log ? "; its log ends:\n" : "",
                         log ? log : "");
    }
    return 0;
}

static int visit_pod(void *context, cJSON *pod, struct error *err)
{
    return kubernetes_check_pod(context, pod, err);
}

int kubernetes_check_pods(const struct kubernetes_apply *apply, const char *component, struct error *err)
{
    cleanup_free char *selector = text_format(KUBERNETES_LABEL_NAME "=%s", component);
    const struct kube_list_options options = {.label_selector = selector};

    return kube_list(apply->target->client, &kube_pods, apply->target->namespace_name, &options, visit_pod,
                     (void *)apply, apply->deadline, NULL, err);
}

int kubernetes_smoke_check_failed(struct error *err, const struct kubernetes_apply *apply, const char *what)
{
    bool timed_out = error_is(err, &general_error_domain, GENERAL_TIMEOUT);
    cleanup_free char *warning = timed_out ? kubernetes_newest_warning(apply, what) : NULL;
    cleanup_free char *subject =
        text_format("%s%s%s%s", what, warning ? " (newest warning: " : "", warning ? warning : "", warning ? ")" : "");

    error_wrap(err, "smoke check of", subject);
    err->domain = &deploy_error_domain;
    err->code = DEPLOY_SMOKE_CHECK_FAILED;
    return -1;
}
