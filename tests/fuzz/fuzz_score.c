/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/score.h"
#include "tests/fuzz/fuzz.h"

static int round_trip(const char *data, size_t size, bool *decoded, char **ret, struct error *err)
{
    CLEANUP(score_free) struct score *score = NULL;

    if (score_decode(data, size, &score, err) < 0)
        return -1;
    *decoded = true;
    return score_encode(score, ret, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(round_trip, data, size, SCORE_VALUE_MAX);
    return 0;
}
