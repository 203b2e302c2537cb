/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The custom resource Deployment: what it asks for, and what is said in its status.
 */

#include <cjson/cJSON.h>

#include "base/deadline.h"
#include "base/text.h"
#include "operator/selector.h"

/** What a Deployment asks for. */
struct deployment_request {
    char *name;
    char *uid;
    char *resource_version;
    struct text_list finalizers;
    long generation;
    bool deleting;
    bool has_finalizer; /**< ours */
    /* Why it cannot be accepted; NULL: it can, and then score and selector are there. */
    const char *reason; /**< "InvalidName", "InvalidSelector", "InvalidScore"; static */
    char *message;      /**< names the field: "spec.score.data.services[0].image: is missing" */
    char *score;        /**< the value of its keys */
    struct selector *selector;
};
/** Read an object, however odd: what is wrong with it is in the result. Never NULL. */
struct deployment_request *deployment_request_read(const cJSON *object);
void deployment_request_free(struct deployment_request *request);
DEFINE_CLEANUP(struct deployment_request *, deployment_request_free)

enum deployment_condition { CONDITION_ACCEPTED, CONDITION_AVAILABLE, CONDITION_PROGRESSING, CONDITION_COUNT };

enum condition_value { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

struct condition_status {
    bool known; /**< false: it is not there */
    enum condition_value value;
    long observed_generation;
    char reason[32];
    char *message; /**< NULL: none */
    char since[RFC3339_SIZE];
};

struct deployment_status {
    long observed_generation;
    bool counted; /**< what follows is known; else it is left out */
    long matched; /**< devices */
    long pending;
    long succeeded;
    long failed;
    char *error_device; /**< of the last error; NULL: none */
    char *error_message;
    char *error_time;
    struct condition_status conditions[CONDITION_COUNT];
};
/** Read the status of an object; what is not there is 0. */
void deployment_status_read(const cJSON *object, struct deployment_status *ret);
/** Do both say the same, whenever they said it? */
bool deployment_status_equal(const struct deployment_status *a, const struct deployment_status *b);
/** Set a condition, about status->observed_generation; `before` has since when it has been so. @param message  copied; not empty, which Kubernetes 1.20
 *  takes for null; or NULL */
void deployment_status_set(struct deployment_status *status, const struct deployment_status *before,
                           enum deployment_condition condition, enum condition_value value, const char *reason,
                           const char *message);
/** A merge patch: {"status":{…}}. Freed by cJSON_Delete. */
cJSON *deployment_status_patch(const struct deployment_status *status);
void deployment_status_copy(struct deployment_status *to, const struct deployment_status *from);
void deployment_status_clear(struct deployment_status *status);
static inline void deployment_status_clear_at_exit(struct deployment_status *status)
{
    deployment_status_clear(status);
}
#define cleanup_deployment_status __attribute__((cleanup(deployment_status_clear_at_exit)))

/** A merge patch of metadata.finalizers with ours added, or without it; it fails if the object is another one by now. */
cJSON *deployment_finalizer_patch(const struct text_list *finalizers, const char *resource_version, bool add);
