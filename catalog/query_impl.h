/* query_impl.h - a filter as SQL; shared by the files of query_*, nobody else includes it. */
#ifndef CATALOG_QUERY_IMPL_H
#define CATALOG_QUERY_IMPL_H

#include "base/buf.h"
#include "catalog/query.h"
#include "catalog/sql.h"

#define QUERY_BINDS_MAX 192
#define QUERY_SQL_MAX	((size_t)32 << 10)

struct query_bind {
	enum { BIND_INT, BIND_TEXT, BIND_DIGEST } kind;
	int64_t number;
	const char *text;
	const struct digest *digest;
};

/*
 * FROM … WHERE … of a filter over `model AS m`, and what is bound. `shown` is the id of the revision shown; `cols` the prefix of the derived
 * columns: "m.", or with a state or a content "r.", the revision asked for. The dates are what the marks on that one say.
 */
struct query_where {
	struct buf from, where;
	struct query_bind binds[QUERY_BINDS_MAX];
	size_t n_binds;
	const char *cols, *shown, *deprecated_at, *sunset_at;
	bool nothing;	/* a name that no model carries was asked for: the answer is empty */
	bool by_tag;	/* the rows come from a tag's or a search's list, not in the order of an index */
};

int query_where_build(struct query_where *w, struct db_conn *c, const struct query_filter *f, int64_t now, struct arena *a, struct err *e);
void query_where_done(struct query_where *w);
/* Appends a bind and gives its number for "$%d". */
int query_where_int(struct query_where *w, int64_t v);
int query_where_text(struct query_where *w, const char *v);
/* Binds them all, in order. */
void query_where_bind(const struct query_where *w, struct sql *q);

static inline void own_query_where(struct query_where *w)
{
	query_where_done(w);
}

#endif
