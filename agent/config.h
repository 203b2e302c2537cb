/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * agent-config.toml. Every key, its type, default and limits: docs/agent-config.md.
 */

#include <stdbool.h>
#include <stddef.h>

#include "auth/credentials.h"
#include "base/error.h"
#include "base/text.h"
#include "contracts/device.h"

extern const struct error_domain config_error_domain;
enum config_error {
    CONFIG_SYNTAX = 1, /**< not TOML */
    CONFIG_MISSING,    /**< a required key */
    CONFIG_WRONG_TYPE,
    CONFIG_INVALID, /**< right type, unusable value */
    CONFIG_UNKNOWN_KEY,
};

struct agent_config {
    char *device_id;
    struct device_label *labels; /**< sorted by key */
    size_t label_count;
    bool runtime_enabled;  /**< default true */
    char *state_directory; /**< default /var/lib/harmony-fleet-agent */
    struct text_list nats_urls;
    char *ca_file; /**< NULL: none; same below */
    char *cert_file;
    char *key_file;
    struct credentials *credentials; /**< NULL: connect without */
    char *podman_socket;             /**< default /run/podman/podman.sock */
    int heartbeat_interval_ms;       /**< default 30000 */
    int reconcile_interval_ms;       /**< default 30000 */
};

/**
 * Load and check a whole configuration. Every error names file, line and key: "agent-config.toml:7: nats.urls: …".
 * Errors: config (above), auth/AUTH_INSECURE_FILE, system.
 */
MUST_CHECK int agent_config_load(const char *path, struct agent_config **ret, struct error *err);
/** The same from memory; `name` stands for the file in errors. Secret files are still read from disk. */
MUST_CHECK int agent_config_parse(const char *name, const char *data, size_t size, struct agent_config **ret,
                                  struct error *err);
void agent_config_free(struct agent_config *config);
DEFINE_CLEANUP(struct agent_config *, agent_config_free)
