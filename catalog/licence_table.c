/* licence_table.c - the rows of schema/licenses.csv. */
#include "catalog/licence.h"

#include <pthread.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define COLUMNS 13

/* A row's keys: of its id, its SPDX id and its name. */
struct row_keys {
	char id[LICENCE_KEY_MAX], spdx[LICENCE_KEY_MAX], name[LICENCE_KEY_MAX];
};

static struct licence *rows;
static struct row_keys *keys;
static size_t n_rows;
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
	keys = mem_zalloc((n_rows + 1) * sizeof(*keys));
	for (size_t i = 0; i < n_rows; i++) {
		licence_key(keys[i].id, rows[i].id);
		licence_key(keys[i].spdx, rows[i].spdx);
		licence_key(keys[i].name, rows[i].name);
	}
}

const struct licence *licence_at(size_t i)
{
	pthread_once(&once, load);
	return i < n_rows ? &rows[i] : NULL;
}

const struct licence *licence_find(const char *id)
{
	const struct licence *l;

	for (size_t i = 0; id && (l = licence_at(i)); i++)
		if (!strcasecmp(l->id, id))
			return l;
	return NULL;
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
	pthread_once(&once, load);
	for (size_t i = 0; i < n_rows; i++)
		if (!strcmp(key, keys[i].id) || !strcmp(key, keys[i].spdx) || !strcmp(key, keys[i].name))
			return rows[i].id;
	return NULL;
}
