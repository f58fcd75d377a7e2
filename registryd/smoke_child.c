/* smoke_child.c - the process side of smoke.h: the directory it may see, starting, reading, ending it. What it said is smoke.c's. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/json_list.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "registryd/net.h"
#include "registryd/smoke.h"

#define SMOKE_PROGRAM  "registryd-smoke"
#define SMOKE_ARGS_MAX 32
#define POLL_MS	       100
#define PROGRESS_FD    3	/* and in smoke_run's arguments */
#define PROGRESS_MS    50	/* between two looks at what the child tells of itself, however much that is */
#define PROGRESS_REST  4	/* reads after its end: more than a pipe holds */
#define PROGRESS_BYTES 65536	/* read at one look; of these the last line counts */

void smoke_child_done(struct smoke_child *c)
{
	json_decref(c->report);
	free(c->text);
	memset(c, 0, sizeof(*c));
}

/* ---- the view ------------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void smoke_view_close(const char *dir)
{
	if (dir)
		remove_tree(dir);
}

void smoke_view_clean(struct store *st)
{
	own(mem) char *dir = NULL;

	if (asprintf(&dir, "%s/work", store_data_dir(st)) < 0)
		abort();
	remove_tree(dir);
}

/* A second name for a blob: no copy, and the child can neither write to it nor see the store. */
static int link_one(struct work *w, const char *dir, const struct model_file *f, struct err *e)
{
	own(fd) int fd = store_open_blob(w->store, &f->sha256, NULL, e);
	own(mem) char *path = NULL;
	char from[64], *slash;

	if (fd < 0)
		return fd;
	if (asprintf(&path, "%s/%s", dir, f->path) < 0)
		abort();
	slash = strrchr(path, '/');
	*slash = 0;
	if (fdio_mkdirs(path, 0700, e))
		return e->code;
	*slash = '/';
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, "show '%s' to the inspector", f->path);
	return 0;
}

static int link_all(struct work *w, const char *dir, int64_t revision_id, struct err *e)
{
	own(walk) struct model_walk walk = { .db = w->db, .revision_id = revision_id, .which = FILES_ALL };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&walk, &f, e)) > 0)
		if (f->stored && f->wanted && (rc = link_one(w, dir, f, e)) < 0)	/* what another revision brought and this one leaves out is not judged */
			return rc;
	return rc;
}

int smoke_view_open(struct work *w, int64_t revision_id, char **dir, struct err *e)
{
	own(mem) char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/work/%lld", store_data_dir(w->store), (long long)w->job.id) < 0)
		abort();
	remove_tree(path);
	rc = fdio_mkdirs(path, 0700, e);
	if (!rc)
		rc = link_all(w, path, revision_id, e);
	if (rc) {
		remove_tree(path);
		return rc;
	}
	*dir = take(path);
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

/* As configured, or $REGISTRYD_SMOKE, or beside this program. */
static char *program(struct work *w)
{
	const char *set = w->config->smoke.program ? w->config->smoke.program : getenv("REGISTRYD_SMOKE");
	char self[4096], *slash, *path;
	ssize_t n;

	if (set && *set)
		return mem_strdup(set);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return mem_strdup(SMOKE_PROGRAM);
	self[n] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	if (asprintf(&path, "%s/%s", self, SMOKE_PROGRAM) < 0)
		abort();
	return path;
}

static int start(const char *path, char *const argv[], int out, int errors, int progress, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int rc;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGXFSZ);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, errors, 2);
	posix_spawn_file_actions_adddup2(&actions, progress, PROGRESS_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, PROGRESS_FD + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, path, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A report on its way. */
struct incoming {
	struct buf text;
	struct json_list files;	/* taken out of text; when has_files */
	bool has_files;
	uint64_t bytes;
	int rc;			/* why no more is read */
};

static int take_in(struct incoming *in, const char *p, size_t n)
{
	in->bytes += n;
	if (in->bytes > SMOKE_FILES_MAX)
		return ERR_LIMIT;
	return in->has_files ? json_list_add(&in->files, p, n) : buf_add(&in->text, p, n);
}

static bool stopped(const struct work *w)
{
	return atomic_load(&w->stop) || atomic_load(&w->d->stopping);
}

/* Reads what is there of the report; false at its end, also where it is none any more. */
static bool read_report(int fd, struct incoming *in)
{
	char chunk[65536];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	in->rc = take_in(in, chunk, (size_t)n);
	return !in->rc;
}

/* The same of the errors, which are read and dropped past their ceiling. */
static bool read_errors(int fd, struct buf *said)
{
	char chunk[SMOKE_STDERR_MAX];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n > 0)
		buf_add(said, chunk, (size_t)n);
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* The last whole line that is there is where the child is now. False at the end of the stream. */
static bool read_place(struct work *w, int fd, struct smoke_place *place)
{
	own(mem) char *chunk = mem_zalloc(PROGRESS_BYTES);
	char phase[WORK_PHASE_MAX];
	ssize_t n = read(fd, chunk, PROGRESS_BYTES);
	const char *end, *line;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	end = memrchr(chunk, '\n', (size_t)n);
	if (!end)
		return true;
	line = memrchr(chunk, '\n', (size_t)(end - chunk));
	line = line ? line + 1 : chunk;
	if (smoke_place_parse(place, line, (size_t)(end - line))) {
		smoke_place_text(place, phase, sizeof(phase));
		work_phase(w, "%s", phase);
	}
	return true;
}

/* What it told in its last moments. Nobody else writes to the pipe by now. */
static void read_rest(struct work *w, int fd, struct smoke_place *place)
{
	for (int i = 0; i < PROGRESS_REST && fcntl(fd, F_SETFL, O_NONBLOCK) == 0; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 0) <= 0 || !read_place(w, fd, place))
			return;
	}
}

/* Until report and errors end, the time is up or the job is stopped. */
static void listen_to(struct work *w, struct smoke_child *c, int out, int errors, int progress, struct incoming *in, struct buf *said, int64_t until_ms)
{
	struct pollfd p[3] = { { .fd = out, .events = POLLIN }, { .fd = errors, .events = POLLIN }, { .fd = progress, .events = POLLIN } };
	int64_t look_ms = 0, now_ms;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (stopped(w))
			return;
		now_ms = net_now_ms();
		if (now_ms > until_ms) {
			c->timed_out = true;
			return;
		}
		if (poll(p, now_ms >= look_ms ? 3 : 2, now_ms >= look_ms ? POLL_MS : PROGRESS_MS) <= 0)
			continue;
		if (now_ms >= look_ms && p[2].revents) {
			look_ms = now_ms + PROGRESS_MS;
			if (!read_place(w, progress, &c->place))
				p[2].fd = -1;
		}
		if (p[0].revents && !read_report(out, in))
			p[0].fd = -1;
		if (p[1].revents && !read_errors(errors, said))
			p[1].fd = -1;
		if (in->rc)
			return;
	}
}

/* Waits for the child until the same moment, then ends it and its group. */
static int reap(struct work *w, pid_t pid, int64_t until_ms, bool *timed_out)
{
	int status = 0;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (stopped(w) || *timed_out || net_now_ms() > until_ms) {
			*timed_out |= !stopped(w);
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		net_sleep(5, NULL);
	}
	kill(-pid, SIGKILL);	/* whatever it started */
	return status;
}

static const char *last_line(struct buf *said)
{
	char *line;

	while (said->len && (said->data[said->len - 1] == '\n' || said->data[said->len - 1] == ' '))
		said->data[--said->len] = 0;
	line = strrchr(said->data, '\n');
	return str_printable(line ? line + 1 : said->data);
}

static void judge(struct smoke_child *c, struct incoming *in, struct buf *said, int status, int64_t limit_s)
{
	struct err e = ERR_NONE;
	char where[WORK_PHASE_MAX];

	c->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	smoke_place_text(&c->place, where, sizeof(where));
	if (in->rc == ERR_LIMIT) {
		snprintf(c->problem, sizeof(c->problem), "inspector: its report is longer than %u bytes", in->bytes > SMOKE_FILES_MAX ? SMOKE_FILES_MAX : SMOKE_OUTPUT_MAX);
	} else if (in->rc) {
		snprintf(c->problem, sizeof(c->problem), "inspector: its report names a file in a way that is not JSON");
	} else if (c->timed_out) {
		snprintf(c->problem, sizeof(c->problem), "inspector stopped by signal %d after %lld s at %s", SIGKILL, (long long)limit_s, where);
	} else if (c->signal) {
		snprintf(c->problem, sizeof(c->problem), "inspector stopped by signal %d (%s) at %s%s%.200s", c->signal, strsignal(c->signal), where,
			 said->len ? ", after saying: " : "", last_line(said));
	} else {
		c->report = json_parse(in->text.data, in->text.len, "its report", &e);
		if (!json_is_object(c->report)) {
			json_decref(take(c->report));
			snprintf(c->problem, sizeof(c->problem), "inspector ended with status %d and no report%s%.300s", c->exit_status, said->len ? ": " : "", last_line(said));
		}
	}
	if (c->report)
		c->text = buf_take(&in->text);
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_all(int pipes[3][2])
{
	for (int i = 0; i < 3; i++)
		for (int end = 0; end < 2; end++)
			shut(&pipes[i][end]);
}

int smoke_run(struct work *w, const char *const *args, void (*file)(void *arg, const json_t *item), void *arg, struct smoke_child *c, struct err *e)
{
	int64_t limit_s = w->config->smoke.timeout_s > 0 ? w->config->smoke.timeout_s : SMOKE_TIMEOUT_S, until_ms = net_now_ms() + limit_s * 1000;
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };	/* its report, its errors, where it is */
	own(mem) char *path = program(w);
	char *argv[SMOKE_ARGS_MAX + 4] = { path, "--progress-fd", "3" };
	struct incoming in = { .has_files = file != NULL };
	own(buf) struct buf said;
	int rc, status;
	pid_t pid;

	memset(c, 0, sizeof(*c));
	c->exit_status = -1;
	buf_init(&in.text, SMOKE_OUTPUT_MAX);
	json_list_begin(&in.files, "files", &in.text, file, arg);
	buf_init(&said, SMOKE_STDERR_MAX);
	for (size_t i = 0; args[i] && i < SMOKE_ARGS_MAX; i++)
		argv[i + 3] = (char *)args[i];
	for (int i = 0; i < 3; i++) {
		if (pipe2(pipes[i], O_CLOEXEC) < 0) {
			rc = err_errno(e, "start %s", path);
			close_all(pipes);
			return rc;
		}
	}
	rc = start(path, argv, pipes[0][1], pipes[1][1], pipes[2][1], &pid);
	for (int i = 0; i < 3; i++)
		shut(&pipes[i][1]);
	if (rc) {
		snprintf(c->problem, sizeof(c->problem), "%s can't be started: %s", path, strerrordesc_np(rc));
	} else {
		listen_to(w, c, pipes[0][0], pipes[1][0], pipes[2][0], &in, &said, until_ms);
		shut(&pipes[0][0]);	/* a child that goes on writing is told so */
		status = reap(w, pid, until_ms, &c->timed_out);
		read_rest(w, pipes[2][0], &c->place);
		judge(c, &in, &said, status, limit_s);
	}
	close_all(pipes);
	json_list_done(&in.files);
	buf_done(&in.text);
	return stopped(w) ? err_set(e, ERR_CANCELED, "stopped") : 0;
}
