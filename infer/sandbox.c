/* sandbox.c - see sandbox.h. */
#include "infer/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define WATCH_INTERVAL_MS 100
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define LANDLOCK_NET_TCP   3ULL	/* bind and connect, from ABI 4 on */
#define LANDLOCK_SCOPE_ALL 3ULL	/* abstract sockets of others and signals to them, from ABI 6 on */

/* landlock_ruleset_attr as of ABI 6; older kernels are shown its beginning. */
struct rights {
	uint64_t fs, net, scoped;
};

static int statm_fd = -1, status_fd = -1;	/* of this process: /proc is out of reach later */

/* All rights that this kernel's Landlock knows, so that everything not granted is refused. */
static uint64_t landlock_rights(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights;
}

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static int allow_beneath(int ruleset, int parent, uint64_t rights, struct err *e)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = rights, .parent_fd = parent };

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return err_errno(e, "make a Landlock rule");
	return 0;
}

/* What is not there needs no rule. */
static int allow_path(int ruleset, const char *path, uint64_t rights, struct err *e)
{
	own(fd) int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? 0 : allow_beneath(ruleset, fd, rights, e);
}

/* For a driver that is at work: libraries it may still load, what it looks up in the kernel, and every device of NVIDIA's. */
static int allow_gpu(int ruleset, struct err *e)
{
	static const char *const readable[] = { "/usr", "/lib", "/lib64", "/opt", "/proc", "/sys" };
	DIR *dev = opendir("/dev");
	struct dirent *d;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(readable); i++)
		rc = allow_path(ruleset, readable[i], READING | LANDLOCK_ACCESS_FS_EXECUTE, e);
	while (rc == 0 && dev && (d = readdir(dev))) {
		char path[300];
		struct stat st;

		if (strncmp(d->d_name, "nvidia", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		if (stat(path, &st) == 0)
			rc = allow_path(ruleset, path, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				(S_ISDIR(st.st_mode) ? LANDLOCK_ACCESS_FS_READ_DIR : 0), e);
	}
	if (dev)
		closedir(dev);
	return rc;
}

/* Reading below dirfd, and with a GPU what it needs. A kernel without Landlock is no error: the report says so. */
static int enter_landlock(struct sandbox *s, enum sandbox_mode mode, int dirfd, struct err *e)
{
	struct rights ruleset = { 0 };
	size_t size = sizeof(ruleset.fs);
	own(fd) int fd = -1;
	int rc;

	s->landlock_abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (s->landlock_abi <= 0) {
		s->landlock_abi = 0;
		return 0;
	}
	ruleset.fs = landlock_rights(s->landlock_abi);
	if (s->landlock_abi >= 4) {
		ruleset.net = LANDLOCK_NET_TCP;
		size += sizeof(ruleset.net);
	}
	if (s->landlock_abi >= 6) {
		ruleset.scoped = LANDLOCK_SCOPE_ALL;
		size += sizeof(ruleset.scoped);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (fd < 0)
		return err_errno(e, "make a Landlock ruleset");
	rc = allow_beneath(fd, dirfd, READING, e);
	if (rc == 0 && mode == SANDBOX_GPU)
		rc = allow_gpu(fd, e);
	if (rc < 0)
		return rc;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_errno(e, "enter Landlock");
	s->landlock = true;
	return 0;
}

/* What reading files, arithmetic in threads and ending need. Sanitizers ask for some of it. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(getdents64), SCMP_SYS(fadvise64), SCMP_SYS(readlink),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mprotect), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrusage), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getuid), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(membarrier), SCMP_SYS(getcpu), SCMP_SYS(restart_syscall),
};

static const unsigned descriptor_commands[] = { F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC };

static const int refused_with_gpu[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(kill), SCMP_SYS(tkill),
	SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(perf_event_open), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(chroot),
	SCMP_SYS(pivot_root), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(truncate), SCMP_SYS(chmod),
	SCMP_SYS(fchmodat), SCMP_SYS(bpf), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(init_module), SCMP_SYS(finit_module),
};

/* These say in memory, out of the filter's sight, what they do: open for writing, make sockets. Programs know that they may be absent. */
static const int unseen[] = { SCMP_SYS(openat2), SCMP_SYS(clone3), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register) };

/* Signals reach other processes by more ways than kill: as what a descriptor sends when it has news. */
static const unsigned signal_commands[] = { F_SETOWN, F_SETOWN_EX, F_SETSIG };

static int refuse_unseen(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), unseen[i], 0);
	return rc;
}

static int add_gpu_rules(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(refused_with_gpu); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused_with_gpu[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(signal_commands); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, signal_commands[i], 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TIOCSTI, 0));
	/* No new files, no new processes. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(creat), 0);
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	rc |= refuse_unseen(ctx);
	/* The driver's threads are there already: they too. */
	return rc | seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
}

static int add_strict_rules(scmp_filter_ctx ctx, const struct sandbox *s)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	/* Opening is for reading; writing is for the report and for errors. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	for (unsigned fd = 1; fd <= 2; fd++) {
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, fd, 0));
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, SCMP_A0(SCMP_CMP_EQ, fd, 0));
	}
	/* Is it a terminal? Nothing else: a terminal would also take what it is to be thought that somebody typed. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TCGETS, 0));
	for (size_t i = 0; i < ARRAY_LEN(descriptor_commands); i++)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, descriptor_commands[i], 0));
	/* This process may signal itself, as abort() does, and ask for its limits; no other. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));
	if (s->tell_fd)
		rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)s->tell_fd, 0));
	/* Threads, but no processes: without clone3 the C library uses clone. */
	rc |= refuse_unseen(ctx);
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
	/* PCRE2 compiles patterns to code: private memory may become executable. No mapping of a file that writes back. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED | MAP_PRIVATE, MAP_PRIVATE));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA, 0));
	/* Matrix tiles of the processor are handed out on request (kernel_amx.c). */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(arch_prctl), 1, SCMP_A0(SCMP_CMP_EQ, 0x1023, 0));
	return rc;
}

static int enter_seccomp(struct sandbox *s, enum sandbox_mode mode, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(mode == SANDBOX_CPU ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	int rc = ctx ? 0 : -ENOMEM;

	if (ctx)
		rc = mode == SANDBOX_CPU ? add_strict_rules(ctx, s) : add_gpu_rules(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc < 0)
		return err_set(e, ERR_FAILED, "enter seccomp: %s", strerror(-rc));
	s->seccomp = true;
	return 0;
}

int sandbox_enter(struct sandbox *s, enum sandbox_mode mode, int dirfd, struct err *e)
{
	const struct rlimit none = { 0, 0 };
	int rc;

	statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "give up new privileges");
	s->no_new_privs = true;
	rc = enter_landlock(s, mode, dirfd, e);
	return rc < 0 ? rc : enter_seccomp(s, mode, e);
}

static uint64_t rss_bytes(void)
{
	unsigned long long pages = 0;
	char text[128];
	ssize_t n = statm_fd < 0 ? -1 : pread(statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	sscanf(text, "%*s %llu", &pages);
	return pages * 4096;
}

struct watch {
	struct sandbox s;
	void (*over)(const char *why);
	struct timespec start;
};

/* Address-space limits would break sanitizers and GPU drivers; so the resident size is looked at. */
static void *watch_main(void *arg)
{
	const struct watch *w = arg;
	const struct timespec pause = { .tv_nsec = WATCH_INTERVAL_MS * 1000000L };
	struct timespec now;
	char why[160];

	for (;;) {
		uint64_t rss = rss_bytes();

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (w->s.timeout_s && now.tv_sec - w->start.tv_sec >= w->s.timeout_s)
			snprintf(why, sizeof(why), "stopped after %lld s: it took too long", (long long)w->s.timeout_s);
		else if (w->s.memory_bytes && rss > w->s.memory_bytes)
			snprintf(why, sizeof(why), "stopped at %.1f MB of memory; %.1f MB are allowed", (double)rss / 1e6, (double)w->s.memory_bytes / 1e6);
		else {
			nanosleep(&pause, NULL);
			continue;
		}
		w->over(why);
		_exit(1);
	}
	return NULL;
}

int sandbox_watch(const struct sandbox *s, void (*over)(const char *why), struct err *e)
{
	static struct watch w;
	pthread_t thread;

	if (!s->timeout_s && !s->memory_bytes)
		return 0;
	w = (struct watch){ .s = *s, .over = over };
	clock_gettime(CLOCK_MONOTONIC, &w.start);
	if (pthread_create(&thread, NULL, watch_main, &w) != 0)
		return err_set(e, ERR_FAILED, "start the watch over memory and time");
	pthread_detach(thread);
	return 0;
}

/* Not of getrusage(): its peak begins with the memory of whoever started this process. */
uint64_t sandbox_rss_peak(void)
{
	unsigned long long kb = 0;
	char text[4096];
	ssize_t n = status_fd < 0 ? -1 : pread(status_fd, text, sizeof(text) - 1, 0);
	const char *line;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "VmHWM:");
	if (line)
		sscanf(line, "VmHWM: %llu", &kb);
	return kb * 1024;
}

json_t *sandbox_json(const struct sandbox *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "no_new_privs", json_boolean(s->no_new_privs));
	json_object_set_new(o, "seccomp", json_boolean(s->seccomp));
	json_object_set_new(o, "landlock", json_boolean(s->landlock));
	json_object_set_new(o, "landlock_abi", json_integer(s->landlock_abi));
	json_object_set_new(o, "memory_bytes", json_integer((json_int_t)s->memory_bytes));
	json_object_set_new(o, "timeout_s", json_integer(s->timeout_s));
	return o;
}
