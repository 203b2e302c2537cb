/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first container of every Pod on the native cluster: it holds the Pod's namespaces, and reaps what has lost its parent
 * where the Pod's containers share the namespace of processes. scripts/setup-cluster compiles it, static.
 */

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    sigset_t signals;

    sigfillset(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    for (;;) {
        int signal = sigwaitinfo(&signals, NULL);
        if (signal == SIGTERM || signal == SIGINT)
            return 0;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
    }
}
