/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The custom resource definitions of the fleet, with structural schemas of the known fields. What the schema lets pass
 * and what it refuses:
 *
 *   wrong types, and values over the limits of docs/wire.md   refused by the API server, which names the field
 *   missing fields, unknown score types, clashing ports, …    let in; the operator's condition Accepted names the field,
 *                                                             in the words of contracts/score.h, which judges them all
 *   unknown fields of score.data                              kept: they may be of another version's
 *
 * Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */

#include "contracts/custom_resources.h"
#include "contracts/device.h"
#include "contracts/score.h"
#include "deploy/kubernetes_manifest.h"
#include "deploy/operator_score.h"

#define TOKEN_PATTERN "^[A-Za-z0-9_-]{1,63}$"
#define LABEL_MAX     63 /* bytes of a label's value, and of its key's name part */

/* The fields below it are not shown by "kubectl explain" before 1.27: OpenAPI v2 cannot say that there may be others. */
#define DATA_DESCRIPTION                                                                                               \
    "Of a PodmanV0; required. services: a list of {name, image, args, ports, env, volumes, restart_policy, health "    \
    "{command, interval_s, timeout_s, retries, start_period_s}}; init_containers: a list of {name, image, args, env, " \
    "volumes, timeout}. Names are unique over both lists."

/* JSON is laid out as JSON, not as if it were C. */
/* clang-format off */

/** A list of strings, each of at most `length` bytes (the schema counts characters: never more than there are bytes). */
static cJSON *text_list_schema(const char *description, int count, int length)
{
    return kube_json(JSON_TEXT({
        "type": "array", "nullable": true, "description": "%s", "maxItems": %d,
        "items": {"type": "string", "maxLength": %d}
    }), description, count, length);
}

/** What services and init containers have in common; further properties are added by the callers. */
static cJSON *container_schema(const char *description)
{
    cJSON *schema = kube_json(JSON_TEXT({
        "type": "object", "description": "%s", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": {
                "type": "string", "description": "Unique in its deployment; required.", "maxLength": %d, "pattern": "%s"
            },
            "image": {
                "type": "string", "maxLength": %u, "description": "Of the container, as podman pulls it; required."
            },
            "env": {
                "x-kubernetes-preserve-unknown-fields": true, "nullable": true,
                "description": "Environment: an object of strings, or a list of NAME=value; at most 256."
            }
        }
    }), description, TOKEN_MAX, TOKEN_PATTERN, SCORE_IMAGE_MAX);
    cJSON *properties = kube_ensure(schema, "properties");

    cJSON_AddItemToObject(
        properties, "args",
        text_list_schema("Arguments, instead of the image's command.", SCORE_LIST_MAX, SCORE_TEXT_MAX));
    cJSON_AddItemToObject(
        properties, "volumes",
        text_list_schema("source:destination[:ro|rw]; a source that begins with / is a path of the device, any other "
                         "the name of a volume.",
                         SCORE_LIST_MAX, SCORE_TEXT_MAX));
    return schema;
}

static cJSON *health_schema(void)
{
    cJSON *schema = kube_json(JSON_TEXT({
        "type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true,
        "description": "Health check, run by podman.",
        "properties": {
            "interval_s": {
                "type": "integer", "format": "int32", "minimum": 1, "maximum": %d, "nullable": true,
                "description": "Seconds between two checks; %d if not given."
            },
            "timeout_s": {
                "type": "integer", "format": "int32", "minimum": 1, "maximum": %d, "nullable": true,
                "description": "Seconds a check may take; %d if not given."
            },
            "retries": {
                "type": "integer", "format": "int32", "minimum": 1, "maximum": %d, "nullable": true,
                "description": "Failures in a row that make it unhealthy; %d if not given."
            },
            "start_period_s": {
                "type": "integer", "format": "int32", "minimum": 0, "maximum": %d, "nullable": true,
                "description": "Seconds in which failures do not count; 0 if not given."
            }
        }
    }), HEALTH_TIME_MAX_S, HEALTH_INTERVAL_DEFAULT_S, HEALTH_TIME_MAX_S, HEALTH_TIMEOUT_DEFAULT_S, HEALTH_RETRIES_MAX,
        HEALTH_RETRIES_DEFAULT, HEALTH_TIME_MAX_S);

    cJSON_AddItemToObject(
        kube_ensure(schema, "properties"), "command",
        text_list_schema("Program and arguments, run in the container without a shell; no check if empty.",
                         SCORE_LIST_MAX, SCORE_TEXT_MAX));
    return schema;
}

static cJSON *service_schema(void)
{
    cJSON *schema = container_schema("A container that keeps running.");
    cJSON *properties = kube_ensure(schema, "properties");

    cJSON_AddItemToObject(properties, "ports",
                          text_list_schema("What is published: [address:]host:container[/tcp|udp]; on every address "
                                           "if none is given.", SCORE_LIST_MAX, SCORE_TEXT_MAX));
    /* Not an enum, which would refuse null: on the wire that is the same as a missing field. */
    cJSON_AddItemToObject(properties, "restart_policy", kube_json(JSON_TEXT({
        "type": "string", "nullable": true, "description": "When podman starts it again; %s if not given.",
        "pattern": "^(%s|%s|%s|%s)$"
    }), restart_policy_name(RESTART_UNLESS_STOPPED), restart_policy_name(RESTART_UNLESS_STOPPED),
        restart_policy_name(RESTART_ALWAYS), restart_policy_name(RESTART_ON_FAILURE),
        restart_policy_name(RESTART_NO)));
    cJSON_AddItemToObject(properties, "health", health_schema());
    return schema;
}

static cJSON *init_container_schema(void)
{
    cJSON *schema = container_schema("A container that runs to its end before any service is started.");

    cJSON_AddItemToObject(kube_ensure(schema, "properties"), "timeout", kube_json(JSON_TEXT({
        "type": "integer", "format": "int32", "minimum": 1, "maximum": %d, "nullable": true,
        "description": "Whole seconds it may run; %d if not given."
    }), INIT_TIMEOUT_MAX_S, INIT_TIMEOUT_DEFAULT_S));
    return schema;
}

static cJSON *score_schema(void)
{
    cJSON *schema = kube_json(JSON_TEXT({
        "type": "object", "description": "What runs on each device it is for: the value of its desired-state key.",
        "properties": {
            "type": {"type": "string", "minLength": 1, "maxLength": 63, "description": "Kind of score: %s."},
            "data": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "description": "%s",
                "properties": {
                    "services": {
                        "type": "array", "maxItems": %d, "nullable": true,
                        "description": "Containers that keep running."
                    },
                    "init_containers": {
                        "type": "array", "maxItems": %d, "nullable": true,
                        "description": "Run in this order, each to its end, before any service."
                    }
                }
            }
        }
    }), SCORE_TYPE_PODMAN_V0, DATA_DESCRIPTION, SCORE_SERVICES_MAX, SCORE_SERVICES_MAX);

    cJSON_AddItemToObject(kube_ensure(schema, "properties.data.properties.services"), "items", service_schema());
    cJSON_AddItemToObject(kube_ensure(schema, "properties.data.properties.init_containers"), "items",
                          init_container_schema());
    return schema;
}

static cJSON *selector_schema(void)
{
    return kube_json(JSON_TEXT({
        "type": "object",
        "description": "Which devices, by the labels of their configuration. {} is every one; none if it is absent.",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": %d, "nullable": true,
                "description": "Labels a device must have, with these values.",
                "additionalProperties": {"type": "string", "maxLength": %d}
            },
            "matchExpressions": {
                "type": "array", "maxItems": %d, "nullable": true,
                "description": "Further conditions; all must hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "minLength": 1, "maxLength": %d, "description": "Of a label."},
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label is compared; NotIn also holds where it is absent."
                        },
                        "values": {
                            "type": "array", "maxItems": %d, "nullable": true, "description": "For In and NotIn.",
                            "items": {"type": "string", "maxLength": %d}
                        }
                    }
                }
            }
        }
    }), DEVICE_LABELS_MAX, LABEL_MAX, DEVICE_LABELS_MAX, DEVICE_LABEL_MAX, SCORE_LIST_MAX, LABEL_MAX);
}

/** Source: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition */
static cJSON *conditions_schema(const char *description)
{
    cJSON *schema = kube_json("%s", JSON_TEXT({
        "type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "Which condition."},
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."
                },
                "reason": {"type": "string", "maxLength": 1024, "description": "Why, as a word for programs."},
                "message": {"type": "string", "maxLength": 32768, "description": "Why, for people."},
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "Of the specification it is about."
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "When status last became another one."
                }
            }
        }
    }));

    json_add_text(schema, "description", description);
    return schema;
}

static cJSON *deployment_status_schema(void)
{
    cJSON *schema = kube_json(JSON_TEXT({
        "type": "object", "description": "How far it has come, written by the operator.",
        "properties": {
            "observedGeneration": {
                "type": "integer", "format": "int64", "minimum": 0,
                "description": "Of the specification this status is about."
            },
            "aggregate": {
                "type": "object", "description": "How the devices it is for are doing.",
                "properties": {
                    "matched": {
                        "type": "integer", "format": "int64", "minimum": 0,
                        "description": "Devices the selector finds: the sum of the three below."
                    },
                    "pending": {
                        "type": "integer", "format": "int64", "minimum": 0,
                        "description": "Those that are on their way to what is wanted now."
                    },
                    "succeeded": {
                        "type": "integer", "format": "int64", "minimum": 0,
                        "description": "Those on which it runs as wanted."
                    },
                    "failed": {
                        "type": "integer", "format": "int64", "minimum": 0,
                        "description": "Those on which it does not; they go on trying."
                    },
                    "lastError": {
                        "type": "object", "nullable": true, "description": "The newest failure.",
                        "properties": {
                            "device": {"type": "string", "maxLength": %d, "description": "Id of the device."},
                            "message": {"type": "string", "maxLength": %d, "description": "In the device's words."},
                            "time": {
                                "type": "string", "format": "date-time", "description": "Since when, as it reports."
                            }
                        }
                    }
                }
            }
        }
    }), TOKEN_MAX, DEVICE_ERROR_MAX);

    cJSON_AddItemToObject(kube_ensure(schema, "properties"), "conditions",
                          conditions_schema("Accepted: it can be used, else the message names the field. Progressing: "
                                            "devices are pending. Available: it runs on all it is for."));
    return schema;
}

static cJSON *deployment_schema(void)
{
    cJSON *schema = kube_json("%s", JSON_TEXT({
        "type": "object", "description": "What runs on the devices a selector finds.",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object", "description": "What is to run, and where.",
                "properties": {
                    "rollout": {
                        "type": "object", "nullable": true,
                        "description": "How a change reaches the devices.",
                        "properties": {
                            "strategy": {
                                "type": "string",
                                "enum": ["Immediate"],
                                "default": "Immediate", "description": "Immediate: every device at once."
                            }
                        }
                    }
                }
            }
        }
    }));
    cJSON *properties = kube_ensure(schema, "properties.spec.properties");

    cJSON_AddItemToObject(properties, "targetSelector", selector_schema());
    cJSON_AddItemToObject(properties, "score", score_schema());
    cJSON_AddItemToObject(kube_ensure(schema, "properties"), "status", deployment_status_schema());
    return schema;
}

static cJSON *device_schema(void)
{
    cJSON *schema = kube_json(JSON_TEXT({
        "type": "object",
        "description": "A device of a fleet, made by the operator once its agent has been heard of.",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object", "description": "Which device it is.",
                "required": ["deviceId"],
                "properties": {
                    "deviceId": {
                        "type": "string", "maxLength": %d, "pattern": "%s",
                        "description": "As on the wire; the object's name may differ from it."
                    }
                }
            },
            "status": {
                "type": "object", "description": "What its agent reported, written by the operator.",
                "properties": {
                    "phase": {
                        "type": "string", "enum": ["Online", "Offline"],
                        "description": "Offline: no heartbeat for longer than the operator waits for one."
                    },
                    "lastHeartbeat": {
                        "type": "string", "format": "date-time", "description": "At the last change of the phase."
                    },
                    "agentVersion": {"type": "string", "maxLength": %d, "description": "Of harmony-fleet-agent."},
                    "arch": {"type": "string", "maxLength": %d, "description": "Of its processor."},
                    "os": {"type": "string", "maxLength": %d, "description": "Its operating system."}
                }
            }
        }
    }), TOKEN_MAX, TOKEN_PATTERN, DEVICE_TEXT_MAX, DEVICE_TEXT_MAX, DEVICE_TEXT_MAX);

    cJSON_AddItemToObject(kube_ensure(schema, "properties.status.properties"), "conditions",
                          conditions_schema("Ready: a heartbeat came within the time the operator waits for one."));
    return schema;
}

/** A definition of one version, with the subresource status. `columns` is a JSON array. */
static cJSON *definition(const char *kind, const char *plural, const char *singular, const char *short_name,
                         const char *scope, const char *columns, cJSON *schema)
{
    cJSON *object = kube_json(JSON_TEXT({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "%s.%s"},
        "spec": {
            "group": "%s", "scope": "%s",
            "names": {"kind": "%s", "listKind": "%sList", "plural": "%s", "singular": "%s", "shortNames": ["%s"]},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": %s,
                "schema": {}
            }]
        }
    }), plural, FLEET_API_GROUP, FLEET_API_GROUP, scope, kind, kind, plural, singular, short_name, columns);
    cJSON *version = cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "spec"), "versions"), 0);

    cJSON_AddItemToObject(kube_ensure(version, "schema"), "openAPIV3Schema", schema);
    return object;
}

cJSON *fleet_custom_resource_definitions(void)
{
    cJSON *definitions = cJSON_CreateArray();

    cJSON_AddItemToArray(definitions, definition("Deployment", "deployments", "deployment", "fdep", "Namespaced", JSON_TEXT([
        {"name": "Matched", "type": "integer", "jsonPath": ".status.aggregate.matched"},
        {"name": "Succeeded", "type": "integer", "jsonPath": ".status.aggregate.succeeded"},
        {"name": "Pending", "type": "integer", "jsonPath": ".status.aggregate.pending"},
        {"name": "Failed", "type": "integer", "jsonPath": ".status.aggregate.failed"},
        {"name": "Accepted", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].status"},
        {"name": "Error", "type": "string", "priority": 1, "jsonPath": ".status.aggregate.lastError.message"},
        {
            "name": "Message", "type": "string", "priority": 1,
            "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].message"
        },
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    ]), deployment_schema()));
    cJSON_AddItemToArray(definitions, definition("Device", "devices", "device", "fdev", "Cluster", JSON_TEXT([
        {"name": "Device", "type": "string", "jsonPath": ".spec.deviceId"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Agent", "type": "string", "jsonPath": ".status.agentVersion"},
        {"name": "Arch", "type": "string", "jsonPath": ".status.arch"},
        {
            "name": "Fleet", "type": "string", "priority": 1,
            "jsonPath": ".metadata.labels.fleet\\.harmony\\.io/fleet"
        },
        {"name": "Heartbeat", "type": "date", "priority": 1, "jsonPath": ".status.lastHeartbeat"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    ]), device_schema()));
    return definitions;
}
/* clang-format on */
