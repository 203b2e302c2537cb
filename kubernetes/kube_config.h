/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How to reach an API server, and as whom: a kubeconfig file, or the service account of the Pod we are in.
 */

#include <stdbool.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/text.h"

struct kube_config {
    char *server;             /**< "https://10.0.0.1:6443" */
    char *namespace_name;     /**< of the context or the service account; "default" */
    char *ca_data;            /**< PEM; NULL: the system's authorities */
    char *client_certificate; /**< PEM; NULL: none */
    char *client_key;         /**< PEM; NULL: none */
    char *token;              /**< bearer; NULL: none */
    char *token_file;         /**< read anew from time to time (service account tokens rotate); NULL: none */
    char *user;               /**< basic authentication; NULL: none */
    char *password;
    char *tls_server_name;  /**< NULL: the host of `server` */
    char *proxy_url;        /**< "http://…", "https://…" or "socks5://…"; NULL: none, whatever https_proxy says */
    bool insecure_skip_tls; /**< only where the file says so itself */
    struct text_list exec;  /**< argv of a credential plugin; empty: none */
    struct text_list exec_env; /**< "NAME=value" for it */
    char *exec_api_version;    /**< "client.authentication.k8s.io/v1beta1" */
    char *exec_install_hint;   /**< where to get the plugin, when it is not there; NULL: not told */
    bool exec_cluster_info;    /**< the plugin wants to be told about the server */
};

/**
 * Read a context of a kubeconfig file; files it names are relative to it and are read at once (but token_file).
 * @param path     NULL: the files $KUBECONFIG lists, else ~/.kube/config. Of several the first that has a context, cluster,
 *                 user or current-context counts, and those that do not exist are passed over, as kubectl does.
 * @param context  NULL: current-context
 * Errors: KUBE_CONFIG naming file and field.
 * Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
MUST_CHECK int kube_config_load(const char *path, const char *context, struct kube_config **ret, struct error *err);
/** The same from text. `directory` is what relative paths are relative to. */
MUST_CHECK int kube_config_parse(const char *yaml, size_t size, const char *directory, const char *context,
                                 struct kube_config **ret, struct error *err);
/**
 * The service account of the Pod this process is in. Errors: KUBE_CONFIG when it is in none.
 * Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
 */
MUST_CHECK int kube_config_in_cluster(struct kube_config **ret, struct error *err);
/** The same where the account's files are in `directory`. */
MUST_CHECK int kube_config_account(const char *directory, struct kube_config **ret, struct error *err);
/** Where $KUBECONFIG says; else in a Pod: kube_config_in_cluster; else ~/.kube/config. */
MUST_CHECK int kube_config_default(struct kube_config **ret, struct error *err);
void kube_config_free(struct kube_config *config);
DEFINE_CLEANUP(struct kube_config *, kube_config_free)
