/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container_match.h"

#include <string.h>

#include "agent/container_create.h"
#include "base/json.h"
#include "base/text.h"
#include "harness/test.h"

/* One service that asks for something of everything. */
static const char wanted_score[] =
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/web:v1\","
    "\"args\":[\"httpd\",\"-f\"],\"env\":[\"A=1\",\"EMPTY=\",\"PATH=/usr/bin\"],"
    "\"ports\":[\"127.0.0.1:9001:80\",\"9002:81/udp\"],\"volumes\":[\"data:/var/data:ro\",\"/srv/web:/web\"],"
    "\"restart_policy\":\"always\",\"health\":{\"command\":[\"/bin/true\",\"x\"]}}]}}";

/* What podman 4.3.1 shows of the container made from it, reduced to what can differ. */
static const char container_document[] =
    "{\"Id\":\"c0\",\"Image\":\"a8d9\",\"ImageName\":\"localhost/web:v1\",\"Mounts\":["
    "{\"Type\":\"volume\",\"Name\":\"ccfe37ff885547f27c9d306f3003004d22fc73b9b09c4847b21244a36b5fce17\","
    "\"Source\":\"/graph/x/_data\",\"Destination\":\"/data\",\"RW\":true},"
    "{\"Type\":\"volume\",\"Name\":\"data\",\"Source\":\"/graph/data/_data\",\"Destination\":\"/var/"
    "data\",\"RW\":false},"
    "{\"Type\":\"bind\",\"Source\":\"/srv/web\",\"Destination\":\"/web\",\"RW\":true}],"
    "\"Config\":{\"Env\":[\"GREETING=hello\",\"VERSION=v1\",\"EMPTY=\",\"A=1\",\"PATH=/usr/bin\",\"TERM=xterm\","
    "\"container=podman\",\"HOSTNAME=c0\"],\"Cmd\":[\"httpd\",\"-f\"],\"Entrypoint\":\"/bin/busybox sh\","
    "\"Healthcheck\":{\"Test\":[\"CMD\",\"/bin/true\",\"x\"],\"Interval\":30000000000,\"Timeout\":30000000000,"
    "\"Retries\":3}},"
    "\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"9001\"}],"
    "\"81/udp\":[{\"HostIp\":\"\",\"HostPort\":\"9002\"}]},"
    "\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":0},\"Privileged\":false}}";

static const char image_document[] =
    "{\"Id\":\"a8d9\",\"RepoTags\":[\"localhost/web:v1\"],\"Config\":{\"Env\":[\"PATH=/bin\",\"GREETING=hello\","
    "\"VERSION=v1\"],\"Cmd\":[\"sleep\",\"1\"],\"Entrypoint\":[\"/bin/busybox\",\"sh\"],\"Volumes\":{\"/data\":{}}}}";

/** `text` with the first `from` replaced by `to`. Caller frees. */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at)
        return text_copy("not there");
    cleanup_free char *before = text_copy_n(text, (size_t)(at - text));
    return text_format("%s%s%s", before, to, at + strlen(from));
}

/** 1 or 0: it matches or not; -1: something is no JSON. `image_text` may be NULL. */
static int compare(const char *score_text, const char *container_text, const char *image_text, char **difference,
                   struct error *err)
{
    CLEANUP(score_free) struct score *score = NULL;
    CLEANUP(cJSON_Delete) cJSON *container = NULL;
    CLEANUP(cJSON_Delete) cJSON *image = NULL;

    if (score_decode(score_text, strlen(score_text), &score, err) < 0 ||
        json_parse(container_text, strlen(container_text), &container, err) < 0 ||
        (image_text && json_parse(image_text, strlen(image_text), &image, err) < 0))
        return -1;
    return container_matches(&score->podman.services[0], container, image, difference);
}

FLEET_TEST(container_match, what_podman_made_of_it)
{
    cleanup_free char *difference = NULL;
    int matches = compare(wanted_score, container_document, image_document, &difference, err);

    if (matches < 0)
        return -1;
    CHECK(matches == 1, "drift where there is none: %s", difference);
    CHECK(!difference, "a difference is told of a match");
    return 0;
}

struct edit {
    const char *from, *to;
};

/** Every edit of one of the three documents is (or is not) drift. */
static int check_edits(const struct edit *edits, size_t count, int document, bool is_drift, struct error *err)
{
    static const char *const originals[] = {wanted_score, container_document, image_document};

    for (size_t i = 0; i < count; i++) {
        cleanup_free char *difference = NULL;
        cleanup_free char *changed = edited(originals[document], edits[i].from, edits[i].to);
        const char *texts[] = {wanted_score, container_document, image_document};
        texts[document] = changed;
        int matches = compare(texts[0], texts[1], texts[2], &difference, err);
        if (matches < 0)
            return -1;
        CHECK(matches == !is_drift, "%s -> %s: %s", edits[i].from, edits[i].to, difference ? difference : "no drift");
        CHECK(matches == (difference == NULL), "%s -> %s: what differs is not told", edits[i].from, edits[i].to);
    }
    return 0;
}

FLEET_TEST(container_match, what_is_changed_by_hand_is_drift)
{
    static const struct edit edits[] = {
        {"\"a8d9\",\"ImageName\":\"localhost/web:v1\"", "\"b9\",\"ImageName\":\"localhost/web:v2\""},
        {"[\"httpd\",\"-f\"]", "[\"httpd\"]"},
        {"[\"httpd\",\"-f\"]", "[\"httpd\",\"-g\"]"},
        {"[\"httpd\",\"-f\"]", "[\"httpd\",\"-f\",\"-v\"]"},
        {"\"/bin/busybox sh\"", "\"/bin/bash\""},
        {"\"A=1\"", "\"A=2\""},
        {"\"A=1\"", "\"A\""},
        {"\"A=1\",", ""},
        {"\"A=1\"", "\"A=1\",\"MORE=1\""},
        {"\"GREETING=hello\"", "\"GREETING=goodbye\""},
        {"\"EMPTY=\"", "\"EMPTY=x\""},
        {"\"PATH=/usr/bin\"", "\"PATH=/bin\""},
        {"\"Name\":\"data\"", "\"Name\":\"other\""},
        {"\"RW\":false", "\"RW\":true"},
        {"\"/srv/web\"", "\"/srv/other\""},
        {"\"Destination\":\"/web\"", "\"Destination\":\"/elsewhere\""},
        {"\"Destination\":\"/data\"", "\"Destination\":\"/not/declared\""},
        {"\"HostIp\":\"127.0.0.1\"", "\"HostIp\":\"\""},
        {"\"HostPort\":\"9001\"", "\"HostPort\":\"9009\""},
        {"81/udp", "81/tcp"},
        {"\"HostPort\":\"9002\"}]", "\"HostPort\":\"9002\"},{\"HostIp\":\"\",\"HostPort\":\"9003\"}]"},
        {"\"Name\":\"always\"", "\"Name\":\"no\""},
        {"\"Name\":\"always\"", "\"Name\":\"\""},
        {"\"CMD\",\"/bin/true\"", "\"CMD-SHELL\",\"/bin/true\""},
        {"\"/bin/true\",\"x\"", "\"/bin/true\",\"y\""},
        {"\"Interval\":30000000000", "\"Interval\":31000000000"},
        {"\"Retries\":3", "\"Retries\":4"},
        {"\"Privileged\":false", "\"Privileged\":true"},
    };

    return check_edits(edits, ARRAY_SIZE(edits), 1, true, err);
}

FLEET_TEST(container_match, what_is_podmans_own_is_not_drift)
{
    static const struct edit edits[] = {
        {"\"a8d9\"", "\"another-id\""},
        {"\"ImageName\":\"localhost/web:v1\"", "\"ImageName\":\"sha256:a8d9\""},
        {"\"HOSTNAME=c0\"", "\"HOSTNAME=c0\",\"http_proxy=http://proxy\",\"HOME=/root\""},
        {"\"/bin/busybox sh\"", "[\"/bin/busybox\",\"sh\"]"},
        {"\"Type\":\"volume\",\"Name\":\"ccfe37ff885547f27c9d306f3003004d22fc73b9b09c4847b21244a36b5fce17\"",
         "\"Type\":\"tmpfs\""},
        {"\"Retries\":3", "\"Retries\":3,\"StartPeriod\":0"},
    };

    return check_edits(edits, ARRAY_SIZE(edits), 1, false, err);
}

FLEET_TEST(container_match, a_changed_score_is_drift)
{
    static const struct edit edits[] = {
        {"localhost/web:v1", "localhost/web:v2"}, /* the image document below stays that of v1 */
        {"\"args\":[\"httpd\",\"-f\"],", ""},
        {"\"A=1\"", "\"A=2\""},
        {"\"A=1\"", "\"A=1\",\"B=2\""},
        {"\"A=1\",", ""},
        {"\"9002:81/udp\"", "\"9003:81/udp\""},
        {",\"9002:81/udp\"", ""},
        {"\"/srv/web:/web\"", "\"/srv/web:/web:ro\""},
        {",\"/srv/web:/web\"", ""},
        {"\"restart_policy\":\"always\",", ""},
        {",\"health\":{\"command\":[\"/bin/true\",\"x\"]}", ""},
    };
    cleanup_free char *other_image = edited(image_document, "a8d9", "beef");
    cleanup_free char *difference = NULL;

    cleanup_free char *upgraded = edited(wanted_score, "localhost/web:v1", "localhost/web:v2");
    int matches = compare(upgraded, container_document, other_image, &difference, err);
    if (matches < 0)
        return -1;
    CHECK(matches == 0, "an upgrade is no drift");
    return check_edits(edits + 1, ARRAY_SIZE(edits) - 1, 0, true, err);
}

FLEET_TEST(container_match, an_image_may_be_named_in_short)
{
    static const char score[] = "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"box\","
                                "\"restart_policy\":\"no\"}]}}";
    static const char container[] = "{\"Image\":\"1\",\"ImageName\":\"docker.io/library/box:latest\"}";
    static const char stranger[] = "{\"Image\":\"1\",\"ImageName\":\"docker.io/library/jukebox:latest\"}";
    cleanup_free char *difference = NULL;
    int matches = compare(score, container, NULL, &difference, err);

    CHECK(matches == 1, "%s", difference ? difference : "not compared");
    matches = compare(score, stranger, NULL, &difference, err);
    CHECK(matches == 0, "jukebox is no box");
    return 0;
}

/* Without the image only what the score says can be compared. */
FLEET_TEST(container_match, a_missing_image_is_not_guessed_at)
{
    cleanup_free char *plain = edited(wanted_score, "\"args\":[\"httpd\",\"-f\"],", "");
    cleanup_free char *difference = NULL;

    int matches = compare(plain, container_document, NULL, &difference, err);
    CHECK(matches == 1, "%s", difference ? difference : "not compared");
    return 0;
}

FLEET_TEST(container_match, an_images_own_health_check_stays)
{
    cleanup_free char *plain = edited(wanted_score, ",\"health\":{\"command\":[\"/bin/true\",\"x\"]}", "");
    cleanup_free char *image =
        edited(image_document, "\"Config\"", "\"Healthcheck\":{\"Test\":[\"CMD\",\"/bin/true\",\"x\"]},\"Config\"");
    cleanup_free char *difference = NULL;

    int matches = compare(plain, container_document, image, &difference, err);
    CHECK(matches == 1, "%s", difference ? difference : "not compared");
    return 0;
}
