/* token_post.c - post-processors of tokenizer.json: which ids stand before and behind the text's own. */
#include "base/json.h"
#include "infer/token_parts.h"

static int push(int32_t *v, size_t *n, size_t at, int32_t id, struct err *e)
{
	if (*n >= TOKEN_TEMPLATE_MAX)
		return err_set(e, ERR_LIMIT, "the post-processor adds more than %d tokens", TOKEN_TEMPLATE_MAX);
	memmove(v + at + 1, v + at, (*n - at) * sizeof(*v));
	v[at] = id;
	(*n)++;
	return 0;
}

/* The ids a template's special token stands for. Those of the head go to the front of what is there, in their order. */
static int push_special(struct tokenizer *t, const json_t *special, const char *name, bool behind, size_t *at, struct err *e)
{
	const json_t *ids = json_object_get(json_object_get(special, name), "ids"), *id;
	size_t i;
	int rc = 0;

	if (!json_is_array(ids))
		return err_set(e, ERR_INPUT, "the post-processor's template uses '%.40s', which has no ids", name);
	json_array_foreach (ids, i, id) {
		json_int_t v = json_integer_value(id);

		if (!json_is_integer(id) || v < 0 || v >= TOKEN_VOCAB_MAX)
			return err_set(e, ERR_INPUT, "the post-processor's token '%.40s' has an id that can't be", name);
		rc = behind ? push(t->tail, &t->n_tail, t->n_tail, (int32_t)v, e) : push(t->head, &t->n_head, (*at)++, (int32_t)v, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int template(struct tokenizer *t, const json_t *j, struct err *e)
{
	const json_t *item, *special = json_object_get(j, "special_tokens");
	bool behind = false;
	size_t i, at = 0;
	int rc = 0;

	json_array_foreach (json_object_get(j, "single"), i, item) {
		const char *name = json_get_str(json_object_get(item, "SpecialToken"), "id");

		if (json_object_get(item, "Sequence")) {
			if (behind)
				return err_set(e, ERR_UNSUPPORTED, "a post-processor that puts the text twice is not supported");
			behind = true;
		} else if (name) {
			rc = push_special(t, special, name, behind, &at, e);
		} else {
			rc = err_set(e, ERR_INPUT, "the post-processor's template has an item that is neither a token nor the text");
		}
		if (rc < 0)
			return rc;
	}
	return behind ? 0 : err_set(e, ERR_INPUT, "the post-processor's template leaves the text out");
}

static int pair_id(const json_t *j, const char *key, int32_t *out, struct err *e)
{
	const json_t *id = json_array_get(json_object_get(j, key), 1);

	if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= TOKEN_VOCAB_MAX)
		return err_set(e, ERR_INPUT, "the post-processor's \"%s\" has no id", key);
	*out = (int32_t)json_integer_value(id);
	return 0;
}

static int bert(struct tokenizer *t, const json_t *j, struct err *e)
{
	int32_t sep = 0, cls = 0;
	int rc = pair_id(j, "cls", &cls, e);

	if (rc == 0)
		rc = pair_id(j, "sep", &sep, e);
	if (rc == 0)
		rc = push(t->head, &t->n_head, 0, cls, e);
	return rc == 0 ? push(t->tail, &t->n_tail, t->n_tail, sep, e) : rc;
}

int token_post_read(struct tokenizer *t, const json_t *j, struct err *e)
{
	const char *type = json_get_str_or(j, "type", "");
	const json_t *item;
	size_t i;
	int rc = 0;

	if (!j || json_is_null(j) || !strcmp(type, "ByteLevel"))	/* ByteLevel only moves offsets, which we don't keep */
		return 0;
	if (!strcmp(type, "TemplateProcessing"))
		return template(t, j, e);
	if (!strcmp(type, "BertProcessing") || !strcmp(type, "RobertaProcessing"))
		return bert(t, j, e);
	if (strcmp(type, "Sequence") != 0)
		return err_set(e, ERR_UNSUPPORTED, "the post-processor '%.40s' is not supported", type);
	json_array_foreach (json_object_get(j, "processors"), i, item)
		if (rc == 0)
			rc = token_post_read(t, item, e);
	return rc;
}
