/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of the score codec; not for use outside contracts/.
 *
 *   score_fields  one port, volume or variable, between its text and its struct
 *   score_decode  from JSON to structs, field by field
 *   score_check   rules that hold between containers
 *   score_encode  from structs to JSON
 */

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "contracts/score.h"

/**
 * Read "[address:]host:container[/tcp|udp]". Returns NULL, or why it was refused ("the host port is not 1 to 65535");
 * *ret is untouched then.
 */
const char *port_mapping_parse(const char *text, struct port_mapping *ret);
/** The same for "source:destination[:ro|rw]". */
const char *volume_mount_parse(const char *text, struct volume_mount *ret);
/** NULL for the name of an environment variable, else what is wrong with it. */
const char *environment_name_check(const char *name);

/** The canonical text; caller frees. */
char *port_mapping_text(const struct port_mapping *port);
char *volume_mount_text(const struct volume_mount *mount);

void port_mapping_clear(struct port_mapping *port);
void volume_mount_clear(struct volume_mount *mount);

/** Read the "data" of a PodmanV0 score into the zeroed *ret, which owns what was read on failure too. Errors: json. */
MUST_CHECK int podman_v0_take(const struct json_cursor *data, struct podman_v0 *ret, struct error *err);

/** Unique container names, unique host bindings. Errors: WIRE_MALFORMED. */
MUST_CHECK int score_check(const struct podman_v0 *podman, struct error *err);

/** The JSON of a score as it stands, readable or not. Errors: WIRE_INVALID_NAME. */
MUST_CHECK int score_build(const struct score *score, cJSON **ret, struct error *err);
