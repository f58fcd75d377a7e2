/* token_decode.c - decoders: the tokens of ids, one piece each, become text. */
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* How many bytes at s are a whole character (good), or the longest beginning of one that stops being one: Rust's lossy rule. */
static size_t character(const unsigned char *s, size_t n, bool *good)
{
	unsigned lo = 0x80, hi = 0xbf, want;

	*good = true;
	if (s[0] < 0x80)
		return 1;
	want = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	*good = false;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 1;
	lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : lo;
	hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : hi;
	for (size_t i = 1; i < want; i++) {
		if (i >= n || s[i] < lo || s[i] > hi)
			return i;
		lo = 0x80;
		hi = 0xbf;
	}
	*good = true;
	return want;
}

static void put_lossy(struct buf *out, const char *s, size_t n)
{
	bool good;

	for (size_t i = 0, len; i < n; i += len) {
		len = character((const unsigned char *)s + i, n - i, &good);
		if (good)
			buf_add(out, s + i, len);
		else
			buf_puts(out, REPLACEMENT);
	}
}

/* The bytes of a token of byte characters; a token with any other character is taken as it is. */
static void put_bytes(struct buf *out, const char *s, size_t n)
{
	size_t before = out->len, len;

	for (size_t i = 0; i < n; i += len) {
		int byte = token_char_byte(token_utf8_at(s + i, n - i, &len));

		if (byte < 0) {
			out->len = before;
			buf_add(out, s, n);
			return;
		}
		buf_putc(out, (char)byte);
	}
}

static int byte_level(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	own(buf) struct buf bytes;

	(void)st;
	buf_init(&bytes, TOKEN_WORK_MAX_BYTES);
	for (size_t i = 0; i < in->n; i++) {
		const char *s = in->text.data + in->pieces[i].off;

		if (in->pieces[i].id >= 0)	/* added tokens are text, not bytes written as characters */
			buf_add(&bytes, s, in->pieces[i].len);
		else
			put_bytes(&bytes, s, in->pieces[i].len);
	}
	put_lossy(&out->text, bytes.data, bytes.len);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ 0, out->text.len, -1, true };
	return token_text_check(&bytes, e);
}

static int raw(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	own(buf) struct buf bytes;

	(void)st;
	buf_init(&bytes, TOKEN_WORK_MAX_BYTES);
	for (size_t i = 0; i < in->n; i++)
		buf_add(&bytes, in->text.data + in->pieces[i].off, in->pieces[i].len);
	put_lossy(&out->text, bytes.data, bytes.len);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ 0, out->text.len, -1, true };
	return token_text_check(&bytes, e);
}

/* <0xNN>: the byte, else -1. */
static int byte_token(const char *s, size_t n)
{
	uint8_t byte;
	char hex[3];

	if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
		return -1;
	for (int i = 0; i < 2; i++)
		hex[i] = (char)(s[3 + i] >= 'A' && s[3 + i] <= 'F' ? s[3 + i] + 0x20 : s[3 + i]);
	hex[2] = 0;
	return str_unhex(&byte, 1, hex) < 0 ? -1 : byte;
}

/* A run of byte tokens that is not UTF-8 as a whole becomes one replacement character a byte. */
static void flush_bytes(struct buf *run, struct token_text *out)
{
	if (str_utf8_valid(run->data, run->len)) {
		token_text_put(out, run->data, run->len, -1, false);
	} else {
		for (size_t i = 0; i < run->len; i++)
			token_text_keep(out, REPLACEMENT, 3, -1);
	}
	buf_reset(run);
}

static int byte_fallback(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	own(buf) struct buf run;

	(void)st;
	buf_init(&run, TOKEN_WORK_MAX_BYTES);
	for (size_t i = 0; i < in->n; i++) {
		const char *s = in->text.data + in->pieces[i].off;
		int byte = byte_token(s, in->pieces[i].len);

		if (byte >= 0) {
			buf_putc(&run, (char)byte);
			continue;
		}
		flush_bytes(&run, out);
		token_text_keep(out, s, in->pieces[i].len, -1);
	}
	flush_bytes(&run, out);
	return token_text_check(&run, e);
}

static int fuse(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	(void)st, (void)e;
	for (size_t i = 0; i < in->n; i++)
		buf_add(&out->text, in->text.data + in->pieces[i].off, in->pieces[i].len);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ 0, out->text.len, -1, true };
	return 0;
}

/* Takes up to start times the text from the front, up to stop times from the end. */
static int strip(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < in->n; i++) {
		const char *s = in->text.data + in->pieces[i].off;
		size_t n = in->pieces[i].len, k = st->n_text;

		for (size_t times = 0; times < st->start && n >= k && memcmp(s, st->text, k) == 0; times++) {
			s += k;
			n -= k;
		}
		for (size_t times = 0; times < st->stop && n >= k && memcmp(s + n - k, st->text, k) == 0; times++)
			n -= k;
		token_text_keep(out, s, n, -1);
	}
	return 0;
}

static int replace(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < in->n && rc == 0; i++) {
		const char *s = in->text.data + in->pieces[i].off;
		size_t off = out->text.len;

		rc = token_norm_replace(st, s, in->pieces[i].len, &out->text, e);
		*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, false };
	}
	return rc;
}

/* The replacement is a space again, except in the first token where a prefix was put. */
static int metaspace(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < in->n; i++) {
		const char *s = in->text.data + in->pieces[i].off;
		size_t n = in->pieces[i].len, off = out->text.len, k = st->n_text;

		for (size_t at = 0; at < n; ) {
			bool match = n - at >= k && memcmp(s + at, st->text, k) == 0;

			if (!match)
				buf_putc(&out->text, s[at]);
			else if (i > 0 || st->prepend == TOKEN_PREPEND_NEVER)
				buf_putc(&out->text, ' ');
			at += match ? k : 1;
		}
		*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, false };
	}
	return 0;
}

static void replace_all(struct buf *b, const char *from, const char *to)
{
	own(buf) struct buf out;
	const char *s = b->data, *end = b->data + b->len, *at;
	struct buf swap;

	buf_init(&out, b->max);
	while ((at = memmem(s, (size_t)(end - s), from, strlen(from)))) {
		buf_add(&out, s, (size_t)(at - s));
		buf_puts(&out, to);
		s = at + strlen(from);
	}
	buf_add(&out, s, (size_t)(end - s));
	swap = *b;
	*b = out;
	out = swap;
}

static int wordpiece(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	static const char *const cleanups[][2] = {
		{ " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" }, { " n't", "n't" }, { " 'm", "'m" },
		{ " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
	};

	(void)e;
	for (size_t i = 0; i < in->n; i++) {
		const char *s = in->text.data + in->pieces[i].off;
		size_t n = in->pieces[i].len;
		bool joins = n >= st->n_text && memcmp(s, st->text, st->n_text) == 0;
		own(buf) struct buf b;

		buf_init(&b, TOKEN_WORK_MAX_BYTES);
		if (i > 0 && !joins)
			buf_putc(&b, ' ');
		buf_add(&b, s + (i > 0 && joins ? st->n_text : 0), n - (i > 0 && joins ? st->n_text : 0));
		for (size_t k = 0; st->clean && k < ARRAY_LEN(cleanups); k++)
			replace_all(&b, cleanups[k][0], cleanups[k][1]);
		token_text_keep(out, b.data, b.len, -1);
	}
	return 0;
}

/* Words end in a suffix. */
static int bpe(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < in->n; i++) {
		own(buf) struct buf b;

		buf_init(&b, TOKEN_WORK_MAX_BYTES);
		buf_add(&b, in->text.data + in->pieces[i].off, in->pieces[i].len);
		if (st->n_text > 0)
			replace_all(&b, st->text, i + 1 == in->n ? "" : " ");
		token_text_keep(out, b.data, b.len, -1);
	}
	return 0;
}

static struct token_step *add(struct token_steps *s, token_decode_fn *run, struct err *e)
{
	struct token_step *st = token_steps_add(s, "decoders", e);

	if (st)
		st->decode = run;
	return st;
}

int token_decode_add_bytes(struct token_steps *s, struct err *e)
{
	return add(s, byte_level, e) ? 0 : ERR_LIMIT;
}

int token_decode_add_raw(struct token_steps *s, struct err *e)
{
	return add(s, raw, e) ? 0 : ERR_LIMIT;
}

int token_decode_add_spm(struct token_steps *s, bool strip_space, struct err *e)
{
	struct token_step *space = add(s, replace, e), *last;
	int rc;

	if (!space)
		return ERR_LIMIT;
	token_step_with(space, " ", 1);
	rc = token_regex_literal(&space->re, "\xe2\x96\x81", 3, e);
	if (rc < 0)
		return rc;
	if (!add(s, byte_fallback, e) || !add(s, fuse, e))
		return ERR_LIMIT;
	if (!strip_space)
		return 0;
	last = add(s, strip, e);
	if (!last)
		return ERR_LIMIT;
	token_step_text(last, " ", 1);
	last->start = 1;
	return 0;
}

static int read_replace(struct token_step *st, const json_t *j, struct err *e)
{
	const json_t *content = json_object_get(j, "content");

	if (!json_is_string(content))
		return err_set(e, ERR_INPUT, "the decoder Replace has no \"content\"");
	token_step_with(st, json_string_value(content), json_string_length(content));
	return token_step_pattern(st, json_object_get(j, "pattern"), "the decoder Replace", e);
}

static int read_strip(struct token_step *st, const json_t *j, struct err *e)
{
	const char *text = json_get_str_or(j, "content", "");
	int64_t start = json_get_int(j, "start", 0), stop = json_get_int(j, "stop", 0);

	if (!*text || start < 0 || stop < 0)
		return err_set(e, ERR_INPUT, "the decoder Strip has no content, or a negative count");
	token_step_text(st, text, strlen(text));
	st->start = (size_t)start;
	st->stop = (size_t)stop;
	return 0;
}

static int read_metaspace(struct token_step *st, const json_t *j, struct err *e)
{
	const char *text = json_get_str_or(j, "replacement", "\xe2\x96\x81"), *scheme = json_get_str(j, "prepend_scheme");
	bool never = scheme ? !strcasecmp(scheme, "never") : !json_get_bool(j, "add_prefix_space", true);

	if (!*text)
		return err_set(e, ERR_INPUT, "the decoder Metaspace has an empty replacement");
	token_step_text(st, text, strlen(text));
	st->prepend = never ? TOKEN_PREPEND_NEVER : TOKEN_PREPEND_ALWAYS;
	return 0;
}

static int read_wordpiece(struct token_step *st, const json_t *j, struct err *e)
{
	const char *prefix = json_get_str_or(j, "prefix", "##");

	(void)e;
	token_step_text(st, prefix, strlen(prefix));
	st->clean = json_get_bool(j, "cleanup", true);
	return 0;
}

static int read_bpe(struct token_step *st, const json_t *j, struct err *e)
{
	const char *suffix = json_get_str_or(j, "suffix", "</w>");

	(void)e;
	token_step_text(st, suffix, strlen(suffix));
	return 0;
}

static const struct {
	const char *type;
	token_decode_fn *run;
	int (*read)(struct token_step *st, const json_t *j, struct err *e);
} kinds[] = {
	{ "ByteLevel", byte_level, NULL },
	{ "ByteFallback", byte_fallback, NULL },
	{ "Fuse", fuse, NULL },
	{ "Strip", strip, read_strip },
	{ "Replace", replace, read_replace },
	{ "Metaspace", metaspace, read_metaspace },
	{ "WordPiece", wordpiece, read_wordpiece },
	{ "BPEDecoder", bpe, read_bpe },
};

int token_decode_read(struct token_steps *s, const json_t *j, struct err *e)
{
	const char *type = json_get_str_or(j, "type", "");
	struct token_step *st;
	const json_t *item;
	size_t i;
	int rc = 0;

	if (!j || json_is_null(j))
		return 0;
	if (!strcmp(type, "Sequence")) {
		json_array_foreach (json_object_get(j, "decoders"), i, item)
			if (rc == 0)
				rc = token_decode_read(s, item, e);
		return rc;
	}
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].type, type) != 0)
			continue;
		st = add(s, kinds[i].run, e);
		if (!st)
			return ERR_LIMIT;
		return kinds[i].read ? kinds[i].read(st, j, e) : 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "the decoder '%.40s' is not supported", type);
}

int token_decode_run(const struct token_steps *s, struct token_text *pieces, struct err *e)
{
	own(token_text) struct token_text out;
	int rc = 0;

	token_text_init(&out);
	for (size_t i = 0; i < s->n && rc == 0; i++) {
		token_text_reset(&out);
		rc = s->v[i].decode(&s->v[i], pieces, &out, e);
		if (rc == 0)
			rc = token_text_check(&out.text, e);
		token_text_swap(pieces, &out);
	}
	return rc;
}
