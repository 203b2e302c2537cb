/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A registry that serves a directory inside a network namespace: here a podman host's, whose podman pulls from it.
 */

#include <string.h>

#include "fixtures/images.h"
#include "fixtures/registry.h"
#include "harness/test.h"

#define NEEDS_REGISTRY NEEDS(CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES, CAPABILITY_REGISTRY)

struct scene {
    struct run *run;
    struct podman_host *host;
    char *network;
};

static void scene_clear(struct scene *scene)
{
    podman_host_free(scene->host);
    free(scene->network);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_open(struct test_context *test, const char *name, struct scene *ret, struct error *err)
{
    TRY(test_run(test, &ret->run, err));
    TRY(podman_host_new(ret->run, test->timeline, name, &ret->host, err));
    ret->network = podman_host_network(ret->host);
    return 0;
}

static int push(struct podman_host *host, const char *image, const char *target, struct error *err)
{
    const char *const arguments[] = {"push", "--quiet", "--tls-verify=false", image, target, NULL};

    return podman_host_cli(host, arguments, NULL, err);
}

FLEET_TEST(registry, only_reads_the_directory_it_serves, .gate = "host", NEEDS_REGISTRY)
{
    static const char image[] = REGISTRY_ADDRESS "/served/hello-web:v2";
    static const char *const pull[] = {"pull", "--quiet", image, NULL};
    static const char *const exists[] = {"image", "exists", image, NULL};
    cleanup_scene struct scene scene = {0};
    CLEANUP(process_free) struct process *registry = NULL;

    TRY(scene_open(test, "served", &scene, err));
    cleanup_free char *storage = text_format("%s/images", run_directory(scene.run));
    struct registry_options options = {
        .name = "filling", .network = scene.network, .address = REGISTRY_ADDRESS, .storage = storage};
    TRY(registry_serve(scene.run, &options, &registry, err));
    TRY(push(scene.host, IMAGE_HELLO_WEB_V2, image, err));
    process_free(TAKE_PTR(registry));

    options.name = "serving";
    options.read_only = true;
    TRY(registry_serve(scene.run, &options, &registry, err));
    CHECK_FAILS(podman_host_cli(scene.host, exists, NULL, err), process_error_domain, PROCESS_EXITED);
    TRY(podman_host_cli(scene.host, pull, NULL, err));
    TRY(podman_host_cli(scene.host, exists, NULL, err));
    CHECK_FAILS(push(scene.host, IMAGE_HELLO_WEB_V1, REGISTRY_ADDRESS "/served/hello-web:v1", err),
                process_error_domain, PROCESS_EXITED);
    return 0;
}

FLEET_TEST(registry, says_why_it_does_not_run, .gate = "host", NEEDS_REGISTRY)
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(process_free) struct process *registry = NULL;

    TRY(scene_open(test, "unserved", &scene, err));
    cleanup_free char *storage = text_format("%s/images", run_directory(scene.run));
    struct registry_options options = {
        .name = "nowhere", .network = scene.network, .address = "192.0.2.1:5000", .storage = storage};
    CHECK_FAILS(registry_serve(scene.run, &options, &registry, err), general_error_domain, GENERAL_FAILED);
    options.address = REGISTRY_ADDRESS;
    options.storage = "/nonexistent/images";
    options.read_only = true;
    CHECK_FAILS(registry_serve(scene.run, &options, &registry, err), system_error_domain, ENOENT);
    return 0;
}

/** The registry hands out `image` for that architecture, and it is that of a device. */
static int check_image(struct podman_host *host, const char *image, const char *architecture, struct error *err)
{
    cleanup_free char *name = text_format(REGISTRY_ADDRESS "/%s", image);
    const char *const pull[] = {"pull", "--quiet", "--arch", architecture, name, NULL};
    const char *const inspect[] = {"image", "inspect", "--format={{.Architecture}}", name, NULL};
    cleanup_free char *found = NULL;

    TRY(podman_host_cli(host, pull, NULL, err));
    TRY(podman_host_cli(host, inspect, &found, err));
    CHECK(text_starts_with(found, architecture), "%s for %s is for %s", image, architecture, found);
    return 0;
}

FLEET_TEST(registry, has_the_test_images_for_every_architecture, .gate = "vm",
           NEEDS(CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES, CAPABILITY_REGISTRY, CAPABILITY_VM_WORKLOADS))
{
    static const char *const images[] = {"hello-web:v1", "hello-web:v2", "toolbox:v1"};
    cleanup_scene struct scene scene = {0};
    cleanup_free char *storage = NULL;
    CLEANUP(process_free) struct process *registry = NULL;

    TRY(vm_workloads_find(&storage, err));
    TRY(scene_open(test, "devices", &scene, err));
    struct registry_options options = {
        .name = "images", .network = scene.network, .address = REGISTRY_ADDRESS, .storage = storage, .read_only = true};
    TRY(registry_serve(scene.run, &options, &registry, err));
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        TRY(check_image(scene.host, images[i], "arm64", err));
        TRY(check_image(scene.host, images[i], "amd64", err));
    }
    return 0;
}
