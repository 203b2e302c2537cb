/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a program proves who it is to NATS. A secret lives in a file that only its owner may read; anything wider is
 * refused.
 */

#include "base/error.h"

extern const struct error_domain auth_error_domain;
enum auth_error {
    AUTH_INSECURE_FILE = 1, /**< a secret's file that group or others may read */
    AUTH_INVALID,           /**< credentials that cannot be used */
};

enum credential_type {
    CREDENTIAL_NONE,
    CREDENTIAL_USER_PASSWORD, /**< "toml-shared": user and password, the password from a file */
};

struct credentials {
    enum credential_type type;
    char *user;
    char *password;
};

/** Errors: AUTH_INVALID (empty or over 256 bytes, control characters). Caller frees *ret. */
MUST_CHECK int credentials_user_password(const char *user, const char *password, struct credentials **ret,
                                         struct error *err);
void credentials_free(struct credentials *credentials);
DEFINE_CLEANUP(struct credentials *, credentials_free)

/**
 * Read a secret: first line of a regular file not accessible to group or others and owned by us or root.
 * Errors: AUTH_INSECURE_FILE (names the file, its mode and the chmod that mends it), system. Caller frees *ret.
 */
MUST_CHECK int secret_read(const char *path, char **ret, struct error *err);
/** Only check that `path` is such a file (a TLS key that a library will read itself). Errors: as secret_read. */
MUST_CHECK int secret_check(const char *path, struct error *err);
