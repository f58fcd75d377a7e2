/* auth.c - see auth.h. */
#include "registryd/auth.h"

#include <fcntl.h>

#include "base/fdio.h"
#include "base/log.h"
#include "catalog/token.h"

#define ADMIN_TOKEN_FILE     "admin.token"
#define ADMIN_TOKEN_FILE_MAX 4096

_Static_assert(HTTP_WHO_MAX > TOKEN_NAME_MAX, "two tokens whose names differ at the end are two people");

static int identify(struct request *rq, struct err *e)
{
	struct daemon *d = rq->app;
	const char *text = http_bearer(rq);
	struct token t;
	int rc;

	snprintf(rq->who, sizeof(rq->who), "anonymous");
	rq->role = -1;
	if (!text || !*text)
		return 0;
	rc = token_lookup(d->db, text, rq->now, &rq->arena, &t, e);
	if (rc == ERR_AUTH) {
		rq->bad_token = true;
		return 0;
	}
	if (rc)
		return rc;
	rq->role = (int)t.role;
	snprintf(rq->who, sizeof(rq->who), "%s", t.name);
	return 0;
}

static int need(const struct request *rq, enum token_role role, const char *what, struct err *why)
{
	if (rq->role >= (int)role)
		return 0;
	if (rq->role > 0)
		return err_set(why, ERR_REFUSED, "%s needs a token with the role %s; \"%s\" is a %s", what, token_role_name(role), rq->who,
			       token_role_name((enum token_role)rq->role));
	if (rq->bad_token)	/* why says already what is wrong with it */
		return err_wrap(why, "%s needs a token with the role %s", what, token_role_name(role));
	return err_set(why, ERR_AUTH, "%s needs a token with the role %s", what, token_role_name(role));
}

int auth_authorize(struct request *rq, enum http_access access, struct err *e)
{
	struct daemon *d = rq->app;
	struct err why = ERR_NONE;
	int rc;

	if (access == HTTP_OPEN && !http_header(rq, "Authorization"))
		return 0;
	if ((rc = identify(rq, &why))) {
		*e = why;
		return rc;
	}
	switch (access) {
	case HTTP_OPEN:
		return 0;
	case HTTP_READ:
		rc = daemon_config(d)->auth.anonymous == CONFIG_ANONYMOUS_READ ? 0 : need(rq, TOKEN_READER, "reading here", &why);
		break;
	case HTTP_PUBLISH:
		rc = need(rq, TOKEN_PUBLISHER, "this", &why);
		break;
	case HTTP_ADMIN:
		rc = need(rq, TOKEN_ADMIN, "this", &why);
		break;
	}
	if (rc)
		*e = why;
	return rc;
}

bool auth_known(const struct request *rq)
{
	return rq->role >= TOKEN_READER;
}

/* The name is in use when the file was lost or its token revoked: that one is good for nothing then, so it gets a successor. */
static int create(struct daemon *d, int64_t now, char text[TOKEN_MAX], struct err *e)
{
	int rc = token_create(d->db, "admin", TOKEN_ADMIN, 0, now, text, e);
	char name[TOKEN_NAME_MAX + 1];

	if (rc != ERR_CONFLICT)
		return rc;
	snprintf(name, sizeof(name), "admin-%lld", (long long)now);
	return token_create(d->db, name, TOKEN_ADMIN, 0, now, text, e);
}

static int write_token(struct daemon *d, int dir, int64_t now, struct err *e)
{
	char text[TOKEN_MAX + 1];
	int rc = create(d, now, text, e);
	size_t n;

	if (rc)
		return rc;
	n = strlen(text);
	text[n++] = '\n';
	rc = fdio_replace(dir, ADMIN_TOKEN_FILE, text, n, 0600, e);
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* Is the file's token an admin's, here and now? If not, why says what it is. */
static int judge_file(struct daemon *d, int dir, int64_t now, struct err *why)
{
	own(arena) struct arena a;
	own(buf) struct buf b;
	struct token t;
	int rc;

	arena_init(&a);
	buf_init(&b, ADMIN_TOKEN_FILE_MAX);
	rc = fdio_slurp(dir, ADMIN_TOKEN_FILE, &b, why);
	if (rc)
		return rc;
	if (b.len == 0)
		return err_set(why, ERR_AUTH, "it is empty");
	b.data[strcspn(b.data, " \t\r\n")] = 0;
	rc = token_look(d->db, b.data, now, &a, &t, why);
	if (rc == 0 && t.role != TOKEN_ADMIN)
		rc = err_set(why, ERR_REFUSED, "token '%s' is a %s", t.name, token_role_name(t.role));
	explicit_bzero(b.data, b.len);
	return rc;
}

/*
 * The file may have outlived its token: the catalog was lost or put back from a backup, or the token was revoked. It would lock everybody out who
 * relies on it, so another is written, unless there are admins who have their own tokens: then it may be wanted so.
 */
int auth_first_token(struct daemon *d, const char *data_dir, int64_t now, struct err *e)
{
	own(fd) int dir = fdio_open_dir(AT_FDCWD, data_dir, e);
	struct err why = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	bool others;
	int rc;

	if (dir < 0)
		return dir;
	rc = judge_file(d, dir, now, &why);
	if (rc == 0)
		return 0;
	if (rc == ERR_NOT_FOUND) {
		rc = write_token(d, dir, now, e);
		if (!rc)
			log_event(LOG_NOTICE, "auth.first_token", "file=%s/%s role=admin", data_dir, ADMIN_TOKEN_FILE);
		return rc;
	}
	if ((rc = token_in_force(d->db, TOKEN_ADMIN, now, &others, e)))
		return rc;
	if (!others && (rc = write_token(d, dir, now, e)))
		return rc;
	log_event(LOG_WARNING, others ? "auth.stale_token" : "auth.new_token", "file=%s/%s why=%s effect=\"%s\"", data_dir, ADMIN_TOKEN_FILE, log_quote(quoted, why.msg),
		  others ? "the file is left: there are other admin tokens" : "a new one is written there");
	return 0;
}
