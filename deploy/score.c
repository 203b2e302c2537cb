/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/score.h"

static const char *deploy_code_name(int code)
{
    switch ((enum deploy_error)code) {
    case DEPLOY_INVALID_SCORE:
        return "invalid-score";
    case DEPLOY_NO_CAPABILITY:
        return "no-capability";
    case DEPLOY_SMOKE_CHECK_FAILED:
        return "smoke-check-failed";
    case DEPLOY_PORT_TAKEN:
        return "port-taken";
    }
    return "unknown";
}
const struct error_domain deploy_error_domain = {"deploy", deploy_code_name};
