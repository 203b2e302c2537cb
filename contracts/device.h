/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an agent says of its device: the values of device-info, device-state and device-heartbeat.
 *
 * What comes from other programs (an error, a message, the texts of device_info) is made fit for the wire by the
 * encoders: bytes that are not UTF-8 become U+FFFD, and what is too long is cut, ending in "…". A text that is not
 * there is "" unless its comment says NULL.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/error.h"
#include "contracts/names.h"

#define DEVICE_VALUE_MAX      (256u << 10) /* bytes of any of the three values */
#define DEVICE_ERROR_MAX      2048         /* bytes of a reported error or message; the rest is cut, ending in "…" */
#define DEVICE_TEXT_MAX       255          /* bytes of any other text but an image; the rest is cut likewise */
#define DEVICE_LABELS_MAX     64
#define DEVICE_LABEL_MAX      63  /* bytes of a label's key, and of its value */
#define DEVICE_CONTAINERS_MAX 128 /* services and init containers of a deployment */

struct device_label {
    char *key;   /**< 1..63 bytes of [A-Za-z0-9._/-] */
    char *value; /**< 0..63 bytes */
};

struct device_info {
    char *device_id;
    char *agent_version;
    char *arch;                  /**< as uname(2): "x86_64", "aarch64" */
    char *os;                    /**< PRETTY_NAME of os-release */
    struct device_label *labels; /**< sorted by key */
    size_t label_count;
    struct {
        char *hostname;
        char *kernel; /**< release, as uname(2) */
        int64_t cpus;
        int64_t memory_kb;
        char *container_runtime; /**< "podman 4.3.1"; NULL while unknown or runtime_enabled = false */
    } inventory;
};
/** Errors, as for every decoder here: WIRE_TOO_LARGE, WIRE_MALFORMED (where and why). */
MUST_CHECK int device_info_decode(const char *data, size_t size, struct device_info **ret, struct error *err);
/** Errors, as for every encoder here: WIRE_MALFORMED, WIRE_TOO_LARGE: a reader would refuse it. Caller frees *ret. */
MUST_CHECK int device_info_encode(const struct device_info *info, char **ret, struct error *err);
void device_info_free(struct device_info *info);
DEFINE_CLEANUP(struct device_info *, device_info_free)

/*
 *            desired state put              containers run
 *   (none) ───────────────────▶ Pending ───────────────────▶ Running ── drift, new revision ──▶ Pending
 *                                 ▲  │ refused, pull, init     ▲
 *                    new revision │  ▼ or start failed         │
 *                               Failed ── a later attempt ─────┘
 *   any ── desired state deleted ──▶ Removing ──▶ (key deleted)
 */
enum deployment_phase { PHASE_PENDING, PHASE_RUNNING, PHASE_FAILED, PHASE_REMOVING };
/** "Pending", "Running", "Failed", "Removing". */
const char *deployment_phase_name(enum deployment_phase phase);

struct container_status {
    char *name; /**< the service's name in the score */
    char *id;   /**< podman's 64 hex digits */
    char *image;
    char *status; /**< podman's word: "running", "exited", … */
};

struct device_state {
    enum deployment_phase phase;
    uint64_t revision; /**< of the desired-state key this is about; 0 when not known */
    char *message;     /**< progress while Pending ("pulling localhost/hello-web:v2: 3 of 5 layers"), or NULL */
    char *error;       /**< why it Failed, or NULL */
    struct container_status *containers; /**< in the reporter's order */
    size_t container_count;
    char since[RFC3339_SIZE]; /**< when the phase was entered; "" when not known */
};
MUST_CHECK int device_state_decode(const char *data, size_t size, struct device_state **ret, struct error *err);
MUST_CHECK int device_state_encode(const struct device_state *state, char **ret, struct error *err);
void device_state_free(struct device_state *state);
DEFINE_CLEANUP(struct device_state *, device_state_free)

struct device_heartbeat {
    char time[RFC3339_SIZE];
    int64_t uptime_s; /**< of the agent */
    char *agent_version;
};
MUST_CHECK int device_heartbeat_decode(const char *data, size_t size, struct device_heartbeat **ret, struct error *err);
MUST_CHECK int device_heartbeat_encode(const struct device_heartbeat *heartbeat, char **ret, struct error *err);
void device_heartbeat_free(struct device_heartbeat *heartbeat);
DEFINE_CLEANUP(struct device_heartbeat *, device_heartbeat_free)
