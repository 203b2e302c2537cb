/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_deploy.h"

#include "base/file.h"

static int journal(void *context, const char *kind, const char *name, const char **environment, struct error *err)
{
    struct test_host *host = context;

    if (!text_equal(kind, "process"))
        return 0; /* directories are in the run's own */
    free(host->mark);
    host->mark = run_mark(host->run, name);
    *environment = host->mark;
    return run_journal(host->run, RESOURCE_PROCESS, name, err);
}

int test_host_new(struct test_context *test, struct test_host *ret, struct error *err)
{
    if (test_run(test, &ret->run, err) < 0)
        return -1;
    ret->directory = text_format("%s/host", run_directory(ret->run));
    struct local_host_options options = {.state_directory = ret->directory, .announce = journal, .context = ret};
    if (directory_create(ret->directory, 0700, err) < 0 || local_host_new(&options, &ret->local, err) < 0)
        return -1;
    ret->topology = (struct topology){.name = "the test's host", .linux_host = local_host_linux(ret->local)};
    return 0;
}

void test_host_clear(struct test_host *host)
{
    local_host_free(host->local);
    free(host->directory);
    free(host->mark);
    *host = (struct test_host){0};
}
