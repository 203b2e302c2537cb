/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "auth/credentials.h"
#include "base/log.h"
#include "kubernetes/kube_error.h"
#include "operator/operator.h"

static bool is_configuration(const struct error *failure)
{
    return failure->domain == &auth_error_domain || error_is(failure, &kube_error_domain, KUBE_CONFIG) ||
           error_is(failure, &general_error_domain, GENERAL_INVALID);
}

int main(int argc, char **argv)
{
    cleanup_operator_options struct operator_options options = {0};
    cleanup_error struct error failure = ERROR_INIT;
    int code = -1;

    operator_block_signals();
    log_start(OPERATOR_PROGRAM);
    if (operator_options_read(argc, argv, &options, &code, &failure) < 0) {
        log_failure("the options cannot be used", &failure);
        return EX_USAGE;
    }
    if (code >= 0)
        return code;
    if (operator_run(&options, &failure) < 0) {
        log_failure("the operator cannot go on", &failure);
        return is_configuration(&failure) ? EX_CONFIG : 1;
    }
    return EX_OK;
}
