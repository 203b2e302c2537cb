/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container_create.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "harness/test.h"

static const char score_text[] =
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/web:v1\","
    "\"args\":[\"httpd\",\"-f\"],\"env\":[\"B=2\",\"A=a \\\"quoted\\\" one\"],"
    "\"ports\":[\"127.0.0.1:9001:80\",\"9002:81/udp\"],\"volumes\":[\"data:/var/data:ro\",\"/srv/web:/web\"],"
    "\"restart_policy\":\"on-failure\",\"health\":{\"command\":[\"/bin/true\"],\"retries\":5}}],"
    "\"init_containers\":[{\"name\":\"migrate\",\"image\":\"localhost/box:v1\",\"volumes\":[\"data:/var/data\"]}]}}";

static int check_document(const struct container_owner *owner, const struct container_spec *spec, const char *wanted,
                          struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *expected = NULL;
    CLEANUP(cJSON_Delete) cJSON *actual = NULL;
    cleanup_free char *document = container_create_document(owner, spec);

    TRY(json_parse(wanted, strlen(wanted), &expected, err));
    TRY(json_parse(document, strlen(document), &actual, err));
    CHECK(cJSON_Compare(expected, actual, true), "%s", document);
    return 0;
}

FLEET_TEST(container_create, a_service)
{
    CLEANUP(score_free) struct score *score = NULL;
    const struct container_owner owner = {"pi-01", "hello", false};

    TRY(score_decode(score_text, strlen(score_text), &score, err));
    return check_document(
        &owner, &score->podman.services[0],
        "{\"name\":\"fleet.hello.web\",\"image\":\"localhost/web:v1\",\"command\":[\"httpd\",\"-f\"],"
        "\"labels\":{\"io.harmony.fleet.device\":\"pi-01\",\"io.harmony.fleet.deployment\":\"hello\","
        "\"io.harmony.fleet.service\":\"web\"},\"env\":{\"A\":\"a \\\"quoted\\\" one\",\"B\":\"2\"},"
        "\"portmappings\":[{\"host_ip\":\"127.0.0.1\",\"host_port\":9001,\"container_port\":80,\"protocol\":\"tcp\"},"
        "{\"host_port\":9002,\"container_port\":81,\"protocol\":\"udp\"}],"
        "\"mounts\":[{\"type\":\"bind\",\"source\":\"/srv/web\",\"destination\":\"/web\",\"options\":[\"rbind\","
        "\"rw\"]}],\"volumes\":[{\"Name\":\"data\",\"Dest\":\"/var/data\",\"Options\":[\"ro\"]}],"
        "\"restart_policy\":\"on-failure\",\"healthconfig\":{\"Test\":[\"CMD\",\"/bin/true\"],"
        "\"Interval\":30000000000,\"Timeout\":30000000000,\"StartPeriod\":0,\"Retries\":5}}",
        err);
}

FLEET_TEST(container_create, an_init_container_is_never_restarted)
{
    CLEANUP(score_free) struct score *score = NULL;
    const struct container_owner owner = {"pi-01", "hello", true};

    TRY(score_decode(score_text, strlen(score_text), &score, err));
    return check_document(
        &owner, &score->podman.init_containers[0],
        "{\"name\":\"fleet.hello.init.migrate\",\"image\":\"localhost/box:v1\","
        "\"labels\":{\"io.harmony.fleet.device\":\"pi-01\",\"io.harmony.fleet.deployment\":\"hello\","
        "\"io.harmony.fleet.init\":\"migrate\"},\"env\":{},\"mounts\":[],"
        "\"volumes\":[{\"Name\":\"data\",\"Dest\":\"/var/data\",\"Options\":[\"rw\"]}],\"restart_policy\":\"no\"}",
        err);
}
