/* main.c - the daemon's life: read the settings, open what is needed, serve, stop. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>

#include "base/log.h"
#include "registryd/api_ops.h"
#include "registryd/daemon.h"
#include "registryd/http.h"

int main(int argc, char **argv)
{
	static const struct option options[] = { { "listen", required_argument, NULL, 'l' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	const struct http_route *tables[] = { api_ops_routes };
	const char *listen = "127.0.0.1:8640";
	struct daemon d = { .started_at = (int64_t)time(NULL) };
	struct http_options o = { .n_listen = 1, .threads = 2, .connections_max = 1000, .idle_timeout_s = 60, .tables = tables, .n_tables = 1, .app = &d };
	struct err e = ERR_NONE;
	sigset_t stop;
	int c, sig;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'v')
			return printf("registryd %s\n", REGISTRYD_VERSION) < 0;
		if (c != 'l')
			return 2;
		listen = optarg;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	o.listen = &listen;
	if (http_open(&d.http, &o, &e)) {
		fprintf(stderr, "registryd: %s\n", e.msg);
		return err_exit_status(e.code);
	}
	log_event(LOG_NOTICE, "daemon.ready", "listen=%s port=%u", listen, http_port(d.http, 0));
	sigwait(&stop, &sig);
	http_close(d.http, 10);
	return 0;
}
