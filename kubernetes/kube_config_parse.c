/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "kubernetes/kube_base64.h"
#include "kubernetes/kube_config_source.h"
#include "kubernetes/kube_error.h"
#include "kubernetes/kube_yaml.h"

enum {
    NAME_LIMIT = 1024,
    VALUE_LIMIT = 1 << 20,
    ENTRIES_MAX = 10000,
    FILE_LIMIT = 1 << 20,
};

struct reader {
    const struct kube_config_source *sources;
    cJSON **documents; /* of the sources */
    size_t count;
    size_t at; /* the one that is read */
    struct kube_config *config;
};

/* An optional text; *ret stays as it is when there is none. */
static int read_text(const struct json_cursor *object, const char *key, char **ret, struct error *err)
{
    struct json_cursor member = {0};

    if (json_optional(object, key, &member, err) < 0)
        return -1;
    if (!json_present(&member) || text_equal(cJSON_GetStringValue(member.value), ""))
        return 0;
    cleanup_free char *text = NULL;
    if (json_string(&member, VALUE_LIMIT, &text, err) < 0)
        return -1;
    free(*ret);
    *ret = TAKE_PTR(text);
    return 0;
}

static int read_flag(const struct json_cursor *object, const char *key, bool *ret, struct error *err)
{
    cleanup_free char *text = NULL;
    struct json_cursor member = {0};

    if (read_text(object, key, &text, err) < 0)
        return -1;
    if (!text)
        return 0;
    *ret = strcmp(text, "true") == 0;
    if (*ret || strcmp(text, "false") == 0)
        return 0;
    if (json_optional(object, key, &member, err) < 0)
        return -1;
    return json_refuse(&member, JSON_WRONG_TYPE, err, "must be true or false");
}

/* A path as the file means it. Caller frees. */
static char *resolve(const struct reader *reader, const char *path)
{
    if (*path == '/')
        return text_copy(path);
    const char *directory = reader->sources[reader->at].directory;
    return text_format("%s%s%s", directory, text_ends_with(directory, "/") ? "" : "/", path);
}

static int read_file(const struct reader *reader, const struct json_cursor *cursor, const char *path, char **ret,
                     struct error *err)
{
    cleanup_free char *resolved = resolve(reader, path);
    cleanup_error struct error reason = ERROR_INIT;
    size_t size = 0;

    if (file_read(resolved, FILE_LIMIT, ret, &size, &reason) < 0)
        return json_refuse(cursor, JSON_INVALID, err, "%s: %s", resolved, error_root_detail(&reason));
    return 0;
}

/* Contents given in `data_key` as base64 or by the file `file_key` names; the first of them counts, as for kubectl. */
static int read_contents(const struct reader *reader, const struct json_cursor *object, const char *data_key,
                         const char *file_key, char **ret, struct error *err)
{
    cleanup_free char *encoded = NULL;
    cleanup_free char *path = NULL;
    struct json_cursor member = {0};

    if (read_text(object, data_key, &encoded, err) < 0 || read_text(object, file_key, &path, err) < 0 ||
        json_optional(object, encoded ? data_key : file_key, &member, err) < 0)
        return -1;
    if (!encoded)
        return path ? read_file(reader, &member, path, ret, err) : 0;
    *ret = kube_base64_decode(encoded, NULL);
    return *ret ? 0 : json_refuse(&member, JSON_INVALID, err, "is not base64");
}

/* The member `part` of the entry called `name` in the list `section`. */
struct entry {
    struct json_cursor root;
    struct json_cursor list;
    struct json_cursor item;
    struct json_cursor part; /* not present when the entry has none */
};

/* In the source that is read. Returns 1 when it is there, 0 when not. */
static int find_here(const struct reader *reader, const char *section, const char *name, const char *part,
                     struct entry *ret, struct error *err)
{
    size_t count = 0;

    *ret = (struct entry){.root = json_root(reader->documents[reader->at])};
    if (json_optional(&ret->root, section, &ret->list, err) < 0)
        return -1;
    if (!json_present(&ret->list))
        return 0;
    if (json_array_size(&ret->list, ENTRIES_MAX, &count, err) < 0)
        return -1;
    while (json_next(&ret->list, &ret->item)) {
        cleanup_free char *item_name = NULL;
        if (read_text(&ret->item, "name", &item_name, err) < 0)
            return -1;
        if (text_equal(item_name, name))
            return json_optional(&ret->item, part, &ret->part, err) < 0 ? -1 : 1;
    }
    return 0;
}

/* In the first source that has it, which is the one that is read from then on. */
static int find_entry(struct reader *reader, const char *section, const char *name, const char *part, struct entry *ret,
                      struct error *err)
{
    bool has_list = false;

    for (reader->at = 0; reader->at < reader->count; reader->at++) {
        int found = find_here(reader, section, name, part, ret, err);
        if (found != 0)
            return found < 0 ? -1 : 0;
        has_list |= json_present(&ret->list);
    }
    reader->at = reader->count - 1;
    const struct json_cursor list = {.parent = &ret->root, .key = section};
    return has_list ? json_refuse(&list, JSON_MISSING, err, "has no entry named \"%s\"", name)
                    : json_refuse(&list, JSON_MISSING, err, "is missing");
}

/* The same where the part must be there. */
static int need_entry(struct reader *reader, const char *section, const char *name, const char *part, struct entry *ret,
                      struct error *err)
{
    if (find_entry(reader, section, name, part, ret, err) < 0)
        return -1;
    return json_present(&ret->part) ? 0 : json_member(&ret->item, part, &ret->part, err); /* which says so */
}

DEFINE_CLEANUP(CURLU *, curl_url_cleanup)

static bool url_has(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && *text;

    curl_free(text);
    return has;
}

/* What `url` begins with; its letters become small there. */
static bool has_scheme(char *url, const char *scheme)
{
    if (strncasecmp(url, scheme, strlen(scheme)) != 0)
        return false;
    memcpy(url, scheme, strlen(scheme));
    return true;
}

/* Paths of the API are appended to `server`, which loses the slashes it ends with for that. */
static int check_server(const struct json_cursor *cursor, char *server, struct error *err)
{
    CLEANUP(curl_url_cleanup) CURLU *url = memory_checked(curl_url());

    if (!has_scheme(server, "https://") && !has_scheme(server, "http://"))
        return json_refuse(cursor, JSON_INVALID, err, "must begin with https:// or http://");
    CURLUcode status = curl_url_set(url, CURLUPART_URL, server, 0);
    if (status == CURLUE_NO_HOST || (status == CURLUE_OK && !url_has(url, CURLUPART_HOST)))
        return json_refuse(cursor, JSON_INVALID, err, "names no host");
    if (status != CURLUE_OK || text_has_control(server) || strchr(server, ' '))
        return json_refuse(cursor, JSON_INVALID, err, "is no URL");
    if (url_has(url, CURLUPART_USER) || url_has(url, CURLUPART_QUERY) || url_has(url, CURLUPART_FRAGMENT))
        return json_refuse(cursor, JSON_INVALID, err, "must be a scheme, a host, a port and a path, no more");
    for (size_t size = strlen(server); server[size - 1] == '/'; size--)
        server[size - 1] = '\0';
    return 0;
}

static int read_proxy(const struct json_cursor *cluster, char **ret, struct error *err)
{
    CLEANUP(curl_url_cleanup) CURLU *url = memory_checked(curl_url());
    struct json_cursor member = {0};

    if (read_text(cluster, "proxy-url", ret, err) < 0 || json_optional(cluster, "proxy-url", &member, err) < 0)
        return -1;
    if (!*ret)
        return 0;
    if (!has_scheme(*ret, "http://") && !has_scheme(*ret, "https://") && !has_scheme(*ret, "socks5://"))
        return json_refuse(&member, JSON_INVALID, err, "must begin with http://, https:// or socks5://");
    bool is_url = curl_url_set(url, CURLUPART_URL, *ret, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (!is_url || !url_has(url, CURLUPART_HOST) || text_has_control(*ret) || strchr(*ret, ' '))
        return json_refuse(&member, JSON_INVALID, err, "is no URL");
    return 0;
}

static int read_server_name(const struct json_cursor *cluster, char **ret, struct error *err)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:";
    struct json_cursor member = {0};

    if (read_text(cluster, "tls-server-name", ret, err) < 0 ||
        json_optional(cluster, "tls-server-name", &member, err) < 0)
        return -1;
    if (*ret && strspn(*ret, characters) != strlen(*ret))
        return json_refuse(&member, JSON_INVALID, err, "is no host name"); /* it becomes part of a URL */
    return 0;
}

static int read_cluster(struct reader *reader, const char *name, struct error *err)
{
    struct kube_config *config = reader->config;
    struct entry cluster = {0};
    struct json_cursor server = {0};

    if (need_entry(reader, "clusters", name, "cluster", &cluster, err) < 0 ||
        json_member(&cluster.part, "server", &server, err) < 0 ||
        json_string(&server, NAME_LIMIT, &config->server, err) < 0 ||
        read_server_name(&cluster.part, &config->tls_server_name, err) < 0 ||
        read_proxy(&cluster.part, &config->proxy_url, err) < 0 ||
        read_flag(&cluster.part, "insecure-skip-tls-verify", &config->insecure_skip_tls, err) < 0 ||
        read_contents(reader, &cluster.part, "certificate-authority-data", "certificate-authority", &config->ca_data,
                      err) < 0)
        return -1;
    return check_server(&server, config->server, err);
}

/** An array that may be missing: *ret is not present then. */
static int optional_list(const struct json_cursor *object, const char *key, struct json_cursor *ret, struct error *err)
{
    size_t count = 0;

    if (json_optional(object, key, ret, err) < 0)
        return -1;
    return json_present(ret) ? json_array_size(ret, ENTRIES_MAX, &count, err) : 0;
}

static int read_exec_environment(const struct json_cursor *exec, struct kube_config *config, struct error *err)
{
    struct json_cursor list = {0};
    struct json_cursor item = {0};

    if (optional_list(exec, "env", &list, err) < 0)
        return -1;
    while (json_present(&list) && json_next(&list, &item)) {
        cleanup_free char *name = NULL;
        cleanup_free char *value = NULL;
        if (read_text(&item, "name", &name, err) < 0 || read_text(&item, "value", &value, err) < 0)
            return -1;
        if (!name || strchr(name, '='))
            return json_refuse(&item, JSON_INVALID, err, "needs a name without \"=\"");
        text_list_format(&config->exec_env, "%s=%s", name, value ? value : "");
    }
    return 0;
}

static int read_exec_arguments(const struct json_cursor *exec, struct kube_config *config, struct error *err)
{
    struct json_cursor list = {0};
    struct json_cursor item = {0};

    if (optional_list(exec, "args", &list, err) < 0)
        return -1;
    while (json_present(&list) && json_next(&list, &item)) {
        cleanup_free char *argument = NULL;
        if (json_string(&item, VALUE_LIMIT, &argument, err) < 0)
            return -1;
        text_list_take(&config->exec, TAKE_PTR(argument));
    }
    return 0;
}

/* Nobody sits before a program of ours. */
static int check_interaction(const struct json_cursor *exec, struct error *err)
{
    cleanup_free char *mode = NULL;
    struct json_cursor member = {0};

    if (read_text(exec, "interactiveMode", &mode, err) < 0 || json_optional(exec, "interactiveMode", &member, err) < 0)
        return -1;
    if (!mode || strcmp(mode, "Never") == 0 || strcmp(mode, "IfAvailable") == 0)
        return 0;
    if (strcmp(mode, "Always") == 0)
        return json_refuse(&member, JSON_INVALID, err, "is Always, but there is no terminal to ask at");
    return json_refuse(&member, JSON_INVALID, err, "must be Never, IfAvailable or Always");
}

static int read_exec(const struct reader *reader, const struct json_cursor *user, struct error *err)
{
    struct kube_config *config = reader->config;
    struct json_cursor exec = {0};
    struct json_cursor command = {0};
    cleanup_free char *program = NULL;

    if (json_optional(user, "exec", &exec, err) < 0)
        return -1;
    if (!json_present(&exec))
        return 0;
    if (json_member(&exec, "command", &command, err) < 0 || json_string(&command, NAME_LIMIT, &program, err) < 0)
        return -1;
    if (!*program)
        return json_refuse(&command, JSON_INVALID, err, "is empty");
    if (strchr(program, '/'))
        text_list_take(&config->exec, resolve(reader, program));
    else
        text_list_add(&config->exec, program);
    struct json_cursor version = {0};
    if (read_exec_arguments(&exec, config, err) < 0 || read_exec_environment(&exec, config, err) < 0 ||
        read_flag(&exec, "provideClusterInfo", &config->exec_cluster_info, err) < 0 ||
        read_text(&exec, "installHint", &config->exec_install_hint, err) < 0 || check_interaction(&exec, err) < 0 ||
        json_member(&exec, "apiVersion", &version, err) < 0 ||
        json_string(&version, NAME_LIMIT, &config->exec_api_version, err) < 0)
        return -1;
    if (strcmp(config->exec_api_version, "client.authentication.k8s.io/v1") != 0 &&
        strcmp(config->exec_api_version, "client.authentication.k8s.io/v1beta1") != 0)
        return json_refuse(&version, JSON_INVALID, err,
                           "must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
    return 0;
}

/* What would make us somebody else than was meant if it were passed over. */
static int check_unsupported(const struct json_cursor *user, struct error *err)
{
    static const char *const impersonation[] = {"as", "as-uid", "as-groups", "as-user-extra"};
    struct json_cursor member = {0};

    for (size_t i = 0; i < ARRAY_SIZE(impersonation); i++) {
        if (json_optional(user, impersonation[i], &member, err) < 0)
            return -1;
        if (json_present(&member))
            return json_refuse(&member, JSON_INVALID, err, "is not supported: there is no impersonation");
    }
    if (json_optional(user, "auth-provider", &member, err) < 0)
        return -1;
    if (json_present(&member))
        return json_refuse(&member, JSON_INVALID, err, "is not supported (nor by kubectl since 1.26): use exec");
    return 0;
}

static int read_user(struct reader *reader, const char *name, struct error *err)
{
    struct kube_config *config = reader->config;
    struct entry user = {0};
    cleanup_free char *token_file = NULL;

    if (find_entry(reader, "users", name, "user", &user, err) < 0)
        return -1;
    if (!json_present(&user.part))
        return 0; /* a user who needs no credentials */
    if (read_contents(reader, &user.part, "client-certificate-data", "client-certificate", &config->client_certificate,
                      err) < 0 ||
        read_contents(reader, &user.part, "client-key-data", "client-key", &config->client_key, err) < 0 ||
        read_text(&user.part, "token", &config->token, err) < 0 ||
        read_text(&user.part, "tokenFile", &token_file, err) < 0 ||
        read_text(&user.part, "username", &config->user, err) < 0 ||
        read_text(&user.part, "password", &config->password, err) < 0 || read_exec(reader, &user.part, err) < 0)
        return -1;
    if (token_file)
        config->token_file = resolve(reader, token_file);
    if (!config->client_certificate != !config->client_key)
        return json_refuse(&user.part, JSON_INVALID, err, "needs client-certificate and client-key, or neither");
    if (config->token && text_has_control(config->token))
        return json_refuse(&user.part, JSON_INVALID, err, "its token has control characters");
    return check_unsupported(&user.part, err);
}

/* The first current-context. */
static int read_current(struct reader *reader, char **ret, struct error *err)
{
    struct json_cursor root = {0};

    for (reader->at = 0; reader->at < reader->count; reader->at++) {
        root = json_root(reader->documents[reader->at]);
        if (read_text(&root, "current-context", ret, err) < 0)
            return -1;
        if (*ret)
            return 0;
    }
    reader->at = reader->count - 1;
    const struct json_cursor current = {.parent = &root, .key = "current-context"};
    return json_refuse(&current, JSON_MISSING, err, "is missing");
}

static int read_context(struct reader *reader, const char *context_name, struct error *err)
{
    struct entry context = {0};
    cleanup_free char *name = text_copy(context_name);
    cleanup_free char *cluster = NULL;
    cleanup_free char *user = NULL;
    struct json_cursor cluster_cursor = {0};

    if (!name && read_current(reader, &name, err) < 0)
        return -1;
    reader->config->namespace_name = text_copy("default");
    if (need_entry(reader, "contexts", name, "context", &context, err) < 0 ||
        read_text(&context.part, "namespace", &reader->config->namespace_name, err) < 0 ||
        json_member(&context.part, "cluster", &cluster_cursor, err) < 0 ||
        json_string(&cluster_cursor, NAME_LIMIT, &cluster, err) < 0 ||
        read_text(&context.part, "user", &user, err) < 0 || read_cluster(reader, cluster, err) < 0)
        return -1;
    return user ? read_user(reader, user, err) : 0;
}

/* All sources, then what is asked for of them. */
static int read_sources(struct reader *reader, const char *context, struct error *err)
{
    for (reader->at = 0; reader->at < reader->count; reader->at++) {
        const struct kube_config_source *source = &reader->sources[reader->at];
        if (kube_yaml_parse(source->yaml, source->size, &reader->documents[reader->at], err) < 0)
            return -1;
    }
    return read_context(reader, context, err);
}

int kube_config_merge(const struct kube_config_source *sources, size_t count, const char *context,
                      struct kube_config **ret, struct error *err)
{
    CLEANUP(kube_config_free) struct kube_config *config = NEW(struct kube_config);
    cleanup_error struct error reason = ERROR_INIT;
    cleanup_free cJSON **documents = memory_new(count, sizeof(cJSON *));
    struct reader reader = {.sources = sources, .documents = documents, .count = count, .config = config};

    int result = read_sources(&reader, context, &reason);
    for (size_t i = 0; i < count; i++)
        cJSON_Delete(documents[i]);
    if (result < 0) {
        const char *field = reason.subject ? reason.subject : "";
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "reading kubeconfig", sources[reader.at].path, "%s%s%s",
                         field, *field ? " " : "", error_root_detail(&reason));
    }
    *ret = TAKE_PTR(config);
    return 0;
}

int kube_config_parse(const char *yaml, size_t size, const char *directory, const char *context,
                      struct kube_config **ret, struct error *err)
{
    const struct kube_config_source source = {.directory = directory, .yaml = yaml, .size = size};

    return kube_config_merge(&source, 1, context, ret, err);
}
