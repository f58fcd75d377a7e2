/*
 * token_regex.c - patterns of tokenizer files through PCRE2. They are written for Oniguruma or for Rust's regex crate; where
 * those mean something else than PCRE2 the pattern is rewritten first:
 *	\s	White_Space (PCRE2 adds U+180E)		\w	Alphabetic, M, Nd, Pc (PCRE2: L, N, _)
 *	\h	a hex digit in Oniguruma		\p{Han}	the script (PCRE2: script extensions)
 *	[a&&b] [a[b]]	intersection and union of sets	^ $	at lines, in Oniguruma
 *	[[:punct:]]	P and S in Oniguruma
 * Oniguruma's \w outside of a set also takes the superscripts and fractions of Latin-1; Rust's takes the two joiners.
 * What has no counterpart is refused by name. Matching has limits of work and memory, because a pattern may be hostile.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/vec.h"
#include "infer/token_parts.h"

#define MATCH_LIMIT	  20000000	/* backtracks of one match */
#define HEAP_LIMIT_KIB	  65536
#define JIT_STACK_MAX	  ((size_t)8 << 20)
#define PARENS_MAX	  64
#define SET_DEPTH_MAX	  8
#define WORD		  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD_BARE	  WORD "\\xb2\\xb3\\xb9\\xbc-\\xbe"		/* Oniguruma outside of sets */
#define WORD_RUST	  WORD "\\x{200c}\\x{200d}"
#define BOUNDARY(w)	  "(?:(?<=[" w "])(?![" w "])|(?<![" w "])(?=[" w "]))"
#define NO_BOUNDARY(w)	  "(?:(?<=[" w "])(?=[" w "])|(?<![" w "])(?![" w "]))"
#define PROPERTY_MAX	  40

struct token_regex {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

struct rewrite {
	const char *p;
	size_t n, at;
	enum token_flavour flavour;
	struct buf out;
};

static int unsupported(const struct rewrite *r, struct err *e, const char *what)
{
	return err_set(e, ERR_UNSUPPORTED, "the pattern '%.*s' has %s, which is not supported", (int)(r->n < 120 ? r->n : 120), r->p, what);
}

/* Long names of properties, as Oniguruma and Rust know them; "" stays as it is. Any other name longer than two letters is a script. */
static const struct { const char *name, *pcre; } properties[] = {
	{ "Letter", "L" }, { "Uppercase_Letter", "Lu" }, { "Lowercase_Letter", "Ll" }, { "Titlecase_Letter", "Lt" }, { "Modifier_Letter", "Lm" },
	{ "Other_Letter", "Lo" }, { "Mark", "M" }, { "Nonspacing_Mark", "Mn" }, { "Spacing_Mark", "Mc" }, { "Enclosing_Mark", "Me" },
	{ "Number", "N" }, { "Decimal_Number", "Nd" }, { "Digit", "Nd" }, { "Letter_Number", "Nl" }, { "Other_Number", "No" },
	{ "Punctuation", "P" }, { "Punct", "P" }, { "Symbol", "S" }, { "Math_Symbol", "Sm" }, { "Currency_Symbol", "Sc" }, { "Modifier_Symbol", "Sk" },
	{ "Other_Symbol", "So" }, { "Separator", "Z" }, { "Space_Separator", "Zs" }, { "Line_Separator", "Zl" }, { "Paragraph_Separator", "Zp" },
	{ "Other", "C" }, { "Control", "Cc" }, { "Cntrl", "Cc" }, { "Format", "Cf" }, { "Alpha", "Alphabetic" }, { "Upper", "Uppercase" },
	{ "Lower", "Lowercase" }, { "Space", "White_Space" }, { "Alphabetic", "" }, { "Uppercase", "" }, { "Lowercase", "" }, { "White_Space", "" },
	{ "Any", "" }, { "ASCII", "" }, { "Emoji", "" }, { "Extended_Pictographic", "" }, { "Ideographic", "" }, { "Emoji_Presentation", "" },
};

/* At the p or P of \p{…} or \pL. */
static int property(struct rewrite *r, struct buf *out, struct err *e)
{
	char kind = r->p[r->at++], name[PROPERTY_MAX];
	const char *end, *text = r->p + r->at;
	bool scripted = true, negated = false;
	size_t n;

	if (r->at < r->n && *text != '{') {
		r->at++;
		buf_printf(out, "\\%c{%c}", kind, *text);
		return 0;
	}
	end = r->at < r->n ? memchr(text, '}', r->n - r->at) : NULL;
	if (!end)
		return unsupported(r, e, "an unfinished \\p");
	r->at += (size_t)(end - text) + 1;
	text++;
	if (text < end && *text == '^') {
		negated = true;
		text++;
	}
	for (n = 0; text < end && *text != '=' && n < sizeof(name) - 1; text++)
		name[n++] = *text;
	name[n] = 0;
	if (text < end && *text == '=') {
		if (strcmp(name, "Script") != 0 && strcmp(name, "sc") != 0)
			return unsupported(r, e, "a \\p{…=…} other than Script");
		n = (size_t)(end - ++text) < sizeof(name) ? (size_t)(end - text) : sizeof(name) - 1;
		memcpy(name, text, n);
		name[n] = 0;
	} else {
		scripted = n > 2;
		for (size_t i = 0; i < ARRAY_LEN(properties) && scripted; i++)
			if (!strcasecmp(properties[i].name, name)) {
				scripted = false;
				snprintf(name, sizeof(name), "%s", properties[i].pcre[0] ? properties[i].pcre : properties[i].name);
			}
	}
	if (negated)
		kind = kind == 'p' ? 'P' : 'p';
	buf_printf(out, "\\%c{%s%s}", kind, scripted ? "sc:" : "", name);
	return 0;
}

/* \uXXXX, \u{X…} and \U{…} become \x{…}; at the u. */
static int code_point(struct rewrite *r, struct buf *out, struct err *e)
{
	size_t from = ++r->at, n = 0;
	bool braced = from < r->n && r->p[from] == '{';

	from += braced;
	while (from + n < r->n && n < (braced ? 8 : 4) && strchr("0123456789abcdefABCDEF", r->p[from + n]) && r->p[from + n])
		n++;
	if (n == 0 || (!braced && n != 4) || (braced && (from + n >= r->n || r->p[from + n] != '}')))
		return unsupported(r, e, "a broken \\u");
	buf_printf(out, "\\x{%.*s}", (int)n, r->p + from);
	r->at = from + n + braced;
	return 0;
}

/* Escapes that mean another thing in PCRE2, outside and inside of a set; NULL inside: it can't be said there. */
static const struct escape {
	char c;
	const char *outside, *inside;
} common_escapes[] = {
	{ 's', "\\p{White_Space}", "\\p{White_Space}" },
	{ 'S', "\\P{White_Space}", "\\P{White_Space}" },
	{ 'd', "\\p{Nd}", "\\p{Nd}" },
	{ 'D', "\\P{Nd}", "\\P{Nd}" },
}, escapes[][6] = {
	[TOKEN_ONIGURUMA] = {
		{ 'w', "[" WORD_BARE "]", WORD },
		{ 'W', "[^" WORD_BARE "]", NULL },
		{ 'b', BOUNDARY(WORD_BARE), "\\x08" },
		{ 'B', NO_BOUNDARY(WORD_BARE), NULL },
		{ 'h', "[0-9a-fA-F]", "0-9a-fA-F" },
		{ 'H', "[^0-9a-fA-F]", NULL },
	},
	[TOKEN_RUST] = {
		{ 'w', "[" WORD_RUST "]", WORD_RUST },
		{ 'W', "[^" WORD_RUST "]", NULL },
		{ 'b', BOUNDARY(WORD_RUST), NULL },
		{ 'B', NO_BOUNDARY(WORD_RUST), NULL },
	},
};

/* [:name:] inside a set, as Oniguruma reads it. */
static const struct { const char *name, *set; } posix[] = {
	{ "[:alpha:]", "\\p{Alphabetic}" }, { "[:alnum:]", "\\p{Alphabetic}\\p{Nd}" }, { "[:digit:]", "\\p{Nd}" }, { "[:punct:]", "\\p{P}\\p{S}" },
	{ "[:space:]", "\\p{White_Space}" }, { "[:upper:]", "\\p{Uppercase}" }, { "[:lower:]", "\\p{Lowercase}" }, { "[:word:]", WORD },
	{ "[:xdigit:]", "0-9a-fA-F" }, { "[:cntrl:]", "\\p{Cc}" }, { "[:blank:]", "\\p{Zs}\\t" },
};

static const struct escape *find_escape(char c, enum token_flavour flavour)
{
	for (size_t i = 0; i < ARRAY_LEN(common_escapes); i++)
		if (common_escapes[i].c == c)
			return &common_escapes[i];
	for (size_t i = 0; i < ARRAY_LEN(escapes[0]); i++)
		if (escapes[flavour][i].c == c)
			return &escapes[flavour][i];
	return NULL;
}

static int rewrite_escape(struct rewrite *r, struct buf *out, bool inside, struct err *e)
{
	const struct escape *known;
	char c;

	if (++r->at >= r->n)
		return unsupported(r, e, "a lone backslash at its end");
	c = r->p[r->at];
	if (c == 'p' || c == 'P')
		return property(r, out, e);
	if (c == 'u' || c == 'U')
		return code_point(r, out, e);
	r->at++;
	known = find_escape(c, r->flavour);
	if (known && inside && !known->inside)
		return unsupported(r, e, "a negated class within a set");
	if (known) {
		buf_puts(out, inside ? known->inside : known->outside);
		return 0;
	}
	buf_putc(out, '\\');
	buf_putc(out, c);
	return 0;
}

static int posix_class(struct rewrite *r, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(posix); i++) {
		size_t len = strlen(posix[i].name);

		if (r->n - r->at < len || memcmp(r->p + r->at, posix[i].name, len) != 0)
			continue;
		buf_puts(out, posix[i].set);
		r->at += len;
		return 0;
	}
	return unsupported(r, e, "a class [: :] other than the usual ones");
}

/* One operand of a set: what stands between '[', '&&' and ']'. */
struct operand {
	struct buf items;	/* the inside of a PCRE2 set */
	struct buf whole;	/* or a group that matches one character: a nested set that is no plain union */
	bool no_word;		/* and \W, which has no name in PCRE2 */
};

/* The operand as something that matches one character. */
static int put_operand(const struct rewrite *r, struct buf *out, const struct operand *o, struct err *e)
{
	if (o->whole.len > 0 && (o->items.len > 0 || o->no_word))
		return unsupported(r, e, "a negated set within a set");
	if (o->whole.len > 0)
		buf_add(out, o->whole.data, o->whole.len);
	else if (o->no_word && o->items.len > 0)
		buf_printf(out, "(?:[%s]|[^%s])", o->items.data, WORD);
	else if (o->no_word)
		buf_puts(out, "[^" WORD "]");
	else
		buf_printf(out, "[%s]", o->items.data);
	return 0;
}

static int rewrite_set(struct rewrite *r, struct buf *out, unsigned depth, struct err *e);

static int put_nested(struct rewrite *r, struct operand *o, unsigned depth, struct err *e)
{
	own(buf) struct buf nested;
	int rc;

	buf_init(&nested, TOKEN_REGEX_MAX * 4);
	rc = rewrite_set(r, &nested, depth + 1, e);
	if (rc < 0)
		return rc;
	if (nested.len > 2 && nested.data[0] == '[' && nested.data[1] != '^') {	/* a union */
		buf_add(&o->items, nested.data + 1, nested.len - 2);
		return 0;
	}
	if (o->whole.len > 0)
		return unsupported(r, e, "two negated sets within a set");
	buf_add(&o->whole, nested.data, nested.len);
	return 0;
}

static int set_item(struct rewrite *r, struct operand *o, unsigned depth, struct err *e)
{
	const char *p = r->p + r->at;
	size_t left = r->n - r->at;

	if (left > 1 && p[0] == '\\' && p[1] == 'W' && r->flavour == TOKEN_ONIGURUMA) {
		o->no_word = true;
		r->at += 2;
		return 0;
	}
	if (*p == '\\')
		return rewrite_escape(r, &o->items, true, e);
	if (left > 1 && p[0] == '[' && p[1] == ':')
		return posix_class(r, &o->items, e);
	if (*p == '[')
		return put_nested(r, o, depth, e);
	buf_putc(&o->items, *p);
	r->at++;
	return 0;
}

/* The set's last operand behind look-aheads for the others. One operand and no negation stays a plain set. */
static int put_set(const struct rewrite *r, struct buf *out, const struct buf *ahead, const struct operand *last, bool negated, struct err *e)
{
	int rc;

	if (ahead->len == 0 && last->whole.len == 0 && !last->no_word) {
		buf_printf(out, "[%s%s]", negated ? "^" : "", last->items.data);
		return 0;
	}
	buf_printf(out, negated ? "(?:(?!%s" : "(?:%s", ahead->data);
	rc = put_operand(r, out, last, e);
	buf_puts(out, negated ? ")\\p{Any})" : ")");
	return rc;
}

static int read_set(struct rewrite *r, struct buf *ahead, struct operand *o, unsigned depth, struct err *e)
{
	int rc = 0;

	for (bool first = true; rc >= 0 && r->at < r->n && (r->p[r->at] != ']' || first); first = false) {
		if (r->p[r->at] != '&' || r->n - r->at < 2 || r->p[r->at + 1] != '&') {
			rc = set_item(r, o, depth, e);
			continue;
		}
		buf_puts(ahead, "(?=");
		rc = put_operand(r, ahead, o, e);
		buf_puts(ahead, ")");
		buf_reset(&o->items);
		buf_reset(&o->whole);
		o->no_word = false;
		r->at += 2;
	}
	return rc;
}

/* At the '[' of a set; what it becomes matches one character. */
static int rewrite_set(struct rewrite *r, struct buf *out, unsigned depth, struct err *e)
{
	struct operand o = { .no_word = false };
	own(buf) struct buf ahead;
	bool negated = false;
	int rc;

	buf_init(&ahead, TOKEN_REGEX_MAX * 4);
	if (depth > SET_DEPTH_MAX)
		return unsupported(r, e, "sets nested too deeply");
	if (++r->at < r->n && r->p[r->at] == '^') {
		negated = true;
		r->at++;
	}
	buf_init(&o.items, TOKEN_REGEX_MAX * 4);
	buf_init(&o.whole, TOKEN_REGEX_MAX * 4);
	rc = read_set(r, &ahead, &o, depth, e);
	if (rc == 0 && r->at >= r->n)
		rc = unsupported(r, e, "an unfinished set");
	if (rc == 0 && (buf_failed(&o.items) || buf_failed(&o.whole) || buf_failed(&ahead)))
		rc = err_set(e, ERR_LIMIT, "a pattern is too long");
	r->at++;
	if (rc == 0)
		rc = put_set(r, out, &ahead, &o, negated, e);
	buf_done(&o.items);
	buf_done(&o.whole);
	return rc;
}

/* (?imx-imx: in Oniguruma's (Ruby's) syntax: m is what others call s. */
static void group_options(struct rewrite *r)
{
	for (; r->at < r->n && strchr("imsx-", r->p[r->at]) && r->p[r->at]; r->at++)
		buf_putc(&r->out, r->flavour == TOKEN_ONIGURUMA && r->p[r->at] == 'm' ? 's' : r->p[r->at]);
}

/* {n,m}+ repeats the repetition in Ruby's syntax and is possessive elsewhere: nobody who wrote it into a tokenizer.json can have meant that. */
static int interval(struct rewrite *r, struct err *e)
{
	const char *p = r->p + r->at, *end = memchr(p, '}', r->n - r->at);
	bool counted = end && end > p + 1;

	for (const char *q = p + 1; counted && q < end; q++)
		counted = *q == ',' || (*q >= '0' && *q <= '9');
	if (counted && end + 1 < r->p + r->n && end[1] == '+' && r->flavour == TOKEN_ONIGURUMA)
		return unsupported(r, e, "'+' behind an interval {n,m}");
	if (counted && p[1] == ',') {	/* {,m}: PCRE2 10.42 wants the zero */
		buf_puts(&r->out, "{0");
		r->at++;
		return 0;
	}
	buf_putc(&r->out, '{');
	r->at++;
	return 0;
}

static int rewrite(struct rewrite *r, struct err *e)
{
	int rc = 0;

	while (rc >= 0 && r->at < r->n) {
		char c = r->p[r->at];

		if (c == '\\') {
			rc = rewrite_escape(r, &r->out, false, e);
		} else if (c == '[') {
			rc = rewrite_set(r, &r->out, 0, e);
		} else if (c == '{') {
			rc = interval(r, e);
		} else if (c == '(' && r->n - r->at > 2 && r->p[r->at + 1] == '?') {
			buf_puts(&r->out, "(?");
			r->at += 2;
			group_options(r);
		} else {
			buf_putc(&r->out, c);
			r->at++;
		}
	}
	return rc < 0 ? rc : buf_failed(&r->out) ? err_set(e, ERR_LIMIT, "a pattern is too long") : 0;
}

static pcre2_code *compile(const char *p, size_t n, uint32_t options, struct err *e)
{
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR why[160];
	PCRE2_SIZE where;
	pcre2_code *code;
	int rc;

	if (!cc)
		abort();
	pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
	pcre2_set_parens_nest_limit(cc, PARENS_MAX);
	code = pcre2_compile((PCRE2_SPTR)p, n, PCRE2_UTF | options, &rc, &where, cc);
	pcre2_compile_context_free(cc);
	if (!code) {
		pcre2_get_error_message(rc, why, sizeof(why));
		err_set(e, ERR_UNSUPPORTED, "the pattern '%.*s' can't be used: %s at byte %zu", (int)(n < 200 ? n : 200), p, (const char *)why, where);
	}
	return code;
}

static int prepare(struct token_regex **out, pcre2_code *code)
{
	struct token_regex *re = mem_zalloc(sizeof(*re));

	re->code = code;
	re->data = pcre2_match_data_create(1, NULL);
	re->context = pcre2_match_context_create(NULL);
	re->stack = pcre2_jit_stack_create((size_t)64 << 10, JIT_STACK_MAX, NULL);
	if (!re->data || !re->context || !re->stack)
		abort();
	pcre2_set_match_limit(re->context, MATCH_LIMIT);
	pcre2_set_heap_limit(re->context, HEAP_LIMIT_KIB);
	pcre2_jit_stack_assign(re->context, NULL, re->stack);
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);	/* where memory may not be made executable, the interpreter does it */
	*out = re;
	return 0;
}

int token_regex_open(struct token_regex **out, const char *pattern, size_t n, enum token_flavour flavour, struct err *e)
{
	struct rewrite r = { .p = pattern, .n = n, .flavour = flavour };
	pcre2_code *code;
	int rc;

	if (n > TOKEN_REGEX_MAX)
		return err_set(e, ERR_LIMIT, "a pattern has %zu bytes, more than the %zu that are read", n, TOKEN_REGEX_MAX);
	buf_init(&r.out, TOKEN_REGEX_MAX * 4);
	rc = rewrite(&r, e);
	code = rc < 0 ? NULL :
			compile(r.out.data, r.out.len, PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (flavour == TOKEN_ONIGURUMA ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY), e);
	buf_done(&r.out);
	return code ? prepare(out, code) : rc < 0 ? rc : ERR_UNSUPPORTED;
}

int token_regex_literal(struct token_regex **out, const char *text, size_t n, struct err *e)
{
	pcre2_code *code = compile(text, n, PCRE2_LITERAL, e);

	return code ? prepare(out, code) : ERR_UNSUPPORTED;
}

void token_regex_free(struct token_regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	pcre2_match_data_free(re->data);
	pcre2_match_context_free(re->context);
	pcre2_jit_stack_free(re->stack);
	free(re);
}

static int find(struct token_regex *re, const char *s, size_t n, size_t at, size_t *from, size_t *to, struct err *e)
{
	/* NO_UTF_CHECK: the text was checked once; a check a match would be quadratic. */
	int rc = pcre2_match(re->code, (PCRE2_SPTR)s, n, at, PCRE2_NO_UTF_CHECK, re->data, re->context);
	const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(re->data);

	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0) {
		PCRE2_UCHAR why[160];

		pcre2_get_error_message(rc, why, sizeof(why));
		return err_set(e, ERR_LIMIT, "a pattern takes too long on this text: %s", (const char *)why);
	}
	if (bounds[0] < at || bounds[1] < bounds[0])	/* \K can do that */
		return err_set(e, ERR_UNSUPPORTED, "a pattern matches backwards");
	*from = bounds[0];
	*to = bounds[1];
	return 1;
}

/* Past the character at m->at: where to look after an empty match. */
static void step(struct token_matches *m)
{
	size_t len = 1;

	if (m->at < m->n)
		token_utf8_at(m->s + m->at, m->n - m->at, &len);
	m->at += len;
}

int token_matches_next(struct token_matches *m, struct err *e)
{
	size_t from, to;
	int rc;

	while (m->re && m->at <= m->n) {
		rc = find(m->re, m->s, m->n, m->at, &from, &to, e);
		if (rc <= 0)
			return rc;
		m->at = to;
		if (from == to) {
			step(m);
			if (m->any && to == m->to)
				continue;
		}
		m->from = from;
		m->to = to;
		m->any = true;
		return 1;
	}
	return 0;
}
