/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"

DEFINE_CLEANUP(EVP_ENCODE_CTX *, EVP_ENCODE_CTX_free)

char *kube_base64_decode(const char *text, size_t *size)
{
    CLEANUP(EVP_ENCODE_CTX_free) EVP_ENCODE_CTX *context = memory_checked(EVP_ENCODE_CTX_new());
    size_t length = strlen(text);
    int head = 0;
    int tail = 0;

    if (length > INT_MAX / 2)
        return NULL;
    cleanup_free char *data = memory_new(length + 4, 1);
    EVP_DecodeInit(context);
    if (EVP_DecodeUpdate(context, (unsigned char *)data, &head, (const unsigned char *)text, (int)length) < 0 ||
        EVP_DecodeFinal(context, (unsigned char *)data + head, &tail) < 0)
        return NULL;
    data[head + tail] = '\0';
    if (size)
        *size = (size_t)head + (size_t)tail;
    return TAKE_PTR(data);
}

char *kube_base64_encode(const void *data, size_t size)
{
    char *text = memory_new((size + 2) / 3 * 4 + 1, 1);

    EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    return text;
}
