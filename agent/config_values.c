/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config_values.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "contracts/names.h"

#define URLS_MAX        16
#define URL_SIZE_MAX    512
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 86400000

int setting_refuse(const struct setting *setting, int code, struct error *err, const char *format, ...)
{
    cleanup_free char *place = text_format("%s:%d", setting->file, setting->node->line);
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *reason = text_format_v(format, arguments);
    va_end(arguments);
    return error_set(err, &config_error_domain, code, "loading", place, "%s: %s", setting->key, reason);
}

int setting_wrap(const struct setting *setting, struct error *err)
{
    cleanup_free char *place = text_format("%s:%d: %s", setting->file, setting->node->line, setting->key);

    return error_wrap(err, "loading", place);
}

static const char *type_name(enum toml_type type)
{
    static const char *const names[] = {
        [TOML_TABLE] = "table",
        [TOML_ARRAY] = "array",
        [TOML_STRING] = "string",
        [TOML_INTEGER] = "integer",
        [TOML_FLOAT] = "float",
        [TOML_BOOLEAN] = "boolean",
        [TOML_DATE_OR_TIME] = "date or time",
    };

    return names[type];
}

static int refuse_type(const struct setting *setting, const char *expected, struct error *err)
{
    return setting_refuse(setting, CONFIG_WRONG_TYPE, err, "expected %s, found %s", expected,
                          type_name(setting->node->type));
}

/** A string that is not empty, not over-long and on one line. */
static int check_text(const struct setting *setting, struct error *err)
{
    const struct toml_node *node = setting->node;

    if (node->type != TOML_STRING)
        return refuse_type(setting, "a string", err);
    if (node->text_size == 0)
        return setting_refuse(setting, CONFIG_INVALID, err, "is empty");
    if (node->text_size > setting->size_max)
        return setting_refuse(setting, CONFIG_INVALID, err, "is %zu bytes long; at most %zu are allowed",
                              node->text_size, setting->size_max);
    for (size_t i = 0; i < node->text_size; i++) {
        unsigned char byte = (unsigned char)node->text[i];

        if (byte < 0x20 || byte == 0x7f)
            return setting_refuse(setting, CONFIG_INVALID, err, "has a control character");
    }
    return 0;
}

static void store_text(const struct setting *setting, void *target)
{
    char **text = target;

    free(*text);
    *text = text_copy(setting->node->text);
}

int setting_read_text(const struct setting *setting, void *target, struct error *err)
{
    if (check_text(setting, err) < 0)
        return -1;
    store_text(setting, target);
    return 0;
}

int setting_read_token(const struct setting *setting, void *target, struct error *err)
{
    if (check_text(setting, err) < 0)
        return -1;
    if (!token_is_valid(setting->node->text))
        return setting_refuse(setting, CONFIG_INVALID, err, "\"%s\" is not 1 to %d of A-Z, a-z, 0-9, '_' and '-'",
                              setting->node->text, TOKEN_MAX);
    store_text(setting, target);
    return 0;
}

int setting_read_path(const struct setting *setting, void *target, struct error *err)
{
    if (check_text(setting, err) < 0)
        return -1;
    if (setting->node->text[0] != '/')
        return setting_refuse(setting, CONFIG_INVALID, err, "\"%s\" is not an absolute path", setting->node->text);
    store_text(setting, target);
    return 0;
}

int setting_read_file(const struct setting *setting, void *target, struct error *err)
{
    const char *path;

    if (setting_read_path(setting, target, err) < 0)
        return -1;
    path = setting->node->text;
    if (access(path, R_OK) < 0) {
        error_set_errno(err, errno, "reading", path);
        return setting_wrap(setting, err);
    }
    return 0;
}

int setting_read_secret_file(const struct setting *setting, void *target, struct error *err)
{
    if (setting_read_path(setting, target, err) < 0)
        return -1;
    return secret_check(setting->node->text, err) < 0 ? setting_wrap(setting, err) : 0;
}

int setting_read_boolean(const struct setting *setting, void *target, struct error *err)
{
    if (setting->node->type != TOML_BOOLEAN)
        return refuse_type(setting, "true or false", err);
    *(bool *)target = setting->node->boolean;
    return 0;
}

int setting_read_interval(const struct setting *setting, void *target, struct error *err)
{
    const struct toml_node *node = setting->node;
    double seconds;

    if (node->type == TOML_INTEGER)
        seconds = (double)node->integer;
    else if (node->type == TOML_FLOAT)
        seconds = node->number;
    else
        return refuse_type(setting, "a number of seconds", err);
    /* Written so that NaN is refused too. */
    if (!(seconds * 1000 >= INTERVAL_MIN_MS && seconds * 1000 <= INTERVAL_MAX_MS))
        return setting_refuse(setting, CONFIG_INVALID, err, "%g is not within %g and %d seconds", seconds,
                              INTERVAL_MIN_MS / 1000.0, INTERVAL_MAX_MS / 1000);
    *(int *)target = (int)lround(seconds * 1000);
    return 0;
}

static int read_url(const struct setting *setting, struct text_list *urls, struct error *err)
{
    const char *url;

    if (check_text(setting, err) < 0)
        return -1;
    url = setting->node->text;
    if (strchr(url, '@')) /* not repeated in the message: it may be a secret */
        return setting_refuse(setting, CONFIG_INVALID, err, "a URL must not hold credentials; use [credentials]");
    if (!text_starts_with(url, "nats://") && !text_starts_with(url, "tls://"))
        return setting_refuse(setting, CONFIG_INVALID, err, "\"%s\" starts with neither nats:// nor tls://", url);
    if (strlen(strstr(url, "://")) <= 3 || strchr(url, ' ') || strchr(url, ','))
        return setting_refuse(setting, CONFIG_INVALID, err, "\"%s\" names no host", url);
    text_list_add(urls, url);
    return 0;
}

int setting_read_urls(const struct setting *setting, void *target, struct error *err)
{
    const struct toml_node *node = setting->node;

    if (node->type != TOML_ARRAY)
        return refuse_type(setting, "an array of strings", err);
    if (node->count == 0 || node->count > URLS_MAX)
        return setting_refuse(setting, CONFIG_INVALID, err, "has %zu URLs; 1 to %d are allowed", node->count, URLS_MAX);
    for (size_t i = 0; i < node->count; i++) {
        cleanup_free char *key = text_format("%s[%zu]", setting->key, i);
        struct setting item = {setting->file, key, &node->items[i], URL_SIZE_MAX};

        if (read_url(&item, target, err) < 0)
            return -1;
    }
    return 0;
}
