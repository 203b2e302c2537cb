/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection to an API server: libcurl, TLS, one exchange at a time. Belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "kubernetes/kube_config.h"
#include "kubernetes/kube_credentials.h"

/** A piece of the body of a 2xx answer. Returns 0 to go on, anything else to end the exchange (that is success). */
typedef int (*kube_on_data)(void *context, const char *data, size_t size);

struct kube_call {
    const char *operation;    /**< "getting Pod", for errors */
    const char *subject;      /**< "namespace/name", for errors; may be NULL */
    const char *method;       /**< "GET", … */
    const char *path;         /**< "/api/v1/…?query", escaped */
    const char *body;         /**< text; NULL: none */
    const char *content_type; /**< of the body; NULL: application/json */
    kube_on_data on_data;     /**< takes the body of a 2xx answer as it comes; NULL: it is collected */
    void *context;
    int stop_fd; /**< an eventfd that ends the exchange when readable; 0: none */
};

struct kube_answer {
    int status;
    char *body; /**< terminated; never NULL after success; owned */
    size_t size;
    long retry_after_s; /**< of the header Retry-After; 0: none */
    bool stopped;       /**< on_data or stop_fd ended it */
};
void kube_answer_clear(struct kube_answer *answer);
static inline void kube_answer_clear_at_exit(struct kube_answer *answer)
{
    kube_answer_clear(answer);
}

struct kube_connection;
/** `config` must outlive it. `cancel_fd`: an eventfd that ends every exchange when readable. Never NULL. */
struct kube_connection *kube_connection_new(const struct kube_config *config, int cancel_fd);
void kube_connection_free(struct kube_connection *connection);
DEFINE_CLEANUP(struct kube_connection *, kube_connection_free)

/**
 * One exchange. Any status is success here. Errors: KUBE_UNAVAILABLE (also at the deadline, and when cancelled),
 * KUBE_UNTRUSTED, KUBE_CONFIG (our certificate or URL is unusable), KUBE_REFUSED (too large an answer).
 */
MUST_CHECK int kube_connection_exchange(struct kube_connection *connection, const struct kube_call *call,
                                        const struct kube_identity *identity, struct deadline deadline,
                                        struct kube_answer *ret, struct error *err);
