/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/kv_admin.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "tests/unit/support_nats.h"

#define DEADLINE deadline_in_ms(20000)
#define DEVICE   "device-1"

struct fixture {
    struct test_nats *nats;
    struct nats_connection *admin;
    struct credentials *credentials;
    struct kv_bucket *states;
};

static int fixture_new(struct test_context *test, struct fixture *fixture, struct error *err)
{
    TRY(test_nats_start(test, &fixture->nats, err));
    const char *const urls[] = {test_nats_url(fixture->nats), NULL};
    TRY(credentials_user_password(TEST_ADMIN_USER, TEST_ADMIN_PASSWORD, &fixture->credentials, err));
    struct nats_settings settings = {.urls = urls,
                                     .name = "test",
                                     .credentials = fixture->credentials,
                                     .reconnect = true,
                                     .reconnect_min_ms = 10,
                                     .reconnect_max_ms = 100};
    TRY(nats_connection_open(&settings, &fixture->admin, err));
    TRY(kv_ensure_fleet_buckets(fixture->admin, err));
    TRY(kv_bucket_open(fixture->admin, BUCKET_DEVICE_STATE, 0, &fixture->states, err));
    return 0;
}

static void fixture_clear(struct fixture *fixture)
{
    kv_bucket_free(fixture->states);
    nats_connection_free(fixture->admin);
    credentials_free(fixture->credentials);
    test_nats_free(fixture->nats);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

/** What an agent would report. */
static int report(struct kv_bucket *states, enum deployment_phase phase, uint64_t revision, const char *reason,
                  struct error *err)
{
    struct device_state state = {.phase = phase, .revision = revision};
    cleanup_free char *encoded = NULL;
    cleanup_free char *why = text_copy(reason);
    struct wire_key key;

    clock_rfc3339(state.since);
    state.error = why;
    if (device_state_encode(&state, &encoded, err) < 0 || device_state_key(DEVICE, "web", &key, err) < 0)
        return -1;
    return kv_put(states, key.text, encoded, strlen(encoded), NULL, err);
}

static int wait_running(struct fixture *fixture, uint64_t revision, struct deadline deadline,
                        struct device_state **state, struct error *err)
{
    return wait_for_phase(fixture->admin, DEVICE, "web", PHASE_RUNNING, revision, deadline, state, err);
}

FLEET_TEST(kv_admin, puts_and_deletes_desired_states, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    CLEANUP(kv_bucket_free) struct kv_bucket *desired = NULL;
    CLEANUP(score_free) struct score *score = NEW(struct score);
    CLEANUP(score_free) struct score *read_back = NULL;
    struct kv_value value = {0};
    uint64_t first = 0;
    uint64_t second = 0;

    TRY(fixture_new(test, &fixture, err));
    TRY(admin_put_raw(fixture.admin, DEVICE, "web", "{", 1, &first, err));
    TRY(admin_put(fixture.admin, DEVICE, "web", score, &second, err));
    CHECK(second > first, "revision %" PRIu64 " after %" PRIu64, second, first);
    TRY(kv_bucket_open(fixture.admin, BUCKET_DESIRED_STATE, 0, &desired, err));
    TRY(kv_get(desired, DEVICE ".web", &value, err));
    cleanup_free char *data = value.data;
    CHECK(value.revision == second, "revision %" PRIu64, value.revision);
    TRY(score_decode(data, value.size, &read_back, err));
    TRY(admin_delete(fixture.admin, DEVICE, "web", err));
    CHECK_FAILS(kv_get(desired, DEVICE ".web", &value, err), kv_error_domain, KV_NOT_FOUND);
    TRY(admin_delete(fixture.admin, DEVICE, "web", err)); /* again is fine */
    CHECK_FAILS(admin_put_raw(fixture.admin, "a.b", "web", "{", 1, NULL, err), wire_error_domain, WIRE_INVALID_NAME);
    return 0;
}

FLEET_TEST(kv_admin, phase_that_is_there_already_is_seen, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    CLEANUP(device_state_free) struct device_state *got = NULL;

    TRY(fixture_new(test, &fixture, err));
    TRY(admin_get_state(fixture.admin, DEVICE, "web", &got, err));
    CHECK(got == NULL, "a state of nothing");
    TRY(report(fixture.states, PHASE_RUNNING, 7, NULL, err));
    TRY(wait_running(&fixture, 7, DEADLINE, &state, err));
    CHECK(state->phase == PHASE_RUNNING && state->revision == 7, "phase %d, revision %" PRIu64, (int)state->phase,
          state->revision);
    TRY(wait_running(&fixture, 0, DEADLINE, NULL, err));
    TRY(admin_get_state(fixture.admin, DEVICE, "web", &got, err));
    CHECK(got && got->revision == 7, "no state");
    return 0;
}

/** Reports one after the other, from a thread of its own. */
struct reporter {
    struct kv_bucket *states;
    pthread_t thread;
    int result;
};

static void *report_progress(void *context)
{
    struct reporter *reporter = context;
    cleanup_error struct error err = ERROR_INIT;

    if (report(reporter->states, PHASE_RUNNING, 1, NULL, &err) < 0 ||
        report(reporter->states, PHASE_PENDING, 2, NULL, &err) < 0 ||
        report(reporter->states, PHASE_RUNNING, 2, NULL, &err) < 0)
        reporter->result = -1;
    return NULL;
}

FLEET_TEST(kv_admin, waits_for_the_revision, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    struct reporter reporter = {0};

    TRY(fixture_new(test, &fixture, err));
    reporter.states = fixture.states;
    CHECK(pthread_create(&reporter.thread, NULL, report_progress, &reporter) == 0, "no thread");
    int result = wait_running(&fixture, 2, DEADLINE, &state, err);
    pthread_join(reporter.thread, NULL);
    TRY(result);
    CHECK(reporter.result == 0, "reporting failed");
    CHECK(state->revision == 2, "revision %" PRIu64, state->revision);
    return 0;
}

FLEET_TEST(kv_admin, failure_of_the_revision_ends_the_wait, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(fixture_new(test, &fixture, err));
    TRY(report(fixture.states, PHASE_FAILED, 3, "no such image", err));
    int result = wait_running(&fixture, 3, DEADLINE, NULL, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_FAILED), "result %d", result);
    CHECK(text_equal(error_root_detail(err), "no such image"), "the reason is lost: %s", error_root_detail(err));
    error_clear(err);
    TRY(wait_for_phase(fixture.admin, DEVICE, "web", PHASE_FAILED, 3, DEADLINE, NULL, err));
    /* An older revision's failure says nothing of the awaited one; neither does any about revision 0. */
    CHECK_FAILS(wait_running(&fixture, 4, deadline_in_ms(50), NULL, err), general_error_domain, GENERAL_TIMEOUT);
    CHECK_FAILS(wait_running(&fixture, 0, deadline_in_ms(50), NULL, err), general_error_domain, GENERAL_TIMEOUT);
    return 0;
}

FLEET_TEST(kv_admin, timeout_names_the_last_state, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(fixture_new(test, &fixture, err));
    int result = wait_running(&fixture, 1, deadline_in_ms(50), NULL, err);
    CHECK(result < 0 && strstr(error_root_detail(err), "no state"), "%s", error_root_detail(err));
    error_clear(err);
    TRY(report(fixture.states, PHASE_PENDING, 5, NULL, err));
    result = wait_running(&fixture, 5, deadline_in_ms(50), NULL, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_TIMEOUT), "result %d", result);
    CHECK(strstr(error_root_detail(err), "Pending about revision 5"), "%s", error_root_detail(err));
    error_clear(err);
    return 0;
}

FLEET_TEST(kv_admin, removal_is_seen, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct wire_key key;

    TRY(fixture_new(test, &fixture, err));
    TRY(wait_for_removed(fixture.admin, DEVICE, "web", DEADLINE, err)); /* it never was */
    TRY(report(fixture.states, PHASE_REMOVING, 5, NULL, err));
    CHECK_FAILS(wait_for_removed(fixture.admin, DEVICE, "web", deadline_in_ms(50), err), general_error_domain,
                GENERAL_TIMEOUT);
    TRY(device_state_key(DEVICE, "web", &key, err));
    TRY(kv_delete(fixture.states, key.text, err));
    TRY(wait_for_removed(fixture.admin, DEVICE, "web", DEADLINE, err));
    return 0;
}

/** Waits in a thread of its own: the server dies with the thread that starts it. */
struct waiter {
    struct fixture *fixture;
    pthread_t thread;
    char *failure;
};

static void *run_waiter(void *context)
{
    struct waiter *waiter = context;
    cleanup_error struct error err = ERROR_INIT;

    if (wait_running(waiter->fixture, 9, DEADLINE, NULL, &err) < 0)
        waiter->failure = error_text(&err);
    return NULL;
}

/** The server goes and comes back; then the awaited state is reported over a connection of its own. */
static int restart_and_report(struct fixture *fixture, struct error *err)
{
    CLEANUP(nats_connection_free) struct nats_connection *admin = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *states = NULL;

    if (test_nats_restart(fixture->nats, NULL, err) < 0 || test_nats_admin(fixture->nats, &admin, err) < 0 ||
        test_wait_up(admin, err) < 0 || kv_bucket_open(admin, BUCKET_DEVICE_STATE, 0, &states, err) < 0)
        return -1;
    return report(states, PHASE_RUNNING, 9, NULL, err);
}

FLEET_TEST(kv_admin, waiting_outlives_the_server, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct waiter waiter = {.fixture = &fixture};

    TRY(fixture_new(test, &fixture, err));
    TRY(report(fixture.states, PHASE_PENDING, 9, NULL, err));
    CHECK(pthread_create(&waiter.thread, NULL, run_waiter, &waiter) == 0, "no thread");
    int result = restart_and_report(&fixture, err);
    pthread_join(waiter.thread, NULL);
    cleanup_free char *failure = waiter.failure;
    TRY(result);
    CHECK(failure == NULL, "%s", failure);
    return 0;
}

FLEET_TEST(kv_admin, dump_shows_every_key_on_one_line, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *dump = NULL;
    size_t size;

    TRY(fixture_new(test, &fixture, err));
    cleanup_free char *path = text_format("%s/kv.txt", test->artefacts);
    TRY(admin_dump(fixture.admin, path, err)); /* of nothing */
    TRY(admin_put_raw(fixture.admin, DEVICE, "odd", "a\n\x1b[1mb", 7, NULL, err));
    TRY(report(fixture.states, PHASE_FAILED, 3, "no such image", err));
    TRY(admin_dump(fixture.admin, path, err));
    TRY(file_read(path, 1 << 20, &dump, &size, err));
    CHECK(strstr(dump, "desired-state " DEVICE ".odd 1 a\\x0a\\x1b[1mb\n"), "%s", dump);
    CHECK(strstr(dump, "device-state state." DEVICE ".web 1 {"), "%s", dump);
    CHECK(strstr(dump, "no such image"), "%s", dump);
    return 0;
}
