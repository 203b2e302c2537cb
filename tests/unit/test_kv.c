/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/kv.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/names.h"
#include "tests/unit/support_nats.h"

FLEET_TEST(kv, values_have_revisions, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};
    uint64_t first = 0;
    uint64_t second = 0;

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_admin(nats, &connection, err));
    TRY(kv_bucket_open(connection, "things", 0, &bucket, err));
    CHECK_FAILS(kv_get(bucket, "a.b", &value, err), kv_error_domain, KV_NOT_FOUND);
    TRY(kv_put(bucket, "a.b", "one", 3, &first, err));
    TRY(kv_put(bucket, "a.b", "two\0more", 8, &second, err));
    CHECK(first > 0 && second > first, "revisions %" PRIu64 " and %" PRIu64, first, second);
    TRY(kv_get(bucket, "a.b", &value, err));
    bool same = value.size == 8 && memcmp(value.data, "two\0more", 9) == 0 && value.revision == second;
    kv_value_clear(&value);
    CHECK(same, "the value came back otherwise");
    TRY(kv_put(bucket, "a.empty", NULL, 0, NULL, err));
    TRY(kv_get(bucket, "a.empty", &value, err));
    same = value.size == 0 && value.data && value.data[0] == '\0';
    kv_value_clear(&value);
    CHECK(same, "an empty value came back otherwise");
    TRY(kv_delete(bucket, "a.b", err));
    TRY(kv_delete(bucket, "a.never", err));
    CHECK_FAILS(kv_get(bucket, "a.b", &value, err), kv_error_domain, KV_NOT_FOUND);
    return 0;
}

FLEET_TEST(kv, buckets_are_made_once, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_admin(nats, &connection, err));
    TRY(kv_ensure_fleet_buckets(connection, err));
    TRY(kv_bucket_open(connection, BUCKET_DESIRED_STATE, 0, &bucket, err));
    TRY(kv_put(bucket, "d.x", "1", 1, NULL, err));
    TRY(kv_ensure_fleet_buckets(connection, err));
    TRY(kv_get(bucket, "d.x", &value, err));
    kv_value_clear(&value);
    return 0;
}

FLEET_TEST(kv, takes_values_over_a_mebibyte, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};
    size_t size = 3u << 20;
    cleanup_free char *data = NEW_ARRAY(char, size);

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_admin(nats, &connection, err));
    TRY(kv_bucket_open(connection, "large", 0, &bucket, err));
    memset(data, 'x', size);
    TRY(kv_put(bucket, "a", data, size, NULL, err));
    TRY(kv_get(bucket, "a", &value, err));
    bool same = value.size == size && memcmp(value.data, data, size) == 0;
    kv_value_clear(&value);
    CHECK(same, "the value came back otherwise");
    return 0;
}

FLEET_TEST(kv, without_jetstream_is_unavailable, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(process_free) struct process *process = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    cleanup_free char *program = NULL;
    int port;

    TRY(nats_server_find(&program, err));
    TRY(test_free_port(&port, err));
    cleanup_free char *port_text = text_format("%d", port);
    cleanup_free char *url = text_format("nats://127.0.0.1:%d", port);
    cleanup_free char *log = text_format("%s/nats.log", test->artefacts);
    const char *const argv[] = {program, "-a", "127.0.0.1", "-p", port_text, NULL};
    const char *const urls[] = {url, NULL};
    struct process_options options = {.argv = argv, .log_path = log, .die_with_parent = true};
    TRY(process_start(&options, &process, err));
    TRY(test_open_when_up(urls, &connection, err));
    CHECK_FAILS(kv_bucket_open(connection, "things", 0, &bucket, err), kv_error_domain, KV_UNAVAILABLE);
    return 0;
}

/* The server does not answer what it forbids, it only says so; a device must not sit out a time-out for that. */
FLEET_TEST(kv, what_may_not_be_made_is_known_at_once, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *made = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_admin(nats, &admin, err));
    TRY(credentials_user_password(TEST_BOUND_USER, TEST_BOUND_PASSWORD, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    const struct nats_settings settings = {.urls = urls, .credentials = credentials};
    TRY(nats_connection_open(&settings, &connection, err));
    int64_t began_ms = clock_monotonic_ms();
    CHECK_FAILS(kv_bucket_open(connection, "things", 0, &bucket, err), kv_error_domain, KV_UNAVAILABLE);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(took_ms < 1500, "it took %d ms", (int)took_ms);
    TRY(kv_bucket_open(admin, "things", 0, &made, err));
    TRY(kv_bucket_open(connection, "things", 0, &bucket, err));
    return kv_put(bucket, "a", "1", 1, NULL, err);
}

/** Kill the server, start it again and wait until the connection is back. */
FLEET_TEST(kv, bucket_outlives_the_server, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};

    TRY(test_nats_start(test, &nats, err));
    TRY(credentials_user_password(TEST_ADMIN_USER, TEST_ADMIN_PASSWORD, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = {
        .urls = urls, .credentials = credentials, .reconnect = true, .reconnect_min_ms = 10, .reconnect_max_ms = 50};
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(kv_bucket_open(connection, "things", 0, &bucket, err));
    TRY(kv_put(bucket, "a", "1", 1, NULL, err));
    TRY(test_nats_restart(nats, NULL, err));
    TRY(test_wait_up(connection, err));
    TRY(kv_get(bucket, "a", &value, err));
    kv_value_clear(&value);
    TRY(kv_put(bucket, "a", "2", 1, NULL, err));
    return 0;
}
