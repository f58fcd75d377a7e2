/*
 * table.h - rows with aligned columns. On a terminal the table is made to fit: the widest columns that may shrink are cut with '…'.
 * Anywhere else nothing is cut. Text given is copied and cleaned (text.h).
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TABLE_COLUMN_MIN 8	/* columns are not cut below this */

enum table_align {
	TABLE_LEFT,
	TABLE_RIGHT,
	TABLE_FLEX,	/* left, and may be cut to make the table fit */
};

struct table_column {
	const char *title;
	enum table_align align;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	char **cells;	/* row by row */
	size_t n_cells, cap_cells;
};

void table_init(struct table *t, const struct table_column *columns, size_t n);
void table_done(struct table *t);
void table_add(struct table *t, const char *text);	/* the next cell; NULL or "" is shown as "-" */
void table_add_size(struct table *t, long long bytes);	/* negative: unknown */
void table_add_count(struct table *t, long long n);
/* max_columns 0: as wide as it is. A table without rows prints nothing. */
void table_print(const struct table *t, FILE *out, size_t max_columns);

static inline void own_table(struct table *t)
{
	table_done(t);
}

#endif
