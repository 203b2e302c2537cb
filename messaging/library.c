/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/connection.h"

#include <malloc.h>
#include <sys/random.h>

#include "messaging/attempt.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD; its successor, a provider, needs what is to be spared */
#include <openssl/rand.h>

#define LIBRARY_STOP_MS 500

static int random_bytes(unsigned char *buffer, int size)
{
    return getrandom(buffer, (size_t)size, 0) == size;
}

static int random_status(void)
{
    return 1;
}

/*
 * nats_Open asks OpenSSL for a few random bytes, and for that OpenSSL sets itself up whole: 250 kB of memory that an
 * agent without TLS never uses again. So the kernel gives the bytes; afterwards all is as it was, and TLS, where it is
 * used, sets OpenSSL up then.
 */
static void open_without_openssl(void)
{
    static const RAND_METHOD kernel = {.bytes = random_bytes, .pseudorand = random_bytes, .status = random_status};

    RAND_set_rand_method(&kernel);
    nats_Open(-1);
    RAND_set_rand_method(NULL);
}

void nats_library_start(void)
{
    /* One arena: threads that allocate little would each dirty pages of their own. */
    mallopt(M_ARENA_MAX, 1);
    open_without_openssl();
}

void nats_library_stop(void)
{
    /* An abandoned attempt is still inside nats.c; the process ends anyway. */
    if (connect_attempts_abandoned() == 0)
        nats_CloseAndWait(LIBRARY_STOP_MS);
}
