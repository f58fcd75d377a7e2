/*
 * api_hub_info.c - a model as the Hub's API shows it. What we verified (files, sizes, parameters, licence tags) comes from the catalog;
 * what only upstream knows (config, card data) from its kept answer, by name: a field that is not in the table is never passed on.
 */
#include "base/json.h"
#include "base/str.h"
#include "registryd/api_hub.h"

#define CREATED_FLOOR INT64_C(1646263744)	/* 2022-03-02T23:29:04Z, what the Hub says for older models */
#define EXPAND_MAX 64

struct making {
	struct request *rq;
	const struct model *m;
	const struct revision *r;
	const struct api_hub_fields *f;
	json_t *doc;		/* upstream's info, an empty object when there is none */
	bool doc_read;
	struct err *e;
	int rc;			/* the first failure */
};

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *time_text(int64_t at)
{
	char text[STR_TIME_MAX];

	str_format_iso_ms(text, at);
	return json_string(text);
}

static const struct daemon *app(const struct making *k)
{
	return k->rq->app;
}

static json_t *doc(struct making *k)
{
	const char *text;
	size_t n;

	if (!k->doc_read) {
		k->doc_read = true;
		if (!model_document(app(k)->db, k->r->id, DOCUMENT_INFO, "", &k->rq->arena, &text, &n, NULL))
			k->doc = json_parse_lax(text, n, "upstream's model info", NULL);
		if (!json_is_object(k->doc)) {
			json_decref(k->doc);
			k->doc = json_object();
		}
	}
	return k->doc;
}

/* --- one function a field; NULL leaves it out -------------------------------------------------------------------------------------- */

static json_t *f_id(struct making *k) { return json_string(k->m->name); }
static json_t *f_author(struct making *k) { return *k->m->author ? json_string(k->m->author) : NULL; }
static json_t *f_sha(struct making *k) { return json_string(k->r->commit); }
static json_t *f_likes(struct making *k) { return json_integer(k->m->likes > 0 ? k->m->likes : 0); }
static json_t *f_downloads(struct making *k) { return json_integer(k->m->downloads > 0 ? k->m->downloads : 0); }
static json_t *f_trending(struct making *k) { (void)k; return json_integer(0); }
static json_t *f_private(struct making *k) { return json_boolean(k->m->is_private); }
static json_t *f_disabled(struct making *k) { (void)k; return json_false(); }
static json_t *f_task(struct making *k) { return k->r->task ? json_string(k->r->task) : NULL; }
static json_t *f_library(struct making *k) { return k->r->library ? json_string(k->r->library) : NULL; }
static json_t *f_created(struct making *k) { return time_text(k->m->created_at ? k->m->created_at : CREATED_FLOOR); }
static json_t *f_spaces(struct making *k) { (void)k; return json_array(); }
static json_t *f_storage(struct making *k) { return json_integer((json_int_t)k->r->size_bytes); }

/* 24 hex digits that stay the same for a name: clients use them as a key. */
static json_t *f_key(struct making *k)
{
	char key[MODEL_KEY_HEX + 1];

	model_made_key(k->m->name, key);
	return json_string(key);
}

static json_t *f_gated(struct making *k)
{
	return k->m->gated == MODEL_OPEN ? json_false() : json_string(k->m->gated == MODEL_GATED_AUTO ? "auto" : "manual");
}

static json_t *f_modified(struct making *k)
{
	return time_text(k->r->commit_at ? k->r->commit_at : k->m->modified_at ? k->m->modified_at : k->r->planned_at);
}

/* Whoever asks for a revision gets that one's: `license:` among them decides for many who may use it. */
static json_t *f_tags(struct making *k)
{
	json_t *list = json_array();
	const char **tags;
	size_t n = 0;

	if (!k->rc && k->f->info)
		k->rc = model_revision_tags(app(k)->db, k->r->id, &k->rq->arena, &tags, &n, k->e);
	else if (!k->rc)
		k->rc = model_tags(app(k)->db, k->m->id, &k->rq->arena, &tags, &n, k->e);
	for (size_t i = 0; !k->rc && i < n; i++)
		json_array_append_new(list, json_string(tags[i]));
	return list;
}

static json_t *f_base_models(struct making *k)
{
	const char **repos = NULL, *relation = NULL;
	json_t *list;
	size_t n = 0;

	if (!k->rc)
		k->rc = model_base_models(app(k)->db, k->r->id, &k->rq->arena, &repos, &n, &relation, k->e);
	if (k->rc || !n)
		return NULL;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s}", "id", repos[i]));
	return json_pack("{s:o, s:o}", "relation", text_or_null(relation), "models", list);
}

static json_t *sibling(const struct model_file *f, bool blobs)
{
	json_t *s = json_pack("{s:s}", "rfilename", f->path);
	char hex[DIGEST_HEX_MAX];

	if (!blobs)
		return s;
	api_hub_oid(hex, f);
	json_object_set_new(s, "size", json_integer((json_int_t)f->size_bytes));
	json_object_set_new(s, "blobId", json_string(hex));
	if (api_hub_is_lfs(f)) {
		digest_hex(hex, &f->sha256);
		json_object_set_new(s, "lfs", json_pack("{s:s, s:I, s:I}", "sha256", hex, "size", (json_int_t)f->size_bytes, "pointerSize", (json_int_t)api_hub_pointer_size(f)));
	}
	return s;
}

static json_t *f_safetensors(struct making *k)
{
	json_t *parameters;

	if (!k->r->dtypes || !k->r->params || !(k->r->formats & FORMAT_BIT(FORMAT_SAFETENSORS)))
		return NULL;
	parameters = json_parse_lax(k->r->dtypes, strlen(k->r->dtypes), "dtypes", NULL);
	if (!json_is_object(parameters)) {
		json_decref(parameters);
		return NULL;
	}
	return json_pack("{s:o, s:I}", "parameters", parameters, "total", (json_int_t)k->r->params);
}

static json_t *f_gguf(struct making *k)
{
	if (!(k->r->formats & FORMAT_BIT(FORMAT_GGUF)) || !k->r->params || !k->r->architecture)
		return NULL;
	if (!k->r->context_length)
		return json_pack("{s:I, s:s}", "total", (json_int_t)k->r->params, "architecture", k->r->architecture);
	return json_pack("{s:I, s:s, s:I}", "total", (json_int_t)k->r->params, "architecture", k->r->architecture, "context_length", (json_int_t)k->r->context_length);
}

/* huggingface_hub makes a class of it and fails on a key that it does not know. */
static json_t *f_transformers(struct making *k)
{
	static const char *const keys[] = { "auto_model", "custom_class", "pipeline_tag", "processor" };
	const json_t *theirs = json_object_get(doc(k), "transformersInfo");
	json_t *ours;

	if (!json_get_str(theirs, "auto_model"))
		return NULL;
	ours = json_object();
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_get_str(theirs, keys[i]))
			json_object_set(ours, keys[i], json_object_get(theirs, keys[i]));
	return ours;
}

static json_t *theirs(struct making *k, const char *key, json_type type)
{
	json_t *v = json_object_get(doc(k), key);

	return v && json_typeof(v) == type ? json_incref(v) : NULL;
}

static json_t *f_config(struct making *k) { return theirs(k, "config", JSON_OBJECT); }
static json_t *f_card_data(struct making *k) { return theirs(k, "cardData", JSON_OBJECT); }
static json_t *f_mask_token(struct making *k) { return theirs(k, "mask_token", JSON_STRING); }
static json_t *f_widget(struct making *k) { return theirs(k, "widgetData", JSON_ARRAY); }
static json_t *f_model_index(struct making *k)
{
	json_t *v = theirs(k, "model-index", JSON_ARRAY);

	return v ? v : json_null();
}

enum {
	ITEM = 1,	/* in an item of the listing */
	INFO = 2,	/* on the model's own page */
	FULL = 4,	/* in an item with full=true */
};

static const struct {
	const char *key;
	unsigned when;	/* 0: only when asked for by ?expand= (or by its own parameter) */
	json_t *(*make)(struct making *k);
} fields[] = {
	{ "_id", ITEM | INFO, f_key },
	{ "id", ITEM | INFO, f_id },
	{ "modelId", ITEM | INFO, f_id },
	{ "author", INFO | FULL, f_author },
	{ "sha", INFO | FULL, f_sha },
	{ "lastModified", INFO | FULL, f_modified },
	{ "createdAt", ITEM | INFO, f_created },
	{ "private", ITEM | INFO, f_private },
	{ "gated", INFO | FULL, f_gated },
	{ "disabled", INFO | FULL, f_disabled },
	{ "downloads", ITEM | INFO, f_downloads },
	{ "downloadsAllTime", 0, f_downloads },
	{ "likes", ITEM | INFO, f_likes },
	{ "trendingScore", ITEM, f_trending },
	{ "tags", ITEM | INFO, f_tags },
	{ "pipeline_tag", ITEM | INFO, f_task },
	{ "library_name", ITEM | INFO, f_library },
	{ "mask_token", INFO, f_mask_token },
	{ "widgetData", INFO, f_widget },
	{ "model-index", INFO, f_model_index },
	{ "config", INFO, f_config },
	{ "cardData", INFO, f_card_data },
	{ "transformersInfo", INFO, f_transformers },
	{ "safetensors", INFO, f_safetensors },
	{ "gguf", INFO, f_gguf },
	{ "baseModels", 0, f_base_models },
	{ "spaces", INFO, f_spaces },
	{ "siblings", INFO | FULL, NULL },	/* put_siblings(): they may be many */
	{ "usedStorage", INFO, f_storage },
};

static bool expanded(const struct api_hub_fields *f, const char *key)
{
	if (!strcmp(key, "_id") || !strcmp(key, "id"))
		return true;
	for (size_t i = 0; i < f->n_expand; i++)
		if (!strcmp(f->expand[i], key))
			return true;
	return false;
}

static bool shown(const struct api_hub_fields *f, size_t i)
{
	if (f->n_expand)
		return expanded(f, fields[i].key);
	if (f->info)
		return fields[i].when & INFO;
	if ((f->config && fields[i].make == f_config) || (f->card_data && fields[i].make == f_card_data))
		return true;
	return fields[i].when & (f->full ? ITEM | FULL : ITEM);
}

static void put_siblings(struct making *k, struct spool *s)
{
	own(walk) struct model_walk w = { .db = app(k)->db, .revision_id = k->r->id, .which = FILES_SERVED };
	const struct model_file *f;
	const char *between = "";
	int rc = k->rc;

	spool_puts(s, ",\"siblings\":[");
	while (!rc && (rc = model_walk_next(&w, &f, k->e)) > 0) {
		spool_puts(s, between);
		spool_json(s, sibling(f, k->f->blobs));
		between = ",";
		rc = 0;
	}
	spool_puts(s, "]");
	k->rc = rc;
}

int api_hub_put_model(struct spool *s, struct request *rq, const struct model *m, const struct revision *r, const struct api_hub_fields *f, struct err *e)
{
	struct making k = { .rq = rq, .m = m, .r = r, .f = f, .e = e };
	json_t *o = json_object();
	bool siblings = false;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		json_t *v = shown(f, i) && fields[i].make ? fields[i].make(&k) : NULL;

		if (v)
			json_object_set_new(o, fields[i].key, v);
		siblings |= shown(f, i) && !fields[i].make;
	}
	spool_open(s, o);	/* an id is always shown */
	if (siblings)
		put_siblings(&k, s);
	spool_puts(s, "}");
	json_decref(k.doc);
	return k.rc;
}

void api_hub_fields_read(struct request *rq, struct api_hub_fields *f)
{
	const char **list = arena_alloc(&rq->arena, EXPAND_MAX * sizeof(*list));

	*f = (struct api_hub_fields){ .expand = list };
	for (size_t i = 0; i < rq->n_queries && f->n_expand < EXPAND_MAX; i++)
		if (!strcmp(rq->queries[i].key, "expand") || !strcmp(rq->queries[i].key, "expand[]"))
			list[f->n_expand++] = rq->queries[i].value;
	f->full = http_query_bool(rq, "full", false);
	f->config = http_query_bool(rq, "config", false);
	f->card_data = http_query_bool(rq, "cardData", false);
	f->blobs = http_query_bool(rq, "blobs", false);
}

int api_hub_info(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	own(spool) struct spool s = { 0 };
	struct api_hub_fields f;
	struct door d;
	int rc;

	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	api_hub_fields_read(rq, &f);
	f.info = true;
	store_spool(app->store, &s, API_HUB_ANSWER_MAX);
	rc = api_hub_put_model(&s, rq, &d.m, &d.r, &f, e);
	if (!rc)
		rc = spool_end(&s, e);
	return rc ? rc : http_answer_spool(rq, 200, API_HUB_JSON, &s);
}
