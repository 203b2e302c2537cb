/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_connection.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "kubernetes/kube_error.h"

enum {
    ANSWER_MAX = 64 << 20, /* a page of a list of large objects */
    LONGEST_POLL_MS = 60 * 1000,
    CONNECT_MS = 10 * 1000,
    KEEPALIVE_S = 15, /* of silence, then a probe each five */
    KEEPALIVE_INTERVAL_S = 5,
    UNANSWERED_MS = 30 * 1000, /* sent bytes and probes, then the connection is dead */
};

struct kube_connection {
    const struct kube_config *config;
    int cancel_fd;
    char *base_url;    /* with the name that the server's certificate has */
    char *host_header; /* the host that the URL of the configuration has; NULL: that of base_url */
    char *proxy;       /* as libcurl wants it; NULL: none */
    char *connect_to;  /* libcurl's "::host:port": where the server really is; NULL: where the URL says */
    CURL *easy;
    CURLM *multi;   /* owns the kept connection, and can wait for other descriptors too */
    long untrusted; /* OpenSSL's reason to refuse the server's certificate; X509_V_OK: it did not */
    char reason[CURL_ERROR_SIZE];
};

struct exchange {
    struct kube_connection *connection;
    const struct kube_call *call;
    struct text_buffer body;
    bool stopped; /* by on_data */
    bool too_large;
};

void kube_answer_clear(struct kube_answer *answer)
{
    free(answer->body);
    *answer = (struct kube_answer){0};
}

static void global_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The certificate names somebody else than the URL: ask for that one, and connect to where the URL says. */
static void set_server_name(struct kube_connection *connection)
{
    const char *server = connection->config->server;
    const char *host = strstr(server, "://") + 3;
    size_t host_size = strcspn(host, "/");
    const char *bracket = *host == '[' ? memchr(host, ']', host_size) : NULL;
    const char *colon = memchr(bracket ? bracket : host, ':', host_size - (size_t)(bracket ? bracket - host : 0));
    size_t name_size = colon ? (size_t)(colon - host) : host_size;
    cleanup_free char *port = colon ? text_copy_n(colon + 1, host_size - name_size - 1) : text_copy("443");

    const char *wanted = connection->config->tls_server_name;
    bool is_version_6 = strchr(wanted, ':') != NULL;
    connection->base_url = text_format("%.*s%s%s%s:%s%s", (int)(host - server), server, is_version_6 ? "[" : "", wanted,
                                       is_version_6 ? "]" : "", port, host + host_size);
    connection->host_header = text_format("Host: %.*s", (int)host_size, host);
    connection->connect_to = text_format("::%.*s:%s", (int)name_size, host, port);
}

struct kube_connection *kube_connection_new(const struct kube_config *config, int cancel_fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct kube_connection *connection = NEW(struct kube_connection);

    pthread_once(&once, global_start);
    connection->config = config;
    connection->cancel_fd = cancel_fd;
    if (config->tls_server_name && text_starts_with(config->server, "https://"))
        set_server_name(connection);
    else
        connection->base_url = text_copy(config->server);
    bool is_socks = config->proxy_url && text_starts_with(config->proxy_url, "socks5://"); /* it resolves the name */
    connection->proxy =
        is_socks ? text_format("socks5h%s", strchr(config->proxy_url, ':')) : text_copy(config->proxy_url);
    connection->easy = memory_checked(curl_easy_init());
    connection->multi = memory_checked(curl_multi_init());
    curl_multi_setopt(connection->multi, CURLMOPT_MAXCONNECTS, 1L);
    return connection;
}

void kube_connection_free(struct kube_connection *connection)
{
    if (!connection)
        return;
    curl_easy_cleanup(connection->easy);
    curl_multi_cleanup(connection->multi);
    free(connection->base_url);
    free(connection->connect_to);
    free(connection->host_header);
    free(connection->proxy);
    free(connection);
}

/* libcurl's own sockets are not close-on-exec, and wait for a peer that is gone for a quarter of an hour. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    const unsigned timeout_ms = UNANSWERED_MS;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    /* Keepalive finds out about a quiet connection only: a request into a dead network would be sent again and again. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    return fd;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    const struct kube_call *call = exchange->call;
    long status = 0;

    size *= count;
    curl_easy_getinfo(exchange->connection->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->on_data && status >= 200 && status < 300) {
        exchange->stopped = call->on_data(call->context, data, size) != 0;
        return exchange->stopped ? CURL_WRITEFUNC_ERROR : size;
    }
    if (size > ANSWER_MAX - exchange->body.size) {
        exchange->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    text_buffer_append(&exchange->body, data, size);
    return size;
}

/* Returns libcurl's codes or'ed, here and below: 0 when every option was taken. */
static unsigned set_transport(struct kube_connection *connection)
{
    CURL *easy = connection->easy;
    unsigned failed = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for the resolver, which has seconds */
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* whatever https_proxy says: clusters are seldom behind it, and those that are have a proxy-url */
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, connection->proxy ? connection->proxy : "");
    failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, connection->proxy ? "" : "*");
    failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    failed |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "harmony-fleet/" FLEET_VERSION);
    failed |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, connection->reason);
    return failed | curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
}

/* `text` must stay as long as the transfer. */
static unsigned set_blob(CURL *easy, CURLoption option, const char *text)
{
    struct curl_blob blob = {.data = (void *)text, .len = text ? strlen(text) : 0, .flags = CURL_BLOB_NOCOPY};

    return text ? curl_easy_setopt(easy, option, &blob) : 0;
}

static int verify(X509_STORE_CTX *store, void *context)
{
    struct kube_connection *connection = context;
    int verified = X509_verify_cert(store);

    connection->untrusted = verified > 0 ? X509_V_OK : X509_STORE_CTX_get_error(store);
    return verified;
}

/* libcurl tells only some refusals from a connection that broke off. One it does not: a cluster that was made anew, whose
 * authority has the name of the former one, but another key. */
static CURLcode on_tls_context(CURL *easy, void *tls_context, void *context)
{
    (void)easy;
    SSL_CTX_set_cert_verify_callback(tls_context, verify, context);
    return CURLE_OK;
}

static unsigned set_tls(struct kube_connection *connection, const struct kube_identity *identity)
{
    CURL *easy = connection->easy;
    const struct kube_config *config = connection->config;
    unsigned failed = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, config->insecure_skip_tls ? 0L : 1L);

    failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config->insecure_skip_tls ? 0L : 2L);
    if (!config->insecure_skip_tls) {
        failed |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
        failed |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, connection);
    }
    failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (config->ca_data) {
        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    failed |= set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_data);
    failed |= set_blob(easy, CURLOPT_SSLCERT_BLOB, identity->certificate);
    return failed | set_blob(easy, CURLOPT_SSLKEY_BLOB, identity->key);
}

static unsigned set_identity(CURL *easy, const struct kube_identity *identity)
{
    unsigned failed = 0;

    if (identity->token) {
        failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        failed |= curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, identity->token);
    } else if (identity->user) {
        failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, identity->user);
        failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, identity->password ? identity->password : "");
    }
    return failed;
}

static unsigned set_request(struct exchange *exchange, const struct curl_slist *headers)
{
    CURL *easy = exchange->connection->easy;
    const struct kube_call *call = exchange->call;
    unsigned failed = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);

    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (call->body) {
        failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
        failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    }
    if (call->body || strcmp(call->method, "GET") != 0)
        failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    return failed;
}

static struct curl_slist *make_headers(const struct kube_connection *connection, const struct kube_call *call)
{
    static const char *const fixed[] = {
        "Expect:", /* no pause for a 100 Continue before a large body */
        "Accept: application/json",
    };
    struct curl_slist *headers = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        headers = memory_checked(curl_slist_append(headers, fixed[i]));
    if (connection->host_header)
        headers = memory_checked(curl_slist_append(headers, connection->host_header));
    if (!call->body)
        return headers;
    cleanup_free char *type =
        text_format("Content-Type: %s", call->content_type ? call->content_type : "application/json");
    return memory_checked(curl_slist_append(headers, type));
}

static int fail(const struct exchange *exchange, enum kube_error code, const char *detail, struct error *err)
{
    const struct kube_call *call = exchange->call;

    return error_set(err, &kube_error_domain, (int)code, call->operation, call->subject, "%s: %s",
                     exchange->connection->config->server, detail);
}

/* The transfer ended with `code`. */
static int explain(const struct exchange *exchange, CURLcode code, struct error *err)
{
    const struct kube_connection *connection = exchange->connection;
    const char *reason = *connection->reason ? connection->reason : curl_easy_strerror(code);

    if (code != CURLE_OK && connection->untrusted != X509_V_OK)
        return fail(exchange, KUBE_UNTRUSTED, X509_verify_cert_error_string(connection->untrusted), err);
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_WRITE_ERROR:
        if (exchange->stopped)
            return 0;
        if (exchange->too_large)
            return fail(exchange, KUBE_REFUSED, "the answer is over the limit", err);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return fail(exchange, KUBE_UNTRUSTED, reason, err);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return fail(exchange, KUBE_CONFIG, reason, err);
    default:
        break;
    }
    return fail(exchange, KUBE_UNAVAILABLE, reason, err);
}

/* Drive the transfer to its end. Returns 1 when stop_fd ended it. */
static int transfer(struct exchange *exchange, struct deadline deadline, struct error *err)
{
    CURLM *multi = exchange->connection->multi;
    struct curl_waitfd ends[] = {
        {.fd = exchange->connection->cancel_fd, .events = CURL_WAIT_POLLIN},
        {.fd = exchange->call->stop_fd, .events = CURL_WAIT_POLLIN},
    };
    unsigned count = exchange->call->stop_fd > 0 ? 2 : 1;

    for (;;) {
        int running = 0;
        int queued = 0;
        CURLMcode code = curl_multi_perform(multi, &running);
        const CURLMsg *message = curl_multi_info_read(multi, &queued);
        if (message && message->msg == CURLMSG_DONE)
            return explain(exchange, message->data.result, err);
        if (deadline_passed(deadline))
            return fail(exchange, KUBE_UNAVAILABLE, "the deadline passed", err);
        int wait_ms = deadline_poll_ms(deadline_min(deadline, deadline_in_ms(LONGEST_POLL_MS)));
        if (code == CURLM_OK)
            code = curl_multi_poll(multi, ends, count, wait_ms, NULL);
        if (code != CURLM_OK)
            return fail(exchange, KUBE_UNAVAILABLE, curl_multi_strerror(code), err);
        if (ends[0].revents)
            return fail(exchange, KUBE_UNAVAILABLE, "cancelled", err);
        if (count > 1 && ends[1].revents)
            return 1;
    }
}

/* The exchange with its request set up; the strings outlive it. */
static int run(struct exchange *exchange, const struct kube_identity *identity, const char *url,
               const struct curl_slist *headers, const struct curl_slist *connect_to, struct deadline deadline,
               struct error *err)
{
    struct kube_connection *connection = exchange->connection;
    CURL *easy = connection->easy;

    curl_easy_reset(easy); /* keeps the connection, drops every option of the former exchange */
    connection->reason[0] = '\0';
    connection->untrusted = X509_V_OK;
    unsigned failed = set_transport(connection) | set_request(exchange, headers) | set_identity(easy, identity) |
                      set_tls(connection, identity) | curl_easy_setopt(easy, CURLOPT_URL, url);
    if (connect_to)
        failed |= curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to);
    if (failed)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, exchange->call->operation,
                         exchange->call->subject, "this libcurl has no TLS with certificates from memory");
    CURLMcode code = curl_multi_add_handle(connection->multi, easy);
    if (code != CURLM_OK)
        return fail(exchange, KUBE_UNAVAILABLE, curl_multi_strerror(code), err);
    int result = transfer(exchange, deadline, err);
    curl_multi_remove_handle(connection->multi, easy); /* closes the connection of an unfinished transfer */
    return result;
}

int kube_connection_exchange(struct kube_connection *connection, const struct kube_call *call,
                             const struct kube_identity *identity, struct deadline deadline, struct kube_answer *ret,
                             struct error *err)
{
    struct exchange exchange = {.connection = connection, .call = call};
    cleanup_free char *url = text_format("%s%s", connection->base_url, call->path);
    struct curl_slist *headers = make_headers(connection, call);
    struct curl_slist *connect_to =
        connection->connect_to ? memory_checked(curl_slist_append(NULL, connection->connect_to)) : NULL;
    curl_off_t retry_after_s = 0;
    long status = 0;

    int result = run(&exchange, identity, url, headers, connect_to, deadline, err);
    curl_easy_getinfo(connection->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(connection->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
    if (result >= 0) {
        *ret = (struct kube_answer){
            .status = (int)status,
            .size = exchange.body.size,
            .retry_after_s = (long)retry_after_s,
            .stopped = exchange.stopped || result == 1,
        };
        ret->body = text_buffer_take(&exchange.body);
    }
    text_buffer_clear(&exchange.body);
    return result < 0 ? -1 : 0;
}
