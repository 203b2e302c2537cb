/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole agent as a process, without podman: what it says on NATS, to systemd, and by its exit code.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "contracts/commands.h"
#include "contracts/device.h"
#include "contracts/names.h"
#include "harness/program.h"
#include "messaging/handshake.h"
#include "messaging/kv.h"
#include "operator/commands_client.h"
#include "tests/unit/support_nats.h"

#define WAIT_MS 25000
#define DEVICE  "pi-01"

struct scene {
    struct test_context *test;
    struct test_nats *nats;
    struct nats_connection *admin;
    struct fleet_commands_client *commands;
    struct process *agent;
    const char *interval_s; /* of reconciling; NULL: 0.1 */
    char *config;           /* path */
    char *log;
    char *notify; /* NOTIFY_SOCKET=…, NULL: not under systemd */
    int notify_fd;
};

static void scene_clear(struct scene *scene)
{
    process_free(scene->agent);
    fleet_commands_client_free(scene->commands);
    nats_connection_free(scene->admin);
    test_nats_free(scene->nats);
    free(scene->config);
    free(scene->log);
    free(scene->notify);
    close_fd(scene->notify_fd);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int write_config(struct scene *scene, struct error *err)
{
    const char *artefacts = scene->test->artefacts;
    cleanup_free char *secret = text_format("%s/password", artefacts);
    cleanup_free char *text =
        text_format("[agent]\ndevice_id = \"" DEVICE "\"\nruntime_enabled = false\n"
                    "state_directory = \"%s/state\"\nheartbeat_interval_s = 0.2\n"
                    "reconcile_interval_s = %s\n"
                    "[labels]\nsite = \"berlin\"\n"
                    "[nats]\nurls = [\"%s\"]\n"
                    "[credentials]\ntype = \"toml-shared\"\nuser = \"" TEST_DEVICE_USER "\"\n"
                    "password_file = \"%s\"\n",
                    artefacts, scene->interval_s ? scene->interval_s : "0.1", test_nats_url(scene->nats), secret);

    if (file_write_atomic(secret, TEST_DEVICE_PASSWORD "\n", strlen(TEST_DEVICE_PASSWORD) + 1, 0600, err) < 0)
        return -1;
    return file_write_atomic(scene->config, text, strlen(text), 0600, err);
}

/** NATS and a configuration; no agent yet. */
static int scene_set(struct test_context *test, struct scene *scene, struct error *err)
{
    scene->test = test;
    scene->notify_fd = -1;
    scene->config = text_format("%s/agent-config.toml", test->artefacts);
    scene->log = text_format("%s/agent.log", test->artefacts);
    TRY(test_nats_start(test, &scene->nats, err));
    return write_config(scene, err);
}

static int connect_admin(struct scene *scene, struct error *err)
{
    fleet_commands_client_free(TAKE_PTR(scene->commands));
    nats_connection_free(TAKE_PTR(scene->admin));
    TRY(test_nats_admin(scene->nats, &scene->admin, err));
    return fleet_commands_client_new(scene->admin, NULL, &scene->commands, err);
}

static int start_agent(struct scene *scene, struct error *err)
{
    cleanup_free char *program = NULL;

    if (program_find("harmony-fleet-agent", &program, err) < 0)
        return -1;
    const char *const argv[] = {program, "--config", scene->config, NULL};
    const char *const environment[] = {"FLEET_LOG=debug", scene->notify, NULL};
    struct process_options options = {
        .argv = argv, .environment = environment, .log_path = scene->log, .die_with_parent = true};
    return process_start(&options, &scene->agent, err);
}

/** SIGTERM; it must end well and in time. */
static int stop_agent(struct scene *scene, struct error *err)
{
    int64_t began_ms = clock_monotonic_ms();
    int exit_code = -1;

    TRY(process_stop(scene->agent, SIGTERM, deadline_in_ms(WAIT_MS), &exit_code, err));
    process_free(TAKE_PTR(scene->agent));
    CHECK(exit_code == 0, "exit code %d, see %s", exit_code, scene->log);
    CHECK(clock_monotonic_ms() - began_ms < 1000, "it took %" PRId64 " ms", clock_monotonic_ms() - began_ms);
    return 0;
}

static int is_pinged(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    struct scene *scene = context;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error refused = ERROR_INIT;

    if (fleet_ping(scene->commands, DEVICE, deadline_in_ms(1000), &reply, &refused) == 0)
        return 1;
    text_buffer_clear(state);
    text_buffer_add(state, error_root_detail(&refused));
    return 0;
}

static int wait_for_ping(struct scene *scene, struct error *err)
{
    return wait_until("the agent to answer a ping", is_pinged, scene, NULL, deadline_in_ms(WAIT_MS), err);
}

/** A key of a bucket, and what its value must contain (NULL: the key must be gone). */
struct value_wait {
    struct scene *scene;
    const char *bucket;
    const char *key;
    const char *contains;
};

static int has_value(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct value_wait *wait = context;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    cleanup_error struct error refused = ERROR_INIT;
    struct kv_value value = {0};

    text_buffer_clear(state);
    if (kv_bucket_open(wait->scene->admin, wait->bucket, 0, &bucket, &refused) < 0 ||
        kv_get(bucket, wait->key, &value, &refused) < 0) {
        text_buffer_add(state, error_root_detail(&refused));
        return !wait->contains && error_is(&refused, &kv_error_domain, KV_NOT_FOUND);
    }
    bool met = wait->contains && strstr(value.data, wait->contains);
    text_buffer_add(state, value.data);
    kv_value_clear(&value);
    return met;
}

static int wait_for_value(struct scene *scene, const char *bucket, const char *key, const char *contains,
                          struct error *err)
{
    struct value_wait wait = {scene, bucket, key, contains};
    cleanup_free char *what =
        text_format("%s to %s %s", key, contains ? "contain" : "be", contains ? contains : "gone");

    return wait_until(what, has_value, &wait, NULL, deadline_in_ms(WAIT_MS), err);
}

static int put_desired(struct scene *scene, const char *key, const char *value, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;

    if (kv_bucket_open(scene->admin, BUCKET_DESIRED_STATE, 0, &bucket, err) < 0)
        return -1;
    return value ? kv_put(bucket, key, value, strlen(value), NULL, err) : kv_delete(bucket, key, err);
}

static const char score[] = "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"x\"}]}}";

FLEET_TEST(agent, reports_itself_and_answers, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_INFO, "info." DEVICE, "\"berlin\"", err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_HEARTBEAT, "heartbeat." DEVICE, "\"agent_version\"", err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_HEARTBEAT, "heartbeat." DEVICE, "\"uptime_s\":1", err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, desired_state_without_runtime_is_failed, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(put_desired(&scene, DEVICE ".web", score, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".web", "\"Failed\"", err));
    TRY(put_desired(&scene, DEVICE ".bad", "not JSON", err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".bad", "\"Failed\"", err));
    TRY(put_desired(&scene, DEVICE ".web", NULL, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".web", NULL, err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, states_of_former_deployments_are_deleted, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(kv_bucket_open(scene.admin, BUCKET_DEVICE_STATE, 0, &bucket, err));
    TRY(kv_put(bucket, "state." DEVICE ".former", "{}", 2, NULL, err));
    TRY(kv_put(bucket, "state.pi-02.other", "{}", 2, NULL, err));
    TRY(put_desired(&scene, DEVICE ".web", score, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".web", "\"Failed\"", err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".former", NULL, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state.pi-02.other", "{}", err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, outlives_restarts_of_nats, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    for (int i = 0; i < 3; i++) {
        cleanup_free char *name = text_format("web-%d", i);
        cleanup_free char *key = text_format("%s.%s", DEVICE, name);
        cleanup_free char *state_key = text_format("state.%s.%s", DEVICE, name);

        TRY(test_nats_restart(scene.nats, NULL, err));
        TRY(connect_admin(&scene, err));
        TRY(put_desired(&scene, key, score, err));
        TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, state_key, "\"Failed\"", err));
        TRY(wait_for_ping(&scene, err));
    }
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, writes_all_again_into_an_empty_server, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *store = text_format("%s/nats/store", test->artefacts);

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_INFO, "info." DEVICE, "\"berlin\"", err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    TRY(directory_remove(store, err));
    TRY(test_nats_restart(scene.nats, NULL, err));
    TRY(connect_admin(&scene, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_INFO, "info." DEVICE, "\"berlin\"", err));
    return stop_agent(&scene, err);
}

static int delete_desired_bucket(struct scene *scene, struct error *err)
{
    jsCtx *jetstream = NULL;
    natsStatus status = natsConnection_JetStream(&jetstream, nats_connection_handle(scene->admin), NULL);

    if (status == NATS_OK)
        status = js_DeleteStream(jetstream, "KV_" BUCKET_DESIRED_STATE, NULL, NULL);
    jsCtx_Destroy(jetstream);
    CHECK(status == NATS_OK, "deleting the bucket: %s", natsStatus_GetText(status));
    return 0;
}

/* No check of the keys is due within this test: the server's silence tells. */
FLEET_TEST(agent, bucket_made_anew_under_it_is_found, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {.interval_s = "3600"};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(put_desired(&scene, DEVICE ".web", score, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".web", "\"Failed\"", err));
    TRY(delete_desired_bucket(&scene, err));
    TRY(put_desired(&scene, DEVICE ".other", score, err)); /* makes it anew */
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".other", "\"Failed\"", err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, starts_without_nats_and_comes_later, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    TRY(start_agent(&scene, err));
    TRY(test_nats_restart(scene.nats, NULL, err));
    TRY(connect_admin(&scene, err));
    TRY(wait_for_ping(&scene, err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, comes_back_after_refused_credentials, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(scene_set(test, &scene, err));
    TRY(start_agent(&scene, err));
    TRY(connect_admin(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(test_nats_restart(scene.nats, "another password", err));
    TRY(connect_admin(&scene, err));
    CHECK_FAILS(fleet_ping(scene.commands, DEVICE, deadline_in_ms(2000), &reply, err), command_error_domain,
                COMMAND_DEVICE_OFFLINE);
    TRY(test_nats_restart(scene.nats, TEST_DEVICE_PASSWORD, err));
    TRY(connect_admin(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(put_desired(&scene, DEVICE ".web", score, err));
    TRY(wait_for_value(&scene, BUCKET_DEVICE_STATE, "state." DEVICE ".web", "\"Failed\"", err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, ends_in_time_whatever_nats_does, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(test_nats_signal(scene.nats, SIGSTOP, err));
    int result = stop_agent(&scene, err);
    cleanup_error struct error ignored = ERROR_INIT;
    if (test_nats_signal(scene.nats, SIGCONT, &ignored) < 0 && result == 0)
        error_move(err, &ignored);
    return error_is_set(err) ? -1 : 0;
}

FLEET_TEST(agent, ends_in_time_without_nats, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    return stop_agent(&scene, err);
}

/** A listener that accepts nobody: who connects to it waits, as behind a firewall that drops. */
struct black_hole {
    int port;
    int listener;
    int waiting[4];
};

static void black_hole_close(struct black_hole *hole)
{
    close_fd(hole->listener);
    for (size_t i = 0; i < ARRAY_SIZE(hole->waiting); i++)
        close_fd(hole->waiting[i]);
}
#define cleanup_black_hole __attribute__((cleanup(black_hole_close)))

/** Connections to the port that are not answered, out of /proc/net/tcp. */
static int count_unanswered(int port)
{
    cleanup_free char *remote = text_format(":%04X 02 ", (unsigned)port);
    cleanup_error struct error unreadable = ERROR_INIT;
    cleanup_free char *table = NULL;
    size_t size;
    int count = 0;

    if (file_read("/proc/net/tcp", 16 << 20, &table, &size, &unreadable) < 0)
        return -1;
    for (const char *at = table; (at = strstr(at, remote)); at++)
        count++;
    return count;
}

static int black_hole_open(struct black_hole *hole, int port, struct error *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;

    hole->port = port;
    hole->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(hole->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    CHECK(bind(hole->listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(hole->listener, 0) == 0,
          "port %d: %s", port, strerror(errno));
    for (size_t i = 0; i < ARRAY_SIZE(hole->waiting); i++) {
        hole->waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(connect(hole->waiting[i], (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EINPROGRESS,
              "connect: %s", strerror(errno));
    }
    return 0;
}

struct unanswered_wait {
    int port;
    int more_than;
};

static int is_unanswered(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct unanswered_wait *wait = context;
    int count = count_unanswered(wait->port);

    text_buffer_clear(state);
    text_buffer_format(state, "%d connections", count);
    return count > wait->more_than;
}

FLEET_TEST(agent, ends_in_time_while_it_connects, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    cleanup_black_hole struct black_hole hole = {0, -1, {-1, -1, -1, -1}};

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    TRY(black_hole_open(&hole, nats_url_port(test_nats_url(scene.nats)), err));
    struct unanswered_wait wait = {hole.port, count_unanswered(hole.port)};
    TRY(wait_until("the agent to connect", is_unanswered, &wait, NULL, deadline_in_ms(WAIT_MS), err));
    return stop_agent(&scene, err);
}

/** What systemd was told so far, and what it must have been told. */
struct told_wait {
    int fd;
    struct text_buffer told;
    const char *wanted;
};

static int is_told(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    struct told_wait *wait = context;
    char datagram[256];
    ssize_t size;

    while ((size = recv(wait->fd, datagram, sizeof(datagram), MSG_DONTWAIT)) > 0) {
        text_buffer_append(&wait->told, datagram, (size_t)size);
        text_buffer_add(&wait->told, "\n");
    }
    text_buffer_clear(state);
    text_buffer_add(state, text_buffer_text(&wait->told));
    return strstr(text_buffer_text(&wait->told), wait->wanted) != NULL;
}

static int check_told(struct scene *scene, const char *wanted, struct error *err)
{
    struct told_wait wait = {.fd = scene->notify_fd, .wanted = wanted};
    int result = wait_until(wanted, is_told, &wait, NULL, deadline_in_ms(WAIT_MS), err);

    text_buffer_clear(&wait.told);
    return result;
}

static int bind_notify_socket(struct scene *scene, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "fleet-agent-notify-%d", getpid());

    scene->notify = text_format("NOTIFY_SOCKET=@%s", address.sun_path + 1);
    scene->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t address_size = (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)size);
    CHECK(bind(scene->notify_fd, (struct sockaddr *)&address, address_size) == 0, "bind: %s", strerror(errno));
    return 0;
}

FLEET_TEST(agent, tells_systemd, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    setenv("WATCHDOG_USEC", "200000", 1);
    unsetenv("WATCHDOG_PID");
    TRY(scene_set(test, &scene, err));
    TRY(bind_notify_socket(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(check_told(&scene, "READY=1", err));
    TRY(connect_admin(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(check_told(&scene, "WATCHDOG=1", err));
    TRY(check_told(&scene, "WATCHDOG=1", err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    TRY(check_told(&scene, "STATUS=not connected to NATS", err));
    TRY(stop_agent(&scene, err));
    return check_told(&scene, "STOPPING=1", err);
}

FLEET_TEST(agent, is_ready_without_nats_too, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(test_nats_signal(scene.nats, SIGKILL, err));
    TRY(bind_notify_socket(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(check_told(&scene, "READY=1", err));
    return stop_agent(&scene, err);
}

/** Run the agent with these arguments to its end. */
static int check_exit(const char *const *arguments, int expected, const char *says, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_process_result struct process_result result = {0};
    const char *argv[8] = {NULL};

    TRY(program_find("harmony-fleet-agent", &program, err));
    argv[0] = program;
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    struct process_options options = {.argv = argv};
    TRY(process_run(&options, deadline_in_ms(WAIT_MS), &result, err));
    CHECK(result.exit_code == expected, "exit code %d: %s", result.exit_code, result.errors);
    CHECK(strstr(result.output, says) || strstr(result.errors, says), "no \"%s\" in: %s%s", says, result.output,
          result.errors);
    return 0;
}

FLEET_TEST(agent, only_one_uses_a_state_directory, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    cleanup_free char *state = text_format("%s/state", test->artefacts);

    TRY(scene_set(test, &scene, err));
    TRY(connect_admin(&scene, err));
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    TRY(check_exit((const char *const[]){"--config", scene.config, NULL}, 1, state, err));
    TRY(wait_for_ping(&scene, err));     /* the first one is not disturbed */
    process_free(TAKE_PTR(scene.agent)); /* SIGKILL */
    TRY(start_agent(&scene, err));
    TRY(wait_for_ping(&scene, err));
    return stop_agent(&scene, err);
}

FLEET_TEST(agent, tls_files_that_cannot_be_used_are_a_wrong_configuration)
{
    cleanup_free char *path = text_format("%s/agent-config.toml", test->artefacts);
    cleanup_free char *ca = text_format("%s/ca.pem", test->artefacts);
    cleanup_free char *text = text_format("[agent]\ndevice_id = \"a\"\nstate_directory = \"%s/state\"\n"
                                          "[nats]\nurls = [\"tls://127.0.0.1:1\"]\nca_file = \"%s\"\n",
                                          test->artefacts, ca);

    TRY(file_write_atomic(ca, "no certificate\n", 15, 0600, err));
    TRY(file_write_atomic(path, text, strlen(text), 0600, err));
    TRY(check_exit((const char *const[]){"--config", path, "--check-config", NULL}, EX_CONFIG, ca, err));
    return check_exit((const char *const[]){"--config", path, NULL}, EX_CONFIG, ca, err);
}

FLEET_TEST(agent, exit_codes_are_as_documented)
{
    cleanup_free char *path = text_format("%s/agent-config.toml", test->artefacts);
    cleanup_free char *state = text_format("%s/file", test->artefacts);
    cleanup_free char *unusable = text_format("[agent]\ndevice_id = \"a\"\nstate_directory = \"%s/state\"\n"
                                              "[nats]\nurls = [\"nats://127.0.0.1:1\"]\n",
                                              state);

    TRY(check_exit((const char *const[]){"--version", NULL}, 0, FLEET_VERSION, err));
    TRY(check_exit((const char *const[]){"--help", NULL}, 0, "--check-config", err));
    TRY(check_exit((const char *const[]){"--bogus", NULL}, EX_USAGE, "--help", err));
    TRY(check_exit((const char *const[]){"extra", NULL}, EX_USAGE, "extra", err));
    TRY(check_exit((const char *const[]){"--config", "/nonexistent/x.toml", NULL}, EX_CONFIG, "/nonexistent/x.toml",
                   err));
    TRY(file_write_atomic(path, "[agent]\ndevice_id = 7\n", 22, 0600, err));
    TRY(check_exit((const char *const[]){"--config", path, NULL}, EX_CONFIG, ":2: agent.device_id: ", err));
    TRY(file_write_atomic(state, "", 0, 0600, err));
    TRY(file_write_atomic(path, unusable, strlen(unusable), 0600, err));
    TRY(check_exit((const char *const[]){"--config", path, "--check-config", NULL}, 0, "ok: device a", err));
    return check_exit((const char *const[]){"--config", path, NULL}, 1, state, err);
}
