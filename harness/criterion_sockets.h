/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * Remove the sockets that test executables left which were killed: Criterion's runner listens on
 * /tmp/criterion_<pid>.sock and unlinks it only at an orderly end. Those of living processes and of other users stay.
 * Best effort: what cannot be removed is left to the next call.
 */
void criterion_sockets_prune(void);
