/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_score.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "contracts/names.h"
#include "contracts/score.h"
#include "deploy/nats_config.h"
#include "messaging/kv.h"
#include "tests/unit/support_deploy.h"

#define DEADLINE deadline_in_ms(20000)

struct deployed_nats {
    struct test_host host;
    char *program;
    char *directory;
    struct fleet_nats_score score;
    struct fleet_nats_deployed result;
};

static int prepare(struct test_context *test, struct deployed_nats *nats, struct error *err)
{
    TRY(test_host_new(test, &nats->host, err));
    TRY(nats_server_find(&nats->program, err));
    nats->directory = text_format("%s/nats", nats->host.directory);
    nats->score = (struct fleet_nats_score){
        .server_program = nats->program,
        .directory = nats->directory,
        .admin = {"the-admin", "pass word $VARIABLE ü # // ' } ] %s"},
        .device = {"the-device", "$2 is not bcrypt"},
    };
    return 0;
}

static void clear(struct deployed_nats *nats)
{
    fleet_nats_deployed_clear(&nats->result);
    free(nats->program);
    free(nats->directory);
    test_host_clear(&nats->host);
}
#define CLEANUP_NATS __attribute__((cleanup(clear)))

static int interpret(struct deployed_nats *nats, struct error *err)
{
    return fleet_nats_score_interpret(&nats->score, &nats->host.topology, DEADLINE, &nats->result, err);
}

static int connect_as(const struct deployed_nats *nats, const struct user_password *user,
                      struct credentials **credentials, struct nats_connection **ret, struct error *err)
{
    const char *const urls[] = {nats->result.url, NULL};
    struct nats_settings settings = {.urls = urls, .name = "test"};

    if (credentials_user_password(user->user, user->password, credentials, err) < 0)
        return -1;
    settings.credentials = *credentials;
    return nats_connection_open(&settings, ret, err);
}

FLEET_TEST(nats_score, deploys_once_and_says_so, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    struct stat status;

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    CHECK(nats.result.outcome.changed, "the first interpretation changed nothing");
    CHECK(text_starts_with(nats.result.url, "nats://127.0.0.1:") && nats.result.port > 1024, "%s, port %d",
          nats.result.url, nats.result.port);
    cleanup_free char *configuration = text_format("%s/nats-server.conf", nats.directory);
    CHECK(stat(configuration, &status) == 0 && (status.st_mode & 0777) == 0600, "the configuration has mode %o",
          status.st_mode);
    CHECK(stat(nats.directory, &status) == 0 && (status.st_mode & 0777) == 0700, "the directory has mode %o",
          status.st_mode);

    int port = nats.result.port;
    TRY(interpret(&nats, err));
    CHECK(!nats.result.outcome.changed, "the second interpretation changed something");
    CHECK(nats.result.port == port, "port %d became %d", port, nats.result.port);
    return 0;
}

FLEET_TEST(nats_score, dead_server_comes_back_on_its_port_with_its_store, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    CLEANUP(credentials_free) struct credentials *admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *before = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *after = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    int port = nats.result.port;
    TRY(connect_as(&nats, &nats.score.admin, &admin, &before, err));
    TRY(kv_bucket_open(before, BUCKET_DESIRED_STATE, 0, &bucket, err));
    TRY(kv_put(bucket, "device.web", "kept", 4, NULL, err));
    kv_bucket_free(TAKE_PTR(bucket));
    TRY(local_host_signal(nats.host.local, "fleet-nats", SIGKILL, NULL, err));
    TRY(interpret(&nats, err));
    CHECK(nats.result.outcome.changed, "bringing it back is no change");
    CHECK(nats.result.port == port, "port %d became %d", port, nats.result.port);
    credentials_free(TAKE_PTR(admin));
    TRY(connect_as(&nats, &nats.score.admin, &admin, &after, err));
    TRY(kv_bucket_open(after, BUCKET_DESIRED_STATE, 0, &bucket, err));
    TRY(kv_get(bucket, "device.web", &value, err));
    bool kept = text_equal(value.data, "kept");
    kv_value_clear(&value);
    CHECK(kept, "the store is another one");
    return 0;
}

FLEET_TEST(nats_score, changed_credentials_restart_it, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    CLEANUP(credentials_free) struct credentials *old = NULL;
    struct nats_connection *refused = NULL;

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    struct user_password former = nats.score.device;
    nats.score.device.password = "another \"with\" \\";
    TRY(interpret(&nats, err)); /* its smoke check connects with the new one */
    CHECK(nats.result.outcome.changed, "nothing changed");
    CHECK_FAILS(connect_as(&nats, &former, &old, &refused, err), nats_error_domain, NATS_CONNECTION_AUTH_FAILED);
    return 0;
}

FLEET_TEST(nats_score, nobody_gets_in_without_credentials, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    struct nats_connection *refused = NULL;

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    const char *const urls[] = {nats.result.url, NULL};
    struct nats_settings settings = {.urls = urls, .name = "nobody"};
    CHECK_FAILS(nats_connection_open(&settings, &refused, err), nats_error_domain, NATS_CONNECTION_AUTH_FAILED);
    return 0;
}

/** Publish as the device; a refusal comes back asynchronously, so the bucket is asked afterwards. */
static int publish(struct nats_connection *device, const char *subject, struct error *err)
{
    natsStatus status = natsConnection_PublishString(nats_connection_handle(device), subject, "from a device");

    if (status != NATS_OK)
        return error_set_nats(err, status, "publishing", subject);
    return nats_connection_flush(device, DEADLINE, err);
}

/** A request of JetStream's API that is refused is never answered. */
static int expect_no_answer(struct nats_connection *device, const char *subject, struct error *err)
{
    natsMsg *reply = NULL;
    natsStatus status = natsConnection_RequestString(&reply, nats_connection_handle(device), subject, "", 200 /* ms */);

    natsMsg_Destroy(reply);
    CHECK(status == NATS_TIMEOUT, "%s as a device: %s", subject, natsStatus_GetText(status));
    return 0;
}

FLEET_TEST(nats_score, devices_cannot_touch_desired_state, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const forbidden[] = {
        "$JS.API.STREAM.PURGE.KV_desired-state",  "$JS.API.STREAM.DELETE.KV_desired-state",
        "$JS.API.STREAM.UPDATE.KV_desired-state", "$JS.API.STREAM.MSG.DELETE.KV_desired-state",
        "$JS.API.STREAM.CREATE.KV_other",         "$JS.API.STREAM.RESTORE.KV_desired-state",
        "device-commands.another.ping",
    };
    CLEANUP_NATS struct deployed_nats nats = {0};
    CLEANUP(credentials_free) struct credentials *admin_credentials = NULL;
    CLEANUP(credentials_free) struct credentials *device_credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *device = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *desired = NULL;
    struct kv_value value = {0};

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    TRY(connect_as(&nats, &nats.score.admin, &admin_credentials, &admin, err));
    TRY(connect_as(&nats, &nats.score.device, &device_credentials, &device, err));
    TRY(kv_bucket_open(admin, BUCKET_DESIRED_STATE, 0, &desired, err));
    TRY(kv_put(desired, "device.web", "from the admin", 14, NULL, err));
    TRY(publish(device, "$KV.desired-state.device.web", err));
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
        TRY(expect_no_answer(device, forbidden[i], err));
    TRY(kv_get(desired, "device.web", &value, err));
    cleanup_free char *seen = TAKE_PTR(value.data);
    CHECK(text_equal(seen, "from the admin"), "a device changed it to \"%s\"", seen);
    return 0;
}

struct watched_key {
    kvWatcher *watcher;
    char value[64];
};

static int key_arrived(void *context, struct text_buffer *state, struct error *err)
{
    struct watched_key *watched = context;
    kvEntry *entry = NULL;
    natsStatus status = kvWatcher_Next(&entry, watched->watcher, 100);

    text_buffer_add(state, natsStatus_GetText(status));
    if (status != NATS_OK && status != NATS_TIMEOUT)
        return error_set_nats(err, status, "watching", "desired-state");
    if (!entry)
        return 0;
    snprintf(watched->value, sizeof(watched->value), "%s", kvEntry_ValueString(entry));
    kvEntry_Destroy(entry);
    return 1;
}

static void answer(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    (void)subscription;
    (void)context;
    natsConnection_PublishString(connection, natsMsg_GetReply(message), "pong");
    natsMsg_Destroy(message);
}

/** Everything an agent does, as the device user. */
FLEET_TEST(nats_score, devices_can_do_what_agents_do, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const buckets[] = {BUCKET_DEVICE_INFO, BUCKET_DEVICE_STATE, BUCKET_DEVICE_HEARTBEAT};
    CLEANUP_NATS struct deployed_nats nats = {0};
    CLEANUP(credentials_free) struct credentials *admin_credentials = NULL;
    CLEANUP(credentials_free) struct credentials *device_credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *device = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *desired = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *seen_by_device = NULL;
    struct watched_key watched = {0};
    natsSubscription *subscription = NULL;
    natsMsg *reply = NULL;

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    TRY(connect_as(&nats, &nats.score.admin, &admin_credentials, &admin, err));
    TRY(connect_as(&nats, &nats.score.device, &device_credentials, &device, err));
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
        struct kv_value value = {0};

        TRY(kv_bucket_open(device, buckets[i], 0, &bucket, err));
        TRY(kv_put(bucket, "x.device", "1", 1, NULL, err));
        TRY(kv_get(bucket, "x.device", &value, err));
        kv_value_clear(&value);
        TRY(kv_delete(bucket, "x.device", err));
    }

    TRY(kv_bucket_open(admin, BUCKET_DESIRED_STATE, 0, &desired, err));
    TRY(kv_bucket_open(device, BUCKET_DESIRED_STATE, 0, &seen_by_device, err));
    kvWatchOptions options;
    kvWatchOptions_Init(&options);
    CHECK(kvStore_Watch(&watched.watcher, kv_bucket_handle(seen_by_device), "device.*", &options) == NATS_OK,
          "a device cannot watch desired-state");
    int result = kv_put(desired, "device.web", "desired", 7, NULL, err);
    if (result == 0)
        result = wait_until("the key", key_arrived, &watched, NULL, DEADLINE, err);
    kvWatcher_Destroy(watched.watcher);
    TRY(result);
    CHECK(text_equal(watched.value, "desired"), "the device sees %s", watched.value);

    CHECK(natsConnection_Subscribe(&subscription, nats_connection_handle(device), "device-commands.device.>", answer,
                                   NULL) == NATS_OK,
          "a device cannot subscribe its commands");
    result = nats_connection_flush(device, DEADLINE, err);
    natsStatus status = natsConnection_RequestString(&reply, nats_connection_handle(admin),
                                                     "device-commands.device.ping", "", 5000 /* ms */);
    natsMsg_Destroy(reply);
    natsSubscription_Destroy(subscription);
    TRY(result);
    CHECK(status == NATS_OK, "a device cannot answer: %s", natsStatus_GetText(status));
    return 0;
}

/* What is over the limit must reach the agent, which refuses it in words. */
FLEET_TEST(nats_score, takes_values_beyond_the_limit_of_a_desired_state, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    CLEANUP(credentials_free) struct credentials *admin_credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *admin = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *desired = NULL;
    cleanup_free char *value = NEW_ARRAY(char, SCORE_VALUE_MAX + 4096);

    TRY(prepare(test, &nats, err));
    TRY(interpret(&nats, err));
    TRY(connect_as(&nats, &nats.score.admin, &admin_credentials, &admin, err));
    TRY(kv_bucket_open(admin, BUCKET_DESIRED_STATE, 0, &desired, err));
    TRY(kv_put(desired, "device.big", value, SCORE_VALUE_MAX + 4096, NULL, err));
    return 0;
}

FLEET_TEST(nats_score, invalid_scores_touch_nothing, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    struct topology no_host = {.name = "a cluster"};

    TRY(prepare(test, &nats, err));
    const struct fleet_nats_score good = nats.score;
    struct fleet_nats_score bad[] = {good, good, good, good, good, good, good, good, good, good, good, good};
    size_t count = 0;
    bad[count++].server_program = NULL;
    bad[count++].server_program = "nats-server";
    bad[count++].server_program = "/nonexistent/nats-server";
    bad[count++].server_program = "/etc/passwd";
    bad[count++].directory = "relative";
    bad[count++].directory = "/tmp/new\nline";
    bad[count++].listen_address = "localhost";
    bad[count++].port = 70000;
    bad[count++].admin.password = "";
    bad[count++].device.password = "$2a$11$abc";
    bad[count++].device.user = "the-admin";
    bad[count++].admin.user = "new\nline";
    CHECK(count == ARRAY_SIZE(bad), "%zu cases", count);
    for (size_t i = 0; i < count; i++) {
        nats.score = bad[i];
        CHECK_FAILS(interpret(&nats, err), deploy_error_domain, DEPLOY_INVALID_SCORE);
    }
    CHECK(!file_exists(nats.directory), "an invalid score made %s", nats.directory);
    CHECK_FAILS(fleet_nats_score_interpret(&good, &no_host, DEADLINE, &nats.result, err), deploy_error_domain,
                DEPLOY_NO_CAPABILITY);
    return 0;
}

/* The port is another program's: the error shows the server's own words. */
FLEET_TEST(nats_score, taken_port_is_a_failed_smoke_check, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    TRY(prepare(test, &nats, err));
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0 && getsockname(fd, (struct sockaddr *)&address, &size) == 0,
          "bind: %s", strerror(errno)); /* bound, not listening: the probe is refused */
    nats.score.port = ntohs(address.sin_port);
    int result = interpret(&nats, err);
    CHECK(result < 0 && error_is(err, &deploy_error_domain, DEPLOY_SMOKE_CHECK_FAILED), "result %d", result);
    cleanup_free char *text = error_text(err);
    error_clear(err);
    CHECK(strstr(text, "address already in use"), "the log's words are missing: %s", text);
    return 0;
}

struct seen_steps {
    struct text_list began;
    int changed;
    int ended;
};

static void step_begin(void *context, const char *step)
{
    text_list_add(&((struct seen_steps *)context)->began, step);
}

static void step_end(void *context, const char *step, bool changed)
{
    struct seen_steps *seen = context;

    (void)step;
    seen->ended++;
    seen->changed += changed;
}

FLEET_TEST(nats_score, steps_are_told, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_NATS struct deployed_nats nats = {0};
    cleanup_text_list struct text_list began = {0};
    struct seen_steps seen = {0};
    const struct score_observer observer = {.step_begin = step_begin, .step_end = step_end, .context = &seen};

    TRY(prepare(test, &nats, err));
    nats.host.topology.observer = &observer;
    int result = interpret(&nats, err);
    began = seen.began;
    TRY(result);
    CHECK(seen.ended == 3 && began.count == 3, "%zu steps began, %d ended", began.count, seen.ended);
    CHECK(seen.changed == 2, "%d steps changed something", seen.changed);
    return 0;
}
