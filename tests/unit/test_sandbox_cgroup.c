/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/sandbox_cgroup.h"

#include "base/text.h"
#include "harness/test.h"

static const char version_1_and_2[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:3 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "34 30 0:27 /docker/x /sys/fs/cgroup/bound rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 22 0:27 / /somewhere/else rw - cgroup cgroup rw,cpu,cpuacct\n";
static const char version_2[] = "25 22 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

FLEET_TEST(sandbox_cgroup, finds_hierarchies_of_both_versions)
{
    cleanup_cgroup_hierarchies struct cgroup_hierarchies found = {0};

    cgroup_hierarchies_parse(version_1_and_2, &found);
    CHECK(found.count == 3, "%zu hierarchies", found.count);
    CHECK(text_equal(found.items[0].mount_point, "/sys/fs/cgroup/cpu,cpuacct") && !found.items[0].version_2,
          "the first is %s", found.items[0].mount_point);
    CHECK(text_equal(found.items[1].mount_point, "/sys/fs/cgroup/systemd") && !found.items[1].version_2,
          "the second is %s", found.items[1].mount_point);
    CHECK(text_equal(found.items[2].mount_point, "/sys/fs/cgroup/unified") && found.items[2].version_2,
          "the third is %s", found.items[2].mount_point);
    return 0;
}

FLEET_TEST(sandbox_cgroup, finds_the_one_of_version_2)
{
    cleanup_cgroup_hierarchies struct cgroup_hierarchies found = {0};

    cgroup_hierarchies_parse(version_2, &found);
    CHECK(found.count == 1 && found.items[0].version_2, "%zu hierarchies", found.count);
    CHECK(text_equal(found.items[0].mount_point, "/sys/fs/cgroup"), "it is %s", found.items[0].mount_point);
    return 0;
}

FLEET_TEST(sandbox_cgroup, survives_what_is_no_mountinfo)
{
    static const char *const odd[] = {"",          "\n", " - ", " - cgroup x", "1 2 3 / - cgroup c", "- - - - - -",
                                      "1 2 3 / /x"};

    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        cleanup_cgroup_hierarchies struct cgroup_hierarchies found = {0};

        cgroup_hierarchies_parse(odd[i], &found);
        CHECK(found.count == 0, "case %zu: %zu hierarchies", i, found.count);
    }
    return 0;
}
