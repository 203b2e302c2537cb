/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** "NAME: value" that was taken for the empty value of the line before; NULL when it is not. */
static const char *swallowed(const char *value, const char *name)
{
    size_t size = strlen(name);

    if (strncasecmp(value, name, size) != 0 || value[size] != ':')
        return NULL;
    value += size + 1;
    return value + strspn(value, " ");
}

/** Compare with all there are. */
static const char *search(natsMsg *message, const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        const char *value = NULL;
        const char *inner = NULL;

        if (natsMsgHeader_Get(message, names[i], &value) != NATS_OK)
            continue;
        if (strcasecmp(names[i], name) == 0)
            return value;
        inner = swallowed(value, name);
        if (inner)
            return inner;
    }
    return NULL;
}

const char *message_header(natsMsg *message, const char *name)
{
    const char **names = NULL;
    int count = 0;
    const char *value = NULL;
    natsStatus status = natsMsgHeader_Get(message, name, &value);

    if (status == NATS_PROTOCOL_ERROR) /* said once; then there is what could be read */
        status = natsMsgHeader_Get(message, name, &value);
    if (status == NATS_OK)
        return value;
    if (natsMsgHeader_Keys(message, &names, &count) != NATS_OK)
        return NULL;
    value = search(message, names, count, name);
    free(names);
    return value;
}
