/* page_models.c - the first page: published models, searched by name and filtered by licence, size and format. */
#include "base/json.h"
#include "base/str.h"
#include "catalog/query.h"
#include "registryd/page.h"

#define FACETS_SHOWN 12

static const struct { const char *key, *label; } sorts[] = {
	{ "-downloads", "most downloads" }, { "-lastModified", "newest" }, { "name", "name" }, { "size", "smallest" }, { "-size", "largest" }, { "-params", "most parameters" },
};

static int read_sizes(struct request *rq, struct query_filter *q, struct err *e)
{
	const struct { const char *key; uint64_t *out; } rows[] = { { "min_size", &q->min_size }, { "max_size", &q->max_size } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *v = http_query(rq, rows[i].key);

		if (v && *v && str_parse_size(v, rows[i].out, e)) {
			e->code = ERR_USAGE;
			return err_wrap(e, "%s", rows[i].key);
		}
	}
	return 0;
}

static const char *nonempty(const struct request *rq, const char *key)
{
	const char *v = http_query(rq, key);

	return v && *v ? v : NULL;
}

static int read_filter(struct request *rq, struct query_filter *q, struct err *e)
{
	const char *sort = nonempty(rq, "sort"), *words = nonempty(rq, "q"), *format = nonempty(rq, "format");
	char *copy, *word;
	size_t at = 0;
	const char *v;

	*q = QUERY_FILTER_ANY;
	q->visible_only = true;
	q->limit = PAGE_ROWS;
	q->cursor = nonempty(rq, "cursor");
	q->author = nonempty(rq, "author");
	q->task = nonempty(rq, "task");
	q->commercial = http_query_bool(rq, "commercial", false);
	if (format && (q->format = format_parse(format)) == FORMAT_NONE)
		return err_set(e, ERR_USAGE, "there is no format \"%s\"", format);
	while ((v = http_query_next(rq, "license", &at)))
		if (*v && q->n_license < QUERY_LIST_MAX) {
			const char *id = licence_id(v, &rq->arena);

			q->license[q->n_license++] = id ? id : v;
		}
	copy = arena_strdup(&rq->arena, words ? words : "");
	while ((word = strsep(&copy, " ")))
		if (*word && q->n_search < QUERY_LIST_MAX)
			q->search[q->n_search++] = word;
	if (query_sort_parse(&q->sort, &q->descending, sort ? sort : "-downloads", e))
		return e->code;
	return read_sizes(rq, q, e);
}

/* The address of this page with one parameter changed (value NULL: left out) and the cursor forgotten. */
static void link_with(struct buf *b, const struct request *rq, const char *key, const char *value)
{
	const char *sep = "?";

	buf_puts(b, "/");
	for (size_t i = 0; i < rq->n_queries; i++) {
		const struct http_pair *p = &rq->queries[i];

		if (!strcmp(p->key, key) || !strcmp(p->key, "cursor") || !*p->value)
			continue;
		buf_puts(b, sep);
		page_url(b, p->key, "");
		buf_putc(b, '=');
		page_url(b, p->value, "");
		sep = "&amp;";
	}
	if (value) {
		buf_printf(b, "%s%s=", sep, key);
		page_url(b, value, "");
	}
}

static void put_field(struct buf *b, const struct request *rq, const char *label, const char *name, const char *attributes)
{
	buf_printf(b, "<label>%s<input name=\"%s\" %s value=\"", label, name, attributes);
	page_text(b, http_query(rq, name));
	buf_puts(b, "\"></label>\n");
}

static void put_form(struct buf *b, const struct request *rq)
{
	const char *sort = nonempty(rq, "sort");

	buf_puts(b, "<form class=\"filter\" action=\"/\">\n");
	put_field(b, rq, "Name", "q", "type=\"search\"");
	put_field(b, rq, "Licence", "license", "placeholder=\"apache-2.0\"");
	put_field(b, rq, "Smallest", "min_size", "class=\"size\" placeholder=\"1GB\"");
	put_field(b, rq, "Largest", "max_size", "class=\"size\" placeholder=\"20GB\"");
	buf_puts(b, "<label>Format<select name=\"format\"><option value=\"\">any</option>");
	for (const char *const *f = format_names(); *f; f++)
		buf_printf(b, "<option%s>%s</option>", nonempty(rq, "format") && !strcmp(*f, http_query(rq, "format")) ? " selected" : "", *f);
	buf_puts(b, "</select></label>\n<label>Order<select name=\"sort\">");
	for (size_t i = 0; i < ARRAY_LEN(sorts); i++)
		buf_printf(b, "<option value=\"%s\"%s>%s</option>", sorts[i].key, sort && !strcmp(sort, sorts[i].key) ? " selected" : "", sorts[i].label);
	buf_puts(b, "</select></label>\n<button>Show</button></form>\n");
}

static void put_facet(struct buf *b, const struct request *rq, const json_t *facets, const char *facet, const char *key)
{
	const json_t *v;
	size_t i;

	buf_puts(b, "<div class=\"facets\">");
	json_array_foreach(json_object_get(facets, facet), i, v) {
		const char *value = json_get_str(v, "value");

		if (!value || i >= FACETS_SHOWN)
			break;
		buf_puts(b, "<a href=\"");
		link_with(b, rq, key, value);
		buf_puts(b, "\">");
		page_text(b, value);
		buf_printf(b, " <span class=\"soft\">%lld</span></a>", (long long)json_get_int(v, "models", 0));
	}
	if (nonempty(rq, key)) {
		buf_puts(b, "<a href=\"");
		link_with(b, rq, key, NULL);
		buf_puts(b, "\">all</a>");
	}
	buf_puts(b, "</div>\n");
}

static void put_formats(struct buf *b, unsigned formats)
{
	const char *sep = "";

	for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++)
		if (formats & FORMAT_BIT(f)) {
			buf_printf(b, "%s%s", sep, format_name((enum format)f));
			sep = ", ";
		}
}

static void put_row(struct buf *b, const struct query_row *row)
{
	buf_puts(b, "<tr><td>");
	page_link_model(b, row->m.name);
	buf_puts(b, "</td><td>");
	page_text(b, row->r.license);
	buf_puts(b, "</td><td class=\"n\">");
	page_size(b, row->r.size_bytes);
	buf_puts(b, "</td><td class=\"n\">");
	page_count(b, row->r.params);
	buf_puts(b, "</td><td>");
	page_text(b, row->r.architecture);
	buf_puts(b, "</td><td>");
	put_formats(b, row->r.formats);
	buf_puts(b, "</td><td class=\"n\">");
	page_day(b, row->r.published_at);
	buf_puts(b, "</td></tr>\n");
}

int page_models(struct request *rq, struct err *e)
{
	struct daemon *d = rq->app;
	own(json) json_t *facets = NULL;
	struct query_row *rows;
	struct query_filter q;
	const char *next = NULL;
	struct buf b;
	size_t n;
	int rc;

	if ((rc = read_filter(rq, &q, e)) || (rc = query_models(d->db, &q, door_listed_at(rq), &rq->arena, &rows, &n, &next, e)))
		return rc;
	q.cursor = NULL;
	if (!(facets = query_facets(d->db, &q, door_listed_at(rq), e)))
		return e->code;
	page_begin(&b, "Models");
	put_form(&b, rq);
	put_facet(&b, rq, facets, "license", "license");
	buf_puts(&b, "<table><thead><tr><th>Model</th><th>Licence</th><th class=\"n\">Size</th><th class=\"n\">Parameters</th><th>Architecture</th><th>Format</th>"
		     "<th class=\"n\">Published</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < n; i++)
		put_row(&b, &rows[i]);
	buf_puts(&b, "</tbody></table>\n");
	if (!n)
		buf_puts(&b, "<p>Nothing that is published matches. <code>registryctl sync ORG/NAME</code> brings in a model, <code>registryctl ls</code> shows those that are held.</p>\n");
	if (next) {
		buf_puts(&b, "<p><a href=\"");
		link_with(&b, rq, "cursor", next);
		buf_puts(&b, "\">Further models</a></p>\n");
	}
	return page_answer(rq, 200, &b);
}
