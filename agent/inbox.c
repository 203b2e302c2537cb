/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/inbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/deadline.h"
#include "base/memory.h"
#include "base/thread.h"

struct inbox {
    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t condition;
    struct command *first;
    struct command **end;
    bool nudged;
    bool stopped;
    int64_t pass_ms; /* when a pass is wanted; INT64_MAX: it is not */
};

struct command *command_new(enum command_kind kind, const char *deployment)
{
    struct command *command = NEW(struct command);

    command->kind = kind;
    if (deployment)
        snprintf(command->deployment, sizeof(command->deployment), "%s", deployment);
    return command;
}

void commands_free(struct command *first)
{
    while (first) {
        struct command *next = first->next;
        free(first->data);
        free(first->refusal);
        text_list_clear(&first->names);
        free(first->service);
        free(first->id);
        free(first);
        first = next;
    }
}

struct inbox *inbox_new(void)
{
    struct inbox *inbox = NEW(struct inbox);

    pthread_mutex_init(&inbox->mutex, NULL);
    condition_init(&inbox->condition);
    inbox->end = &inbox->first;
    inbox->pass_ms = INT64_MAX;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    commands_free(inbox->first);
    pthread_cond_destroy(&inbox->condition);
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox);
}

void inbox_push(struct inbox *inbox, struct command *command)
{
    pthread_mutex_lock(&inbox->mutex);
    *inbox->end = command;
    inbox->end = &command->next;
    pthread_cond_signal(&inbox->condition);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_nudge(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    inbox->nudged = true;
    pthread_cond_signal(&inbox->condition);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_want_pass(struct inbox *inbox, int64_t at_ms)
{
    pthread_mutex_lock(&inbox->mutex);
    if (at_ms < inbox->pass_ms) {
        inbox->pass_ms = at_ms;
        pthread_cond_signal(&inbox->condition);
    }
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_stop(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    inbox->stopped = true;
    pthread_cond_signal(&inbox->condition);
    pthread_mutex_unlock(&inbox->mutex);
}

/** With the mutex held: is there a reason to return? */
static bool has_news(const struct inbox *inbox, int64_t until_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    return inbox->stopped || inbox->nudged || inbox->first || now_ms >= inbox->pass_ms || now_ms >= until_ms;
}

bool inbox_wait(struct inbox *inbox, int64_t until_ms, struct delivery *ret)
{
    pthread_mutex_lock(&inbox->mutex);
    while (!has_news(inbox, until_ms))
        condition_wait_until(&inbox->condition, &inbox->mutex, until_ms < inbox->pass_ms ? until_ms : inbox->pass_ms);
    ret->commands = TAKE_PTR(inbox->first);
    inbox->end = &inbox->first;
    inbox->nudged = false;
    ret->pass_wanted = clock_monotonic_ms() >= inbox->pass_ms;
    if (ret->pass_wanted)
        inbox->pass_ms = INT64_MAX;
    bool go_on = !inbox->stopped;
    pthread_mutex_unlock(&inbox->mutex);
    return go_on;
}
