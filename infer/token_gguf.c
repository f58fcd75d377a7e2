/*
 * token_gguf.c - the tokenizer that a GGUF carries in itself: tokens, scores, types, merges, and the name of a pre-tokenizer
 * (tokenizer.ggml.pre), because the file does not hold the pattern. Source of the names: llama.cpp's convert_hf_to_gguf.py.
 */
#include <math.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"
#include "verify/gguf.h"

/* bos: whether the family puts BOS before a text when the file does not say. */
static const struct pre {
	const char *name;
	enum token_cut cut;
	bool ignore_merges, bos;
} pres[] = {
	{ "llama3", TOKEN_CUT_LLAMA3, true, true }, { "llama-v3", TOKEN_CUT_LLAMA3, true, true }, { "llama-bpe", TOKEN_CUT_LLAMA3, true, true },
	{ "falcon3", TOKEN_CUT_LLAMA3, true, true }, { "falcon-h1", TOKEN_CUT_LLAMA3, true, true }, { "pixtral", TOKEN_CUT_LLAMA3, true, true },
	{ "midm-2.0", TOKEN_CUT_LLAMA3, true, true }, { "lfm2", TOKEN_CUT_LLAMA3, true, true },
	{ "dbrx", TOKEN_CUT_LLAMA3, false, false }, { "smaug-bpe", TOKEN_CUT_LLAMA3, false, false },
	{ "glm4", TOKEN_CUT_LLAMA3, false, false }, { "chatglm-bpe", TOKEN_CUT_LLAMA3, false, false },
	{ "qwen2", TOKEN_CUT_QWEN2, false, false }, { "deepseek-r1-qwen", TOKEN_CUT_QWEN2, false, false }, { "stablelm2", TOKEN_CUT_QWEN2, false, false },
	{ "megrez", TOKEN_CUT_QWEN2, false, false }, { "kormo", TOKEN_CUT_QWEN2, false, false }, { "hunyuan", TOKEN_CUT_QWEN2, false, false },
	{ "grok-2", TOKEN_CUT_QWEN2, false, false },
	{ "deepseek-llm", TOKEN_CUT_DEEPSEEK, false, false }, { "deepseek-coder", TOKEN_CUT_CODER, false, false }, { "deepseek-v3", TOKEN_CUT_DEEPSEEK3, false, false },
	{ "hunyuan-dense", TOKEN_CUT_DEEPSEEK3, false, false },
	{ "falcon", TOKEN_CUT_FALCON, false, false },
	{ "starcoder", TOKEN_CUT_DIGITS, false, false }, { "refact", TOKEN_CUT_DIGITS, false, false }, { "command-r", TOKEN_CUT_DIGITS, false, false },
	{ "smollm", TOKEN_CUT_DIGITS, false, false }, { "codeshell", TOKEN_CUT_DIGITS, false, false }, { "exaone", TOKEN_CUT_DIGITS, false, false },
	{ "minerva-7b", TOKEN_CUT_DIGITS, false, false },
	{ "gpt-2", TOKEN_CUT_GPT2, false, false }, { "phi-2", TOKEN_CUT_GPT2, false, false }, { "mpt", TOKEN_CUT_GPT2, false, false }, { "olmo", TOKEN_CUT_GPT2, false, false },
	{ "jais", TOKEN_CUT_GPT2, false, false }, { "trillion", TOKEN_CUT_GPT2, false, false }, { "exaone4", TOKEN_CUT_GPT2, false, false },
	{ "gigachat", TOKEN_CUT_GPT2, false, false }, { "mellum", TOKEN_CUT_GPT2, false, false }, { "a.x-4.0", TOKEN_CUT_GPT2, false, false },
	{ "granite-docling", TOKEN_CUT_GPT2, false, false },
	{ "bloom", TOKEN_CUT_BLOOM, false, false }, { "poro-chat", TOKEN_CUT_BLOOM, false, false }, { "gpt3-finnish", TOKEN_CUT_BLOOM, false, false },
	{ "viking", TOKEN_CUT_VIKING, false, false },
	{ "tekken", TOKEN_CUT_TEKKEN, true, true },
	{ "gpt-4o", TOKEN_CUT_GPT4O, false, false }, { "llama4", TOKEN_CUT_GPT4O, false, false }, { "minimax-m2", TOKEN_CUT_GPT4O, false, false },
	{ "seed-coder", TOKEN_CUT_SEED, false, false },
};

/* An array of the metadata that has one entry a token. NULL with e set when it is needed and missing, or has another length. */
static const struct gguf_kv *array(const struct gguf *g, const char *key, uint64_t n, bool needed, struct err *e)
{
	const struct gguf_kv *kv = gguf_find_kv(g, key);

	if (!kv && !needed)
		return NULL;
	if (!kv || kv->type != GGUF_KV_ARRAY) {
		err_set(e, ERR_INPUT, "the GGUF has no array %s", key);
		return NULL;
	}
	if (n && kv->n != n) {
		err_set(e, ERR_INPUT, "the GGUF has %llu tokens but %llu entries in %s", (unsigned long long)n, (unsigned long long)kv->n, key);
		return NULL;
	}
	return kv;
}

static int read_token(struct tokenizer *t, const struct gguf_kv *tokens, const struct gguf_kv *types, const struct gguf_kv *scores, uint64_t i, struct err *e)
{
	size_t n = 0;
	const char *s = gguf_kv_str(tokens, i, &n);
	int64_t type = TOKEN_NORMAL;
	double score = 0;

	if (!s || !str_utf8_valid(s, n))
		return err_set(e, ERR_INPUT, "token %llu of the GGUF is not UTF-8 text", (unsigned long long)i);
	if ((types && !gguf_kv_i64(types, i, &type)) || (scores && !gguf_kv_f64(scores, i, &score)))
		return err_set(e, ERR_INPUT, "token %llu of the GGUF has a type or score that is no number", (unsigned long long)i);
	if (type < TOKEN_NORMAL || type > TOKEN_BYTE)
		type = TOKEN_NORMAL;	/* 0 is "undefined" in old files */
	if (!isfinite(score))
		return err_set(e, ERR_INPUT, "token %llu of the GGUF has a score that is not finite", (unsigned long long)i);
	t->types[i] = (uint8_t)type;
	t->scores[i] = score;
	return token_vocab_add(&t->vocab, s, n, (int64_t)i, e);
}

static int read_tokens(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	struct err none = ERR_NONE;
	const struct gguf_kv *tokens = array(g, "tokenizer.ggml.tokens", 0, true, e), *types, *scores;
	int rc = 0;

	if (!tokens)
		return ERR_INPUT;
	if (tokens->n == 0 || tokens->n > TOKEN_VOCAB_MAX)
		return err_set(e, ERR_LIMIT, "the GGUF has %llu tokens; 1 to %d are read", (unsigned long long)tokens->n, TOKEN_VOCAB_MAX);
	types = array(g, "tokenizer.ggml.token_type", tokens->n, false, &none);
	scores = array(g, "tokenizer.ggml.scores", tokens->n, false, &none);
	if (none.code) {
		*e = none;
		return none.code;
	}
	t->types = mem_zalloc(tokens->n);
	t->scores = mem_zalloc(tokens->n * sizeof(*t->scores));
	for (uint64_t i = 0; i < tokens->n && rc == 0; i++)
		rc = read_token(t, tokens, types, scores, i, e);
	return rc;
}

/* Tokens that are control, unknown or user-defined are cut out of the text before all else. */
static int read_added(struct tokenizer *t, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < t->vocab.n_ids && rc == 0; i++) {
		bool special = t->types[i] == TOKEN_CONTROL || t->types[i] == TOKEN_UNKNOWN;
		size_t n;
		const char *s = token_vocab_text(&t->vocab, (int32_t)i, &n);

		if (special || t->types[i] == TOKEN_USER)
			rc = token_added_add(&t->added, s, n, (struct token_flags){ .id = (int32_t)i, .special = special }, e);
	}
	return rc;
}

static int32_t id_of(const struct tokenizer *t, const struct gguf *g, const char *key, int64_t otherwise)
{
	int64_t id = otherwise;

	gguf_i64(g, key, &id);
	return id >= 0 && id < (int64_t)t->vocab.n_ids ? (int32_t)id : -1;
}

static bool flag(const struct gguf *g, const char *key, bool otherwise)
{
	gguf_bool(g, key, &otherwise);
	return otherwise;
}

static void read_template(struct tokenizer *t, const struct gguf *g, bool bos)
{
	if (flag(g, "tokenizer.ggml.add_bos_token", bos) && t->bos >= 0)
		t->head[t->n_head++] = t->bos;
	if (flag(g, "tokenizer.ggml.add_eos_token", false) && t->eos >= 0)
		t->tail[t->n_tail++] = t->eos;
}

static int read_merges(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct gguf_kv *kv = array(g, "tokenizer.ggml.merges", 0, true, e);
	int rc = 0;

	if (!kv)
		return ERR_INPUT;
	if (kv->n > TOKEN_MERGES_MAX)
		return err_set(e, ERR_LIMIT, "the GGUF has %llu merges; up to %d are read", (unsigned long long)kv->n, TOKEN_MERGES_MAX);
	for (uint64_t i = 0; i < kv->n && rc == 0; i++) {
		size_t n = 0;
		const char *s = gguf_kv_str(kv, i, &n), *space = s && n > 1 ? memchr(s + 1, ' ', n - 1) : NULL;

		if (!space)
			return err_set(e, ERR_INPUT, "merge %llu of the GGUF is not two tokens with a space between", (unsigned long long)i);
		rc = token_merge_read(t, s, (size_t)(space - s), space + 1, n - (size_t)(space + 1 - s), (uint32_t)i, e);
	}
	return rc;
}

static const struct pre *find_pre(const struct gguf *g, struct err *e)
{
	const char *name = gguf_str(g, "tokenizer.ggml.pre");

	if (!name) {
		err_set(e, ERR_INPUT, "the GGUF does not name its pre-tokenizer (tokenizer.ggml.pre): text would be cut wrongly, as in files converted before "
			"May 2024; convert the model again");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(pres); i++)
		if (!strcmp(pres[i].name, name))
			return &pres[i];
	err_set(e, ERR_UNSUPPORTED, "the GGUF's pre-tokenizer '%.60s' is not supported", name);
	return NULL;
}

static int open_gpt2(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	const struct pre *pre = find_pre(g, e);
	int rc = pre ? read_merges(t, g, e) : e->code;

	if (rc < 0)
		return rc;
	t->kind = "BPE";
	t->model = token_bpe_ranked;
	t->ignore_merges = pre->ignore_merges;
	rc = token_cut_add(&t->pre, pre->cut, e);
	if (rc == 0)
		rc = token_pre_add_bytes(&t->pre, flag(g, "tokenizer.ggml.add_space_prefix", false), e);
	if (rc == 0)
		rc = token_decode_add_bytes(&t->decode, e);
	t->bos = id_of(t, g, "tokenizer.ggml.bos_token_id", -1);
	t->eos = id_of(t, g, "tokenizer.ggml.eos_token_id", -1);
	read_template(t, g, pre->bos);
	return rc;
}

static int open_llama(struct tokenizer *t, const struct gguf *g, struct err *e)
{
	struct token_spm_norm norm = { .dummy_prefix = flag(g, "tokenizer.ggml.add_space_prefix", true), .escape = true, .once = true };
	int rc;

	if (!gguf_find_kv(g, "tokenizer.ggml.scores"))
		return err_set(e, ERR_INPUT, "the GGUF has a SentencePiece vocabulary without scores");
	t->kind = "SentencePiece BPE";
	t->model = token_bpe_scored;
	t->byte_fallback = true;
	t->bos = id_of(t, g, "tokenizer.ggml.bos_token_id", 1);
	t->eos = id_of(t, g, "tokenizer.ggml.eos_token_id", 2);
	t->unk = id_of(t, g, "tokenizer.ggml.unknown_token_id", 0);
	rc = token_norm_add_spm(t, &norm, e);
	if (rc == 0)
		rc = token_decode_add_spm(&t->decode, norm.dummy_prefix, e);
	read_template(t, g, true);
	return rc;
}

int tokenizer_open_gguf(struct tokenizer **out, const struct gguf *g, struct err *e)
{
	own(tokenizer) struct tokenizer *t = tokenizer_new();
	const char *model = gguf_str(g, "tokenizer.ggml.model");
	struct err own_err = ERR_NONE;
	int rc;

	e = e ? e : &own_err;
	if (!model)
		return err_set(e, ERR_NOT_FOUND, "the GGUF holds no tokenizer");
	if (strcmp(model, "llama") != 0 && strcmp(model, "gpt2") != 0)
		return err_set(e, ERR_UNSUPPORTED, "the GGUF's tokenizer model '%.40s' is not supported; 'llama' and 'gpt2' are", model);
	rc = read_tokens(t, g, e);
	if (rc == 0)
		rc = !strcmp(model, "llama") ? open_llama(t, g, e) : open_gpt2(t, g, e);
	if (rc == 0)
		rc = read_added(t, e);
	if (rc == 0)
		rc = tokenizer_finish(t, e);
	if (rc == 0)
		*out = take(t);
	return rc;
}
