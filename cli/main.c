/* main.c - registryctl: reads the command line, opens the daemon, runs the verb, and turns its error into one sentence and an exit status. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "base/str.h"
#include "cli/ctl.h"
#include "cli/verb.h"

#define DATA_DIR_ROOT "/var/lib/registryd"

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);	/* a closed pipe is an error of the write */
}

/* Where the daemon keeps its data when nothing else is said; the same rule as the daemon's. */
static const char *default_data(char *out, size_t n)
{
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		return DATA_DIR_ROOT;
	if (!home || !*home)
		return NULL;
	snprintf(out, n, "%s/.local/share/registryd", home);
	return out;
}

static size_t terminal_columns(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;
	uint64_t n;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
		return w.ws_col;
	return columns && str_parse_u64(columns, &n, NULL) == 0 && n < 10000 ? (size_t)n : 80;
}

static int open_daemon(struct ctl *c, struct err *e)
{
	const char *url = args_text(&c->args, "url");
	char data[4096];
	struct client_token_sources from = {
		.file = args_text(&c->args, "token-file"),
		.value = getenv("REGISTRYD_TOKEN"),
		.data = args_text(&c->args, "data"),
		.default_data = default_data(data, sizeof(data)),
	};

	if (!url)
		url = getenv("REGISTRYD_URL");
	if (!url || !*url)
		url = CLIENT_DEFAULT_URL;
	if (client_open(&c->client, url, &from, e) < 0)
		return e->code;
	c->client.stop = &stopped;
	return 0;
}

static int run(struct ctl *c, struct err *e)
{
	const struct verb *v = c->args.verb;
	int rc;

	if (!v->run)
		return err_set(e, ERR_FAILED, "not supported yet in this version: %s", v->detail);
	c->json = args_has(&c->args, "json");
	c->quiet = args_has(&c->args, "quiet");
	c->columns = terminal_columns();
	c->stop = &stopped;
	rc = open_daemon(c, e);
	if (rc == 0)
		rc = v->run(c, e);
	client_close(&c->client);
	return rc;
}

/* Ends as the signal would have ended us, so that a shell's loop stops too. */
static void end_by_signal(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

int main(int argc, char **argv)
{
	struct ctl c = { .client = { 0 } };
	struct err e = ERR_NONE;
	int rc;

	setlocale(LC_CTYPE, "");
	catch_signals();
	rc = args_parse(&c.args, verb_table, verb_globals, argc, argv, &e);
	if (rc == 0 && args_has(&c.args, "version"))
		printf("registryctl %s\n", REGISTRYD_VERSION);
	else if (rc == 0 && (args_has(&c.args, "help") || args_has(&c.args, "h")))
		c.args.verb ? verb_help(stdout, c.args.verb) : verb_help_all(stdout);
	else if (rc == 0)
		rc = run(&c, &e);
	args_done(&c.args);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno == EPIPE)
			end_by_signal(SIGPIPE);	/* `| head` has seen enough */
		rc = rc < 0 ? rc : err_errno(&e, "write to standard output");
	}
	if (rc < 0) {
		fprintf(stderr, "registryctl: %s\n", e.msg);
	}
	if (stopped && rc == ERR_CANCELED)
		end_by_signal(stopped);
	return err_exit_status(rc);
}
