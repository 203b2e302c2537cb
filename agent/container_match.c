/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container_match.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

/** One comparison. Sets *difference and returns false when something differs. */
struct comparison {
    const struct container_spec *spec;
    const cJSON *container;
    const cJSON *image; /**< NULL: not known */
};

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const cJSON *container_config(const struct comparison *comparison)
{
    return member(comparison->container, "Config");
}

static const cJSON *image_config(const struct comparison *comparison)
{
    return member(comparison->image, "Config");
}

static const cJSON *host_config(const struct comparison *comparison)
{
    return member(comparison->container, "HostConfig");
}

/** "box" is "docker.io/library/box:latest" once podman has resolved it. */
static bool is_normalized_from(const char *normalized, const char *name)
{
    cleanup_free char *latest = text_format("%s:latest", name);
    cleanup_free char *below = text_format("/%s", name);
    cleanup_free char *latest_below = text_format("/%s:latest", name);

    return strcmp(normalized, name) == 0 || strcmp(normalized, latest) == 0 || text_ends_with(normalized, below) ||
           text_ends_with(normalized, latest_below);
}

static bool image_matches(const struct comparison *comparison, char **difference)
{
    const char *id = json_text_or(comparison->container, "Image", "");
    const char *name = json_text_or(comparison->container, "ImageName", "");
    const char *wanted_id = json_text_or(comparison->image, "Id", "");

    if ((*wanted_id && strcmp(id, wanted_id) == 0) || is_normalized_from(name, comparison->spec->image))
        return true;
    *difference = text_format("its image is %s, not %s", name, comparison->spec->image);
    return false;
}

/** podman 4 shows an entry point as one string, podman 5 as an array. Caller frees; "" when there is none. */
static char *joined(const cJSON *value)
{
    struct text_buffer text = {0};
    const cJSON *item = NULL;

    if (cJSON_IsString(value))
        return text_copy(cJSON_GetStringValue(value));
    cJSON_ArrayForEach(item, value) {
        const char *word = cJSON_GetStringValue(item);
        text_buffer_format(&text, "%s%s", text.size ? " " : "", word ? word : "");
    }
    return text_buffer_take(&text);
}

static bool entry_point_matches(const struct comparison *comparison, char **difference)
{
    cleanup_free char *actual = joined(member(container_config(comparison), "Entrypoint"));
    cleanup_free char *wanted = joined(member(image_config(comparison), "Entrypoint"));

    if (!comparison->image || strcmp(actual, wanted) == 0)
        return true;
    *difference = text_format("its entry point is \"%s\", not the image's \"%s\"", actual, wanted);
    return false;
}

/** The rest of an array from `item` on. */
static bool rest_is(const cJSON *item, char *const *items, size_t count)
{
    size_t i = 0;

    for (; item && i < count; item = item->next, i++) {
        if (!text_equal(cJSON_GetStringValue(item), items[i]))
            return false;
    }
    return !item && i == count;
}

/** Equal as JSON, where null, absent and empty are the same. */
static bool arrays_equal(const cJSON *a, const cJSON *b)
{
    if (cJSON_GetArraySize(a) == 0 && cJSON_GetArraySize(b) == 0)
        return true;
    return cJSON_Compare(a, b, true);
}

static bool arguments_match(const struct comparison *comparison, char **difference)
{
    const struct text_list *args = &comparison->spec->args;
    const cJSON *command = member(container_config(comparison), "Cmd");

    if (args->count > 0 && rest_is(command ? command->child : NULL, args->items, args->count))
        return true;
    if (args->count == 0 && (!comparison->image || arrays_equal(command, member(image_config(comparison), "Cmd"))))
        return true;
    cleanup_free char *actual = joined(command);
    *difference = text_format("its arguments are \"%s\"", actual);
    return false;
}

/* What podman puts into every container, or passes on from its own environment. */
static bool is_own_variable(const char *name, size_t size)
{
    static const char *const names[] = {
        "PATH",     "TERM",      "container",  "HOME",        "HOSTNAME",  "http_proxy", "https_proxy", "ftp_proxy",
        "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",   "ALL_PROXY",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return true;
    }
    return false;
}

static bool array_has(const cJSON *array, const char *text)
{
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, array) {
        if (text_equal(cJSON_GetStringValue(item), text))
            return true;
    }
    return false;
}

static const struct environment_variable *find_variable(const struct container_spec *spec, const char *name,
                                                        size_t size)
{
    for (size_t i = 0; i < spec->environment_count; i++) {
        const struct environment_variable *variable = &spec->environment[i];
        if (strlen(variable->name) == size && memcmp(variable->name, name, size) == 0)
            return variable;
    }
    return NULL;
}

/** One "NAME=value" of the container: asked for, the image's, or podman's own? */
static bool variable_is_expected(const struct comparison *comparison, const char *entry)
{
    size_t size = strcspn(entry, "=");
    const char *value = entry[size] ? entry + size + 1 : "";
    const struct environment_variable *wanted = find_variable(comparison->spec, entry, size);

    if (wanted)
        return strcmp(wanted->value, value) == 0;
    return !comparison->image || is_own_variable(entry, size) ||
           array_has(member(image_config(comparison), "Env"), entry);
}

static bool environment_matches(const struct comparison *comparison, char **difference)
{
    const cJSON *environment = member(container_config(comparison), "Env");
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, environment) {
        const char *entry = cJSON_GetStringValue(item);
        if (entry && !variable_is_expected(comparison, entry)) {
            *difference = text_format("its environment variable %.*s", (int)strcspn(entry, "="), entry);
            return false;
        }
    }
    for (size_t i = 0; i < comparison->spec->environment_count; i++) {
        const struct environment_variable *variable = &comparison->spec->environment[i];
        cleanup_free char *entry = text_format("%s=%s", variable->name, variable->value);
        if (!array_has(environment, entry)) {
            *difference = text_format("its environment lacks %s", variable->name);
            return false;
        }
    }
    return true;
}

/** podman names a volume that nobody named by 64 hex digits. */
static bool is_anonymous_name(const char *name)
{
    size_t size = 0;

    while (isxdigit((unsigned char)name[size]))
        size++;
    return size == 64 && name[size] == '\0';
}

/** A volume or tmpfs that is there only because the image declares it. */
static bool is_image_volume(const struct comparison *comparison, const cJSON *mount)
{
    bool anonymous = is_anonymous_name(json_text_or(mount, "Name", ""));
    bool temporary = strcmp(json_text_or(mount, "Type", ""), "tmpfs") == 0;

    if (!anonymous && !temporary)
        return false;
    return !comparison->image ||
           member(member(image_config(comparison), "Volumes"), json_text_or(mount, "Destination", ""));
}

static bool mount_is(const cJSON *mount, const struct volume_mount *wanted)
{
    bool bind = wanted->source[0] == '/';
    const char *source = bind ? json_text_or(mount, "Source", "") : json_text_or(mount, "Name", "");

    return strcmp(json_text_or(mount, "Type", ""), bind ? "bind" : "volume") == 0 &&
           strcmp(source, wanted->source) == 0 && cJSON_IsTrue(member(mount, "RW")) == !wanted->read_only;
}

static const struct volume_mount *find_mount(const struct container_spec *spec, const char *destination)
{
    for (size_t i = 0; i < spec->volume_count; i++) {
        if (strcmp(spec->volumes[i].destination, destination) == 0)
            return &spec->volumes[i];
    }
    return NULL;
}

static bool mounts_match(const struct comparison *comparison, char **difference)
{
    const cJSON *mount = NULL;
    size_t found = 0;

    cJSON_ArrayForEach(mount, member(comparison->container, "Mounts")) {
        const char *destination = json_text_or(mount, "Destination", "");
        const struct volume_mount *wanted = find_mount(comparison->spec, destination);
        if (wanted ? !mount_is(mount, wanted) : !is_image_volume(comparison, mount)) {
            *difference = text_format("its mount at %s", destination);
            return false;
        }
        found += wanted != NULL;
    }
    if (found == comparison->spec->volume_count)
        return true;
    *difference = text_format("it has %zu of %zu mounts", found, comparison->spec->volume_count);
    return false;
}

/** podman shows the address as it was asked for; none is "" and binds every address. */
static bool binding_is(const cJSON *binding, const struct port_mapping *wanted)
{
    cleanup_free char *port = text_format("%u", wanted->host_port);

    return strcmp(json_text_or(binding, "HostIp", ""), wanted->host_address ? wanted->host_address : "") == 0 &&
           strcmp(json_text_or(binding, "HostPort", ""), port) == 0;
}

static bool has_binding(const cJSON *bindings, const struct port_mapping *wanted)
{
    cleanup_free char *key = text_format("%u/%s", wanted->container_port, wanted->udp ? "udp" : "tcp");
    const cJSON *binding = NULL;

    cJSON_ArrayForEach(binding, member(bindings, key)) {
        if (binding_is(binding, wanted))
            return true;
    }
    return false;
}

static bool ports_match(const struct comparison *comparison, char **difference)
{
    const cJSON *bindings = member(host_config(comparison), "PortBindings");
    const cJSON *port = NULL;
    size_t actual = 0;

    cJSON_ArrayForEach(port, bindings)
        actual += (size_t)cJSON_GetArraySize(port);
    for (size_t i = 0; i < comparison->spec->port_count; i++) {
        const struct port_mapping *wanted = &comparison->spec->ports[i];
        if (!has_binding(bindings, wanted)) {
            *difference = text_format("it does not publish port %u as %u", wanted->container_port, wanted->host_port);
            return false;
        }
    }
    if (actual == comparison->spec->port_count)
        return true;
    *difference = text_format("it publishes %zu ports, not %zu", actual, comparison->spec->port_count);
    return false;
}

static bool restart_policy_matches(const struct comparison *comparison, char **difference)
{
    const char *actual = json_text_or(member(host_config(comparison), "RestartPolicy"), "Name", "");
    const char *wanted = restart_policy_name(comparison->spec->restart_policy);

    if (strcmp(*actual ? actual : "no", wanted) == 0)
        return true;
    *difference = text_format("its restart policy is %s, not %s", actual, wanted);
    return false;
}

static bool seconds_match(const cJSON *check, const char *key, int wanted_s)
{
    const cJSON *nanoseconds = member(check, key);
    double actual = cJSON_IsNumber(nanoseconds) ? nanoseconds->valuedouble / 1e9 : 0;

    return actual > wanted_s - 0.5 && actual < wanted_s + 0.5;
}

/** Test is ["CMD", …]; zero numbers are left out by podman. */
static bool is_health_check(const cJSON *check, const struct health_check *wanted)
{
    const cJSON *test = member(check, "Test");
    const cJSON *retries = member(check, "Retries");
    const cJSON *kind = test ? test->child : NULL;

    if (!kind || !text_equal(cJSON_GetStringValue(kind), "CMD") ||
        !rest_is(kind->next, wanted->command.items, wanted->command.count))
        return false;
    return seconds_match(check, "Interval", wanted->interval_s) && seconds_match(check, "Timeout", wanted->timeout_s) &&
           seconds_match(check, "StartPeriod", wanted->start_period_s) &&
           (cJSON_IsNumber(retries) ? retries->valueint : 0) == wanted->retries;
}

static bool health_matches(const struct comparison *comparison, char **difference)
{
    const struct health_check *wanted = &comparison->spec->health;
    const cJSON *check = member(container_config(comparison), "Healthcheck");
    bool same;

    if (wanted->command.count > 0)
        same = is_health_check(check, wanted);
    else /* none asked for: the image's own stays in force */
        same = !comparison->image ||
               arrays_equal(member(check, "Test"), member(member(comparison->image, "Healthcheck"), "Test"));
    if (!same)
        *difference = text_copy("its health check");
    return same;
}

static bool privileges_match(const struct comparison *comparison, char **difference)
{
    if (!cJSON_IsTrue(member(host_config(comparison), "Privileged")))
        return true;
    *difference = text_copy("it is privileged");
    return false;
}

bool container_matches(const struct container_spec *spec, const cJSON *container, const cJSON *image, char **difference)
{
    static bool (*const comparisons[])(const struct comparison *, char **) = {
        image_matches, entry_point_matches,    arguments_match, environment_matches, mounts_match,
        ports_match,   restart_policy_matches, health_matches,  privileges_match,
    };
    const struct comparison comparison = {.spec = spec, .container = container, .image = image};

    *difference = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++) {
        if (!comparisons[i](&comparison, difference))
            return false;
    }
    return true;
}
