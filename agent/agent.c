/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/command_server.h"
#include "agent/desired_watch.h"
#include "agent/device_facts.h"
#include "agent/link.h"
#include "agent/main_loop.h"
#include "agent/outbox.h"
#include "agent/reconciler.h"
#include "agent/state_lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

#define FIRST_CONNECT_MS  100 /* the head start commands get over everything else */
#define FAREWELL_MS       200 /* for NATS to take note that commands are not answered any more */
#define DRAIN_MS          300 /* for last states, when told to end */
#define END_MS            700 /* after which nothing is waited for any more */
#define CHECK_INTERVALS   10  /* reconcile intervals between two checks of the watch */
#define CHECK_MIN_MS      1000
#define TROUBLE_REPEAT_MS 600000 /* the same trouble is logged again after this */
#define STALLED_INTERVALS                                                                                              \
    3 /* reconcile intervals without a sign of the reconciler, after which the watchdog is left alone */
#define STALLED_MIN_MS 60000

struct agent {
    const struct agent_config *config;
    struct nats_connection *connection;
    struct command_server *commands;
    struct outbox *outbox;
    struct desired_watch *watch;
    struct reconciler *reconciler;
    int state_fd; /* holds the lock of the state directory */
    int signal_fd;
    int wake_fd; /* an eventfd: something changed that the main loop tells systemd */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct link *link; /* NULL before it is started */
    bool connected;
    bool refused;        /* the first attempt to connect failed */
    uint64_t generation; /* of the handle the commands are subscribed over */
    bool subscribed;     /* the server has the command subscription */
    int trouble_code;    /* last logged */
    int64_t trouble_at_ms;
};

static void wake_main(struct agent *agent)
{
    uint64_t one = 1;

    if (write(agent->wake_fd, &one, sizeof(one)) < 0)
        log_debug("the main loop is awake already");
}

/* Callbacks of the reconciler (from its worker thread): they only leave a note in the outbox. */

static void wake_link(struct agent *agent)
{
    pthread_mutex_lock(&agent->mutex); /* also keeps the link from being freed meanwhile */
    if (agent->link)
        link_wake(agent->link);
    pthread_mutex_unlock(&agent->mutex);
}

static void on_state_changed(void *context, const char *deployment, const struct device_state *state)
{
    struct agent *agent = context;
    cleanup_error struct error failure = ERROR_INIT;
    struct wire_key key;
    char *value = NULL;

    if (device_state_key(agent->config->device_id, deployment, &key, &failure) < 0 ||
        device_state_encode(state, &value, &failure) < 0) {
        log_failure("state not reported", &failure, LOG_TEXT("deployment", deployment));
        return;
    }
    outbox_put(agent->outbox, BUCKET_DEVICE_STATE, key.text, value);
    wake_link(agent);
}

static void on_state_removed(void *context, const char *deployment)
{
    struct agent *agent = context;
    cleanup_error struct error failure = ERROR_INIT;
    struct wire_key key;

    if (device_state_key(agent->config->device_id, deployment, &key, &failure) < 0) {
        log_failure("state not deleted", &failure, LOG_TEXT("deployment", deployment));
        return;
    }
    outbox_delete(agent->outbox, BUCKET_DEVICE_STATE, key.text);
    wake_link(agent);
}

static void on_runtime_seen(void *context, const char *runtime)
{
    struct agent *agent = context;
    CLEANUP(device_info_free) struct device_info *info = device_facts(agent->config, FLEET_VERSION, runtime);
    cleanup_error struct error failure = ERROR_INIT;
    struct wire_key key;
    char *value = NULL;

    if (device_info_key(agent->config->device_id, &key, &failure) < 0 ||
        device_info_encode(info, &value, &failure) < 0) {
        log_failure("device-info not reported", &failure);
        return;
    }
    outbox_put(agent->outbox, BUCKET_DEVICE_INFO, key.text, value);
    wake_link(agent);
}

/* What the desired-state watch says goes to the reconciler, which queues it. */

static void on_desired_bucket(void *context, uint64_t bucket)
{
    struct agent *agent = context;

    reconciler_bucket(agent->reconciler, bucket);
}

static void on_desired_put(void *context, const char *deployment, uint64_t revision, const char *data, size_t size)
{
    struct agent *agent = context;

    reconciler_put(agent->reconciler, deployment, revision, data, size);
}

static void on_desired_deleted(void *context, const char *deployment)
{
    struct agent *agent = context;

    reconciler_delete(agent->reconciler, deployment);
}

static void on_desired_retain(void *context, const char *const *deployments, size_t count)
{
    struct agent *agent = context;

    reconciler_retain(agent->reconciler, deployments, count);
}

/* Callbacks of the link, from its thread. */

static char *make_heartbeat(void *context)
{
    struct agent *agent = context;
    struct device_heartbeat heartbeat = {.uptime_s = command_server_uptime_s(agent->commands),
                                         .agent_version = (char *)FLEET_VERSION};
    cleanup_error struct error failure = ERROR_INIT;
    char *value = NULL;

    clock_rfc3339(heartbeat.time);
    if (device_heartbeat_encode(&heartbeat, &value, &failure) < 0)
        log_failure("no heartbeat", &failure);
    return value;
}

static void on_link_ready(void *context)
{
    struct agent *agent = context;

    pthread_mutex_lock(&agent->mutex);
    agent->subscribed = true;
    pthread_mutex_unlock(&agent->mutex);
    wake_main(agent);
}

/* Callbacks of the connection, from its threads. */

/** A new handle has no subscriptions yet; the first thing it gets is the command server's. */
static void subscribe_commands(struct agent *agent, struct nats_connection *connection)
{
    cleanup_error struct error failure = ERROR_INIT;
    uint64_t generation = nats_connection_generation(connection);

    if (agent->generation == generation)
        return;
    if (command_server_subscribe(agent->commands, nats_connection_handle(connection), &failure) < 0)
        log_failure("commands cannot be received", &failure); /* it is lost again; the next connect will do */
    else
        agent->generation = generation;
}

static void on_connection_change(void *context, bool connected)
{
    struct agent *agent = context;

    pthread_mutex_lock(&agent->mutex); /* connect_nats() holds it until the connection is known */
    struct nats_connection *connection = agent->connection;
    pthread_mutex_unlock(&agent->mutex);
    if (connected)
        subscribe_commands(agent, connection);
    log_info(connected ? "connected to NATS" : "connection to NATS lost");
    pthread_mutex_lock(&agent->mutex);
    agent->connected = connected;
    agent->subscribed = false;
    agent->trouble_at_ms = 0;
    if (agent->link)
        link_connected(agent->link, connected);
    pthread_cond_broadcast(&agent->changed);
    pthread_mutex_unlock(&agent->mutex);
    wake_main(agent);
}

static void on_connection_trouble(void *context, const struct error *trouble)
{
    struct agent *agent = context;
    int64_t now_ms = clock_monotonic_ms();

    pthread_mutex_lock(&agent->mutex);
    bool news = agent->trouble_at_ms == 0 || agent->trouble_code != trouble->code ||
                now_ms - agent->trouble_at_ms >= TROUBLE_REPEAT_MS;
    if (news) {
        agent->trouble_at_ms = now_ms;
        agent->trouble_code = trouble->code;
    }
    agent->refused = true;
    if (trouble->code == NATS_MISSED_HEARTBEAT && agent->link)
        link_doubt(agent->link); /* the server's end of the watch is gone: the bucket was deleted, say */
    pthread_cond_broadcast(&agent->changed);
    pthread_mutex_unlock(&agent->mutex);
    if (news)
        log_trouble("NATS", trouble);
}

/** The signals that the main loop reads; every thread leaves them to it. */
static sigset_t handled_signals(void)
{
    sigset_t handled;

    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    return handled;
}

void agent_block_signals(void)
{
    sigset_t handled = handled_signals();

    signal(SIGPIPE, SIG_IGN); /* a connection that breaks is an error like any other */
    pthread_sigmask(SIG_BLOCK, &handled, NULL);
}

static int open_descriptors(struct agent *agent, struct error *err)
{
    sigset_t handled = handled_signals();

    agent->signal_fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (agent->signal_fd < 0)
        return error_set_errno(err, errno, "opening a signalfd", NULL);
    agent->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (agent->wake_fd < 0)
        return error_set_errno(err, errno, "opening an eventfd", NULL);
    return 0;
}

static struct nats_settings settings_of(const struct agent_config *config)
{
    return (struct nats_settings){
        .urls = (const char *const *)config->nats_urls.items,
        .credentials = config->credentials,
        .ca_file = config->ca_file,
        .cert_file = config->cert_file,
        .key_file = config->key_file,
        .wait_for_server = true,
        .reconnect = true,
    };
}

int agent_check(const struct agent_config *config, struct error *err)
{
    struct nats_settings settings = settings_of(config);

    if (!config->ca_file && !config->cert_file)
        return 0;
    nats_library_start();
    return nats_settings_check(&settings, err);
}

static int connect_nats(struct agent *agent, struct error *err)
{
    const struct agent_config *config = agent->config;
    cleanup_free char *name = text_format("harmony-fleet-agent %s", config->device_id);
    struct nats_settings settings = settings_of(config);

    settings.name = name;
    settings.on_change = on_connection_change;
    settings.on_trouble = on_connection_trouble;
    settings.context = agent;

    pthread_mutex_lock(&agent->mutex);
    int result = nats_connection_open(&settings, &agent->connection, err);
    pthread_mutex_unlock(&agent->mutex);
    return result;
}

/** Let the connection have its head start: ping is answered before podman is looked at. */
static void await_first_connect(struct agent *agent)
{
    int64_t until_ms = clock_monotonic_ms() + FIRST_CONNECT_MS;

    pthread_mutex_lock(&agent->mutex);
    while (!agent->connected && !agent->refused && clock_monotonic_ms() < until_ms)
        condition_wait_until(&agent->changed, &agent->mutex, until_ms);
    pthread_mutex_unlock(&agent->mutex);
}

static int start_reconciler(struct agent *agent, struct error *err)
{
    const struct agent_config *config = agent->config;
    struct reconciler_options options = {
        .device_id = config->device_id,
        .state_directory = config->state_directory,
        .podman_socket = config->podman_socket,
        .runtime_enabled = config->runtime_enabled,
        .interval_ms = config->reconcile_interval_ms,
        .sink = {on_state_changed, on_state_removed, on_runtime_seen, agent},
    };

    return reconciler_new(&options, &agent->reconciler, err);
}

static int start_link(struct agent *agent, struct error *err)
{
    const struct agent_config *config = agent->config;
    int64_t check_ms = (int64_t)config->reconcile_interval_ms * CHECK_INTERVALS;
    struct link_options options = {
        .device_id = config->device_id,
        .connection = agent->connection,
        .outbox = agent->outbox,
        .watch = agent->watch,
        .heartbeat_interval_ms = config->heartbeat_interval_ms,
        .check_interval_ms = (int)(check_ms < CHECK_MIN_MS ? CHECK_MIN_MS : check_ms),
        .make_heartbeat = make_heartbeat,
        .on_ready = on_link_ready,
        .context = agent,
    };
    struct link *link = NULL;

    if (link_start(&options, &link, err) < 0)
        return -1;
    pthread_mutex_lock(&agent->mutex);
    agent->link = link;
    if (agent->connected)
        link_connected(link, true);
    pthread_mutex_unlock(&agent->mutex);
    return 0;
}

static int start(struct agent *agent, struct error *err)
{
    const struct agent_config *config = agent->config;
    struct desired_sink sink = {on_desired_bucket, on_desired_put, on_desired_deleted, on_desired_retain, agent};

    agent->outbox = outbox_new();
    if (state_lock_take(config->state_directory, &agent->state_fd, err) < 0 || open_descriptors(agent, err) < 0 ||
        command_server_new(config->device_id, FLEET_VERSION, &agent->commands, err) < 0 ||
        desired_watch_new(config->device_id, &sink, &agent->watch, err) < 0)
        return -1;
    nats_library_start();
    if (connect_nats(agent, err) < 0)
        return -1;
    await_first_connect(agent);
    on_runtime_seen(agent, NULL);
    return start_reconciler(agent, err) < 0 || start_link(agent, err) < 0 ? -1 : 0;
}

/* What the main loop asks. */

static bool is_ready(void *context, const char **status)
{
    struct agent *agent = context;

    pthread_mutex_lock(&agent->mutex);
    bool ready = agent->subscribed || !agent->connected; /* a device that is offline is ready all the same */
    *status = agent->connected ? "connected to NATS" : "not connected to NATS, trying";
    pthread_mutex_unlock(&agent->mutex);
    return ready;
}

static uint64_t progress(void *context)
{
    struct agent *agent = context;

    return reconciler_turns(agent->reconciler);
}

static int loop(struct agent *agent, struct error *err)
{
    int64_t stalled_ms = (int64_t)agent->config->reconcile_interval_ms * STALLED_INTERVALS;
    struct main_loop_options options = {
        .signal_fd = agent->signal_fd,
        .wake_fd = agent->wake_fd,
        .stalled_ms = stalled_ms < STALLED_MIN_MS ? STALLED_MIN_MS : stalled_ms,
        .is_ready = is_ready,
        .progress = progress,
        .context = agent,
    };

    return main_loop_run(&options, err);
}

static volatile sig_atomic_t end_code;

static void end_at_once(int signal __attribute__((unused)))
{
    _exit(end_code);
}

/*
 * Nothing that is still to be done is worth more than ending in time: what the reconciler needs is on disk already, and
 * nats.c holds its lock for as long as an attempt to connect takes.
 */
static void limit_end(int code)
{
    struct itimerval timer = {.it_value = {.tv_usec = END_MS * 1000}};

    end_code = code;
    signal(SIGALRM, end_at_once);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/** Say good-bye: to whoever asks from now on the device is offline, and not one that does not answer. */
static void end_commands(struct agent *agent)
{
    cleanup_error struct error lost = ERROR_INIT;

    if (!agent->commands || !nats_connection_is_up(agent->connection))
        return;
    command_server_stop(agent->commands);
    if (nats_connection_flush(agent->connection, deadline_in_ms(FAREWELL_MS), &lost) < 0)
        log_debug("NATS was not told of the end", LOG_TEXT("error", error_root_detail(&lost)));
}

/** In the order that leaves nobody calling into what is gone. */
static void stop(struct agent *agent)
{
    end_commands(agent);
    pthread_mutex_lock(&agent->mutex);
    struct link *link = TAKE_PTR(agent->link);
    pthread_mutex_unlock(&agent->mutex);
    if (link)
        link_drain(link, deadline_in_ms(DRAIN_MS));
    if (agent->connection)
        nats_connection_close(agent->connection); /* ends whatever call the link is still in */
    link_free(link);
    desired_watch_free(agent->watch);
    reconciler_free(agent->reconciler);
    command_server_free(agent->commands);
    nats_connection_free(agent->connection);
    outbox_free(agent->outbox);
    close_fd(agent->signal_fd);
    close_fd(agent->wake_fd);
    close_fd(agent->state_fd);
    pthread_cond_destroy(&agent->changed);
    pthread_mutex_destroy(&agent->mutex);
    nats_library_stop();
}

int agent_run(const struct agent_config *config, struct error *err)
{
    struct agent agent = {.config = config, .state_fd = -1, .signal_fd = -1, .wake_fd = -1};
    int result;

    pthread_mutex_init(&agent.mutex, NULL);
    condition_init(&agent.changed);
    log_info("starting", LOG_TEXT("device", config->device_id), LOG_TEXT("version", FLEET_VERSION));
    result = start(&agent, err);
    if (result == 0)
        result = loop(&agent, err);
    limit_end(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    stop(&agent);
    return result;
}
