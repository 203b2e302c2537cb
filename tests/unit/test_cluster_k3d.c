/* SPDX-License-Identifier: Apache-2.0 */

/*
 * k3d's cluster, by programs "k3d" and "docker" that keep what they are told: what is asked of them, in which order, and
 * what is made of their answers. That the real ones understand it is read from their documentation.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "fixtures/cluster_model.h"
#include "harness/test.h"

#define STEP_MS  20000
#define TEXT_MAX 65536
#define IMAGE    "localhost/any:1"

/* State is in files beside the programs: `state` (absent, running, stopped), `images`, `calls`, and `refuse` while
 * images are refused. */
static const char k3d[] =
    "#!/bin/sh\n"
    "cd \"$(dirname \"$0\")\"\n"
    "echo \"k3d $*\" >>calls\n"
    "case \"$1 $2\" in\n"
    "'cluster list')\n"
    "    case $(cat state) in\n"
    "    absent) echo '[]' ;;\n"
    "    running) echo "
    "'[{\"name\":\"other\",\"serversRunning\":1},{\"name\":\"fleet-e2e-unit\",\"serversRunning\":1}]' ;;\n"
    "    stopped) echo '[{\"name\":\"fleet-e2e-unit\",\"serversRunning\":0}]' ;;\n"
    "    esac ;;\n"
    "'cluster create') echo running >state; [ ! -e break ] || exit 1 ;;\n"
    "'cluster start') echo running >state ;;\n"
    "'cluster delete') echo absent >state ;;\n"
    "'kubeconfig get')\n"
    "    echo '---'\n"
    "    echo '{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",'\n"
    "    echo '\"context\":{\"cluster\":\"c\",\"user\":\"u\"}}],\"users\":[{\"name\":\"u\",\"user\":{}}],'\n"
    "    echo '\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://0.0.0.0:6550\"}}]}' ;;\n"
    "'image import') [ -e refuse ] || echo " IMAGE " >>images ;;\n"
    "*) exit 64 ;;\n"
    "esac\n";
static const char docker[] = "#!/bin/sh\n"
                             "cd \"$(dirname \"$0\")\"\n"
                             "echo \"docker $*\" >>calls\n"
                             "cat images\n";

struct place {
    char *programs;
    char *directory;
};

static void place_clear(struct place *place)
{
    free(place->programs);
    free(place->directory);
}
#define cleanup_place __attribute__((cleanup(place_clear)))

static int put(const struct place *place, const char *name, const char *text, mode_t mode, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", place->programs, name);

    return file_write_atomic(path, text, strlen(text), mode, err);
}

static int begin(struct test_context *test, struct place *ret, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    ret->programs = text_format("%s/programs", run_directory(run));
    ret->directory = text_format("%s/cluster", run_directory(run));
    TRY(directory_create(ret->programs, 0700, err));
    TRY(put(ret, "k3d", k3d, 0700, err));
    TRY(put(ret, "docker", docker, 0700, err));
    TRY(put(ret, "state", "absent\n", 0600, err));
    TRY(put(ret, "images", "", 0600, err));
    cleanup_free char *path = text_format("%s:%s", ret->programs, getenv("PATH"));
    setenv("PATH", path, 1);
    unsetenv(CLUSTER_REBUILD);
    return 0;
}

/** What the programs were called with since the last time, a line each. Caller frees. */
static char *take_calls(const struct place *place)
{
    cleanup_free char *path = text_format("%s/calls", place->programs);
    cleanup_error struct error none = ERROR_INIT;
    char *calls = NULL;
    size_t size;

    if (file_read(path, TEXT_MAX, &calls, &size, &none) < 0)
        return text_copy("");
    unlink(path);
    return calls;
}

static int check_calls(const struct place *place, const char *expected, struct error *err)
{
    cleanup_free char *calls = take_calls(place);

    CHECK(text_equal(calls, expected), "it was called so:\n%s", calls);
    return 0;
}

static int check_file(const char *directory, const char *name, bool expected, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    CHECK(file_exists(path) == expected, "%s is %s", path, expected ? "not there" : "there");
    return 0;
}

static int new_cluster(const struct place *place, bool rebuild, struct cluster **ret, struct error *err)
{
    const struct cluster_native_place named = {.name = "fleet-e2e-unit", .directory = place->directory};
    const struct cluster_environment environment = {.kind = "k3d", .name = named.name, .image_rebuild = rebuild};

    return cluster_new(CLUSTER_K3D, &named, &environment, ret, err);
}

#define LIST "k3d cluster list --output json\n"
#define CREATE                                                                                                         \
    "k3d cluster create fleet-e2e-unit --wait --port 127.0.0.1:30423-30522:30423-30522@server:0:direct "               \
    "--kubeconfig-update-default=false --kubeconfig-switch-context=false --k3s-arg --disable=traefik@server:0\n"
#define KUBECONFIG "k3d kubeconfig get fleet-e2e-unit\n"

FLEET_TEST(cluster_k3d, comes_up_once_and_goes)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_place struct place place = {0};
    bool changed = false;

    TRY(begin(test, &place, err));
    TRY(new_cluster(&place, false, &cluster, err));
    TRY(cluster_ensure(cluster, deadline_in_ms(STEP_MS), &changed, err));
    CHECK(changed, "it was there");
    TRY(check_calls(&place, LIST LIST CREATE KUBECONFIG, err));
    TRY(cluster_ensure(cluster, deadline_in_ms(STEP_MS), &changed, err));
    CHECK(!changed, "it was not there");
    TRY(check_calls(&place, LIST KUBECONFIG, err));
    CHECK(text_equal(kube_client_server(cluster_client(cluster)), "https://0.0.0.0:6550"), "it is at %s",
          kube_client_server(cluster_client(cluster)));
    TRY(cluster_k3d_type.take_down(cluster, deadline_in_ms(STEP_MS), err));
    TRY(check_calls(&place, LIST "k3d cluster delete fleet-e2e-unit\n", err));
    return check_file(place.directory, "", false, err);
}

/* It may hold what somebody kept. */
FLEET_TEST(cluster_k3d, stopped_one_is_started)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_place struct place place = {0};

    TRY(begin(test, &place, err));
    TRY(put(&place, "state", "stopped\n", 0600, err));
    TRY(new_cluster(&place, false, &cluster, err));
    TRY(cluster_ensure(cluster, deadline_in_ms(STEP_MS), NULL, err));
    return check_calls(&place, LIST LIST "k3d cluster start fleet-e2e-unit --wait\n" KUBECONFIG, err);
}

/* What is left when a bring-up is killed may have a server that runs, and no way to it. */
FLEET_TEST(cluster_k3d, half_made_one_is_made_anew)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_place struct place place = {0};

    TRY(begin(test, &place, err));
    TRY(put(&place, "break", "", 0600, err));
    TRY(new_cluster(&place, false, &cluster, err));
    CHECK_FAILS(cluster_ensure(cluster, deadline_in_ms(STEP_MS), NULL, err), process_error_domain, PROCESS_EXITED);
    cleanup_free char *broken = text_format("%s/break", place.programs);
    TRY(file_remove(broken, err));
    TRY(check_calls(&place, LIST LIST CREATE, err));
    TRY(cluster_ensure(cluster, deadline_in_ms(STEP_MS), NULL, err));
    return check_calls(&place, LIST "k3d cluster delete fleet-e2e-unit\n" CREATE KUBECONFIG, err);
}

static int import(const struct place *place, bool rebuild, bool *imported, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_free char *image = NULL;

    TRY(new_cluster(place, rebuild, &cluster, err));
    return cluster_import_image(cluster, IMAGE, "/archive.tar", deadline_in_ms(STEP_MS), imported, &image, err);
}

#define HAS_IMAGE "docker exec k3d-fleet-e2e-unit-server-0 ctr --namespace=k8s.io images list --quiet name==" IMAGE "\n"
#define IMPORT    "k3d image import /archive.tar --cluster fleet-e2e-unit\n"

FLEET_TEST(cluster_k3d, image_is_imported_when_missing_or_asked_to)
{
    cleanup_place struct place place = {0};
    bool imported = false;

    TRY(begin(test, &place, err));
    TRY(import(&place, false, &imported, err));
    CHECK(imported, "it was there");
    TRY(check_calls(&place, HAS_IMAGE IMPORT HAS_IMAGE, err));
    TRY(import(&place, false, &imported, err));
    CHECK(!imported, "it was imported though it is there");
    TRY(check_calls(&place, HAS_IMAGE, err));
    TRY(import(&place, true, &imported, err));
    CHECK(imported, "it was not imported though it was asked for");
    return check_calls(&place, IMPORT HAS_IMAGE, err);
}

/* k3d only logs it when a node cannot read an archive. */
FLEET_TEST(cluster_k3d, image_that_did_not_arrive_is_missed)
{
    cleanup_place struct place place = {0};

    TRY(begin(test, &place, err));
    TRY(put(&place, "refuse", "", 0600, err));
    CHECK_FAILS(import(&place, false, NULL, err), general_error_domain, GENERAL_INVALID);
    return 0;
}
