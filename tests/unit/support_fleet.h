/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A fleet whose watches and whose NATS are the test.
 */

#include "contracts/custom_resources.h"
#include "operator/fleet.h"

#define OFFLINE_MS 60
#define SCORE      "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"%s\"}]}}"
#define BERLIN     "{\"matchLabels\":{\"site\":\"berlin\"}}"

/** A fleet and its queues. */
struct scene {
    struct work_queue *deployments;
    struct work_queue *statuses;
    struct work_queue *devices;
    struct fleet *fleet;
    int versions;      /* resourceVersion of the last object */
    uint64_t revision; /* of the last key */
};
/** A fleet that has been told there is nothing. */
void scene_set(struct scene *scene);
void scene_clear(struct scene *scene);
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static inline void deployment_plan_clear_at_exit(struct deployment_plan *plan)
{
    deployment_plan_clear(plan);
}
#define cleanup_plan __attribute__((cleanup(deployment_plan_clear_at_exit)))

/** A key is put, just now. */
void scene_put(struct scene *scene, enum fleet_bucket bucket, const char *key, uint64_t revision, const char *value);
/** A device says who it is, with the label site=`site`. */
void scene_register_device(struct scene *scene, const char *id, const char *site);
/** Deployment "web", as the API server has it. @param more  of its metadata, as JSON; FINALIZED, DELETED or "" */
void scene_see(struct scene *scene, int generation, const char *selector, const char *image, const char *more);
#define FINALIZED ",\"finalizers\":[\"other/one\",\"" FLEET_FINALIZER "\"]"
#define DELETED   FINALIZED ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""

/** Plan "web" anew. */
bool scene_plan(struct scene *scene, struct deployment_plan *ret);
/** Plan, and pretend that NATS confirmed it. */
void scene_carry_out(struct scene *scene);
/** For wait_until(): time passes until a device is to be looked at. `context` is the scene. */
int scene_has_work(void *context, struct text_buffer *state, struct error *err);
/** Whatever is in a queue is done. */
void scene_drain(struct work_queue *queue);
