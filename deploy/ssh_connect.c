/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to a session that is ready to use: TCP, key exchange, the host's key, authentication. Everything
 * happens in the session's I/O thread and never blocks beyond the deadline, but for the lookup of a name.
 */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/ssh_known_hosts.h"
#include "deploy/ssh_session_model.h"

/* While waiting for a host that starts: a SYN that got no answer is not repeated by TCP for a second and more. */
#define ATTEMPT_MS 1000
#define RETRY_MS   50

DEFINE_CLEANUP(ssh_key, ssh_key_free)

static int fail(const struct ssh_session *session, struct error *err, enum ssh_error code, const char *detail)
{
    return error_set(err, &ssh_error_domain, code, "opening SSH session", session->name, "%s", detail);
}

/** Connect one socket. Returns 0, or an errno (ETIMEDOUT at the deadline). */
static int connect_socket(const struct addrinfo *address, struct deadline deadline, int *ret)
{
    int enabled = 1;
    cleanup_close int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    int why = 0;
    socklen_t size = sizeof(why);
    int result;

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &enabled, sizeof(enabled)) < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return errno;
        do {
            result = poll(&connected, 1, deadline_poll_ms(deadline));
        } while (result < 0 && errno == EINTR);
        if (result <= 0)
            return result == 0 ? ETIMEDOUT : errno;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0)
            return errno;
        if (why)
            return why;
    }
    *ret = TAKE_FD(fd);
    return 0;
}

/** Try every address of the host; the last failure is told. */
static int open_socket(const struct ssh_session *session, int *ret, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    cleanup_free char *port = text_format("%d", session->options.port);
    bool patient = session->options.wait_for_host;
    struct deadline deadline = session->open_deadline;
    struct addrinfo *addresses = NULL;
    int why = 0;
    int unknown = getaddrinfo(session->options.address, port, &hints, &addresses);

    if (unknown)
        return fail(session, err, SSH_UNREACHABLE, gai_strerror(unknown));
    if (patient)
        deadline = deadline_min(deadline, deadline_in_ms(ATTEMPT_MS));
    for (const struct addrinfo *address = addresses; address; address = address->ai_next) {
        why = connect_socket(address, deadline, ret);
        if (why == 0)
            break;
    }
    freeaddrinfo(addresses);
    if (why == 0)
        return 0;
    return fail(session, err, why == ETIMEDOUT && !patient ? SSH_TIMED_OUT : SSH_UNREACHABLE, strerror(why));
}

/** Which keys the host may show. */
static int find_pins(const struct ssh_session *session, struct ssh_pins *ret, struct error *err)
{
    const struct ssh_session_options *options = &session->options;

    return options->host_key ? ssh_pins_parse(options->host_key, ret, err)
                             : ssh_pins_read(options->known_hosts, options->address, options->port, ret, err);
}

/** Nothing is taken from the configuration of the user or the machine: it is written for people's sessions. */
static int make_libssh(struct ssh_session *session, const struct ssh_pins *pins, int fd, struct error *err)
{
    cleanup_free char *algorithms = ssh_pins_algorithms(pins);
    bool ignore = false;
    const struct {
        enum ssh_options_e option;
        const void *value;
    } options[] = {
        {SSH_OPTIONS_PROCESS_CONFIG, &ignore},        {SSH_OPTIONS_SSH_DIR, "/nonexistent"},
        {SSH_OPTIONS_KNOWNHOSTS, "/dev/null"},        {SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null"},
        {SSH_OPTIONS_HOST, session->options.address}, {SSH_OPTIONS_USER, session->options.user},
        {SSH_OPTIONS_HOSTKEYS, algorithms},           {SSH_OPTIONS_FD, &fd}, /* libssh closes it from here on */
    };

    session->libssh = ssh_new();
    if (!session->libssh) {
        close_fd(fd);
        return fail(session, err, SSH_UNREACHABLE, "libssh cannot make a session");
    }
    ssh_set_blocking(session->libssh, 0);
    session->heard = session->packets = (struct ssh_counter_struct){0};
    ssh_set_counters(session->libssh, &session->heard, &session->packets);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (ssh_options_set(session->libssh, options[i].option, options[i].value) == SSH_OK)
            continue;
        if (i < ARRAY_SIZE(options) - 1)
            close_fd(fd);
        return error_set(err, &general_error_domain, GENERAL_INVALID, "opening SSH session", session->name, "%s",
                         ssh_get_error(session->libssh));
    }
    return 0;
}

/** Until there is something for libssh to do. */
static int await_socket(const struct ssh_session *session, const char *what, struct error *err)
{
    int flags = ssh_get_poll_flags(session->libssh);
    short events = (short)(POLLIN | (flags & SSH_WRITE_PENDING ? POLLOUT : 0));
    struct pollfd socket = {.fd = ssh_get_fd(session->libssh), .events = events};

    if (poll(&socket, 1, deadline_poll_ms(session->open_deadline)) == 0)
        return fail(session, err, SSH_TIMED_OUT, what);
    return 0;
}

static int exchange_keys(const struct ssh_session *session, struct error *err)
{
    int result;

    while ((result = ssh_connect(session->libssh)) == SSH_AGAIN) {
        if (await_socket(session, "connected, but the host did not finish the key exchange", err) < 0)
            return -1;
    }
    return result == SSH_OK ? 0 : fail(session, err, SSH_UNREACHABLE, ssh_get_error(session->libssh));
}

static int refuse_host(const struct ssh_session *session, const struct ssh_pins *pins, ssh_key key, struct error *err)
{
    cleanup_free char *shown = ssh_host_key_fingerprint(key);
    const char *place = session->options.host_key ? "the pinned one" : session->options.known_hosts;
    cleanup_free char *detail = NULL;

    if (pins->count == 0) {
        detail = text_format("its key %s is not in %s", shown, place);
        return fail(session, err, SSH_HOST_KEY_UNKNOWN, detail);
    }
    cleanup_free char *known = ssh_host_key_fingerprint(pins->keys[0]);
    detail = text_format("its key is %s, not %s as of %s: it may be another host", shown, known, place);
    return fail(session, err, SSH_HOST_KEY_MISMATCH, detail);
}

static int verify_host(struct ssh_session *session, const struct ssh_pins *pins, struct error *err)
{
    const struct ssh_session_options *options = &session->options;
    CLEANUP(ssh_key_free) ssh_key key = NULL;

    if (ssh_get_server_publickey(session->libssh, &key) != SSH_OK)
        return fail(session, err, SSH_UNREACHABLE, ssh_get_error(session->libssh));
    free(session->host_key);
    session->host_key = ssh_host_key_text(key);
    if (ssh_pins_have(pins, key))
        return 0;
    if (pins->count > 0 || options->host_key || !options->learn_host_key)
        return refuse_host(session, pins, key, err);
    return ssh_known_hosts_add(options->known_hosts, options->address, options->port, key, err);
}

static int authenticate(const struct ssh_session *session, struct error *err)
{
    int result;

    while ((result = ssh_userauth_publickey(session->libssh, NULL, session->private_key)) == SSH_AUTH_AGAIN) {
        if (await_socket(session, "connected, but the host did not finish authentication", err) < 0)
            return -1;
    }
    if (result == SSH_AUTH_SUCCESS)
        return 0;
    enum ssh_error code = result == SSH_AUTH_ERROR ? SSH_UNREACHABLE : SSH_AUTHENTICATION_REFUSED;
    return fail(session, err, code, ssh_get_error(session->libssh));
}

static int connect_once(struct ssh_session *session, struct error *err)
{
    cleanup_ssh_pins struct ssh_pins pins = {0};
    int fd = -1;

    if (find_pins(session, &pins, err) < 0 || open_socket(session, &fd, err) < 0 ||
        make_libssh(session, &pins, fd, err) < 0 || exchange_keys(session, err) < 0 ||
        verify_host(session, &pins, err) < 0 || authenticate(session, err) < 0)
        return -1;
    /* libssh made it blocking; a write of more than the kernel takes would then hold up all other channels. */
    fd = ssh_get_fd(session->libssh);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "opening SSH session", session->name);
    return 0;
}

int ssh_session_connect(struct ssh_session *session, struct error *err)
{
    while (connect_once(session, err) < 0) {
        bool silent = error_is(err, &ssh_error_domain, SSH_UNREACHABLE);

        ssh_free(TAKE_PTR(session->libssh));
        if (!silent || !session->options.wait_for_host)
            return -1;
        if (deadline_passed(session->open_deadline)) {
            cleanup_free char *last = text_format("the host did not answer; last: %s", error_root_detail(err));
            error_clear(err);
            return fail(session, err, SSH_TIMED_OUT, last);
        }
        error_clear(err);
        poll(NULL, 0, RETRY_MS);
    }
    return 0;
}
