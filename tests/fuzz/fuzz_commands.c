/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/commands.h"
#include "tests/fuzz/fuzz.h"

static int round_trip_ping(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    if (ping_reply_decode(data, size, &reply, err) < 0)
        return -1;
    *decoded = true;
    return ping_reply_encode(reply, ret, err);
}

static int round_trip_error(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;

    if (error_reply_decode(data, size, &reply, err) < 0)
        return -1;
    *decoded = true;
    *ret = reply ? error_reply_encode(reply->kind, reply->message) : text_copy("{}");
    return 0;
}

/** Whatever words a failure comes in, it can be answered. */
static void answer_any_error(const char *words)
{
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *value = error_reply_encode(COMMAND_INTERNAL, words);

    REQUIRE(strlen(value) <= COMMAND_PAYLOAD_MAX, "%zu bytes", strlen(value));
    REQUIRE(error_reply_decode(value, strlen(value), &reply, &err) == 0 && reply, "not read: %s", value);
    REQUIRE(strlen(reply->message) <= COMMAND_MESSAGE_MAX, "%zu bytes", strlen(reply->message));
}

static void read_time(const char *text)
{
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_error struct error unexpected = ERROR_INIT;
    char canonical[RFC3339_SIZE];
    int64_t ms;
    int64_t again;

    if (wire_time_parse(text, &ms, &refused) < 0)
        return;
    REQUIRE(wire_time_format(ms, canonical, &unexpected) == 0, "%s cannot be written", text);
    REQUIRE(wire_time_parse(canonical, &again, &unexpected) == 0 && again == ms, "%s is %s", text, canonical);
}

static void write_time(const uint8_t *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_error struct error unexpected = ERROR_INIT;
    char text[RFC3339_SIZE];
    int64_t ms = 0;
    int64_t again;

    memcpy(&ms, data, size < sizeof(ms) ? size : sizeof(ms));
    if (wire_time_format(ms, text, &refused) < 0)
        return;
    REQUIRE(wire_time_parse(text, &again, &unexpected) == 0 && again == ms, "%s", text);
}

static void take_keys_apart(const char *text)
{
    cleanup_error struct error refused_desired = ERROR_INIT;
    cleanup_error struct error refused_state = ERROR_INIT;
    cleanup_error struct error unexpected = ERROR_INIT;
    struct wire_target target;
    struct wire_key key;

    if (desired_state_key_parse(text, &target, &refused_desired) == 0) {
        REQUIRE(desired_state_key(target.device, target.deployment, &key, &unexpected) == 0, "%s", text);
        REQUIRE(text_equal(key.text, text), "%s became %s", text, key.text);
    }
    if (device_state_key_parse(text, &target, &refused_state) == 0) {
        REQUIRE(device_state_key(target.device, target.deployment, &key, &unexpected) == 0, "%s", text);
        REQUIRE(text_equal(key.text, text), "%s became %s", text, key.text);
    }
}

static void build_subjects(const char *text)
{
    cleanup_error struct error err = ERROR_INIT;
    struct wire_subject subject;
    const char *verb = command_subject_verb(text, "pi-01");

    if (verb)
        REQUIRE(verb > text && *verb && text_starts_with(text, "device-commands.pi-01."), "%s", text);
    if (command_subject(text, VERB_PING, &subject, &err) < 0) {
        REQUIRE(!token_is_valid(text), "%s is refused", text);
        return;
    }
    REQUIRE(text_equal(command_subject_verb(subject.text, text), "ping"), "%s", subject.text);
    REQUIRE(command_subscription(text, &subject, &err) == 0, "%s", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_free char *text = text_copy_n((const char *)data, size);

    fuzz_round_trip(round_trip_ping, data, size, COMMAND_PAYLOAD_MAX);
    fuzz_round_trip(round_trip_error, data, size, COMMAND_PAYLOAD_MAX);
    if (ping_request_decode((const char *)data, size, &refused) < 0)
        REQUIRE(refused.domain == &wire_error_domain, "the error is of another domain");
    answer_any_error(text);
    read_time(text);
    if (size > 0)
        write_time(data, size);
    take_keys_apart(text);
    build_subjects(text);
    return 0;
}
