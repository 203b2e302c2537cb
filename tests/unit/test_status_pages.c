/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/status_pages.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"

/** Pages of an operator that leads, and whose NATS is away. */
struct scene {
    struct fleet *fleet;
    struct metrics metrics;
    struct work_queue *queue;
    struct leader *leader;
    struct nats_link *link;
    struct controller_context context;
    struct controller *controllers[2];
    struct status_pages pages;
};

static void scene_clear(struct scene *scene)
{
    if (scene->leader)
        leader_resign(scene->leader);
    controller_stop(scene->controllers[0]);
    if (scene->link)
        nats_link_stop(scene->link);
    controller_free(scene->controllers[0]);
    nats_link_free(scene->link);
    leader_free(scene->leader);
    fleet_free(scene->fleet);
    work_queue_free(scene->queue);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_set(struct scene *scene, struct error *err)
{
    static const char *const urls[] = {"nats://127.0.0.1:1", NULL};
    const struct leader_options alone = {.namespace_name = "n", .lease = "l", .identity = "i"};

    scene->queue = work_queue_new(1, 1);
    const struct fleet_options options = {
        .deployments = scene->queue, .statuses = scene->queue, .devices = scene->queue};
    scene->fleet = fleet_new(&options);
    const struct nats_link_options link = {.nats = {.urls = urls}, .fleet = scene->fleet, .metrics = &scene->metrics};
    if (leader_start(&alone, &scene->leader, err) < 0 || nats_link_start(&link, &scene->link, err) < 0)
        return -1;
    scene->context = (struct controller_context){.fleet = scene->fleet,
                                                 .leader = scene->leader,
                                                 .connection = nats_link_connection(scene->link),
                                                 .metrics = &scene->metrics,
                                                 .namespace_name = "n"};
    if (controller_start(&status_controller, &scene->context, scene->queue, 1, &scene->controllers[0], err) < 0)
        return -1;
    scene->pages.context = &scene->context;
    scene->pages.controllers = scene->controllers;
    scene->pages.link = scene->link;
    scene->pages.deployments = scene->pages.statuses = scene->pages.devices = scene->queue;
    atomic_store(&scene->pages.ticked_at_ms, clock_monotonic_ms());
    atomic_store(&scene->pages.started, true);
    return 0;
}

/** The answer's status, and its body; the caller frees. */
static int ask(struct status_pages *pages, const char *path, char **ret)
{
    cleanup_text_buffer struct text_buffer body = {0};
    int status = status_pages_answer(pages, path, &body);

    *ret = text_buffer_take(&body);
    return status;
}

static int expect(struct status_pages *pages, const char *path, int status, struct error *err)
{
    cleanup_free char *body = NULL;
    int found = ask(pages, path, &body);

    CHECK(found == status, "%s: %d %s", path, found, body);
    CHECK(body[0] != '\0', "%s says nothing", path);
    return 0;
}

FLEET_TEST(status_pages, outages_are_no_illness_but_stuck_threads_are)
{
    cleanup_scene struct scene scene = {0};

    TRY(expect(&scene.pages, "/healthz", 200, err)); /* still waiting for the API server */
    TRY(expect(&scene.pages, "/readyz", 503, err));
    TRY(expect(&scene.pages, "/metrics", 503, err));
    TRY(scene_set(&scene, err));
    TRY(expect(&scene.pages, "/healthz", 200, err)); /* NATS is away */
    TRY(expect(&scene.pages, "/readyz", 503, err));
    TRY(expect(&scene.pages, "/metrics", 200, err));
    TRY(expect(&scene.pages, "/", 404, err));
    atomic_store(&scene.pages.ticked_at_ms, clock_monotonic_ms() - 3600000);
    TRY(expect(&scene.pages, "/healthz", 503, err));
    return 0;
}

/** A sample: name, labels, a number. */
static bool is_sample(const char *line)
{
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *rest = line + name;
    char *end = NULL;

    if (*rest == '{') {
        const char *close = strstr(rest, "\"}");

        if (!close || !strstr(rest, "=\""))
            return false;
        rest = close + 2;
    }
    if (name == 0 || *rest != ' ' || !isdigit((unsigned char)rest[1]))
        return false;
    strtod(rest, &end);
    return *end == '\0';
}

/* Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
FLEET_TEST(status_pages, metrics_are_what_prometheus_reads)
{
    cleanup_scene struct scene scene = {0};
    cleanup_text_list struct text_list families = {0};
    cleanup_free char *body = NULL;
    char *rest;
    const char *line;
    size_t samples = 0;

    TRY(scene_set(&scene, err));
    CHECK(ask(&scene.pages, "/metrics", &body) == 200, "%s", body);
    CHECK(text_ends_with(body, "\n"), "the last line does not end");
    rest = body;
    while ((line = strsep(&rest, "\n")) && line[0] != '\0') {
        if (text_starts_with(line, "# TYPE ")) {
            cleanup_free char *family = text_copy_n(line + 7, strcspn(line + 7, " "));

            CHECK(!text_list_contains(&families, family), "%s comes twice", family);
            text_list_add(&families, family);
        } else if (line[0] != '#') {
            cleanup_free char *family = text_copy_n(line, strcspn(line, "{ "));

            CHECK(families.count > 0 && text_equal(families.items[families.count - 1], family), "%s has no type", line);
            CHECK(is_sample(line), "\"%s\" is no sample", line);
            samples++;
        }
    }
    CHECK(samples > 20, "%zu samples", samples);
    return 0;
}
