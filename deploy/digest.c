/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

void digest_sha256(const void *data, size_t size, char ret[DIGEST_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_size = 0;

    /* Its only failures are to run out of memory and a libcrypto without SHA-256, with which no TLS would work. */
    if (EVP_Digest(data, size, digest, &digest_size, EVP_sha256(), NULL) != 1 || digest_size * 2 + 1 != DIGEST_SIZE)
        abort();
    for (unsigned int i = 0; i < digest_size; i++)
        snprintf(ret + (size_t)i * 2, 3, "%02x", digest[i]);
}
