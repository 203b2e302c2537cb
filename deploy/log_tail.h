/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** The last lines of a log, for an error: at most 20 lines and 4 KiB. What cannot be read is said. Caller frees. */
char *log_tail(const char *path);
