/*
 * token_tiktoken.c - rank files: a line a token, its bytes in base64, a space, its rank, which is its id. Neither the pattern nor
 * the special tokens are in the file; the number of ranks says whose it is.
 */
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define LINE_MAX_BYTES ((size_t)TOKEN_BYTES_MAX * 2)
#define NAMES_MAX      14

/* Special tokens follow the ranks: those named, in their order from `first`, then numbered ones up to `count`. */
static const struct family {
	size_t n_ranks;
	enum token_cut cut;
	bool nfc, bos;
	uint32_t first, count;
	const char *numbered;
	unsigned number_from;
	const char *names[NAMES_MAX];	/* "" leaves an id out */
	const char *eos;
} families[] = {
	{ 128000, TOKEN_CUT_LLAMA3, false, true, 128000, 256, "reserved_special_token", 2,	/* Llama 3 */
	  { "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>",
	    "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>" },
	  "<|end_of_text|>" },
	{ 200000, TOKEN_CUT_GPT4O, false, true, 200000, 2048, "reserved_special_token", 0,	/* Llama 4 */
	  { "<|begin_of_text|>", "<|end_of_text|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|header_start|>", "<|header_end|>", "<|eom|>",
	    "<|eot|>" },
	  "<|end_of_text|>" },
	{ 151643, TOKEN_CUT_QWEN2, true, false, 151643, 208, "extra", 0,				/* Qwen 1 */
	  { "<|endoftext|>", "<|im_start|>", "<|im_end|>" }, "<|endoftext|>" },
	{ 100256, TOKEN_CUT_LLAMA3, false, false, 100257, 4, "", 0,					/* cl100k */
	  { "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>" }, "<|endoftext|>" },
	{ 199998, TOKEN_CUT_GPT4O, false, false, 199999, 1, "", 0, { "<|endoftext|>" }, "<|endoftext|>" },	/* o200k */
};

/* One line: 1 with the token's bytes and rank, 0 for an empty one. */
static int read_line(const char *s, size_t n, struct buf *bytes, int64_t *rank)
{
	const char *space = memchr(s, ' ', n);
	char digits[16];
	uint64_t v;
	size_t len;

	buf_reset(bytes);
	if (n == 0)
		return 0;
	if (!space || n > LINE_MAX_BYTES)
		return ERR_INPUT;
	len = n - (size_t)(space + 1 - s);
	if (len == 0 || len >= sizeof(digits) || token_base64(bytes, s, (size_t)(space - s)) < 0 || bytes->len == 0)
		return ERR_INPUT;
	memcpy(digits, space + 1, len);
	digits[len] = 0;
	if (str_parse_u64(digits, &v, NULL) < 0 || v >= TOKEN_VOCAB_MAX)
		return ERR_INPUT;
	*rank = (int64_t)v;
	return 1;
}

static size_t line_length(const char *s, const char *end, const char **next)
{
	const char *eol = memchr(s, '\n', (size_t)(end - s));

	*next = eol ? eol + 1 : end;
	eol = eol ? eol : end;
	return (size_t)(eol - s) - (eol > s && eol[-1] == '\r');
}

bool token_tiktoken_looks(const char *text, size_t n)
{
	own(buf) struct buf bytes;
	const char *next;
	int64_t rank;

	buf_init(&bytes, TOKEN_BYTES_MAX);
	return n > 0 && read_line(text, line_length(text, text + n, &next), &bytes, &rank) == 1;
}

static int read_ranks(struct tokenizer *t, const char *s, const char *end, struct err *e)
{
	own(buf) struct buf bytes;
	const char *next;
	int64_t rank;
	int rc = 0;

	buf_init(&bytes, TOKEN_BYTES_MAX);
	for (size_t line = 1; s < end && rc >= 0; s = next, line++) {
		rc = read_line(s, line_length(s, end, &next), &bytes, &rank);
		if (rc < 0)
			return err_set(e, ERR_INPUT, "the rank file's line %zu is not base64, a space and a rank", line);
		if (rc == 1)
			rc = token_vocab_add(&t->vocab, bytes.data, bytes.len, rank, e);
	}
	return rc < 0 ? rc : 0;
}

static int add_special(struct tokenizer *t, const char *name, uint32_t id, struct err *e)
{
	if (!*name || token_added_flags(&t->added, (int32_t)id))
		return 0;
	return token_added_add(&t->added, name, strlen(name), (struct token_flags){ .id = (int32_t)id, .special = true }, e);
}

static int add_specials(struct tokenizer *t, const struct family *f, struct err *e)
{
	uint32_t named = 0;
	char name[64];
	int rc = 0;

	for (; named < NAMES_MAX && f->names[named] && rc == 0; named++)
		rc = add_special(t, f->names[named], f->first + named, e);
	for (uint32_t i = named; i < f->count && rc == 0; i++) {
		snprintf(name, sizeof(name), "<|%s_%u|>", f->numbered, i - named + f->number_from);
		rc = add_special(t, name, f->first + i, e);
	}
	return rc;
}

int token_bytes_settle(struct tokenizer *t, const char *kind, struct err *e)
{
	for (unsigned b = 0; b < 256; b++) {
		char c = (char)b;

		t->byte_ids[b] = token_vocab_find(&t->vocab, &c, 1);
		if (t->byte_ids[b] < 0)
			return err_set(e, ERR_INPUT, "the ranks have no token for byte %u", b);
	}
	t->scores = mem_zalloc(t->vocab.n_ids * sizeof(*t->scores));
	for (size_t i = 0; i < t->vocab.n_ids; i++)
		t->scores[i] = -(double)i;
	t->kind = kind;
	t->model = token_bpe_bytes;
	return token_decode_add_raw(&t->decode, e);
}

int token_tiktoken_read(struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	const struct family *f = NULL;
	int rc = read_ranks(t, text, text + n, e);

	for (size_t i = 0; i < ARRAY_LEN(families) && rc == 0; i++)
		if (families[i].n_ranks == t->vocab.n_tokens)
			f = &families[i];
	if (rc == 0 && !f)
		rc = err_set(e, ERR_UNSUPPORTED, "a rank file of %zu tokens is not supported: whose it is, and so how text is cut, can't be told", t->vocab.n_tokens);
	if (rc == 0)
		rc = token_bytes_settle(t, "tiktoken BPE", e);
	if (rc == 0 && f->nfc)
		rc = token_norm_add_nfc(&t->norm, e);
	if (rc == 0)
		rc = token_cut_add(&t->pre, f->cut, e);
	if (rc == 0)
		rc = add_specials(t, f, e);
	if (rc < 0)
		return rc;
	t->eos = tokenizer_find(t, f->eos, strlen(f->eos));
	if (f->bos)
		t->bos = t->head[t->n_head++] = (int32_t)f->first;
	return 0;
}
