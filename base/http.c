/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

enum {
    REPLY_MAX_DEFAULT = 8 << 20,
    LONGEST_POLL_MS = 60 * 1000,
    SHOWN_PATH_MAX = 200,
};

struct http_client {
    char *base_url;
    char *unix_socket; /* NULL: TCP */
    size_t reply_max;
    int network_namespace; /* 0: ours */
    CURL *easy;
    CURLM *multi; /* owns the kept connection; a handle of its own so that http_client_cancel can wake us */
    atomic_bool cancelled;
    int socket_errno;             /* why no socket could be opened, 0: it could */
    char reason[CURL_ERROR_SIZE]; /* libcurl's words about the last failure */
};

/* One exchange under way. */
struct exchange {
    struct http_client *client;
    const struct http_request *request;
    struct text_buffer body;
    int64_t heard_ms;        /* when the last byte came */
    enum http_error stopped; /* why our own callback ended it; 0: it did not */
};

static const char *http_code_name(int code)
{
    switch ((enum http_error)code) {
    case HTTP_UNREACHABLE:
        return "unreachable";
    case HTTP_BROKEN:
        return "broken";
    case HTTP_TIMED_OUT:
        return "timed-out";
    case HTTP_TOO_LARGE:
        return "too-large";
    case HTTP_STOPPED:
        return "stopped";
    }
    return "unknown";
}
const struct error_domain http_error_domain = {"http", http_code_name};

/* No TLS is spoken here, so OpenSSL is not set up: that saves a megabyte of private memory. */
static void global_start(void)
{
    curl_global_init(CURL_GLOBAL_NOTHING);
}

int http_client_new(const struct http_client_options *options, struct http_client **ret, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (!text_starts_with(options->base_url, "http://"))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "creating HTTP client", options->base_url,
                         "only http:// is spoken");
    if (options->unix_socket && strlen(options->unix_socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "creating HTTP client", options->unix_socket,
                         "a Unix socket's path has at most %zu bytes",
                         sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    pthread_once(&once, global_start);
    struct http_client *client = NEW(struct http_client);
    *client = (struct http_client){
        .base_url = text_copy(options->base_url),
        .unix_socket = text_copy(options->unix_socket),
        .reply_max = options->reply_max ? options->reply_max : REPLY_MAX_DEFAULT,
        .network_namespace = options->network_namespace,
        .easy = memory_checked(curl_easy_init()),
        .multi = memory_checked(curl_multi_init()),
    };
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1L);
    *ret = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->easy);
    curl_multi_cleanup(client->multi);
    free(client->base_url);
    free(client->unix_socket);
    free(client);
}

void http_reply_clear(struct http_reply *reply)
{
    free(reply->body);
    *reply = (struct http_reply){0};
}

void http_client_cancel(struct http_client *client)
{
    atomic_store(&client->cancelled, true);
    curl_multi_wakeup(client->multi);
}

/* setns(2) moves only the calling thread, and a socket stays in the namespace it was opened in. -1 with errno. */
static int socket_in_namespace(int namespace, const struct curl_sockaddr *address)
{
    cleanup_close int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (home < 0 || setns(namespace, CLONE_NEWNET) < 0)
        return -1;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    int saved_errno = errno;
    if (setns(home, CLONE_NEWNET) < 0)
        abort(); /* a thread lost in another network would go on to talk to the wrong hosts */
    errno = saved_errno;
    return fd;
}

/* libcurl's own sockets are not close-on-exec, and know of no namespace. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *client = context;
    int fd;

    (void)purpose;
    if (client->network_namespace > 0 && address->family != AF_UNIX)
        fd = socket_in_namespace(client->network_namespace, address);
    else
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    client->socket_errno = fd < 0 ? errno : 0;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

// NOLINTNEXTLINE(readability-non-const-parameter): libcurl's type of a header callback
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;

    (void)data;
    exchange->heard_ms = clock_monotonic_ms();
    return size * count;
}

static bool is_success(const struct exchange *exchange)
{
    long status = 0;

    curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    const struct http_request *request = exchange->request;

    size *= count;
    exchange->heard_ms = clock_monotonic_ms();
    if (request->on_data && is_success(exchange)) {
        if (request->on_data(request->context, data, size) == 0)
            return size;
        exchange->stopped = HTTP_STOPPED;
        return CURL_WRITEFUNC_ERROR;
    }
    if (size > exchange->client->reply_max - exchange->body.size) {
        exchange->stopped = HTTP_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    text_buffer_append(&exchange->body, data, size);
    return size;
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *header)
{
    return memory_checked(curl_slist_append(headers, header));
}

static struct curl_slist *make_headers(const struct http_request *request)
{
    struct curl_slist *headers = add_header(NULL, "Expect:"); /* no pause for a 100 Continue before a large body */

    if (request->body) {
        cleanup_free char *type =
            text_format("Content-Type: %s", request->content_type ? request->content_type : "application/json");
        headers = add_header(headers, type);
    } else {
        headers = add_header(headers, "Content-Type:");
    }
    return headers;
}

/* What to ask for. Returns libcurl's codes or'ed: 0 when all were taken. */
static unsigned set_request(CURL *easy, const struct http_request *request, const struct curl_slist *headers)
{
    unsigned failed = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);

    if (strcmp(request->method, "GET") == 0 && !request->body)
        return failed;
    if (strcmp(request->method, "HEAD") == 0)
        return failed | curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (request->body || strcmp(request->method, "DELETE") != 0) {
        failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    return failed | curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static unsigned set_transport(struct http_client *client)
{
    CURL *easy = client->easy;
    unsigned failed = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for the resolver, which has seconds */
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever http_proxy says */
    failed |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "harmony-fleet/" FLEET_VERSION);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->reason);
    failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    if (client->unix_socket)
        failed |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->unix_socket);
    return failed;
}

static unsigned set_callbacks(struct exchange *exchange)
{
    CURL *easy = exchange->client->easy;
    unsigned failed = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);

    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    return failed | curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
}

/* "GET /run/podman.sock /v4.0.0/libpod/info", for errors. Caller frees. */
static char *describe(const struct exchange *exchange)
{
    const struct http_client *client = exchange->client;

    return text_format("%s %s%s%.*s", exchange->request->method,
                       client->unix_socket ? client->unix_socket : client->base_url, client->unix_socket ? " " : "",
                       SHOWN_PATH_MAX, exchange->request->path);
}

static int fail(const struct exchange *exchange, enum http_error code, const char *detail, struct error *err)
{
    cleanup_free char *subject = describe(exchange);

    return error_set(err, &http_error_domain, (int)code, "requesting", subject, "%s", detail);
}

/* The transfer ended with `code`. */
static int explain(const struct exchange *exchange, CURLcode code, struct error *err)
{
    struct http_client *client = exchange->client;
    const char *reason = *client->reason ? client->reason : curl_easy_strerror(code);
    long sent = 0;

    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_WRITE_ERROR:
        if (exchange->stopped == HTTP_TOO_LARGE)
            return fail(exchange, HTTP_TOO_LARGE, "the reply is over the limit", err);
        if (exchange->stopped)
            return fail(exchange, exchange->stopped, "stopped by its reader", err);
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        if (client->socket_errno)
            reason = strerrordesc_np(client->socket_errno);
        /* A kept connection that broke off is tried again on a new one, so something may have been sent before. */
        curl_easy_getinfo(client->easy, CURLINFO_REQUEST_SIZE, &sent);
        return fail(exchange, sent > 0 ? HTTP_BROKEN : HTTP_UNREACHABLE, reason, err);
    case CURLE_OPERATION_TIMEDOUT:
        return fail(exchange, HTTP_TIMED_OUT, reason, err);
    case CURLE_URL_MALFORMAT: {
        cleanup_free char *subject = describe(exchange);
        return error_set(err, &general_error_domain, GENERAL_INVALID, "requesting", subject, "%s", reason);
    }
    default:
        break;
    }
    return fail(exchange, HTTP_BROKEN, reason, err);
}

/* When we stop waiting for the next byte. */
static struct deadline idle_deadline(const struct exchange *exchange)
{
    if (exchange->request->idle_ms <= 0)
        return DEADLINE_NEVER;
    return (struct deadline){exchange->heard_ms + exchange->request->idle_ms};
}

/* Still allowed to go on? */
static int check_limits(const struct exchange *exchange, struct deadline deadline, struct error *err)
{
    if (atomic_exchange(&exchange->client->cancelled, false))
        return fail(exchange, HTTP_STOPPED, "cancelled", err);
    if (deadline_passed(deadline))
        return fail(exchange, HTTP_TIMED_OUT, "the deadline passed", err);
    if (deadline_passed(idle_deadline(exchange))) {
        cleanup_free char *detail = text_format("nothing came for %d ms", exchange->request->idle_ms);
        return fail(exchange, HTTP_TIMED_OUT, detail, err);
    }
    return 0;
}

/* Drive the transfer, which has been added to the multi handle, to its end. */
static int transfer(struct exchange *exchange, struct deadline deadline, struct error *err)
{
    CURLM *multi = exchange->client->multi;

    for (;;) {
        int running = 0;
        int queued = 0;
        if (check_limits(exchange, deadline, err) < 0)
            return -1;
        CURLMcode code = curl_multi_perform(multi, &running);
        const CURLMsg *message = curl_multi_info_read(multi, &queued);
        if (message && message->msg == CURLMSG_DONE)
            return explain(exchange, message->data.result, err);
        int wait_ms = deadline_poll_ms(
            deadline_min(deadline_min(deadline, idle_deadline(exchange)), deadline_in_ms(LONGEST_POLL_MS)));
        if (code == CURLM_OK)
            code = curl_multi_poll(multi, NULL, 0, wait_ms, NULL);
        if (code != CURLM_OK)
            return fail(exchange, HTTP_BROKEN, curl_multi_strerror(code), err);
    }
}

static void take_reply(struct exchange *exchange, struct http_reply *ret)
{
    long status = 0;

    curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    ret->status = (int)status;
    ret->size = exchange->body.size;
    ret->body = text_buffer_take(&exchange->body);
}

/* The exchange with its request set up; `url` and `headers` outlive it. */
static int run(struct exchange *exchange, const char *url, const struct curl_slist *headers, struct deadline deadline,
               struct error *err)
{
    struct http_client *client = exchange->client;

    curl_easy_reset(client->easy); /* keeps the connection, drops every option of the former exchange */
    client->reason[0] = '\0';
    client->socket_errno = 0;
    if (curl_easy_setopt(client->easy, CURLOPT_URL, url) | set_transport(client) | set_callbacks(exchange) |
        set_request(client->easy, exchange->request, headers))
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "requesting", url,
                         "libcurl refused an option");
    CURLMcode code = curl_multi_add_handle(client->multi, client->easy);
    if (code != CURLM_OK)
        return fail(exchange, HTTP_BROKEN, curl_multi_strerror(code), err);
    int result = transfer(exchange, deadline, err);
    curl_multi_remove_handle(client->multi, client->easy); /* closes the connection of an unfinished transfer */
    return result;
}

int http_exchange(struct http_client *client, const struct http_request *request, struct deadline deadline,
                  struct http_reply *ret, struct error *err)
{
    struct exchange exchange = {.client = client, .request = request, .heard_ms = clock_monotonic_ms()};
    cleanup_free char *url = text_format("%s%s", client->base_url, request->path);
    struct curl_slist *headers = make_headers(request);

    int result = run(&exchange, url, headers, deadline, err);
    if (result == 0)
        take_reply(&exchange, ret);
    curl_slist_free_all(headers);
    text_buffer_clear(&exchange.body);
    return result;
}

char *http_escape(const char *text)
{
    static const char unreserved[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"; /* RFC 3986 */
    struct text_buffer escaped = {0};

    for (; *text; text++) {
        if (strchr(unreserved, *text))
            text_buffer_append(&escaped, text, 1);
        else
            text_buffer_format(&escaped, "%%%02X", (unsigned)(unsigned char)*text);
    }
    return text_buffer_take(&escaped);
}
