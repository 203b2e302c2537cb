/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pod/own_cluster.h"

#include <stdlib.h>

#include "base/text.h"

#define SERVICE "cluster"

void own_cluster_clear(struct own_cluster *own)
{
    free(own->directory);
    free(own->mark);
}

int own_cluster_name(struct test_context *test, struct own_cluster *ret, struct error *err)
{
    TRY(test_run(test, &ret->run, err));
    ret->directory = text_format("%s/" SERVICE, run_directory(ret->run));
    ret->mark = run_mark(ret->run, SERVICE);
    ret->place = (struct cluster_native_place){run_id(ret->run), ret->directory, ret->mark};
    TRY(run_journal(ret->run, RESOURCE_CGROUP, run_id(ret->run), err));
    TRY(run_journal(ret->run, RESOURCE_NETWORK_NAMESPACE, run_id(ret->run), err));
    return run_journal(ret->run, RESOURCE_PROCESS, SERVICE, err);
}
