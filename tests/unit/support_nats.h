/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A nats-server of a test's own, for unit tests of what talks to NATS: it lives in the test's artefacts and dies with
 * the test's process.
 */

#include "base/process.h"
#include "harness/test.h"
#include "messaging/connection.h"

#define TEST_ADMIN_USER      "admin"
#define TEST_ADMIN_PASSWORD  "admin-pass"
#define TEST_DEVICE_USER     "device"
#define TEST_DEVICE_PASSWORD "device-pass"
#define TEST_BOUND_USER      "bound" /* may not make a bucket, as a device of FleetNatsScore's may not */
#define TEST_BOUND_PASSWORD  "bound-pass"

struct test_nats;
/** Start one with JetStream and these users, on a free port. */
MUST_CHECK int test_nats_start(struct test_context *test, struct test_nats **ret, struct error *err);
/** Signal it; SIGKILL and SIGTERM also wait for its end. */
MUST_CHECK int test_nats_signal(struct test_nats *nats, int signal, struct error *err);
/** Start it again on its port and store; `device_password` replaces the device's, as it stands between quotes in
 * the configuration (NULL: as it was). */
MUST_CHECK int test_nats_restart(struct test_nats *nats, const char *device_password, struct error *err);
/** A raw TCP connection to it, for what nats.c would not send. */
MUST_CHECK int test_nats_dial(const struct test_nats *nats, int *fd, struct error *err);
const char *test_nats_url(const struct test_nats *nats);
/** Connect as the administrator. */
MUST_CHECK int test_nats_admin(struct test_nats *nats, struct nats_connection **ret, struct error *err);
/** Open without credentials, again and again until the server is there. */
MUST_CHECK int test_open_when_up(const char *const *urls, struct nats_connection **ret, struct error *err);
/** Wait until the connection is up and JetStream answers. */
MUST_CHECK int test_wait_up(struct nats_connection *connection, struct error *err);
void test_nats_free(struct test_nats *nats);
DEFINE_CLEANUP(struct test_nats *, test_nats_free)

/** A TCP port nobody listens on just now. */
MUST_CHECK int test_free_port(int *ret, struct error *err);
