/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One watch request, and its events as they come.
 */

#include "kubernetes/kube_events.h"
#include "kubernetes/kube_transport.h"

struct kube_stream {
    struct kube_client *client;
    const struct kube_resource *resource;
    const char *namespace_name; /**< NULL: all */
    struct kube_list_options options;
    kube_on_event on_event;
    void *context;
    int stop_fd; /**< an eventfd that ends it; 0: none */
    int *told;   /**< counts events and bookmarks; NULL: nobody wants to know */
};

/** How a stream ended without an error. */
enum kube_stream_end {
    KUBE_STREAM_OVER = 0, /**< by the server: go on from *resource_version */
    KUBE_STREAM_STOPPED,  /**< by on_event or stop_fd */
};

/**
 * Watch from *resource_version (owned; kept as struct kube_events says) until it ends. Returns enum kube_stream_end, or -1.
 * Errors: KUBE_GONE: list again; those of kube_exchange and kube_events_feed.
 */
MUST_CHECK int kube_stream_run(const struct kube_stream *stream, char **resource_version, struct deadline deadline,
                               struct error *err);
