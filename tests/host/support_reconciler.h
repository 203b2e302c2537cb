/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a reconciler reports, kept and waited for.
 */

#include "agent/reconciler.h"
#include "base/deadline.h"
#include "base/text.h"

struct reported;
/** Nothing reported yet. Never NULL. */
struct reported *reported_new(void);
/** After the reconciler. NULL is fine. */
void reported_free(struct reported *reported);
DEFINE_CLEANUP(struct reported *, reported_free)
/** The sink to give to a reconciler. */
struct state_sink reported_sink(struct reported *reported);

/** Wait until the deployment is in that phase about that revision. */
MUST_CHECK int reported_wait(struct reported *reported, const char *deployment, enum deployment_phase phase,
                             uint64_t revision, struct error *err);
/** Wait until its error (in any phase) contains `text`. */
MUST_CHECK int reported_wait_error(struct reported *reported, const char *deployment, const char *text,
                                   struct error *err);
/** Wait until its message contains `text`. */
MUST_CHECK int reported_wait_message(struct reported *reported, const char *deployment, const char *text,
                                     struct error *err);
/** Wait until there are more than `count` reports. */
MUST_CHECK int reported_wait_more(struct reported *reported, const char *deployment, size_t count, struct error *err);
/** Wait until it is Running and another container than `id` serves the service. */
MUST_CHECK int reported_wait_replaced(struct reported *reported, const char *deployment, const char *service,
                                      const char *id, struct error *err);
/** Wait until runtime_seen has said so. */
MUST_CHECK int reported_wait_runtime(struct reported *reported, const char *runtime, struct error *err);
/** Wait until it was reported removed. */
MUST_CHECK int reported_wait_removed(struct reported *reported, const char *deployment, struct error *err);
/** Wait until the reconciler has done `passes` more passes, waking it for each. */
MUST_CHECK int reconcile_times(struct reconciler *reconciler, int passes, struct error *err);

/** Reports so far (removals included). */
size_t reported_count(struct reported *reported, const char *deployment);
/** Every phase reported, "Pending Running"; a removal is "removed". Caller frees. */
char *reported_history(struct reported *reported, const char *deployment);
/** The last error, "" if none. Caller frees. */
char *reported_error(struct reported *reported, const char *deployment);
/** Id of the container the last report has for `service`; "" if none. Caller frees. */
char *reported_id(struct reported *reported, const char *deployment, const char *service);

/* A reconciler with a podman of its own */

#include "fixtures/podman_host.h"
#include "harness/test.h"

struct scene {
    struct podman_host *host;
    struct reported *reported;
    struct reconciler *reconciler;
    char *state_directory;
};
#define SCENE_DEVICE "pi-01"

/** Bring up podman and start a reconciler in the run of the test. */
MUST_CHECK int scene_open(struct test_context *test, struct scene *scene, struct error *err);
void scene_close(struct scene *scene);
/** The agent ends, and (later) starts anew on the same store. */
void scene_stop(struct scene *scene);
MUST_CHECK int scene_start(struct scene *scene, struct error *err);
static inline void scene_close_at_exit(struct scene *scene)
{
    scene_close(scene);
}
#define cleanup_scene __attribute__((cleanup(scene_close_at_exit)))

/** Put {"type":"PodmanV0","data":<data>}, `data` being a printf format. */
void scene_put(struct scene *scene, const char *deployment, uint64_t revision, const char *data_format, ...)
    PRINTF_LIKE(4, 5);
/** The podman CLI with these words, split at spaces (a "~" is a space within a word). */
MUST_CHECK int scene_podman(struct scene *scene, struct error *err, const char *words_format, ...) PRINTF_LIKE(3, 4);
/** The same, giving its output without the last line feed. Caller frees. */
MUST_CHECK int scene_ask(struct scene *scene, char **output, struct error *err, const char *words_format, ...)
    PRINTF_LIKE(4, 5);
/** Names of all containers with their states, sorted: "fleet.a.web:running other:exited". */
MUST_CHECK int scene_containers(struct scene *scene, char **ret, struct error *err);
