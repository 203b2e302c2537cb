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
    const char *const *urls;               /**< NULL-terminated, at least one */
    const char *name;                      /**< connection name shown by the server, e.g. "harmony-fleet-agent pi-01" */
    const struct credentials *credentials; /**< must outlive the connection; NULL: none */
    const char
        *ca_file; /**< TLS: trusted certificates; NULL: system's. It, cert_file or a tls:// URL makes TLS a must */
    const char *cert_file; /**< client certificate, or NULL */
    const char *key_file;
    bool wait_for_server;   /**< true: return at once and go on connecting in the background, for ever */
    bool reconnect;         /**< false: a lost connection stays lost (short-lived tools) */
    int connect_timeout_ms; /**< one attempt; 0: 5000 */
    int reconnect_min_ms;   /**< first back-off; 0: 100 */
    int reconnect_max_ms;   /**< back-off ceiling; 0: 10000 */
    int ping_interval_ms;   /**< 0: 20000; a connection is given up after two unanswered */
    /** Called from the connection's own threads on every change, one call at a time; `connected` tells which. May be
     *  NULL. Must not block. */
    void (*on_change)(void *context, bool connected);
    /** Called like on_change with what failed in the background: an attempt to connect, a refused permission, a slow
     *  consumer. The same trouble can come again and again. May be NULL. */
    void (*on_trouble)(void *context, const struct error *trouble);
    void *context;
};

/** Check what can be checked without a server: the TLS files. Errors: nats. */
MUST_CHECK int nats_settings_check(const struct nats_settings *settings, struct error *err);

struct nats_connection;
/** Errors: nats (natsStatus), auth. With wait_for_server only unusable settings are errors. */
MUST_CHECK int nats_connection_open(const struct nats_settings *settings, struct nats_connection **ret,
                                    struct error *err);
/**
 * The nats.c handle, borrowed; NULL until the first connect with wait_for_server. It stays the same over reconnects,
 * but for one case: nats.c closes a connection for good when the server refuses its credentials twice in a row or
 * reports an error of the protocol. Then a new handle takes its place once connected, the generation goes up, and
 * on_change is called; subscriptions and JetStream contexts of the old handle are dead and must be made anew
 * (kv_bucket does so by itself). A replaced handle stays valid, though closed, until it is replaced once more.
 */
natsConnection *nats_connection_handle(struct nats_connection *connection);
/** 0 until the first connect, then counts handles. */
uint64_t nats_connection_generation(struct nats_connection *connection);
bool nats_connection_is_up(struct nats_connection *connection);
/** Round trip to the server (PING/PONG): everything published before has arrived. */
MUST_CHECK int nats_connection_flush(struct nats_connection *connection, struct deadline deadline, struct error *err);
/** Close for good: every call in progress on the handle ends, callbacks have ended on return. Idempotent. */
void nats_connection_close(struct nats_connection *connection);
/** Close and free; NULL is fine. */
void nats_connection_free(struct nats_connection *connection);
DEFINE_CLEANUP(struct nats_connection *, nats_connection_free)

/** Library-wide set-up and tear-down for a program's main(): arena and thread pool limits, no leaks at exit. */
void nats_library_start(void);
void nats_library_stop(void);

/** Delay before reconnect attempt `attempt` (0-based): uniform in [min/2, min(max, min*2^attempt)]. For tests. */
int64_t reconnect_delay_ms(int attempt, int min_ms, int max_ms, uint32_t random);
