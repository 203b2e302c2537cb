/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/local_host.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/text.h"
#include "deploy/service_record.h"

#define STOP_MS       10000 /* from SIGTERM to SIGKILL, and from SIGKILL to giving up */
#define NAME_SIZE_MAX 128

/** A service this process started: only its parent learns how a process ended. */
struct child {
    char *name;
    struct process *process;
};

struct local_host {
    struct linux_host linux_host;
    char *directory;
    struct local_host_options options; /**< state_directory is not used from here */
    struct child *children;
    size_t child_count;
};

/** It becomes part of file names. A device id of the greatest length fits with a prefix. */
static int check_name(const char *service, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t size = service ? strlen(service) : 0;

    if (size < 1 || size > NAME_SIZE_MAX || strspn(service, allowed) != size)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "naming service", service,
                         "it is not 1 to %d of A-Z, a-z, 0-9, '_' and '-'", NAME_SIZE_MAX);
    return 0;
}

static char *record_path(const struct local_host *host, const char *service)
{
    return text_format("%s/%s.service", host->directory, service);
}

static char *log_path(const struct local_host *host, const char *service)
{
    return text_format("%s/%s.log", host->directory, service);
}

static int announce(struct local_host *host, const char *kind, const char *name, const char **environment,
                    struct error *err)
{
    *environment = NULL;
    return host->options.announce ? host->options.announce(host->options.context, kind, name, environment, err) : 0;
}

static struct child *find_child(struct local_host *host, const char *service)
{
    for (size_t i = 0; i < host->child_count; i++) {
        if (text_equal(host->children[i].name, service))
            return &host->children[i];
    }
    return NULL;
}

/** The child that `record` is about, or NULL. */
static struct process *own_process(struct local_host *host, const char *service, const struct service_record *record)
{
    struct child *child = find_child(host, service);

    return child && child->process && process_pid(child->process) == record->process.pid ? child->process : NULL;
}

static int ensure_directory(void *context, const char *path, mode_t mode, bool *changed, struct error *err)
{
    struct local_host *host = context;
    const char *unused;
    struct stat status;

    if (stat(path, &status) == 0) {
        if (!S_ISDIR(status.st_mode))
            return error_set(err, &general_error_domain, GENERAL_CONFLICT, "making directory", path,
                             "something else stands there");
        if ((status.st_mode & 07777) == mode)
            return 0;
        *changed = true;
        return chmod(path, mode) < 0 ? error_set_errno(err, errno, "setting the mode of", path) : 0;
    }
    *changed = true;
    return announce(host, "directory", path, &unused, err) < 0 ? -1 : directory_create(path, mode, err);
}

static bool file_is(const char *path, const void *data, size_t size, mode_t mode)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *present = NULL;
    size_t present_size;
    struct stat status;

    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 07777) == mode &&
           (size_t)status.st_size == size && file_read(path, size, &present, &present_size, &ignored) == 0 &&
           present_size == size && memcmp(present, data, size) == 0;
}

static int ensure_file(void *context, const char *path, const void *data, size_t size, mode_t mode, bool *changed,
                       struct error *err)
{
    (void)context;
    if (file_is(path, data, size, mode))
        return 0;
    *changed = true;
    return file_write_atomic(path, data, size, mode, err);
}

static int read_file(void *context, const char *path, size_t max, char **data, size_t *size, struct error *err)
{
    (void)context;
    *data = NULL;
    return file_exists(path) ? file_read(path, max, data, size, err) : 0;
}

/** Wait for the end of exactly the recorded process, whoever its parent is. */
static int wait_for_end(int pidfd, const char *service, struct error *err)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    struct deadline deadline = deadline_in_ms(STOP_MS);
    int result;

    do {
        result = poll(&ended, 1, deadline_poll_ms(deadline));
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_set_errno(err, errno, "waiting for the end of service", service);
    if (result == 0)
        return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "waiting for the end of service", service,
                         "it runs on after %d ms", STOP_MS);
    return 0;
}

/** The record of a service, an empty one when there is none. Errors: GENERAL_INVALID for what is no service's name. */
static int read_record(const struct local_host *host, const char *service, struct service_record *ret,
                       struct error *err)
{
    if (check_name(service, err) < 0)
        return -1;
    cleanup_free char *path = record_path(host, service);
    return service_record_read(path, ret, err);
}

/** A pidfd of exactly the recorded process; -1 without error when it is gone. */
static int open_service(const struct service_record *record, const char *service, int *ret, struct error *err)
{
    pid_t pid = record->process.pid;
    cleanup_close int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;

    *ret = -1;
    if (pidfd < 0 && pid > 0 && errno != ESRCH)
        return error_set_errno(err, errno, "opening the process of service", service);
    /* Asked after opening: from here on the descriptor means this process, even if its number is given out again. */
    if (pidfd >= 0 && process_identity_alive(&record->process))
        *ret = TAKE_FD(pidfd);
    return 0;
}

static int send_and_wait(int pidfd, int signal, const char *service, struct error *err)
{
    if (pidfd_send_signal(pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
        return error_set_errno(err, errno, "signalling service", service);
    return signal == SIGTERM || signal == SIGKILL ? wait_for_end(pidfd, service, err) : 0;
}

/** SIGTERM, and SIGKILL for one that does not listen; it is gone on success. */
static int stop_service(struct local_host *host, const char *service, const struct service_record *record,
                        struct error *err)
{
    struct process *process = own_process(host, service, record);
    cleanup_error struct error stubborn = ERROR_INIT;
    cleanup_close int pidfd = -1;

    if (open_service(record, service, &pidfd, err) < 0)
        return -1;
    if (pidfd >= 0 && send_and_wait(pidfd, SIGTERM, service, &stubborn) < 0 &&
        send_and_wait(pidfd, SIGKILL, service, err) < 0)
        return -1;
    if (process)
        process_ended(process, NULL, NULL); /* reaps it */
    return 0;
}

/** A child that has ended already is identified too, as a zombie, for nobody has reaped it. */
static int identify_child(const struct process *child, struct process_identity *ret, struct error *err)
{
    struct process_stat status;
    pid_t pid = process_pid(child);

    if (process_stat_read(pid, &status) < 0)
        return error_set_errno(err, errno, "identifying", "the service's process");
    *ret = (struct process_identity){pid, status.start};
    return 0;
}

static int start_service(struct local_host *host, const struct service_definition *definition, struct error *err)
{
    cleanup_text_list struct text_list environment = {0};
    cleanup_free char *record_file = record_path(host, definition->name);
    cleanup_free char *log = log_path(host, definition->name);
    CLEANUP(process_free) struct process *process = NULL;
    struct service_record record = {.definition = service_definition_hash(definition)};
    const char *announced;

    if (announce(host, "process", definition->name, &announced, err) < 0)
        return -1;
    for (const char *const *item = definition->environment; item && *item; item++)
        text_list_add(&environment, *item);
    if (announced)
        text_list_add(&environment, announced);
    struct process_options options = {
        .argv = definition->argv,
        .environment = (const char *const *)environment.items,
        .log_path = log,
        .new_session = true,
    };
    /* Unless it is written down nobody would find it again: process_free kills it then. */
    if (process_start(&options, &process, err) < 0 || identify_child(process, &record.process, err) < 0 ||
        service_record_write(record_file, &record, err) < 0)
        return -1;
    struct child *child = find_child(host, definition->name);
    if (!child) {
        host->children = memory_resize(host->children, host->child_count + 1, sizeof(*host->children));
        child = &host->children[host->child_count++];
        *child = (struct child){.name = text_copy(definition->name)};
    }
    process_free(child->process); /* it has ended: this reaps it if nobody has */
    child->process = TAKE_PTR(process);
    return 0;
}

static int ensure_service(void *context, const struct service_definition *definition, bool restart, bool *changed,
                          struct error *err)
{
    struct local_host *host = context;
    struct service_record record;

    if (read_record(host, definition->name, &record, err) < 0)
        return -1;
    bool alive = process_identity_alive(&record.process);
    if (alive && !restart && record.definition == service_definition_hash(definition))
        return 0;
    *changed = true;
    if (alive && stop_service(host, definition->name, &record, err) < 0)
        return error_wrap(err, "restarting service", definition->name);
    if (start_service(host, definition, err) < 0)
        return error_wrap(err, "starting service", definition->name);
    return 0;
}

static int service_status(void *context, const char *name, struct service_status *ret, struct error *err)
{
    struct local_host *host = context;
    struct service_record record;

    if (read_record(host, name, &record, err) < 0)
        return -1;
    struct process *process = own_process(host, name, &record);
    if (process)
        process_ended(process, NULL, NULL); /* a dead child is a zombie until it is reaped */
    service_status_clear(ret);
    ret->running = process_identity_alive(&record.process);
    ret->pid = ret->running ? record.process.pid : 0;
    ret->log_path = log_path(host, name);
    return 0;
}

static int remove_service(void *context, const char *name, bool *changed, struct error *err)
{
    struct local_host *host = context;
    struct service_record record;

    if (read_record(host, name, &record, err) < 0)
        return -1;
    if (!record.process.pid)
        return 0;
    *changed = true;
    cleanup_free char *path = record_path(host, name);
    if (stop_service(host, name, &record, err) < 0 || file_remove(path, err) < 0)
        return error_wrap(err, "removing service", name);
    return 0;
}

static const struct linux_host_operations operations = {
    .ensure_directory = ensure_directory,
    .ensure_file = ensure_file,
    .read_file = read_file,
    .ensure_service = ensure_service,
    .service_status = service_status,
    .remove_service = remove_service,
};

int local_host_new(const struct local_host_options *options, struct local_host **ret, struct error *err)
{
    struct stat status;

    if (stat(options->state_directory, &status) < 0)
        return error_set_errno(err, errno, "opening local host", options->state_directory);
    struct local_host *host = NEW(struct local_host);
    host->options = *options;
    host->directory = text_copy(options->state_directory);
    host->linux_host = (struct linux_host){.operations = &operations, .context = host};
    *ret = host;
    return 0;
}

void local_host_free(struct local_host *host)
{
    if (!host)
        return;
    for (size_t i = 0; i < host->child_count; i++) {
        free(host->children[i].name);
        process_release(host->children[i].process);
    }
    free(host->children);
    free(host->directory);
    free(host);
}

struct linux_host *local_host_linux(struct local_host *host)
{
    return &host->linux_host;
}

int local_host_signal(struct local_host *host, const char *service, int signal, int *exit_code, struct error *err)
{
    struct service_record record;
    cleanup_close int pidfd = -1;

    if (exit_code)
        *exit_code = -1;
    if (read_record(host, service, &record, err) < 0 || open_service(&record, service, &pidfd, err) < 0)
        return -1;
    if (pidfd < 0)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "signalling service", service,
                         "it does not run");
    if (send_and_wait(pidfd, signal, service, err) < 0)
        return -1;
    struct process *process = own_process(host, service, &record);
    if (process)
        process_ended(process, exit_code, NULL);
    return 0;
}
