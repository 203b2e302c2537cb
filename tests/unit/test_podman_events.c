/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_events.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline.h"
#include "harness/test.h"
#include "tests/unit/support_podman.h"

#define API "/v4.0.0/libpod"

/** As podman 4.3.1 sends it. */
static const char died[] =
    "{\"status\":\"died\",\"id\":\"c1\",\"from\":\"localhost/web:v1\",\"Type\":\"container\",\"Action\":\"died\","
    "\"Actor\":{\"ID\":\"c1\",\"Attributes\":{\"containerExitCode\":\"137\",\"image\":\"localhost/web:v1\","
    "\"io.harmony.fleet.deployment\":\"hello\",\"io.harmony.fleet.device\":\"pi-01\","
    "\"io.harmony.fleet.service\":\"web\",\"name\":\"fleet.hello.web\"}},\"scope\":\"local\",\"time\":1795232130}\n";

/** What was heard. */
struct ear {
    int event;
    pthread_mutex_t mutex;
    struct text_buffer text;
};

static void hear(struct ear *ear, const char *text)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&ear->mutex);
    text_buffer_format(&ear->text, "%s;", text);
    pthread_mutex_unlock(&ear->mutex);
    if (write(ear->event, &one, sizeof(one)) != sizeof(one))
        abort();
}

static void on_connected(void *context)
{
    hear(context, "connected");
}

static void on_event(void *context, const struct podman_event *event)
{
    cleanup_free char *text =
        text_format("%s %s %s.%s %d", event->action, event->id, event->deployment, event->service, event->exit_code);
    hear(context, text);
}

static void on_version(void *context, const char *version)
{
    (void)context;
    (void)version;
}

/** Two events and the end of the stream, every time. */
static bool send_two(void *context, const char *request, int fd)
{
    (void)context;
    if (!text_starts_with(request,
                          "GET " API "/events?stream=true&filters=%7B%22label%22%3A%5B%22io.harmony.fleet.device"
                          "%3Dpi-01%22%5D%7D "))
        return false;
    http_server_send(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s{\"Action\":\"remove\"}\n", died);
    shutdown(fd, SHUT_RDWR);
    return true;
}

/** The text heard so far contains this. */
struct expectation {
    struct ear *ear;
    const char *text;
};

static int is_heard(void *context, struct text_buffer *state, struct error *err)
{
    const struct expectation *expectation = context;
    uint64_t events;

    if (read(expectation->ear->event, &events, sizeof(events)) < 0 && errno != EAGAIN)
        return error_set_errno(err, errno, "reading an eventfd", NULL);
    pthread_mutex_lock(&expectation->ear->mutex);
    text_buffer_add(state, text_buffer_text(&expectation->ear->text));
    pthread_mutex_unlock(&expectation->ear->mutex);
    return strstr(text_buffer_text(state), expectation->text) != NULL;
}

/** Listen to a fake until `text` is heard. */
static int listen_for(const char *text, const char *socket, struct ear *ear, struct error *err)
{
    const struct podman_listener listener = {
        .connected = on_connected, .event = on_event, .version = on_version, .context = ear};
    const struct wait_options options = {.wake_fd = ear->event};
    struct expectation expectation = {ear, text};
    struct podman_events *events = NULL;

    if (podman_events_start(socket, "pi-01", &listener, &events, err) < 0)
        return -1;
    int result = wait_until("podman to be heard", is_heard, &expectation, &options, deadline_in_ms(20000), err);
    podman_events_free(events);
    return result;
}

FLEET_TEST(podman_events, are_heard_again_after_a_reconnect)
{
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct ear ear = {.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .mutex = PTHREAD_MUTEX_INITIALIZER};

    TRY(fake_podman_start(test->artefacts, send_two, NULL, &fake, err));
    int result = listen_for("connected;died c1 hello.web 137;remove  . 0;connected;died c1 hello.web 137;",
                            fake_podman_socket(fake), &ear, err);
    text_buffer_clear(&ear.text);
    close(ear.event);
    TRY(result);
    return 0;
}
