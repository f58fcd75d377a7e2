/* licence_table.c - the rows of schema/licenses.csv. */
#include "catalog/licence.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define COLUMNS 13

/* A name that a row is found by. */
struct row_name {
	char text[LICENCE_KEY_MAX];
	const struct licence *row;
};

static struct licence *rows;
static struct row_name *ids, *keys;	/* in order, for searching: ids in lower case, and keys of ids, SPDX ids and names */
static size_t n_rows, n_keys;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const struct embedded *licence_file(const char *name)
{
	for (const struct embedded *f = schema_licences; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	abort();	/* built in */
}

/* RFC 4180: a field may be quoted, a quote in it is doubled. Cuts *line in place; false at its end. */
static bool next_field(char **line, char **out)
{
	char *in = *line, *to;

	if (!in)
		return false;
	*out = to = in;
	if (*in == '"') {
		for (in++; *in && (*in != '"' || in[1] == '"'); in++) {
			in += *in == '"';
			*to++ = *in;
		}
		in += *in == '"';
	} else {
		while (*in && *in != ',')
			*to++ = *in++;
	}
	*line = *in == ',' ? in + 1 : NULL;
	*to = 0;
	return true;
}

size_t licence_csv_row(char *line, char **fields, size_t max)
{
	size_t n = 0;

	while (n < max && next_field(&line, &fields[n]))
		n++;
	return n;
}

static enum licence_use use_of(const char *text)
{
	return !strcmp(text, "yes") ? LICENCE_YES : !strcmp(text, "no") ? LICENCE_NO : !strcmp(text, "unknown") ? LICENCE_UNKNOWN : LICENCE_CONDITIONAL;
}

/* f: hub_id,spdx_id,name,osi_approved,commercial_use,derivatives,redistribution,attribution,copyleft,use_restrictions,mau_limit,notes,source */
static void add_row(char **f)
{
	struct licence *l = &rows[n_rows++];
	uint64_t limit = 0;

	str_parse_u64(f[10], &limit, NULL);
	*l = (struct licence){
		.id = f[0], .spdx = f[1], .name = f[2], .osi_approved = !strcmp(f[3], "yes"), .commercial_use = use_of(f[4]), .derivatives = f[5],
		.redistribution = use_of(f[6]), .redistribution_text = f[6], .attribution = f[7], .copyleft = f[8], .restrictions = f[9], .user_limit = (int64_t)limit,
		.notes = f[11], .family = strstr(f[1], "-family") != NULL,
	};
	l->permissive = l->commercial_use == LICENCE_YES && l->redistribution == LICENCE_YES && !strcmp(l->derivatives, "yes") && !strcmp(l->copyleft, "none") &&
			!*l->restrictions && !l->family;
}

/* By name; of rows that share one the first is meant. */
static int by_name(const void *a, const void *b)
{
	const struct row_name *one = a, *other = b;
	int order = strcmp(one->text, other->text);

	return order ? order : (one->row > other->row) - (one->row < other->row);
}

static const struct licence *find_name(const struct row_name *names, size_t n, const char *text)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(names[mid].text, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && !strcmp(names[low].text, text) ? names[low].row : NULL;
}

static bool lower(char out[LICENCE_KEY_MAX], const char *id)
{
	size_t n = strlen(id);

	if (n >= LICENCE_KEY_MAX)
		return false;
	for (size_t i = 0; i <= n; i++)
		out[i] = (char)tolower((unsigned char)id[i]);
	return true;
}

static void load_names(void)
{
	ids = mem_zalloc((n_rows + 1) * sizeof(*ids));
	keys = mem_zalloc((3 * n_rows + 1) * sizeof(*keys));
	for (size_t i = 0; i < n_rows; i++) {
		const char *const names[] = { rows[i].id, rows[i].spdx, rows[i].name };

		ids[i].row = &rows[i];
		if (!lower(ids[i].text, rows[i].id))
			abort();	/* built in */
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			keys[n_keys].row = &rows[i];
			licence_key(keys[n_keys++].text, names[k]);
		}
	}
	qsort(ids, n_rows, sizeof(*ids), by_name);
	qsort(keys, n_keys, sizeof(*keys), by_name);
}

static void load(void)
{
	const struct embedded *f = licence_file("licenses.csv");
	char *text = mem_strndup(f->data, f->size_bytes), *save = NULL;
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	rows = mem_zalloc((lines + 1) * sizeof(*rows));
	strtok_r(text, "\n", &save);	/* the column names */
	for (char *line; (line = strtok_r(NULL, "\n", &save));) {
		char *fields[COLUMNS];

		if (licence_csv_row(line, fields, COLUMNS) != COLUMNS)
			abort();	/* built in, and a test reads it */
		add_row(fields);
	}
	load_names();
}

const struct licence *licence_at(size_t i)
{
	pthread_once(&once, load);
	return i < n_rows ? &rows[i] : NULL;
}

const struct licence *licence_find(const char *id)
{
	char text[LICENCE_KEY_MAX];

	pthread_once(&once, load);
	return id && lower(text, id) ? find_name(ids, n_rows, text) : NULL;
}

const char *licence_nearest(const char *id)
{
	const char *names[512];
	size_t n = 0;

	for (const struct licence *l; n < ARRAY_LEN(names) && (l = licence_at(n));)
		names[n++] = l->id;
	return str_nearest(id, names, n);
}

const char *licence_use_name(enum licence_use u)
{
	static const char *const names[] = { "unknown", "yes", "conditional", "no" };

	return names[u];
}

const char *licence_of_key(const char *key)
{
	const struct licence *row;

	pthread_once(&once, load);
	row = find_name(keys, n_keys, key);
	return row ? row->id : NULL;
}
