/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "kubernetes/kube_config_source.h"
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
    free(config->proxy_url);
    text_list_clear(&config->exec);
    text_list_clear(&config->exec_env);
    free(config->exec_api_version);
    free(config->exec_install_hint);
    free(config);
}

/* Where kubeconfig is, by environment and custom: none when neither says. */
static void default_paths(struct text_list *paths)
{
    const char *listed = getenv("KUBECONFIG");
    const char *home = getenv("HOME");

    for (; listed && *listed; listed += strcspn(listed, ":")) {
        listed += strspn(listed, ":");
        if (*listed)
            text_list_take(paths, text_copy_n(listed, strcspn(listed, ":")));
    }
    if (paths->count == 0 && home)
        text_list_format(paths, "%s/.kube/config", home);
}

/* The files as they were read. */
struct sources {
    struct kube_config_source *items; /* all of it owned */
    size_t count;
};

static void sources_clear(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free((void *)sources->items[i].path);
        free((void *)sources->items[i].directory);
        free((void *)sources->items[i].yaml);
    }
    free(sources->items);
}

/* Add the file at `path`, or nothing where it is missing and `may_be_missing`. */
static int add_source(struct sources *sources, const char *path, bool may_be_missing, struct error *err)
{
    cleanup_error struct error reason = ERROR_INIT;
    cleanup_free char *yaml = NULL;
    const char *slash = strrchr(path, '/');
    size_t size = 0;

    if (file_read(path, CONFIG_MAX, &yaml, &size, &reason) < 0) {
        if (may_be_missing && error_is(&reason, &system_error_domain, ENOENT))
            return 0;
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "loading kubeconfig", path, "%s",
                         error_root_detail(&reason));
    }
    sources->items = memory_resize(sources->items, sources->count + 1, sizeof(struct kube_config_source));
    sources->items[sources->count++] = (struct kube_config_source){
        .path = text_copy(path),
        .directory = slash ? text_copy_n(path, (size_t)(slash - path) + 1) : text_copy("."),
        .yaml = TAKE_PTR(yaml),
        .size = size,
    };
    return 0;
}

int kube_config_load(const char *path, const char *context, struct kube_config **ret, struct error *err)
{
    __attribute__((cleanup(sources_clear))) struct sources sources = {0};
    cleanup_text_list struct text_list paths = {0};

    if (path)
        text_list_add(&paths, path);
    else
        default_paths(&paths);
    if (paths.count == 0)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "loading kubeconfig", NULL,
                         "neither KUBECONFIG nor HOME is set");
    for (size_t i = 0; i < paths.count; i++)
        if (add_source(&sources, paths.items[i], paths.count > 1, err) < 0)
            return -1;
    if (sources.count > 0)
        return kube_config_merge(sources.items, sources.count, context, ret, err);
    cleanup_free char *listed = text_list_join(&paths, ", ");
    return error_set(err, &kube_error_domain, KUBE_CONFIG, "loading kubeconfig", listed,
                     "there is none of these files");
}

/* A file of the service account, without white space at its end. */
static int read_account_file(const char *directory, const char *name, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);
    cleanup_error struct error reason = ERROR_INIT;
    size_t size = 0;

    if (file_read(path, ACCOUNT_FILE_MAX, ret, &size, &reason) < 0)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "reading service account", path, "%s",
                         error_root_detail(&reason));
    while (size > 0 && strchr(" \t\r\n", (*ret)[size - 1]))
        (*ret)[--size] = '\0';
    return 0;
}

int kube_config_account(const char *directory, struct kube_config **ret, struct error *err)
{
    CLEANUP(kube_config_free) struct kube_config *config = NEW(struct kube_config);
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");

    if (!host || !*host || !port || !*port)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "finding service account", NULL,
                         "not in a Pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    bool is_version_6 = strchr(host, ':') != NULL;
    config->server = text_format("https://%s%s%s:%s", is_version_6 ? "[" : "", host, is_version_6 ? "]" : "", port);
    config->token_file = text_format("%s/token", directory);
    if (!file_exists(config->token_file))
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "finding service account", config->token_file,
                         "there is no such file");
    if (read_account_file(directory, "ca.crt", &config->ca_data, err) < 0 ||
        read_account_file(directory, "namespace", &config->namespace_name, err) < 0)
        return -1;
    *ret = TAKE_PTR(config);
    return 0;
}

int kube_config_in_cluster(struct kube_config **ret, struct error *err)
{
    return kube_config_account(ACCOUNT_DIRECTORY, ret, err);
}

int kube_config_default(struct kube_config **ret, struct error *err)
{
    const char *listed = getenv("KUBECONFIG");

    /* Who sets KUBECONFIG in a Pod, as a pipeline's runner, means another cluster than the one it is in. */
    if (!(listed && *listed) && getenv("KUBERNETES_SERVICE_HOST") && file_exists(ACCOUNT_DIRECTORY "/token"))
        return kube_config_in_cluster(ret, err);
    return kube_config_load(NULL, NULL, ret, err);
}
