/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "contracts/names.h"
#include "fixtures/images.h"
#include "fixtures/podman_host.h"
#include "fixtures/podman_host_model.h"
#include "harness/test.h"

#define NEEDS_PODMAN NEEDS(CAPABILITY_NAMESPACES, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)
#define ANSWER_MS    20000

static int bring_up(struct test_context *test, const char *name, struct podman_host **ret, struct error *err)
{
    struct run *run = NULL;

    return test_run(test, &run, err) < 0 ? -1 : podman_host_new(run, test->timeline, name, ret, err);
}

/** hello-web, published at a free port; *id may be NULL. */
static int run_web(struct podman_host *host, const char *name, int *port, char **id, struct error *err)
{
    TRY(podman_host_free_port(host, port, err));
    cleanup_free char *publish = text_format("--publish=%d:80", *port);
    cleanup_free char *label = text_format("--label=" LABEL_DEVICE "=device-of-%s", name);
    const char *const run[] = {"run", "--detach", "--name", name, publish, label, IMAGE_HELLO_WEB_V1, NULL};
    TRY(podman_host_cli(host, run, id, err));
    if (id)
        (*id)[strcspn(*id, "\n")] = '\0';
    return 0;
}

static int expect_version(struct podman_host *host, int port, const char *version, struct error *err)
{
    cleanup_free char *body = NULL;

    TRY(podman_host_get(host, port, "/version", deadline_in_ms(ANSWER_MS), &body, err));
    CHECK(text_starts_with(body, version), "/version is %s", body);
    return 0;
}

FLEET_TEST(podman_host, runs_a_container, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    CLEANUP(cJSON_Delete) cJSON *inspected = NULL;
    cleanup_free char *id = NULL;
    int port;

    TRY(bring_up(test, "one", &host, err));
    TRY(run_web(host, "web", &port, &id, err));
    TRY(expect_version(host, port, "v1", err));

    TRY(podman_host_ps(host, NULL, &list, err));
    CHECK(list.count == 1, "%zu containers", list.count);
    CHECK(text_equal(list.items[0].id, id) && text_equal(list.items[0].name, "web"), "ps lists %s (%s)",
          list.items[0].name, list.items[0].id);
    CHECK(text_equal(list.items[0].image, IMAGE_HELLO_WEB_V1), "of image %s", list.items[0].image);
    CHECK(text_equal(list.items[0].state, "running"), "it is %s", list.items[0].state);
    CHECK(text_equal(list.items[0].device, "device-of-web"), "its device is %s", list.items[0].device);
    CHECK(list.items[0].service == NULL, "its service is %s", list.items[0].service);
    TRY(podman_host_ps(host, "another-device", &list, err));
    CHECK(list.count == 0, "%zu containers of another device", list.count);

    TRY(podman_host_inspect(host, "web", &inspected, err));
    CHECK(text_equal(json_text_or(inspected, "Id", NULL), id), "inspect shows another container");
    return 0;
}

FLEET_TEST(podman_host, failing_commands_are_errors, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    const char *const unknown[] = {"start", "no-such-container", NULL};
    cJSON *inspected = NULL;

    TRY(bring_up(test, "one", &host, err));
    CHECK_FAILS(podman_host_cli(host, unknown, NULL, err), process_error_domain, PROCESS_EXITED);
    CHECK_FAILS(podman_host_inspect(host, "no-such-container", &inspected, err), process_error_domain, PROCESS_EXITED);
    CHECK_FAILS(podman_host_get(host, 1, "/", deadline_in_ms(20), NULL, err), general_error_domain, GENERAL_TIMEOUT);
    return 0;
}

FLEET_TEST(podman_host, local_cli_sees_the_same_containers, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    const char *const run[] = {"run", "--detach", "--name", "sleeper", IMAGE_TOOLBOX, "sleep", "1000", NULL};
    const char *const names[] = {"ps", "--format={{.Names}}", NULL};
    cleanup_free char *output = NULL;

    TRY(bring_up(test, "one", &host, err));
    TRY(podman_host_local_cli(host, run, NULL, err));
    TRY(podman_host_cli(host, names, &output, err));
    CHECK(text_equal(output, "sleeper\n"), "the service lists %s", output);
    return 0;
}

FLEET_TEST(podman_host, reboot_keeps_storage_and_nothing_else, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    const char *const start[] = {"start", "web", NULL};
    int port;

    TRY(bring_up(test, "one", &host, err));
    TRY(run_web(host, "web", &port, NULL, err));
    TRY(expect_version(host, port, "v1", err));
    pid_t init = host->init;
    TRY(podman_host_reboot(host, err));
    CHECK(host->init != init && kill(init, 0) < 0 && errno == ESRCH, "the former init (%d) lives", (int)init);
    TRY(podman_host_ps(host, NULL, &list, err));
    CHECK(list.count == 1 && !text_equal(list.items[0].state, "running"), "%zu containers, the first is %s", list.count,
          list.count ? list.items[0].state : "-");
    TRY(podman_host_cli(host, start, NULL, err));
    TRY(expect_version(host, port, "v1", err));
    return 0;
}

FLEET_TEST(podman_host, containers_outlive_the_service, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    const char *const version[] = {"info", NULL};
    int port;

    TRY(bring_up(test, "one", &host, err));
    TRY(run_web(host, "web", &port, NULL, err));
    TRY(podman_host_kill_service(host, err));
    TRY(expect_version(host, port, "v1", err));
    CHECK_FAILS(podman_host_cli(host, version, NULL, err), process_error_domain, PROCESS_EXITED);
    TRY(podman_host_kill_service(host, err)); /* twice is fine */
    TRY(podman_host_start_service(host, err));
    TRY(podman_host_ps(host, NULL, &list, err));
    CHECK(list.count == 1 && text_equal(list.items[0].state, "running"), "the container did not survive");
    TRY(podman_host_start_service(host, err));
    return 0;
}

FLEET_TEST(podman_host, two_at_once_know_nothing_of_each_other, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *first = NULL;
    CLEANUP(podman_host_free) struct podman_host *second = NULL;
    CLEANUP(podman_host_free) struct podman_host *attached = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    struct run *run = NULL;
    int port;

    TRY(bring_up(test, "one", &first, err));
    TRY(bring_up(test, "two", &second, err));
    TRY(run_web(first, "web", &port, NULL, err));
    cleanup_free char *publish = text_format("--publish=%d:80", port);
    const char *const same[] = {"run", "--detach", "--name", "web", publish, IMAGE_HELLO_WEB_V2, NULL};
    TRY(podman_host_cli(second, same, NULL, err)); /* the same name, the same port */
    TRY(expect_version(first, port, "v1", err));
    TRY(expect_version(second, port, "v2", err));

    TRY(test_run(test, &run, err));
    TRY(podman_host_attach(run, "one", &attached, err));
    CHECK_FAILS(podman_host_reboot(attached, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(podman_host_kill_service(attached, err), general_error_domain, GENERAL_INVALID);
    podman_host_free(TAKE_PTR(attached));
    TRY(expect_version(first, port, "v1", err)); /* who only attached ends nothing */
    podman_host_free(TAKE_PTR(first));
    TRY(expect_version(second, port, "v2", err));
    TRY(podman_host_ps(second, NULL, &list, err));
    CHECK(list.count == 1, "%zu containers", list.count);
    return 0;
}

/** Lines of a file of /proc that contain `needle`. */
static int count_lines(const char *path, const char *needle, int *ret, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t size;

    TRY(file_read(path, 16u << 20, &text, &size, err));
    *ret = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        *ret += strstr(line, needle) != NULL;
    return 0;
}

static int count_bridges(int *ret, struct error *err)
{
    return count_lines("/proc/net/dev", "podman", ret, err);
}

struct group_search {
    const char *name;
    char *found;
};

static int find_group(void *context, const char *hierarchy, struct error *err)
{
    struct group_search *search = context;
    cleanup_free char *path = text_format("/sys/fs/cgroup/%s/%s", hierarchy, search->name);

    (void)err;
    if (file_exists(path) && !search->found)
        search->found = TAKE_PTR(path);
    return 0;
}

FLEET_TEST(podman_host, leaves_nothing, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    int port;
    int bridges_before;
    int bridges_during;
    int mounts;

    TRY(count_bridges(&bridges_before, err));
    TRY(bring_up(test, "one", &host, err));
    TRY(run_web(host, "web", &port, NULL, err));
    TRY(count_bridges(&bridges_during, err));
    CHECK(bridges_before == bridges_during, "podman made a bridge in the machine's own network");
    TRY(count_lines("/proc/self/mounts", host->directory, &mounts, err));
    CHECK(mounts == 0, "%d mounts of the sandbox are seen outside", mounts);

    cleanup_free char *storage = text_copy(host->storage);
    cleanup_free char *cgroup = text_copy(host->cgroup);
    pid_t outer = host->outer;
    pid_t init = host->init;
    podman_host_free(TAKE_PTR(host));
    CHECK(kill(outer, 0) < 0 && kill(init, 0) < 0, "a process is left");
    CHECK(!file_exists(storage), "%s is left", storage);
    struct group_search search = {.name = cgroup};
    TRY(directory_each("/sys/fs/cgroup", find_group, &search, err));
    cleanup_free char *found = search.found;
    CHECK(found == NULL, "control group %s is left", found);
    cleanup_free char *unified = text_format("/sys/fs/cgroup/%s", cgroup);
    CHECK(!file_exists(unified), "control group %s is left", unified);
    return 0;
}

struct events_context {
    struct podman_recorder *recorder;
    const char *device;
    size_t wanted;
};

static int enough_events(void *context, struct text_buffer *state, struct error *err)
{
    const struct events_context *events = context;
    size_t count = podman_recorder_count(events->recorder, events->device);

    (void)err;
    text_buffer_format(state, "%zu events", count);
    return count >= events->wanted;
}

FLEET_TEST(podman_host, recorder_sees_every_event_of_a_device, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    cleanup_text_list struct text_list before = {0};
    const char *const remove[] = {"rm", "--force", "--time=0", "web", NULL};
    int port;

    TRY(bring_up(test, "one", &host, err));
    TRY(run_web(host, "early", &port, NULL, err));
    TRY(podman_recorder_start(host, &recorder, err));
    TRY(run_web(host, "web", &port, NULL, err));
    struct events_context wanted = {recorder, "device-of-web", 1};
    TRY(wait_until("an event", enough_events, &wanted, NULL, deadline_in_ms(ANSWER_MS), err));
    /* Its stream breaks and comes back, its end is asked for right after the last event. */
    TRY(podman_host_kill_service(host, err));
    TRY(podman_host_start_service(host, err));
    TRY(podman_host_cli(host, remove, NULL, err));
    TRY(podman_recorder_stop(recorder, "device-of-web", &events, err));
    CHECK(events.count >= 3, "%zu events", events.count);
    CHECK(text_equal(events.items[0], "create web"), "first: %s", events.items[0]);
    CHECK(text_list_contains(&events, "start web"), "no start");
    CHECK(text_equal(events.items[events.count - 1], "remove web"), "last: %s", events.items[events.count - 1]);
    TRY(podman_recorder_stop(recorder, "device-of-early", &before, err));
    CHECK(before.count == 0, "an event from before the start: %s", before.items[0]);
    return 0;
}

FLEET_TEST(podman_host, free_ports_are_free, .gate = "host", NEEDS_PODMAN)
{
    CLEANUP(podman_host_free) struct podman_host *host = NULL;
    struct stat before;
    struct stat after;

    TRY(bring_up(test, "one", &host, err));
    CHECK(stat("/proc/thread-self/ns/net", &before) == 0, "no network namespace");
    for (int i = 0; i < 100; i++) {
        int port;

        TRY(podman_host_free_port(host, &port, err));
        CHECK(port > 1024 && port < 65536, "port %d", port);
    }
    CHECK(stat("/proc/thread-self/ns/net", &after) == 0, "no network namespace");
    CHECK(before.st_ino == after.st_ino, "the caller was left in another network");
    return 0;
}

FLEET_TEST(podman_host, bad_names_are_refused, .gate = "host", NEEDS_PODMAN)
{
    struct podman_host *host = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    CHECK_FAILS(podman_host_new(run, NULL, "../x", &host, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(podman_host_attach(run, "nobody", &host, err), system_error_domain, ENOENT);
    return 0;
}
