/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/**
 * Read a whole file; the data is terminated with a NUL that `*size` does not count. Caller frees *data.
 * Errors: system (errno), general/GENERAL_TOO_LARGE beyond `max` bytes.
 */
MUST_CHECK int file_read(const char *path, size_t max, char **data, size_t *size, struct error *err);

/** Replace `path` atomically and durably: temporary file beside it, fsync, rename, fsync of the directory. */
MUST_CHECK int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, struct error *err);

/** write(2) until all is written. Returns 0, or -1 with errno. */
MUST_CHECK int file_write_all(int fd, const void *data, size_t size);

/** True if anything stands at `path`. */
bool file_exists(const char *path);
/** unlink(2) where a missing file is fine. */
MUST_CHECK int file_remove(const char *path, struct error *err);

/** mkdir -p with this mode for what is made. */
MUST_CHECK int directory_create(const char *path, mode_t mode, struct error *err);
/** rm -rf that stays on one file system and follows no link; a missing path is fine. */
MUST_CHECK int directory_remove(const char *path, struct error *err);

/** Call `visit` for every entry but "." and ".."; it returns 0 to go on, -1 with *err set to stop. */
typedef int (*directory_visit)(void *context, const char *name, struct error *err);
MUST_CHECK int directory_each(const char *path, directory_visit visit, void *context, struct error *err);
