/* term.c - see term.h. */
#include "catalog/term.h"

#include "catalog/sql.h"

#define TERM_MAX 500	/* bytes of one name */

int term_find(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id FROM term WHERE kind = $1 AND name = $2", e);

	sql_int(&q, kind);
	sql_text(&q, name);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int term_id(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e)
{
	int rc;

	*id = 0;
	if (!name || (!*name && kind != TERM_AUTHOR))
		return 0;
	if (strlen(name) > TERM_MAX)
		return err_set(e, ERR_LIMIT, "a name of %zu bytes (%.40s…): at most %d are kept", strlen(name), name, TERM_MAX);
	if ((rc = term_find(c, kind, name, id, e)) < 0 || *id)
		return rc;
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO term (kind, name) VALUES ($1, $2) RETURNING id", e);
	sql_int(&q, kind);
	sql_text(&q, name);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}
