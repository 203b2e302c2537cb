/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Credential plugins of kubeconfig.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */

#include <stdint.h>

#include "base/deadline.h"
#include "kubernetes/kube_config.h"

struct kube_exec_credential {
    char *token;       /**< NULL: none; owned */
    char *certificate; /**< PEM; NULL: none; owned */
    char *key;
    int64_t expires_s; /**< Unix time; INT64_MAX: never */
};
void kube_exec_credential_clear(struct kube_exec_credential *credential);
static inline void kube_exec_credential_clear_at_exit(struct kube_exec_credential *credential)
{
    kube_exec_credential_clear(credential);
}

/**
 * Run the plugin of `config` (config->exec is not empty), without a terminal. Errors: KUBE_CONFIG with its own words.
 */
MUST_CHECK int kube_exec_run(const struct kube_config *config, struct deadline deadline,
                             struct kube_exec_credential *ret, struct error *err);
/** What a plugin of `config` wrote. Errors: those of base/json.h. */
MUST_CHECK int kube_exec_parse(const struct kube_config *config, const char *data, size_t size,
                               struct kube_exec_credential *ret, struct error *err);
