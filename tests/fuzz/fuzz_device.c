/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/device.h"
#include "tests/fuzz/fuzz.h"

static int round_trip_info(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(device_info_free) struct device_info *info = NULL;

    if (device_info_decode(data, size, &info, err) < 0)
        return -1;
    *decoded = true;
    return device_info_encode(info, ret, err);
}

static int round_trip_state(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (device_state_decode(data, size, &state, err) < 0)
        return -1;
    *decoded = true;
    return device_state_encode(state, ret, err);
}

static int round_trip_heartbeat(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(device_heartbeat_free) struct device_heartbeat *heartbeat = NULL;

    if (device_heartbeat_decode(data, size, &heartbeat, err) < 0)
        return -1;
    *decoded = true;
    return device_heartbeat_encode(heartbeat, ret, err);
}

/** Nothing in it that a terminal would obey, or that is no character. */
static bool can_be_shown(const char *text, size_t size)
{
    for (const char *at = text; *at; at++) {
        bool is_control = ((unsigned char)*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f;
        if (is_control || (*at == '\xc2' && (unsigned char)at[1] < 0xa0))
            return false;
    }
    return text_is_utf8(text, size) && !strstr(text, TEXT_NO_CHARACTER);
}

/** Whatever words a failure comes in, an agent can report it. */
static void report_any_error(const uint8_t *data, size_t size)
{
    CLEANUP(device_state_free) struct device_state *reported = NULL;
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *words = text_copy_n((const char *)data, size);
    cleanup_free char *value = NULL;
    struct device_state state = {.phase = PHASE_FAILED, .error = words, .message = words};

    REQUIRE(device_state_encode(&state, &value, &err) == 0, "cannot be reported");
    REQUIRE(device_state_decode(value, strlen(value), &reported, &err) == 0, "reported, but not read: %s", value);
    REQUIRE(strlen(reported->error) <= DEVICE_ERROR_MAX, "%zu bytes", strlen(reported->error));
    REQUIRE(text_is_utf8(reported->error, strlen(reported->error)), "not UTF-8");
    REQUIRE(can_be_shown(reported->error, strlen(reported->error)), "it could not be shown");
    if (strlen(words) <= DEVICE_ERROR_MAX && can_be_shown(words, strlen(words)))
        REQUIRE(text_equal(words, reported->error), "changed without need");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(round_trip_info, data, size, DEVICE_VALUE_MAX);
    fuzz_round_trip(round_trip_state, data, size, DEVICE_VALUE_MAX);
    fuzz_round_trip(round_trip_heartbeat, data, size, DEVICE_VALUE_MAX);
    report_any_error(data, size);
    return 0;
}
