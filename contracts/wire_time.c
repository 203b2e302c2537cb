/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/wire_time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "contracts/codec.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define INSTANT_FIRST_S INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define INSTANT_LAST_S  INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

/** A date and time as written, before its offset is taken off. */
struct written_time {
    int year, month, day, hour, minute, second;
    int milliseconds;
    int offset_minutes;
};

/** Take exactly `digits` digits from *text as a number within [minimum, maximum]. */
static bool take_number(const char **text, int digits, int minimum, int maximum, int *ret)
{
    int number = 0;

    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        number = number * 10 + (**text - '0');
    }
    *ret = number;
    return number >= minimum && number <= maximum;
}

/** Take one of the two characters (a letter in both its cases, or the same twice). */
static bool take_either(const char **text, char first, char second)
{
    if (**text != first && **text != second)
        return false;
    (*text)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_date(const char **text, struct written_time *ret)
{
    return take_number(text, 4, 0, 9999, &ret->year) && take_either(text, '-', '-') &&
           take_number(text, 2, 1, 12, &ret->month) && take_either(text, '-', '-') &&
           take_number(text, 2, 1, days_in_month(ret->year, ret->month), &ret->day);
}

/** ".123456": one digit at least, any number of them; what is finer than a millisecond is dropped. */
static bool take_fraction(const char **text, struct written_time *ret)
{
    int digits = 0;

    if (!take_either(text, '.', '.'))
        return true;
    for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
        if (digits < 3)
            ret->milliseconds = ret->milliseconds * 10 + (**text - '0');
    }
    for (int scale = digits; scale < 3; scale++)
        ret->milliseconds *= 10;
    return digits > 0;
}

static bool take_offset(const char **text, struct written_time *ret)
{
    int sign = **text == '-' ? -1 : 1;
    int hours;
    int minutes;

    if (take_either(text, 'Z', 'z'))
        return true;
    if (!take_either(text, '+', '-') || !take_number(text, 2, 0, 23, &hours) || !take_either(text, ':', ':') ||
        !take_number(text, 2, 0, 59, &minutes))
        return false;
    ret->offset_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool take_time(const char **text, struct written_time *ret)
{
    /* 60: a leap second, allowed where one can be, see written_seconds() */
    return take_either(text, 'T', 't') && take_number(text, 2, 0, 23, &ret->hour) && take_either(text, ':', ':') &&
           take_number(text, 2, 0, 59, &ret->minute) && take_either(text, ':', ':') &&
           take_number(text, 2, 0, 60, &ret->second) && take_fraction(text, ret) && take_offset(text, ret);
}

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in years that begin in March. */
static int64_t days_from_epoch(int year, int month, int day)
{
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t era = (march_year >= 0 ? march_year : march_year - 399) / 400;
    int64_t year_of_era = march_year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/** Seconds since the epoch in UTC; false for an instant that cannot be. */
static bool written_seconds(const struct written_time *written, int64_t *ret)
{
    int64_t minute_start = days_from_epoch(written->year, written->month, written->day) * SECONDS_PER_DAY +
                           written->hour * 3600 + (written->minute - written->offset_minutes) * 60;

    /* leap seconds are inserted at the end of a UTC day; POSIX time counts them as the second that follows */
    if (written->second == 60 && (minute_start + 60) % SECONDS_PER_DAY != 0)
        return false;
    *ret = minute_start + written->second;
    return *ret >= INSTANT_FIRST_S && *ret <= INSTANT_LAST_S;
}

int wire_time_parse(const char *text, int64_t *ret_ms, struct error *err)
{
    struct written_time written = {0};
    const char *at = text;
    int64_t seconds;

    if (!take_date(&at, &written) || !take_time(&at, &written) || *at != '\0' || !written_seconds(&written, &seconds)) {
        cleanup_free char *shown = text_excerpt(text);
        return error_set(err, &wire_error_domain, WIRE_MALFORMED, "reading a time", NULL,
                         "\"%s\" is not an RFC 3339 instant such as 2026-11-21T03:00:00.000Z", shown);
    }
    *ret_ms = seconds * 1000 + written.milliseconds;
    return 0;
}

int wire_time_format(int64_t ms, char ret[RFC3339_SIZE], struct error *err)
{
    int64_t milliseconds = ((ms % 1000) + 1000) % 1000;
    int64_t seconds = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    char text[64]; /* room for what the compiler believes possible */
    struct tm parts;

    if (seconds < INSTANT_FIRST_S || seconds > INSTANT_LAST_S)
        return error_set(err, &wire_error_domain, WIRE_MALFORMED, "writing a time", NULL,
                         "%lld ms since 1970 is outside the years 0000 to 9999", (long long)ms);
    time_t instant = (time_t)seconds;
    gmtime_r(&instant, &parts);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
             parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)milliseconds);
    memcpy(ret, text, RFC3339_SIZE - 1);
    ret[RFC3339_SIZE - 1] = '\0';
    return 0;
}
