/* auth.c - see auth.h. */
#include "registryd/auth.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/log.h"
#include "catalog/token.h"

#define ADMIN_TOKEN_FILE "admin.token"

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
	if (rq->bad_token)
		return err_set(why, ERR_AUTH, "%s: %s", what, why->msg);
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

/* The name is in use when the file was removed by hand: the old token is unknown to all then, so it is replaced. */
static int create(struct daemon *d, int64_t now, char text[TOKEN_MAX], struct err *e)
{
	int rc = token_create(d->db, "admin", TOKEN_ADMIN, 0, now, text, e);
	char name[TOKEN_NAME_MAX];

	if (rc != ERR_CONFLICT)
		return rc;
	snprintf(name, sizeof(name), "admin-%lld", (long long)now);
	return token_create(d->db, name, TOKEN_ADMIN, 0, now, text, e);
}

int auth_first_token(struct daemon *d, const char *data_dir, int64_t now, struct err *e)
{
	own(fd) int dir = fdio_open_dir(AT_FDCWD, data_dir, e);
	char text[TOKEN_MAX + 1];
	size_t n;
	int rc;

	if (dir < 0)
		return dir;
	if (!faccessat(dir, ADMIN_TOKEN_FILE, F_OK, 0))
		return 0;
	if ((rc = create(d, now, text, e)))
		return rc;
	n = strlen(text);
	text[n++] = '\n';
	rc = fdio_replace(dir, ADMIN_TOKEN_FILE, text, n, 0600, e);
	explicit_bzero(text, sizeof(text));
	if (!rc)
		log_event(LOG_NOTICE, "auth.first_token", "file=%s/%s role=admin", data_dir, ADMIN_TOKEN_FILE);
	return rc;
}
