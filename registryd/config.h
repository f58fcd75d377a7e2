/*
 * config.h - the site's settings, registryd.yaml. One table (config_table.c) says for each setting its place, type, bounds, default
 * and meaning; the parser, --check-config, --print-config and the manual page registryd.yaml(5) are made from it. Adding a setting
 * is adding a row and a member. Unknown keys are errors that name the nearest known one.
 * A struct config is never changed once it is in use: SIGHUP makes a new one.
 */
#ifndef REGISTRYD_CONFIG_H
#define REGISTRYD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define CONFIG_FILE_MAX (4 << 20)
#define CONFIG_LIST_MAX 1000	/* entries of one list */
#define CONFIG_WEBHOOKS_MAX 100	/* a thread each */

struct config_list {
	const char **items;
	size_t n;
};

struct config_window {	/* minutes after midnight UTC; from == to means always */
	int from, to;
};

struct config_upstream {
	const char *name, *endpoint;	/* endpoint without a '/' at its end */
	const char *token_file;		/* NULL none */
	const char *proxy, *ca_file;	/* NULL: the environment's, the system's */
	uint64_t rate_limit;		/* bytes a second, 0 none */
	int64_t connections, retries;
	int64_t backoff_ms, stall_s;
	struct config_window window;
};

enum config_metadata { CONFIG_METADATA_FILES, CONFIG_METADATA_ONLY };

/* Exactly one of repo, author and query names what is mirrored. */
struct config_mirror {
	const char *name;		/* as written, or the repo ("org/name@v1" unless it is main), author or query */
	const char *repo, *author, *query;	/* query: words searched for in names */
	const char *upstream;		/* NULL: the first */
	const char *revision;
	struct config_list include, exclude, names, license;	/* names: globs on "org/name" */
	uint64_t max_size;		/* bytes, 0 none */
	int64_t limit;			/* models that author or query may bring in */
	int64_t every_s;
	int metadata;			/* enum config_metadata */
};

struct config_webhook {
	const char *url, *secret_file;
	struct config_list events;	/* globs on event kinds; none means all */
};

struct config_smoke {
	const char *device;		/* "auto", "cpu", "cuda", "cuda:1" */
	const char *program;		/* NULL: registryd-smoke beside registryd */
	int64_t timeout_s;
	uint64_t memory;		/* bytes the child may use, 0: three quarters of the machine's */
	uint64_t device_memory;		/* bytes, 0: what is free */
};

enum config_anonymous { CONFIG_ANONYMOUS_READ, CONFIG_ANONYMOUS_NONE };

struct config_auth {
	int anonymous;			/* enum config_anonymous */
};

struct config_http {
	int64_t threads, connections, idle_timeout_s, grace_s;
};

struct config_sync {
	int64_t jobs, files;		/* jobs at once; files of one job at once */
	uint64_t buffers;		/* bytes shared by all transfers */
	uint64_t keep_free;		/* bytes of disk that stay free */
};

struct config_catalog {
	uint64_t index_memory;		/* bytes for the posting index, 0 none */
	int64_t readers;
};

struct config {
	struct arena arena;		/* all strings below */
	const char *data, *public_url, *policy;	/* public_url, policy: NULL none */
	struct config_list listen;
	int log;			/* a LOG_ level, see config_log_level() */
	struct config_upstream *upstreams;
	size_t n_upstreams;
	struct config_mirror *mirror;
	size_t n_mirror;
	struct config_webhook *webhooks;
	size_t n_webhooks;
	struct config_smoke smoke;
	struct config_auth auth;
	struct config_http http;
	struct config_sync sync;
	struct config_catalog catalog;
};

/* What the command line says instead of the file; NULL: nothing. */
struct config_override {
	const char *data, *listen;
};

/* path NULL: the embedded default. Every setting is in its bounds and names that refer to others exist when 0 is returned. */
int config_load(struct config **out, const char *path, const struct config_override *o, struct err *e);
int config_parse(struct config **out, const char *text, size_t n, const char *what, const struct config_override *o, struct err *e);
/* Can the files be read that the settings name (tokens, certificates, secrets)? ERR_USAGE when one can't. The policy is policy_load()'s. */
int config_check_files(const struct config *c, struct err *e);
void config_free(struct config *c);	/* accepts NULL */
static inline void own_config(struct config **c)
{
	config_free(*c);
}

/* The whole of it as YAML that config_parse() reads back, each setting with its meaning as a comment. Caller frees. */
char *config_show(const struct config *c);
/* The settings as the body of registryd.yaml(5) in man(7) macros. Caller frees. */
char *config_man(void);

int config_log_level(const struct config *c);	/* LOG_WARNING, LOG_INFO or LOG_DEBUG */
/* The upstream of this name, the first for NULL; NULL when there is none. */
const struct config_upstream *config_find_upstream(const struct config *c, const char *name);

#endif
