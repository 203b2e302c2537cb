/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/names.h"

#include <string.h>

#include "base/text.h"
#include "harness/test.h"

/* 63 and 64 bytes */
#define LONGEST  "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_012345678"
#define TOO_LONG (LONGEST "9")

FLEET_TEST(names, tokens)
{
    static const char *const good[] = {"a", "-", "_", "0", "pi-01", "Web_2", LONGEST};
    static const char *const bad[] = {"",     " ", "a b",  "a.b",     ".",      "*",   ">",    "a/b", "a\n",
                                      "\x7f", "é", "\xff", "pi-01\t", TOO_LONG, "a:b", "${x}", "\xc3"};

    CHECK(strlen(LONGEST) == TOKEN_MAX, "%zu", strlen(LONGEST));
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        CHECK(token_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK(!token_is_valid(bad[i]), "%s", bad[i]);
    CHECK(!token_is_valid(NULL), "NULL");
    return 0;
}

FLEET_TEST(names, a_refused_token_is_shown)
{
    cleanup_error struct error refused = ERROR_INIT;

    TRY(token_check("pi-01", "device id", err));
    CHECK_FAILS(token_check(NULL, "device id", err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK(token_check("bad name\xff\n", "device id", &refused) < 0, "accepted");
    CHECK(strstr(error_root_detail(&refused), "\"bad name\xef\xbf\xbd?\""), "%s", error_root_detail(&refused));
    cleanup_free char *text = error_text(&refused);
    CHECK(strstr(text, "device id"), "%s", text);
    return 0;
}

FLEET_TEST(names, buckets)
{
    static const char *const expected[] = {"desired-state", "device-info", "device-state", "device-heartbeat", NULL};

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        CHECK(text_equal(wire_buckets[i], expected[i]), "%zu: %s", i, wire_buckets[i]);
    return 0;
}

FLEET_TEST(names, keys)
{
    struct wire_key key;

    TRY(desired_state_key("pi-01", "hello", &key, err));
    CHECK(text_equal(key.text, "pi-01.hello"), "%s", key.text);
    TRY(desired_state_filter("pi-01", &key, err));
    CHECK(text_equal(key.text, "pi-01.*"), "%s", key.text);
    TRY(device_info_key("pi-01", &key, err));
    CHECK(text_equal(key.text, "info.pi-01"), "%s", key.text);
    TRY(device_state_key("pi-01", "hello", &key, err));
    CHECK(text_equal(key.text, "state.pi-01.hello"), "%s", key.text);
    TRY(device_heartbeat_key("pi-01", &key, err));
    CHECK(text_equal(key.text, "heartbeat.pi-01"), "%s", key.text);
    return 0;
}

FLEET_TEST(names, the_longest_keys_fit)
{
    struct wire_key key;
    struct wire_target target;

    TRY(device_state_key(LONGEST, LONGEST, &key, err));
    CHECK(text_equal(key.text, "state." LONGEST "." LONGEST), "%s", key.text);
    TRY(device_state_key_parse(key.text, &target, err));
    CHECK(text_equal(target.device, LONGEST) && text_equal(target.deployment, LONGEST), "%s", target.device);
    TRY(desired_state_key(LONGEST, LONGEST, &key, err));
    CHECK(text_equal(key.text, LONGEST "." LONGEST), "%s", key.text);
    TRY(device_heartbeat_key(LONGEST, &key, err));
    CHECK(text_equal(key.text, "heartbeat." LONGEST), "%s", key.text);
    return 0;
}

FLEET_TEST(names, keys_refuse_what_is_not_a_token)
{
    struct wire_key key = {"untouched"};

    CHECK_FAILS(desired_state_key("*", "hello", &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(desired_state_key("pi-01", ">", &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(desired_state_key("pi-01", NULL, &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(desired_state_filter("", &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(device_info_key("a.b", &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(device_info_key(NULL, &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(device_state_key("pi-01", TOO_LONG, &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(device_heartbeat_key("pi 01", &key, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK(text_equal(key.text, "untouched"), "%s", key.text);
    return 0;
}

FLEET_TEST(names, keys_come_apart)
{
    struct wire_target target;

    TRY(desired_state_key_parse("pi-01.hello", &target, err));
    CHECK(text_equal(target.device, "pi-01") && text_equal(target.deployment, "hello"), "%s", target.device);
    TRY(device_state_key_parse("state.pi-02.hello_2", &target, err));
    CHECK(text_equal(target.device, "pi-02") && text_equal(target.deployment, "hello_2"), "%s", target.device);
    TRY(desired_state_key_parse("state.info", &target, err)); /* names as any other */
    CHECK(text_equal(target.device, "state") && text_equal(target.deployment, "info"), "%s", target.device);
    return 0;
}

FLEET_TEST(names, keys_that_do_not_parse)
{
    static const char *const desired[] = {"",     "pi-01", "pi-01.", ".hello",        "a.b.c",           ".",
                                          "a..b", "a.b ",  "a.b\n",  (LONGEST "9.b"), ("a." LONGEST "9")};
    static const char *const state[] = {"state", "state.", "state.a", "state.a.", "state..b", "a.b", "State.a.b"};
    struct wire_target target = {"untouched", "untouched"};

    for (size_t i = 0; i < ARRAY_SIZE(desired); i++)
        CHECK_FAILS(desired_state_key_parse(desired[i], &target, err), wire_error_domain, WIRE_INVALID_NAME);
    for (size_t i = 0; i < ARRAY_SIZE(state); i++)
        CHECK_FAILS(device_state_key_parse(state[i], &target, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(desired_state_key_parse(NULL, &target, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK(text_equal(target.device, "untouched"), "%s", target.device);
    return 0;
}

FLEET_TEST(names, error_codes_have_names)
{
    CHECK(text_equal(wire_error_domain.code_name(WIRE_INVALID_NAME), "invalid-name"), "invalid-name");
    CHECK(text_equal(wire_error_domain.code_name(WIRE_TOO_LARGE), "too-large"), "too-large");
    CHECK(text_equal(wire_error_domain.code_name(WIRE_MALFORMED), "malformed"), "malformed");
    CHECK(text_equal(wire_error_domain.code_name(WIRE_UNKNOWN_TYPE), "unknown-type"), "unknown-type");
    CHECK(text_equal(wire_error_domain.code_name(99), "unknown"), "unknown");
    return 0;
}
