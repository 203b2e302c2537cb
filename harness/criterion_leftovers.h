/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * Remove what test executables left that were killed: Criterion's runner listens on /tmp/criterion_<pid>.sock, its
 * sandbox shares /dev/shm/bxfi_<pid>, and both are unlinked only at an orderly end. What belongs to living processes or
 * to other users stays. Best effort: what cannot be removed is left to the next call.
 */
void criterion_leftovers_prune(void);
