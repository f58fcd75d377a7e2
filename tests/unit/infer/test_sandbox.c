/* test_sandbox.c - what code that got into this process could still do: each attempt is made in a child, in the cage, and must fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/fdio.h"
#include "infer/sandbox.h"

#define DONE	 100	/* exit status of a child whose attempt succeeded; else its errno */
#define NO_CAGE	 101

static char dir[] = "/tmp/test_sandbox.XXXXXX";
static pid_t bystander;

/* ---- attempts: -1 with errno, or done ---- */

static long signal_other(void) { return syscall(SYS_tgkill, bystander, bystander, SIGKILL); }
static long kill_other(void) { return kill(bystander, SIGKILL); }
static long tkill_other(void) { return syscall(SYS_tkill, bystander, SIGKILL); }
static long queue_to_other(void) { siginfo_t i = { .si_code = -1 }; return syscall(SYS_rt_sigqueueinfo, bystander, SIGKILL, &i); }
static long hold_other(void) { return syscall(SYS_pidfd_open, bystander, 0); }
static long limit_other(void) { struct rlimit l = { 1, 1 }; return syscall(SYS_prlimit64, bystander, RLIMIT_CPU, &l, NULL); }
static long read_limit_of_other(void) { struct rlimit l; return syscall(SYS_prlimit64, bystander, RLIMIT_CPU, NULL, &l); }
static long news_to_other(void) { return fcntl(1, F_SETOWN, bystander); }
static long signal_of_news(void) { return fcntl(1, F_SETSIG, SIGKILL); }
static long make_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long make_ring(void) { char params[256] = { 0 }; return syscall(SYS_io_uring_setup, 1, params); }
static long type_for_the_user(void) { return ioctl(1, TIOCSTI, "x"); }
static long start_process(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static long open_unseen(uint64_t flags) { struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 }; return syscall(SYS_openat2, AT_FDCWD, "new", &how, sizeof(how)); }
static long create_unseen(void) { return open_unseen(O_WRONLY | O_CREAT); }
static long create(void) { return open("new", O_WRONLY | O_CREAT, 0600); }
static long write_old(void) { return open("old", O_WRONLY); }
static long unlink_old(void) { return unlink("old"); }

/* ---- what must go on ---- */

static long read_old(void)
{
	own(fd) int at = open(".", O_RDONLY | O_DIRECTORY), fd = -1;
	char c;

	if (at >= 0)
		fd = fdio_open_beneath(at, "sub/deep", O_RDONLY, NULL);
	return fd < 0 || read(fd, &c, 1) != 1 ? -1 : 0;
}

static long signal_itself(void) { return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? -1 : raise(SIGUSR1); }
static long read_own_limit(void) { struct rlimit l; return getrlimit(RLIMIT_NOFILE, &l); }

/* The child's exit status. */
static int in_cage(enum sandbox_mode mode, long (*attempt)(void))
{
	struct sandbox s = { 0 };
	struct err e = ERR_NONE;
	int status, at;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		at = open(".", O_RDONLY | O_DIRECTORY);
		if (sandbox_enter(&s, mode, at, &e) < 0)
			_exit(NO_CAGE);
		errno = 0;
		_exit(attempt() >= 0 ? DONE : errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void refuses(enum sandbox_mode mode)
{
	static const struct {
		const char *name;
		long (*attempt)(void);
	} all[] = {
		{ "tgkill", signal_other }, { "kill", kill_other }, { "tkill", tkill_other }, { "rt_sigqueueinfo", queue_to_other }, { "pidfd_open", hold_other },
		{ "prlimit64", limit_other }, { "prlimit64 to read", read_limit_of_other }, { "F_SETOWN", news_to_other }, { "F_SETSIG", signal_of_news },
		{ "socket", make_socket }, { "io_uring_setup", make_ring }, { "TIOCSTI", type_for_the_user }, { "clone", start_process },
		{ "openat2", create_unseen }, { "creat", create }, { "unlink", unlink_old },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int status = in_cage(mode, all[i].attempt);

		if (status != EPERM && status != ENOSYS && status != EACCES)
			fail_msg("%s is not refused in cage %d: %d", all[i].name, mode, status);
		assert_int_equal(kill(bystander, 0), 0);
		assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
	}
}

static void others_are_out_of_reach(void **state)
{
	(void)state;
	refuses(SANDBOX_CPU);
	refuses(SANDBOX_GPU);
	assert_in_range(in_cage(SANDBOX_CPU, write_old), 1, DONE - 1);
}

static void its_own_work_goes_on(void **state)
{
	static const enum sandbox_mode modes[] = { SANDBOX_CPU, SANDBOX_GPU };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(in_cage(modes[i], read_old), DONE);
		assert_int_equal(in_cage(modes[i], signal_itself), DONE);
		assert_int_equal(in_cage(modes[i], read_own_limit), DONE);
	}
}

static long leave_by_link(void) { own(fd) int at = open(".", O_RDONLY | O_DIRECTORY); return fdio_open_beneath(at, "out/passwd", O_RDONLY, NULL) == ERR_INPUT ? 0 : -1; }
static long leave_at_the_end(void) { own(fd) int at = open(".", O_RDONLY | O_DIRECTORY); return fdio_open_beneath(at, "last", O_RDONLY, NULL) == ERR_INPUT ? 0 : -1; }
static long leave_upwards(void) { own(fd) int at = open(".", O_RDONLY | O_DIRECTORY); return fdio_open_beneath(at, "sub/../../x", O_RDONLY, NULL) == ERR_INPUT ? 0 : -1; }
static long leave_absolutely(void) { own(fd) int at = open(".", O_RDONLY | O_DIRECTORY); return fdio_open_beneath(at, "/etc/passwd", O_RDONLY, NULL) == ERR_INPUT ? 0 : -1; }
static long nothing_there(void) { own(fd) int at = open(".", O_RDONLY | O_DIRECTORY); return fdio_open_beneath(at, "sub/none", O_RDONLY, NULL) == ERR_NOT_FOUND ? 0 : -1; }

/* openat2() is refused there, so paths are opened step by step: as strictly. */
static void paths_are_confined_without_openat2(void **state)
{
	(void)state;
	assert_int_equal(in_cage(SANDBOX_CPU, leave_by_link), DONE);
	assert_int_equal(in_cage(SANDBOX_CPU, leave_at_the_end), DONE);
	assert_int_equal(in_cage(SANDBOX_CPU, leave_upwards), DONE);
	assert_int_equal(in_cage(SANDBOX_CPU, leave_absolutely), DONE);
	assert_int_equal(in_cage(SANDBOX_CPU, nothing_there), DONE);
}

static int make_place(void **state)
{
	struct err e = ERR_NONE;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(fdio_mkdirs("sub", 0700, &e), 0);
	own(fd) int at = fdio_open_dir(AT_FDCWD, ".", &e);
	own(fd) int sub = fdio_open_dir(AT_FDCWD, "sub", &e);
	assert_int_equal(fdio_replace(at, "old", "x", 1, 0600, &e), 0);
	assert_int_equal(fdio_replace(sub, "deep", "x", 1, 0600, &e), 0);
	assert_int_equal(symlink("/etc", "out"), 0);
	assert_int_equal(symlink("/etc/passwd", "last"), 0);
	bystander = fork();
	if (bystander == 0) {
		pause();
		_exit(0);
	}
	return bystander < 0;
}

static int clear_place(void **state)
{
	(void)state;
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	unlink("old");
	unlink("sub/deep");
	unlink("out");
	unlink("last");
	rmdir("sub");
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_out_of_reach),
		cmocka_unit_test(its_own_work_goes_on),
		cmocka_unit_test(paths_are_confined_without_openat2),
	};

	return cmocka_run_group_tests(tests, make_place, clear_place);
}
