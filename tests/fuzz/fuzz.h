/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the fuzzers share: a property that does not hold ends the program, which libFuzzer reports with the input.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "contracts/names.h"

/** libFuzzer's entry point. */
/* NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/**
 * Decode, then encode what was decoded. *decoded tells how far it came.
 * On failure *ret is untouched; caller frees it otherwise.
 */
typedef int (*fuzz_codec)(const char *data, size_t size, bool *decoded, char **ret, struct error *err);

/** The properties every codec has, whatever the bytes. `max` is the limit of its values. */
static inline void fuzz_round_trip(fuzz_codec codec, const uint8_t *data, size_t size, size_t max)
{
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_error struct error unexpected = ERROR_INIT;
    cleanup_free char *once = NULL;
    cleanup_free char *twice = NULL;
    bool decoded = false;

    if (codec((const char *)data, size, &decoded, &once, &refused) < 0) {
        REQUIRE(refused.domain == &wire_error_domain, "the error is of another domain");
        REQUIRE(error_root_detail(&refused)[0] != '\0', "the error gives no reason");
        cleanup_free char *text = error_text(&refused);
        REQUIRE(text_is_utf8(text, strlen(text)), "the error is not UTF-8");
        REQUIRE(!once, "refused, but there is a result");
        /* defaults written out may carry a value that was close to its limit over it */
        REQUIRE(!decoded || (refused.code == WIRE_TOO_LARGE && size > max / 8), "decoded, but not encoded: %s", text);
        return;
    }
    if (codec(once, strlen(once), &decoded, &twice, &unexpected) < 0) {
        cleanup_free char *text = error_text(&unexpected);
        REQUIRE(false, "refuses its own words: %s: %s", once, text);
    }
    REQUIRE(text_equal(once, twice), "not canonical: %s then %s", once, twice);
}
