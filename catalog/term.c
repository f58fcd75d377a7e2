/* term.c - see term.h. */
#include "catalog/term.h"

#include <ctype.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "catalog/sql.h"

#define TERM_MAX     500	/* bytes of one name */
#define BLOCK_NAMES  1024	/* names are kept in blocks of so many, */
#define BLOCKS_MAX   4096	/* at most so many; those of greater ids are read each time */

/* Tasks are in lower case, as on the Hub, whoever names them how. */
static const char *spelled(char lower[TERM_MAX + 1], enum term_kind kind, const char *name)
{
	size_t n = 0;

	if (kind != TERM_TASK || strlen(name) > TERM_MAX)
		return name;
	for (; name[n]; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	lower[n] = '\0';
	return lower;
}

int term_find(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e)
{
	char lower[TERM_MAX + 1];
	own(sql) struct sql q = sql_prepare(c, "SELECT id FROM term WHERE kind = $1 AND name = $2", e);

	sql_int(&q, kind);
	sql_text(&q, spelled(lower, kind, name));
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int term_id(struct db_conn *c, enum term_kind kind, const char *name, int64_t *id, struct err *e)
{
	char lower[TERM_MAX + 1];
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
	sql_text(&q, spelled(lower, kind, name));
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

/* --- names in memory: an id never changes its meaning, so that readers need no lock --- */

struct block {
	char *_Atomic name[BLOCK_NAMES];
};

struct names {
	struct block *_Atomic block[BLOCKS_MAX];
};

static void *names_make(void)
{
	return mem_zalloc(sizeof(struct names));
}

static void names_free(void *p)
{
	struct names *names = p;

	for (size_t i = 0; i < BLOCKS_MAX; i++) {
		struct block *b = atomic_load(&names->block[i]);

		for (size_t k = 0; b && k < BLOCK_NAMES; k++)
			free(atomic_load(&b->name[k]));
		free(b);
	}
	free(names);
}

/* Where the name of this id is kept, NULL beyond the last block. Of two that make a block, or a name, at once one loses his. */
static char *_Atomic *place_of(struct names *names, int64_t id)
{
	size_t n = (size_t)id / BLOCK_NAMES;
	struct block *b, *none = NULL;

	if (id < 0 || n >= BLOCKS_MAX)
		return NULL;
	b = atomic_load(&names->block[n]);
	if (!b) {
		b = mem_zalloc(sizeof(*b));
		if (!atomic_compare_exchange_strong(&names->block[n], &none, b)) {
			free(b);
			b = none;
		}
	}
	return &b->name[(size_t)id % BLOCK_NAMES];
}

static int read_name(struct db_conn *c, int64_t id, char **name, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT name FROM term WHERE id = $1", e);

	sql_int(&q, id);
	*name = sql_row(&q) ? mem_strdup(sql_get_text(&q, 0)) : NULL;
	return sql_done(&q);
}

int term_name(struct db *db, struct db_conn *c, struct arena *a, int64_t id, const char **name, struct err *e)
{
	char *_Atomic *place = id ? place_of(db_slot(db, DB_SLOT_TERM, names_make, names_free), id) : NULL;
	char *read = NULL, *none = NULL;
	int rc;

	*name = place ? atomic_load(place) : NULL;
	if (!id || *name)
		return 0;
	if ((rc = read_name(c, id, &read, e)) < 0 || !read)
		return rc;
	if (place && atomic_compare_exchange_strong(place, &none, read)) {
		*name = read;
		return 0;
	}
	*name = place ? none : arena_strdup(a, read);
	free(read);
	return 0;
}
