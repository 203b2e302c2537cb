/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cluster that runs share, and native clusters of the test's own, which may be broken.
 */

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process_identity.h"
#include "fixtures/cluster_admin.h"
#include "fixtures/cluster_guard.h"
#include "fixtures/cluster_sandbox.h"
#include "fixtures/registry.h"
#include "fixtures/sandbox_wait.h"
#include "harness/cluster_environment.h"
#include "harness/resource.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/pod/own_cluster.h"

#define OPEN_MS     120000 /* it may have to be brought up, on a busy machine */
#define STEP_MS     60000
#define SECOND_MS   1000 /* sanitized, on a busy machine; it takes a thirtieth of that */
#define MEMBERS_MAX (64u << 10)
#define NOTE_MAX    256
#define AT_ONCE     3
#define REGISTRY_AT CLUSTER_NODE_ADDRESS ":5000"
#define IMAGES_AT   "http://" REGISTRY_AT "/fleet"

FLEET_TEST(pod_cluster, second_bring_up_is_quick, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_free) struct cluster *again = NULL;

    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    int64_t began_ms = clock_monotonic_ms();
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &again, err));
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(took_ms < SECOND_MS, "it took %" PRId64 " ms", took_ms);
    CHECK(text_equal(cluster_kubeconfig(cluster), cluster_kubeconfig(again)), "%s, then %s",
          cluster_kubeconfig(cluster), cluster_kubeconfig(again));
    return kube_get(cluster_client(again), &kube_namespaces, NULL, "default", deadline_in_ms(STEP_MS), NULL, err);
}

FLEET_TEST(pod_cluster, unknown_kind_is_named, .gate = "pod")
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;

    unsetenv("KUBECONFIG");
    setenv(CLUSTER_CHOICE, "kind", 1);
    int result = cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_INVALID), "it is taken");
    cleanup_free char *text = error_text(err);
    error_clear(err);
    CHECK(strstr(text, CLUSTER_CHOICE) && strstr(text, "\"kind\""), "%s", text);
    return 0;
}

struct opening {
    const struct cluster_native_place *place;
    pthread_t thread;
    bool changed;
    int result;
    struct error failure;
};

static void *open_in_thread(void *context)
{
    struct opening *opening = context;
    CLEANUP(cluster_free) struct cluster *cluster = NULL;

    opening->result =
        cluster_native_open(opening->place, deadline_in_ms(OPEN_MS), &opening->changed, &cluster, &opening->failure);
    return NULL;
}

/** All of them succeed, and one brought it up. */
static int open_at_once(const struct cluster_native_place *place, struct error *err)
{
    struct opening openings[AT_ONCE] = {0};
    int changed = 0;

    for (size_t i = 0; i < AT_ONCE; i++) {
        openings[i].place = place;
        pthread_create(&openings[i].thread, NULL, open_in_thread, &openings[i]);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        pthread_join(openings[i].thread, NULL);
        changed += openings[i].changed;
        if (openings[i].result < 0 && !error_is_set(err))
            error_move(err, &openings[i].failure);
        error_clear(&openings[i].failure);
    }
    if (error_is_set(err))
        return -1;
    CHECK(changed == 1, "it was brought up %d times", changed);
    return 0;
}

static int check_gone(const struct own_cluster *own, struct error *err)
{
    cleanup_free char *network = text_format("/run/netns/%s", own->place.name);
    cleanup_free char *group = text_format("/sys/fs/cgroup/%s", own->place.name);
    cleanup_free char *pids = text_format("/sys/fs/cgroup/pids/%s", own->place.name);

    CHECK(!file_exists(network), "%s is left", network);
    CHECK(!file_exists(group) && !file_exists(pids), "a control group is left");
    CHECK(!file_exists(own->directory), "%s is left", own->directory);
    return 0;
}

FLEET_TEST(pod_cluster, comes_up_once_and_goes_without_a_trace, .gate = "pod",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};

    TRY(own_cluster_name(test, &own, err));
    TRY(open_at_once(&own.place, err));
    TRY(cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err));
    TRY(check_gone(&own, err));
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

static int add_name(void *context, cJSON *item, struct error *err)
{
    (void)err;
    text_list_add(context, kube_name(item));
    return 0;
}

static int write_object(struct cluster *cluster, const char *name, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_object_new(&kube_config_maps, "default", name);

    return kube_create(cluster_client(cluster), &kube_config_maps, object, deadline_in_ms(STEP_MS), NULL, err);
}

static int has_ended(void *context, struct text_buffer *state, struct error *err)
{
    (void)err;
    text_buffer_add(state, "it runs");
    return !process_identity_alive(context);
}

static int kill_sandbox(const struct own_cluster *own, struct error *err)
{
    pid_t outer = 0;
    pid_t init = 0;
    struct process_identity sandbox;

    TRY(sandbox_read_pids(own->directory, &outer, &init, err));
    TRY(process_identity_of(outer, &sandbox, err));
    kill(outer, SIGKILL);
    return wait_until("the sandbox to end", has_ended, &sandbox, NULL, deadline_in_ms(STEP_MS), err);
}

FLEET_TEST(pod_cluster, killed_one_is_brought_up_anew, .gate = "pod", NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_free) struct cluster *again = NULL;
    bool changed = false;

    TRY(own_cluster_name(test, &own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), &changed, &cluster, err));
    TRY(write_object(cluster, "first", err));
    TRY(kill_sandbox(&own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), &changed, &again, err));
    CHECK(changed, "it was taken for being up");
    CHECK_FAILS(
        kube_get(cluster_client(again), &kube_config_maps, "default", "first", deadline_in_ms(STEP_MS), NULL, err),
        kube_error_domain, KUBE_NOT_FOUND);
    TRY(write_object(again, "first", err));
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/** The pid file is there, and its node cannot be Ready yet. */
static int is_half_up(void *context, struct text_buffer *state, struct error *err)
{
    const struct own_cluster *own = context;
    cleanup_free char *path = text_format("%s/" SANDBOX_PID_FILE, own->directory);

    (void)err;
    text_buffer_add(state, "it is not begun");
    return file_exists(path);
}

FLEET_TEST(pod_cluster, half_up_one_is_brought_up_anew, .gate = "pod", NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    bool changed = false;

    TRY(own_cluster_name(test, &own, err));
    pid_t victim = fork();
    if (victim == 0) {
        struct error failure = ERROR_INIT;
        struct cluster *unfinished = NULL;
        _exit(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), NULL, &unfinished, &failure) == 0);
    }
    int begun = wait_until("a cluster to be half up", is_half_up, &own, NULL, deadline_in_ms(STEP_MS), err);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    TRY(begun);
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), &changed, &cluster, err));
    CHECK(changed, "it was taken for being up");
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/* Programs that change */

/** Let it seem to have been brought up with others than are here. */
static int make_outdated(const struct own_cluster *own, struct error *err)
{
    cleanup_free char *path = text_format("%s/ready", own->directory);
    cleanup_free char *note = NULL;
    size_t size;

    TRY(file_read(path, NOTE_MAX, &note, &size, err));
    char *build = strrchr(note, ' ');
    CHECK(build && strlen(build) > 4, "%s does not say what it was brought up with: %s", path, note);
    memcpy(build + 1, "0ld", 3);
    return file_write_atomic(path, note, size, 0600, err);
}

/** Open it as outdated: *changed tells whether another took its place, which is what the notice must say. */
static int open_outdated(const struct own_cluster *own, bool *changed, const char *said, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;

    TRY(make_outdated(own, err));
    TRY(cluster_native_open(&own->place, deadline_in_ms(OPEN_MS), changed, &cluster, err));
    const char *notice = cluster_notice(cluster);
    CHECK(notice && strstr(notice, said), "its notice is \"%s\"", notice ? notice : "");
    return 0;
}

static int check_outdated_while_used(const struct own_cluster *own, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *guard = NULL;
    bool changed = true;

    TRY(cluster_native_open(&own->place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    CHECK(!cluster_notice(cluster), "it is outdated at once: %s", cluster_notice(cluster));
    TRY(open_outdated(own, &changed, "a process that has it open", err));
    CHECK(!changed, "it was replaced though somebody has it open");
    TRY(cluster_guard_new(own->run, cluster, &guard, err));
    cleanup_free char *name = text_copy(cluster_guard_namespace(guard));
    cluster_free(TAKE_PTR(cluster)); /* what a kept run leaves: a namespace, and nobody who has it open */
    int result = open_outdated(own, &changed, name, err);
    cluster_guard_release(TAKE_PTR(guard));
    CHECK(result == 0 && !changed, "it was replaced though a run goes on in it");
    return 0;
}

/** As a person ends the kept run. */
static int remove_namespaces(const struct own_cluster *own, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    static const struct kube_list_options ours = {.label_selector = GUARD_LABEL "=" GUARD_LABEL_VALUE};
    cleanup_text_list struct text_list names = {0};

    TRY(cluster_native_open(&own->place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    TRY(kube_list(cluster_client(cluster), &kube_namespaces, NULL, &ours, add_name, &names, deadline_in_ms(STEP_MS),
                  NULL, err));
    for (size_t i = 0; i < names.count; i++)
        TRY(cluster_remove_namespace(cluster_client(cluster), names.items[i], deadline_in_ms(STEP_MS), err));
    return 0;
}

FLEET_TEST(pod_cluster, outdated_one_is_replaced_once_nobody_uses_it, .gate = "pod",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    bool changed = true;

    TRY(own_cluster_name(test, &own, err));
    TRY(check_outdated_while_used(&own, err));
    TRY(remove_namespaces(&own, err));
    TRY(open_outdated(&own, &changed, "replaces one", err));
    CHECK(changed, "it goes on though nobody uses it");
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), &changed, &cluster, err));
    CHECK(!changed && !cluster_notice(cluster), "the new one is outdated, too");
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/** The process of that name in the cluster's control group; 0: there is none. */
static pid_t find_service(const struct own_cluster *own, const char *name)
{
    cleanup_free char *version_1 = text_format("/sys/fs/cgroup/pids/%s/cgroup.procs", own->place.name);
    cleanup_free char *version_2 = text_format("/sys/fs/cgroup/%s/init/cgroup.procs", own->place.name);
    cleanup_free char *members = NULL;
    cleanup_error struct error missing = ERROR_INIT;
    size_t size;

    if (file_read(file_exists(version_1) ? version_1 : version_2, MEMBERS_MAX, &members, &size, &missing) < 0)
        return 0;
    for (char *rest = members, *line; (line = strsep(&rest, "\n"));) {
        struct process_stat stat;
        pid_t pid = process_number(line);
        if (pid > 0 && process_stat_read(pid, &stat) == 0 && text_equal(stat.comm, name))
            return pid;
    }
    return 0;
}

static int answers(void *context, struct text_buffer *state, struct error *err)
{
    cleanup_error struct error failure = ERROR_INIT;

    (void)err;
    if (kube_get(cluster_client(context), &kube_config_maps, "default", "first", deadline_in_ms(STEP_MS), NULL,
                 &failure) == 0)
        return 1;
    text_buffer_add(state, error_root_detail(&failure));
    return 0;
}

FLEET_TEST(pod_cluster, ended_service_is_started_again, .gate = "pod", NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;

    TRY(own_cluster_name(test, &own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    TRY(write_object(cluster, "first", err));
    pid_t server = find_service(&own, "kube-apiserver");
    struct process_identity identity;
    CHECK(server > 0, "no kube-apiserver is found");
    TRY(process_identity_of(server, &identity, err));
    kill(server, SIGKILL);
    TRY(wait_until("the API server to end", has_ended, &identity, NULL, deadline_in_ms(STEP_MS), err));
    TRY(wait_until("its successor to answer", answers, cluster, NULL, deadline_in_ms(STEP_MS), err));
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/* Images */

/** An archive of an image that is in every native cluster. Caller frees *ret. */
static int find_archive(char **ret, struct error *err)
{
    cleanup_cluster_programs struct cluster_programs programs = {0};

    TRY(cluster_programs_find(&programs, err));
    *ret = text_format("%s/pause.tar", programs.tools);
    return 0;
}

FLEET_TEST(pod_cluster, image_that_is_there_is_not_imported, .gate = "pod", NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_free char *archive = NULL;
    cleanup_free char *image = NULL;
    bool imported = true;

    TRY(find_archive(&archive, err));
    TRY(own_cluster_name(test, &own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    TRY(cluster_import_image(cluster, CLUSTER_PAUSE_IMAGE, archive, deadline_in_ms(STEP_MS), &imported, &image, err));
    CHECK(!imported && text_equal(image, CLUSTER_PAUSE_IMAGE), "%s, imported: %d", image, imported);
    CHECK_FAILS(cluster_import_image(cluster, "localhost/other:1", archive, deadline_in_ms(STEP_MS), NULL, &image, err),
                general_error_domain, GENERAL_INVALID);
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/** Two ways to say the same: by the environment, or by options although the environment says otherwise. */
static int open_by_kubeconfig(struct cluster *native, bool by_options, struct cluster **ret, struct error *err)
{
    const struct cluster_options options = {.kubeconfig = cluster_kubeconfig(native), .registry = IMAGES_AT};

    unsetenv("KUBECONFIG");
    unsetenv(CLUSTER_REGISTRY);
    setenv(CLUSTER_CHOICE, "native", 1);
    if (by_options)
        return cluster_open_chosen(&options, NULL, deadline_in_ms(STEP_MS), ret, err);
    setenv("KUBECONFIG", cluster_kubeconfig(native), 1);
    setenv(CLUSTER_REGISTRY, IMAGES_AT, 1);
    unsetenv(CLUSTER_CHOICE);
    return cluster_open(NULL, deadline_in_ms(STEP_MS), ret, err);
}

/** As one's own cluster is used by its KUBECONFIG: here it is a native one, from inside its network. */
static int use_by_kubeconfig(struct cluster *native, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_free) struct cluster *by_options = NULL;
    cleanup_free char *archive = NULL;

    TRY(find_archive(&archive, err));
    TRY(open_by_kubeconfig(native, true, &by_options, err));
    CHECK(cluster_kind(by_options) == CLUSTER_KUBECONFIG &&
              text_equal(cluster_kubeconfig(by_options), cluster_kubeconfig(native)),
          "it is %s, %s", cluster_kind_name(cluster_kind(by_options)), cluster_kubeconfig(by_options));
    TRY(open_by_kubeconfig(native, false, &cluster, err));
    CHECK(cluster_kind(cluster) == CLUSTER_KUBECONFIG, "it is %s", cluster_kind_name(cluster_kind(cluster)));
    CHECK(text_equal(cluster_node_address(cluster), CLUSTER_NODE_ADDRESS), "%s", cluster_node_address(cluster));
    for (int i = 0; i < 2; i++) {
        cleanup_free char *image = NULL;
        bool imported = false;
        TRY(cluster_import_image(cluster, CLUSTER_PAUSE_IMAGE, archive, deadline_in_ms(STEP_MS), &imported, &image,
                                 err));
        CHECK(imported == (i == 0), "attempt %d, imported: %d", i, imported);
        CHECK(text_equal(image, REGISTRY_AT "/fleet/fleet-pause:1"), "it is called %s", image);
    }
    CHECK_FAILS(cluster_down(deadline_in_ms(STEP_MS), err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}

FLEET_TEST(pod_cluster, is_used_by_kubeconfig_and_registry, .gate = "pod",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER, CAPABILITY_REGISTRY, CAPABILITY_PODMAN))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(process_free) struct process *registry = NULL;

    TRY(own_cluster_name(test, &own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    cleanup_free char *storage = text_format("%s/images", run_directory(own.run));
    const struct registry_options options = {
        .name = "images", .network = cluster_network_namespace(cluster), .address = REGISTRY_AT, .storage = storage};
    TRY(registry_serve(own.run, &options, &registry, err));
    TRY(use_by_kubeconfig(cluster, err));
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}
