/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP/1.1 client over libcurl: TCP or Unix socket, whole replies or streams. One client is one keep-alive connection
 * and belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/error.h"

extern const struct error_domain http_error_domain;
enum http_error {
    HTTP_UNREACHABLE = 1, /**< could not connect (nothing was sent) */
    HTTP_BROKEN,          /**< the connection or the reply broke off */
    HTTP_TIMED_OUT,
    HTTP_TOO_LARGE, /**< the reply is over the limit */
    HTTP_STOPPED,   /**< the caller's callback or cancel ended it */
};

struct http_client_options {
    const char *base_url;    /**< "http://127.0.0.1:8080", or "http://podman" with a Unix socket */
    const char *unix_socket; /**< path, or NULL */
    size_t reply_max;        /**< bytes of a whole reply; 0: 8 MiB */
    int network_namespace;   /**< open TCP sockets in this network namespace (an fd of /proc/PID/ns/net); 0: ours */
};

struct http_client;
/**
 * A client of one server; nothing is connected yet. `options` need not outlive the call.
 * Errors: general/GENERAL_INVALID for another scheme than http or too long a socket path.
 */
MUST_CHECK int http_client_new(const struct http_client_options *options, struct http_client **ret, struct error *err);
void http_client_free(struct http_client *client);
DEFINE_CLEANUP(struct http_client *, http_client_free)

/** Called with each piece of the body of a 2xx reply. Returns 0 to go on, anything else to stop (HTTP_STOPPED). */
typedef int (*http_on_data)(void *context, const char *data, size_t size);

struct http_request {
    const char *method; /**< "GET", "POST", "DELETE", "PUT" */
    const char *path;   /**< "/v4.0.0/libpod/…?query", already escaped */
    const void *body;   /**< may be NULL */
    size_t body_size;
    const char *content_type; /**< of the body; NULL: application/json */
    http_on_data on_data;     /**< stream the body of a 2xx reply here instead of collecting it; may be NULL */
    void *context;
    int idle_ms; /**< streams: HTTP_TIMED_OUT when no byte came for so long; 0: no limit */
};

struct http_reply {
    int status;
    char *body; /**< terminated; never NULL after success; owned */
    size_t size;
};
void http_reply_clear(struct http_reply *reply);
static inline void http_reply_clear_at_exit(struct http_reply *reply)
{
    http_reply_clear(reply);
}
#define cleanup_http_reply __attribute__((cleanup(http_reply_clear_at_exit)))

/**
 * One exchange. Any HTTP status is success here: read ret->status; redirects are not followed and no proxy is used. A
 * kept connection that the server has closed meanwhile is replaced by a new one without a word.
 * Errors: the codes above; general/GENERAL_INVALID for a path no URL can have.
 */
MUST_CHECK int http_exchange(struct http_client *client, const struct http_request *request, struct deadline deadline,
                             struct http_reply *ret, struct error *err);

/** End the exchange that runs in another thread (or the next one) with HTTP_STOPPED, within 100 ms. Thread-safe. */
void http_client_cancel(struct http_client *client);

/** Percent-encode for a path segment or query value. Never NULL; caller frees. */
char *http_escape(const char *text);
