/*
 * token_gpt2.c - vocab.json and merges.txt, how GPT-2's line kept its tokenizer before tokenizer.json. How text is cut does not
 * stand in them; it follows from the class that tokenizer_config.json names.
 */
#include "base/str.h"
#include "infer/token_parts.h"

static const struct dialect {
	const char *class;
	enum token_cut cut;
	bool nfc, framed;	/* framed: <s> before the text and </s> behind */
} dialects[] = {
	{ "", TOKEN_CUT_GPT2, false, false },
	{ "GPT2Tokenizer", TOKEN_CUT_GPT2, false, false },
	{ "CodeGenTokenizer", TOKEN_CUT_GPT2, false, false },
	{ "Qwen2Tokenizer", TOKEN_CUT_QWEN2, true, false },
	{ "RobertaTokenizer", TOKEN_CUT_GPT2, false, true },
	{ "BartTokenizer", TOKEN_CUT_GPT2, false, true },
};

static const struct dialect *find_dialect(const char *class, struct err *e)
{
	size_t n = strlen(class) - (str_ends(class, "Fast") ? 4 : 0);

	for (size_t i = 0; i < ARRAY_LEN(dialects); i++)
		if (strlen(dialects[i].class) == n && memcmp(dialects[i].class, class, n) == 0)
			return &dialects[i];
	err_set(e, ERR_UNSUPPORTED, "vocab.json and merges.txt of the class '%.60s' are not supported without a tokenizer.json: how it cuts text is not in them",
		class);
	return NULL;
}

/* A rule a line, "left right"; the first line may be a version. */
static int read_merges(struct tokenizer *t, const struct buf *b, struct err *e)
{
	const char *s = b->data, *end = b->data + b->len;
	uint32_t rank = 0;
	int rc = 0;

	for (const char *eol; s < end && rc == 0; s = eol + 1) {
		eol = memchr(s, '\n', (size_t)(end - s));
		eol = eol ? eol : end;
		size_t n = (size_t)(eol - s) - (eol > s && eol[-1] == '\r');
		const char *space = memchr(s, ' ', n);

		if (n == 0 || (rank == 0 && n > 8 && !memcmp(s, "#version", 8)))
			continue;
		if (!space || !str_utf8_valid(s, n))
			return err_set(e, ERR_INPUT, "merges.txt: rule %u is not two tokens with a space between", rank);
		rc = token_merge_read(t, s, (size_t)(space - s), space + 1, n - (size_t)(space + 1 - s), rank++, e);
	}
	return rc;
}

int token_gpt2_read(struct tokenizer *t, const char *class, const struct buf *vocab, const struct buf *merges, struct err *e)
{
	const struct dialect *d = find_dialect(class, e);
	int rc = d ? token_vocab_read(t, vocab->data, vocab->len, e) : ERR_UNSUPPORTED;

	if (rc == 0)
		rc = read_merges(t, merges, e);
	if (rc == 0 && d->nfc)
		rc = token_norm_add_nfc(&t->norm, e);
	if (rc == 0)
		rc = token_cut_add(&t->pre, d->cut, e);
	if (rc == 0)
		rc = token_pre_add_bytes(&t->pre, false, e);
	if (rc == 0)
		rc = token_decode_add_bytes(&t->decode, e);
	if (rc < 0)
		return rc;
	t->kind = "BPE";
	t->model = token_bpe_ranked;
	if (d->framed) {
		t->head[0] = token_vocab_find(&t->vocab, "<s>", 3);
		t->tail[0] = token_vocab_find(&t->vocab, "</s>", 4);
		t->n_head = t->n_tail = 1;
	}
	return 0;
}
