/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The value of a desired-state key: a score, {"type":"PodmanV0","data":{…}}. Missing fields take their defaults,
 * unknown fields are ignored; a wrong type, an unknown type or an over-long value is refused. The field list, with
 * limits, defaults and examples, is docs/wire.md; tests/unit/golden pins the bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "contracts/names.h"

#define SCORE_VALUE_MAX     (1u << 20) /* bytes of a desired-state value */
#define SCORE_SERVICES_MAX  64
#define SCORE_LIST_MAX      256  /* args, env, ports, volumes of one container */
#define SCORE_TEXT_MAX      4096 /* bytes of one argument or volume */
#define SCORE_ENV_NAME_MAX  255
#define SCORE_ENV_VALUE_MAX (32u << 10)
#define SCORE_IMAGE_MAX     512

#define INIT_TIMEOUT_DEFAULT_S    300
#define INIT_TIMEOUT_MAX_S        86400
#define HEALTH_INTERVAL_DEFAULT_S 30
#define HEALTH_TIMEOUT_DEFAULT_S  30
#define HEALTH_TIME_MAX_S         86400 /* interval, timeout and start period */
#define HEALTH_RETRIES_DEFAULT    3
#define HEALTH_RETRIES_MAX        100

#define SCORE_TYPE_PODMAN_V0 "PodmanV0"

enum restart_policy { RESTART_UNLESS_STOPPED, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NO };
/** podman's words: "unless-stopped" (the default), "always", "on-failure", "no". */
const char *restart_policy_name(enum restart_policy policy);

struct environment_variable {
    char *name;
    char *value;
};

/** One published port; on the wire "[address:]host:container[/tcp|udp]". */
struct port_mapping {
    char *host_address; /**< NULL: every address */
    uint16_t host_port;
    uint16_t container_port;
    bool udp;
};

/**
 * One mount; on the wire "source:destination[:ro]". A source that starts with '/' is a bind mount, else a volume. Paths
 * are clean: no "." or "..", no "//", no '/' at the end.
 */
struct volume_mount {
    char *source;
    char *destination; /**< absolute */
    bool read_only;
};

/** Optional health check of a service, run by podman. A 0 means the default when encoding, decoding puts it in. */
struct health_check {
    struct text_list command; /**< argv run in the container; empty: no health check (and all else is 0) */
    int interval_s;           /**< default 30 */
    int timeout_s;            /**< default 30 */
    int retries;              /**< default 3 */
    int start_period_s;       /**< default 0 */
};

struct container_spec {
    char *name; /**< a token, unique in its deployment */
    char *image;
    struct text_list args;
    struct environment_variable *environment; /**< sorted by name; names are unique */
    size_t environment_count;
    struct port_mapping *ports; /**< services only */
    size_t port_count;
    struct volume_mount *volumes;
    size_t volume_count;
    enum restart_policy restart_policy; /**< services only */
    struct health_check health;         /**< services only */
    int timeout_s; /**< init containers only: whole seconds they may run; 0 encodes as the default */
};

struct podman_v0 {
    struct container_spec *services;
    size_t service_count;
    struct container_spec *init_containers; /**< run in this order to completion before any service */
    size_t init_container_count;
};

enum score_type { SCORE_PODMAN_V0 };

struct score {
    enum score_type type;
    struct podman_v0 podman;
};

/**
 * Decode a desired-state value. On failure *ret is untouched.
 * Errors: WIRE_TOO_LARGE, WIRE_MALFORMED (where and why), WIRE_UNKNOWN_TYPE (which).
 */
MUST_CHECK int score_decode(const char *data, size_t size, struct score **ret, struct error *err);
/** The canonical bytes. Errors: WIRE_INVALID_NAME, WIRE_MALFORMED, WIRE_TOO_LARGE (it would be refused by a reader). */
MUST_CHECK int score_encode(const struct score *score, char **ret, struct error *err);
void score_free(struct score *score);
DEFINE_CLEANUP(struct score *, score_free)
