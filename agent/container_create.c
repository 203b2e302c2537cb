/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container_create.h"

#include "agent/podman_client.h"
#include "base/json.h"
#include "base/text.h"

static const int64_t nanoseconds_per_second = 1000000000;

char *container_name(const struct container_owner *owner, const char *name)
{
    return text_format("fleet.%s.%s%s", owner->deployment, owner->init ? "init." : "", name);
}

static void add_text_to(cJSON *array, const char *text)
{
    cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

static void add_labels(cJSON *document, const struct container_owner *owner, const char *name)
{
    cJSON *labels = json_add_object(document, "labels");

    json_add_text(labels, LABEL_DEVICE, owner->device);
    json_add_text(labels, LABEL_DEPLOYMENT, owner->deployment);
    json_add_text(labels, owner->init ? LABEL_INIT : LABEL_SERVICE, name);
}

static void add_environment(cJSON *document, const struct container_spec *spec)
{
    cJSON *environment = json_add_object(document, "env");

    for (size_t i = 0; i < spec->environment_count; i++)
        json_add_text(environment, spec->environment[i].name, spec->environment[i].value);
}

static void add_ports(cJSON *document, const struct container_spec *spec)
{
    cJSON *ports = json_add_array(document, "portmappings");

    for (size_t i = 0; i < spec->port_count; i++) {
        cJSON *port = json_add_object(ports, NULL);
        json_add_text(port, "host_ip", spec->ports[i].host_address);
        json_add_integer(port, "host_port", spec->ports[i].host_port);
        json_add_integer(port, "container_port", spec->ports[i].container_port);
        json_add_text(port, "protocol", spec->ports[i].udp ? "udp" : "tcp");
    }
}

static void add_bind(cJSON *mounts, const struct volume_mount *mount)
{
    cJSON *bind = json_add_object(mounts, NULL);
    cJSON *options;

    json_add_text(bind, "type", "bind");
    json_add_text(bind, "source", mount->source);
    json_add_text(bind, "destination", mount->destination);
    options = json_add_array(bind, "options");
    add_text_to(options, "rbind");
    add_text_to(options, mount->read_only ? "ro" : "rw");
}

static void add_volume(cJSON *volumes, const struct volume_mount *mount)
{
    cJSON *volume = json_add_object(volumes, NULL);

    json_add_text(volume, "Name", mount->source);
    json_add_text(volume, "Dest", mount->destination);
    add_text_to(json_add_array(volume, "Options"), mount->read_only ? "ro" : "rw");
}

/** libpod keeps binds and named volumes apart. */
static void add_mounts(cJSON *document, const struct container_spec *spec)
{
    cJSON *mounts = json_add_array(document, "mounts");
    cJSON *volumes = json_add_array(document, "volumes");

    for (size_t i = 0; i < spec->volume_count; i++) {
        if (spec->volumes[i].source[0] == '/')
            add_bind(mounts, &spec->volumes[i]);
        else
            add_volume(volumes, &spec->volumes[i]);
    }
}

static void add_health(cJSON *document, const struct health_check *health)
{
    cJSON *check;
    cJSON *test;

    if (health->command.count == 0)
        return;
    check = json_add_object(document, "healthconfig");
    test = json_add_array(check, "Test");
    add_text_to(test, "CMD");
    for (size_t i = 0; i < health->command.count; i++)
        add_text_to(test, health->command.items[i]);
    json_add_integer(check, "Interval", health->interval_s * nanoseconds_per_second);
    json_add_integer(check, "Timeout", health->timeout_s * nanoseconds_per_second);
    json_add_integer(check, "StartPeriod", health->start_period_s * nanoseconds_per_second);
    json_add_integer(check, "Retries", health->retries);
}

char *container_create_document(const struct container_owner *owner, const struct container_spec *spec)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    cleanup_free char *name = container_name(owner, spec->name);

    json_add_text(document, "name", name);
    json_add_text(document, "image", spec->image);
    add_labels(document, owner, spec->name);
    if (spec->args.count > 0) {
        cJSON *command = json_add_array(document, "command");
        for (size_t i = 0; i < spec->args.count; i++)
            add_text_to(command, spec->args.items[i]);
    }
    add_environment(document, spec);
    add_mounts(document, spec);
    /* An init container runs once: a runtime that restarted it would hide its exit code. */
    json_add_text(document, "restart_policy", restart_policy_name(owner->init ? RESTART_NO : spec->restart_policy));
    if (!owner->init) {
        add_ports(document, spec);
        add_health(document, &spec->health);
    }
    return json_print(document);
}
