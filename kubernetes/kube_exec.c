/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_exec.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/process.h"
#include "kubernetes/kube_base64.h"
#include "kubernetes/kube_error.h"
#include "kubernetes/kube_object.h"

enum {
    PLUGIN_MS = 60 * 1000, /* it may ask a cloud */
    SECRET_MAX = 1 << 20,
    NAME_LIMIT = 1024,
};

void kube_exec_credential_clear(struct kube_exec_credential *credential)
{
    free(credential->token);
    free(credential->certificate);
    free(credential->key);
    *credential = (struct kube_exec_credential){0};
}

/* What the plugin is told of us. Caller frees. */
static char *exec_info(const struct kube_config *config)
{
    CLEANUP(cJSON_Delete)
    cJSON *info = kube_json("{\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}");

    json_add_text(info, "apiVersion", config->exec_api_version);
    if (config->exec_cluster_info) {
        cJSON *cluster = kube_ensure(info, "spec.cluster");
        json_add_text(cluster, "server", config->server);
        json_add_text(cluster, "tls-server-name", config->tls_server_name);
        json_add_text(cluster, "proxy-url", config->proxy_url);
        json_add_boolean(cluster, "insecure-skip-tls-verify", config->insecure_skip_tls);
        if (config->ca_data) {
            cleanup_free char *encoded = kube_base64_encode(config->ca_data, strlen(config->ca_data));
            json_add_text(cluster, "certificate-authority-data", encoded);
        }
    }
    return json_print(info);
}

/* RFC 3339 with whole or broken seconds, to the second. Returns false when it is none. */
static bool read_time(const char *text, int64_t *ret)
{
    struct tm when = {0};
    int hours = 0;
    int minutes = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);

    if (!rest)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    time_t seconds = timegm(&when);
    if (strcmp(rest, "Z") == 0) {
        *ret = seconds;
        return true;
    }
    bool is_offset = strlen(rest) == 6 && (*rest == '+' || *rest == '-') && rest[3] == ':';
    if (!is_offset || strspn(rest + 1, "0123456789:") != 5)
        return false;
    hours = (rest[1] - '0') * 10 + rest[2] - '0';
    minutes = (rest[4] - '0') * 10 + rest[5] - '0';
    int offset = (hours * 60 + minutes) * 60;
    *ret = *rest == '+' ? seconds - offset : seconds + offset;
    return true;
}

static int read_member(const struct json_cursor *object, const char *key, char **ret, struct error *err)
{
    struct json_cursor member = {0};

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    return json_present(&member) ? json_string(&member, SECRET_MAX, ret, err) : 0;
}

static int read_credential(const struct kube_config *config, const cJSON *document, struct kube_exec_credential *ret,
                           struct error *err)
{
    struct json_cursor root = json_root(document);
    struct json_cursor version = {0};
    struct json_cursor status = {0};
    cleanup_free char *api_version = NULL;
    cleanup_free char *expires = NULL;

    if (json_member(&root, "apiVersion", &version, err) < 0 || json_string(&version, NAME_LIMIT, &api_version, err) < 0)
        return -1;
    if (!text_equal(api_version, config->exec_api_version))
        return json_refuse(&version, JSON_INVALID, err, "must be %s, is %s", config->exec_api_version, api_version);
    if (json_member(&root, "status", &status, err) < 0 || read_member(&status, "token", &ret->token, err) < 0 ||
        read_member(&status, "clientCertificateData", &ret->certificate, err) < 0 ||
        read_member(&status, "clientKeyData", &ret->key, err) < 0 ||
        read_member(&status, "expirationTimestamp", &expires, err) < 0)
        return -1;
    if (!ret->certificate != !ret->key)
        return json_refuse(&status, JSON_INVALID, err, "needs clientCertificateData and clientKeyData, or neither");
    if (!ret->token && !ret->certificate)
        return json_refuse(&status, JSON_INVALID, err, "has neither token nor client certificate");
    if (ret->token && text_has_control(ret->token))
        return json_refuse(&status, JSON_INVALID, err, "its token has control characters");
    ret->expires_s = INT64_MAX;
    if (expires && !read_time(expires, &ret->expires_s))
        return json_refuse(&status, JSON_INVALID, err, "its expirationTimestamp is no time of RFC 3339");
    return 0;
}

static int run_plugin(const struct kube_config *config, struct deadline deadline, struct process_result *result,
                      struct error *err)
{
    cleanup_free char *info = exec_info(config);
    cleanup_text_list struct text_list environment = {0};

    for (size_t i = 0; i < config->exec_env.count; i++)
        text_list_add(&environment, config->exec_env.items[i]);
    text_list_format(&environment, "KUBERNETES_EXEC_INFO=%s", info);
    const struct process_options options = {
        .argv = (const char *const *)config->exec.items,
        .environment = (const char *const *)environment.items,
    };
    return process_run_checked(&options, deadline_min(deadline, deadline_in_ms(PLUGIN_MS)), result, err);
}

int kube_exec_parse(const struct kube_config *config, const char *data, size_t size, struct kube_exec_credential *ret,
                    struct error *err)
{
    CLEANUP(kube_exec_credential_clear) struct kube_exec_credential credential = {0};
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (json_parse(data, size, &document, err) < 0 || read_credential(config, document, &credential, err) < 0)
        return -1;
    *ret = credential;
    credential = (struct kube_exec_credential){0};
    return 0;
}

int kube_exec_run(const struct kube_config *config, struct deadline deadline, struct kube_exec_credential *ret,
                  struct error *err)
{
    cleanup_process_result struct process_result result = {0};
    cleanup_error struct error reason = ERROR_INIT;

    if (run_plugin(config, deadline, &result, &reason) == 0 &&
        kube_exec_parse(config, result.output, result.output_size, ret, &reason) == 0)
        return 0;
    cleanup_free char *text = error_text(&reason);
    bool is_absent = error_is(&reason, &process_error_domain, PROCESS_NOT_STARTED) && config->exec_install_hint;
    return error_set(err, &kube_error_domain, KUBE_CONFIG, "running credential plugin", config->exec.items[0], "%s%s%s",
                     text, is_absent ? "; " : "", is_absent ? config->exec_install_hint : "");
}
