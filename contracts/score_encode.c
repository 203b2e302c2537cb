/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "contracts/score_codec.h"

static void add_texts(cJSON *object, const char *key, const struct text_list *texts)
{
    cJSON *array = json_add_array(object, key);

    for (size_t i = 0; i < texts->count; i++)
        json_add_text(array, NULL, texts->items[i]);
}

static void add_environment(cJSON *object, const struct container_spec *container)
{
    cJSON *environment = json_add_object(object, "env");

    for (size_t i = 0; i < container->environment_count; i++)
        json_add_text(environment, container->environment[i].name, container->environment[i].value);
}

static void add_ports(cJSON *object, const struct container_spec *container)
{
    cJSON *ports = json_add_array(object, "ports");

    for (size_t i = 0; i < container->port_count; i++) {
        cleanup_free char *text = port_mapping_text(&container->ports[i]);
        json_add_text(ports, NULL, text);
    }
}

static void add_volumes(cJSON *object, const struct container_spec *container)
{
    cJSON *volumes = json_add_array(object, "volumes");

    for (size_t i = 0; i < container->volume_count; i++) {
        cleanup_free char *text = volume_mount_text(&container->volumes[i]);
        json_add_text(volumes, NULL, text);
    }
}

/** 0 is not a value of these fields: it stands for the default, which the reader puts in. */
static void add_nonzero(cJSON *object, const char *key, int number)
{
    if (number != 0)
        json_add_integer(object, key, number);
}

static void add_health(cJSON *object, const struct health_check *health)
{
    if (health->command.count == 0)
        return;
    cJSON *member = json_add_object(object, "health");
    add_texts(member, "command", &health->command);
    add_nonzero(member, "interval_s", health->interval_s);
    add_nonzero(member, "timeout_s", health->timeout_s);
    add_nonzero(member, "retries", health->retries);
    json_add_integer(member, "start_period_s", health->start_period_s);
}

static int add_service(cJSON *array, const struct container_spec *service, struct error *err)
{
    if (token_check(service->name, "service name", err) < 0)
        return -1;
    cJSON *object = json_add_object(array, NULL);
    json_add_text(object, "name", service->name);
    json_add_text(object, "image", service->image);
    add_texts(object, "args", &service->args);
    add_ports(object, service);
    add_environment(object, service);
    add_volumes(object, service);
    json_add_text(object, "restart_policy", restart_policy_name(service->restart_policy));
    add_health(object, &service->health);
    return 0;
}

static int add_init_container(cJSON *array, const struct container_spec *container, struct error *err)
{
    if (token_check(container->name, "init container name", err) < 0)
        return -1;
    cJSON *object = json_add_object(array, NULL);
    json_add_text(object, "name", container->name);
    json_add_text(object, "image", container->image);
    add_texts(object, "args", &container->args);
    add_environment(object, container);
    add_volumes(object, container);
    add_nonzero(object, "timeout", container->timeout_s);
    return 0;
}

int score_build(const struct score *score, cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    json_add_text(document, "type", SCORE_TYPE_PODMAN_V0);
    cJSON *data = json_add_object(document, "data");
    cJSON *services = json_add_array(data, "services");
    for (size_t i = 0; i < score->podman.service_count; i++) {
        if (add_service(services, &score->podman.services[i], err) < 0)
            return -1;
    }
    cJSON *init_containers = json_add_array(data, "init_containers");
    for (size_t i = 0; i < score->podman.init_container_count; i++) {
        if (add_init_container(init_containers, &score->podman.init_containers[i], err) < 0)
            return -1;
    }
    *ret = TAKE_PTR(document);
    return 0;
}
