/* token.c - see token.h: finds the tokenizer of a directory, and runs the pipeline of token_parts.h. */
#include "infer/token.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

struct tokenizer *tokenizer_new(void)
{
	struct tokenizer *t = mem_zalloc(sizeof(*t));

	token_vocab_init(&t->vocab);
	token_added_init(&t->added);
	t->unk = t->bos = t->eos = -1;
	for (size_t i = 0; i < ARRAY_LEN(t->byte_ids); i++)
		t->byte_ids[i] = -1;
	return t;
}

void tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	token_vocab_done(&t->vocab);
	token_added_done(&t->added);
	token_steps_done(&t->norm);
	token_steps_done(&t->pre);
	token_steps_done(&t->decode);
	token_merges_done(&t->merges);
	token_prefixes_done(&t->pieces);
	token_prefixes_done(&t->user);
	free(t->subword_prefix);
	free(t->word_suffix);
	free(t->scores);
	free(t->types);
	free(t);
}

/* The ids of <0x00> to <0xFF>. SentencePiece promises all of them; elsewhere a character whose bytes are not all there is unknown. */
static int find_bytes(struct tokenizer *t, struct err *e)
{
	char name[8];

	for (unsigned b = 0; b < 256; b++) {
		snprintf(name, sizeof(name), "<0x%02X>", b);
		t->byte_ids[b] = token_vocab_find(&t->vocab, name, 6);
		if (t->byte_ids[b] < 0 && t->model != token_bpe_ranked)
			return err_set(e, ERR_INPUT, "the tokenizer falls back to bytes but has no token %s", name);
	}
	return 0;
}

static bool is_token(const struct tokenizer *t, int32_t id)
{
	size_t n;

	return token_vocab_text(&t->vocab, id, &n) || token_added_flags(&t->added, id);
}

static int check_template(const struct tokenizer *t, const int32_t *ids, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!is_token(t, ids[i]))
			return err_set(e, ERR_INPUT, "the post-processor adds token %d, which does not exist", ids[i]);
	return 0;
}

int tokenizer_finish(struct tokenizer *t, struct err *e)
{
	int rc = t->byte_fallback ? find_bytes(t, e) : 0;

	token_prefixes_sort(&t->pieces);
	if (rc == 0)
		rc = token_added_finish(&t->added, &t->norm, e);
	if (rc == 0)
		rc = check_template(t, t->head, t->n_head, e);
	return rc == 0 ? check_template(t, t->tail, t->n_tail, e) : rc;
}

/* --- which file --- */

static int open_json(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e)
{
	int rc = token_json_read(t, file->data, file->len, e);

	(void)dirfd;
	if (rc == 0)
		rc = token_config_more(t, c, e);
	if (rc < 0)
		return rc;
	token_config_ends(t, c);
	token_config_template(t, c, false, false);
	return 0;
}

static int open_spm(struct tokenizer *t, const struct token_config *c, const struct buf *file, struct err *e)
{
	/* transformers used to put a prefix behind each special token too, and says "legacy" where it still does. */
	int rc = token_spm_read(t, file->data, file->len, !json_get_bool(c->tokenizer, "legacy", false), e);

	if (rc == 0)
		rc = token_config_added(t, c, e);
	if (rc < 0)
		return rc;
	token_config_ends(t, c);
	/* The Llama line puts BOS before the text unless its configuration says no; unigram models of the T5 line put EOS behind it. */
	token_config_template(t, c, t->model == token_bpe_scored, str_starts(token_config_class(c), "T5"));
	return 0;
}

static int open_tiktoken(struct tokenizer *t, const struct token_config *c, const struct buf *file, struct err *e)
{
	int rc = token_config_added(t, c, e);

	if (rc == 0)
		rc = token_tiktoken_read(t, file->data, file->len, e);
	if (rc < 0)
		return rc;
	token_config_ends(t, c);
	token_config_template(t, c, false, false);
	return 0;
}

static int open_tekken(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e)
{
	int rc = token_tekken_read(t, file->data, file->len, e);

	(void)dirfd;
	if (rc < 0)
		return rc;
	token_config_ends(t, c);
	return 0;
}

/* Meta's Llama 3 came with a rank file of that name. */
static int open_model(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e)
{
	(void)dirfd;
	return token_tiktoken_looks(file->data, file->len) ? open_tiktoken(t, c, file, e) : open_spm(t, c, file, e);
}

static int open_gpt2(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e)
{
	own(buf) struct buf merges;
	int rc;

	buf_init(&merges, TOKEN_FILE_MAX_BYTES);
	rc = fdio_slurp(dirfd, "merges.txt", &merges, e);
	if (rc == 0)
		rc = token_gpt2_read(t, token_config_class(c), file, &merges, e);
	if (rc == 0)
		rc = token_config_added(t, c, e);
	if (rc < 0)
		return rc;
	token_config_ends(t, c);
	token_config_template(t, c, false, false);
	return 0;
}

static int open_ranks(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e)
{
	(void)dirfd;
	return open_tiktoken(t, c, file, e);
}

/* The first that is there is the tokenizer. A name that begins with '.' is an ending. */
static const struct source {
	const char *name;
	int (*open)(struct tokenizer *t, const struct token_config *c, int dirfd, const struct buf *file, struct err *e);
} sources[] = {
	{ "tokenizer.json", open_json },
	{ "tekken.json", open_tekken },
	{ "tokenizer.model", open_model },
	{ "vocab.json", open_gpt2 },
	{ ".tiktoken", open_ranks },
};

/* The file's name in the directory, the caller's to free; NULL when there is none. */
static char *find_source(int dirfd, const struct source *s)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	char *found = NULL;
	struct dirent *de;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && !found && (de = readdir(dir)))
		if (s->name[0] == '.' ? str_ends(de->d_name, s->name) : !strcmp(de->d_name, s->name))
			found = mem_strdup(de->d_name);
	if (dir)
		closedir(dir);
	return found;
}

int tokenizer_open(struct tokenizer **out, int dirfd, struct err *e)
{
	own(tokenizer) struct tokenizer *t = tokenizer_new();
	own(token_config) struct token_config c = { 0 };
	own(buf) struct buf file;
	int rc = token_config_load(&c, dirfd, e);

	buf_init(&file, TOKEN_FILE_MAX_BYTES);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		own(mem) char *name = find_source(dirfd, &sources[i]);

		if (!name)
			continue;
		rc = fdio_slurp(dirfd, name, &file, e);
		if (rc == 0)
			rc = sources[i].open(t, &c, dirfd, &file, e);
		if (rc == 0)
			rc = tokenizer_finish(t, e);
		if (rc == 0)
			*out = take(t);
		return rc;
	}
	return err_set(e, ERR_NOT_FOUND, "there is no tokenizer.json, tekken.json, tokenizer.model, vocab.json or *.tiktoken here");
}

/* --- encoding --- */

/* A mark before the text only, as tokenizer.json has it; where SentencePiece itself is followed it stands whatever was taken away. */
static bool marks_start(const struct tokenizer *t)
{
	for (size_t i = 0; i < t->pre.n; i++)
		if (t->pre.v[i].prepend == TOKEN_PREPEND_FIRST)
			return true;
	return false;
}

/*
 * Does normalising take away what the text begins with, as Strip does a space? A first piece is one that begins where the text does, so that then there
 * is none. That a character alone leaves nothing, and with what follows nothing more than that without it, tells removing from joining.
 */
static int loses_start(const struct tokenizer *t, const char *s, size_t n, const struct buf *whole, bool *lost, struct err *e)
{
	own(buf) struct buf b;
	size_t len = 0;
	int rc;

	*lost = false;
	buf_init(&b, TOKEN_WORK_MAX_BYTES);
	token_utf8_at(s, n, &len);
	buf_add(&b, s, len);
	rc = token_norm_run(&t->norm, &b, e);
	if (rc < 0 || b.len > 0)
		return rc;
	buf_reset(&b);
	buf_add(&b, s + len, n - len);
	rc = token_norm_run(&t->norm, &b, e);
	*lost = b.len == whole->len && (b.len == 0 || memcmp(b.data, whole->data, b.len) == 0);
	return rc;
}

/* Cuts the raw text at added tokens, normalises what is between and cuts that again. */
int token_text_cut(const struct tokenizer *t, const char *s, size_t n, struct token_text *out, struct err *e)
{
	own(token_text) struct token_text raw;
	own(buf) struct buf b;
	int rc = 0;

	token_text_init(&raw);
	buf_init(&b, TOKEN_WORK_MAX_BYTES);
	token_added_split(&t->added, &t->added.raw, s, n, true, &raw);
	for (size_t i = 0; i < raw.n && rc == 0; i++) {
		const struct token_piece *p = &raw.pieces[i];
		bool lost = false;

		if (p->id >= 0) {
			token_text_put(out, raw.text.data + p->off, p->len, p->id, p->first);
			continue;
		}
		buf_reset(&b);
		buf_add(&b, raw.text.data + p->off, p->len);
		rc = token_norm_run(&t->norm, &b, e);
		if (rc == 0 && p->first && p->len > 0 && marks_start(t))
			rc = loses_start(t, raw.text.data + p->off, p->len, &b, &lost, e);
		if (rc == 0)
			token_added_split(&t->added, &t->added.norm, b.data, b.len, p->first && !lost, out);
	}
	return rc == 0 ? token_text_check(&out->text, e) : rc;
}

static int encode(const struct tokenizer *t, const char *s, size_t n, struct token_ids *ids, struct err *e)
{
	own(token_text) struct token_text text;
	int rc;

	token_text_init(&text);
	rc = token_text_cut(t, s, n, &text, e);
	if (rc == 0)
		rc = token_pre_run(&t->pre, &text, e);
	for (size_t i = 0; i < text.n && rc == 0; i++) {
		const struct token_piece *p = &text.pieces[i];

		if (p->id >= 0)
			token_ids_add(ids, p->id);
		else
			rc = t->model(t, text.text.data + p->off, p->len, ids, e);
	}
	return rc;
}

static int encode_between(const struct tokenizer *t, bool with_template, const char *s, size_t n, int32_t **ids, size_t *n_ids, struct err *e)
{
	own(token_ids) struct token_ids got = { 0 };
	int rc;

	if (n > TOKEN_TEXT_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "the text has %zu bytes, more than the %zu that are encoded", n, TOKEN_TEXT_MAX_BYTES);
	if (!str_utf8_valid(s, n))
		return err_set(e, ERR_INPUT, "the text is not valid UTF-8");
	for (size_t i = 0; with_template && i < t->n_head; i++)
		token_ids_add(&got, t->head[i]);
	rc = encode(t, s, n, &got, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; with_template && i < t->n_tail; i++)
		token_ids_add(&got, t->tail[i]);
	*n_ids = got.n;
	*ids = got.v ? take(got.v) : mem_zalloc(sizeof(**ids));
	return 0;
}

int tokenizer_encode(struct tokenizer *t, const char *text, size_t n, int32_t **ids, size_t *n_ids, struct err *e)
{
	return encode_between(t, true, text, n, ids, n_ids, e);
}

int tokenizer_encode_plain(struct tokenizer *t, const char *text, size_t n, int32_t **ids, size_t *n_ids, struct err *e)
{
	return encode_between(t, false, text, n, ids, n_ids, e);
}

/* --- decoding --- */

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	const struct token_flags *f = token_added_flags(&t->added, id);

	if (f && f->special)
		return true;
	return t->types && (size_t)id < t->vocab.n_ids && (t->types[id] == TOKEN_CONTROL || t->types[id] == TOKEN_UNKNOWN);
}

int tokenizer_decode(struct tokenizer *t, const int32_t *ids, size_t n, struct buf *out, struct err *e)
{
	own(token_text) struct token_text pieces;
	int rc;

	token_text_init(&pieces);
	for (size_t i = 0; i < n; i++) {
		size_t len = 0;
		const char *added = token_vocab_text(&t->added.vocab, ids[i], &len), *s = tokenizer_text(t, ids[i], &len);

		if (!s)
			return err_set(e, ERR_INPUT, "no token has the id %d", ids[i]);
		if (!tokenizer_is_special(t, ids[i]))
			token_text_keep(&pieces, s, len, added ? ids[i] : -1);
	}
	rc = token_text_check(&pieces.text, e);
	if (rc == 0)
		rc = token_decode_run(&t->decode, &pieces, e);
	for (size_t i = 0; i < pieces.n && rc == 0; i++) {
		if (i > 0 && t->decode.n == 0 && buf_putc(out, ' ') < 0)	/* words, where the file says nothing of decoding */
			break;
		buf_add(out, pieces.text.data + pieces.pieces[i].off, pieces.pieces[i].len);
	}
	return rc == 0 && buf_failed(out) ? err_set(e, ERR_LIMIT, "the decoded text is longer than %zu bytes", out->max) : rc;
}

/* --- questions --- */

int32_t tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

int64_t tokenizer_max_id(const struct tokenizer *t)
{
	size_t a = t->vocab.n_ids, b = t->added.vocab.n_ids;

	return (int64_t)(a > b ? a : b) - 1;
}

size_t tokenizer_size(const struct tokenizer *t)
{
	size_t n = t->vocab.n_tokens, len;

	for (size_t i = 0; i < t->added.n; i++)
		n += !token_vocab_text(&t->vocab, t->added.flags[i].id, &len);
	return n;
}

bool tokenizer_has(const struct tokenizer *t, int64_t id)
{
	size_t n;

	return id >= 0 && id < TOKEN_VOCAB_MAX && (token_vocab_text(&t->vocab, (int32_t)id, &n) || token_added_flags(&t->added, (int32_t)id));
}

const char *tokenizer_text(const struct tokenizer *t, int32_t id, size_t *n)
{
	const char *added = token_vocab_text(&t->added.vocab, id, n);

	return added ? added : token_vocab_text(&t->vocab, id, n);
}

int32_t tokenizer_find(const struct tokenizer *t, const char *token, size_t n)
{
	int32_t id = token_vocab_find(&t->added.vocab, token, n);

	return id >= 0 ? id : token_vocab_find(&t->vocab, token, n);
}

const char *tokenizer_kind(const struct tokenizer *t)
{
	return t->kind;
}
