/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_nats.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#define START_MS 10000
#define STOP_MS  5000

struct test_nats {
    char *program;
    char *directory;
    char *device_password;
    char *url;
    int port;
    struct process *process;
};

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int test_free_port(int *ret, struct error *err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return error_set_errno(err, errno, "finding a free port", NULL);
    *ret = ntohs(address.sin_port);
    return 0;
}

static int write_config(const struct test_nats *nats, struct error *err)
{
    cleanup_free char *path = text_format("%s/nats.conf", nats->directory);
    cleanup_free char *text =
        text_format("listen: \"127.0.0.1:%d\"\n"
                    "max_payload: 4194304\n"
                    "jetstream { store_dir: \"%s/store\" }\n"
                    "authorization { users: [\n"
                    "  { user: %s, password: \"%s\" }\n"
                    "  { user: %s, password: \"%s\" }\n"
                    "  { user: %s, password: \"%s\", permissions: {\n"
                    "      publish: { deny: \"$JS.API.STREAM.CREATE.>\" } } }\n"
                    "] }\n",
                    nats->port, nats->directory, TEST_ADMIN_USER, TEST_ADMIN_PASSWORD, TEST_DEVICE_USER,
                    nats->device_password, TEST_BOUND_USER, TEST_BOUND_PASSWORD);

    return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int accepts(void *context, struct text_buffer *state __attribute__((unused)),
                   struct error *err __attribute__((unused)))
{
    const struct test_nats *nats = context;
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(nats->port);

    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static int start(struct test_nats *nats, struct error *err)
{
    cleanup_free char *config = text_format("%s/nats.conf", nats->directory);
    cleanup_free char *log = text_format("%s/nats.log", nats->directory);
    const char *const argv[] = {nats->program, "-c", config, NULL};
    struct process_options options = {.argv = argv, .log_path = log, .die_with_parent = true};

    if (write_config(nats, err) < 0 || process_start(&options, &nats->process, err) < 0)
        return -1;
    return wait_until("nats-server to listen", accepts, nats, NULL, deadline_in_ms(START_MS), err);
}

int test_nats_start(struct test_context *test, struct test_nats **ret, struct error *err)
{
    CLEANUP(test_nats_free) struct test_nats *nats = NEW(struct test_nats);

    if (nats_server_find(&nats->program, err) < 0 || test_free_port(&nats->port, err) < 0)
        return -1;
    nats->directory = text_format("%s/nats", test->artefacts);
    nats->device_password = text_copy(TEST_DEVICE_PASSWORD);
    nats->url = text_format("nats://127.0.0.1:%d", nats->port);
    if (directory_create(nats->directory, 0700, err) < 0 || start(nats, err) < 0)
        return -1;
    *ret = TAKE_PTR(nats);
    return 0;
}

int test_nats_signal(struct test_nats *nats, int signal, struct error *err)
{
    if (signal != SIGKILL && signal != SIGTERM)
        return process_signal(nats->process, signal, err);
    if (process_stop(nats->process, signal, deadline_in_ms(STOP_MS), NULL, err) < 0)
        return -1;
    process_free(TAKE_PTR(nats->process));
    return 0;
}

int test_nats_restart(struct test_nats *nats, const char *device_password, struct error *err)
{
    if (nats->process && test_nats_signal(nats, SIGKILL, err) < 0)
        return -1;
    if (device_password) {
        free(nats->device_password);
        nats->device_password = text_copy(device_password);
    }
    return start(nats, err);
}

int test_nats_dial(const struct test_nats *nats, int *fd, struct error *err)
{
    cleanup_close int dialled = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(nats->port);

    if (dialled < 0 || connect(dialled, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, errno, "connecting to", nats->url);
    *fd = TAKE_FD(dialled);
    return 0;
}

const char *test_nats_url(const struct test_nats *nats)
{
    return nats->url;
}

int test_nats_admin(struct test_nats *nats, struct nats_connection **ret, struct error *err)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    const char *const urls[] = {nats->url, NULL};
    struct nats_settings settings = {.urls = urls, .name = "test-admin", .reconnect_max_ms = 200};

    if (credentials_user_password(TEST_ADMIN_USER, TEST_ADMIN_PASSWORD, &credentials, err) < 0)
        return -1;
    settings.credentials = credentials; /* only used while opening: this connection does not reconnect */
    return nats_connection_open(&settings, ret, err);
}

struct open_wait {
    const char *const *urls;
    struct nats_connection *connection;
};

static int can_open(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    struct open_wait *wait = context;
    struct nats_settings settings = {.urls = wait->urls, .name = "test"};
    cleanup_error struct error refused = ERROR_INIT;

    if (nats_connection_open(&settings, &wait->connection, &refused) == 0)
        return 1;
    text_buffer_clear(state);
    text_buffer_add(state, error_root_detail(&refused));
    return 0;
}

int test_open_when_up(const char *const *urls, struct nats_connection **ret, struct error *err)
{
    struct open_wait wait = {.urls = urls};

    if (wait_until("nats-server to answer", can_open, &wait, NULL, deadline_in_ms(START_MS), err) < 0)
        return -1;
    *ret = wait.connection;
    return 0;
}

static int has_jetstream(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    struct nats_connection *connection = context;
    jsCtx *jetstream = NULL;
    jsAccountInfo *information = NULL;

    text_buffer_clear(state);
    text_buffer_add(state, nats_connection_is_up(connection) ? "connected" : "not connected");
    if (!nats_connection_is_up(connection) ||
        natsConnection_JetStream(&jetstream, nats_connection_handle(connection), NULL) != NATS_OK)
        return 0;
    natsStatus status = js_GetAccountInfo(&information, jetstream, NULL, NULL);
    jsAccountInfo_Destroy(information);
    jsCtx_Destroy(jetstream);
    return status == NATS_OK;
}

int test_wait_up(struct nats_connection *connection, struct error *err)
{
    return wait_until("JetStream to answer", has_jetstream, connection, NULL, deadline_in_ms(START_MS), err);
}

void test_nats_free(struct test_nats *nats)
{
    if (!nats)
        return;
    process_free(nats->process);
    free(nats->program);
    free(nats->directory);
    free(nats->device_password);
    free(nats->url);
    free(nats);
}
