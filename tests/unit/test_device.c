/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/device.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/codec_checks.h"

static int round_trip_info(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(device_info_free) struct device_info *info = NULL;

    if (device_info_decode(data, size, &info, err) < 0)
        return -1;
    return device_info_encode(info, ret, err);
}
static const struct codec_under_test info_codec = {"info", round_trip_info};

static int round_trip_state(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (device_state_decode(data, size, &state, err) < 0)
        return -1;
    return device_state_encode(state, ret, err);
}
static const struct codec_under_test state_codec = {"state", round_trip_state};

static int round_trip_heartbeat(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(device_heartbeat_free) struct device_heartbeat *heartbeat = NULL;

    if (device_heartbeat_decode(data, size, &heartbeat, err) < 0)
        return -1;
    return device_heartbeat_encode(heartbeat, ret, err);
}
static const struct codec_under_test heartbeat_codec = {"heartbeat", round_trip_heartbeat};

static const struct codec_under_test *const codecs[] = {&info_codec, &state_codec, &heartbeat_codec};

FLEET_TEST(device, golden_infos)
{
    return codec_check_golden(&info_codec, err);
}

FLEET_TEST(device, golden_states)
{
    return codec_check_golden(&state_codec, err);
}

FLEET_TEST(device, golden_heartbeats)
{
    return codec_check_golden(&heartbeat_codec, err);
}

FLEET_TEST(device, documented_examples)
{
    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
        TRY(codec_check_examples(codecs[i], err));
    return 0;
}

FLEET_TEST(device, limits)
{
    static const struct codec_limit labels = {
        "{\"device_id\":\"d\",\"labels\":{", "\"l#\":\"\"", ",", "}}", DEVICE_LABELS_MAX, "$.labels"};
    static const struct codec_limit label = {
        "{\"device_id\":\"d\",\"labels\":{\"k\":\"", "v", "", "\"}}", DEVICE_LABEL_MAX, "$.labels.k"};
    static const struct codec_limit containers = {"{\"phase\":\"Running\",\"containers\":[",
                                                  "{\"name\":\"c#\"}",
                                                  ",",
                                                  "]}",
                                                  DEVICE_CONTAINERS_MAX,
                                                  "$.containers"};

    TRY(codec_check_limit(&info_codec, &labels, err));
    TRY(codec_check_limit(&info_codec, &label, err));
    TRY(codec_check_limit(&state_codec, &containers, err));
    return 0;
}

FLEET_TEST(device, a_value_over_the_limit)
{
    cleanup_free char *large = NEW_ARRAY(char, DEVICE_VALUE_MAX + 2);

    memset(large, ' ', DEVICE_VALUE_MAX + 1);
    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        TRY(codec_check_refused(codecs[i], large, DEVICE_VALUE_MAX + 1, "too-large", "$", "large", err));
        TRY(codec_check_refused(codecs[i], large, DEVICE_VALUE_MAX, "malformed", "", "only spaces", err));
    }
    return 0;
}

FLEET_TEST(device, what_is_not_json)
{
    static const char *const bad[] = {"", "{", "{}}", "\xff\xfe", "{\"phase\":\"Run\\u0000ning\"}", "{'phase':1}"};

    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(bad); j++)
            TRY(codec_check_refused(codecs[i], bad[j], strlen(bad[j]), "malformed", "", bad[j], err));
    }
    return 0;
}

FLEET_TEST(device, info_as_an_agent_builds_it)
{
    struct device_label labels[] = {{(char *)"z", (char *)"1"}, {(char *)"a", (char *)"2"}};
    struct device_info info = {
        .device_id = (char *)"pi-01",
        .agent_version = (char *)"0.1.0",
        .os = (char *)"bad \xe9 bytes",
        .labels = labels,
        .label_count = ARRAY_SIZE(labels),
        .inventory = {.cpus = 4},
    };
    cleanup_free char *data = NULL;

    TRY(device_info_encode(&info, &data, err));
    CHECK(text_equal(data, "{\"device_id\":\"pi-01\",\"agent_version\":\"0.1.0\",\"arch\":\"\","
                           "\"os\":\"bad \xef\xbf\xbd bytes\",\"labels\":{\"a\":\"2\",\"z\":\"1\"},"
                           "\"inventory\":{\"hostname\":\"\",\"kernel\":\"\",\"cpus\":4,\"memory_kb\":0}}"),
          "%s", data);
    return 0;
}

FLEET_TEST(device, info_a_reader_would_refuse)
{
    struct device_label labels[] = {{(char *)"a", (char *)"1"}, {(char *)"a", (char *)"2"}};
    struct device_info info = {.device_id = (char *)"pi-01", .labels = labels, .label_count = 2};
    char *data = NULL;

    CHECK_FAILS(device_info_encode(&info, &data, err), wire_error_domain, WIRE_MALFORMED);
    labels[1].key = (char *)"not a key";
    CHECK_FAILS(device_info_encode(&info, &data, err), wire_error_domain, WIRE_MALFORMED);
    info.label_count = 1;
    info.inventory.memory_kb = -1;
    CHECK_FAILS(device_info_encode(&info, &data, err), wire_error_domain, WIRE_MALFORMED);
    info.inventory.memory_kb = 0;
    info.device_id = (char *)"pi.01";
    CHECK_FAILS(device_info_encode(&info, &data, err), wire_error_domain, WIRE_MALFORMED);
    info.device_id = NULL;
    CHECK_FAILS(device_info_encode(&info, &data, err), wire_error_domain, WIRE_MALFORMED);
    CHECK(data == NULL, "%s", data);
    return 0;
}

/** Encode a Failed state with this error, decode it. Caller frees the state. */
static int report_error(const char *text, struct device_state **ret, struct error *err)
{
    struct device_state state = {.phase = PHASE_FAILED, .error = (char *)text};
    cleanup_free char *data = NULL;

    if (device_state_encode(&state, &data, err) < 0)
        return -1;
    return device_state_decode(data, strlen(data), ret, err);
}

/* An error of every length around the limit, made of characters of every size, is cut between two of them. */
FLEET_TEST(device, a_long_error_is_cut_at_a_character)
{
    static const char *const characters[] = {"e", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (size_t kind = 0; kind < ARRAY_SIZE(characters); kind++) {
        size_t width = strlen(characters[kind]);
        for (size_t shift = 0; shift < 4; shift++) {
            CLEANUP(device_state_free) struct device_state *state = NULL;
            cleanup_text_buffer struct text_buffer text = {0};
            text_buffer_append(&text, "xxxx", shift);
            while (text.size <= DEVICE_ERROR_MAX)
                text_buffer_add(&text, characters[kind]);
            TRY(report_error(text.data, &state, err));
            size_t size = strlen(state->error);
            CHECK(size <= DEVICE_ERROR_MAX && size + width > DEVICE_ERROR_MAX, "%zu bytes", size);
            CHECK(text_ends_with(state->error, "\xe2\x80\xa6"), "no ellipsis");
            CHECK((size - 3 - shift) % width == 0, "cut inside a character: %zu bytes", size);
            CHECK(strncmp(state->error, text.data, size - 3) == 0, "not the beginning");
        }
    }
    return 0;
}

FLEET_TEST(device, an_error_at_the_limit_is_whole)
{
    CLEANUP(device_state_free) struct device_state *state = NULL;
    cleanup_text_buffer struct text_buffer text = {0};

    while (text.size < DEVICE_ERROR_MAX)
        text_buffer_add(&text, "\xc3\xa9");
    TRY(report_error(text.data, &state, err));
    CHECK(text_equal(state->error, text.data), "%zu bytes", strlen(state->error));
    return 0;
}

FLEET_TEST(device, an_error_that_is_not_utf8)
{
    CLEANUP(device_state_free) struct device_state *state = NULL;

    TRY(report_error("a\xff\xc3\xa9\xed\xa0\x80z\xc3", &state, err));
    CHECK(text_equal(state->error, "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd"), "%s",
          state->error);
    return 0;
}

FLEET_TEST(device, state_a_reader_would_refuse)
{
    struct container_status container = {.name = (char *)"web"};
    struct device_state state = {.containers = &container, .container_count = 1};
    char *data = NULL;

    state.revision = UINT64_C(1) << 53;
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    state.revision = UINT64_MAX;
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    state.revision = 0;
    memcpy(state.since, "yesterday", sizeof("yesterday"));
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    memset(state.since, 'x', sizeof(state.since)); /* not even terminated */
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    clock_rfc3339(state.since);
    container.name = (char *)"a b";
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    state.container_count = 0;
    state.phase = (enum deployment_phase)9;
    CHECK_FAILS(device_state_encode(&state, &data, err), wire_error_domain, WIRE_MALFORMED);
    CHECK(data == NULL, "%s", data);
    return 0;
}

FLEET_TEST(device, heartbeat_a_reader_would_refuse)
{
    struct device_heartbeat heartbeat = {.uptime_s = 1};
    char *data = NULL;

    CHECK_FAILS(device_heartbeat_encode(&heartbeat, &data, err), wire_error_domain, WIRE_MALFORMED);
    clock_rfc3339(heartbeat.time);
    heartbeat.uptime_s = -1;
    CHECK_FAILS(device_heartbeat_encode(&heartbeat, &data, err), wire_error_domain, WIRE_MALFORMED);
    CHECK(data == NULL, "%s", data);
    return 0;
}

FLEET_TEST(device, on_failure_the_result_is_untouched)
{
    struct device_state *state = NULL;
    struct device_info *info = NULL;
    struct device_heartbeat *heartbeat = NULL;

    CHECK_FAILS(device_state_decode("{}", 2, &state, err), wire_error_domain, WIRE_MALFORMED);
    CHECK_FAILS(device_info_decode("{}", 2, &info, err), wire_error_domain, WIRE_MALFORMED);
    CHECK_FAILS(device_heartbeat_decode("{}", 2, &heartbeat, err), wire_error_domain, WIRE_MALFORMED);
    CHECK(!state && !info && !heartbeat, "touched");
    return 0;
}
