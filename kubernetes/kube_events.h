/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The events of one watch, from the bytes it answers with: one JSON document a line, in whatever pieces they come.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

#include <stddef.h>

#include "base/text.h"
#include "kubernetes/kube_watch.h"

/** Takes each event, but bookmarks. Returns 0 to go on, 1 to end the stream, -1 with *err set to fail. */
typedef int (*kube_on_event)(void *context, enum kube_event event, const cJSON *object, struct error *err);

struct kube_events {
    const char *operation; /**< "watching pods", for errors */
    const char *subject;   /**< for errors; may be NULL */
    kube_on_event on_event;
    void *context;
    char **resource_version; /**< replaced as events and bookmarks come, freed and NULL after an error among them (but
                              *   429): whatever it was, the next watch from there might come to it again */
    int *told;               /**< counts events and bookmarks; NULL: nobody wants to know */
    struct text_buffer line; /**< zero at first; kube_events_clear at the end */
};

/**
 * Take the next bytes. Returns 0 to go on, 1 when on_event ended it, -1 with *err set: KUBE_UNAVAILABLE for what is no
 * event, KUBE_REFUSED for one over 8 MiB, what on_event set, and what the server itself says in an event.
 */
MUST_CHECK int kube_events_feed(struct kube_events *events, const char *data, size_t size, struct error *err);
/** Drop half a line. */
void kube_events_clear(struct kube_events *events);
