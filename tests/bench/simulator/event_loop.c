/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/event_loop.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"

#define EVENTS_AT_ONCE 256

/** A connection's place in the loop; nats.c calls back about it with the connection's lock held. */
struct attached {
    struct event_loop *loop;
    natsConnection *connection;
    int fd; /* -1: detached */
    uint32_t events;
    struct attached *next; /* of all that ever were: the thread may still hold one that was detached */
};

struct event_loop {
    int epoll_fd;
    int stop_fd;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* `all` */
    struct attached *all;
};

static void serve(const struct epoll_event *event)
{
    const struct attached *attached = event->data.ptr;

    /* A broken socket is read from: that tells nats.c. Of a detached connection nats.c ignores both. */
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        natsConnection_ProcessReadEvent(attached->connection);
    if (event->events & EPOLLOUT)
        natsConnection_ProcessWriteEvent(attached->connection);
}

static void *run(void *argument)
{
    const struct event_loop *loop = argument;
    struct epoll_event events[EVENTS_AT_ONCE];

    for (;;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, -1);

        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr) /* the descriptor that says stop */
                return NULL;
            serve(&events[i]);
        }
    }
}

int event_loop_start(struct event_loop **ret, struct error *err)
{
    CLEANUP(event_loop_free) struct event_loop *loop = NEW(struct event_loop);
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};

    pthread_mutex_init(&loop->mutex, NULL);
    loop->stop_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return error_set_errno(err, errno, "making an event loop", NULL);
    loop->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (loop->stop_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &stop) < 0)
        return error_set_errno(err, errno, "making an event loop", NULL);
    int code = pthread_create(&loop->thread, NULL, run, loop);
    if (code != 0)
        return error_set_errno(err, code, "starting a thread", "event loop");
    loop->started = true;
    *ret = TAKE_PTR(loop);
    return 0;
}

void event_loop_free(struct event_loop *loop)
{
    if (!loop)
        return;
    if (loop->started && eventfd_write(loop->stop_fd, 1) == 0)
        pthread_join(loop->thread, NULL);
    close_fd(loop->stop_fd);
    close_fd(loop->epoll_fd);
    while (loop->all) {
        struct attached *attached = loop->all;

        loop->all = attached->next;
        free(attached);
    }
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

static struct attached *attached_new(struct event_loop *loop)
{
    struct attached *attached = NEW(struct attached);

    attached->loop = loop;
    pthread_mutex_lock(&loop->mutex);
    attached->next = loop->all;
    loop->all = attached;
    pthread_mutex_unlock(&loop->mutex);
    return attached;
}

/** Also called after a reconnect, with what the first call stored. */
static natsStatus attach(void **stored, void *closure, natsConnection *connection, natsSock socket)
{
    struct attached *attached = *stored ? *stored : attached_new(closure);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = attached};

    *stored = attached;
    attached->connection = connection;
    attached->fd = socket;
    attached->events = EPOLLIN;
    return epoll_ctl(attached->loop->epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0 ? NATS_SYS_ERROR : NATS_OK;
}

static natsStatus change(struct attached *attached, uint32_t flag, bool add)
{
    uint32_t events = add ? attached->events | flag : attached->events & ~flag;
    struct epoll_event event = {.events = events, .data.ptr = attached};

    if (attached->fd < 0 || events == attached->events)
        return NATS_OK;
    attached->events = events;
    return epoll_ctl(attached->loop->epoll_fd, EPOLL_CTL_MOD, attached->fd, &event) < 0 ? NATS_SYS_ERROR : NATS_OK;
}

static natsStatus change_reading(void *stored, bool add)
{
    return change(stored, EPOLLIN, add);
}

static natsStatus change_writing(void *stored, bool add)
{
    return change(stored, EPOLLOUT, add);
}

static natsStatus detach(void *stored)
{
    struct attached *attached = stored;

    if (attached->fd >= 0)
        (void)epoll_ctl(attached->loop->epoll_fd, EPOLL_CTL_DEL, attached->fd, NULL); /* closed already: as good */
    attached->fd = -1;
    return NATS_OK;
}

natsStatus event_loop_use(struct event_loop *loop, natsOptions *options)
{
    return natsOptions_SetEventLoop(options, loop, attach, change_reading, change_writing, detach);
}
