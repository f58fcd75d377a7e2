/*
 * client.h - one daemon over HTTP, through libcurl: JSON calls of /-/v1, and bodies streamed to and from file descriptors.
 * An answer of the daemon that says no becomes an error with the daemon's own sentence and code; a daemon that can't be reached is
 * ERR_UNREACHABLE naming the URL, and nothing else is (a code "unreachable" from the daemon is about *its* upstream: ERR_FAILED).
 * Not safe for threads.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "verify/digest.h"

#define CLIENT_DEFAULT_URL "http://127.0.0.1:8640"
#define CLIENT_ANSWER_MAX (256u << 20)	/* bytes of one JSON answer */
#define CLIENT_TOKEN_MAX 512
#define CLIENT_CONNECT_S 10
#define CLIENT_STALL_S 300	/* without a byte in either direction; long polls end far earlier */

struct client {
	void *curl;
	char *url;	/* without a trailing slash */
	char *token;	/* NULL: none */
	volatile sig_atomic_t *stop;	/* calls end with ERR_CANCELED once it is not 0; may be NULL */
};

/* Where the token comes from: the first of these that is there (contract, section 3). */
struct client_token_sources {
	const char *file;	/* --token-file, NULL when not given; must then be readable */
	const char *value;	/* $REGISTRYD_TOKEN */
	const char *data;	/* --data, NULL when not given: admin.token there must then be readable */
	const char *default_data;	/* admin.token here is used when it can be read, and only for a daemon on this machine */
};

int client_open(struct client *c, const char *url, const struct client_token_sources *from, struct err *e);
void client_close(struct client *c);
bool client_is_local(const char *url);	/* does the URL name the loopback interface? */

/* *answer may be NULL when it is of no interest; body may be NULL. path begins with '/' and is already escaped. */
int client_call(struct client *c, const char *method, const char *path, const json_t *body, json_t **answer, struct err *e);
static inline int client_get(struct client *c, const char *path, json_t **answer, struct err *e)
{
	return client_call(c, "GET", path, NULL, answer, e);
}

/* Sends n bytes of text with a type of its own. */
int client_send_text(struct client *c, const char *method, const char *path, const char *type, const char *text, size_t n, json_t **answer,
		     struct err *e);
/*
 * Sends exactly size_bytes from fd's position on. moved (may be NULL) is told the bytes sent so far, now and then. *sha256 is the digest of
 * what was sent, for comparing with what the daemon says it got.
 */
int client_upload(struct client *c, const char *path, int fd, uint64_t size_bytes, void (*moved)(void *arg, uint64_t bytes), void *arg,
		  struct digest *sha256, json_t **answer, struct err *e);
/* Gives the body to sink in pieces as they arrive; a negative answer of sink ends the transfer with that code. */
int client_stream(struct client *c, const char *path, int (*sink)(void *arg, const char *p, size_t n, struct err *e), void *arg, struct err *e);

/* Paths are put together in a buf. A model is REPO[@REV] in one piece, slashes kept. */
#define CLIENT_PATH_MAX 65536
void client_path_add(struct buf *b, const char *segment);			/* escaped, '/' kept */
void client_segment_add(struct buf *b, const char *segment);			/* escaped, '/' too */
void client_query_add(struct buf *b, const char *key, const char *value);	/* NULL value: nothing is added */
void client_query_number(struct buf *b, const char *key, int64_t value);

static inline void own_client(struct client *c)
{
	client_close(c);
}

#endif
