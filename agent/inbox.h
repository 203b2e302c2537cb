/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the reconciler's worker is told by other threads, in order, and how it waits for that.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "contracts/names.h"

enum command_kind {
    COMMAND_PUT,        /**< deployment, revision, data or refusal */
    COMMAND_DELETE,     /**< deployment */
    COMMAND_BUCKET,     /**< bucket */
    COMMAND_RETAIN,     /**< names */
    COMMAND_REPORT_ALL, /**< – */
    COMMAND_DEATH,      /**< deployment, service, id, exit_code */
    COMMAND_RUNTIME,    /**< data */
    COMMAND_PODMAN_ANSWERS,
};

struct command {
    struct command *next;
    enum command_kind kind;
    char deployment[TOKEN_MAX + 1];
    uint64_t revision;
    uint64_t bucket;
    char *data; /**< terminated */
    size_t size;
    char *refusal; /**< why the value cannot even be looked at; NULL: it can */
    struct text_list names;
    char *service;
    char *id;
    int exit_code;
};
struct command *command_new(enum command_kind kind, const char *deployment);
/** Free a whole chain. NULL is fine. */
void commands_free(struct command *first);

struct inbox;
/** An empty one. Never NULL. */
struct inbox *inbox_new(void);
void inbox_free(struct inbox *inbox);
/** Add a command; the inbox then owns it. */
void inbox_push(struct inbox *inbox, struct command *command);
/** Something changed that the worker looks after by itself: progress or the end of work. */
void inbox_nudge(struct inbox *inbox);
/** A pass is wanted at `at_ms` (0: now); the earliest wins. */
void inbox_want_pass(struct inbox *inbox, int64_t at_ms);
/** End the waiting for good. */
void inbox_stop(struct inbox *inbox);

struct delivery {
    struct command *commands; /**< a chain, oldest first; the caller frees it */
    bool pass_wanted;
};
/** Wait for something, at most until `until_ms` (clock_monotonic_ms(); INT64_MAX: no end). False: stopped. */
bool inbox_wait(struct inbox *inbox, int64_t until_ms, struct delivery *ret);
