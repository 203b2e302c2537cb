/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_fleet.h"

#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/kube_object.h"

void scene_clear(struct scene *scene)
{
    fleet_free(scene->fleet);
    work_queue_free(scene->deployments);
    work_queue_free(scene->statuses);
    work_queue_free(scene->devices);
}

static void told_all(struct scene *scene)
{
    for (int bucket = 0; bucket < FLEET_BUCKET_COUNT; bucket++) {
        fleet_told_begin(scene->fleet, (enum fleet_bucket)bucket);
        fleet_told_complete(scene->fleet, (enum fleet_bucket)bucket);
    }
}

void scene_set(struct scene *scene)
{
    *scene = (struct scene){
        .deployments = work_queue_new(1, 1), .statuses = work_queue_new(1, 1), .devices = work_queue_new(1, 1)};
    const struct fleet_options options = {.deployments = scene->deployments,
                                          .statuses = scene->statuses,
                                          .devices = scene->devices,
                                          .owner = {"e2e-1", "uid-1"},
                                          .offline_after_ms = OFFLINE_MS};
    scene->fleet = fleet_new(&options);
    fleet_nats_changed(scene->fleet, true);
    fleet_devices_synced(scene->fleet);
    told_all(scene);
}

void scene_put(struct scene *scene, enum fleet_bucket bucket, const char *key, uint64_t revision, const char *value)
{
    if (bucket == FLEET_DESIRED && revision > scene->revision)
        scene->revision = revision;
    fleet_told_put(scene->fleet, bucket, key, revision, (int64_t)time(NULL) * 1000, value, strlen(value));
}

void scene_register_device(struct scene *scene, const char *id, const char *site)
{
    cleanup_free char *key = text_format("info.%s", id);
    cleanup_free char *value =
        text_format("{\"device_id\":\"%s\",\"agent_version\":\"1\",\"arch\":\"x86_64\",\"os\":\"Debian\","
                    "\"labels\":{\"site\":\"%s\"},\"inventory\":{}}",
                    id, site);

    scene_put(scene, FLEET_INFO, key, 1, value);
}

void scene_see(struct scene *scene, int generation, const char *selector, const char *image, const char *more)
{
    cleanup_free char *score = text_format(SCORE, image);
    CLEANUP(cJSON_Delete)
    cJSON *object =
        kube_json("{\"metadata\":{\"name\":\"web\",\"namespace\":\"e2e-1\",\"uid\":\"u\",\"resourceVersion\":\"%d\","
                  "\"generation\":%d%s},\"spec\":{\"targetSelector\":%s,\"score\":%s}}",
                  ++scene->versions, generation, more, selector, score);

    fleet_deployment_seen(scene->fleet, object);
}

bool scene_plan(struct scene *scene, struct deployment_plan *ret)
{
    deployment_plan_clear(ret);
    return fleet_plan_deployment(scene->fleet, "web", ret);
}

void scene_carry_out(struct scene *scene)
{
    cleanup_plan struct deployment_plan next = {0};

    scene_plan(scene, &next);
    for (size_t i = 0; i < next.puts.count; i++) {
        cleanup_free char *key = text_format("%s.web", next.puts.items[i]);

        fleet_key_confirmed(scene->fleet, key, ++scene->revision, next.score, strlen(next.score));
    }
    for (size_t i = 0; i < next.deletes.count; i++) {
        cleanup_free char *key = text_format("%s.web", next.deletes.items[i]);

        fleet_key_confirmed(scene->fleet, key, ++scene->revision, NULL, 0);
    }
    fleet_keys_written(scene->fleet, "web", &next);
}

int scene_has_work(void *context, struct text_buffer *state __attribute__((unused)),
                   struct error *err __attribute__((unused)))
{
    struct scene *scene = context;

    fleet_tick(scene->fleet);
    return work_queue_length(scene->devices) > 0;
}

void scene_drain(struct work_queue *queue)
{
    while (work_queue_length(queue) > 0) {
        cleanup_free char *key = NULL;

        if (work_queue_take(queue, &key))
            work_queue_done(queue, key, false);
    }
}
