/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From nats_settings to natsOptions: what every connection of the fleet has in common.
 */

#include "messaging/connection.h"

/** nats.c's callbacks; all get `closure`. */
struct nats_callbacks {
    natsConnectionHandler disconnected;
    natsConnectionHandler reconnected;
    natsConnectionHandler closed;
    natsErrHandler error;
    natsCustomReconnectDelayHandler reconnect_delay;
    void *closure;
};

/** Defaults of the settings' zero values. */
int settings_connect_timeout_ms(const struct nats_settings *settings);
int settings_reconnect_min_ms(const struct nats_settings *settings);
int settings_reconnect_max_ms(const struct nats_settings *settings);
size_t settings_url_count(const struct nats_settings *settings);

/**
 * Options for one natsConnection_Connect. Made anew for every connection, so that credentials are fresh.
 * The caller calls natsOptions_Destroy(*ret). Errors: nats (an unusable URL, certificate, …).
 */
MUST_CHECK int nats_options_make(const struct nats_settings *settings, const struct nats_callbacks *callbacks,
                                 natsOptions **ret, struct error *err);
DEFINE_CLEANUP(natsOptions *, natsOptions_Destroy)

/** Deep copy of what a connection needs later (`credentials` and `context` stay borrowed). */
void nats_settings_copy(struct nats_settings *to, const struct nats_settings *from);
void nats_settings_clear(struct nats_settings *settings);
