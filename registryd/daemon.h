/*
 * daemon.h - what one running registryd has, handed to every handler (rq->app) and worker. Made by main.c, which alone writes it
 * after start; but for the policy, which is rules.c's. Both it and the settings are swapped whole: take them once per request or job with
 * daemon_config() and daemon_policy(). Old ones are kept until the end, so that nobody has to say when he is done with them: a reload is rare.
 */
#ifndef REGISTRYD_DAEMON_H
#define REGISTRYD_DAEMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog/db.h"
#include "catalog/policy.h"
#include "catalog/store.h"
#include "registryd/config.h"

struct http_server;
struct quota;
struct room;
struct rules;

struct daemon {
	_Atomic(struct config *) config;
	_Atomic(struct policy *) policy;
	struct db *db;
	struct store *store;
	struct room *room;		/* who has still to write how much into the store: room.h */
	struct quota *quota;		/* what namespaces are about to take: quota.h */
	struct rules *rules;		/* how the policy changes: rules.h */
	struct http_server *http;
	int64_t started_at;
	_Atomic bool stopping;		/* set once, at SIGTERM: workers leave their loops */
	_Atomic unsigned reloads;	/* times the settings were read anew: who caches something looks at it */
	_Atomic bool index_loaded;	/* the search index is in memory */
};

static inline const struct config *daemon_config(struct daemon *d)
{
	return atomic_load(&d->config);
}

static inline const struct policy *daemon_policy(struct daemon *d)
{
	return atomic_load(&d->policy);
}

#endif
