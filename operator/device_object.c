/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/device_object.h"

#include <ctype.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/custom_resources.h"
#include "kubernetes/kube_object.h"
#include "operator/hash.h"

#define CONDITION_READY  "Ready"
#define LABEL_PREFIX_MAX 253

const struct kube_resource fleet_devices = {FLEET_API_VERSION, "Device", "devices", false};
const struct kube_resource fleet_deployments = {FLEET_API_VERSION, "Deployment", "deployments", true};

static bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alphanumeric(char c)
{
    return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z');
}

/** RFC 1123's label of a host name. */
static bool is_dns_label(const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        if (!is_lower_alphanumeric(text[i]) && text[i] != '-')
            return false;
    }
    return size > 0 && size <= 63 && text[0] != '-' && text[size - 1] != '-';
}

char *device_object_name(const char *device_id)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    cleanup_text_buffer struct text_buffer name = {0};

    if (is_dns_label(device_id))
        return text_copy(device_id);
    for (const char *next = device_id; *next; next++) {
        char c = (char)tolower((unsigned char)*next);

        if (!is_lower_alphanumeric(c))
            c = '-';
        if (c != '-' || name.size > 0) /* a name does not begin with '-' */
            text_buffer_append(&name, &c, 1);
    }
    if (name.size == 0)
        text_buffer_add(&name, "device");
    SHA256((const unsigned char *)device_id, strlen(device_id), digest);
    text_buffer_format(&name, "-%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
    return text_buffer_take(&name);
}

/** [A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])? */
static bool is_label_word(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_alphanumeric(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
            return false;
    }
    return size > 0 && size <= 63 && is_alphanumeric(text[0]) && is_alphanumeric(text[size - 1]);
}

static bool is_label_value(const char *value)
{
    return value[0] == '\0' || is_label_word(value, strlen(value));
}

/** A DNS name: labels with '.' between them. */
static bool is_label_prefix(const char *text, size_t size)
{
    cleanup_free char *copy = text_copy_n(text, size);
    char *rest = copy;
    const char *part;

    if (size == 0 || size > LABEL_PREFIX_MAX)
        return false;
    while ((part = strsep(&rest, "."))) {
        if (!is_dns_label(part))
            return false;
    }
    return true;
}

/** Of the fleet, or of Kubernetes, which refuses or interprets them. */
static bool is_reserved(const char *prefix, size_t size)
{
    static const char *const domains[] = {FLEET_API_GROUP, "kubernetes.io", "k8s.io"};

    for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
        size_t length = strlen(domains[i]);

        if (size >= length && memcmp(prefix + size - length, domains[i], length) == 0 &&
            (size == length || prefix[size - length - 1] == '.'))
            return true;
    }
    return false;
}

bool device_label_is_portable(const char *key, const char *value)
{
    const char *slash = strchr(key, '/');
    const char *word = slash ? slash + 1 : key;
    size_t prefix = slash ? (size_t)(slash - key) : 0;

    if (slash && (!is_label_prefix(key, prefix) || is_reserved(key, prefix)))
        return false;
    return is_label_word(word, strlen(word)) && is_label_value(value);
}

static void add_owner(cJSON *metadata, const struct device_owner *owner)
{
    if (!owner->namespace_uid)
        return;
    cJSON *reference = json_add_object(json_add_array(metadata, "ownerReferences"), NULL);
    json_add_text(reference, "apiVersion", "v1");
    json_add_text(reference, "kind", "Namespace");
    json_add_text(reference, "name", owner->fleet);
    json_add_text(reference, "uid", owner->namespace_uid);
}

cJSON *device_object(const struct device_facts *facts, const struct device_owner *owner)
{
    cleanup_free char *name = device_object_name(facts->device_id);
    cJSON *object = kube_object_new(&fleet_devices, NULL, name);

    kube_set_label(object, FLEET_LABEL_FLEET, owner->fleet);
    if (is_label_value(facts->device_id))
        kube_set_label(object, FLEET_LABEL_DEVICE, facts->device_id);
    for (size_t i = 0; i < facts->label_count; i++) {
        if (device_label_is_portable(facts->labels[i].key, facts->labels[i].value))
            kube_set_label(object, facts->labels[i].key, facts->labels[i].value);
    }
    add_owner(kube_ensure(object, "metadata"), owner);
    json_add_text(kube_ensure(object, "spec"), "deviceId", facts->device_id);
    return object;
}

/** Labels, in any order. */
static uint64_t hash_labels(const cJSON *labels)
{
    const cJSON *label;
    uint64_t sum = 0;

    cJSON_ArrayForEach(label, labels)
        sum += hash_text(hash_text(HASH_INIT, label->string), cJSON_GetStringValue(label));
    return sum;
}

static uint64_t hash_owners(const cJSON *owners)
{
    const cJSON *owner;
    uint64_t sum = 0;

    cJSON_ArrayForEach(owner, owners)
        sum += hash_text(HASH_INIT, kube_text(owner, "uid", ""));
    return sum;
}

uint64_t device_object_hash(const cJSON *object)
{
    const uint64_t sums[] = {hash_labels(kube_member(object, "metadata.labels")),
                             hash_owners(kube_member(object, "metadata.ownerReferences"))};
    uint64_t hash = hash_bytes(hash_text(HASH_INIT, kube_text(object, "spec.deviceId", "")), sums, sizeof(sums));

    return hash ? hash : 1;
}

bool device_object_is_anothers(const cJSON *object, const struct device_owner *owner)
{
    const char *fleet = kube_label(object, FLEET_LABEL_FLEET);
    const cJSON *reference;

    if (!fleet || strcmp(fleet, owner->fleet) == 0)
        return false;
    cJSON_ArrayForEach(reference, kube_member(object, "metadata.ownerReferences")) {
        if (text_equal(kube_text(reference, "uid", NULL), owner->namespace_uid))
            return false; /* somebody changed the label of ours */
    }
    return true;
}

const char *device_ready_since(const cJSON *object, bool *online)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, kube_member(object, "status.conditions")) {
        const char *since = kube_text(condition, "lastTransitionTime", "");

        *online = text_equal(kube_text(condition, "status", ""), "True");
        if (text_equal(kube_text(condition, "type", ""), CONDITION_READY) && strlen(since) < RFC3339_SIZE)
            return since;
    }
    return "";
}

static uint64_t hash_status(bool online, const char *agent_version, const char *arch, const char *os)
{
    uint64_t hash = hash_text(HASH_INIT, online ? "Online" : "Offline");

    hash = hash_text(hash_text(hash_text(hash, agent_version), arch), os);
    return hash ? hash : 1;
}

uint64_t device_status_hash(const struct device_facts *facts)
{
    return hash_status(facts->online, facts->agent_version, facts->arch, facts->os);
}

uint64_t device_status_hash_of(const cJSON *object)
{
    const char *phase = kube_text(object, "status.phase", NULL);

    if (!phase)
        return 0;
    return hash_status(strcmp(phase, "Online") == 0, kube_text(object, "status.agentVersion", ""),
                       kube_text(object, "status.arch", ""), kube_text(object, "status.os", ""));
}

/** An empty text is none: Kubernetes 1.20 takes it for null and refuses it. */
static void add_or_remove(cJSON *status, const char *key, const char *text)
{
    if (text && text[0] != '\0')
        json_add_text(status, key, text);
    else
        cJSON_AddItemToObject(status, key, memory_checked(cJSON_CreateNull()));
}

cJSON *device_status_patch(const struct device_facts *facts)
{
    char now[RFC3339_SIZE];
    cJSON *patch = memory_checked(cJSON_CreateObject());
    cJSON *status = json_add_object(patch, "status");
    cJSON *condition = json_add_object(json_add_array(status, "conditions"), NULL);

    clock_rfc3339(now);
    json_add_text(status, "phase", facts->online ? "Online" : "Offline");
    json_add_text(status, "lastHeartbeat", facts->last_heartbeat);
    add_or_remove(status, "agentVersion", facts->agent_version);
    add_or_remove(status, "arch", facts->arch);
    add_or_remove(status, "os", facts->os);
    json_add_text(condition, "type", CONDITION_READY);
    json_add_text(condition, "status", facts->online ? "True" : "False");
    json_add_text(condition, "reason", facts->online ? "HeartbeatReceived" : "HeartbeatMissed");
    json_add_text(condition, "message", facts->online ? "the agent is heard" : "the agent has not been heard for long");
    json_add_text(condition, "lastTransitionTime", facts->since ? facts->since : now);
    return patch;
}
