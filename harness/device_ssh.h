/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logging in to a device of a run by the ssh program: `fleet-e2e ssh DEVICE [COMMAND…]`.
 */

#include "base/error.h"
#include "base/text.h"
#include "harness/device_record.h"

/**
 * The words of the ssh command: nothing of the user's own configuration, known hosts or agent is used, the host key must
 * be the recorded one, and nobody is asked for a password.
 * @param program  path of ssh
 * @param command  words for the device, NULL-terminated; as with ssh(1), its shell gets them joined by blanks
 */
void device_ssh_arguments(const struct device_record *record, const char *program, char *const *command,
                          struct text_list *ret);

/**
 * Find the device among all runs, enter its network namespace and become ssh: returns only when that fails.
 * @return -1. Errors: as device_record_find; GENERAL_UNSUPPORTED when there is no ssh; system.
 */
int device_ssh(const char *name, char *const *command, struct error *err);
