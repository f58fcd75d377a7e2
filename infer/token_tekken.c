/*
 * token_tekken.c - tekken.json, Mistral's own form of a rank file: the pattern, the tokens' bytes in base64 by rank, and special
 * tokens, which come first: a token's id is its rank plus their number. Only as many ranks count as the configured size has room for.
 */
#include "base/json.h"
#include "base/str.h"
#include "infer/token_parts.h"
#include "infer/token_scan.h"

#define WHAT "tekken.json"
#define BOS  1
#define EOS  2

/* Where the file has no list (the first version), these are meant; the rest are numbered. */
static const char *const usual[] = {
	"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]",
	"<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
};

struct tekken {
	json_t *config, *special;
	struct scan vocab;	/* walked when the configuration is known */
};

static int add_special(struct tokenizer *t, const char *text, int64_t id, struct err *e)
{
	return token_added_add(&t->added, text, strlen(text), (struct token_flags){ .id = (int32_t)id, .special = true }, e);
}

static int read_specials(struct tokenizer *t, const json_t *list, int64_t n_special, struct err *e)
{
	const json_t *item;
	char name[32];
	size_t i;
	int rc = 0;

	json_array_foreach (list, i, item) {
		const char *text = json_get_str(item, "token_str");
		int64_t rank = json_get_int(item, "rank", -1);

		if (!text || rank < 0 || rank >= n_special)
			return err_set(e, ERR_INPUT, WHAT ": special token %zu has no text, or a rank that is not one of %lld", i, (long long)n_special);
		rc = add_special(t, text, rank, e);
		if (rc < 0)
			return rc;
	}
	for (int64_t id = 0; id < n_special && rc == 0; id++) {
		size_t len;

		if (token_vocab_text(&t->added.vocab, (int32_t)id, &len))
			continue;
		snprintf(name, sizeof(name), "<SPECIAL_%lld>", (long long)id);
		rc = add_special(t, json_array_size(list) == 0 && id < (int64_t)ARRAY_LEN(usual) ? usual[id] : name, id, e);
	}
	return rc;
}

static int read_vocab(struct tokenizer *t, struct scan *s, int64_t n_special, int64_t size, struct err *e)
{
	own(buf) struct buf bytes;
	int rc;

	buf_init(&bytes, TOKEN_BYTES_MAX);
	rc = scan_enter(s, '[', e);
	while (rc >= 0 && (rc = scan_item(s, e)) > 0) {
		own(json) json_t *item = scan_value(s, e);
		const json_t *text = json_object_get(item, "token_bytes");
		int64_t rank = json_get_int(item, "rank", -1);

		if (!item)
			return ERR_INPUT;
		buf_reset(&bytes);
		if (!json_is_string(text) || token_base64(&bytes, json_string_value(text), json_string_length(text)) < 0 || rank < 0)
			return err_set(e, ERR_INPUT, WHAT ": a token has no rank, or no bytes in base64");
		rc = rank < size - n_special ? token_vocab_add(&t->vocab, bytes.data, bytes.len, rank + n_special, e) : 0;
	}
	return rc;
}

static int read_top(struct tekken *k, const char *text, size_t n, struct err *e)
{
	own(buf) struct buf key;
	struct scan s;
	int rc;

	buf_init(&key, TOKEN_BYTES_MAX);
	scan_init(&s, text, n, WHAT);
	rc = scan_enter(&s, '{', e);
	while (rc >= 0 && (rc = scan_key(&s, &key, e)) > 0) {
		json_t **into = !strcmp(key.data, "config") ? &k->config : !strcmp(key.data, "special_tokens") ? &k->special : NULL;

		if (into && !*into) {
			*into = scan_value(&s, e);
			rc = *into ? 0 : ERR_INPUT;
			continue;
		}
		if (!strcmp(key.data, "vocab")) {
			scan_peek(&s);
			k->vocab = s;
		}
		rc = scan_skip(&s, e);
	}
	if (rc == 0)
		rc = scan_end(&s, e);
	if (rc == 0 && (!k->config || !k->vocab.text))
		rc = err_set(e, ERR_INPUT, WHAT ": it has no config or no vocab");
	return rc;
}

static int build(struct tokenizer *t, struct tekken *k, struct err *e)
{
	const char *pattern = NULL;
	int64_t size = 0, n_special = 0;
	int rc = json_need_str(k->config, "pattern", &pattern, WHAT, e);

	if (rc == 0)
		rc = json_need_int(k->config, "default_vocab_size", &size, WHAT, e);
	if (rc == 0)
		rc = json_need_int(k->config, "default_num_special_tokens", &n_special, WHAT, e);
	if (rc == 0 && (n_special <= EOS || size <= n_special || size > TOKEN_VOCAB_MAX))
		rc = err_set(e, ERR_INPUT, WHAT ": a size of %lld with %lld special tokens can't be", (long long)size, (long long)n_special);
	if (rc == 0)
		rc = read_specials(t, k->special, n_special, e);
	if (rc == 0)
		rc = read_vocab(t, &k->vocab, n_special, size, e);
	if (rc == 0)
		rc = token_bytes_settle(t, "Tekken", e);
	return rc == 0 ? token_pre_add_regex(&t->pre, pattern, TOKEN_ISOLATED, false, e) : rc;
}

int token_tekken_read(struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	struct tekken k = { 0 };
	int rc = read_top(&k, text, n, e);

	if (rc == 0)
		rc = build(t, &k, e);
	json_decref(k.config);
	json_decref(k.special);
	if (rc < 0)
		return rc;
	t->bos = t->head[t->n_head++] = BOS;
	t->eos = EOS;
	return 0;
}
