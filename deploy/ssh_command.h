/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to ssh_session: a command as the one line of text that SSH hands to the user's shell on the host.
 */

#include "base/text.h"
#include "deploy/ssh_session.h"

/** Append `word` to a command line, quoted for a POSIX shell whatever it holds. */
void ssh_quote(struct text_buffer *line, const char *word);

/**
 * `exec [sudo -n --] env … timeout … argv`. Caller frees *ret.
 * @param sudo      put sudo before it
 * @param deadline  becomes timeout(1)'s limit, a second later; DEADLINE_NEVER: no limit
 * Errors: GENERAL_INVALID (no argv, no environment), GENERAL_TOO_LARGE: Linux takes no argument beyond 128 KiB.
 */
MUST_CHECK int ssh_command_line(const struct ssh_command *command, bool sudo, struct deadline deadline, char **ret,
                                struct error *err);
