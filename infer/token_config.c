/* token_config.c - see token_parts.h: what stands around a tokenizer in a Hugging Face directory. */
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define CONFIG_MAX_BYTES ((size_t)16 << 20)

static int load(int dirfd, const char *name, json_t **out, struct err *e)
{
	own(buf) struct buf b;
	int rc;

	buf_init(&b, CONFIG_MAX_BYTES);
	rc = fdio_slurp(dirfd, name, &b, e);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return rc;
	*out = json_parse_lax(b.data, b.len, name, e);
	return *out ? 0 : ERR_INPUT;
}

int token_config_load(struct token_config *c, int dirfd, struct err *e)
{
	int rc;

	*c = (struct token_config){ 0 };
	rc = load(dirfd, "tokenizer_config.json", &c->tokenizer, e);
	if (rc == 0)
		rc = load(dirfd, "special_tokens_map.json", &c->special, e);
	if (rc == 0)
		rc = load(dirfd, "added_tokens.json", &c->added, e);
	if (rc == 0)
		rc = load(dirfd, "generation_config.json", &c->generation, e);
	if (rc == 0)
		rc = load(dirfd, "config.json", &c->model, e);
	if (rc < 0)
		token_config_done(c);
	return rc;
}

void token_config_done(struct token_config *c)
{
	json_decref(c->tokenizer);
	json_decref(c->special);
	json_decref(c->added);
	json_decref(c->generation);
	json_decref(c->model);
	*c = (struct token_config){ 0 };
}

const char *token_config_class(const struct token_config *c)
{
	return json_get_str_or(c->tokenizer, "tokenizer_class", "");
}

static const char *const named[] = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" };

/* Where tokenizer_config.json has a list of its added tokens, the library looks into the two older files no more. */
static const json_t *decoder_of(const struct token_config *c)
{
	return json_object_get(c->tokenizer, "added_tokens_decoder");
}

static const json_t *special_of(const struct token_config *c, const char *key)
{
	const json_t *older = decoder_of(c) ? NULL : json_object_get(c->special, key);

	return older ? older : json_object_get(c->tokenizer, key);
}

/* "<s>" or {"content": "<s>", …} */
static const char *content_of(const json_t *v)
{
	return json_is_object(v) ? json_get_str(v, "content") : json_string_value(v);
}

static const char *token_text(const struct token_config *c, const char *key)
{
	return content_of(special_of(c, key));
}

/* The list of those that have no name of their own, or an object of some that have. */
static const json_t *unnamed_of(const struct token_config *c)
{
	static const char *const keys[] = { "extra_special_tokens", "additional_special_tokens" };
	const json_t *places[] = { c->tokenizer, decoder_of(c) ? NULL : c->special };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			const json_t *v = json_object_get(places[i], keys[k]);

			if (json_array_size(v) || json_object_size(v))
				return v;
		}
	}
	return NULL;
}

static bool is_content(const json_t *v, const char *text)
{
	const char *other = content_of(v);

	return other && strcmp(other, text) == 0;
}

static bool is_named(const struct token_config *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(named); i++)
		if (is_content(special_of(c, named[i]), text))
			return true;
	return false;
}

static struct token_flags flags_of(const json_t *how, int64_t id, bool special, bool normalized)
{
	return (struct token_flags){
		.id = (int32_t)id,
		.special = json_get_bool(how, "special", special),
		.normalized = json_get_bool(how, "normalized", normalized),
		.single_word = json_get_bool(how, "single_word", false),
		.lstrip = json_get_bool(how, "lstrip", false),
		.rstrip = json_get_bool(how, "rstrip", false),
	};
}

static int add_object(struct tokenizer *t, const char *text, int64_t id, const json_t *how, bool special, struct err *e)
{
	if (id < 0 || id >= TOKEN_VOCAB_MAX)
		return err_set(e, ERR_INPUT, "the added token '%.60s' has the id %lld", text, (long long)id);
	return token_added_add(&t->added, text, strlen(text), flags_of(how, id, special, false), e);
}

/* The id that a token has, or gets from the library where it has none: the one behind all others. */
static int64_t id_for(const struct tokenizer *t, const char *text)
{
	size_t after = t->added.vocab.n_ids > t->vocab.n_tokens ? t->added.vocab.n_ids : t->vocab.n_tokens;
	int32_t id = tokenizer_find(t, text, strlen(text));

	return id >= 0 ? id : (int64_t)after;
}

static int add_special(struct tokenizer *t, const json_t *v, struct err *e)
{
	const char *text = content_of(v);

	if (!text || !*text || token_vocab_find(&t->added.vocab, text, strlen(text)) >= 0)
		return 0;
	return add_object(t, text, id_for(t, text), json_is_object(v) ? v : NULL, true, e);
}

/* Tokens that are named as something special are tokens, whether or not the vocabulary has them. */
static int add_specials(struct tokenizer *t, const struct token_config *c, struct err *e)
{
	const json_t *more = unnamed_of(c), *v;
	const char *key;
	int rc = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(named) && rc == 0; i++)
		rc = add_special(t, special_of(c, named[i]), e);
	for (i = 0; i < json_array_size(more) && rc == 0; i++)
		rc = add_special(t, json_array_get(more, i), e);
	json_object_foreach ((json_t *)more, key, v) {
		if (rc == 0)
			rc = add_special(t, v, e);
	}
	return rc;
}

int token_config_added(struct tokenizer *t, const struct token_config *c, struct err *e)
{
	json_t *map = (json_t *)decoder_of(c), *v;
	const char *key;
	int rc = 0;

	json_object_foreach (map, key, v) {
		const char *text = json_get_str(v, "content");
		uint64_t id;

		if (!text || str_parse_u64(key, &id, NULL) < 0 || id >= TOKEN_VOCAB_MAX)
			return err_set(e, ERR_INPUT, "tokenizer_config.json: added token '%.40s' has no content or no usable id", key);
		rc = add_object(t, text, (int64_t)id, v, false, e);
		if (rc < 0)
			return rc;
	}
	json_object_foreach (c->added, key, v) {
		rc = add_object(t, key, json_is_integer(v) ? (int64_t)json_integer_value(v) : -1, NULL, false, e);
		if (rc < 0)
			return rc;
	}
	if (t->vocab.n_tokens > 0)
		return add_specials(t, c, e);
	for (size_t i = 0; i < ARRAY_LEN(named) && rc == 0; i++) {	/* the vocabulary comes later, behind what is special in it */
		const char *text = token_text(c, named[i]);

		if (text && tokenizer_find(t, text, strlen(text)) >= 0)
			rc = add_special(t, special_of(c, named[i]), e);
	}
	return rc;
}

/* --- tokens beside a tokenizer.json --- */

struct entry {
	int64_t id;
	const char *text;
	const json_t *how;
	bool special;
};

/* The older file's tokens are special where another file names them so. */
static void mark_special(struct entry *list, size_t n, const struct token_config *c)
{
	json_t *specials own(json) = json_object();
	const json_t *more = unnamed_of(c);

	for (size_t i = 0; i < json_array_size(more); i++) {
		const char *text = content_of(json_array_get(more, i));

		if (text)
			json_object_set_new(specials, text, json_true());
	}
	for (size_t i = 0; i < n; i++)
		list[i].special = is_named(c, list[i].text) || json_object_get(specials, list[i].text);
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct entry *)a)->id, y = ((const struct entry *)b)->id;

	return x < y ? -1 : x > y;
}

static bool same_flags(const struct token_flags *a, const struct token_flags *b)
{
	return a->special == b->special && a->normalized == b->normalized && a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

/*
 * tokenizer_config.json is believed in how a token is found, not in its id: who has none gets the next. The first n flags are sorted.
 * The older file (how NULL) says nothing but that there is one.
 */
static int add_listed(struct tokenizer *t, const struct token_config *c, const struct entry *x, size_t n, struct err *e)
{
	int32_t id = token_vocab_find(&t->added.vocab, x->text, strlen(x->text));
	bool special = x->how ? json_get_bool(x->how, "special", false) : x->special;
	struct token_flags f = flags_of(x->how, id_for(t, x->text), special, !special), *known;

	known = id >= 0 ? token_added_among(&t->added, n, id) : NULL;
	if (known && (!x->how || same_flags(known, &f)))
		return 0;
	if (!f.special && is_named(c, x->text)) {
		f = flags_of(x->how, f.id, true, false);
		f.special = true;
	}
	if (known)
		*known = f;
	return id >= 0 ? 0 : token_added_add(&t->added, x->text, strlen(x->text), f, e);
}

/* What the two files say beside it, in the order of their ids. */
static size_t list_entries(const struct token_config *c, struct entry *out)
{
	json_t *decoder = (json_t *)decoder_of(c), *v;
	const char *key;
	size_t n = 0;

	json_object_foreach (decoder, key, v) {
		const char *text = json_get_str(v, "content");
		uint64_t id;

		if (text && str_parse_u64(key, &id, NULL) == 0 && id <= INT64_MAX)
			out[n++] = (struct entry){ (int64_t)id, text, v, false };
	}
	for (void *at = decoder ? NULL : json_object_iter(c->added); at; at = json_object_iter_next(c->added, at)) {
		v = json_object_iter_value(at);
		if (json_is_integer(v))
			out[n++] = (struct entry){ (int64_t)json_integer_value(v), json_object_iter_key(at), NULL, false };
	}
	if (n > 1)
		qsort(out, n, sizeof(*out), by_id);
	return n;
}

int token_config_more(struct tokenizer *t, const struct token_config *c, struct err *e)
{
	own(mem) struct entry *list = mem_zalloc((json_object_size(decoder_of(c)) + json_object_size(c->added) + 1) * sizeof(*list));
	size_t n = list_entries(c, list), n_sorted = t->added.n;
	int rc = 0;

	token_added_sort(&t->added);
	if (!decoder_of(c))
		mark_special(list, n, c);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_listed(t, c, &list[i], n_sorted, e);
	return rc == 0 ? add_specials(t, c, e) : rc;
}

/* A whole number, or the first of a list of them. */
static int64_t number(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	if (json_is_array(v))
		v = json_array_get(v, 0);
	return json_is_integer(v) ? (int64_t)json_integer_value(v) : -1;
}

static int32_t end_token(const struct tokenizer *t, const struct token_config *c, const char *text_key, const char *id_key, int32_t otherwise)
{
	const json_t *places[] = { c->generation, c->model, json_object_get(c->model, "text_config") };
	const char *text = token_text(c, text_key);
	int32_t id = text ? tokenizer_find(t, text, strlen(text)) : -1;

	for (size_t i = 0; i < ARRAY_LEN(places) && id < 0; i++) {
		int64_t v = number(places[i], id_key);

		if (tokenizer_has(t, v))
			id = (int32_t)v;
	}
	return id >= 0 ? id : otherwise;
}

void token_config_ends(struct tokenizer *t, const struct token_config *c)
{
	t->bos = end_token(t, c, "bos_token", "bos_token_id", t->bos >= 0 ? t->bos : t->n_head > 0 ? t->head[0] : -1);
	t->eos = end_token(t, c, "eos_token", "eos_token_id", t->eos);
}

void token_config_template(struct tokenizer *t, const struct token_config *c, bool bos, bool eos)
{
	if (t->n_head || t->n_tail)
		return;
	bos = json_get_bool(c->tokenizer, "add_bos_token", bos);
	eos = json_get_bool(c->tokenizer, "add_eos_token", eos);
	if (bos && t->bos >= 0)
		t->head[t->n_head++] = t->bos;
	if (eos && t->eos >= 0)
		t->tail[t->n_tail++] = t->eos;
}
