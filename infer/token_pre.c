/* token_pre.c - pre-tokenizers: each cuts a piece of text into smaller ones, which the model then never looks across. */
#include "base/json.h"
#include "base/vec.h"
#include "infer/token_parts.h"

/* How GPT-2 cuts; also what ByteLevel means by "use_regex". */
static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/*
 * Ranges of the text, matched and not, taken in turn and put out as pieces: the behaviour says which ranges join. Works with one
 * range held back, so that nothing is kept of the text but its bounds.
 */
struct cutter {
	const struct token_step *st;
	const char *s;
	bool at_start;		/* the piece that is cut begins the whole text */
	struct token_text *out;
	size_t from, to;	/* held back */
	bool held, held_match, after_match;
};

static void flush(struct cutter *c)
{
	if (c->held)
		token_text_put(c->out, c->s + c->from, c->to - c->from, -1, c->at_start && c->from == 0);
	c->held = false;
}

static void hold(struct cutter *c, size_t from, size_t to, bool match)
{
	flush(c);
	c->from = from;
	c->to = to;
	c->held = true;
	c->held_match = match;
}

static void range(struct cutter *c, size_t from, size_t to, bool match)
{
	bool joins = false;

	if (c->st->invert)
		match = !match;
	switch (c->st->behaviour) {
	case TOKEN_REMOVED:
		if (match)
			return;
		break;
	case TOKEN_ISOLATED:
		break;
	case TOKEN_CONTIGUOUS:
		joins = c->held ? match == c->after_match : false;
		break;
	case TOKEN_MERGED_WITH_PREVIOUS:
		joins = match && !c->after_match;
		break;
	case TOKEN_MERGED_WITH_NEXT:	/* the last of a run of matches joins what follows, a match that nothing follows stands alone */
		joins = c->held && c->held_match && !match;
		break;
	}
	c->after_match = match;
	if (joins && c->held) {
		c->to = to;
		c->held_match = match;
	} else {
		hold(c, from, to, match);
	}
}

static int split_regex(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	struct cutter c = { .st = st, .s = s, .at_start = first, .out = out };
	struct token_matches m = { .re = st->re, .s = s, .n = n };
	size_t done = 0;
	int rc;

	while ((rc = token_matches_next(&m, e)) > 0) {
		if (m.from > done)
			range(&c, done, m.from, false);
		range(&c, m.from, m.to, true);
		done = m.to;
	}
	if (done < n)
		range(&c, done, n, false);
	flush(&c);
	return rc;
}

/* Each character of the class is a match of its own. */
static int split_class(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	struct cutter c = { .st = st, .s = s, .at_start = first, .out = out };
	size_t done = 0, len;

	(void)e;
	for (size_t i = 0; i < n; i += len) {
		if (!st->is(token_utf8_at(s + i, n - i, &len)))
			continue;
		if (i > done)
			range(&c, done, i, false);
		range(&c, i, i + len, true);
		done = i + len;
	}
	if (done < n)
		range(&c, done, n, false);
	flush(&c);
	return 0;
}

static int to_bytes(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	size_t off = out->text.len;

	(void)e;
	if (st->add_space && n > 0 && s[0] != ' ')
		token_utf8_put(&out->text, token_byte_char(' '));
	for (size_t i = 0; i < n; i++)
		token_utf8_put(&out->text, token_byte_char((uint8_t)s[i]));
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, first };
	return 0;
}

/* A space before each piece that has none comes first, then GPT-2's pattern, then the bytes become characters. */
static int prefix_space(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	size_t off = out->text.len;

	(void)st, (void)e;
	if (s[0] != ' ')
		buf_putc(&out->text, ' ');
	buf_add(&out->text, s, n);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, first };
	return 0;
}

/* SentencePiece's mark before the text, and only there. */
static int mark_first(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	size_t off = out->text.len;

	(void)e;
	if (first)
		buf_add(&out->text, st->with, st->n_with);
	buf_add(&out->text, s, n);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, first };
	return 0;
}

/* Spaces become the replacement, which is also put before the text where it is wanted and missing. Splitting is the next step. */
static int metaspace(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	size_t off = out->text.len;
	bool wanted = st->prepend == TOKEN_PREPEND_ALWAYS || (st->prepend == TOKEN_PREPEND_FIRST && first);
	bool there = s[0] == ' ' || (n >= st->n_with && memcmp(s, st->with, st->n_with) == 0);

	(void)e;
	if (wanted && !there)
		buf_add(&out->text, st->with, st->n_with);
	for (size_t i = 0; i < n; i++)
		buf_add(&out->text, s[i] == ' ' ? st->with : s + i, s[i] == ' ' ? st->n_with : 1);
	*vec_push(&out->pieces, &out->n, &out->cap) = (struct token_piece){ off, out->text.len - off, -1, first };
	return 0;
}

/* Pieces of so many characters. */
static int fixed_length(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e)
{
	size_t from = 0, at = 0, len;

	(void)e;
	for (size_t k = 0; at < n; at += len) {
		token_utf8_at(s + at, n - at, &len);
		if (k++ % st->start == 0 && at > from) {
			token_text_put(out, s + from, at - from, -1, first && from == 0);
			from = at;
		}
	}
	token_text_put(out, s + from, n - from, -1, first && from == 0);
	return 0;
}

static struct token_step *add(struct token_steps *s, token_pre_fn *run, struct err *e)
{
	struct token_step *st = token_steps_add(s, "pre-tokenizers", e);

	if (st)
		st->pre = run;
	return st;
}

int token_pre_add_regex(struct token_steps *s, const char *pattern, enum token_behaviour behaviour, bool invert, struct err *e)
{
	struct token_step *st = add(s, split_regex, e);

	if (!st)
		return ERR_LIMIT;
	st->behaviour = behaviour;
	st->invert = invert;
	return token_regex_open(&st->re, pattern, strlen(pattern), TOKEN_RUST, e);
}

int token_pre_add_bytes(struct token_steps *s, bool add_space, struct err *e)
{
	struct token_step *st = add(s, to_bytes, e);

	if (!st)
		return ERR_LIMIT;
	st->add_space = add_space;
	return 0;
}

int token_pre_add_mark(struct token_steps *s, struct err *e)
{
	struct token_step *st = add(s, mark_first, e);

	if (!st)
		return ERR_LIMIT;
	token_step_with(st, "\xe2\x96\x81", 3);
	return 0;
}

static int add_class(struct token_steps *s, token_class_fn *is, enum token_behaviour behaviour, struct err *e)
{
	struct token_step *st = add(s, split_class, e);

	if (!st)
		return ERR_LIMIT;
	st->is = is;
	st->behaviour = behaviour;
	return 0;
}

static int read_behaviour(const json_t *j, enum token_behaviour *out, const char *otherwise, struct err *e)
{
	static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
	const char *name = json_get_str_or(j, "behavior", otherwise);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(names[i], name)) {
			*out = (enum token_behaviour)i;
			return 0;
		}
	return err_set(e, ERR_UNSUPPORTED, "the pre-tokenizer %s: the behavior '%.40s' is not supported", json_get_str_or(j, "type", "?"), name);
}

static int read_split(struct token_steps *s, const json_t *j, struct err *e)
{
	struct token_step *st = add(s, split_regex, e);
	int rc;

	if (!st)
		return ERR_LIMIT;
	st->invert = json_get_bool(j, "invert", false);
	rc = read_behaviour(j, &st->behaviour, "", e);
	return rc < 0 ? rc : token_step_pattern(st, json_object_get(j, "pattern"), "the pre-tokenizer Split", e);
}

static int read_byte_level(struct token_steps *s, const json_t *j, struct err *e)
{
	int rc = 0;

	if (json_get_bool(j, "add_prefix_space", true) && !add(s, prefix_space, e))
		return ERR_LIMIT;
	if (json_get_bool(j, "use_regex", true))
		rc = token_pre_add_regex(s, gpt2_pattern, TOKEN_ISOLATED, false, e);
	return rc < 0 ? rc : token_pre_add_bytes(s, false, e);
}

static int read_metaspace(struct token_steps *s, const json_t *j, struct err *e)
{
	static const char *const names[] = { "never", "first", "always" };
	const char *with = json_get_str_or(j, "replacement", "\xe2\x96\x81"), *scheme = json_get_str_or(j, "prepend_scheme", "always");
	struct token_step *st = add(s, metaspace, e);
	size_t i = 0;

	if (!st)
		return ERR_LIMIT;
	if (!json_get_bool(j, "add_prefix_space", true))	/* how it was said before there was a scheme */
		scheme = json_get_str_or(j, "prepend_scheme", "never");
	while (i < ARRAY_LEN(names) && strcasecmp(names[i], scheme) != 0)
		i++;
	if (i == ARRAY_LEN(names) || !with[0])
		return err_set(e, ERR_UNSUPPORTED, "the pre-tokenizer Metaspace with prepend_scheme '%.40s' is not supported", scheme);
	st->prepend = (enum token_prepend)i;
	token_step_with(st, with, strlen(with));
	if (!json_get_bool(j, "split", true))
		return 0;
	st = add(s, split_regex, e);
	if (!st)
		return ERR_LIMIT;
	st->behaviour = TOKEN_MERGED_WITH_NEXT;
	return token_regex_literal(&st->re, with, strlen(with), e);
}

static int read_digits(struct token_steps *s, const json_t *j, struct err *e)
{
	return add_class(s, token_is_numeric, json_get_bool(j, "individual_digits", false) ? TOKEN_ISOLATED : TOKEN_CONTIGUOUS, e);
}

static int read_punctuation(struct token_steps *s, const json_t *j, struct err *e)
{
	enum token_behaviour behaviour = TOKEN_ISOLATED;
	int rc = read_behaviour(j, &behaviour, "Isolated", e);

	return rc < 0 ? rc : add_class(s, token_is_punctuation, behaviour, e);
}

static int read_bert(struct token_steps *s, const json_t *j, struct err *e)
{
	int rc = add_class(s, token_is_space, TOKEN_REMOVED, e);

	(void)j;
	return rc < 0 ? rc : add_class(s, token_is_punctuation, TOKEN_ISOLATED, e);
}

static int read_whitespace(struct token_steps *s, const json_t *j, struct err *e)
{
	(void)j;
	return token_pre_add_regex(s, "\\w+|[^\\w\\s]+", TOKEN_REMOVED, true, e);
}

static int read_whitespace_split(struct token_steps *s, const json_t *j, struct err *e)
{
	(void)j;
	return add_class(s, token_is_space, TOKEN_REMOVED, e);
}

static int read_delimiter(struct token_steps *s, const json_t *j, struct err *e)
{
	const char *text = json_get_str_or(j, "delimiter", "");
	struct token_step *st = add(s, split_regex, e);

	if (!st)
		return ERR_LIMIT;
	st->behaviour = TOKEN_REMOVED;
	return *text ? token_regex_literal(&st->re, text, strlen(text), e) : 0;
}

static int read_fixed_length(struct token_steps *s, const json_t *j, struct err *e)
{
	int64_t length = json_get_int(j, "length", 5);
	struct token_step *st = add(s, fixed_length, e);

	if (!st)
		return ERR_LIMIT;
	if (length < 1)
		return err_set(e, ERR_INPUT, "the pre-tokenizer FixedLength has the length %lld", (long long)length);
	st->start = (size_t)length;
	return 0;
}

static const struct {
	const char *type;
	int (*read)(struct token_steps *s, const json_t *j, struct err *e);
} kinds[] = {
	{ "Split", read_split },
	{ "ByteLevel", read_byte_level },
	{ "Metaspace", read_metaspace },
	{ "Digits", read_digits },
	{ "Punctuation", read_punctuation },
	{ "Whitespace", read_whitespace },
	{ "WhitespaceSplit", read_whitespace_split },
	{ "BertPreTokenizer", read_bert },
	{ "CharDelimiterSplit", read_delimiter },
	{ "FixedLength", read_fixed_length },
};

int token_pre_read(struct token_steps *s, const json_t *j, struct err *e)
{
	const char *type = json_get_str_or(j, "type", "");
	const json_t *item;
	size_t i;
	int rc = 0;

	if (!j || json_is_null(j))
		return 0;
	if (!strcmp(type, "Sequence")) {
		json_array_foreach (json_object_get(j, "pretokenizers"), i, item)
			if (rc == 0)
				rc = token_pre_read(s, item, e);
		return rc;
	}
	for (i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].type, type))
			return kinds[i].read(s, j, e);
	return err_set(e, ERR_UNSUPPORTED, "the pre-tokenizer '%.40s' is not supported", type);
}

int token_pre_run(const struct token_steps *s, struct token_text *text, struct err *e)
{
	own(token_text) struct token_text out;
	int rc = 0;

	token_text_init(&out);
	for (size_t k = 0; k < s->n && rc == 0; k++) {
		token_text_reset(&out);
		for (size_t i = 0; i < text->n && rc == 0; i++) {
			const struct token_piece *p = &text->pieces[i];

			if (p->id >= 0)
				token_text_put(&out, text->text.data + p->off, p->len, p->id, p->first);
			else
				rc = s->v[k].pre(&s->v[k], text->text.data + p->off, p->len, p->first, &out, e);
		}
		if (rc == 0)
			rc = token_text_check(&out.text, e);
		token_text_swap(text, &out);
	}
	return rc;
}
