/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fixtures/cluster.h"

/** *stays: the namespace is there and nobody has asked for its deletion. */
MUST_CHECK int namespace_look(struct cluster *cluster, const char *name, bool *stays, struct error *err);
