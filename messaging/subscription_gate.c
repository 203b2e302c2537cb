/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/subscription_gate.h"

#include "base/thread.h"

#define READ_ON_MS 1000

void subscription_gate_init(struct subscription_gate *gate)
{
    pthread_mutex_init(&gate->mutex, NULL);
    condition_init(&gate->changed);
    gate->open = 0;
}

void subscription_gate_clear(struct subscription_gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
}

static void leave(void *closure)
{
    struct subscription_gate *gate = closure;

    pthread_mutex_lock(&gate->mutex);
    gate->open--;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void subscription_gate_enter(struct subscription_gate *gate, natsSubscription *subscription)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open++;
    pthread_mutex_unlock(&gate->mutex);
    /* It fails when the connection was closed in this very moment; then the handler does not run any more. */
    if (natsSubscription_SetOnCompleteCB(subscription, leave, gate) != NATS_OK)
        leave(gate);
}

bool subscription_gate_wait(struct subscription_gate *gate, struct deadline deadline)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->open > 0 && !deadline_passed(deadline))
        condition_wait_until(&gate->changed, &gate->mutex, deadline.at_ms);
    bool empty = gate->open == 0;
    pthread_mutex_unlock(&gate->mutex);
    return empty;
}

void subscription_end(natsConnection *connection, natsSubscription *subscription)
{
    if (!subscription)
        return;
    /* Not natsSubscription_Unsubscribe(), which would delete a consumer, too: devices may not, and it ends with disuse. It
     * fails when the connection is closed: as good. */
    (void)natsSubscription_AutoUnsubscribe(subscription, 1);
    /* The server's answer to a PING is read after everything that came before. */
    if (natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED &&
        natsConnection_FlushTimeout(connection, READ_ON_MS) == NATS_TIMEOUT)
        return;
    natsSubscription_Destroy(subscription);
}
