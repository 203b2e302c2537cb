/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every codec of contracts/ is held to, over the files in tests/unit/golden:
 *
 *   <kind>.<case>.json        canonical bytes (and one newline): reading and writing gives them back
 *   <kind>.<case>.input.json  accepted though not canonical: reading and writing gives <kind>.<case>.json
 *   <kind>.refused.json       a list of {"why", "code", "where", "input"}: the value `input` is refused with that
 *                             code, naming that place; instead of `input`, `text` has the bytes themselves
 */

#include <stddef.h>

#include "base/error.h"

/** Decode, encode what was decoded. Caller frees *ret. */
typedef int (*codec_round_trip)(const char *data, size_t size, char **ret, struct error *err);

struct codec_under_test {
    const char *kind; /**< "score" */
    codec_round_trip round_trip;
};

/** Hold the codec to its golden files, of which there must be some of each sort. Errors: check. */
MUST_CHECK int codec_check_golden(const struct codec_under_test *codec, struct error *err);

/** Every example of docs/wire.md that is fenced as "json <kind>" must be accepted; there must be one. Errors: check. */
MUST_CHECK int codec_check_examples(const struct codec_under_test *codec, struct error *err);

/** A limit: `max` items between `before` and `after` are accepted, one more is too large, named at `where`. */
struct codec_limit {
    const char *before;
    const char *item; /**< '#' stands for the item's number */
    const char *separator;
    const char *after;
    size_t max;
    const char *where;
};
MUST_CHECK int codec_check_limit(const struct codec_under_test *codec, const struct codec_limit *limit,
                                 struct error *err);

/** The value must be refused with this code, the detail beginning with `where` and ':'. */
MUST_CHECK int codec_check_refused(const struct codec_under_test *codec, const char *data, size_t size,
                                   const char *code, const char *where, const char *why, struct error *err);
