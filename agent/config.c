/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include <limits.h>
#include <string.h>
#include <sys/un.h>

#include "agent/config_values.h"
#include "base/file.h"
#include "base/memory.h"

#define CONFIG_SIZE_MAX (64u << 10) /* bytes of the file */
#define LABEL_SIZE_MAX  63
#define SECRET_TEXT_MAX 256
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static const char *config_code_name(int code)
{
    switch ((enum config_error)code) {
    case CONFIG_SYNTAX:
        return "syntax";
    case CONFIG_MISSING:
        return "missing";
    case CONFIG_WRONG_TYPE:
        return "wrong-type";
    case CONFIG_INVALID:
        return "invalid";
    case CONFIG_UNKNOWN_KEY:
        return "unknown-key";
    }
    return "unknown";
}

const struct error_domain config_error_domain = {"config", config_code_name};

DEFINE_CLEANUP(struct toml_node *, toml_free)

/** [credentials] as it stands in the file. */
struct credential_settings {
    char *type;
    char *user;
    char *password;
    char *password_file;
};

static void credential_settings_clear(struct credential_settings *settings)
{
    free(settings->type);
    free(settings->user);
    if (settings->password)
        explicit_bzero(settings->password, strlen(settings->password));
    free(settings->password);
    free(settings->password_file);
}
#define cleanup_credential_settings __attribute__((cleanup(credential_settings_clear)))

/** What is being read. */
struct document {
    const char *name; /* of the file, for errors */
    const char *path; /* the file whose mode guards an inline password; NULL: the text did not come from a file */
    const struct toml_node *root;
};

/** A key of a table; one without a rule is refused by name. */
struct key_rule {
    const char *key;
    setting_reader read;
    size_t offset; /* of the target */
    size_t size_max;
};

#define AGENT(field)      offsetof(struct agent_config, field)
#define CREDENTIAL(field) offsetof(struct credential_settings, field)

static const struct key_rule agent_keys[] = {
    {"device_id", setting_read_token, AGENT(device_id), PATH_MAX},
    {"runtime_enabled", setting_read_boolean, AGENT(runtime_enabled), 0},
    {"state_directory", setting_read_path, AGENT(state_directory), PATH_MAX / 2},
    {"heartbeat_interval_s", setting_read_interval, AGENT(heartbeat_interval_ms), 0},
    {"reconcile_interval_s", setting_read_interval, AGENT(reconcile_interval_ms), 0},
    {NULL, NULL, 0, 0},
};

static const struct key_rule nats_keys[] = {
    {"urls", setting_read_urls, AGENT(nats_urls), 0},
    {"ca_file", setting_read_file, AGENT(ca_file), PATH_MAX},
    {"cert_file", setting_read_file, AGENT(cert_file), PATH_MAX},
    {"key_file", setting_read_secret_file, AGENT(key_file), PATH_MAX},
    {NULL, NULL, 0, 0},
};

static const struct key_rule podman_keys[] = {
    {"socket", setting_read_path, AGENT(podman_socket), SOCKET_PATH_MAX},
    {NULL, NULL, 0, 0},
};

static const struct key_rule credential_keys[] = {
    {"type", setting_read_text, CREDENTIAL(type), SECRET_TEXT_MAX},
    {"user", setting_read_text, CREDENTIAL(user), SECRET_TEXT_MAX},
    {"password", setting_read_text, CREDENTIAL(password), SECRET_TEXT_MAX},
    {"password_file", setting_read_path, CREDENTIAL(password_file), PATH_MAX},
    {NULL, NULL, 0, 0},
};

static const struct toml_node *find(const struct toml_node *table, const char *key)
{
    for (size_t i = 0; table && i < table->count; i++) {
        if (strcmp(table->items[i].key, key) == 0)
            return &table->items[i];
    }
    return NULL;
}

static int refuse_unknown(const struct setting *setting, const struct key_rule *rules, struct error *err)
{
    cleanup_text_buffer struct text_buffer known = {0};

    for (; rules->key; rules++)
        text_buffer_format(&known, "%s%s", known.size ? ", " : "", rules->key);
    return setting_refuse(setting, CONFIG_UNKNOWN_KEY, err, "unknown key; known here: %s", text_buffer_text(&known));
}

static int read_table(const struct document *document, const struct toml_node *table, const struct key_rule *rules,
                      void *target, struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct toml_node *node = &table->items[i];
        const struct key_rule *rule = rules;
        cleanup_free char *key = text_format("%s.%s", table->key, node->key);

        while (rule->key && strcmp(rule->key, node->key) != 0)
            rule++;
        struct setting setting = {document->name, key, node, rule->size_max};
        if (!rule->key)
            return refuse_unknown(&setting, rules, err);
        if (rule->read(&setting, (char *)target + rule->offset, err) < 0)
            return -1;
    }
    return 0;
}

static bool label_key_is_valid(const char *key)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";
    size_t size = strlen(key);

    return size >= 1 && size <= LABEL_SIZE_MAX && strspn(key, allowed) == size;
}

static int read_label(const struct document *document, const struct toml_node *node, struct device_label *ret,
                      struct error *err)
{
    cleanup_free char *key = text_format("labels.%s", node->key);
    struct setting setting = {document->name, key, node, LABEL_SIZE_MAX};

    if (node->type == TOML_TABLE)
        return setting_refuse(&setting, CONFIG_WRONG_TYPE, err,
                              "expected a string, found table; a key with dots must be quoted");
    if (!label_key_is_valid(node->key))
        return setting_refuse(&setting, CONFIG_INVALID, err,
                              "a label's key is 1 to %d of A-Z, a-z, 0-9, '.', '_', '/' and '-'", LABEL_SIZE_MAX);
    if (node->type == TOML_STRING && node->text_size == 0)
        ret->value = text_copy(""); /* the one text that may be empty */
    else if (setting_read_text(&setting, &ret->value, err) < 0)
        return -1;
    ret->key = text_copy(node->key);
    return 0;
}

static int read_labels(const struct document *document, const struct toml_node *table, struct agent_config *config,
                       struct error *err)
{
    struct setting setting = {document->name, "labels", table, 0};

    if (table->count > DEVICE_LABELS_MAX)
        return setting_refuse(&setting, CONFIG_INVALID, err, "has %zu labels; at most %d are allowed", table->count,
                              DEVICE_LABELS_MAX);
    config->labels = NEW_ARRAY(struct device_label, table->count);
    for (size_t i = 0; i < table->count; i++) { /* the tree is sorted by key, as labels must be */
        config->label_count++;
        if (read_label(document, &table->items[i], &config->labels[i], err) < 0)
            return -1;
    }
    return 0;
}

/** Where a missing key is reported: at its table, or at the file's first line. */
static int refuse_missing(const struct document *document, const struct toml_node *table, const char *key,
                          struct error *err)
{
    struct setting setting = {document->name, key, table ? table : document->root, 0};

    return setting_refuse(&setting, CONFIG_MISSING, err, "is missing");
}

static int read_password(const struct document *document, const struct toml_node *table,
                         struct credential_settings *settings, struct error *err)
{
    const struct toml_node *inline_node = find(table, "password");
    const struct toml_node *file_node = find(table, "password_file");
    struct setting in_line = {document->name, "credentials.password", inline_node, 0};
    struct setting in_file = {document->name, "credentials.password_file", file_node, 0};

    if (inline_node && file_node)
        return setting_refuse(&in_line, CONFIG_INVALID, err, "cannot stand beside password_file");
    if (!inline_node && !file_node)
        return refuse_missing(document, table, "credentials.password_file", err);
    if (inline_node)
        return document->path && secret_check(document->path, err) < 0 ? setting_wrap(&in_line, err) : 0;
    if (secret_read(settings->password_file, &settings->password, err) < 0)
        return setting_wrap(&in_file, err);
    return 0;
}

static int read_credentials(const struct document *document, const struct toml_node *table, struct agent_config *config,
                            struct error *err)
{
    cleanup_credential_settings struct credential_settings settings = {0};
    struct setting type = {document->name, "credentials.type", find(table, "type"), 0};
    struct setting whole = {document->name, "credentials", table, 0};

    if (read_table(document, table, credential_keys, &settings, err) < 0)
        return -1;
    if (!settings.type)
        return refuse_missing(document, table, "credentials.type", err);
    if (strcmp(settings.type, "toml-shared") != 0)
        return setting_refuse(&type, CONFIG_INVALID, err, "unknown credential type \"%s\"; known: toml-shared",
                              settings.type);
    if (!settings.user)
        return refuse_missing(document, table, "credentials.user", err);
    if (read_password(document, table, &settings, err) < 0)
        return -1;
    if (credentials_user_password(settings.user, settings.password, &config->credentials, err) < 0)
        return setting_wrap(&whole, err);
    return 0;
}

/** A table of the file: read by its keys' rules, or by a function of its own. */
struct section {
    const char *key;
    const struct key_rule *rules;
    int (*read)(const struct document *document, const struct toml_node *table, struct agent_config *config,
                struct error *err);
};

static const struct section sections[] = {
    {"agent", agent_keys, NULL},   {"labels", NULL, read_labels},
    {"nats", nats_keys, NULL},     {"credentials", NULL, read_credentials},
    {"podman", podman_keys, NULL},
};

static int read_section(const struct document *document, const struct toml_node *node, struct agent_config *config,
                        struct error *err)
{
    struct setting setting = {document->name, node->key, node, 0};
    const struct section *section = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(sections) && !section; i++) {
        if (strcmp(node->key, sections[i].key) == 0)
            section = &sections[i];
    }
    if (!section)
        return setting_refuse(&setting, CONFIG_UNKNOWN_KEY, err,
                              "unknown table or key; known here: agent, labels, nats, credentials, podman");
    if (node->type != TOML_TABLE)
        return setting_refuse(&setting, CONFIG_WRONG_TYPE, err, "expected a table");
    if (section->rules)
        return read_table(document, node, section->rules, config, err);
    return section->read(document, node, config, err);
}

/** What only can be judged when everything was read. */
static int check_whole(const struct document *document, const struct agent_config *config, struct error *err)
{
    const struct toml_node *nats = find(document->root, "nats");

    if (!config->device_id)
        return refuse_missing(document, find(document->root, "agent"), "agent.device_id", err);
    if (config->nats_urls.count == 0)
        return refuse_missing(document, nats, "nats.urls", err);
    if (config->cert_file && !config->key_file)
        return refuse_missing(document, nats, "nats.key_file", err);
    if (config->key_file && !config->cert_file)
        return refuse_missing(document, nats, "nats.cert_file", err);
    return 0;
}

static struct agent_config *config_with_defaults(void)
{
    struct agent_config *config = NEW(struct agent_config);

    config->runtime_enabled = true;
    config->state_directory = text_copy("/var/lib/harmony-fleet-agent");
    config->podman_socket = text_copy("/run/podman/podman.sock");
    config->heartbeat_interval_ms = 30000;
    config->reconcile_interval_ms = 30000;
    return config;
}

/** `path` is NULL when the text did not come from a file. */
static int parse(const char *name, const char *path, const char *data, size_t size, struct agent_config **ret,
                 struct error *err)
{
    CLEANUP(agent_config_free) struct agent_config *config = config_with_defaults();
    CLEANUP(toml_free) struct toml_node *root = NULL;
    cleanup_free char *message = NULL;
    int line = 0;

    if (size > CONFIG_SIZE_MAX)
        return error_set(err, &config_error_domain, CONFIG_INVALID, "loading", name, "is over %u bytes",
                         CONFIG_SIZE_MAX);
    if (toml_parse(data, size, &root, &line, &message) < 0) {
        cleanup_free char *place = text_format("%s:%d", name, line);

        return error_set(err, &config_error_domain, CONFIG_SYNTAX, "loading", place, "%s", message);
    }
    struct document document = {name, path, root};
    for (size_t i = 0; i < root->count; i++) {
        if (read_section(&document, &root->items[i], config, err) < 0)
            return -1;
    }
    if (check_whole(&document, config, err) < 0)
        return -1;
    *ret = TAKE_PTR(config);
    return 0;
}

int agent_config_parse(const char *name, const char *data, size_t size, struct agent_config **ret, struct error *err)
{
    return parse(name, NULL, data, size, ret, err);
}

int agent_config_load(const char *path, struct agent_config **ret, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size = 0;
    int result;

    if (file_read(path, CONFIG_SIZE_MAX, &data, &size, err) < 0)
        return error_wrap(err, "loading", path);
    result = parse(path, path, data, size, ret, err);
    explicit_bzero(data, size); /* it may hold a password */
    return result;
}

void agent_config_free(struct agent_config *config)
{
    if (!config)
        return;
    free(config->device_id);
    for (size_t i = 0; i < config->label_count; i++) {
        free(config->labels[i].key);
        free(config->labels[i].value);
    }
    free(config->labels);
    free(config->state_directory);
    text_list_clear(&config->nats_urls);
    free(config->ca_file);
    free(config->cert_file);
    free(config->key_file);
    credentials_free(config->credentials);
    free(config->podman_socket);
    free(config);
}
