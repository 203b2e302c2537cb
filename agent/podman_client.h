/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * podman's libpod REST API, as far as the agent needs it, over its Unix socket.
 * https://docs.podman.io/en/latest/_static/api.html (v4.0.0; podman 4 and 5 serve it)
 *
 * One client is one keep-alive connection and belongs to one thread at a time. Every call has a deadline of its own.
 * Errors of every call: podman (below), and http for what happened on the way there.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/http.h"

#define PODMAN_API "/v4.0.0/libpod"

/* The labels that make a container the agent's. A container is touched only if the first one says our device. */
#define LABEL_DEVICE     "io.harmony.fleet.device"
#define LABEL_DEPLOYMENT "io.harmony.fleet.deployment"
#define LABEL_SERVICE    "io.harmony.fleet.service" /* a service's name, or */
#define LABEL_INIT       "io.harmony.fleet.init"    /* an init container's */

extern const struct error_domain podman_error_domain;
enum podman_error {
    PODMAN_REFUSED = 1, /**< podman's own words are in the detail */
    PODMAN_NOT_FOUND,   /**< no such container or image */
    PODMAN_NAME_IN_USE, /**< another container has the name */
    PODMAN_BAD_REPLY,   /**< a reply that is not what the API promises */
    PODMAN_STALE,       /**< what was listed has changed meanwhile: look again */
};

struct podman_client;
/** Connects at the first call. Errors: general/GENERAL_INVALID (a path too long for a socket). */
MUST_CHECK int podman_client_new(const char *socket, struct podman_client **ret, struct error *err);
void podman_client_free(struct podman_client *client);
DEFINE_CLEANUP(struct podman_client *, podman_client_free)
/** End the call that runs in another thread, and all that follow, with HTTP_STOPPED. Thread-safe. */
void podman_client_cancel(struct podman_client *client);
bool podman_client_is_cancelled(const struct podman_client *client);
/** The socket it talks to. Borrowed. */
const char *podman_client_socket(const struct podman_client *client);
/** A streamed exchange without a deadline (idle_ms may bound it); see http_exchange. */
MUST_CHECK int podman_stream(struct podman_client *client, const char *operation, const char *subject,
                             const struct http_request *request, struct http_reply *ret, struct error *err);

/** Set *err to what a non-2xx reply says, in podman's words. Returns -1. */
int podman_refusal(const struct http_reply *reply, const char *operation, const char *subject, struct error *err);

/** GET PODMAN_API`path` and parse the reply. *ret is freed by cJSON_Delete. */
MUST_CHECK int podman_get_json(struct podman_client *client, const char *operation, const char *subject,
                               const char *path, cJSON **ret, struct error *err);

/** Does it answer at all? */
MUST_CHECK int podman_ping(struct podman_client *client, struct error *err);
/** "4.3.1". Takes podman a third of a second (it runs conmon and the OCI runtime). Caller frees *ret. */
MUST_CHECK int podman_version(struct podman_client *client, char **ret, struct error *err);

/** PODMAN_NOT_FOUND when it is not in local storage. *ret is freed by cJSON_Delete. */
MUST_CHECK int podman_image_inspect(struct podman_client *client, const char *image, cJSON **ret, struct error *err);

/** `document` is a SpecGenerator (container_create.h). Caller frees *id. Errors: PODMAN_NAME_IN_USE. */
MUST_CHECK int podman_container_create(struct podman_client *client, const char *name, const char *document, char **id,
                                       struct error *err);
/** Fine when it runs already. */
MUST_CHECK int podman_container_start(struct podman_client *client, const char *container, struct error *err);
MUST_CHECK int podman_container_unpause(struct podman_client *client, const char *container, struct error *err);
/** SIGTERM (or the image's stop signal), SIGKILL after `grace_s`. Fine when it does not run. */
MUST_CHECK int podman_container_stop(struct podman_client *client, const char *container, int grace_s,
                                     struct error *err);
/** Stop as above and remove with its anonymous (never its named) volumes. A container that is gone is fine. */
MUST_CHECK int podman_container_remove(struct podman_client *client, const char *container, int grace_s,
                                       struct error *err);
/** Wait until it has ended. Errors: HTTP_TIMED_OUT at the deadline. */
MUST_CHECK int podman_container_wait(struct podman_client *client, const char *container, struct deadline deadline,
                                     int *exit_code, struct error *err);
/** *ret is freed by cJSON_Delete. */
MUST_CHECK int podman_container_inspect(struct podman_client *client, const char *container, cJSON **ret,
                                        struct error *err);
/** The last `lines` lines of its output, on one line, at most 512 bytes; "" when there is none. Caller frees *ret. */
MUST_CHECK int podman_container_last_words(struct podman_client *client, const char *container, int lines, char **ret,
                                           struct error *err);

/** podman's states, reduced to what makes a difference here. */
enum observed_state {
    OBSERVED_CREATED, /**< never started, or not since the boot */
    OBSERVED_RUNNING,
    OBSERVED_PAUSED,
    OBSERVED_ENDED,    /**< exited or stopped */
    OBSERVED_CHANGING, /**< being stopped or removed by somebody, or in a state of its own */
};

/** One container as `podman ps -a` sees it. */
struct observed_container {
    char *id;
    char *name;
    char *image;
    char *status; /**< podman's word: "running", "exited", … */
    char *health; /**< "healthy", "unhealthy", "starting", "" without a health check */
    enum observed_state state;
    int exit_code;
    char *deployment; /**< our labels, NULL where absent */
    char *service;
    char *init;
};
struct observed_list {
    struct observed_container *items;
    size_t count;
};
/** Every container of `device`, or only those of one `deployment` (NULL: all). */
MUST_CHECK int podman_container_list(struct podman_client *client, const char *device, const char *deployment,
                                     struct observed_list *ret, struct error *err);
void observed_list_clear(struct observed_list *list);
static inline void observed_list_clear_at_exit(struct observed_list *list)
{
    observed_list_clear(list);
}
#define cleanup_observed_list __attribute__((cleanup(observed_list_clear_at_exit)))
/** The query value that selects those containers, percent-encoded (events take the same). Caller frees. */
char *podman_label_filter(const char *device, const char *deployment);
