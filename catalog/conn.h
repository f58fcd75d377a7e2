/* conn.h - one SQLite connection with its prepared statements: what db.c and sql.c share, and nobody else includes. */
#ifndef CATALOG_CONN_H
#define CATALOG_CONN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct sql_slot {
	char *text;
	sqlite3_stmt *st;
	int *at;		/* at[n]: SQLite's index of parameter $n; to SQLite "$2" is only a name, numbered as it appears */
	int n_params;
	uint32_t hash;
	uint64_t used;		/* the connection's clock when last used */
	bool busy;
};

struct db_conn {
	sqlite3 *sqlite;
	struct sql_slot **slots;
	size_t n_slots, cap_slots;
	uint64_t clock;
	int64_t *touched, *revised;	/* models and revisions whose rows the open transaction has changed */
	size_t n_touched, cap_touched, n_revised, cap_revised;
	bool is_open;
};

/* Sets e to a sentence for an SQLite result code and returns our code. doing: "open the catalog". */
int conn_error(struct db_conn *c, int sqlite_rc, const char *doing, struct err *e);
void conn_forget_statements(struct db_conn *c);

#endif
