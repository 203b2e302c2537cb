/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The custom resource Device: a device as the Kubernetes API shows it.
 */

#include <cjson/cJSON.h>

#include "contracts/device.h"
#include "kubernetes/kube_client.h"

extern const struct kube_resource fleet_devices;
extern const struct kube_resource fleet_deployments;

/** The name of a device's object: its id where that can be one, else made from it, one for each id. Caller frees. */
char *device_object_name(const char *device_id);
/** True for what can be the key and the value of a Kubernetes label, and is not the fleet's own. */
bool device_label_is_portable(const char *key, const char *value);

struct device_facts {
    const char *device_id;
    const struct device_label *labels;
    size_t label_count;
    const char *agent_version;
    const char *arch;
    const char *os;
    bool online;
    const char *last_heartbeat; /**< RFC 3339; NULL: none */
    const char *since;          /**< likewise: online or offline since then; NULL: since now */
};
/** Who these objects belong to. */
struct device_owner {
    const char *fleet;         /**< the operator's namespace */
    const char *namespace_uid; /**< Devices end with it; NULL: with nobody */
};

/** What is written by server-side apply. Freed by cJSON_Delete. */
cJSON *device_object(const struct device_facts *facts, const struct device_owner *owner);
/** A merge patch of the status. Freed by cJSON_Delete. */
cJSON *device_status_patch(const struct device_facts *facts);

/** Tells objects apart that differ in labels, owners or device id, whoever wrote them; never 0. */
uint64_t device_object_hash(const cJSON *object);
/** Tells statuses apart, whatever the time of the last heartbeat; never 0. */
uint64_t device_status_hash(const struct device_facts *facts);
/** The same of an object that is there; 0 when it has no status. */
uint64_t device_status_hash_of(const cJSON *object);

/** True for a Device of another fleet, which has a device of the same name. */
bool device_object_is_anothers(const cJSON *object, const struct device_owner *owner);
/** Since when its condition Ready is what it is; "" when it has none; borrowed. *online: what it is. */
const char *device_ready_since(const cJSON *object, bool *online);
