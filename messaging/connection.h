/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Connecting to NATS the way every program of the fleet does: several URLs, TLS files, credentials, reconnecting for
 * ever with exponential back-off and full jitter, and errors of nats.c as error objects (domain "nats", code natsStatus).
 */

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "base/deadline.h"
#include "base/error.h"

/** Codes are natsStatus values. */
extern const struct error_domain nats_error_domain;

/** Set *err from a natsStatus and nats.c's last error text. Returns -1. */
int error_set_nats(struct error *err, natsStatus status, const char *operation, const char *subject);

struct nats_settings {
    const char *const *urls; /**< NULL-terminated, at least one */
    const char *name;        /**< connection name shown by the server, e.g. "harmony-fleet-agent pi-01" */
    const struct credentials *credentials; /**< must outlive the connection; NULL: none */
    const char *ca_file;     /**< TLS: trusted certificates; NULL: system's, TLS only for tls:// URLs */
    const char *cert_file;   /**< client certificate, or NULL */
    const char *key_file;
    bool wait_for_server;    /**< true: return at once and go on connecting in the background, for ever */
    bool reconnect;          /**< false: a lost connection stays lost (short-lived tools) */
    int connect_timeout_ms;  /**< one attempt; 0: 5000 */
    int reconnect_min_ms;    /**< first back-off; 0: 100 */
    int reconnect_max_ms;    /**< back-off ceiling; 0: 10000 */
    int ping_interval_ms;    /**< 0: 20000; a connection is given up after two unanswered */
    /** Called from nats.c's threads on every change; `connected` tells which. May be NULL. Must not block. */
    void (*on_change)(void *context, bool connected);
    void *context;
};

struct nats_connection;
/** Errors: nats (natsStatus), auth. With wait_for_server only unusable settings are errors. */
MUST_CHECK int nats_connection_open(const struct nats_settings *settings, struct nats_connection **ret,
                                    struct error *err);
/** The nats.c handle, borrowed. Stays the same over reconnects. */
natsConnection *nats_connection_handle(struct nats_connection *connection);
bool nats_connection_is_up(struct nats_connection *connection);
/** Round trip to the server (PING/PONG): everything published before has arrived. */
MUST_CHECK int nats_connection_flush(struct nats_connection *connection, struct deadline deadline, struct error *err);
/** Close and free; NULL is fine. */
void nats_connection_free(struct nats_connection *connection);
DEFINE_CLEANUP(struct nats_connection *, nats_connection_free)

/** Library-wide set-up and tear-down for a program's main(): arena and thread pool limits, no leaks at exit. */
void nats_library_start(void);
void nats_library_stop(void);

/** Delay before reconnect attempt `attempt` (0-based): uniform in [min/2, min(max, min*2^attempt)]. For tests. */
int64_t reconnect_delay_ms(int attempt, int min_ms, int max_ms, uint32_t random);
