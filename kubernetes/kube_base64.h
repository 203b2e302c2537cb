/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Base64 (RFC 4648, section 4) with libcrypto, as kubeconfig files and Secrets have it.
 */

#include <stdbool.h>
#include <stddef.h>

/** The bytes, terminated by a NUL that *size (may be NULL) does not count; white space within is fine. NULL when
 *  `text` is none. Caller frees. */
char *kube_base64_decode(const char *text, size_t *size);
/** Never NULL; caller frees. */
char *kube_base64_encode(const void *data, size_t size);
