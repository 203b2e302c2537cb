/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/headers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "tests/unit/support_nats.h"

#define SUBJECT "headers"
#define WAIT_MS 5000

/* What a sender may put on the wire, and what is then found. nats.c itself would not send half of it. */
static const struct {
    const char *lines;
    const char *id;       /* NULL: there is none */
    const char *deadline; /* the same */
} cases[] = {
    {"X-Id: a\r\nX-Deadline: b\r\n", "a", "b"},
    {"X-Deadline: b\r\nx-id: a\r\n", "a", "b"},
    {"X-ID:a\r\nX-DEADLINE:   b  \r\n", "a", "b"},
    {"Y-Id: a\r\nNo-X-Deadline: b\r\n", NULL, NULL},
    {"X-Other:\r\nX-Id: a\r\nX-Deadline: b\r\n", "a", "b"},
    {"X-Other: \r\nx-deadline: b\r\nX-Id: a\r\n", "a", "b"},
    {"X-Other:\r\nX-Id:\r\nX-Deadline: b\r\n", "", "b"},
    {"X-Id: a\r\nX-Other:\r\n", "a", NULL},
    {"X-Id: a\r\nX-Deadline:\r\n", "a", NULL},
    {"X-Id: a\r\nno colon\r\n", "a", NULL},
    {" X-Id: a\r\n", NULL, NULL},
    {"", NULL, NULL},
};

/** Publish by hand, since nats.c sends only what it would have made itself. */
static int publish(int fd, const char *lines, const char *payload, struct error *err)
{
    cleanup_free char *headers = text_format("NATS/1.0\r\n%s\r\n", lines);
    cleanup_free char *text = text_format("HPUB " SUBJECT " %zu %zu\r\n%s%s\r\n", strlen(headers),
                                          strlen(headers) + strlen(payload), headers, payload);

    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "writing to NATS: %s", strerror(errno));
    return 0;
}

static int check_header(natsMsg *message, const char *name, const char *expected, struct error *err)
{
    const char *value = message_header(message, name);

    CHECK(text_equal(value, expected), "%s is %s", name, value ? value : "not there");
    return 0;
}

/** nats.c looks at the headers of a message without a payload itself, so both kinds count. */
static int check_case(int fd, natsSubscription *subscription, size_t index, const char *payload, struct error *err)
{
    natsMsg *message = NULL;

    TRY(publish(fd, cases[index].lines, payload, err));
    CHECK(natsSubscription_NextMsg(&message, subscription, WAIT_MS) == NATS_OK, "case %zu did not come", index);
    int result = check_header(message, "X-Id", cases[index].id, err);
    if (result == 0)
        result = check_header(message, "X-Deadline", cases[index].deadline, err);
    natsMsg_Destroy(message);
    return result < 0 ? error_wrap(err, "reading", cases[index].lines) : 0;
}

static int check_cases(int fd, natsSubscription *subscription, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        TRY(check_case(fd, subscription, i, "", err));
        TRY(check_case(fd, subscription, i, "{}", err));
    }
    return 0;
}

FLEET_TEST(headers, are_found_as_they_were_meant, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"headers\":true,\"user\":\"" TEST_ADMIN_USER
                                "\",\"pass\":\"" TEST_ADMIN_PASSWORD "\"}\r\n";
    CLEANUP(test_nats_free) struct test_nats *nats = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    natsSubscription *subscription = NULL;
    cleanup_close int fd = -1;

    TRY(test_nats_start(test, &nats, err));
    TRY(test_nats_admin(nats, &connection, err));
    CHECK(natsConnection_SubscribeSync(&subscription, nats_connection_handle(connection), SUBJECT) == NATS_OK,
          "subscribing");
    int result = nats_connection_flush(connection, deadline_in_ms(WAIT_MS), err);
    if (result == 0)
        result = test_nats_dial(nats, &fd, err);
    if (result == 0 && write(fd, hello, sizeof(hello) - 1) < 0)
        result = error_set_errno(err, errno, "writing to", "NATS");
    if (result == 0)
        result = check_cases(fd, subscription, err);
    natsSubscription_Destroy(subscription);
    return result;
}
