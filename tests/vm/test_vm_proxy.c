/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/process.h"
#include "fixtures/network.h"
#include "fixtures/vm_proxy.h"
#include "harness/test.h"

#define ANSWER_MS 60000

struct scene {
    struct vm_host *host;
    struct vm_proxy *proxy;
    char *url; /* of the proxy */
};

static void scene_clear(struct scene *scene)
{
    vm_proxy_free(scene->proxy);
    vm_host_free(scene->host);
    free(scene->url);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_open(struct test_context *test, struct scene *ret, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(vm_host_new(run, test->timeline, &ret->host, err));
    TRY(vm_proxy_start(run, ret->host, &ret->proxy, err));
    ret->url = text_format("http://%s:%d", vm_host_gateway(ret->host), VM_PROXY_PORT);
    return 0;
}

/** The file that describes the first release this machine's apt knows by HTTP: "http://mirror/debian/dists/…/Release". */
static int find_release(char **ret, struct error *err)
{
    static const char *const argv[] = {"apt-get", "indextargets", "--format", "$(REPO_URI)dists/$(RELEASE)/Release",
                                       NULL};
    cleanup_process_result struct process_result result = {0};
    struct process_options options = {.argv = argv};
    char *rest = NULL;

    TRY(process_run_checked(&options, deadline_in_ms(ANSWER_MS), &result, err));
    for (char *line = strtok_r(result.output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (text_starts_with(line, "http://")) {
            *ret = text_copy(line);
            return 0;
        }
    }
    return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "finding", "a source of this machine's apt",
                     "none is reached by HTTP");
}

/** From within the guests' network, by way of the proxy, which takes "/mirror/…" for "http://mirror/…" too. */
static int fetch(const struct scene *scene, const char *uri, char **body, struct error *err)
{
    cleanup_free char *path = text_format("/%s", uri + strlen("http://"));
    const struct network_question question = {vm_host_network_namespace(scene->host), scene->url, path, NULL};

    return network_get(&question, deadline_in_ms(ANSWER_MS), body, err);
}

FLEET_TEST(vm_proxy, leads_to_the_sources_of_apt_and_nowhere_else, .gate = "vm", .opt_in = "FLEET_E2E_VM_STOCK",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_LIBVIRT))
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *release = NULL;
    cleanup_free char *body = NULL;

    TRY(scene_open(test, &scene, err));
    TRY(find_release(&release, err));
    TRY(fetch(&scene, release, &body, err));
    CHECK(strstr(body, "\nSHA256:"), "what came is no Release file: %.80s", body);
    CHECK_FAILS(fetch(&scene, "http://elsewhere.invalid/debian/dists/stable/Release", NULL, err), general_error_domain,
                GENERAL_FAILED);
    return 0;
}
