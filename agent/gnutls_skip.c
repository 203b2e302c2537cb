/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS comes along with libcurl's other libraries and sets itself up as soon as it is loaded: 130 kB of memory for a
 * library the agent never calls. It asks this function first (GNUTLS_SKIP_GLOBAL_INIT in gnutls.h), which the program
 * must export: see agent/CMakeLists.txt.
 */

int gnutls_skip(void) __asm__("_gnutls_global_init_skip");

int gnutls_skip(void)
{
    return 1;
}
