/* token.c - see token.h. */
#include "catalog/token.h"

#include <errno.h>
#include <sys/random.h>

#include "base/json.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/sql.h"
#include "verify/digest.h"

#define SECRET_CHARS   40
#define LIST_MAX       10000
#define USED_EVERY_S   3600	/* last_used_at is written at most this often: a read must not cost a disk write */

static const char *const roles[] = { "reader", "publisher", "admin" };

const char *token_role_name(enum token_role r)
{
	return r >= TOKEN_READER && r <= TOKEN_ADMIN ? roles[r - 1] : "none";
}

int token_role_parse(enum token_role *out, const char *name, struct err *e)
{
	for (int i = 0; i < 3; i++)
		if (!strcmp(roles[i], name)) {
			*out = (enum token_role)(i + 1);
			return 0;
		}
	return err_set(e, ERR_USAGE, "unknown role '%.40s': reader, publisher or admin", name);
}

/* Letters and digits without bias: a byte of 248 (4 * 62) or more is thrown away. */
static int random_text(char *out, size_t n, struct err *e)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char bytes[128];
	size_t at = 0;

	while (at < n) {
		ssize_t got = getrandom(bytes, sizeof(bytes), 0);

		if (got < 0 && errno != EINTR)
			return err_errno(e, "get random bytes");
		for (ssize_t i = 0; i < got && at < n; i++)
			if (bytes[i] < 248)
				out[at++] = alphabet[bytes[i] % 62];
	}
	out[n] = 0;
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

/* What the program does by itself it records under these: a person of that name could not be told from it. */
static const char *const own_names[] = { "anonymous", "bundle", "licence", "policy", "schedule", "smoke" };

static int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > TOKEN_NAME_MAX)
		return err_set(e, ERR_USAGE, "a token's name has 1 to %d characters", TOKEN_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@", name[i]))
			return err_set(e, ERR_USAGE, "a token's name is made of letters, digits and . _ - @");
	for (size_t i = 0; i < ARRAY_LEN(own_names); i++)
		if (!strcasecmp(name, own_names[i]))
			return err_set(e, ERR_USAGE, "a token can't be named '%s': what registryd does by itself is recorded under that name", own_names[i]);
	return 0;
}

static int insert(struct db_conn *c, const char *name, const struct digest *hash, enum token_role role, int64_t expires_at, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO token (name, hash, role, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING "
					    "RETURNING id",
					    e);
	bool made;
	int rc;

	sql_text(&q, name);
	sql_digest(&q, hash);
	sql_int(&q, role);
	sql_int(&q, now);
	sql_int(&q, expires_at);
	made = sql_row(&q);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return made ? 0 : err_set(e, ERR_CONFLICT, "there is a token named '%s' already (names are not used twice, also after revoking)", name);
}

int token_create(struct db *db, const char *name, enum token_role role, int64_t expires_at, int64_t now, char text[TOKEN_MAX], struct err *e)
{
	own(tx) struct tx t = { 0 };
	char fresh[TOKEN_MAX] = "hf_";
	struct digest hash;
	int rc;

	if ((rc = check_name(name, e)) < 0)
		return rc;
	if (expires_at && expires_at <= now)
		return err_set(e, ERR_USAGE, "token '%s' would have expired already", name);
	if ((rc = random_text(fresh + 3, SECRET_CHARS, e)) < 0)
		return rc;
	digest_of(&hash, DIGEST_SHA256, fresh, strlen(fresh));
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = insert(t.c, name, &hash, role, expires_at, now, e)) < 0)
		return rc;
	rc = event_add_tx(t.c, "token.created", NULL, NULL, json_pack("{s:s,s:s}", "name", name, "role", token_role_name(role)), now, e);
	if (rc < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	memcpy(text, fresh, sizeof(fresh));
	return 0;
}

#define COLUMNS "SELECT id, name, role, created_at, expires_at, revoked_at, last_used_at FROM token "

static void row(struct sql *q, struct arena *a, struct token *t)
{
	*t = (struct token){ .id = sql_get_int(q, 0),	      .name = sql_get_dup(q, 1, a),	    .role = (enum token_role)sql_get_int(q, 2),
			     .created_at = sql_get_int(q, 3), .expires_at = sql_get_int(q, 4), .revoked_at = sql_get_int(q, 5),
			     .last_used_at = sql_get_int(q, 6) };
}

static int find(struct db *db, const struct digest *hash, struct arena *a, struct token *out, struct err *e)
{
	own(read) struct read r = { 0 };
	bool found;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, COLUMNS "WHERE hash = $1", e);
	sql_digest(&q, hash);
	found = sql_row(&q);
	if (found)
		row(&q, a, out);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_AUTH, "unknown token");
}

static void note_use(struct db *db, int64_t id, int64_t now)
{
	own(tx) struct tx t = { 0 };

	if (tx_begin(&t, db, NULL) < 0)
		return;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE token SET last_used_at = $2 WHERE id = $1", NULL);
		sql_int(&q, id);
		sql_int(&q, now);
		if (sql_run(&q) < 0)
			return;
	}
	tx_commit(&t, NULL);
}

int token_look(struct db *db, const char *text, int64_t now, struct arena *a, struct token *out, struct err *e)
{
	struct digest hash;
	struct token t;
	int rc;

	digest_of(&hash, DIGEST_SHA256, text, strlen(text));
	if ((rc = find(db, &hash, a, &t, e)) < 0)
		return rc;
	if (t.revoked_at)
		return err_set(e, ERR_AUTH, "token '%s' was revoked", t.name);
	if (t.expires_at && t.expires_at <= now)
		return err_set(e, ERR_AUTH, "token '%s' has expired", t.name);
	*out = t;
	return 0;
}

int token_lookup(struct db *db, const char *text, int64_t now, struct arena *a, struct token *out, struct err *e)
{
	int rc = token_look(db, text, now, a, out, e);

	if (rc == 0 && llabs(now - out->last_used_at) >= USED_EVERY_S)
		note_use(db, out->id, now);
	return rc;
}

int token_in_force(struct db *db, enum token_role role, int64_t now, bool *any, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT 1 FROM token WHERE role = $1 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $2) LIMIT 1", e);
	sql_int(&q, role);
	sql_int(&q, now);
	*any = sql_row(&q);
	return sql_done(&q);
}

int token_revoke(struct db *db, const char *name, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	bool found;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE token SET revoked_at = $2 WHERE name = $1 AND revoked_at = 0 RETURNING id", e);
		sql_text(&q, name);
		sql_int(&q, now);
		found = sql_row(&q);
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no token '%.64s' is in force", name);
	if ((rc = event_add_tx(t.c, "token.revoked", NULL, NULL, json_pack("{s:s}", "name", name), now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int token_list(struct db *db, struct arena *a, struct token **out, size_t *n, struct err *e)
{
	own(read) struct read r = { 0 };
	struct token *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, COLUMNS "ORDER BY name LIMIT $1", e);
	sql_int(&q, LIST_MAX);
	while (sql_row(&q))
		row(&q, a, list_push(a, &list, &count, &cap));
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

json_t *token_json(const struct token *t)
{
	return json_pack("{s:s,s:s,s:o,s:o,s:o,s:o}", "name", t->name, "role", token_role_name(t->role), "created_at", json_time(t->created_at), "expires_at",
			 json_time(t->expires_at), "revoked_at", json_time(t->revoked_at), "last_used_at", json_time(t->last_used_at));
}
