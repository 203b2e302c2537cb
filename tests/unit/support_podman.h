/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A podman service that misbehaves as a test wants it to: every connection in a thread of its own.
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "tests/unit/support_http.h"

struct fake_podman;

/**
 * Answer a request ("GET /v4.0.0/libpod/_ping HTTP/1.1…", head and body) on `fd`, by http_server_reply or in pieces.
 * False: it is answered as an idle podman without containers would.
 */
typedef bool (*fake_podman_answer)(void *context, const char *request, int fd);

/** Listen in `directory`. `answer` may be NULL; it is called from the threads of the connections. */
MUST_CHECK int fake_podman_start(const char *directory, fake_podman_answer answer, void *context,
                                 struct fake_podman **ret, struct error *err);
/** Breaks every connection off. NULL is fine. */
void fake_podman_free(struct fake_podman *fake);
DEFINE_CLEANUP(struct fake_podman *, fake_podman_free)
/** Path of its socket. Borrowed. */
const char *fake_podman_socket(const struct fake_podman *fake);
/** Requests so far that began with `prefix`, "POST /v4.0.0/libpod/containers/create" say. */
int fake_podman_count(struct fake_podman *fake, const char *prefix);
