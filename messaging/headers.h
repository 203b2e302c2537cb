/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The headers of a received message as its sender meant them. NATS compares names byte by byte, but clients and proxies
 * that treat headers as HTTP does change their case. And nats.c's parser (3.4 to 3.9: msg.c, _processKeyValue) has no
 * empty values: it takes the following line for the value instead, and fails where there is none.
 */

#include <nats/nats.h>

/**
 * The first value of header `name`, in any case; borrowed from the message. NULL when there is no such header, or an
 * empty one at the end. What stands after a line that is no header cannot be read and is not there either.
 */
const char *message_header(natsMsg *message, const char *name);
