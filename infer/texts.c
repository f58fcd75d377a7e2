/* texts.c - see texts.h. */
#include "infer/texts.h"

#include "base/vec.h"

#define TOKENS_FEW	64u		/* enough for a verdict, and what a large model is given */
#define TOKENS_MANY	1024u		/* what a small one may have */
#define TOKENS_PARAMS	64000000000ull	/* tokens times parameters that cost little */
#define SHUFFLED_TOKENS 48u
#define FAR_TOKENS	24u
#define SHUFFLED_FEW	20u	/* where the text is TOKENS_FEW: 96 tokens fill the vectors of one block and a half */
#define FAR_FEW		12u
#define FAR_POSITION	4096u
#define WINDOW_LEAD	8u	/* tokens of each that only give it a start */
#define WINDOW_TOKENS	32u	/* those that are judged */
#define WINDOWS_FROM	256u	/* tokens of text, below which there is no long context to compare with */

/* Bytes that the ids from `from` on stand for. */
static uint64_t bytes_of(struct tokenizer *t, const int32_t *ids, size_t n, uint64_t otherwise)
{
	struct buf text own(buf);

	buf_init(&text, TOKEN_TEXT_MAX_BYTES);
	return tokenizer_decode(t, ids, n, &text, NULL) < 0 ? otherwise : text.len;
}

/* A text of one's own may spell special tokens, which decoding leaves out. */
static bool spells_specials(const struct smoke *s, const struct tokenizer *t, const struct smoke_options *o)
{
	for (size_t i = 0; i < s->n_tokens; i++) {
		size_t n = 0;
		const char *text = tokenizer_is_special(t, s->tokens[i]) ? tokenizer_text(t, s->tokens[i], &n) : NULL;

		if (text && n && memmem(o->text, o->n_text, text, n))
			return true;
	}
	return false;
}

/* The text must come back from its tokens, as far as the tokenizer means to keep it. */
static void check_round_trip(struct smoke *s, struct tokenizer *t, const struct smoke_options *o)
{
	struct buf back own(buf);

	buf_init(&back, TOKEN_TEXT_MAX_BYTES);
	if (spells_specials(s, t, o))
		return;
	if (tokenizer_decode(t, s->tokens, s->n_tokens, &back, NULL) < 0)
		smoke_reason(s, SMOKE_FAIL, "the tokenizer can't decode its own tokens");
	else if (!tokenizer_gave_back(t, o->text, o->n_text, back.data, back.len))
		smoke_reason(s, SMOKE_FAIL, "the tokenizer does not give the text back: %zu bytes became %zu", o->n_text, back.len);
}

static uint32_t token_limit(const struct model *m, const struct smoke_options *o)
{
	uint64_t n = TOKENS_PARAMS / spec_params(m->spec);

	if (o->max_tokens)
		return o->max_tokens < MODEL_TOKENS_MAX / 2 ? o->max_tokens : MODEL_TOKENS_MAX / 2;
	return n < TOKENS_FEW ? TOKENS_FEW : n > TOKENS_MANY ? TOKENS_MANY : (uint32_t)n;
}

int texts_encode(struct smoke *s, const struct model *m, struct tokenizer *t, const struct smoke_options *o, struct err *e)
{
	int rc = tokenizer_encode(t, o->text, o->n_text, &s->tokens, &s->n_tokens, e);

	if (rc < 0)
		return rc;
	if (tokenizer_max_id(t) >= (int64_t)m->spec->n_vocab)
		smoke_reason(s, SMOKE_FAIL, "the tokenizer has a token %lld, but the embedding only %u rows", (long long)tokenizer_max_id(t), m->spec->n_vocab);
	for (size_t i = 0; i < s->n_tokens; i++)
		if (s->tokens[i] < 0 || s->tokens[i] >= (int64_t)m->spec->n_vocab)
			return err_set(e, ERR_INPUT, "token id %d of the text has no row in the embedding of %u", s->tokens[i], m->spec->n_vocab);
	if (s->n_tokens < 2)
		return err_set(e, ERR_INPUT, "the text gives %zu tokens; at least two are needed", s->n_tokens);
	check_round_trip(s, t, o);
	return 0;
}

static void add_seq(struct smoke_texts *x, const int32_t *ids, uint32_t n, uint32_t position)
{
	memcpy(x->ids + x->n, ids, n * sizeof(*ids));
	for (uint32_t i = 0; i < n; i++)
		x->targets[x->n + i] = i + 1 < n ? ids[i + 1] : -1;
	x->seqs[x->n_seqs++] = (struct model_seq){ .n = n, .position = position };
	x->n += n;
}

/* Always the same shuffle: the report must repeat. */
static void shuffle(int32_t *ids, uint32_t n)
{
	uint32_t state = 20260101;

	for (uint32_t i = n; i > 1; i--) {
		uint32_t j;
		int32_t id = ids[i - 1];

		state = state * 1664525 + 1013904223;
		j = (uint32_t)((uint64_t)state * i >> 32);
		ids[i - 1] = ids[j];
		ids[j] = id;
	}
}

static void add_shuffled(struct smoke_texts *x, const struct smoke *s, struct tokenizer *t)
{
	uint32_t n = x->n_main < SHUFFLED_FEW ? x->n_main : x->n_main <= TOKENS_FEW ? SHUFFLED_FEW : SHUFFLED_TOKENS, keep = s->tokens[0] == tokenizer_bos(t);
	own(mem) int32_t *ids = mem_zalloc(n * sizeof(*ids));

	if (n < 16)
		return;
	memcpy(ids, s->tokens, n * sizeof(*ids));
	shuffle(ids + keep, n - keep);
	add_seq(x, ids, n, 0);
	x->n_shuffled = n;
}

/* Where positions matter, the beginning once more, far from the start. */
static void add_far(struct smoke_texts *x, const struct smoke *s, const struct spec *spec)
{
	uint32_t n = x->n_main < FAR_FEW ? x->n_main : x->n_main <= TOKENS_FEW ? FAR_FEW : FAR_TOKENS, at = FAR_POSITION;

	if (spec->pos != POS_ROPE || spec->n_ctx < 4 * n)
		return;
	if (at + n > spec->n_ctx)
		at = spec->n_ctx - n;
	add_seq(x, s->tokens, n, at);
	x->n_far = n;
}

/*
 * Stretches of the second half with only a few words before them, to see what the long context is good for. Spread evenly, the last
 * one ends where the text does.
 */
static void add_windows(struct smoke_texts *x, const struct smoke *s, struct tokenizer *t)
{
	uint32_t keep = s->tokens[0] == tokenizer_bos(t), n = keep + WINDOW_LEAD + WINDOW_TOKENS, first = x->n_main / 2;

	if (x->n_main < WINDOWS_FROM)
		return;
	for (uint32_t i = 0; i < SMOKE_WINDOWS; i++) {
		int32_t ids[1 + WINDOW_LEAD + WINDOW_TOKENS];
		uint32_t at = first + (x->n_main - (n - keep) - first) * i / (SMOKE_WINDOWS - 1);

		ids[0] = s->tokens[0];
		memcpy(ids + keep, s->tokens + at, (n - keep) * sizeof(*ids));
		x->window_at[i] = at + WINDOW_LEAD;
		add_seq(x, ids, n, 0);
	}
	x->n_windows = SMOKE_WINDOWS;
	x->window_lead = keep + WINDOW_LEAD;
	x->n_window = n;
}

/* Chunks as llama.cpp's tool makes them: cut from the tokens, the first of each replaced by BOS where there is one. */
static int add_chunks(struct smoke_texts *x, const struct smoke *s, struct tokenizer *t, uint32_t chunk, struct err *e)
{
	uint32_t n_chunks = (uint32_t)(s->n_tokens / chunk);
	bool bos = tokenizer_bos(t) >= 0 && s->tokens[0] == tokenizer_bos(t);

	if (n_chunks == 0)
		return err_set(e, ERR_USAGE, "the text has %zu tokens, fewer than one chunk of %u", s->n_tokens, chunk);
	for (uint32_t i = 0; i < n_chunks; i++) {
		uint32_t first = x->n;

		add_seq(x, s->tokens + (size_t)i * chunk, chunk, 0);
		if (bos)
			x->ids[first] = tokenizer_bos(t);
	}
	x->n_main = x->n;
	return 0;
}

/*
 * How far the text may go. Behind the context that the configuration gives no model needs to be any good; but rotations and slopes go on
 * there, as in transformers, and a context that is too short for a verdict is none that a model was trained for. Learned positions end.
 */
static uint32_t longest(const struct spec *s)
{
	bool ends = s->pos == POS_LEARNED || (s->pos == POS_ROPE && s->rope_config[0].scaling == ROPE_DYNAMIC);

	return ends || s->n_ctx > TOKENS_FEW ? s->n_ctx : TOKENS_FEW;
}

uint32_t texts_wanted(const struct smoke *s, const struct model *m, const struct smoke_options *o)
{
	uint32_t limit = token_limit(m, o);

	return s->n_tokens < limit ? (uint32_t)s->n_tokens : limit;
}

uint32_t texts_length(const struct smoke *s, const struct model *m, const struct smoke_options *o)
{
	uint32_t n = texts_wanted(s, m, o);

	if (o->chunk)
		return o->chunk;
	return n < longest(m->spec) ? n : longest(m->spec);
}

int texts_make(struct smoke_texts *x, const struct smoke *s, const struct model *m, struct tokenizer *t, const struct smoke_options *o, struct err *e)
{
	size_t n_all = s->n_tokens < MODEL_TOKENS_MAX ? s->n_tokens : MODEL_TOKENS_MAX;
	size_t room = n_all + SHUFFLED_TOKENS + FAR_TOKENS + SMOKE_WINDOWS * (1 + WINDOW_LEAD + WINDOW_TOKENS);
	uint32_t n = texts_length(s, m, o);
	bool bos = tokenizer_bos(t) >= 0 && s->tokens[0] == tokenizer_bos(t);

	*x = (struct smoke_texts){ .ids = mem_zalloc(room * sizeof(*x->ids)), .targets = mem_zalloc(room * sizeof(*x->targets)),
		.seqs = mem_zalloc((n_all + 3 + SMOKE_WINDOWS) * sizeof(*x->seqs)) };
	if (o->chunk && s->n_tokens > MODEL_TOKENS_MAX)
		return err_set(e, ERR_LIMIT, "the text has %zu tokens; %d can be scored at once", s->n_tokens, MODEL_TOKENS_MAX);
	if (o->chunk)
		return add_chunks(x, s, t, o->chunk, e);
	if (n < 2)
		return err_set(e, ERR_UNSUPPORTED, "not run: too few tokens to judge: the model takes %u at a time", n);
	add_seq(x, s->tokens, n, 0);
	x->n_main = n;
	x->n_bytes = bos && n == s->n_tokens ? o->n_text : bytes_of(t, s->tokens + 1, n - 1, o->n_text);
	add_shuffled(x, s, t);
	add_far(x, s, m->spec);
	add_windows(x, s, t);
	return 0;
}

void texts_done(struct smoke_texts *x)
{
	free(x->ids);
	free(x->targets);
	free(x->seqs);
	*x = (struct smoke_texts){ 0 };
}
