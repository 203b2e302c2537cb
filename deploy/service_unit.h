/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A service_definition as a systemd unit: see systemd.service(5), systemd.exec(5), systemd.syntax(7).
 */

#include "deploy/linux_host.h"

/** Refuse what is no name for a service: it becomes a unit's and is handed to systemctl. Errors: GENERAL_INVALID. */
MUST_CHECK int service_name_check(const char *name, struct error *err);

/**
 * Refuse a definition no unit can express: a name that is no token, a program that is no absolute path, environment
 * that systemd would drop. Errors: GENERAL_INVALID.
 */
MUST_CHECK int service_unit_check(const struct service_definition *definition, struct error *err);
/** The text of <name>.service for a definition that was checked. Caller frees. */
char *service_unit_text(const struct service_definition *definition);
