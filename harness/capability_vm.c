/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/capability_probe.h"
#include "harness/vm_accelerator.h"
#include "harness/vm_environment.h"

#define SETUP_REMEDY "run scripts/setup with HARMONY_FLEET_VM_E2E=1"
/* A package of its own, which libvirtd does without: it then knows no QEMU. */
#define QEMU_DRIVER LIBVIRT_DRIVERS "/libvirt_driver_qemu.so"
/* Names of devices in a network namespace of their own. */
#define TRIAL_BRIDGE "trial-bridge"
#define TRIAL_TAP    "trial-tap"

/* What is missing, and how to mend it: an error for who needs it, a gap for who only asks. All owned. */
struct shortage {
    char *what; /* "qemu-img" */
    char *why;
    char *remedy;
};

static void shortage_clear(struct shortage *shortage)
{
    free(shortage->what);
    free(shortage->why);
    free(shortage->remedy);
    *shortage = (struct shortage){0};
}

static void shortage_clear_at_exit(struct shortage *shortage)
{
    shortage_clear(shortage);
}
#define cleanup_shortage __attribute__((cleanup(shortage_clear_at_exit)))

/* Takes the three; returns -1. */
static int lack(struct shortage *shortage, char *what, char *why, char *remedy)
{
    shortage->what = what;
    shortage->why = why;
    shortage->remedy = remedy;
    return -1;
}

static int as_error(const struct shortage *shortage, struct error *err)
{
    return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", shortage->what, "%s; %s",
                     shortage->why, shortage->remedy);
}

/* The shortage is moved into the report. */
static void as_gap(struct shortage *shortage, struct capability_report *report)
{
    capability_set_gap(report, text_format("%s: %s", shortage->what, shortage->why), TAKE_PTR(shortage->remedy));
}

/* A program in PATH or where only administrators have them. */
static int find_program(const char *name, char **ret, struct shortage *shortage)
{
    char *path = capability_find_program(name);

    if (!path)
        return lack(shortage, text_copy(name), text_copy("it is not in PATH"), text_copy(SETUP_REMEDY));
    *ret = path;
    return 0;
}

static int read_environment(struct vm_environment *ret, struct shortage *shortage)
{
    cleanup_error struct error invalid = ERROR_INIT;

    if (vm_environment_read(ret, &invalid) == 0)
        return 0;
    return lack(shortage, text_copy(invalid.subject), text_copy(error_root_detail(&invalid)),
                text_format("set %s to one of them, or unset it", invalid.subject));
}

/* ssh */

int ssh_program_find(char **ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_program("ssh", ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

void probe_ssh(struct capability_report *ret)
{
    cleanup_shortage struct shortage shortage = {0};
    char *path = NULL;

    if (find_program("ssh", &path, &shortage) < 0)
        as_gap(&shortage, ret);
    else
        capability_set_found(ret, path);
}

/* libvirt */

void libvirt_programs_clear(struct libvirt_programs *programs)
{
    free(programs->libvirtd);
    free(programs->dnsmasq);
    *programs = (struct libvirt_programs){0};
}

static int find_libvirt(struct libvirt_programs *ret, struct shortage *shortage)
{
    cleanup_free char *libvirtd = NULL;
    cleanup_free char *dnsmasq = NULL;

    if (find_program("libvirtd", &libvirtd, shortage) < 0 || find_program("dnsmasq", &dnsmasq, shortage) < 0)
        return -1;
    if (access(QEMU_DRIVER, R_OK) < 0)
        return lack(shortage, text_copy("libvirtd's QEMU driver"), text_copy("there is no " QEMU_DRIVER),
                    text_copy(SETUP_REMEDY));
    *ret = (struct libvirt_programs){TAKE_PTR(libvirtd), TAKE_PTR(dnsmasq)};
    return 0;
}

int libvirt_find(struct libvirt_programs *ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_libvirt(ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

/* What libvirt does for its network and a guest's interface. In a child: only async-signal-safe calls. */
static int make_network(const void *context)
{
    struct ifreq tap = {.ifr_name = TRIAL_TAP, .ifr_flags = IFF_TAP | IFF_NO_PI};
    struct ifreq port = {.ifr_name = TRIAL_BRIDGE};

    (void)context;
    if (unshare(CLONE_NEWNET) < 0)
        return errno;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (control < 0 || tun < 0 || ioctl(tun, TUNSETIFF, &tap) < 0 || ioctl(control, SIOCBRADDBR, TRIAL_BRIDGE) < 0)
        return errno;
    port.ifr_ifindex = (int)if_nametoindex(TRIAL_TAP);
    return ioctl(control, SIOCBRADDIF, &port) < 0 ? errno : 0;
}

void probe_libvirt(struct capability_report *ret)
{
    cleanup_libvirt_programs struct libvirt_programs programs = {0};
    cleanup_shortage struct shortage shortage = {0};

    if (find_libvirt(&programs, &shortage) < 0) {
        as_gap(&shortage, ret);
        return;
    }
    int refused = try_in_child(make_network, NULL);
    if (refused) {
        capability_set_gap(
            ret, text_format("cannot make a bridge with a TUN device in a network namespace: %s", strerror(refused)),
            text_copy("run as root, with /dev/net/tun and the kernel's modules (modprobe bridge tun)"));
        return;
    }
    cleanup_free char *version = capability_ask_version(programs.libvirtd, "(libvirt) ");
    capability_set_found(ret, text_format("libvirtd %s (%s), dnsmasq (%s), bridges, TUN devices",
                                          version ? version : "?", programs.libvirtd, programs.dnsmasq));
}

/* QEMU */

void qemu_programs_clear(struct qemu_programs *programs)
{
    free(programs->system);
    free(programs->image);
    *programs = (struct qemu_programs){0};
}

static int find_qemu(const char *architecture, struct qemu_programs *ret, struct shortage *shortage)
{
    cleanup_free char *name = text_format("qemu-system-%s", architecture);
    cleanup_free char *system = NULL;
    cleanup_free char *image = NULL;

    if (find_program(name, &system, shortage) < 0 || find_program("qemu-img", &image, shortage) < 0)
        return -1;
    *ret = (struct qemu_programs){TAKE_PTR(system), TAKE_PTR(image)};
    return 0;
}

int qemu_find(const char *architecture, struct qemu_programs *ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_qemu(architecture, ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

void probe_qemu(struct capability_report *ret)
{
    cleanup_qemu_programs struct qemu_programs programs = {0};
    cleanup_vm_accelerator struct vm_accelerator accelerator = {0};
    cleanup_shortage struct shortage shortage = {0};
    struct vm_environment environment;

    if (read_environment(&environment, &shortage) < 0 ||
        find_qemu(environment.architecture, &programs, &shortage) < 0) {
        as_gap(&shortage, ret);
        return;
    }
    cleanup_free char *version = capability_ask_version(programs.system, "version ");
    vm_accelerator_find(&environment, &accelerator);
    capability_set_found(ret, text_format("qemu-system-%s %s, %s (%s)", environment.architecture,
                                          version ? version : "?", accelerator.name, accelerator.reason));
}

/* Images */

void vm_image_clear(struct vm_image *image)
{
    free(image->directory);
    free(image->disk);
    free(image->kernel);
    free(image->initrd);
    *image = (struct vm_image){0};
}

/* "<directory>/<name>", which must be readable; NULL: it is not. Caller frees. */
static char *find_part(const char *directory, const char *name)
{
    cleanup_free char *path = directory ? text_format("%s/%s", directory, name) : NULL;

    return path && access(path, R_OK) == 0 ? TAKE_PTR(path) : NULL;
}

static int find_image(const char *architecture, const char *kind, struct vm_image *ret, struct shortage *shortage)
{
    cleanup_free char *link = text_format("%s/vm/%s/%s", cache_directory(), architecture, kind);
    /* The link's target: the link itself may point to a newer image tomorrow. */
    cleanup_free char *directory = realpath(link, NULL);
    cleanup_free char *disk = find_part(directory, "disk.img");
    cleanup_free char *kernel = find_part(directory, "kernel");
    cleanup_free char *initrd = find_part(directory, "initrd");

    if (!disk || !kernel || !initrd)
        return lack(shortage, text_format("the %s image for %s", kind, architecture),
                    text_format("%s has not all of disk.img, kernel and initrd", link),
                    text_format("run images/vm/build %s %s", architecture, kind));
    *ret = (struct vm_image){TAKE_PTR(directory), TAKE_PTR(disk), TAKE_PTR(kernel), TAKE_PTR(initrd)};
    return 0;
}

int vm_image_find(const char *architecture, const char *kind, struct vm_image *ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_image(architecture, kind, ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

void probe_vm_image(struct capability_report *ret)
{
    cleanup_vm_image struct vm_image image = {0};
    cleanup_shortage struct shortage shortage = {0};
    struct vm_environment environment;

    if (read_environment(&environment, &shortage) < 0 ||
        find_image(environment.architecture, text_equal(environment.base, "stock") ? "stock" : "golden", &image,
                   &shortage) < 0)
        as_gap(&shortage, ret);
    else
        capability_set_found(ret, TAKE_PTR(image.directory));
}

/* What guests are given */

static int find_agent(const char *architecture, char **ret, struct shortage *shortage)
{
    cleanup_free char *link = text_format("%s/agents/%s/harmony-fleet-agent", cache_directory(), architecture);
    cleanup_free char *path = realpath(link, NULL);

    if (!path || access(path, X_OK) < 0)
        return lack(shortage, text_format("harmony-fleet-agent for %s", architecture),
                    text_format("there is no program %s", link),
                    text_format("run scripts/build-agent %s", architecture));
    *ret = TAKE_PTR(path);
    return 0;
}

int vm_agent_find(const char *architecture, char **ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_agent(architecture, ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

void probe_vm_agent(struct capability_report *ret)
{
    cleanup_shortage struct shortage shortage = {0};
    struct vm_environment environment;
    char *path = NULL;

    if (read_environment(&environment, &shortage) < 0 || find_agent(environment.architecture, &path, &shortage) < 0)
        as_gap(&shortage, ret);
    else
        capability_set_found(ret, path);
}

static int find_workloads(char **ret, struct shortage *shortage)
{
    cleanup_free char *link = text_format("%s/registry", cache_directory());
    /* Where docker-registry keeps the names of what was pushed. */
    cleanup_free char *repositories = text_format("%s/docker/registry/v2/repositories", link);
    char *path = file_exists(repositories) ? realpath(link, NULL) : NULL;

    if (!path)
        return lack(shortage, text_copy("the images that guests run"), text_format("there is no %s", repositories),
                    text_copy("run images/build-registry"));
    *ret = path;
    return 0;
}

int vm_workloads_find(char **ret, struct error *err)
{
    cleanup_shortage struct shortage shortage = {0};

    return find_workloads(ret, &shortage) < 0 ? as_error(&shortage, err) : 0;
}

void probe_vm_workloads(struct capability_report *ret)
{
    cleanup_shortage struct shortage shortage = {0};
    char *path = NULL;

    if (find_workloads(&path, &shortage) < 0)
        as_gap(&shortage, ret);
    else
        capability_set_found(ret, path);
}
