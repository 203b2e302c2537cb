/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "kubernetes/kube_error.h"

#define ACCOUNT_DIRECTORY "/var/run/secrets/kubernetes.io/serviceaccount"

enum {
    CONFIG_MAX = 4 << 20,
    ACCOUNT_FILE_MAX = 1 << 20,
};

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    free(config->server);
    free(config->namespace_name);
    free(config->ca_data);
    free(config->client_certificate);
    free(config->client_key);
    free(config->token);
    free(config->token_file);
    free(config->user);
    free(config->password);
    free(config->tls_server_name);
    text_list_clear(&config->exec);
    text_list_clear(&config->exec_env);
    free(config->exec_api_version);
    free(config);
}

/* Where kubeconfig is, by environment and custom. NULL: nowhere. Caller frees. */
static char *default_path(void)
{
    const char *listed = getenv("KUBECONFIG");
    const char *home = getenv("HOME");

    if (listed) {
        listed += strspn(listed, ":");
        if (*listed)
            return text_copy_n(listed, strcspn(listed, ":"));
    }
    return home ? text_format("%s/.kube/config", home) : NULL;
}

int kube_config_load(const char *path, const char *context, struct kube_config **ret, struct error *err)
{
    cleanup_free char *found = path ? text_copy(path) : default_path();
    cleanup_free char *yaml = NULL;
    cleanup_error struct error reason = ERROR_INIT;
    size_t size = 0;

    if (!found)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "loading kubeconfig", NULL,
                         "neither KUBECONFIG nor HOME is set");
    if (file_read(found, CONFIG_MAX, &yaml, &size, &reason) < 0)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "loading kubeconfig", found, "%s",
                         error_root_detail(&reason));
    const char *slash = strrchr(found, '/');
    cleanup_free char *directory = slash ? text_copy_n(found, (size_t)(slash - found) + 1) : text_copy(".");
    if (kube_config_parse(yaml, size, directory, context, ret, err) < 0)
        return error_wrap(err, "loading kubeconfig", found);
    return 0;
}

/* A file of the service account, without white space at its end. */
static int read_account_file(const char *name, char **ret, struct error *err)
{
    cleanup_free char *path = text_format(ACCOUNT_DIRECTORY "/%s", name);
    cleanup_error struct error reason = ERROR_INIT;
    size_t size = 0;

    if (file_read(path, ACCOUNT_FILE_MAX, ret, &size, &reason) < 0)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "reading service account", path, "%s",
                         error_root_detail(&reason));
    while (size > 0 && strchr(" \t\r\n", (*ret)[size - 1]))
        (*ret)[--size] = '\0';
    return 0;
}

int kube_config_in_cluster(struct kube_config **ret, struct error *err)
{
    CLEANUP(kube_config_free) struct kube_config *config = NEW(struct kube_config);
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");

    if (!host || !*host || !port || !*port)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "finding service account", NULL,
                         "not in a Pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    bool is_version_6 = strchr(host, ':') != NULL;
    config->server = text_format("https://%s%s%s:%s", is_version_6 ? "[" : "", host, is_version_6 ? "]" : "", port);
    config->token_file = text_copy(ACCOUNT_DIRECTORY "/token");
    if (!file_exists(config->token_file))
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "finding service account", config->token_file,
                         "there is no such file");
    if (read_account_file("ca.crt", &config->ca_data, err) < 0 ||
        read_account_file("namespace", &config->namespace_name, err) < 0)
        return -1;
    *ret = TAKE_PTR(config);
    return 0;
}

int kube_config_default(struct kube_config **ret, struct error *err)
{
    if (getenv("KUBERNETES_SERVICE_HOST") && file_exists(ACCOUNT_DIRECTORY "/token"))
        return kube_config_in_cluster(ret, err);
    return kube_config_load(NULL, NULL, ret, err);
}
