/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/commands.h"

#include <string.h>

#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/codec_checks.h"

#define LONGEST "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_012345678"

FLEET_TEST(commands, verbs)
{
    static const char *const names[] = {"ping", "logs", "exec"};

    for (int verb = VERB_PING; verb < VERB_UNKNOWN; verb++) {
        CHECK(text_equal(command_verb_name((enum command_verb)verb), names[verb]), "verb %d", verb);
        CHECK(command_verb_parse(names[verb]) == (enum command_verb)verb, "%s", names[verb]);
    }
    CHECK(command_verb_parse("Ping") == VERB_UNKNOWN, "Ping");
    CHECK(command_verb_parse("ping.x") == VERB_UNKNOWN, "ping.x");
    CHECK(command_verb_parse("") == VERB_UNKNOWN, "empty");
    CHECK(command_verb_parse(NULL) == VERB_UNKNOWN, "NULL");
    CHECK(text_equal(command_verb_name(VERB_UNKNOWN), "unknown"), "unknown");
    return 0;
}

FLEET_TEST(commands, headers)
{
    CHECK(text_equal(HEADER_REQUEST_ID, "X-Harmony-Request-Id"), "request id");
    CHECK(text_equal(HEADER_DEADLINE, "X-Harmony-Deadline"), "deadline");
    CHECK(text_equal(HEADER_OPERATOR_SUB, "X-Harmony-Operator-Sub"), "operator");
    return 0;
}

FLEET_TEST(commands, subjects)
{
    struct wire_subject subject;

    TRY(command_subject("pi-01", VERB_PING, &subject, err));
    CHECK(text_equal(subject.text, "device-commands.pi-01.ping"), "%s", subject.text);
    TRY(command_subscription("pi-01", &subject, err));
    CHECK(text_equal(subject.text, "device-commands.pi-01.>"), "%s", subject.text);
    TRY(command_subject(LONGEST, VERB_EXEC, &subject, err));
    CHECK(text_equal(subject.text, "device-commands." LONGEST ".exec"), "%s", subject.text);
    CHECK_FAILS(command_subject("*", VERB_PING, &subject, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(command_subject("pi-01", VERB_UNKNOWN, &subject, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(command_subscription("a.>", &subject, err), wire_error_domain, WIRE_INVALID_NAME);
    return 0;
}

FLEET_TEST(commands, the_verb_of_a_subject)
{
    CHECK(text_equal(command_subject_verb("device-commands.pi-01.ping", "pi-01"), "ping"), "ping");
    CHECK(text_equal(command_subject_verb("device-commands.pi-01.a.b", "pi-01"), "a.b"), "a.b");
    CHECK(!command_subject_verb("device-commands.pi-01.", "pi-01"), "no verb");
    CHECK(!command_subject_verb("device-commands.pi-01", "pi-01"), "no dot");
    CHECK(!command_subject_verb("device-commands.pi-011.ping", "pi-01"), "a longer device id");
    CHECK(!command_subject_verb("device-commands.pi-0.ping", "pi-01"), "a shorter device id");
    CHECK(!command_subject_verb("device-commands", "pi-01"), "only the prefix");
    CHECK(!command_subject_verb("x.device-commands.pi-01.ping", "pi-01"), "something before");
    CHECK(!command_subject_verb("", "pi-01"), "nothing");
    return 0;
}

static int round_trip_ping(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    if (ping_reply_decode(data, size, &reply, err) < 0)
        return -1;
    return ping_reply_encode(reply, ret, err);
}
static const struct codec_under_test ping_codec = {"ping-reply", round_trip_ping};

FLEET_TEST(commands, golden_ping_replies)
{
    return codec_check_golden(&ping_codec, err);
}

FLEET_TEST(commands, ping_reply_encodes_what_reads_back)
{
    struct ping_reply reply = {.device_id = (char *)"pi-01", .agent_version = (char *)"0.1\xff", .uptime_s = 5};
    cleanup_free char *data = NULL;
    cleanup_free char *again = NULL;

    TRY(ping_reply_encode(&reply, &data, err));
    CHECK(text_equal(data, "{\"device_id\":\"pi-01\",\"agent_version\":\"0.1\xef\xbf\xbd\",\"uptime_s\":5}"), "%s",
          data);
    TRY(round_trip_ping(data, strlen(data), &again, err));
    CHECK(text_equal(data, again), "%s", again);

    reply.uptime_s = -1;
    CHECK_FAILS(ping_reply_encode(&reply, &again, err), wire_error_domain, WIRE_MALFORMED);
    reply.uptime_s = INT64_C(1) << 53;
    CHECK_FAILS(ping_reply_encode(&reply, &again, err), wire_error_domain, WIRE_MALFORMED);
    reply = (struct ping_reply){.device_id = (char *)"not a token"};
    CHECK_FAILS(ping_reply_encode(&reply, &again, err), wire_error_domain, WIRE_INVALID_NAME);
    return 0;
}

FLEET_TEST(commands, replies_that_are_not_json)
{
    static const char *const bad[] = {"", " ", "pong", "{", "{}x", "{\"device_id\":\"\\u0000\"}", "\xff"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        TRY(codec_check_refused(&ping_codec, bad[i], strlen(bad[i]), "malformed", "", bad[i], err));
    return 0;
}

FLEET_TEST(commands, ping_requests)
{
    static const char *const good[] = {"", "{}", " {\"later\":[1,2]}\n"};
    static const char *const bad[] = {" ", "[]", "null", "1", "{", "{}{}", "\xff", "ping"};
    cleanup_free char *large = text_format("{\"a\":\"%*s\"}", COMMAND_PAYLOAD_MAX - 8, "");

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        TRY(ping_request_decode(good[i], strlen(good[i]), err));
    TRY(ping_request_decode(NULL, 0, err));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_FAILS(ping_request_decode(bad[i], strlen(bad[i]), err), wire_error_domain, WIRE_MALFORMED);
    CHECK(strlen(large) == COMMAND_PAYLOAD_MAX, "%zu bytes", strlen(large));
    TRY(ping_request_decode(large, COMMAND_PAYLOAD_MAX, err));
    CHECK_FAILS(ping_request_decode(large, COMMAND_PAYLOAD_MAX + 1, err), wire_error_domain, WIRE_TOO_LARGE);
    return 0;
}

static int round_trip_error(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;

    if (error_reply_decode(data, size, &reply, err) < 0)
        return -1;
    *ret = reply ? error_reply_encode(reply->kind, reply->message) : text_copy("not an error reply");
    return 0;
}

static const struct codec_under_test error_codec = {"error-reply", round_trip_error};

FLEET_TEST(commands, golden_error_replies)
{
    return codec_check_golden(&error_codec, err);
}

FLEET_TEST(commands, documented_examples)
{
    TRY(codec_check_examples(&ping_codec, err));
    return codec_check_examples(&error_codec, err);
}

FLEET_TEST(commands, what_is_not_an_error_reply)
{
    static const char *const others[] = {"{}", "{\"error\":null}", "{\"device_id\":\"pi-01\"}", "{\"Error\":{}}"};

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct error_reply *reply = NULL;
        TRY(error_reply_decode(others[i], strlen(others[i]), &reply, err));
        CHECK(reply == NULL, "%s", others[i]);
    }
    return 0;
}

FLEET_TEST(commands, error_kinds)
{
    static const char *const names[] = {"BadRequest",  "NotFound",         "Forbidden",
                                        "Unsupported", "DeadlineExceeded", "Internal"};

    for (int kind = COMMAND_BAD_REQUEST; kind <= COMMAND_INTERNAL; kind++) {
        CLEANUP(error_reply_free) struct error_reply *reply = NULL;
        cleanup_free char *data = error_reply_encode((enum command_error_kind)kind, NULL);
        TRY(error_reply_decode(data, strlen(data), &reply, err));
        CHECK(reply && reply->kind == (enum command_error_kind)kind && text_equal(reply->message, ""), "%s", data);
        CHECK(text_equal(command_error_kind_name((enum command_error_kind)kind), names[kind]), "%s", names[kind]);
    }
    return 0;
}

FLEET_TEST(commands, an_error_message_is_made_fit_for_the_wire)
{
    cleanup_free char *data = error_reply_encode(COMMAND_INTERNAL, "tab\there \xe2\x82 quote\"");

    CHECK(text_equal(data, "{\"error\":{\"kind\":\"Internal\",\"message\":"
                           "\"tab\\there \xef\xbf\xbd\xef\xbf\xbd quote\\\"\"}}"),
          "%s", data);
    return 0;
}
