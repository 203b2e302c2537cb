/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who we are to the server, now: tokens rotate and expire.
 */

#include <stdbool.h>

#include "base/deadline.h"
#include "kubernetes/kube_config.h"

/** What one exchange uses. All owned; NULL: none. */
struct kube_identity {
    char *token;
    char *user;
    char *password;
    char *certificate; /**< PEM */
    char *key;
};
void kube_identity_clear(struct kube_identity *identity);
static inline void kube_identity_clear_at_exit(struct kube_identity *identity)
{
    kube_identity_clear(identity);
}

struct kube_credentials;
/** `config` must outlive it. Never NULL. */
struct kube_credentials *kube_credentials_new(const struct kube_config *config);
void kube_credentials_free(struct kube_credentials *credentials);
DEFINE_CLEANUP(struct kube_credentials *, kube_credentials_free)

/** Thread-safe; may run the plugin, then others wait. *ret is cleared by the caller. Errors: KUBE_CONFIG;
 *  KUBE_UNAVAILABLE when the deadline passed while one waited for another's plugin. */
MUST_CHECK int kube_credentials_get(struct kube_credentials *credentials, struct deadline deadline,
                                    struct kube_identity *ret, struct error *err);
/** The server did not know who used `identity`. Returns true when kube_credentials_get may have a newer one. */
bool kube_credentials_refused(struct kube_credentials *credentials, const struct kube_identity *identity);
