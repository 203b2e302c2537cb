/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/connection.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "messaging/handshake.h"
#include "tests/unit/support_nats.h"

#define WAIT_MS 10000

/** What the connection's callbacks said. */
struct witness {
    atomic_int ups;
    atomic_int downs;
    atomic_int troubles;
    atomic_int last_trouble; /* natsStatus */
};

static void on_change(void *context, bool connected)
{
    struct witness *witness = context;

    atomic_fetch_add(connected ? &witness->ups : &witness->downs, 1);
}

static void on_trouble(void *context, const struct error *trouble)
{
    struct witness *witness = context;

    atomic_store(&witness->last_trouble, trouble->code);
    atomic_fetch_add(&witness->troubles, 1);
}

static struct nats_settings quick_settings(const char *const *urls, const struct credentials *credentials,
                                           struct witness *witness)
{
    return (struct nats_settings){
        .urls = urls,
        .name = "test",
        .credentials = credentials,
        .wait_for_server = true,
        .reconnect = true,
        .reconnect_min_ms = 10,
        .reconnect_max_ms = 50,
        .on_change = on_change,
        .on_trouble = on_trouble,
        .context = witness,
    };
}

struct count_wait {
    atomic_int *count;
    int wanted;
};

static int has_count(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct count_wait *wait = context;
    int count = atomic_load(wait->count);

    text_buffer_clear(state);
    text_buffer_format(state, "%d", count);
    return count >= wait->wanted;
}

static int wait_for_count(const char *what, atomic_int *count, int wanted, struct error *err)
{
    struct count_wait wait = {count, wanted};

    return wait_until(what, has_count, &wait, NULL, deadline_in_ms(WAIT_MS), err);
}

FLEET_TEST(connection, delay_grows_to_its_ceiling)
{
    for (int attempt = 0; attempt < 40; attempt++) {
        int64_t high = attempt < 7 ? 100 << attempt : 10000;

        for (uint32_t random = 0; random < 1000; random++) {
            int64_t delay = reconnect_delay_ms(attempt, 100, 10000, random * 4294967u);

            CHECK(delay >= 50 && delay <= high, "attempt %d waits %" PRId64 " ms", attempt, delay);
        }
    }
    CHECK(reconnect_delay_ms(3, 100, 10000, 0) == 50, "the lowest draw is not min/2");
    CHECK(reconnect_delay_ms(3, 100, 10000, 750) == 800, "the highest draw is not min*2^attempt");
    CHECK(reconnect_delay_ms(0, 1, 1, 77) <= 1, "a tiny range is left");
    return 0;
}

FLEET_TEST(connection, finds_the_port_of_a_url)
{
    CHECK(nats_url_port("nats://127.0.0.1:30423") == 30423, "plain");
    CHECK(nats_url_port("nats://user:pa:ss@host:1") == 1, "with credentials");
    CHECK(nats_url_port("tls://[::1]:4333") == 4333, "IPv6");
    CHECK(nats_url_port("tls://[::1]") == 4222, "IPv6 without a port");
    CHECK(nats_url_port("host") == 4222, "bare host");
    return 0;
}

FLEET_TEST(connection, refuses_unusable_settings)
{
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    const char *const none[] = {NULL};
    const char *const urls[] = {"nats://127.0.0.1:4222", NULL};
    struct nats_settings settings = {.urls = none, .wait_for_server = true};

    CHECK_FAILS(nats_connection_open(&settings, &connection, err), general_error_domain, GENERAL_INVALID);
    settings.urls = urls;
    settings.ca_file = "/nonexistent/ca.pem";
    CHECK_FAILS(nats_connection_open(&settings, &connection, err), nats_error_domain, NATS_SSL_ERROR);
    CHECK(connection == NULL, "a failed call must leave its result alone");
    return 0;
}

FLEET_TEST(connection, says_why_nothing_answers)
{
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    int port;

    TRY(test_free_port(&port, err));
    cleanup_free char *url = text_format("nats://127.0.0.1:%d", port);
    const char *const urls[] = {url, NULL};
    struct nats_settings settings = {.urls = urls};

    CHECK_FAILS(nats_connection_open(&settings, &connection, err), nats_error_domain, NATS_NO_SERVER);
    return 0;
}

FLEET_TEST(connection, survives_restarts_of_the_server, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    struct witness witness = {0};

    TRY(test_nats_start(test, &nats, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, TEST_DEVICE_PASSWORD, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = quick_settings(urls, credentials, &witness);
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(wait_for_count("the first connect", &witness.ups, 1, err));
    natsConnection *handle = nats_connection_handle(connection);
    for (int i = 1; i <= 3; i++) {
        TRY(test_nats_signal(nats, SIGKILL, err));
        TRY(wait_for_count("the loss", &witness.downs, i, err));
        CHECK(!nats_connection_is_up(connection), "it claims to be up");
        TRY(test_nats_restart(nats, NULL, err));
        TRY(wait_for_count("the reconnect", &witness.ups, i + 1, err));
        TRY(nats_connection_flush(connection, deadline_in_ms(WAIT_MS), err));
    }
    CHECK(nats_connection_handle(connection) == handle, "the handle was replaced");
    CHECK(nats_connection_generation(connection) == 1, "generation %" PRIu64, nats_connection_generation(connection));
    return 0;
}

FLEET_TEST(connection, waits_for_a_server_that_is_not_there_yet, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    struct witness witness = {0};

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_signal(nats, SIGKILL, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, TEST_DEVICE_PASSWORD, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = quick_settings(urls, credentials, &witness);
    int64_t began_ms = clock_monotonic_ms();
    TRY(nats_connection_open(&settings, &connection, err));
    CHECK(clock_monotonic_ms() - began_ms < 1000, "opening waited for the server");
    CHECK(nats_connection_handle(connection) == NULL, "there is a handle before the first connect");
    TRY(wait_for_count("some failed attempts", &witness.troubles, 3, err));
    TRY(test_nats_restart(nats, NULL, err));
    TRY(wait_for_count("the connect", &witness.ups, 1, err));
    CHECK(nats_connection_is_up(connection), "it does not know it is up");
    return 0;
}

/* nats.c closes a connection after two equal authorization errors, "infinite" reconnects or not. */
FLEET_TEST(connection, outlives_refused_credentials, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    struct witness witness = {0};

    TRY(test_nats_start(test, &nats, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, TEST_DEVICE_PASSWORD, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = quick_settings(urls, credentials, &witness);
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(wait_for_count("the first connect", &witness.ups, 1, err));
    for (int i = 1; i <= 3; i++) {
        atomic_store(&witness.troubles, 0);
        TRY(test_nats_restart(nats, "another password", err));
        TRY(wait_for_count("refusals", &witness.troubles, 6, err));
        CHECK(atomic_load(&witness.last_trouble) == NATS_CONNECTION_AUTH_FAILED, "the trouble is %s",
              natsStatus_GetText((natsStatus)atomic_load(&witness.last_trouble)));
        TRY(test_nats_restart(nats, TEST_DEVICE_PASSWORD, err));
        TRY(wait_for_count("the connect", &witness.ups, i + 1, err));
        TRY(nats_connection_flush(connection, deadline_in_ms(WAIT_MS), err));
    }
    CHECK(nats_connection_generation(connection) > 1, "nats.c has changed: the handle was not replaced");
    return 0;
}

FLEET_TEST(connection, trouble_while_connecting_names_refused_credentials, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;

    TRY(test_nats_start(test, &nats, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, "wrong", &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = {.urls = urls, .credentials = credentials};
    CHECK_FAILS(nats_connection_open(&settings, &connection, err), nats_error_domain, NATS_CONNECTION_AUTH_FAILED);
    return 0;
}

FLEET_TEST(connection, password_of_any_characters_is_sent_as_it_is, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char password[] = "a \"quoted\" \\ b\xc3\xa4"
                                   "ckslash\\";
    cleanup_text_buffer struct text_buffer escaped = {0};
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;

    text_buffer_quote(&escaped, password);
    cleanup_free char *in_configuration = text_copy_n(escaped.data + 1, escaped.size - 2);
    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_restart(nats, in_configuration, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, password, &credentials, err));
    const char *const urls[] = {test_nats_url(nats), NULL};
    struct nats_settings settings = {.urls = urls, .credentials = credentials};
    TRY(nats_connection_open(&settings, &connection, err));
    return nats_connection_flush(connection, deadline_in_ms(WAIT_MS), err);
}

/* A password must not go over the wire in the clear because somebody in between leaves TLS out. */
FLEET_TEST(connection, tls_url_is_no_mere_wish, NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(credentials_free) struct credentials *credentials = NULL;

    TRY(test_nats_start(test, &nats, err));
    TRY(credentials_user_password(TEST_DEVICE_USER, TEST_DEVICE_PASSWORD, &credentials, err));
    cleanup_free char *url = text_format("tls://%s", strstr(test_nats_url(nats), "127.0.0.1"));
    const char *const urls[] = {url, NULL};
    struct nats_settings settings = {.urls = urls, .credentials = credentials};
    CHECK_FAILS(nats_connection_open(&settings, &connection, err), nats_error_domain, NATS_SECURE_CONNECTION_WANTED);
    return 0;
}

/** A server that greets and then says nothing, for ever. */
struct mute_server {
    int listener;
    int port;
    atomic_int greeted;
    pthread_t thread;
};

static void *be_mute(void *argument)
{
    static const char greeting[] = "INFO {\"server_id\":\"mute\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,"
                                   "\"max_payload\":1048576}\r\n";
    struct mute_server *server = argument;
    int client;

    while ((client = accept(server->listener, NULL, NULL)) >= 0) {
        char byte;

        if (write(client, greeting, sizeof(greeting) - 1) > 0)
            atomic_fetch_add(&server->greeted, 1);
        while (read(client, &byte, 1) > 0)
            continue;
        close(client);
    }
    return NULL;
}

static int mute_server_start(struct mute_server *server, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(server->listener, 5) < 0 || getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
        return error_set_errno(err, errno, "starting a mute server", NULL);
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, be_mute, server) != 0)
        return error_set_errno(err, EAGAIN, "starting a mute server", NULL);
    return 0;
}

static void mute_server_stop(struct mute_server *server)
{
    if (server->port == 0)
        return;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static int64_t cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static int leaves_mute_server(struct mute_server *server, struct error *err)
{
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    cleanup_free char *url = text_format("nats://127.0.0.1:%d", server->port);
    const char *const urls[] = {url, NULL};
    struct witness witness = {0};
    struct nats_settings settings = quick_settings(urls, NULL, &witness);

    settings.connect_timeout_ms = 100;
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(wait_for_count("attempts to be given up", &witness.troubles, 2, err));
    CHECK(atomic_load(&server->greeted) >= 2, "only %d handshakes", atomic_load(&server->greeted));
    return 0;
}

/* nats.c 3.4.1 alone spins for ever there: see messaging/handshake.h. */
FLEET_TEST(connection, leaves_a_handshake_that_never_ends)
{
    struct mute_server server = {0};

    TRY(mute_server_start(&server, err));
    int result = leaves_mute_server(&server, err);
    mute_server_stop(&server);
    CHECK(cpu_ms() < 9000, "it spun for %" PRId64 " ms", cpu_ms());
    return result;
}

FLEET_TEST(connection, frees_while_still_connecting)
{
    struct mute_server server = {0};
    struct witness witness = {0};

    TRY(mute_server_start(&server, err));
    cleanup_free char *url = text_format("nats://127.0.0.1:%d", server.port);
    const char *const urls[] = {url, NULL};
    struct nats_settings settings = quick_settings(urls, NULL, &witness);
    struct nats_connection *connection = NULL;
    settings.connect_timeout_ms = 500;
    TRY(nats_connection_open(&settings, &connection, err));
    TRY(wait_for_count("the greeting", &server.greeted, 1, err));
    int64_t began_ms = clock_monotonic_ms();
    nats_connection_free(connection);
    CHECK(clock_monotonic_ms() - began_ms < 400, "freeing waited for the attempt");
    mute_server_stop(&server);
    return 0;
}
