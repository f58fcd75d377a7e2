/* table.c - see table.h. */
#include "cli/table.h"

#include "base/err.h"
#include "base/vec.h"
#include "cli/text.h"

#define GAP 2	/* columns between two cells */

void table_init(struct table *t, const struct table_column *columns, size_t n)
{
	*t = (struct table){ .columns = columns, .n_columns = n };
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	table_init(t, t->columns, t->n_columns);
}

void table_add(struct table *t, const char *text)
{
	char *clean = text_clean(text && *text ? text : "-");

	if (!clean)
		abort();
	*vec_push(&t->cells, &t->n_cells, &t->cap_cells) = clean;
}

void table_add_size(struct table *t, long long bytes)
{
	char size[TEXT_SHORT_MAX];

	text_size(size, bytes);
	table_add(t, size);
}

void table_add_count(struct table *t, long long n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", n);
	table_add(t, text);
}

static void measure(const struct table *t, size_t width[TABLE_COLUMNS_MAX])
{
	for (size_t c = 0; c < t->n_columns; c++)
		width[c] = text_width(t->columns[c].title);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = text_width(t->cells[i]), c = i % t->n_columns;

		width[c] = w > width[c] ? w : width[c];
	}
}

/* Takes columns from the widest flexible cell until the row fits, or nothing more can be taken. */
static void shrink(const struct table *t, size_t width[TABLE_COLUMNS_MAX], size_t max)
{
	size_t sum = GAP * (t->n_columns - 1);

	for (size_t c = 0; c < t->n_columns; c++)
		sum += width[c];
	while (sum > max) {
		size_t widest = SIZE_MAX;

		for (size_t c = 0; c < t->n_columns; c++)
			if (t->columns[c].align == TABLE_FLEX && width[c] > TABLE_COLUMN_MIN &&
			    (widest == SIZE_MAX || width[c] > width[widest]))
				widest = c;
		if (widest == SIZE_MAX)
			return;
		width[widest]--;
		sum--;
	}
}

static void spaces(FILE *out, size_t n)
{
	while (n--)
		fputc(' ', out);
}

static void print_row(const struct table *t, FILE *out, const size_t width[TABLE_COLUMNS_MAX], char *const *cells)
{
	for (size_t c = 0; c < t->n_columns; c++) {
		own(mem) char *cell = mem_zalloc(strlen(cells[c]) + 4);
		size_t pad;

		memcpy(cell, cells[c], strlen(cells[c]));
		text_cut(cell, width[c]);
		pad = width[c] - text_width(cell);
		if (t->columns[c].align == TABLE_RIGHT)
			spaces(out, pad);
		fputs(cell, out);
		if (c + 1 < t->n_columns)
			spaces(out, (t->columns[c].align == TABLE_RIGHT ? 0 : pad) + GAP);
	}
	fputc('\n', out);
}

void table_print(const struct table *t, FILE *out, size_t max_columns)
{
	size_t width[TABLE_COLUMNS_MAX];
	char *titles[TABLE_COLUMNS_MAX];

	if (!t->n_cells)
		return;
	measure(t, width);
	if (max_columns)
		shrink(t, width, max_columns);
	for (size_t c = 0; c < t->n_columns; c++)
		titles[c] = (char *)t->columns[c].title;
	print_row(t, out, width, titles);
	for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
		print_row(t, out, width, t->cells + i);
}
