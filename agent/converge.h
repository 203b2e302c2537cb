/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Brings the containers of one deployment to what its score asks for, in plain sequence, in whatever thread calls it:
 *
 *   look (list, compare) → pull every missing image → init containers, in order → remove what is no longer asked for →
 *   replace, make, start service by service
 *
 * Until the images are there and the init containers have succeeded, what runs goes on running. A service that cannot
 * be brought up does not keep the next one from it; the first failure is the one reported.
 */

#include <stdbool.h>

#include "agent/container_create.h"
#include "agent/podman_client.h"
#include "contracts/score.h"

enum {
    STOP_GRACE_S = 10,  /* podman's own default between SIGTERM and SIGKILL */
    STARTS_REFUSED = 2, /* after so many failures in a row a container that does not start is given up for a new one */
};

struct convergence {
    struct podman_client *client;
    const char *device;
    const char *deployment;
    const struct podman_v0 *podman; /**< NULL: nothing is to be left of the deployment */
    /** One per service: id of the container known to match its spec, or NULL. Updated; owned strings. */
    char **verified;
    int failures;      /**< attempts in a row before this one that failed */
    bool retry_failed; /**< a service whose end was final and a failure is started again */
    /** Something is about to be changed: "pulling localhost/hello-web:v2: 3 layers". May be called often. */
    void (*progress)(void *context, const char *text);
    void *context;
};

/**
 * Errors: http HTTP_UNREACHABLE, HTTP_BROKEN, HTTP_STOPPED (ended at once); podman PODMAN_STALE, PODMAN_NOT_FOUND (what
 * was listed changed meanwhile: do it again); init (init_containers.h); general GENERAL_CONFLICT (a container that is
 * not ours has the name); podman PODMAN_REFUSED and all else: podman's words.
 */
MUST_CHECK int converge(struct convergence *convergence, struct error *err);

/** True when doing it again at once may well help: the connection broke off, or somebody else was at work too. */
bool converge_was_interrupted(const struct error *err);

/** Report progress. */
void converge_say(const struct convergence *convergence, const char *format, ...) PRINTF_LIKE(2, 3);

/** Make a container and find out who has its name if somebody has. Caller frees *id. Errors: as above. */
MUST_CHECK int converge_create(const struct convergence *convergence, bool init, const struct container_spec *spec,
                               char **id, struct error *err);
