/*
 * token_gguf.c - the tokenizer that a GGUF carries in itself: tokens, scores, types, merges, and the name of a pre-tokenizer
 * (tokenizer.ggml.pre) for which there is a table here, because the file does not hold the pattern. Source of the names:
 * llama.cpp's convert_hf_to_gguf.py; the patterns are those of the tokenizer.json files it recognises.
 */
#include <math.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"
#include "verify/gguf.h"

#define PATTERNS_MAX 6
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define GPT2	     "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(digits) CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER	     "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER	     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail, digits) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" tail \
	"|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK3_LAST "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
	"| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define BLOOM	     " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
/* Cased letters, as the file lists them. */
#define DEEPSEEK_LETTERS "\\s?[" \
	"A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}" \
	"\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}" \
	"\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}" \
	"\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}" \
	"\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}" \
	"\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}" \
	"\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}" \
	"\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}" \
	"\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}" \
	"\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}" \
	"\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}" "]+"
#define DEEPSEEK_CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

/* How each kind cuts, in turn; each pattern cuts the pieces that the one before left. */
enum cut { CUT_GPT2, CUT_LLAMA3, CUT_QWEN2, CUT_DEEPSEEK, CUT_CODER, CUT_DEEPSEEK3, CUT_FALCON, CUT_DIGITS, CUT_BLOOM, CUT_VIKING, CUT_TEKKEN, CUT_GPT4O, CUT_SEED };

static const char *const cuts[][PATTERNS_MAX] = {
	[CUT_GPT2] = { GPT2 },
	[CUT_LLAMA3] = { LLAMA3("\\p{N}{1,3}") },
	[CUT_QWEN2] = { LLAMA3("\\p{N}") },
	[CUT_DEEPSEEK] = { "[\\r\\n]", DEEPSEEK_LETTERS, "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+", "\\s+$", DEEPSEEK_CJK, "\\p{N}+" },
	[CUT_CODER] = { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, "\\p{N}" },
	[CUT_DEEPSEEK3] = { "\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+", DEEPSEEK3_LAST },
	[CUT_FALCON] = { "[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]" },
	[CUT_DIGITS] = { "\\p{N}", GPT2 },
	[CUT_BLOOM] = { BLOOM },
	[CUT_VIKING] = { BLOOM, "\\p{N}" },
	[CUT_TEKKEN] = { CASED("", "\\p{N}") },
	[CUT_GPT4O] = { CASED(CONTRACTIONS "?", "\\p{N}{1,3}") },
	[CUT_SEED] = { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
};

/* bos: whether the family puts BOS before a text when the file does not say. */
static const struct pre {
	const char *name;
	enum cut cut;
	bool ignore_merges, bos;
} pres[] = {
	{ "llama3", CUT_LLAMA3, true, true }, { "llama-v3", CUT_LLAMA3, true, true }, { "llama-bpe", CUT_LLAMA3, true, true },
	{ "falcon3", CUT_LLAMA3, true, true }, { "falcon-h1", CUT_LLAMA3, true, true }, { "pixtral", CUT_LLAMA3, true, true },
	{ "midm-2.0", CUT_LLAMA3, true, true }, { "lfm2", CUT_LLAMA3, true, true },
	{ "dbrx", CUT_LLAMA3, false, false }, { "smaug-bpe", CUT_LLAMA3, false, false },
	{ "glm4", CUT_LLAMA3, false, false }, { "chatglm-bpe", CUT_LLAMA3, false, false },
	{ "qwen2", CUT_QWEN2, false, false }, { "deepseek-r1-qwen", CUT_QWEN2, false, false }, { "stablelm2", CUT_QWEN2, false, false },
	{ "megrez", CUT_QWEN2, false, false }, { "kormo", CUT_QWEN2, false, false }, { "hunyuan", CUT_QWEN2, false, false },
	{ "grok-2", CUT_QWEN2, false, false },
	{ "deepseek-llm", CUT_DEEPSEEK, false, false }, { "deepseek-coder", CUT_CODER, false, false }, { "deepseek-v3", CUT_DEEPSEEK3, false, false },
	{ "hunyuan-dense", CUT_DEEPSEEK3, false, false },
	{ "falcon", CUT_FALCON, false, false },
	{ "starcoder", CUT_DIGITS, false, false }, { "refact", CUT_DIGITS, false, false }, { "command-r", CUT_DIGITS, false, false },
	{ "smollm", CUT_DIGITS, false, false }, { "codeshell", CUT_DIGITS, false, false }, { "exaone", CUT_DIGITS, false, false },
	{ "minerva-7b", CUT_DIGITS, false, false },
	{ "gpt-2", CUT_GPT2, false, false }, { "phi-2", CUT_GPT2, false, false }, { "mpt", CUT_GPT2, false, false }, { "olmo", CUT_GPT2, false, false },
	{ "jais", CUT_GPT2, false, false }, { "trillion", CUT_GPT2, false, false }, { "exaone4", CUT_GPT2, false, false },
	{ "gigachat", CUT_GPT2, false, false }, { "mellum", CUT_GPT2, false, false }, { "a.x-4.0", CUT_GPT2, false, false },
	{ "granite-docling", CUT_GPT2, false, false },
	{ "bloom", CUT_BLOOM, false, false }, { "poro-chat", CUT_BLOOM, false, false }, { "gpt3-finnish", CUT_BLOOM, false, false },
	{ "viking", CUT_VIKING, false, false },
	{ "tekken", CUT_TEKKEN, true, true },
	{ "gpt-4o", CUT_GPT4O, false, false }, { "llama4", CUT_GPT4O, false, false }, { "minimax-m2", CUT_GPT4O, false, false },
	{ "seed-coder", CUT_SEED, false, false },
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
	for (size_t i = 0; i < PATTERNS_MAX && cuts[pre->cut][i] && rc == 0; i++)
		rc = token_pre_add_regex(&t->pre, cuts[pre->cut][i], TOKEN_ISOLATED, false, e);
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
	struct token_spm_norm norm = { .dummy_prefix = flag(g, "tokenizer.ggml.add_space_prefix", true), .escape = true };
	int rc;

	if (!gguf_find_kv(g, "tokenizer.ggml.scores"))
		return err_set(e, ERR_INPUT, "the GGUF has a SentencePiece vocabulary without scores");
	t->kind = "SentencePiece BPE";
	t->model = token_bpe_scored;
	t->byte_fallback = true;
	t->bos = id_of(t, g, "tokenizer.ggml.bos_token_id", 1);
	t->eos = id_of(t, g, "tokenizer.ggml.eos_token_id", 2);
	t->unk = id_of(t, g, "tokenizer.ggml.unknown_token_id", 0);
	rc = token_norm_add_spm(&t->norm, &norm, &t->user, e);
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
