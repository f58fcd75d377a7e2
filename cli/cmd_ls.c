/* cmd_ls.c - ls: one row a repository, page after page from the daemon. */
#include "cli/text.h"
#include "cli/verb.h"

#define PAGE_ROWS 1000

/* Options that go into the query as they are. */
static const char *const texts[][2] = {
	{ "format", "format" }, { "quant", "quant" }, { "arch", "arch" },     { "task", "task" },     { "author", "author" },
	{ "state", "state" },	{ "sort", "sort" },   { "search", "search" }, { "contains", "contains" },
};
static const char *const numbers[][2] = {
	{ "min-size", "min_size" }, { "max-size", "max_size" }, { "min-params", "min_params" }, { "max-params", "max_params" },
};

static void add_filters(struct buf *path, const struct args *a)
{
	const char *s;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		client_query_add(path, texts[i][1], args_text(a, texts[i][0]));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (args_has(a, numbers[i][0]))
			client_query_number(path, numbers[i][1], (int64_t)args_number(a, numbers[i][0], 0));
	for (size_t i = 0; (s = args_nth(a, "license", i)); i++)
		client_query_add(path, "license", s);
	for (size_t i = 0; (s = args_nth(a, "tag", i)); i++)
		client_query_add(path, "tag", s);
	if (args_has(a, "commercial"))
		client_query_add(path, "commercial", "true");
	if (args_has(a, "deprecated"))
		client_query_add(path, "deprecated", "true");
	if (args_has(a, "sunset-before"))
		client_query_number(path, "sunset_before", args_time(a, "sunset-before", 0));
}

/* All rows, or the first `limit`, in one array. */
static int fetch_all(struct ctl *c, json_t *rows, struct err *e)
{
	uint64_t limit = args_number(&c->args, "limit", UINT64_MAX);
	own(mem) char *cursor = NULL;

	while (json_array_size(rows) < limit) {
		uint64_t left = limit - json_array_size(rows);
		own(json) json_t *page = NULL;
		own(buf) struct buf path;
		const char *next;
		int rc;

		buf_init(&path, CLIENT_PATH_MAX);
		buf_puts(&path, "/-/v1/models");
		add_filters(&path, &c->args);
		client_query_number(&path, "limit", (int64_t)(left < PAGE_ROWS ? left : PAGE_ROWS));
		client_query_add(&path, "cursor", cursor);
		rc = client_get(&c->client, path.data, &page, e);
		if (rc < 0)
			return rc;
		json_array_extend(rows, json_object_get(page, "models"));
		next = json_get_str(page, "next");
		if (!next || !json_array_size(json_object_get(page, "models")))
			break;
		free(cursor);
		cursor = strdup(next);
	}
	return 0;
}

static void joined(const json_t *list, char *out, size_t n)
{
	size_t i, len = 0;
	const json_t *v;

	out[0] = 0;
	json_array_foreach(list, i, v)
		if (len < n)
			len += (size_t)snprintf(out + len, n - len, "%s%s", len ? "," : "", json_string_value(v) ? json_string_value(v) : "");
}

/* What is marked on it, beside the state by which --state filters. Past its sunset it is gone, though its state is what it was. */
static void add_mark(struct table *t, const json_t *l)
{
	const char *mark = json_get_str_or(l, "state", "active");
	char ended[40];

	snprintf(ended, sizeof(ended), "ended %s", ctl_date(l, "sunset_at"));
	if (!strcmp(mark, "retired") && !json_get_str(l, "retired_at"))
		table_add(t, ended);
	else
		table_add(t, strcmp(mark, "active") != 0 ? mark : NULL);
}

static void add_row(struct table *t, const json_t *m)
{
	char params[TEXT_SHORT_MAX], formats[120];

	text_params(params, json_get_int(m, "params", -1));
	joined(json_object_get(m, "formats"), formats, sizeof(formats));
	table_add(t, json_get_str(m, "repo"));
	table_add(t, json_get_str(m, "state"));
	add_mark(t, json_object_get(m, "lifecycle"));
	table_add(t, json_get_str(json_object_get(m, "license"), "id"));
	table_add_size(t, json_get_int(m, "size_bytes", 0) > 0 ? json_get_int(m, "size_bytes", 0) : -1);
	table_add(t, params);
	table_add(t, formats);
	table_add(t, json_get_str(m, "architecture"));
	table_add(t, json_get_str(m, "task"));
	table_add(t, json_get_str(json_object_get(m, "smoke"), "verdict"));
}

int cmd_ls(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "REPO", TABLE_FLEX },	   { "STATE", TABLE_LEFT },  { "LIFECYCLE", TABLE_LEFT }, { "LICENSE", TABLE_FLEX }, { "SIZE", TABLE_RIGHT },
		{ "PARAMS", TABLE_RIGHT }, { "FORMATS", TABLE_FLEX }, { "ARCH", TABLE_FLEX }, { "TASK", TABLE_FLEX },	{ "SMOKE", TABLE_LEFT },
	};
	own(json) json_t *rows = json_array();
	own(table) struct table t;
	const json_t *m;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	if (args_has(&c->args, "limit") && args_number(&c->args, "limit", 0) == 0)
		return err_set(e, ERR_USAGE, "--limit must be at least 1");
	rc = fetch_all(c, rows, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(rows, e);
	json_array_foreach(rows, i, m)
		add_row(&t, m);
	ctl_print_table(c, &t, "no models match");
	return 0;
}
