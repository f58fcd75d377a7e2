/* api_hub_list.c - the Hub's listing of models with its own parameters, over the catalog's query. */
#include "base/str.h"
#include "base/vec.h"
#include "catalog/query.h"
#include "registryd/api_hub.h"

#define PAGE_DEFAULT 1000

static int add(const char **list, size_t *n, const char *what, const char *v, struct err *e)
{
	if (*n == QUERY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: at most %d values are possible", what, QUERY_LIST_MAX);
	list[(*n)++] = v;
	return 0;
}

/* filter=a,b and filter=a&filter=b mean the same: every tag must be there. */
static int read_tags(struct request *rq, struct query_filter *q, const char *key, struct err *e)
{
	size_t at = 0;
	const char *v;

	while ((v = http_query_next(rq, key, &at))) {
		char *copy = arena_strdup(&rq->arena, v), *one;

		while ((one = strsep(&copy, ",")))
			if (*one && add(q->tag, &q->n_tag, key, one, e))
				return e->code;
	}
	return 0;
}

static int read_searches(struct request *rq, struct query_filter *q, struct err *e)
{
	size_t at = 0;
	const char *v;

	while ((v = http_query_next(rq, "search", &at)))
		if (*v && add(q->search, &q->n_search, "search", v, e))
			return e->code;
	return 0;
}

/* "6B", "500M", "1.5T" or plain digits. */
static int read_count(const char *text, int64_t *out, struct err *e)
{
	static const struct { char unit; double factor; } units[] = { { 'K', 1e3 }, { 'M', 1e6 }, { 'B', 1e9 }, { 'T', 1e12 }, { 0, 1 } };
	char *end;
	double v = strtod(text, &end);
	bool digits = end != text && strspn(text, "0123456789.") == (size_t)(end - text);	/* strtod() reads more than people write */

	for (size_t i = 0; digits && i < ARRAY_LEN(units); i++)
		if ((*end & ~0x20) == units[i].unit && (!*end || !end[1]) && v * units[i].factor < 9e18) {
			*out = (int64_t)(v * units[i].factor);
			return 0;
		}
	return err_set(e, ERR_USAGE, "num_parameters: \"%s\" is not a number such as 500M or 6B", text);
}

/* One end of the range. Of several the narrowest counts. */
static int read_bound(const char *text, struct query_filter *q, struct err *e)
{
	bool is_max = str_starts(text, "max:");
	int64_t n = 0;

	if (!is_max && !str_starts(text, "min:"))
		return err_set(e, ERR_USAGE, "num_parameters is written as min:6B,max:128B");
	if (read_count(text + 4, &n, e))
		return e->code;
	if (is_max && !n)
		return err_set(e, ERR_USAGE, "num_parameters: the most must be 1 or more");
	if (is_max)
		q->max_params = q->max_params && q->max_params < n ? q->max_params : n;
	else if (n > q->min_params)
		q->min_params = n;
	return 0;
}

/* "min:6B,max:128B" */
static int read_params(struct request *rq, struct query_filter *q, struct err *e)
{
	size_t at = 0;
	const char *v;

	while ((v = http_query_next(rq, "num_parameters", &at))) {
		char *copy = arena_strdup(&rq->arena, v), *one;

		while ((one = strsep(&copy, ",")))
			if (*one && read_bound(one, q, e))
				return e->code;
	}
	return 0;
}

/* The Hub sorts downwards unless told otherwise; newer clients no longer send a direction. */
static int read_order(struct request *rq, struct query_filter *q, struct err *e)
{
	const char *sort = http_query(rq, "sort"), *direction = http_query(rq, "direction");
	bool down;
	int rc = query_sort_parse(&q->sort, &down, sort && *sort ? sort : "trendingScore", e);

	if (rc)
		return rc;
	q->descending = down || !direction || strcmp(direction, "1");
	return 0;
}

static int read_gated(struct request *rq, struct query_filter *q, struct err *e)
{
	const char *v = http_query(rq, "gated");

	if (!v)
		return 0;
	if (strcasecmp(v, "true") && strcasecmp(v, "false") && strcmp(v, "1") && strcmp(v, "0"))
		return err_set(e, ERR_USAGE, "gated: \"%.40s\" is not true or false", v);
	q->gated = http_query_bool(rq, "gated", false);
	return 0;
}

/* Programs that a model runs in. Those that run GGUFs, and nothing else, run all of them; of the others nobody here knows what they run. */
static int read_apps(struct request *rq, struct query_filter *q, struct err *e)
{
	static const char *const gguf[] = { "llama.cpp", "lmstudio", "jan", "ollama", "koboldcpp", "jellybox", "llama-cpp-python", "backyard", "sanctum", "node-llama-cpp" };
	size_t at = 0, i;
	const char *v;

	while ((v = http_query_next(rq, "apps", &at))) {
		for (i = 0; i < ARRAY_LEN(gguf) && strcasecmp(v, gguf[i]); i++)
			;
		if (i == ARRAY_LEN(gguf))
			return err_set(e, ERR_USAGE, "apps: which models run in \"%.40s\" is not known here: filter by a format (filter=safetensors) or a library instead", v);
		q->format = FORMAT_GGUF;
	}
	return 0;
}

/* Pages are told apart by cursors alone; a skip that counted for nothing would give the first page again and again. */
static int check_skip(const struct request *rq, struct err *e)
{
	const char *skip = http_query(rq, "skip");

	if (!skip || !skip[strspn(skip, "0")])
		return 0;
	return err_set(e, ERR_USAGE, "skip=%.20s: pages can't be skipped to here: follow the Link header of each answer (rel=\"next\")", skip);
}

static int read_filter(struct request *rq, struct query_filter *q, struct err *e)
{
	uint64_t limit = PAGE_DEFAULT;
	int rc;

	*q = QUERY_FILTER_ANY;
	q->visible_only = true;
	q->author = http_query(rq, "author");
	q->task = http_query(rq, "pipeline_tag");
	q->cursor = http_query(rq, "cursor");
	if ((rc = read_tags(rq, q, "filter", e)) || (rc = read_tags(rq, q, "library", e)) || (rc = read_tags(rq, q, "other", e)) ||
	    (rc = read_searches(rq, q, e)) || (rc = read_params(rq, q, e)) || (rc = read_order(rq, q, e)) ||
	    (rc = read_gated(rq, q, e)) || (rc = read_apps(rq, q, e)) || (rc = check_skip(rq, e)) ||
	    (rc = http_query_u64(rq, "limit", 1, UINT32_MAX, &limit, e)))
		return rc;
	q->limit = limit > QUERY_LIMIT_MAX ? QUERY_LIMIT_MAX : (size_t)limit;
	return 0;
}

/* Nothing is run here for others, so a client that asks for models with a warm endpoint gets none. */
static bool asks_for_inference(const struct request *rq)
{
	return http_query(rq, "inference") || http_query(rq, "inference_provider");
}

int api_hub_list(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	own(spool) struct spool s = { 0 };
	struct query_filter q;
	struct query_row *rows = NULL;
	struct api_hub_fields f;
	const char *next = NULL;
	size_t n = 0;
	int rc = read_filter(rq, &q, e);

	if (!rc && !asks_for_inference(rq))
		rc = query_models(app->db, &q, door_listed_at(rq), &rq->arena, &rows, &n, &next, e);
	if (!rc && next)
		rc = api_hub_set_next(rq, next, e);
	if (rc)
		return rc;
	api_hub_fields_read(rq, &f);
	store_spool(app->store, &s, API_HUB_ANSWER_MAX);
	spool_puts(&s, "[");
	for (size_t i = 0; i < n && !rc; i++) {
		spool_puts(&s, i ? "," : "");
		rc = api_hub_put_model(&s, rq, &rows[i].m, &rows[i].r, &f, e);
	}
	spool_puts(&s, "]");
	if (!rc)
		rc = spool_end(&s, e);
	if (rc)
		return rc;
	return http_answer_spool(rq, 200, API_HUB_JSON, &s);
}

/* The vocabulary of tags that filters make sense with: licences and tasks of what is here. */
int api_hub_tags_by_type(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	struct query_filter q = QUERY_FILTER_ANY;
	json_t *facets, *out = json_object(), *group;
	const char *const kinds[][2] = { { "license", "license" }, { "task", "pipeline_tag" } };

	q.visible_only = true;
	facets = query_facets(app->db, &q, door_listed_at(rq), e);
	if (!facets) {
		json_decref(out);
		return e->code;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		json_t *v;
		size_t k;

		group = json_array();
		json_array_foreach(json_object_get(facets, kinds[i][0]), k, v) {
			const char *value = json_string_value(json_object_get(v, "value"));

			if (value)
				json_array_append_new(group, json_pack("{s:o, s:s, s:s}", "id", i ? json_string(value) : json_sprintf("license:%s", value), "label", value,
								       "type", kinds[i][1]));
		}
		json_object_set_new(out, kinds[i][1], group);
	}
	json_decref(facets);
	return http_answer_json(rq, 200, out);
}
