/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/connection.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "messaging/attempt.h"
#include "messaging/handshake.h"
#include "messaging/options.h"

#define SUPERVISOR_STACK_SIZE (128u << 10)
#define STUCK_MARGIN_MS       1000 /* beyond the connect timeout, before a handshake counts as stuck */
#define LAST_TRIES            5    /* to end an attempt when the connection is freed */
#define LAST_TRY_MS           20   /* for each of them */

/*
 *             open                  lost                      refused twice
 *   (none) ────────▶ connecting ──▶ up ◀────▶ reconnecting ──────────────▶ closed
 *                        ▲   (supervisor)      (nats.c)                      │
 *                        └───────────────── back-off, next generation ◀──────┘
 *
 * The supervisor thread makes first connections and replaces closed ones; nats.c's own thread reconnects. Callbacks of
 * nats.c can come after natsConnection_Destroy, so each handle holds a reference until its closed callback has run.
 */
struct nats_connection {
    struct nats_settings settings;
    uint16_t *ports; /* of the URLs, for handshakes_break() */
    size_t port_count;

    pthread_mutex_t callback_mutex; /* held while the owner's callbacks run; taken before `mutex` */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    unsigned references;
    natsConnection *handle;
    natsConnection *previous;
    uint64_t generation;
    bool is_up;     /* as last told to the owner */
    bool is_closed; /* the handle is closed for good */
    bool stopping;
    bool attempt_done;
    int64_t stuck_at_ms; /* when nats.c's reconnecting counts as stuck; INT64_MAX: it does not reconnect */

    pthread_t supervisor;
    bool has_supervisor;
};

static const char *nats_code_name(int code)
{
    return natsStatus_GetText((natsStatus)code);
}

const struct error_domain nats_error_domain = {"nats", nats_code_name};

/** nats.c begins its texts with the place in its own source: "(conn.c:2088): ". */
static const char *without_place(const char *text)
{
    const char *end = text && text[0] == '(' ? strstr(text, "): ") : NULL;

    return end ? end + 3 : text;
}

int error_set_nats(struct error *err, natsStatus status, const char *operation, const char *subject)
{
    natsStatus last = NATS_OK;
    const char *text = without_place(nats_GetLastError(&last));
    const char *name = natsStatus_GetText(status);

    if (last != status || !text || !*text || strcasecmp(text, name) == 0)
        return error_set(err, &nats_error_domain, (int)status, operation, subject, "%s", name);
    return error_set(err, &nats_error_domain, (int)status, operation, subject, "%s: %s", name, text);
}

int64_t reconnect_delay_ms(int attempt, int min_ms, int max_ms, uint32_t random)
{
    int64_t low = min_ms / 2;
    int64_t high = min_ms;

    for (int i = 0; i < attempt && high < max_ms; i++)
        high *= 2;
    if (high > max_ms)
        high = max_ms;
    if (high <= low)
        return low;
    return low + (int64_t)random % (high - low + 1);
}

static int64_t next_delay_ms(const struct nats_connection *connection, int attempt)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)clock_monotonic_us();
    return reconnect_delay_ms(attempt, settings_reconnect_min_ms(&connection->settings),
                              settings_reconnect_max_ms(&connection->settings), random);
}

/** How long trying every URL once may take before something is stuck. */
static int64_t round_ms(const struct nats_connection *connection)
{
    return (int64_t)connection->port_count * settings_connect_timeout_ms(&connection->settings) + STUCK_MARGIN_MS;
}

static void connection_destroy(struct nats_connection *connection)
{
    nats_settings_clear(&connection->settings);
    free(connection->ports);
    pthread_cond_destroy(&connection->changed);
    pthread_mutex_destroy(&connection->mutex);
    pthread_mutex_destroy(&connection->callback_mutex);
    free(connection);
}

/** Drop this many references. */
static void connection_release(struct nats_connection *connection, unsigned references)
{
    pthread_mutex_lock(&connection->mutex);
    connection->references -= references;
    bool last = connection->references == 0;
    pthread_mutex_unlock(&connection->mutex);
    if (last)
        connection_destroy(connection);
}

/** Wait for a change until `at_ms` (INT64_MAX: for ever). Called with the mutex held. */
static void wait_for_change(struct nats_connection *connection, int64_t at_ms)
{
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};

    if (at_ms == INT64_MAX)
        pthread_cond_wait(&connection->changed, &connection->mutex);
    else
        pthread_cond_timedwait(&connection->changed, &connection->mutex, &until);
}

/** Tell the owner whether it is up, if that is news. Called with the callback mutex held. */
static void tell_change(struct nats_connection *connection, bool up)
{
    pthread_mutex_lock(&connection->mutex);
    bool news = !connection->stopping && connection->is_up != up;
    connection->is_up = up;
    pthread_mutex_unlock(&connection->mutex);
    if (news && connection->settings.on_change)
        connection->settings.on_change(connection->settings.context, up);
}

static void tell_trouble(struct nats_connection *connection, const struct error *trouble)
{
    pthread_mutex_lock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    bool wanted = !connection->stopping && connection->settings.on_trouble;
    pthread_mutex_unlock(&connection->mutex);
    if (wanted)
        connection->settings.on_trouble(connection->settings.context, trouble);
    pthread_mutex_unlock(&connection->callback_mutex);
}

static void on_disconnected(natsConnection *handle, void *closure)
{
    struct nats_connection *connection = closure;

    pthread_mutex_lock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    bool is_current = handle == connection->handle;
    if (is_current && connection->settings.reconnect) {
        connection->stuck_at_ms = clock_monotonic_ms() + round_ms(connection);
        pthread_cond_broadcast(&connection->changed);
    }
    pthread_mutex_unlock(&connection->mutex);
    if (is_current)
        tell_change(connection, false);
    pthread_mutex_unlock(&connection->callback_mutex);
}

static void on_reconnected(natsConnection *handle, void *closure)
{
    struct nats_connection *connection = closure;

    pthread_mutex_lock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    bool is_current = handle == connection->handle;
    if (is_current)
        connection->stuck_at_ms = INT64_MAX;
    pthread_mutex_unlock(&connection->mutex);
    if (is_current) {
        tell_change(connection, false); /* the owner must not miss a reconnect whose loss it was not told of */
        tell_change(connection, true);
    }
    pthread_mutex_unlock(&connection->callback_mutex);
}

static void on_closed(natsConnection *handle, void *closure)
{
    struct nats_connection *connection = closure;

    pthread_mutex_lock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    bool is_current = handle == connection->handle;
    if (is_current) {
        connection->is_closed = true;
        connection->stuck_at_ms = INT64_MAX;
        pthread_cond_broadcast(&connection->changed);
    }
    pthread_mutex_unlock(&connection->mutex);
    if (is_current)
        tell_change(connection, false);
    pthread_mutex_unlock(&connection->callback_mutex);
    connection_release(connection, 1);
}

static void on_error(natsConnection *handle __attribute__((unused)),
                     natsSubscription *subscription __attribute__((unused)), natsStatus status, void *closure)
{
    cleanup_error struct error trouble = ERROR_INIT;

    error_set_nats(&trouble, status, "talking to NATS", NULL);
    tell_trouble(closure, &trouble);
}

static int64_t on_reconnect_delay(natsConnection *handle __attribute__((unused)), int attempts, void *closure)
{
    struct nats_connection *connection = closure;
    int64_t delay_ms = next_delay_ms(connection, attempts - 1);

    pthread_mutex_lock(&connection->mutex);
    connection->stuck_at_ms = clock_monotonic_ms() + delay_ms + round_ms(connection);
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->mutex);
    return delay_ms;
}

static int make_options(struct nats_connection *connection, natsOptions **ret, struct error *err)
{
    struct nats_callbacks callbacks = {
        .disconnected = on_disconnected,
        .reconnected = on_reconnected,
        .closed = on_closed,
        .error = on_error,
        .reconnect_delay = on_reconnect_delay,
        .closure = connection,
    };

    return nats_options_make(&connection->settings, &callbacks, ret, err);
}

static void on_attempt_done(void *context, bool connected)
{
    struct nats_connection *connection = context;

    pthread_mutex_lock(&connection->mutex);
    connection->attempt_done = true;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->mutex);
    /* The attempt's and, unless there is one whose closed callback will do it, the handle's. */
    connection_release(connection, connected ? 1 : 2);
}

/** Wait for the running attempt, breaking handshakes that are stuck. False when the connection is being stopped. */
static bool await_attempt(struct nats_connection *connection)
{
    int64_t stuck_at_ms = clock_monotonic_ms() + round_ms(connection);
    int last_tries = LAST_TRIES;

    pthread_mutex_lock(&connection->mutex);
    while (!connection->attempt_done) {
        int64_t now_ms = clock_monotonic_ms();

        if (connection->stopping) {
            /* Nobody will look after an abandoned attempt: give it a chance to end, whatever it is just doing. */
            if (last_tries-- == 0)
                break;
            stuck_at_ms = now_ms;
        }
        if (now_ms >= stuck_at_ms) {
            handshakes_break(connection->ports, connection->port_count);
            stuck_at_ms = now_ms + (connection->stopping ? LAST_TRY_MS : STUCK_MARGIN_MS);
        }
        wait_for_change(connection, stuck_at_ms);
    }
    bool is_done = connection->attempt_done;
    pthread_mutex_unlock(&connection->mutex);
    return is_done;
}

/** The new handle takes the place of the old one. */
static void install_handle(struct nats_connection *connection, natsConnection *handle)
{
    pthread_mutex_lock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    natsConnection *oldest = connection->previous;
    connection->previous = connection->handle;
    connection->handle = handle;
    connection->generation++;
    connection->is_closed = false;
    pthread_mutex_unlock(&connection->mutex);
    /* Until now its callbacks were not heeded; from now on they wait for the callback mutex. */
    bool is_closed = natsConnection_IsClosed(handle);
    pthread_mutex_lock(&connection->mutex);
    connection->is_closed = is_closed;
    pthread_mutex_unlock(&connection->mutex);
    if (!is_closed)
        tell_change(connection, true);
    pthread_mutex_unlock(&connection->callback_mutex);
    natsConnection_Destroy(oldest);
}

/** Try every URL once. */
static int connect_once(struct nats_connection *connection, struct error *err)
{
    CLEANUP(connect_attempt_free) struct connect_attempt *attempt = NULL;
    CLEANUP(natsOptions_Destroy) natsOptions *options = NULL;
    natsConnection *handle = NULL;

    if (make_options(connection, &options, err) < 0)
        return -1;
    pthread_mutex_lock(&connection->mutex);
    connection->attempt_done = false;
    connection->references += 2; /* the handle's and the attempt's */
    pthread_mutex_unlock(&connection->mutex);
    if (connect_attempt_start(TAKE_PTR(options), on_attempt_done, connection, &attempt, err) < 0) {
        pthread_mutex_lock(&connection->mutex);
        connection->references -= 2;
        pthread_mutex_unlock(&connection->mutex);
        return -1;
    }
    if (!await_attempt(connection))
        return error_set(err, &general_error_domain, GENERAL_CANCELLED, "connecting to NATS", NULL, "cancelled");
    if (connect_attempt_result(attempt, &handle, err) < 0)
        return error_wrap(err, "connecting to", connection->settings.urls[0]);
    install_handle(connection, handle);
    return 0;
}

/** Sleep for the back-off of `attempt`. False when the connection is being stopped. */
static bool back_off(struct nats_connection *connection, int attempt)
{
    int64_t until_ms = clock_monotonic_ms() + next_delay_ms(connection, attempt);

    pthread_mutex_lock(&connection->mutex);
    while (!connection->stopping && clock_monotonic_ms() < until_ms)
        wait_for_change(connection, until_ms);
    bool go_on = !connection->stopping;
    pthread_mutex_unlock(&connection->mutex);
    return go_on;
}

enum supervisor_task { TASK_STOP, TASK_CONNECT, TASK_BREAK_HANDSHAKE };

static enum supervisor_task next_task(struct nats_connection *connection)
{
    enum supervisor_task task = TASK_STOP;

    pthread_mutex_lock(&connection->mutex);
    while (!connection->stopping) {
        if (!connection->handle || (connection->is_closed && connection->settings.reconnect)) {
            task = TASK_CONNECT;
            break;
        }
        if (clock_monotonic_ms() >= connection->stuck_at_ms) {
            connection->stuck_at_ms = clock_monotonic_ms() + STUCK_MARGIN_MS;
            task = TASK_BREAK_HANDSHAKE;
            break;
        }
        wait_for_change(connection, connection->stuck_at_ms);
    }
    if (connection->stopping)
        task = TASK_STOP;
    pthread_mutex_unlock(&connection->mutex);
    return task;
}

static void *supervise(void *argument)
{
    struct nats_connection *connection = argument;
    enum supervisor_task task;
    int attempt = 0;

    while ((task = next_task(connection)) != TASK_STOP) {
        cleanup_error struct error trouble = ERROR_INIT;

        if (task == TASK_BREAK_HANDSHAKE) {
            handshakes_break(connection->ports, connection->port_count);
            continue;
        }
        if ((attempt > 0 || nats_connection_generation(connection) > 0) && !back_off(connection, attempt))
            break;
        if (connect_once(connection, &trouble) < 0) {
            attempt++;
            tell_trouble(connection, &trouble);
        } else {
            attempt = 0;
        }
    }
    return NULL;
}

static struct nats_connection *connection_make(const struct nats_settings *settings)
{
    struct nats_connection *connection = NEW(struct nats_connection);
    pthread_condattr_t attributes;

    nats_settings_copy(&connection->settings, settings);
    connection->port_count = settings_url_count(settings);
    connection->ports = NEW_ARRAY(uint16_t, connection->port_count);
    for (size_t i = 0; i < connection->port_count; i++)
        connection->ports[i] = nats_url_port(settings->urls[i]);
    pthread_mutex_init(&connection->callback_mutex, NULL);
    pthread_mutex_init(&connection->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&connection->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    connection->references = 1;
    connection->stuck_at_ms = INT64_MAX;
    return connection;
}

static int start_supervisor(struct nats_connection *connection, struct error *err)
{
    pthread_attr_t attributes;
    int result;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SUPERVISOR_STACK_SIZE);
    result = pthread_create(&connection->supervisor, &attributes, supervise, connection);
    pthread_attr_destroy(&attributes);
    if (result != 0)
        return error_set_errno(err, result, "starting a thread for the NATS connection", NULL);
    connection->has_supervisor = true;
    return 0;
}

/** Find out early whether options can be made at all. */
static int check_settings(struct nats_connection *connection, struct error *err)
{
    CLEANUP(natsOptions_Destroy) natsOptions *options = NULL;

    return make_options(connection, &options, err);
}

int nats_connection_open(const struct nats_settings *settings, struct nats_connection **ret, struct error *err)
{
    CLEANUP(nats_connection_free) struct nats_connection *connection = connection_make(settings);

    if (settings->wait_for_server) {
        if (check_settings(connection, err) < 0)
            return -1;
    } else if (connect_once(connection, err) < 0) {
        return -1;
    }
    if ((settings->wait_for_server || settings->reconnect) && start_supervisor(connection, err) < 0)
        return -1;
    *ret = TAKE_PTR(connection);
    return 0;
}

natsConnection *nats_connection_handle(struct nats_connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    natsConnection *handle = connection->handle;
    pthread_mutex_unlock(&connection->mutex);
    return handle;
}

uint64_t nats_connection_generation(struct nats_connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    uint64_t generation = connection->generation;
    pthread_mutex_unlock(&connection->mutex);
    return generation;
}

bool nats_connection_is_up(struct nats_connection *connection)
{
    /* natsConnection_Status would wait for nats.c's lock, which it holds while it connects. */
    pthread_mutex_lock(&connection->mutex);
    bool is_up = connection->is_up;
    pthread_mutex_unlock(&connection->mutex);
    return is_up;
}

int nats_connection_flush(struct nats_connection *connection, struct deadline deadline, struct error *err)
{
    natsConnection *handle = nats_connection_handle(connection);
    int left_ms = deadline_poll_ms(deadline);
    natsStatus status;

    if (!handle)
        return error_set_nats(err, NATS_NOT_YET_CONNECTED, "flushing the NATS connection", NULL);
    if (left_ms == 0)
        return error_set_nats(err, NATS_TIMEOUT, "flushing the NATS connection", NULL);
    status = left_ms < 0 ? natsConnection_Flush(handle) : natsConnection_FlushTimeout(handle, left_ms);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "flushing the NATS connection", NULL);
}

void nats_connection_close(struct nats_connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    connection->stopping = true;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->mutex);
    if (connection->has_supervisor) {
        pthread_join(connection->supervisor, NULL);
        connection->has_supervisor = false;
    }
    natsConnection_Close(connection->handle);
    pthread_mutex_lock(&connection->callback_mutex); /* a callback may still be running */
    pthread_mutex_unlock(&connection->callback_mutex);
}

void nats_connection_free(struct nats_connection *connection)
{
    if (!connection)
        return;
    nats_connection_close(connection);
    natsConnection_Destroy(connection->previous);
    natsConnection_Destroy(connection->handle);
    connection_release(connection, 1);
}
