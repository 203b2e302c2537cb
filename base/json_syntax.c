/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_syntax.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

/* The longest number cJSON reads whole; more digits than any double has. */
#define NUMBER_MAX 63

struct scanner {
    const char *data;
    size_t size;
    size_t at;
    char *repair; /* the same bytes, to be changed where they are JSON that cannot be held; NULL: that is refused */
    const char *problem; /* what is wrong at `at`; NULL while all is well */
};

static bool refuse(struct scanner *scanner, const char *problem)
{
    scanner->problem = problem;
    return false;
}

/* The byte at the scanner, -1 at the end. */
static int peek(const struct scanner *scanner)
{
    return scanner->at < scanner->size ? (unsigned char)scanner->data[scanner->at] : -1;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static void skip_space(struct scanner *scanner)
{
    for (;;) {
        int byte = peek(scanner);
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return;
        scanner->at++;
    }
}

/* Four hex digits after "\u"; the scanner stands on the first. */
static bool scan_hex(struct scanner *scanner, unsigned *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, scanner->at++) {
        int byte = peek(scanner);
        if (is_digit(byte))
            *ret = *ret * 16 + (unsigned)(byte - '0');
        else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
            *ret = *ret * 16 + (unsigned)((byte | 0x20) - 'a' + 10);
        else
            return refuse(scanner, "expected four hexadecimal digits after \\u");
    }
    return true;
}

/* "\uXXXX", a pair of them for a character beyond U+FFFF; the scanner stands on the first digit. */
static bool scan_unicode(struct scanner *scanner)
{
    size_t begin = scanner->at;
    unsigned first;
    unsigned second = 0;

    if (!scan_hex(scanner, &first))
        return false;
    if (first >= 0xd800 && first <= 0xdbff) {
        if (scanner->size - scanner->at >= 2 && memcmp(scanner->data + scanner->at, "\\u", 2) == 0) {
            scanner->at += 2;
            if (!scan_hex(scanner, &second))
                return false;
        }
        if (second >= 0xdc00 && second <= 0xdfff)
            return true;
    } else if (first != 0 && (first < 0xdc00 || first > 0xdfff)) {
        return true;
    }
    if (first == 0 && scanner->repair) {
        memcpy(scanner->repair + begin, "ffff", 4);
        return true;
    }
    scanner->at = begin;
    return refuse(scanner, first == 0 ? "a string cannot hold \\u0000" : "half of a surrogate pair");
}

/* After a backslash. */
static bool scan_escape(struct scanner *scanner)
{
    int byte = peek(scanner);

    if (byte == 'u') {
        scanner->at++;
        return scan_unicode(scanner);
    }
    if (byte <= 0 || !strchr("\"\\/bfnrt", byte))
        return refuse(scanner, "unknown escape in a string");
    scanner->at++;
    return true;
}

/* The scanner stands on the opening quote. */
static bool scan_string(struct scanner *scanner)
{
    scanner->at++;
    for (;;) {
        int byte = peek(scanner);
        if (byte < 0)
            return refuse(scanner, "a string is not closed");
        if (byte < 0x20)
            return refuse(scanner, "a control character in a string must be escaped");
        if (byte == '"') {
            scanner->at++;
            return true;
        }
        if (byte == '\\') {
            scanner->at++;
            if (!scan_escape(scanner))
                return false;
            continue;
        }
        size_t length = text_utf8_character(scanner->data + scanner->at, scanner->size - scanner->at);
        if (length == 0)
            return refuse(scanner, "a string is not UTF-8");
        scanner->at += length;
    }
}

static bool scan_digits(struct scanner *scanner)
{
    if (!is_digit(peek(scanner)))
        return refuse(scanner, "expected a digit");
    while (is_digit(peek(scanner)))
        scanner->at++;
    return true;
}

/* Only an exponent can make NUMBER_MAX characters overflow a double; cJSON would turn the infinity into null. */
static bool is_infinite(const char *number, size_t size)
{
    char digits[NUMBER_MAX + 1] = "";

    memcpy(digits, number, size < NUMBER_MAX ? size : NUMBER_MAX);
    return isinf(strtod(digits, NULL));
}

static bool scan_exponent(struct scanner *scanner)
{
    if (peek(scanner) != 'e' && peek(scanner) != 'E')
        return true;
    scanner->at++;
    if (peek(scanner) == '+' || peek(scanner) == '-')
        scanner->at++;
    return scan_digits(scanner);
}

static bool scan_number(struct scanner *scanner)
{
    size_t begin = scanner->at;

    if (peek(scanner) == '-')
        scanner->at++;
    if (peek(scanner) == '0') {
        scanner->at++;
        if (is_digit(peek(scanner)))
            return refuse(scanner, "a number cannot begin with 0");
    } else if (!scan_digits(scanner)) {
        return false;
    }
    if (peek(scanner) == '.') {
        scanner->at++;
        if (!scan_digits(scanner))
            return false;
    }
    if (!scan_exponent(scanner))
        return false;
    size_t size = scanner->at - begin;
    if (size > NUMBER_MAX || is_infinite(scanner->data + begin, size)) {
        scanner->at = begin;
        return refuse(scanner, size > NUMBER_MAX ? "a number has too many digits" : "a number is too large");
    }
    return true;
}

static bool scan_word(struct scanner *scanner, const char *word)
{
    size_t size = strlen(word);

    if (scanner->size - scanner->at < size || memcmp(scanner->data + scanner->at, word, size) != 0)
        return refuse(scanner, "expected a value");
    scanner->at += size;
    return true;
}

/* A value that holds no others. */
static bool scan_scalar(struct scanner *scanner)
{
    int byte = peek(scanner);

    switch (byte) {
    case '"':
        return scan_string(scanner);
    case 't':
        return scan_word(scanner, "true");
    case 'f':
        return scan_word(scanner, "false");
    case 'n':
        return scan_word(scanner, "null");
    default:
        if (byte == '-' || is_digit(byte))
            return scan_number(scanner);
        return refuse(scanner, byte < 0 ? "the document ends too early" : "expected a value");
    }
}

/* The containers that are open around the scanner; no recursion, so no document can exhaust the stack. */
struct nesting {
    bool is_object[JSON_DEPTH_TOLERATED];
    size_t depth;
};

/* Make an empty text of the container that begins at the scanner, however deep it is. */
static bool blank_container(struct scanner *scanner)
{
    size_t begin = scanner->at;
    size_t depth = 0;

    do {
        int byte = peek(scanner);
        if (byte < 0)
            return refuse(scanner, "the document ends too early");
        if (byte == '"') {
            if (!scan_string(scanner))
                return false;
            continue;
        }
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        scanner->at++;
    } while (depth > 0);
    memset(scanner->repair + begin, ' ', scanner->at - begin);
    memset(scanner->repair + begin, '"', 2);
    return true;
}

/* A member's name and colon. */
static bool scan_name(struct scanner *scanner)
{
    skip_space(scanner);
    if (peek(scanner) != '"')
        return refuse(scanner, "expected a member name in double quotes");
    if (!scan_string(scanner))
        return false;
    skip_space(scanner);
    if (peek(scanner) != ':')
        return refuse(scanner, "expected ':'");
    scanner->at++;
    return true;
}

/* Open a container if one begins here. *opened tells whether a value inside comes next. */
static bool scan_open(struct scanner *scanner, struct nesting *nesting, bool *opened)
{
    int byte = peek(scanner);

    *opened = false;
    if (byte != '{' && byte != '[')
        return scan_scalar(scanner);
    bool is_object = byte == '{';
    if (nesting->depth == (scanner->repair ? JSON_DEPTH_TOLERATED : JSON_DEPTH_MAX))
        return scanner->repair ? blank_container(scanner) : refuse(scanner, "nested too deeply");
    scanner->at++;
    skip_space(scanner);
    if (peek(scanner) == (is_object ? '}' : ']')) {
        scanner->at++;
        return true;
    }
    nesting->is_object[nesting->depth++] = is_object;
    *opened = true;
    return !is_object || scan_name(scanner);
}

/* After a value: close what ends here. *more tells whether another value comes. */
static bool scan_after(struct scanner *scanner, struct nesting *nesting, bool *more)
{
    *more = false;
    while (nesting->depth > 0) {
        bool is_object = nesting->is_object[nesting->depth - 1];
        skip_space(scanner);
        int byte = peek(scanner);
        if (byte == ',') {
            scanner->at++;
            *more = true;
            return !is_object || scan_name(scanner);
        }
        if (byte != (is_object ? '}' : ']'))
            return refuse(scanner, byte < 0    ? "the document ends too early"
                                   : is_object ? "expected ',' or '}'"
                                               : "expected ',' or ']'");
        scanner->at++;
        nesting->depth--;
    }
    return true;
}

static bool scan_document(struct scanner *scanner)
{
    struct nesting nesting = {.depth = 0};
    bool another = true;

    while (another) {
        skip_space(scanner);
        if (!scan_open(scanner, &nesting, &another))
            return false;
        if (!another && !scan_after(scanner, &nesting, &another))
            return false;
    }
    skip_space(scanner);
    if (scanner->at < scanner->size)
        return refuse(scanner, "more after the end of the document");
    return true;
}

static int check(struct scanner *scanner, struct error *err)
{
    size_t line = 1;
    size_t line_begin = 0;

    if (scan_document(scanner))
        return 0;
    for (size_t i = 0; i < scanner->at; i++) {
        if (scanner->data[i] == '\n') {
            line++;
            line_begin = i + 1;
        }
    }
    return error_set(err, &json_error_domain, JSON_SYNTAX, "parsing JSON", NULL,
                     "not valid JSON: %s at line %zu, column %zu (byte %zu)", scanner->problem, line,
                     scanner->at - line_begin + 1, scanner->at);
}

int json_check_syntax(const char *data, size_t size, struct error *err)
{
    return check(&(struct scanner){.data = data, .size = size}, err);
}

int json_repair_syntax(char *data, size_t size, struct error *err)
{
    return check(&(struct scanner){.data = data, .size = size, .repair = data}, err);
}
