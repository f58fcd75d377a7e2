/*
 * daemon.h - what one running registryd has, handed to every handler (rq->app) and worker. Made by main.c, which is the only
 * one to write it after start, apart from the settings.
 */
#ifndef REGISTRYD_DAEMON_H
#define REGISTRYD_DAEMON_H

#include <stdatomic.h>
#include <stdint.h>

struct http_server;

struct daemon {
	struct http_server *http;
	int64_t started_at;
	_Atomic bool stopping;		/* set once, at SIGTERM: workers leave their loops */
};

#endif
