/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/score.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "tests/unit/codec_checks.h"

static int round_trip_score(const char *data, size_t size, char **ret, struct error *err)
{
    CLEANUP(score_free) struct score *score = NULL;

    if (score_decode(data, size, &score, err) < 0)
        return -1;
    return score_encode(score, ret, err);
}
static const struct codec_under_test score_codec = {"score", round_trip_score};

FLEET_TEST(score, golden)
{
    return codec_check_golden(&score_codec, err);
}

FLEET_TEST(score, documented_examples)
{
    return codec_check_examples(&score_codec, err);
}

static int decode_text(const char *text, struct score **ret, struct error *err)
{
    return score_decode(text, strlen(text), ret, err);
}

#define SERVICE(fields) "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"i\"" fields "}]}}"
#define INIT(fields)                                                                                                   \
    "{\"type\":\"PodmanV0\",\"data\":{\"init_containers\":[{\"name\":\"first\",\"image\":\"i\"" fields "}]}}"
#define SERVICE_FROM(begin) "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"i\"," begin
#define SERVICE_END         "}]}}"

FLEET_TEST(score, missing_fields_take_their_defaults)
{
    CLEANUP(score_free) struct score *service = NULL;
    CLEANUP(score_free) struct score *init = NULL;

    TRY(decode_text(SERVICE(""), &service, err));
    CHECK(service->type == SCORE_PODMAN_V0 && service->podman.service_count == 1, "shape");
    const struct container_spec *web = &service->podman.services[0];
    CHECK(web->args.count == 0 && web->environment_count == 0 && web->port_count == 0 && web->volume_count == 0,
          "not empty");
    CHECK(web->restart_policy == RESTART_UNLESS_STOPPED, "%d", web->restart_policy);
    CHECK(web->health.command.count == 0, "a health check");
    TRY(decode_text(INIT(""), &init, err));
    CHECK(init->podman.init_containers[0].timeout_s == INIT_TIMEOUT_DEFAULT_S, "%d",
          init->podman.init_containers[0].timeout_s);
    return 0;
}

FLEET_TEST(score, every_field_arrives)
{
    CLEANUP(score_free) struct score *score = NULL;

    TRY(decode_text(
        SERVICE_FROM("\"args\":[\"-a\",\"\"],\"env\":{\"B\":\"2\",\"A\":\"1\"},"
                     "\"ports\":[\"127.0.0.1:8080:80/udp\",\"[::1]:1:65535\"],\"volumes\":[\"/s/:/d:ro\",\"v:/w\"],"
                     "\"restart_policy\":\"on-failure\",\"health\":{\"command\":[\"probe\"],\"interval_s\":1,"
                     "\"timeout_s\":2,\"retries\":4,\"start_period_s\":5}") SERVICE_END,
        &score, err));
    const struct container_spec *web = &score->podman.services[0];
    CHECK(web->args.count == 2 && text_equal(web->args.items[0], "-a") && text_equal(web->args.items[1], ""), "args");
    CHECK(text_equal(web->environment[0].name, "A") && text_equal(web->environment[0].value, "1"), "env[0]");
    CHECK(text_equal(web->environment[1].name, "B") && text_equal(web->environment[1].value, "2"), "env[1]");
    CHECK(text_equal(web->ports[0].host_address, "127.0.0.1") && web->ports[0].host_port == 8080 &&
              web->ports[0].container_port == 80 && web->ports[0].udp,
          "ports[0]");
    CHECK(text_equal(web->ports[1].host_address, "::1") && web->ports[1].host_port == 1 &&
              web->ports[1].container_port == 65535 && !web->ports[1].udp,
          "ports[1]");
    CHECK(text_equal(web->volumes[0].source, "/s") && text_equal(web->volumes[0].destination, "/d") &&
              web->volumes[0].read_only,
          "volumes[0]");
    CHECK(text_equal(web->volumes[1].source, "v") && !web->volumes[1].read_only, "volumes[1]");
    CHECK(web->restart_policy == RESTART_ON_FAILURE, "restart_policy");
    CHECK(text_equal(web->health.command.items[0], "probe") && web->health.interval_s == 1 &&
              web->health.timeout_s == 2 && web->health.retries == 4 && web->health.start_period_s == 5,
          "health");
    return 0;
}

FLEET_TEST(score, limits)
{
    static const struct codec_limit limits[] = {
        {"{\"type\":\"PodmanV0\",\"data\":{\"services\":[", "{\"name\":\"s#\",\"image\":\"i\"}", ",", "]}}",
         SCORE_SERVICES_MAX, "$.data.services"},
        {"{\"type\":\"PodmanV0\",\"data\":{\"init_containers\":[", "{\"name\":\"s#\",\"image\":\"i\"}", ",", "]}}",
         SCORE_SERVICES_MAX, "$.data.init_containers"},
        {"{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"image\":\"i\",\"name\":\"", "n", "", "\"}]}}", TOKEN_MAX,
         "$.data.services[0].name"},
        {"{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"n\",\"image\":\"", "i", "", "\"}]}}",
         SCORE_IMAGE_MAX, "$.data.services[0].image"},
        {SERVICE_FROM("\"args\":["), "\"\"", ",", "]" SERVICE_END, SCORE_LIST_MAX, "$.data.services[0].args"},
        {SERVICE_FROM("\"args\":[\""), "a", "", "\"]" SERVICE_END, SCORE_TEXT_MAX, "$.data.services[0].args[0]"},
        {SERVICE_FROM("\"env\":{"), "\"A#\":\"\"", ",", "}" SERVICE_END, SCORE_LIST_MAX, "$.data.services[0].env"},
        {SERVICE_FROM("\"env\":["), "\"A#=\"", ",", "]" SERVICE_END, SCORE_LIST_MAX, "$.data.services[0].env"},
        {SERVICE_FROM("\"env\":{\"A\":\""), "v", "", "\"}" SERVICE_END, SCORE_ENV_VALUE_MAX,
         "$.data.services[0].env.A"},
        {SERVICE_FROM("\"env\":[\"A="), "v", "", "\"]" SERVICE_END, SCORE_ENV_VALUE_MAX, "$.data.services[0].env[0]"},
        {SERVICE_FROM("\"env\":[\""), "N", "", "=\"]" SERVICE_END, SCORE_ENV_NAME_MAX, "$.data.services[0].env[0]"},
        {SERVICE_FROM("\"ports\":["), "\"#:80\"", ",", "]" SERVICE_END, SCORE_LIST_MAX, "$.data.services[0].ports"},
        {SERVICE_FROM("\"volumes\":["), "\"v:/#\"", ",", "]" SERVICE_END, SCORE_LIST_MAX, "$.data.services[0].volumes"},
        {SERVICE_FROM("\"volumes\":[\"v:/"), "d", "", "\"]" SERVICE_END, SCORE_TEXT_MAX - 3,
         "$.data.services[0].volumes[0]"},
        {SERVICE_FROM("\"health\":{\"command\":["), "\"a\"", ",", "]}" SERVICE_END, SCORE_LIST_MAX,
         "$.data.services[0].health.command"},
        {SERVICE_FROM("\"health\":{\"command\":[\""), "c", "", "\"]}" SERVICE_END, SCORE_TEXT_MAX,
         "$.data.services[0].health.command[0]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        TRY(codec_check_limit(&score_codec, &limits[i], err));
    return 0;
}

/* A minimal score, padded with white space to `size` bytes. Caller frees. */
static char *padded_score(size_t size)
{
    static const char score[] = "{\"type\":\"PodmanV0\",\"data\":{}}";
    char *data = NEW_ARRAY(char, size + 1);

    memset(data, '\n', size);
    memcpy(data, score, sizeof(score) - 1);
    return data;
}

FLEET_TEST(score, a_value_over_the_limit)
{
    cleanup_free char *largest = padded_score(SCORE_VALUE_MAX);
    cleanup_free char *too_large = padded_score(SCORE_VALUE_MAX + 1);
    CLEANUP(score_free) struct score *score = NULL;

    TRY(score_decode(largest, SCORE_VALUE_MAX, &score, err));
    return codec_check_refused(&score_codec, too_large, SCORE_VALUE_MAX + 1, "too-large", "$", "over 1 MiB", err);
}

FLEET_TEST(score, what_is_not_json)
{
    static const struct {
        const char *data;
        size_t size;
    } bad[] = {
        {"", 0},
        {"{", 1},
        {"\0", 1},
        {"not json", 8},
        {"{\"type\":\"PodmanV0\",\"data\":{}}\0", 30},
        {"{\"type\":\"PodmanV0\",\"data\":{}}}", 30},
        {"{\"type\":\"PodmanV0\",\"data\":{},}", 30},
        {"\xef\xbb\xbf{\"type\":\"PodmanV0\",\"data\":{}}", 32},
    };
    static const char *const bad_texts[] = {
        SERVICE(",\"args\":[\"\xff\"]"),         SERVICE(",\"args\":[\"\xc0\xaf\"]"),
        SERVICE(",\"args\":[\"\\ud800\"]"),      SERVICE(",\"args\":[\"a\\u0000b\"]"),
        SERVICE(",\"args\":[\"\n\"]"),           SERVICE(",\"env\":{\"\\u0000\":\"\"}"),
        SERVICE(",\"env\":{\"A\":\"\\u0000\"}"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        TRY(codec_check_refused(&score_codec, bad[i].data, bad[i].size, "malformed", "", bad[i].data, err));
    for (size_t i = 0; i < ARRAY_SIZE(bad_texts); i++)
        TRY(codec_check_refused(&score_codec, bad_texts[i], strlen(bad_texts[i]), "malformed", "", bad_texts[i], err));
    return 0;
}

FLEET_TEST(score, deep_nesting_is_refused)
{
    cleanup_text_buffer struct text_buffer value = {0};

    text_buffer_add(&value, "{\"type\":\"PodmanV0\",\"data\":{},\"later\":");
    for (size_t i = 0; i < 100000; i++)
        text_buffer_add(&value, "[");
    TRY(codec_check_refused(&score_codec, value.data, value.size, "malformed", "", "deep", err));
    return 0;
}

FLEET_TEST(score, the_error_says_what_and_where)
{
    CLEANUP(score_free) struct score *score = NULL;
    cleanup_error struct error refused = ERROR_INIT;

    CHECK(decode_text(SERVICE_FROM("\"ports\":[\"80:99999\"]") SERVICE_END, &score, &refused) < 0, "accepted");
    cleanup_free char *text = error_text(&refused);
    CHECK(text_equal(text,
                     "decoding a score: $.data.services[0].ports[0]: \"80:99999\": the container port is not 1 to "
                     "65535"),
          "%s", text);
    CHECK(score == NULL, "touched");
    return 0;
}

FLEET_TEST(score, bindings_that_do_not_collide)
{
    static const char *const good[] = {
        SERVICE(",\"ports\":[\"80:80\",\"80:80/udp\"]"),
        SERVICE(",\"ports\":[\"127.0.0.1:80:80\",\"127.0.0.2:80:80\",\"[::1]:80:80\"]"),
        SERVICE(",\"ports\":[\"0.0.0.0:80:80\",\"[::]:80:80\",\"0.0.0.0:80:80/udp\"]"),
        SERVICE(",\"ports\":[\"0.0.0.0:80:80\",\"[::1]:80:80\"]"),
        SERVICE(",\"ports\":[\"80:80\",\"81:80\",\"127.0.0.1:82:80\"]"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CLEANUP(score_free) struct score *score = NULL;
        TRY(decode_text(good[i], &score, err));
    }
    return 0;
}

/* The colliding pair is the first and the last of many, and not neighbours in any order but the document's. */
FLEET_TEST(score, a_collision_among_many_bindings)
{
    cleanup_text_buffer struct text_buffer value = {0};

    text_buffer_add(&value, SERVICE_FROM("\"ports\":[\"0.0.0.0:80:80\""));
    for (int i = 0; i < 200; i++)
        text_buffer_format(&value, ",\"[fd00::%x]:80:80\"", i + 1);
    text_buffer_add(&value, ",\"9.9.9.9:80:80\"]" SERVICE_END);
    return codec_check_refused(&score_codec, value.data, value.size, "malformed", "$.data.services[0].ports[201]",
                               "0.0.0.0 and 9.9.9.9", err);
}

FLEET_TEST(score, a_score_built_in_c)
{
    struct environment_variable environment[] = {{(char *)"Z", (char *)"1"}, {(char *)"A", (char *)"2"}};
    struct port_mapping ports[] = {{.host_address = (char *)"0:0::1", .host_port = 8080, .container_port = 80}};
    struct volume_mount volumes[] = {{.source = (char *)"/srv/", .destination = (char *)"/www//"}};
    struct container_spec services[] = {{
        .name = (char *)"web",
        .image = (char *)"localhost/web",
        .environment = environment,
        .environment_count = ARRAY_SIZE(environment),
        .ports = ports,
        .port_count = ARRAY_SIZE(ports),
        .volumes = volumes,
        .volume_count = ARRAY_SIZE(volumes),
    }};
    struct container_spec init_containers[] = {{.name = (char *)"first", .image = (char *)"i"}};
    struct score score = {.podman = {services, ARRAY_SIZE(services), init_containers, ARRAY_SIZE(init_containers)}};
    cleanup_free char *data = NULL;

    TRY(score_encode(&score, &data, err));
    CHECK(text_equal(data,
                     "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/web\","
                     "\"args\":[],\"ports\":[\"[::1]:8080:80\"],\"env\":{\"A\":\"2\",\"Z\":\"1\"},"
                     "\"volumes\":[\"/srv:/www\"],\"restart_policy\":\"unless-stopped\"}],"
                     "\"init_containers\":[{\"name\":\"first\",\"image\":\"i\",\"args\":[],\"env\":{},"
                     "\"volumes\":[],\"timeout\":300}]}}"),
          "%s", data);
    return 0;
}

FLEET_TEST(score, zeros_of_a_health_check_are_its_defaults)
{
    struct container_spec service = {.name = (char *)"web", .image = (char *)"i"};
    struct score score = {.podman = {.services = &service, .service_count = 1}};
    cleanup_free char *data = NULL;

    text_list_add(&service.health.command, "probe");
    int result = score_encode(&score, &data, err);
    text_list_clear(&service.health.command);
    if (result < 0)
        return -1;
    CHECK(strstr(data, "\"health\":{\"command\":[\"probe\"],\"interval_s\":30,\"timeout_s\":30,\"retries\":3,"
                       "\"start_period_s\":0}"),
          "%s", data);
    return 0;
}

FLEET_TEST(score, what_a_reader_would_refuse_is_not_written)
{
    struct container_spec service = {.name = (char *)"not a token", .image = (char *)"i"};
    struct score score = {.podman = {.services = &service, .service_count = 1}};
    char *data = NULL;

    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_INVALID_NAME);
    service.name = NULL;
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_INVALID_NAME);
    service = (struct container_spec){.name = (char *)"web"};
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_MALFORMED);
    service.image = (char *)"i";
    service.restart_policy = (enum restart_policy)7;
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_MALFORMED);
    service.restart_policy = RESTART_NO;
    struct port_mapping port = {.host_port = 80};
    service.ports = &port;
    service.port_count = 1;
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_MALFORMED);
    CHECK(data == NULL, "%s", data);
    return 0;
}

FLEET_TEST(score, what_is_too_large_is_not_written)
{
    cleanup_free char *text = NEW_ARRAY(char, SCORE_ENV_VALUE_MAX + 2);
    struct environment_variable environment[40];
    char names[ARRAY_SIZE(environment)][8];
    struct container_spec service = {.name = (char *)"web", .image = (char *)"i", .environment = environment};
    struct score score = {.podman = {.services = &service, .service_count = 1}};
    char *data = NULL;

    memset(text, 'v', SCORE_ENV_VALUE_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(environment); i++) {
        snprintf(names[i], sizeof(names[i]), "A%zu", i);
        environment[i] = (struct environment_variable){names[i], text};
    }
    service.environment_count = 31;
    TRY(score_encode(&score, &data, err));
    free(TAKE_PTR(data));
    service.environment_count = 32; /* each within its limit, together over 1 MiB */
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_TOO_LARGE);
    service.environment_count = 1;
    text[SCORE_ENV_VALUE_MAX] = 'v';
    CHECK_FAILS(score_encode(&score, &data, err), wire_error_domain, WIRE_TOO_LARGE);
    return 0;
}

FLEET_TEST(score, restart_policies_are_podmans_words)
{
    static const char *const names[] = {"unless-stopped", "always", "on-failure", "no"};

    for (int policy = RESTART_UNLESS_STOPPED; policy <= RESTART_NO; policy++)
        CHECK(text_equal(restart_policy_name((enum restart_policy)policy), names[policy]), "%d", policy);
    return 0;
}
