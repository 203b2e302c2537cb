/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/desired_watch.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/names.h"
#include "tests/unit/support_nats.h"

#define WAIT_MS 10000

/** Writes down what the watch says: "put a 3 bytes", "deleted a", "retain a b". */
struct diary {
    pthread_mutex_t mutex;
    struct text_list lines;
    uint64_t bucket;
};

static void write_line(struct diary *diary, char *line)
{
    pthread_mutex_lock(&diary->mutex);
    text_list_take(&diary->lines, line);
    pthread_mutex_unlock(&diary->mutex);
}

static void on_bucket(void *context, uint64_t bucket)
{
    struct diary *diary = context;

    pthread_mutex_lock(&diary->mutex);
    diary->bucket = bucket;
    pthread_mutex_unlock(&diary->mutex);
}

static void on_put(void *context, const char *deployment, uint64_t revision __attribute__((unused)),
                   const char *data __attribute__((unused)), size_t size)
{
    write_line(context, text_format("put %s %zu bytes", deployment, size));
}

static void on_deleted(void *context, const char *deployment)
{
    write_line(context, text_format("deleted %s", deployment));
}

static void on_retain(void *context, const char *const *deployments, size_t count)
{
    struct text_buffer line = {0};

    text_buffer_add(&line, "retain");
    for (size_t i = 0; i < count; i++)
        text_buffer_format(&line, " %s", deployments[i]);
    write_line(context, text_buffer_take(&line));
}

struct scene {
    struct test_nats *nats;
    struct nats_connection *connection; /* the agent's: reconnects */
    struct credentials *credentials;
    struct kv_bucket *bucket;
    struct diary diary;
    struct desired_watch *watch;
};

static void scene_clear(struct scene *scene)
{
    if (scene->connection)
        nats_connection_close(scene->connection);
    desired_watch_free(scene->watch);
    kv_bucket_free(scene->bucket);
    nats_connection_free(scene->connection);
    credentials_free(scene->credentials);
    text_list_clear(&scene->diary.lines);
    test_nats_free(scene->nats);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_set(struct test_context *test, struct scene *scene, struct error *err)
{
    struct desired_sink sink = {on_bucket, on_put, on_deleted, on_retain, &scene->diary};

    pthread_mutex_init(&scene->diary.mutex, NULL);
    TRY(test_nats_start(test, &scene->nats, err));
    TRY(credentials_user_password(TEST_ADMIN_USER, TEST_ADMIN_PASSWORD, &scene->credentials, err));
    const char *const urls[] = {test_nats_url(scene->nats), NULL};
    struct nats_settings settings = {.urls = urls,
                                     .credentials = scene->credentials,
                                     .reconnect = true,
                                     .reconnect_min_ms = 10,
                                     .reconnect_max_ms = 50};
    TRY(nats_connection_open(&settings, &scene->connection, err));
    TRY(kv_bucket_open(scene->connection, BUCKET_DESIRED_STATE, 0, &scene->bucket, err));
    TRY(desired_watch_new("pi-01", &sink, &scene->watch, err));
    return 0;
}

struct line_wait {
    struct diary *diary;
    const char *line;
};

static int has_line(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    struct line_wait *wait = context;

    pthread_mutex_lock(&wait->diary->mutex);
    bool found = text_list_contains(&wait->diary->lines, wait->line);
    for (size_t i = 0; i < wait->diary->lines.count; i++)
        text_buffer_format(state, "%s; ", wait->diary->lines.items[i]);
    pthread_mutex_unlock(&wait->diary->mutex);
    return found;
}

static int wait_for_line(struct scene *scene, const char *line, struct error *err)
{
    struct line_wait wait = {&scene->diary, line};

    return wait_until(line, has_line, &wait, NULL, deadline_in_ms(WAIT_MS), err);
}

static void forget_lines(struct scene *scene)
{
    pthread_mutex_lock(&scene->diary.mutex);
    text_list_clear(&scene->diary.lines);
    pthread_mutex_unlock(&scene->diary.mutex);
}

FLEET_TEST(desired_watch, empty_bucket_retains_nothing, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "retain", err));
    CHECK(desired_watch_is_complete(scene.watch), "it does not know");
    return 0;
}

FLEET_TEST(desired_watch, only_keys_of_the_device_come, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    struct line_wait other = {&scene.diary, "put d 1 bytes"};
    cleanup_text_buffer struct text_buffer state = {0};

    TRY(scene_set(test, &scene, err));
    TRY(kv_put(scene.bucket, "pi-01.a", "1", 1, NULL, err));
    TRY(kv_put(scene.bucket, "pi-02.d", "1", 1, NULL, err));
    TRY(kv_put(scene.bucket, "pi-01.b", "12", 2, NULL, err));
    TRY(kv_put(scene.bucket, "pi-01.gone", "1", 1, NULL, err));
    TRY(kv_delete(scene.bucket, "pi-01.gone", err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "retain a b", err));
    CHECK(desired_watch_has(scene.watch, "a") && !desired_watch_has(scene.watch, "gone"), "it knows other keys");
    TRY(kv_put(scene.bucket, "pi-02.d", "1", 1, NULL, err));
    TRY(kv_put(scene.bucket, "pi-01.c", "123", 3, NULL, err));
    TRY(wait_for_line(&scene, "put c 3 bytes", err));
    TRY(kv_delete(scene.bucket, "pi-01.a", err));
    TRY(wait_for_line(&scene, "deleted a", err));
    TRY(kv_put(scene.bucket, "pi-01.empty", "", 0, NULL, err));
    TRY(wait_for_line(&scene, "put empty 0 bytes", err));
    CHECK(has_line(&other, &state, err) == 0, "another device's key came");
    return 0;
}

/** What a client that publishes by itself may send: a value with one header. */
static int publish_with_header(struct scene *scene, const char *key, const char *header, const char *value,
                               struct error *err)
{
    cleanup_free char *subject = text_format("$KV.desired-state.%s", key);
    natsMsg *message = NULL;

    natsStatus status = natsMsg_Create(&message, subject, NULL, "1", 1);
    if (status == NATS_OK)
        status = natsMsgHeader_Set(message, header, value);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(nats_connection_handle(scene->connection), message);
    natsMsg_Destroy(message);
    CHECK(status == NATS_OK, "publishing: %s", natsStatus_GetText(status));
    return 0;
}

FLEET_TEST(desired_watch, headers_tell_puts_from_deletions, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const struct {
        const char *header;
        const char *value;
        const char *line;
    } cases[] = {
        {"KV-Operation", "PUT", "put a 1 bytes"},      {"Nats-Expected-Stream", "KV_desired-state", "put a 1 bytes"},
        {"KV-Operation", "DEL", "deleted a"},          {"X-Trace", "DEL", "put a 1 bytes"},
        {"KV-Operation", "PURGE", "deleted a"},        {"KV-Operation", "", "put a 1 bytes"},
        {"Nats-Marker-Reason", "MaxAge", "deleted a"},
    };
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        forget_lines(&scene);
        TRY(publish_with_header(&scene, "pi-01.a", cases[i].header, cases[i].value, err));
        TRY(wait_for_line(&scene, cases[i].line, err));
    }
    return 0;
}

FLEET_TEST(desired_watch, value_over_a_mebibyte_does_not_break_it, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    size_t size = 3u << 20;
    cleanup_free char *large = NEW_ARRAY(char, size);

    TRY(scene_set(test, &scene, err));
    memset(large, 'x', size);
    TRY(kv_put(scene.bucket, "pi-01.a", "1", 1, NULL, err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "retain a", err));
    TRY(kv_put(scene.bucket, "pi-01.large", large, size, NULL, err));
    TRY(wait_for_line(&scene, "put large 3145728 bytes", err));
    TRY(kv_put(scene.bucket, "pi-01.after", "1", 1, NULL, err));
    TRY(wait_for_line(&scene, "put after 1 bytes", err));
    return 0;
}

FLEET_TEST(desired_watch, restart_after_a_reconnect_reads_all_again, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(kv_put(scene.bucket, "pi-01.a", "1", 1, NULL, err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "retain a", err));
    for (int i = 0; i < 3; i++) {
        TRY(test_nats_restart(scene.nats, NULL, err));
        TRY(test_wait_up(scene.connection, err));
        forget_lines(&scene);
        TRY(desired_watch_restart(scene.watch, scene.connection, err));
        TRY(wait_for_line(&scene, "retain a", err));
        TRY(kv_put(scene.bucket, "pi-01.a", "1234", 4, NULL, err));
        TRY(wait_for_line(&scene, "put a 4 bytes", err));
    }
    return 0;
}

static int check_intact(struct scene *scene, bool expected, struct error *err)
{
    bool intact = !expected;

    TRY(desired_watch_check(scene->watch, scene->bucket, &intact, err));
    CHECK(intact == expected, "intact is %d", intact);
    return 0;
}

FLEET_TEST(desired_watch, check_finds_what_was_missed, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    jsCtx *jetstream = NULL;

    TRY(scene_set(test, &scene, err));
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(check_intact(&scene, true, err));
    TRY(kv_put(scene.bucket, "pi-01.a", "1", 1, NULL, err));
    TRY(wait_for_line(&scene, "put a 1 bytes", err));
    TRY(check_intact(&scene, true, err));
    /* A purged stream tells its watches nothing. */
    CHECK(natsConnection_JetStream(&jetstream, nats_connection_handle(scene.connection), NULL) == NATS_OK,
          "no JetStream");
    natsStatus status = js_PurgeStream(jetstream, "KV_desired-state", NULL, NULL);
    jsCtx_Destroy(jetstream);
    CHECK(status == NATS_OK, "purging: %s", natsStatus_GetText(status));
    TRY(check_intact(&scene, false, err));
    forget_lines(&scene);
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "retain", err));
    return 0;
}

FLEET_TEST(desired_watch, check_finds_that_the_bucket_is_another, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    jsCtx *jetstream = NULL;
    uint64_t bucket = 0;

    TRY(scene_set(test, &scene, err));
    for (int i = 0; i < 2; i++) {
        TRY(desired_watch_restart(scene.watch, scene.connection, err));
        TRY(wait_for_line(&scene, "retain", err));
        CHECK(bucket == 0 || scene.diary.bucket == bucket, "the same bucket is another one");
        bucket = scene.diary.bucket;
    }
    TRY(check_intact(&scene, true, err));
    CHECK(natsConnection_JetStream(&jetstream, nats_connection_handle(scene.connection), NULL) == NATS_OK,
          "no JetStream");
    natsStatus status = js_DeleteStream(jetstream, "KV_desired-state", NULL, NULL);
    jsCtx_Destroy(jetstream);
    CHECK(status == NATS_OK, "deleting: %s", natsStatus_GetText(status));
    kv_bucket_free(TAKE_PTR(scene.bucket));
    TRY(kv_bucket_open(scene.connection, BUCKET_DESIRED_STATE, 0, &scene.bucket, err));
    TRY(check_intact(&scene, false, err)); /* though it has the same keys: none */
    TRY(desired_watch_restart(scene.watch, scene.connection, err));
    CHECK(bucket != 0 && scene.diary.bucket > bucket, "another bucket is the same one");
    TRY(kv_put(scene.bucket, "pi-01.a", "1", 1, NULL, err));
    return wait_for_line(&scene, "put a 1 bytes", err);
}

FLEET_TEST(desired_watch, free_while_values_come_is_safe, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    for (int i = 0; i < 200; i++) {
        cleanup_free char *key = text_format("pi-01.d%d", i);

        TRY(kv_put(scene.bucket, key, "1", 1, NULL, err));
    }
    for (int i = 0; i < 5; i++)
        TRY(desired_watch_restart(scene.watch, scene.connection, err));
    TRY(wait_for_line(&scene, "put d0 1 bytes", err));
    return 0;
}
