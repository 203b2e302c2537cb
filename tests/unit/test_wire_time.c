/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/wire_time.h"

#include <inttypes.h>

#include "base/text.h"
#include "contracts/names.h"
#include "harness/test.h"

static const struct {
    const char *text;
    int64_t ms;
    const char *canonical;
} instants[] = {
    {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"},
    {"1970-01-01T00:00:00.001Z", 1, "1970-01-01T00:00:00.001Z"},
    {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
    {"1969-12-31T23:59:59Z", -1000, "1969-12-31T23:59:59.000Z"},
    {"2026-11-21T03:00:00.000Z", INT64_C(1795230000000), "2026-11-21T03:00:00.000Z"},
    {"2026-11-21t03:00:00z", INT64_C(1795230000000), "2026-11-21T03:00:00.000Z"},
    {"2026-11-21T03:00:00.5Z", INT64_C(1795230000500), "2026-11-21T03:00:00.500Z"},
    {"2026-11-21T03:00:00.9999999999999999999999Z", INT64_C(1795230000999), "2026-11-21T03:00:00.999Z"},
    {"2026-11-21T05:30:00+02:30", INT64_C(1795230000000), "2026-11-21T03:00:00.000Z"},
    {"2026-11-20T22:00:00-05:00", INT64_C(1795230000000), "2026-11-21T03:00:00.000Z"},
    {"2026-11-21T03:00:00-00:00", INT64_C(1795230000000), "2026-11-21T03:00:00.000Z"},
    {"2026-11-21T23:59:59+23:59", INT64_C(1795219259000), "2026-11-21T00:00:59.000Z"},
    {"2024-02-29T12:00:00Z", INT64_C(1709208000000), "2024-02-29T12:00:00.000Z"},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
    /* a leap second counts as the one after it */
    {"2016-12-31T23:59:60Z", INT64_C(1483228800000), "2017-01-01T00:00:00.000Z"},
    {"2016-12-31T15:59:60.5-08:00", INT64_C(1483228800500), "2017-01-01T00:00:00.500Z"},
    {"0000-01-01T00:00:00Z", INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
    {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
};

FLEET_TEST(wire_time, instants)
{
    for (size_t i = 0; i < ARRAY_SIZE(instants); i++) {
        char text[RFC3339_SIZE];
        int64_t ms;
        TRY(wire_time_parse(instants[i].text, &ms, err));
        CHECK(ms == instants[i].ms, "%s is %" PRId64 ", wanted %" PRId64, instants[i].text, ms, instants[i].ms);
        TRY(wire_time_format(ms, text, err));
        CHECK(text_equal(text, instants[i].canonical), "%s becomes %s", instants[i].text, text);
    }
    return 0;
}

static const char *const not_instants[] = {
    "",
    "now",
    "1795230000",
    "2026-11-21",
    "2026-11-21T03:00:00",
    "2026-11-21 03:00:00Z",
    "2026-11-21T03:00Z",
    "2026-11-21T03:00:00.Z",
    "2026-11-21T03:00:00,5Z",
    "2026-11-21T03:00:00Z ",
    " 2026-11-21T03:00:00Z",
    "2026-11-21T03:00:00ZZ",
    "2026-11-21T03:00:00+01",
    "2026-11-21T03:00:00+0100",
    "2026-11-21T03:00:00+24:00",
    "2026-11-21T03:00:00+01:60",
    "2026-11-21T24:00:00Z",
    "2026-11-21T03:60:00Z",
    "2026-11-21T03:00:61Z",
    "2026-11-21T03:00:60Z",
    "2026-11-21T23:59:60+01:00",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-00T00:00:00Z",
    "2026-1-1T00:00:00Z",
    "20261121T030000Z",
    "+2026-11-21T03:00:00Z",
    "-001-01-01T00:00:00Z",
    "12026-11-21T03:00:00Z",
    "2026-11-21T03:00:0\xd9\xa3Z",
    /* outside the years that can be written */
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:60Z",
};

FLEET_TEST(wire_time, what_is_not_an_instant)
{
    int64_t ms = 7;

    for (size_t i = 0; i < ARRAY_SIZE(not_instants); i++) {
        cleanup_error struct error refused = ERROR_INIT;
        CHECK(wire_time_parse(not_instants[i], &ms, &refused) < 0, "\"%s\" is %" PRId64, not_instants[i], ms);
        CHECK(error_is(&refused, &wire_error_domain, WIRE_MALFORMED), "\"%s\": code %d", not_instants[i], refused.code);
    }
    CHECK(ms == 7, "touched: %" PRId64, ms);
    return 0;
}

FLEET_TEST(wire_time, cannot_be_written)
{
    static const int64_t outside[] = {INT64_MIN, INT64_C(-62167219200001), INT64_C(253402300800000), INT64_MAX};
    char text[RFC3339_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        CHECK_FAILS(wire_time_format(outside[i], text, err), wire_error_domain, WIRE_MALFORMED);
    return 0;
}

/* Every day of eight centuries, both ways: a calendar that is wrong anywhere is wrong here. */
FLEET_TEST(wire_time, every_day_there_and_back)
{
    for (int64_t day = -146097; day <= 146097; day++) {
        char text[RFC3339_SIZE];
        int64_t ms;
        TRY(wire_time_format(day * 86400000 + 43200123, text, err));
        TRY(wire_time_parse(text, &ms, err));
        CHECK(ms == day * 86400000 + 43200123, "%s is %" PRId64, text, ms);
    }
    return 0;
}

FLEET_TEST(wire_time, reads_the_clock)
{
    char text[RFC3339_SIZE];
    char again[RFC3339_SIZE];
    int64_t ms;

    clock_rfc3339(text);
    TRY(wire_time_parse(text, &ms, err));
    TRY(wire_time_format(ms, again, err));
    CHECK(text_equal(text, again), "%s becomes %s", text, again);
    return 0;
}
