/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/digest.h"

#include "base/text.h"
#include "harness/test.h"

/* Values of NIST's "Examples with Intermediate Values" for FIPS 180-4. */
FLEET_TEST(digest, is_sha256)
{
    char digest[DIGEST_SIZE];

    digest_sha256("abc", 3, digest);
    CHECK(text_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "it is %s", digest);
    digest_sha256("", 0, digest);
    CHECK(text_equal(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "it is %s", digest);
    return 0;
}
