/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "harness/place.h"
#include "harness/test.h"
#include "tests/unit/support_run.h"

static int private_session(struct test_context *test, struct error *err)
{
    if (support_private_runs(test, err) < 0)
        return -1;
    cleanup_free char *path = text_format("%s/session.json", run_directory(test->run));
    setenv("FLEET_E2E_SESSION", path, 1);
    return 0;
}

FLEET_TEST(session, is_written_read_and_ended)
{
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    CLEANUP(cJSON_Delete) cJSON *read = NULL;

    TRY(private_session(test, err));
    TRY(run_start(&(struct run_options){.label = "session"}, &run, err));
    cleanup_free char *directory = text_copy(run_directory(run));
    json_add_text(document, "nats", "nats://127.0.0.1:1");
    TRY(session_write(run, document, err));
    run_release(TAKE_PTR(run));
    TRY(session_read(&read, err));
    CHECK(read != NULL, "the session was not found");
    const char *nats = cJSON_GetStringValue(cJSON_GetObjectItem(read, "nats"));
    CHECK(text_equal(nats, "nats://127.0.0.1:1"), "nats is %s", nats);
    TRY(session_end(err));
    CHECK(!file_exists(directory) && !file_exists(session_path()), "the session left something");
    return session_end(err); /* twice is fine */
}

/* A ctest was killed between setup and cleanup, and its run is still there when the next one begins. */
FLEET_TEST(session, begins_by_ending_the_former)
{
    CLEANUP(run_release) struct run *former = NULL;
    CLEANUP(run_release) struct run *next = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    TRY(private_session(test, err));
    TRY(session_begin(&former, err));
    cleanup_free char *directory = text_copy(run_directory(former));
    TRY(session_write(former, document, err));
    TRY(session_begin(&next, err));
    CHECK(!file_exists(directory) && !file_exists(session_path()), "the former session left something");
    CHECK(file_exists(run_directory(next)), "the next one has no run");
    return run_finish(TAKE_PTR(next), err);
}

FLEET_TEST(session, is_none_where_none_was_begun)
{
    cJSON *read = NULL;

    TRY(private_session(test, err));
    TRY(session_read(&read, err));
    CHECK(read == NULL, "a session was found");
    unsetenv("FLEET_E2E_SESSION");
    TRY(session_read(&read, err));
    CHECK(read == NULL && session_path() == NULL, "a session was found");
    TRY(session_end(err));
    return 0;
}

FLEET_TEST(session, of_a_run_that_ended_is_none)
{
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    cJSON *read = NULL;

    TRY(private_session(test, err));
    TRY(run_start(&(struct run_options){.label = "session"}, &run, err));
    TRY(session_write(run, document, err));
    TRY(run_finish(TAKE_PTR(run), err));
    TRY(session_read(&read, err));
    CHECK(read == NULL, "the session of an ended run was found");
    TRY(session_end(err));
    CHECK(!file_exists(session_path()), "its file is still there");
    return 0;
}

FLEET_TEST(session, file_that_is_damaged_is_an_error)
{
    cJSON *read = NULL;

    TRY(private_session(test, err));
    TRY(file_write_atomic(session_path(), "{\"a\":", 5, 0600, err));
    CHECK_FAILS(session_read(&read, err), json_error_domain, JSON_SYNTAX);
    return 0;
}

FLEET_TEST(session, owner_is_an_ancestor)
{
    CHECK(session_owner() > 1 && session_owner() != getpid(), "owner is %d", session_owner());
    return 0;
}
