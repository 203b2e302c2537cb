/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Networks of a test's own. All of it needs root.
 */

#include "base/error.h"

/** Bring "lo" up in the network namespace of this thread. */
MUST_CHECK int network_bring_up_loopback(struct error *err);
/**
 * Go to a network where no name server ever answers: namespaces of our own (mount, network), for good.
 * @param directory   for a file
 * @param ret_socket  takes what is asked; the caller closes it
 */
MUST_CHECK int network_without_names(const char *directory, int *ret_socket, struct error *err);
