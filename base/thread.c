/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

enum {
#ifdef FLEET_SANITIZED
    STACK_SIZE = 1 << 20, /* red zones */
#else
    STACK_SIZE = 256 << 10,
#endif
    GUARD_SIZE = 64 << 10, /* a multiple of every page size there is; an overrun ends here */
};

/** Lowest address of a new stack; NULL with errno. Only what is touched takes memory. */
static void *stack_new(void)
{
    char *mapping = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) < 0) {
        int saved_errno = errno;
        munmap(mapping, GUARD_SIZE + STACK_SIZE);
        errno = saved_errno;
        return NULL;
    }
    return mapping + GUARD_SIZE;
}

static void stack_free(void *stack)
{
    munmap((char *)stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

/** Returns an errno value. */
static int start_on(struct thread *thread, void *(*run)(void *context), void *context)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;

    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, thread->stack, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread->id, &attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failure;
}

int thread_start(struct thread *thread, void *(*run)(void *context), void *context, struct error *err)
{
    thread->stack = stack_new();
    if (!thread->stack)
        return error_set_errno(err, errno, "making the stack of a thread", NULL);
    int failure = start_on(thread, run, context);
    if (failure == 0)
        return 0;
    stack_free(thread->stack);
    return error_set_errno(err, failure, "starting a thread", NULL);
}

void thread_join(struct thread *thread)
{
    pthread_join(thread->id, NULL);
    stack_free(thread->stack);
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    if (until_ms == INT64_MAX)
        pthread_cond_wait(condition, mutex);
    else
        pthread_cond_timedwait(condition, mutex, &until);
}
