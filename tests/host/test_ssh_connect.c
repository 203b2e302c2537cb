/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an SSH session: who is let in, who is recognised, and what is said when nobody answers.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "deploy/ssh_session.h"
#include "tests/host/ssh_device.h"

#define OPEN_MS 20000
#define ECDSA_KEY                                                                                                      \
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJF5MWfw"                                 \
    "emzs5YscXCGngi7BZMFvAl2G35OfN6oNhx9FjoPZm9oPleEtMS98JWdax1myHvAQT0Mpm4vtPj1BJZU="
#define DEVICE NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

static int try_open(const struct ssh_session_options *options, int64_t limit_ms, struct error *err)
{
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;

    return ssh_session_open(options, deadline_in_ms(limit_ms), &session, err);
}

/* Host keys */

FLEET_TEST(ssh_connect, unknown_host_is_learnt_only_when_allowed, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    cleanup_free char *text = NULL;
    size_t size;

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, "root");
    options.host_key = NULL;
    options.known_hosts = device.known_hosts;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_HOST_KEY_UNKNOWN);
    CHECK(!file_exists(device.known_hosts), "it was learnt all the same");
    options.learn_host_key = true;
    TRY(ssh_session_open(&options, deadline_in_ms(OPEN_MS), &session, err));
    CHECK(text_equal(ssh_session_host_key(session), device.host_key), "its key is %s", ssh_session_host_key(session));
    TRY(file_read(device.known_hosts, 4096, &text, &size, err));
    cleanup_free char *expected = text_format(DEVICE_ADDRESS " %s\n", device.host_key);
    CHECK(text_equal(text, expected), "known hosts: %s", text);
    options.learn_host_key = false;
    TRY(try_open(&options, OPEN_MS, err));
    options.port = DEVICE_PORT_2; /* another sshd as far as anybody can tell */
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_HOST_KEY_UNKNOWN);
    options.learn_host_key = true;
    TRY(try_open(&options, OPEN_MS, err));
    options.learn_host_key = false;
    TRY(try_open(&options, OPEN_MS, err));
    return 0;
}

FLEET_TEST(ssh_connect, other_host_is_recognised, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    cleanup_ssh_key_pair struct ssh_key_pair other = {0};
    cleanup_free char *after = NULL;
    size_t size;

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, "root");
    cleanup_free char *directory = text_format("%s/other", device.directory);
    TRY(ssh_key_pair_ensure(directory, &other, err));
    options.host_key = other.public_key;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_HOST_KEY_MISMATCH);
    cleanup_free char *line = text_format(DEVICE_ADDRESS " %s\n", other.public_key);
    TRY(file_write_atomic(device.known_hosts, line, strlen(line), 0600, err));
    options.host_key = NULL;
    options.known_hosts = device.known_hosts;
    options.learn_host_key = true; /* allows to learn an unknown key, not to forget a known one */
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_HOST_KEY_MISMATCH);
    TRY(file_read(device.known_hosts, 4096, &after, &size, err));
    CHECK(text_equal(after, line), "known hosts: %s", after);
    /* A key of a kind the host has not: it shows another one, which is not the pinned one. */
    options.host_key = ECDSA_KEY;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_HOST_KEY_MISMATCH);
    return 0;
}

/* Authentication */

FLEET_TEST(ssh_connect, only_the_right_key_gets_in, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    cleanup_ssh_key_pair struct ssh_key_pair other = {0};

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, DEVICE_ADMIN);
    cleanup_free char *directory = text_format("%s/other", device.directory);
    TRY(try_open(&options, OPEN_MS, err));
    TRY(ssh_key_pair_ensure(directory, &other, err));
    options.private_key = other.private_key;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_AUTHENTICATION_REFUSED);
    options.private_key = device.key.private_key;
    options.user = "nobody-knows-this-user";
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_AUTHENTICATION_REFUSED);
    return 0;
}

FLEET_TEST(ssh_connect, unusable_options_are_refused)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};

    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    const struct ssh_session_options good = {
        .address = "127.0.0.1", .user = "root", .private_key = pair.private_key, .host_key = pair.public_key};
    struct ssh_session_options options = good;
    options.address = NULL;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), general_error_domain, GENERAL_INVALID);
    options = good;
    options.host_key = NULL;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), general_error_domain, GENERAL_INVALID);
    options = good;
    options.port = 65536;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), general_error_domain, GENERAL_INVALID);
    options = good;
    options.private_key = "/nonexistent/key";
    CHECK_FAILS(try_open(&options, OPEN_MS, err), system_error_domain, ENOENT);
    cleanup_free char *public_file = text_format("%s.pub", pair.private_key);
    options.private_key = public_file;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), general_error_domain, GENERAL_INVALID);
    options = good;
    options.network_namespace = 9999;
    CHECK_FAILS(try_open(&options, OPEN_MS, err), system_error_domain, EBADF);
    return 0;
}

/* Nobody there */

/** A socket that is bound to a port of its own and, if asked, lets people connect without ever answering. */
static int bind_socket(bool accepting, int *port, int *ret, struct error *err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &size) == 0 && (!accepting || listen(fd, 8) == 0),
          "socket: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    *ret = TAKE_FD(fd);
    return 0;
}

FLEET_TEST(ssh_connect, silence_is_told_from_absence)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    cleanup_close int closed = -1;
    cleanup_close int silent = -1;

    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    struct ssh_session_options options = {
        .address = "127.0.0.1", .user = "root", .private_key = pair.private_key, .host_key = pair.public_key};
    TRY(bind_socket(false, &options.port, &closed, err));
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_UNREACHABLE);
    options.wait_for_host = true;
    int64_t begin_ms = clock_monotonic_ms();
    CHECK_FAILS(try_open(&options, 300, err), ssh_error_domain, SSH_TIMED_OUT);
    CHECK(clock_monotonic_ms() - begin_ms >= 300, "it did not wait");
    TRY(bind_socket(true, &options.port, &silent, err));
    CHECK_FAILS(try_open(&options, 300, err), ssh_error_domain, SSH_TIMED_OUT);
    options.wait_for_host = false;
    CHECK_FAILS(try_open(&options, 300, err), ssh_error_domain, SSH_TIMED_OUT);
    options.address = "no-such-host.invalid";
    CHECK_FAILS(try_open(&options, OPEN_MS, err), ssh_error_domain, SSH_UNREACHABLE);
    return 0;
}

/** Somebody who answers, but not as sshd does. */
static void *hang_up(void *context)
{
    int fd = accept4(*(int *)context, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0 && write(fd, "220 mail\r\n", 10) == 10)
        shutdown(fd, SHUT_RDWR);
    close_fd(fd);
    return NULL;
}

FLEET_TEST(ssh_connect, other_service_is_no_host)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    cleanup_close int listener = -1;
    pthread_t thread;

    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    struct ssh_session_options options = {
        .address = "127.0.0.1", .user = "root", .private_key = pair.private_key, .host_key = pair.public_key};
    TRY(bind_socket(true, &options.port, &listener, err));
    CHECK(pthread_create(&thread, NULL, hang_up, &listener) == 0, "pthread_create");
    int result = try_open(&options, OPEN_MS, err);
    pthread_join(thread, NULL);
    CHECK_FAILS(result, ssh_error_domain, SSH_UNREACHABLE);
    return 0;
}

/** The opening of a session in a thread of its own. */
struct opening {
    const struct ssh_session_options *options;
    struct error error;
};

static void *open_in_thread(void *context)
{
    struct opening *opening = context;

    return try_open(opening->options, OPEN_MS, &opening->error) < 0 ? opening : NULL;
}

/* As while a machine boots: its network first is not there. */
FLEET_TEST(ssh_connect, waits_for_a_host_that_starts, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    pthread_t thread;

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, "root");
    TRY(ssh_device_set_link(&device, false, err));
    CHECK_FAILS(try_open(&options, 300, err), ssh_error_domain, SSH_TIMED_OUT);
    struct opening opening = {.options = &options};
    CHECK(pthread_create(&thread, NULL, open_in_thread, &opening) == 0, "pthread_create");
    int linked = ssh_device_set_link(&device, true, err);
    pthread_join(thread, NULL);
    if (error_is_set(&opening.error) && linked == 0)
        error_move(err, &opening.error);
    error_clear(&opening.error);
    return error_is_set(err) ? -1 : 0;
}
