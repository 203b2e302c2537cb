/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An API server that says what a script has: each request must be the one a step expects.
 */

#include "kubernetes/kube_client.h"
#include "tests/unit/support_http.h"

enum kube_step_end {
    STEP_REPLY,     /**< a whole reply; the connection is kept */
    STEP_LATER,     /**< the same, with the header "Retry-After: 1" */
    STEP_OVER,      /**< the body is a stream, which ends as it should; the connection is kept */
    STEP_BROKEN,    /**< the body is a stream, which breaks off */
    STEP_STAYS_OPEN /**< the body is a stream, which stays open until the client goes */
};

struct kube_step {
    const char *request; /**< how the request's first line begins: "GET /api/v1/pods?limit=500" */
    const char *body;
    int status;
    enum kube_step_end end;
};
/** A step with a whole reply. */
#define REPLY(request, status, body)                                                                                   \
    {                                                                                                                  \
        request, body, status, STEP_REPLY                                                                              \
    }
/** A step with a stream. */
#define STREAM(request, body, end)                                                                                     \
    {                                                                                                                  \
        request, body, 200, end                                                                                        \
    }

struct fake_kube;
/** A server with the steps, which are NULL-terminated (request NULL) and stay as they are, and a client of it whose
 *  configuration is `config` (NULL: nothing but the server). */
MUST_CHECK int fake_kube_start(const struct kube_step *steps, const struct kube_config *config, struct fake_kube **ret,
                               struct error *err);
void fake_kube_free(struct fake_kube *fake);
DEFINE_CLEANUP(struct fake_kube *, fake_kube_free)
/** Borrowed. */
struct kube_client *fake_kube_client(struct fake_kube *fake);
/** Request `index` (from 0) as it came; NULL: it did not. Caller frees. */
char *fake_kube_request(struct fake_kube *fake, size_t index);
/** Fails unless all steps were asked for, and nothing else. */
MUST_CHECK int fake_kube_check(struct fake_kube *fake, struct error *err);
/** Connections accepted so far. */
int fake_kube_connections(const struct fake_kube *fake);
