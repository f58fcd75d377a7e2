/*
 * token_json.c - reads tokenizer.json, the format of the `tokenizers` library. Vocabulary and merges are walked as they lie;
 * everything else is small and parsed as a tree. Truncation and padding are left out: a smoke test wants all of the text.
 */
#include "base/vec.h"
#include "infer/token_parts.h"
#include "infer/token_scan.h"

#define WHAT "tokenizer.json"

/* {"token": id, …} */
static int read_vocab(struct tokenizer *t, struct scan *s, struct err *e)
{
	own(buf) struct buf key;
	int64_t id;
	int rc;

	buf_init(&key, TOKEN_BYTES_MAX);
	rc = scan_enter(s, '{', e);
	while (rc >= 0 && (rc = scan_key(s, &key, e)) > 0) {
		rc = scan_int(s, &id, e);
		if (rc == 0)
			rc = token_vocab_add(&t->vocab, key.data, key.len, id, e);
	}
	return rc;
}

int token_vocab_read(struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	struct scan s;
	int rc;

	scan_init(&s, text, n, "vocab.json");
	rc = read_vocab(t, &s, e);
	return rc == 0 ? scan_end(&s, e) : rc;
}

/* [["piece", score], …]: the index is the id. */
static int read_scored(struct tokenizer *t, struct scan *s, struct err *e)
{
	own(buf) struct buf piece;
	size_t n = 0, cap = 0;
	double score;
	int rc;

	buf_init(&piece, TOKEN_BYTES_MAX);
	rc = scan_enter(s, '[', e);
	while (rc >= 0 && (rc = scan_item(s, e)) > 0) {
		rc = scan_enter(s, '[', e);
		if (rc < 0 || (rc = scan_item(s, e)) < 0 || (rc = scan_string(s, &piece, e)) < 0 || (rc = scan_item(s, e)) < 0 ||
		    (rc = scan_real(s, &score, e)) < 0)
			return rc;
		if ((rc = scan_item(s, e)) != 0)
			return rc < 0 ? rc : err_set(e, ERR_INPUT, WHAT ": a piece of the vocabulary has more than a string and a score");
		rc = token_vocab_add(&t->vocab, piece.data, piece.len, (int64_t)n, e);
		*vec_push(&t->scores, &n, &cap) = score;
	}
	return rc;
}

/* Two halves of a rule: "a b", or ["a", "b"] where tokens may hold spaces. */
static int read_merge(struct scan *s, struct buf *left, struct buf *right, struct err *e)
{
	char *space;
	int rc;

	if (scan_peek(s) == '[') {
		if ((rc = scan_enter(s, '[', e)) < 0 || (rc = scan_item(s, e)) < 0 || (rc = scan_string(s, left, e)) < 0 || (rc = scan_item(s, e)) < 0 ||
		    (rc = scan_string(s, right, e)) < 0 || (rc = scan_item(s, e)) < 0)
			return rc;
		return rc == 0 ? 0 : err_set(e, ERR_INPUT, WHAT ": a merge has more than two parts");
	}
	rc = scan_string(s, left, e);
	if (rc < 0)
		return rc;
	space = memchr(left->data, ' ', left->len);
	if (!space || memchr(space + 1, ' ', left->len - (size_t)(space + 1 - left->data)))
		return err_set(e, ERR_INPUT, WHAT ": the merge '%.60s' is not two tokens with a space between", left->data);
	buf_reset(right);
	buf_add(right, space + 1, left->len - (size_t)(space + 1 - left->data));
	left->len = (size_t)(space - left->data);
	return 0;
}

int token_merge_read(struct tokenizer *t, const char *left, size_t n_left, const char *right, size_t n_right, uint32_t rank, struct err *e)
{
	int32_t l = token_vocab_find(&t->vocab, left, n_left), r = token_vocab_find(&t->vocab, right, n_right), both;
	size_t skip = t->subword_prefix ? strlen(t->subword_prefix) : 0;
	own(buf) struct buf join;

	buf_init(&join, TOKEN_BYTES_MAX * 2);
	if (rank >= TOKEN_MERGES_MAX)
		return err_set(e, ERR_LIMIT, "the tokenizer has more than %d merges", TOKEN_MERGES_MAX);
	buf_add(&join, left, n_left);
	buf_add(&join, right + (skip < n_right ? skip : n_right), n_right - (skip < n_right ? skip : n_right));
	both = token_vocab_find(&t->vocab, join.data, join.len);
	if (l < 0 || r < 0 || both < 0)
		return err_set(e, ERR_INPUT, "merge %u, '%.*s' with '%.*s': %s is not in the vocabulary", rank, (int)(n_left < 60 ? n_left : 60), left,
			       (int)(n_right < 60 ? n_right : 60), right, l < 0 ? "the first" : r < 0 ? "the second" : "what they make");
	token_merges_add(&t->merges, l, r, both, rank);
	return 0;
}

static int read_merges(struct tokenizer *t, struct scan *s, struct err *e)
{
	own(buf) struct buf left, right;
	int rc;

	buf_init(&left, TOKEN_BYTES_MAX * 2 + 1);
	buf_init(&right, TOKEN_BYTES_MAX * 2 + 1);
	rc = scan_enter(s, '[', e);
	for (uint32_t rank = 0; rc >= 0 && (rc = scan_item(s, e)) > 0; rank++) {
		rc = read_merge(s, &left, &right, e);
		if (rc == 0)
			rc = token_merge_read(t, left.data, left.len, right.data, right.len, rank, e);
	}
	return rc;
}

static void read_unknown(struct tokenizer *t, const json_t *j)
{
	const json_t *unk = json_object_get(j, "unk_token");

	t->unk = -1;
	if (json_is_string(unk)) {
		t->unk = token_vocab_find(&t->vocab, json_string_value(unk), json_string_length(unk));
		if (t->unk < 0)
			t->unk = TOKEN_UNK_MISSING;
	}
}

static int bpe(struct tokenizer *t, const json_t *j, struct err *e)
{
	const char *prefix = json_get_str(j, "continuing_subword_prefix"), *suffix = json_get_str(j, "end_of_word_suffix");

	if (json_get_real(j, "dropout", 0) > 0)
		return err_set(e, ERR_UNSUPPORTED, WHAT ": a BPE with dropout gives other ids each time");
	if ((prefix && strlen(prefix) > TOKEN_BYTES_MAX) || (suffix && strlen(suffix) > TOKEN_BYTES_MAX))
		return err_set(e, ERR_LIMIT, WHAT ": the prefix or suffix of words has more than %d bytes", TOKEN_BYTES_MAX);
	t->subword_prefix = prefix && *prefix ? mem_strdup(prefix) : NULL;
	t->word_suffix = suffix && *suffix ? mem_strdup(suffix) : NULL;
	t->fuse_unk = json_get_bool(j, "fuse_unk", false);
	t->byte_fallback = json_get_bool(j, "byte_fallback", false);
	t->ignore_merges = json_get_bool(j, "ignore_merges", false);
	read_unknown(t, j);
	return 0;
}

static int unigram(struct tokenizer *t, const json_t *j, struct err *e)
{
	int64_t unk = json_get_int(j, "unk_id", -1);

	if (!t->scores || unk < -1 || unk >= (int64_t)t->vocab.n_ids)
		return err_set(e, ERR_INPUT, WHAT ": a Unigram model with no vocabulary or an unk_id outside of it");
	t->unk = (int32_t)unk;
	t->fuse_unk = true;
	t->byte_fallback = json_get_bool(j, "byte_fallback", false);
	for (size_t i = 0; i < t->vocab.n_ids; i++) {
		t->min_score = i == 0 || t->scores[i] < t->min_score ? t->scores[i] : t->min_score;
		token_prefixes_add(&t->pieces, &t->vocab, (int32_t)i);
	}
	return 0;
}

static int wordpiece(struct tokenizer *t, const json_t *j, struct err *e)
{
	int64_t longest = json_get_int(j, "max_input_chars_per_word", 100);

	if (longest < 1 || longest > TOKEN_WORD_CHARS_MAX)
		return err_set(e, ERR_LIMIT, WHAT ": words of %lld characters; up to %d are read", (long long)longest, TOKEN_WORD_CHARS_MAX);
	t->word_chars_max = (size_t)longest;
	t->subword_prefix = mem_strdup(json_get_str_or(j, "continuing_subword_prefix", "##"));
	read_unknown(t, j);
	return 0;
}

static int wordlevel(struct tokenizer *t, const json_t *j, struct err *e)
{
	(void)e;
	read_unknown(t, j);
	return 0;
}

static const struct {
	const char *type;
	token_model_fn *model;
	int (*read)(struct tokenizer *t, const json_t *j, struct err *e);
} models[] = {
	{ "BPE", token_bpe_ranked, bpe },
	{ "Unigram", token_unigram, unigram },
	{ "WordPiece", token_wordpiece, wordpiece },
	{ "WordLevel", token_wordlevel, wordlevel },
};

/* Old files don't say which model they hold; it shows. */
static const char *guess(const struct tokenizer *t, const json_t *j, bool merges)
{
	if (t->scores)
		return "Unigram";
	if (merges)
		return "BPE";
	return json_object_get(j, "max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

static int choose_model(struct tokenizer *t, const json_t *j, bool merges, struct err *e)
{
	const char *type = json_get_str(j, "type");

	if (!type)
		type = guess(t, j, merges);
	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		if (strcmp(models[i].type, type) != 0)
			continue;
		t->kind = models[i].type;
		t->model = models[i].model;
		return models[i].read(t, j, e);
	}
	return err_set(e, ERR_UNSUPPORTED, WHAT ": the model '%.40s' is not supported", type);
}

static int read_any_vocab(struct tokenizer *t, struct scan *s, struct err *e)
{
	if (t->vocab.n_ids > 0)
		return err_set(e, ERR_INPUT, WHAT ": the vocabulary stands twice");
	return scan_peek(s) == '[' ? read_scored(t, s, e) : read_vocab(t, s, e);
}

/* Merges need the vocabulary and the model's prefix, wherever those stand: they are walked last. */
static int read_model(struct tokenizer *t, struct scan *s, struct err *e)
{
	own(json) json_t *rest = json_object();
	struct scan merges = { 0 };
	own(buf) struct buf key;
	int rc;

	buf_init(&key, TOKEN_BYTES_MAX);
	if (t->model)
		return err_set(e, ERR_INPUT, WHAT ": the model stands twice");
	rc = scan_enter(s, '{', e);
	while (rc >= 0 && (rc = scan_key(s, &key, e)) > 0) {
		if (!strcmp(key.data, "vocab")) {
			rc = read_any_vocab(t, s, e);
		} else if (!strcmp(key.data, "merges")) {
			scan_peek(s);
			merges = *s;
			rc = scan_skip(s, e);
		} else {
			json_t *value = scan_value(s, e);

			rc = !value ? ERR_INPUT : json_object_set_new(rest, key.data, value) < 0 ? err_set(e, ERR_INPUT, WHAT ": an odd key") : 0;
		}
	}
	if (rc == 0)
		rc = choose_model(t, rest, merges.text, e);
	if (rc == 0 && merges.text && t->model == token_bpe_ranked)
		rc = read_merges(t, &merges, e);
	return rc;
}

/* Which added tokens there are; where the model knows the string too, its id is the one used. */
static int read_added(struct tokenizer *t, const json_t *list, struct err *e)
{
	const json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach (list, i, item) {
		const json_t *content = json_object_get(item, "content");
		int64_t id = json_get_int(item, "id", -1);
		struct token_flags f = {
			.special = json_get_bool(item, "special", false),
			.normalized = json_get_bool(item, "normalized", false),
			.single_word = json_get_bool(item, "single_word", false),
			.lstrip = json_get_bool(item, "lstrip", false),
			.rstrip = json_get_bool(item, "rstrip", false),
		};

		if (!json_is_string(content) || id < 0 || id >= TOKEN_VOCAB_MAX)
			return err_set(e, ERR_INPUT, WHAT ": added token %zu has no content, or no id below %d", i, TOKEN_VOCAB_MAX);
		f.id = token_vocab_find(&t->vocab, json_string_value(content), json_string_length(content));
		if (f.id < 0)
			f.id = (int32_t)id;
		rc = token_added_add(&t->added, json_string_value(content), json_string_length(content), f, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_steps(struct tokenizer *t, const json_t *top, struct err *e)
{
	int rc = token_norm_read(&t->norm, json_object_get(top, "normalizer"), e);

	if (rc == 0)
		rc = token_pre_read(&t->pre, json_object_get(top, "pre_tokenizer"), e);
	if (rc == 0)
		rc = token_decode_read(&t->decode, json_object_get(top, "decoder"), e);
	if (rc == 0)
		rc = token_post_read(t, json_object_get(top, "post_processor"), e);
	if (rc == 0)
		rc = read_added(t, json_object_get(top, "added_tokens"), e);
	return rc;
}

int token_json_read(struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	own(json) json_t *top = json_object();
	own(buf) struct buf key;
	struct scan s;
	int rc;

	buf_init(&key, TOKEN_BYTES_MAX);
	scan_init(&s, text, n, WHAT);
	rc = scan_enter(&s, '{', e);
	while (rc >= 0 && (rc = scan_key(&s, &key, e)) > 0) {
		if (!strcmp(key.data, "model")) {
			rc = read_model(t, &s, e);
			continue;
		}
		json_t *value = scan_value(&s, e);

		rc = !value ? ERR_INPUT : json_object_set_new(top, key.data, value) < 0 ? err_set(e, ERR_INPUT, WHAT ": an odd key") : 0;
	}
	if (rc == 0)
		rc = scan_end(&s, e);
	if (rc == 0 && !t->model)
		rc = err_set(e, ERR_INPUT, WHAT ": it has no model");
	return rc == 0 ? read_steps(t, top, e) : rc;
}
