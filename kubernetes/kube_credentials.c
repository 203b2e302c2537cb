/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "kubernetes/kube_error.h"
#include "kubernetes/kube_exec.h"

enum {
    TOKEN_MAX = 1 << 20,
    TOKEN_FILE_MS = 60 * 1000, /* the kubelet renews it when a fifth of its hour or more is left */
};

struct kube_credentials {
    const struct kube_config *config;
    pthread_mutex_t mutex; /* of all below; held while the plugin runs, so that it runs once */
    char *file_token;      /* NULL: not read yet */
    int64_t file_read_ms;
    struct kube_exec_credential exec; /* token and certificate NULL: none yet */
};

void kube_identity_clear(struct kube_identity *identity)
{
    free(identity->token);
    free(identity->user);
    free(identity->password);
    free(identity->certificate);
    free(identity->key);
    *identity = (struct kube_identity){0};
}

struct kube_credentials *kube_credentials_new(const struct kube_config *config)
{
    struct kube_credentials *credentials = NEW(struct kube_credentials);

    credentials->config = config;
    pthread_mutex_init(&credentials->mutex, NULL);
    return credentials;
}

void kube_credentials_free(struct kube_credentials *credentials)
{
    if (!credentials)
        return;
    free(credentials->file_token);
    kube_exec_credential_clear(&credentials->exec);
    pthread_mutex_destroy(&credentials->mutex);
    free(credentials);
}

/* While there is no token in the file, the one it had before may still do. */
static int refresh_file(struct kube_credentials *credentials, struct error *err)
{
    const char *path = credentials->config->token_file;
    cleanup_free char *token = NULL;
    cleanup_error struct error reason = ERROR_INIT;
    size_t size = 0;

    if (credentials->file_token && clock_monotonic_ms() - credentials->file_read_ms < TOKEN_FILE_MS)
        return 0;
    int result = file_read(path, TOKEN_MAX, &token, &size, &reason);
    while (size > 0 && strchr(" \t\r\n", token[size - 1]))
        token[--size] = '\0';
    bool is_token = result == 0 && size > 0 && !text_has_control(token);
    if (!is_token && credentials->file_token)
        return 0;
    if (!is_token)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "reading token", path, "%s",
                         result < 0 ? error_root_detail(&reason) : "there is no token in it");
    free(credentials->file_token);
    credentials->file_token = TAKE_PTR(token);
    credentials->file_read_ms = clock_monotonic_ms();
    return 0;
}

static int refresh_exec(struct kube_credentials *credentials, struct deadline deadline, struct error *err)
{
    struct kube_exec_credential *exec = &credentials->exec;
    struct kube_exec_credential fresh = {0};

    if ((exec->token || exec->certificate) && time(NULL) < exec->expires_s)
        return 0;
    if (kube_exec_run(credentials->config, deadline, &fresh, err) < 0)
        return -1;
    kube_exec_credential_clear(exec);
    *exec = fresh;
    return 0;
}

static int get_locked(struct kube_credentials *credentials, struct deadline deadline, struct kube_identity *ret,
                      struct error *err)
{
    const struct kube_config *config = credentials->config;
    bool is_exec = config->exec.count > 0;

    if ((config->token_file && refresh_file(credentials, err) < 0) ||
        (is_exec && refresh_exec(credentials, deadline, err) < 0))
        return -1;
    const char *token = config->token_file ? credentials->file_token : config->token;
    const char *certificate = config->client_certificate ? config->client_certificate : credentials->exec.certificate;
    const char *key = config->client_certificate ? config->client_key : credentials->exec.key;
    *ret = (struct kube_identity){
        .token = text_copy(token ? token : credentials->exec.token),
        .user = text_copy(config->user),
        .password = text_copy(config->password),
        .certificate = text_copy(certificate),
        .key = text_copy(key),
    };
    return 0;
}

int kube_credentials_get(struct kube_credentials *credentials, struct deadline deadline, struct kube_identity *ret,
                         struct error *err)
{
    pthread_mutex_lock(&credentials->mutex);
    int result = get_locked(credentials, deadline, ret, err);
    pthread_mutex_unlock(&credentials->mutex);
    return result;
}

bool kube_credentials_refused(struct kube_credentials *credentials, const struct kube_identity *identity)
{
    const struct kube_config *config = credentials->config;

    pthread_mutex_lock(&credentials->mutex);
    if (config->token_file && text_equal(identity->token, credentials->file_token))
        credentials->file_read_ms = INT64_MIN / 2;
    if (config->exec.count > 0 && text_equal(identity->token, credentials->exec.token))
        credentials->exec.expires_s = 0;
    pthread_mutex_unlock(&credentials->mutex);
    return config->token_file || config->exec.count > 0;
}
