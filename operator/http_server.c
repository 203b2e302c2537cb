/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define CONNECTIONS_MAX 32
#define IDLE_S          10
#define MEMORY_MAX      (16u << 10) /* of a connection */

struct http_server {
    struct MHD_Daemon *daemon;
    http_answer answer;
    void *context;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, char *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_MUST_COPY);

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version __attribute__((unused)),
                                  const char *data __attribute__((unused)),
                                  size_t *size, /* NOLINT(readability-non-const-parameter): libmicrohttpd's type */
                                  void **request __attribute__((unused)))
{
    struct http_server *server = context;
    cleanup_text_buffer struct text_buffer body = {0};

    unsigned status = MHD_HTTP_METHOD_NOT_ALLOWED;

    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 && *size == 0)
        status = (unsigned)server->answer(server->context, path, &body);
    cleanup_free char *text = text_buffer_take(&body);
    return reply(connection, status, text);
}

/** Split "address:port"; a numeric address only. */
static int parse_listen(const char *listen, struct addrinfo **ret, struct error *err)
{
    const char *colon = strrchr(listen, ':');
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};

    if (!colon || colon == listen || colon[1] == '\0')
        return error_set(err, &general_error_domain, GENERAL_INVALID, "listening on", listen, "is not address:port");
    cleanup_free char *address = text_copy_n(listen, (size_t)(colon - listen));
    size_t size = strlen(address);
    bool bracketed = address[0] == '[' && address[size - 1] == ']';
    if (bracketed)
        address[size - 1] = '\0';
    int failure = getaddrinfo(address + bracketed, colon + 1, &hints, ret);
    if (failure != 0)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "listening on", listen, "%s",
                         gai_strerror(failure));
    return 0;
}

int http_server_start(const char *listen, http_answer answer, void *context, struct http_server **ret,
                      struct error *err)
{
    struct addrinfo *address = NULL;

    if (parse_listen(listen, &address, err) < 0)
        return -1;
    struct http_server *server = NEW(struct http_server);
    server->answer = answer;
    server->context = context;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (address->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, address->ai_addr,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_END);
    int saved_errno = errno;
    freeaddrinfo(address);
    if (!server->daemon) {
        free(server);
        return error_set(err, &general_error_domain, GENERAL_FAILED, "listening on", listen, "%s",
                         strerror(saved_errno));
    }
    *ret = server;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *information = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return information ? information->port : 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
