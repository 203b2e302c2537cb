/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An HTTP server whose every byte a test decides: a thread that hands each accepted connection to a function.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/http.h"
#include "base/text.h"

struct http_server;

/** One connection, in the server's thread; closed when the function returns. `number` counts from 1. */
typedef void (*http_server_serve)(void *context, struct http_server *server, int fd, int number);

/** Listen on a Unix socket in `directory`, or where that is NULL on a TCP port of the system's choice on 127.0.0.1. */
MUST_CHECK int http_server_start(const char *directory, http_server_serve serve, void *context,
                                 struct http_server **ret, struct error *err);
/** Break off the open connection, stop listening, end the thread. NULL is fine. */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free)

/** "http://127.0.0.1:PORT", or "http://server" on a Unix socket. Borrowed. */
const char *http_server_url(const struct http_server *server);
/** The Unix socket's path, NULL on TCP. Short, whatever the directory. Borrowed. */
const char *http_server_socket(const struct http_server *server);
/** Connections accepted so far. */
int http_server_connections(const struct http_server *server);
/** Listen no longer (in the server's thread): who connects now is refused. */
void http_server_stop_listening(struct http_server *server);

/** Read one whole request (head and Content-Length bytes of body) into `request`; false when the client has gone. */
bool http_server_read(int fd, struct text_buffer *request);
/** Send text; a client that has gone is fine. */
void http_server_send(int fd, const char *format, ...) PRINTF_LIKE(2, 3);
/** Send a whole reply with a Content-Length. */
void http_server_reply(int fd, int status, const char *body);
/** Wait until the client has gone (it must not send anything more). */
void http_server_wait_for_end(int fd);

/** A client of the server that takes replies of at most 1000 bytes. */
MUST_CHECK int http_server_client(const struct http_server *server, struct http_client **ret, struct error *err);
/** One exchange with a body (NULL: none) within 20 s. */
MUST_CHECK int http_simple(struct http_client *client, const char *method, const char *path, const char *body,
                           struct http_reply *ret, struct error *err);
