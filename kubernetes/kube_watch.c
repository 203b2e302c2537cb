/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "kubernetes/kube_backoff.h"
#include "kubernetes/kube_known.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_stream.h"

enum {
    LIST_MS = 60 * 1000,
    SHORT_LIFE_MS = 1000, /* a watch that ends sooner without a word is no watch */
};

/*
 *            listed                      gone (410)
 *   LIST ──────────────▶ WATCH ───────────────────────▶ LIST
 *    ▲ │ failed: back off  ▲ │ over, broken: back off
 *    └─┘                   └─┘
 */
struct kube_watch {
    struct kube_client *client;
    const struct kube_resource *resource;
    char *namespace_name;
    char *label_selector;
    char *field_selector;
    int page_size;
    struct kube_watch_handler handler;
    int stop_fd;
    pthread_t thread;
    /* of the thread */
    struct kube_known *known;
    char *resource_version; /* NULL: list first */
    bool synced;
    int failures;
};

static struct kube_list_options options_of(const struct kube_watch *watch)
{
    return (struct kube_list_options){watch->label_selector, watch->field_selector, watch->page_size};
}

static bool is_stopped(const struct kube_watch *watch)
{
    return !kube_backoff_wait(0, kube_client_cancel_fd(watch->client), watch->stop_fd);
}

static int on_item(void *context, cJSON *item, struct error *err)
{
    struct kube_watch *watch = context;
    enum kube_known_change change = kube_known_put(watch->known, item);

    (void)err;
    if (change != KUBE_KNOWN_SAME && !is_stopped(watch))
        watch->handler.event(watch->handler.context, change == KUBE_KNOWN_NEW ? KUBE_ADDED : KUBE_MODIFIED, item);
    return 0;
}

static void on_restart(void *context)
{
    struct kube_watch *watch = context;

    kube_known_begin(watch->known);
}

static void on_gone(void *context, cJSON *stub)
{
    struct kube_watch *watch = context;

    json_add_text(stub, "apiVersion", watch->resource->api_version);
    json_add_text(stub, "kind", watch->resource->kind);
    if (!is_stopped(watch))
        watch->handler.event(watch->handler.context, KUBE_DELETED, stub);
}

static int on_event(void *context, enum kube_event event, const cJSON *object, struct error *err)
{
    struct kube_watch *watch = context;

    (void)err;
    if (is_stopped(watch))
        return 1;
    if (event == KUBE_DELETED) {
        if (!kube_known_remove(watch->known, object))
            return 0;
    } else {
        enum kube_known_change change = kube_known_put(watch->known, object);
        if (change == KUBE_KNOWN_SAME)
            return 0;
        event = change == KUBE_KNOWN_NEW ? KUBE_ADDED : KUBE_MODIFIED;
    }
    watch->handler.event(watch->handler.context, event, object);
    return 0;
}

static int list(struct kube_watch *watch, struct error *err)
{
    struct kube_list_options options = options_of(watch);

    kube_known_begin(watch->known);
    if (kube_list_restartable(watch->client, watch->resource, watch->namespace_name, &options, on_item, on_restart,
                              watch, watch->stop_fd, deadline_in_ms(LIST_MS), &watch->resource_version, err) < 0)
        return -1;
    kube_known_sweep(watch->known, on_gone, watch);
    if (!watch->synced && watch->handler.synced && !is_stopped(watch))
        watch->handler.synced(watch->handler.context);
    watch->synced = true;
    return 0;
}

static int follow(struct kube_watch *watch, struct error *err)
{
    int told = 0;
    const struct kube_stream stream = {
        .client = watch->client,
        .resource = watch->resource,
        .namespace_name = watch->namespace_name,
        .options = options_of(watch),
        .on_event = on_event,
        .context = watch,
        .stop_fd = watch->stop_fd,
        .told = &told,
    };
    int64_t began_ms = clock_monotonic_ms();

    int end = kube_stream_run(&stream, &watch->resource_version, DEADLINE_NEVER, err);
    if (told > 0 || (end >= 0 && clock_monotonic_ms() - began_ms >= SHORT_LIFE_MS)) {
        watch->failures = 0;
    } else if (end == KUBE_STREAM_OVER) { /* so might the next, for ever: what changed is in a list */
        free(TAKE_PTR(watch->resource_version));
        return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, "watching", watch->resource->plural,
                         "the server ended the watch at once");
    }
    return end;
}

/* It broke off: with the version we have the next watch goes on where this one ended, unless the server says that it
 * is too old, or did not take it at all. (The stream has none any more after an error among its events.) */
static void break_off(struct kube_watch *watch, const struct error *err)
{
    watch->failures++;
    if (!error_is(err, &kube_error_domain, KUBE_UNAVAILABLE) && !error_is(err, &kube_error_domain, KUBE_THROTTLED)) {
        free(watch->resource_version);
        watch->resource_version = NULL;
    }
    if (watch->handler.trouble && !is_stopped(watch))
        watch->handler.trouble(watch->handler.context, err);
}

static void *run(void *argument)
{
    struct kube_watch *watch = argument;

    pthread_setname_np(pthread_self(), "kube-watch");
    while (!is_stopped(watch)) {
        cleanup_error struct error err = ERROR_INIT;
        int result = watch->resource_version ? follow(watch, &err) : list(watch, &err);
        if (result < 0)
            break_off(watch, &err);
        bool relist_at_once = error_is(&err, &kube_error_domain, KUBE_GONE) && watch->failures <= 1;
        if (watch->failures > 0 && !relist_at_once)
            kube_backoff_wait(kube_backoff_ms(watch->failures), kube_client_cancel_fd(watch->client), watch->stop_fd);
    }
    return NULL;
}

static void destroy(struct kube_watch *watch)
{
    free(watch->namespace_name);
    free(watch->label_selector);
    free(watch->field_selector);
    free(watch->resource_version);
    kube_known_free(watch->known);
    close_fd(watch->stop_fd);
    free(watch);
}

/* Signals are the program's own threads' matter. Returns an errno value. */
static int start_thread(struct kube_watch *watch)
{
    sigset_t all;
    sigset_t former;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int failed = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return failed;
}

int kube_watch_start(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                     const struct kube_list_options *options, const struct kube_watch_handler *handler,
                     struct kube_watch **ret, struct error *err)
{
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0)
        return error_set_errno(err, errno, "starting watch", resource->plural);
    struct kube_watch *watch = NEW(struct kube_watch);
    *watch = (struct kube_watch){
        .client = client,
        .resource = resource,
        .namespace_name = text_copy(namespace_name),
        .label_selector = text_copy(options ? options->label_selector : NULL),
        .field_selector = text_copy(options ? options->field_selector : NULL),
        .page_size = options ? options->page_size : 0,
        .handler = *handler,
        .stop_fd = stop_fd,
        .known = kube_known_new(),
    };
    int failed = start_thread(watch);
    if (failed) {
        destroy(watch);
        return error_set_errno(err, failed, "starting watch", resource->plural);
    }
    *ret = watch;
    return 0;
}

void kube_watch_free(struct kube_watch *watch)
{
    const uint64_t one = 1;

    if (!watch)
        return;
    ssize_t ignored = write(watch->stop_fd, &one, sizeof(one));
    (void)ignored;
    pthread_join(watch->thread, NULL);
    destroy(watch);
}
