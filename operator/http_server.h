/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small HTTP server (libmicrohttpd) for /healthz, /readyz and /metrics: GET of a path, answered with a text.
 */

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/** Answer the GET of a path: returns the HTTP status and appends the body. Called from the server's thread. */
typedef int (*http_answer)(void *context, const char *path, struct text_buffer *body);

struct http_server;
/**
 * Listen and answer, in a thread of its own.
 * @param listen  "address:port": "0.0.0.0:8080", "[::1]:8080"; port 0: any free one
 * Errors: GENERAL_INVALID (`listen`), GENERAL_FAILED (the address cannot be had).
 */
MUST_CHECK int http_server_start(const char *listen, http_answer answer, void *context, struct http_server **ret,
                                 struct error *err);
/** The port it listens on. */
uint16_t http_server_port(const struct http_server *server);
/** No call is in progress when it returns. NULL is fine. */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free)
