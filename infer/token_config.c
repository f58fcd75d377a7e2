/* token_config.c - see token_parts.h: what stands around a tokenizer in a Hugging Face directory. */
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
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
	json_decref(c->added);
	json_decref(c->generation);
	json_decref(c->model);
	*c = (struct token_config){ 0 };
}

const char *token_config_class(const struct token_config *c)
{
	return json_get_str_or(c->tokenizer, "tokenizer_class", "");
}

/* "bos_token": "<s>" or {"content": "<s>", …} */
static const char *token_text(const struct token_config *c, const char *key)
{
	const json_t *v = json_object_get(c->tokenizer, key);

	return json_is_object(v) ? json_get_str(v, "content") : json_string_value(v);
}

static int add_object(struct tokenizer *t, const char *text, int64_t id, const json_t *how, bool special, struct err *e)
{
	struct token_flags f = {
		.id = (int32_t)id,
		.special = json_get_bool(how, "special", special),
		.normalized = json_get_bool(how, "normalized", false),
		.single_word = json_get_bool(how, "single_word", false),
		.lstrip = json_get_bool(how, "lstrip", false),
		.rstrip = json_get_bool(how, "rstrip", false),
	};

	if (id < 0 || id >= TOKEN_VOCAB_MAX)
		return err_set(e, ERR_INPUT, "the added token '%.60s' has the id %lld", text, (long long)id);
	return token_added_add(&t->added, text, strlen(text), f, e);
}

int token_config_added(struct tokenizer *t, const struct token_config *c, struct err *e)
{
	static const char *const keys[] = { "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token" };
	json_t *map = json_object_get(c->tokenizer, "added_tokens_decoder"), *v;
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
	for (size_t i = 0; i < ARRAY_LEN(keys) && rc == 0; i++) {
		const char *text = token_text(c, keys[i]);
		int32_t id = text ? tokenizer_find(t, text, strlen(text)) : -1;

		if (id >= 0)
			rc = add_object(t, text, id, NULL, true, e);
	}
	return rc;
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

int token_config_template(struct tokenizer *t, const struct token_config *c, bool bos, bool eos, struct err *e)
{
	bos = json_get_bool(c->tokenizer, "add_bos_token", bos);
	eos = json_get_bool(c->tokenizer, "add_eos_token", eos);
	for (size_t i = 0; i < t->n_head; i++)
		bos = bos && t->head[i] != t->bos;
	for (size_t i = 0; i < t->n_tail; i++)
		eos = eos && t->tail[i] != t->eos;
	if (t->n_head == TOKEN_TEMPLATE_MAX || t->n_tail == TOKEN_TEMPLATE_MAX)
		return err_set(e, ERR_LIMIT, "the post-processor adds %d tokens", TOKEN_TEMPLATE_MAX);
	if (bos && t->bos >= 0) {
		memmove(t->head + 1, t->head, t->n_head++ * sizeof(*t->head));
		t->head[0] = t->bos;
	}
	if (eos && t->eos >= 0)
		t->tail[t->n_tail++] = t->eos;
	return 0;
}
