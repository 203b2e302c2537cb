/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/score_steps.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "deploy/log_tail.h"

int score_refuse(struct error *err, const char *score, const char *field, const char *detail_format, ...)
{
    cleanup_free char *operation = text_format("validating %s", score);
    va_list arguments;

    va_start(arguments, detail_format);
    cleanup_free char *detail = text_format_v(detail_format, arguments);
    va_end(arguments);
    return error_set(err, &deploy_error_domain, DEPLOY_INVALID_SCORE, operation, field, "%s", detail);
}

int score_check_path(const char *score, const char *field, const char *path, struct error *err)
{
    if (!path || path[0] != '/')
        return score_refuse(err, score, field, "\"%s\" is not an absolute path", path ? path : "");
    if (text_has_control(path))
        return score_refuse(err, score, field, "has a control character");
    return 0;
}

int score_check_program(const char *score, const char *field, const char *path, struct error *err)
{
    struct stat status;

    if (score_check_path(score, field, path, err) < 0)
        return -1;
    if (stat(path, &status) < 0)
        return score_refuse(err, score, field, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode) || access(path, X_OK) < 0)
        return score_refuse(err, score, field, "%s is not a program", path);
    return 0;
}

int score_check_credentials(const char *score, const char *field, const struct user_password *user,
                            struct credentials **ret, struct error *err)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    cleanup_error struct error unusable = ERROR_INIT;

    if (!user->user || !user->password)
        return score_refuse(err, score, field, "user and password must be given: there are no defaults");
    if (credentials_user_password(user->user, user->password, &credentials, &unusable) < 0)
        return score_refuse(err, score, field, "%s", error_root_detail(&unusable));
    if (ret)
        *ret = TAKE_PTR(credentials);
    return 0;
}

int score_linux_host(const char *score, const struct topology *topology, struct linux_host **ret, struct error *err)
{
    cleanup_free char *operation = text_format("deploying %s to", score);

    if (!topology->linux_host)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, operation, topology->name,
                         "it is not a Linux host");
    *ret = topology->linux_host;
    return 0;
}

struct score_step score_step_begin(const struct topology *topology, const char *name, struct score_outcome *outcome)
{
    const struct score_observer *observer = topology->observer;

    if (observer && observer->step_begin)
        observer->step_begin(observer->context, name);
    return (struct score_step){topology, name, outcome, false};
}

void score_step_end(struct score_step *step)
{
    const struct score_observer *observer = step->topology->observer;

    step->outcome->changed = step->outcome->changed || step->changed;
    if (observer && observer->step_end)
        observer->step_end(observer->context, step->name, step->changed);
}

/** The end of a service's log, or why it cannot be had. Caller frees. */
static char *end_of_log(const struct linux_host *host, const char *service, const struct service_status *status)
{
    cleanup_error struct error unreadable = ERROR_INIT;
    char *text = NULL;

    if (status->log_path)
        return log_tail(status->log_path);
    if (!host->operations->service_log)
        return text_copy("unknown");
    if (host->operations->service_log(host->context, service, &text, &unreadable) < 0)
        return error_text(&unreadable);
    return text;
}

/** Wrap *err: what was done to the service, how it is now, and the end of its log. */
static int wrap_with_log(struct error *err, const char *operation, const struct linux_host *host, const char *service)
{
    cleanup_error struct error ignored = ERROR_INIT;
    struct service_status status = {0};

    if (host->operations->service_status(host->context, service, &status, &ignored) < 0)
        status = (struct service_status){0};
    cleanup_free char *tail = end_of_log(host, service, &status);
    cleanup_free char *subject =
        text_format("%s (%s, its log ends:\n%s)", service, status.running ? "running" : "not running", tail);
    service_status_clear(&status);
    return error_wrap(err, operation, subject);
}

int score_smoke_check_failed(struct error *err, const struct linux_host *host, const char *service)
{
    wrap_with_log(err, "smoke check of", host, service);
    err->domain = &deploy_error_domain;
    err->code = DEPLOY_SMOKE_CHECK_FAILED;
    return -1;
}

int score_start_failed(struct error *err, const struct linux_host *host, const char *service)
{
    return wrap_with_log(err, "starting", host, service);
}

int score_check_running(const struct linux_host *host, const char *service, struct error *err)
{
    struct service_status status = {0};

    if (host->operations->service_status(host->context, service, &status, err) < 0)
        return -1;
    bool running = status.running;
    service_status_clear(&status);
    if (!running)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "checking service", service, "it does not run");
    return 0;
}
