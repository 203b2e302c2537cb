/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading the values of agent-config.toml: each reader checks type and limits and says file, line and key when it
 * refuses.
 */

#include "agent/config.h"
#include "agent/toml.h"

/** A value, the full name of its key ("nats.urls") and the file it stands in. */
struct setting {
    const char *file;
    const char *key;
    const struct toml_node *node;
    size_t size_max; /**< bytes of a text or path */
};

/** Set CONFIG_… with "loading FILE:LINE: KEY: …". Returns -1. */
int setting_refuse(const struct setting *setting, int code, struct error *err, const char *format, ...)
    PRINTF_LIKE(4, 5);
/** Put the same frame around an error of another domain. Returns -1. */
int setting_wrap(const struct setting *setting, struct error *err);

/** A reader stores its value at `target`, whose type is beside its name. */
typedef int (*setting_reader)(const struct setting *setting, void *target, struct error *err);
MUST_CHECK int setting_read_text(const struct setting *setting, void *target, struct error *err);  /* char * */
MUST_CHECK int setting_read_token(const struct setting *setting, void *target, struct error *err); /* char * */
MUST_CHECK int setting_read_path(const struct setting *setting, void *target, struct error *err);  /* char * */
/** A path that must be readable now, so that a wrong name is found at start and not at the first handshake. */
MUST_CHECK int setting_read_file(const struct setting *setting, void *target, struct error *err); /* char * */
/** A path to a file that only we may read. */
MUST_CHECK int setting_read_secret_file(const struct setting *setting, void *target, struct error *err); /* char * */
MUST_CHECK int setting_read_boolean(const struct setting *setting, void *target, struct error *err);     /* bool */
/** Seconds, whole or not, as milliseconds. */
MUST_CHECK int setting_read_interval(const struct setting *setting, void *target, struct error *err); /* int */
MUST_CHECK int setting_read_urls(const struct setting *setting, void *target, struct error *err); /* struct text_list */
