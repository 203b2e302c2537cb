/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A way out of a handshake that never ends: nats.c 3.4.1 spins for ever when the server's first PONG does not come
 * within the connect timeout (_readProto in conn.c does not look at the time-out it gets), which a frozen server or a
 * link that breaks at the wrong moment brings about. Shutting the socket down ends the loop; nats.c offers no way to
 * ask for the socket, so it is found among ours. A healthy connection of this process to the same port breaks with it and
 * reconnects: the fleet's programs have one.
 */

#include <stddef.h>
#include <stdint.h>

/** The port of a NATS URL ("nats://host:4222", "host", "tls://[::1]:1"); 4222 when it names none. */
uint16_t nats_url_port(const char *url);

/** shutdown(2) every TCP socket of this process that is connected to one of these ports. Returns how many. */
int handshakes_break(const uint16_t *ports, size_t count);
