/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/service_unit.h"

#include <string.h>

#include "base/text.h"

#define NAME_SIZE_MAX 128 /* as on the local host; systemd takes 256 bytes with the suffix */
#define LETTERS       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS        "0123456789"

static int refuse(const struct service_definition *definition, struct error *err, const char *value, const char *why)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "defining service", definition->name, "\"%s\" %s",
                     value ? value : "", why);
}

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

/** systemd expands nothing in a program's path but specifiers, and refuses one that is not plain. */
static int check_program(const struct service_definition *definition, struct error *err)
{
    const char *program = definition->argv ? definition->argv[0] : NULL;

    if (!program || program[0] != '/' || text_ends_with(program, "/"))
        return refuse(definition, err, program, "is not the absolute path of a program");
    if (has_control_character(program) || !text_is_utf8(program, strlen(program)))
        return refuse(definition, err, program, "cannot be the path of a unit's program");
    return 0;
}

/** What systemd only warns about and then leaves out. */
static int check_environment(const struct service_definition *definition, struct error *err)
{
    for (const char *const *item = definition->environment; item && *item; item++) {
        size_t size = strspn(*item, LETTERS DIGITS "_");

        if (size == 0 || (*item)[size] != '=' || strchr(DIGITS, **item))
            return refuse(definition, err, *item, "is not NAME=value");
        if (!text_is_utf8(*item, strlen(*item)))
            return refuse(definition, err, *item, "is not UTF-8");
    }
    return 0;
}

static int check_settings(const struct service_definition *definition, struct error *err)
{
    for (const char *const *item = definition->settings; item && *item; item++) {
        size_t size = strspn(*item, LETTERS DIGITS);

        if (size == 0 || (*item)[size] != '=' || has_control_character(*item) || text_ends_with(*item, "\\"))
            return refuse(definition, err, *item, "is no line of a unit");
    }
    return 0;
}

int service_name_check(const char *name, struct error *err)
{
    size_t size = name ? strlen(name) : 0;

    if (size < 1 || size > NAME_SIZE_MAX || name[0] == '-' || strspn(name, LETTERS DIGITS "_-") != size)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "naming service", name,
                         "it is not 1 to %d of A-Z, a-z, 0-9, '_' and '-', not beginning with '-'", NAME_SIZE_MAX);
    return 0;
}

int service_unit_check(const struct service_definition *definition, struct error *err)
{
    if (service_name_check(definition->name, err) < 0)
        return -1;
    if (check_program(definition, err) < 0 || check_environment(definition, err) < 0)
        return -1;
    return check_settings(definition, err);
}

/** In double quotes, with C's escapes and without specifiers: systemd.syntax(7), "Quoting"; systemd.unit(5). */
static void add_quoted(struct text_buffer *unit, const char *word)
{
    cleanup_text_buffer struct text_buffer escaped = {0};

    text_buffer_escape(&escaped, word, strlen(word));
    text_buffer_add(unit, "\"");
    for (const char *at = text_buffer_text(&escaped); *at; at++)
        text_buffer_append(unit, *at == '%' ? "%%" : at, *at == '%' ? 2 : 1);
    text_buffer_add(unit, "\"");
}

/** Is there a setting of the same name as the line `setting`? */
static bool is_replaced(const struct service_definition *definition, const char *setting)
{
    size_t name_size = strcspn(setting, "=") + 1;

    for (const char *const *item = definition->settings; item && *item; item++) {
        if (strncmp(*item, setting, name_size) == 0)
            return true;
    }
    return false;
}

static void add_settings(struct text_buffer *unit, const struct service_definition *definition)
{
    /* exec: the start of a program that cannot be executed fails, instead of only its service a moment later. */
    static const char *const usual[] = {"Type=exec", "Restart=always", "RestartSec=1"};

    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        if (!is_replaced(definition, usual[i]))
            text_buffer_format(unit, "%s\n", usual[i]);
    }
    for (const char *const *item = definition->settings; item && *item; item++)
        text_buffer_format(unit, "%s\n", *item);
}

char *service_unit_text(const struct service_definition *definition)
{
    struct text_buffer unit = {0};

    /* It is to run for ever (no limit of starts), also where there is no network (network.target is no waiting). */
    text_buffer_format(&unit,
                       "# Written by Harmony Fleet: changes are overwritten by the next deployment.\n"
                       "[Unit]\n"
                       "Description=Harmony Fleet: %s\n"
                       "After=network.target\n"
                       "StartLimitIntervalSec=0\n"
                       "\n"
                       "[Service]\n",
                       definition->name);
    add_settings(&unit, definition);
    for (const char *const *item = definition->environment; item && *item; item++) {
        text_buffer_add(&unit, "Environment=");
        add_quoted(&unit, *item);
        text_buffer_add(&unit, "\n");
    }
    text_buffer_add(&unit, "ExecStart=:"); /* ":": the arguments' "$" means nothing */
    for (const char *const *word = definition->argv; *word; word++) {
        if (word != definition->argv)
            text_buffer_add(&unit, " ");
        add_quoted(&unit, *word);
    }
    text_buffer_add(&unit, "\n\n[Install]\nWantedBy=multi-user.target\n");
    return text_buffer_take(&unit);
}
