/* SPDX-License-Identifier: Apache-2.0 */
#include <nats/nats.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * fleet-bench-responder URL USER PASSWORD SUBJECT PAYLOAD: what nats.c alone can do. Answers every request on SUBJECT
 * with PAYLOAD, send-asap, until it is killed.
 */

static void answer(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *payload)
{
    (void)subscription;
    natsConnection_Publish(connection, natsMsg_GetReply(message), payload, (int)strlen(payload));
    natsMsg_Destroy(message);
}

int main(int argc, char **argv)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    natsSubscription *subscription = NULL;

    if (argc != 6) {
        fprintf(stderr, "usage: fleet-bench-responder URL USER PASSWORD SUBJECT PAYLOAD\n");
        return 64;
    }
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = natsOptions_SetURL(options, argv[1]);
    if (status == NATS_OK)
        status = natsOptions_SetUserInfo(options, argv[2], argv[3]);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK)
        status = natsConnection_Connect(&connection, options);
    if (status == NATS_OK)
        status = natsConnection_Subscribe(&subscription, connection, argv[4], answer, argv[5]);
    if (status != NATS_OK) {
        fprintf(stderr, "fleet-bench-responder: %s\n", natsStatus_GetText(status));
        return 1;
    }
    for (;;)
        pause();
}
