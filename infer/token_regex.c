/*
 * token_regex.c - patterns of tokenizer files through PCRE2. They are written for Oniguruma or for Rust's regex crate; where
 * those mean something else than PCRE2 the pattern is rewritten first:
 *	\s	White_Space (PCRE2 adds U+180E)		\w	Alphabetic, M, Nd, Pc (PCRE2: L, N, _)
 *	\h	a hex digit in Oniguruma		\p{Han}	the script (PCRE2: script extensions)
 *	[a&&b] [a[b]]	intersection and union of sets	^ $	at lines, in Oniguruma
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
#define SETS_MAX	  16		/* operands of && in one set */
#define SET_DEPTH_MAX	  8
#define WORD_SET	  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
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
static const struct { char c; const char *outside, *inside; bool oniguruma; } escapes[] = {
	{ 's', "\\p{White_Space}", "\\p{White_Space}", false },
	{ 'S', "\\P{White_Space}", "\\P{White_Space}", false },
	{ 'd', "\\p{Nd}", "\\p{Nd}", false },
	{ 'D', "\\P{Nd}", "\\P{Nd}", false },
	{ 'w', "[" WORD_SET "]", WORD_SET, false },
	{ 'W', "[^" WORD_SET "]", NULL, false },
	{ 'h', "[0-9a-fA-F]", "0-9a-fA-F", true },
	{ 'H', "[^0-9a-fA-F]", NULL, true },
	{ 'b', "(?:(?<=[" WORD_SET "])(?![" WORD_SET "])|(?<![" WORD_SET "])(?=[" WORD_SET "]))", "\\x08", false },
	{ 'B', "(?:(?<=[" WORD_SET "])(?=[" WORD_SET "])|(?<![" WORD_SET "])(?![" WORD_SET "]))", NULL, false },
};

static int rewrite_escape(struct rewrite *r, struct buf *out, bool inside, struct err *e)
{
	char c;

	if (++r->at >= r->n)
		return unsupported(r, e, "a lone backslash at its end");
	c = r->p[r->at];
	if (c == 'p' || c == 'P')
		return property(r, out, e);
	if (c == 'u' || c == 'U')
		return code_point(r, out, e);
	r->at++;
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		if (escapes[i].c != c || (escapes[i].oniguruma && r->flavour != TOKEN_ONIGURUMA))
			continue;
		if (inside && !escapes[i].inside)
			return unsupported(r, e, "a negated class within a set");
		buf_puts(out, inside ? escapes[i].inside : escapes[i].outside);
		return 0;
	}
	buf_putc(out, '\\');
	buf_putc(out, c);
	return 0;
}

/*
 * At the '[' of a set. Its operands (one, or those around &&) become PCRE2 sets; an intersection becomes look-aheads before
 * the last of them. A set inside a set is its union unless it is a whole operand.
 */
static int rewrite_set(struct rewrite *r, struct buf *out, unsigned depth, struct err *e)
{
	own(buf) struct buf items, ahead, nested;
	bool negated = false, first = true, whole = false;
	size_t operands = 1;
	int rc = 0;

	buf_init(&items, TOKEN_REGEX_MAX * 4);
	buf_init(&ahead, TOKEN_REGEX_MAX * 4);
	buf_init(&nested, TOKEN_REGEX_MAX * 4);
	if (depth > SET_DEPTH_MAX)
		return unsupported(r, e, "sets nested too deeply");
	if (++r->at < r->n && r->p[r->at] == '^') {
		negated = true;
		r->at++;
	}
	for (; rc >= 0 && r->at < r->n && (r->p[r->at] != ']' || first); first = false) {
		const char *p = r->p + r->at;
		size_t left = r->n - r->at;

		if (whole && !(left > 1 && p[0] == '&' && p[1] == '&'))
			return unsupported(r, e, "a negated set within a set");
		if (*p == '\\') {
			rc = rewrite_escape(r, &items, true, e);
		} else if (left > 1 && p[0] == '&' && p[1] == '&') {
			if (++operands > SETS_MAX)
				return unsupported(r, e, "too many &&");
			buf_printf(&ahead, whole ? "(?=%s)" : "(?=[%s])", whole ? nested.data : items.data);
			buf_reset(&items);
			whole = false;
			r->at += 2;
		} else if (left > 1 && p[0] == '[' && p[1] == ':') {
			const char *end = memmem(p, left, ":]", 2);

			if (!end)
				return unsupported(r, e, "an unfinished [: :]");
			buf_add(&items, p, (size_t)(end + 2 - p));
			r->at += (size_t)(end + 2 - p);
		} else if (*p == '[') {
			buf_reset(&nested);
			rc = rewrite_set(r, &nested, depth + 1, e);
			if (rc >= 0 && items.len == 0 && (nested.data[0] != '[' || nested.data[1] == '^'))
				whole = true;
			else if (rc >= 0 && nested.data[0] == '[' && nested.data[1] != '^')
				buf_add(&items, nested.data + 1, nested.len - 2);
			else if (rc >= 0)
				return unsupported(r, e, "a negated set within a set");
		} else {
			buf_putc(&items, *p);
			r->at++;
		}
	}
	if (rc < 0)
		return rc;
	if (buf_failed(&items) || buf_failed(&ahead))
		return err_set(e, ERR_LIMIT, "a pattern is too long");
	if (r->at >= r->n)
		return unsupported(r, e, "an unfinished set");
	r->at++;
	if (!whole && operands == 1)
		buf_printf(out, "[%s%s]", negated ? "^" : "", items.data);
	else
		buf_printf(out, negated ? "(?:(?!%s%s%s%s)\\p{Any})" : "(?:%s%s%s%s)", ahead.data, whole ? "" : "[", whole ? nested.data : items.data,
			   whole ? "" : "]");
	return 0;
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
			compile(r.out.data, r.out.len, PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (flavour == TOKEN_ONIGURUMA ? PCRE2_MULTILINE : 0), e);
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

int token_regex_next(struct token_regex *re, const char *s, size_t n, size_t at, size_t *from, size_t *to, struct err *e)
{
	/* NO_UTF_CHECK: the text was checked once; a check a match would be quadratic. */
	int rc = pcre2_match(re->code, (PCRE2_SPTR)s, n, at, PCRE2_NO_UTF_CHECK, re->data, re->context);
	const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(re->data);

	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0) {
		PCRE2_UCHAR why[160];

		pcre2_get_error_message(rc, why, sizeof(why));
		return err_set(e, ERR_LIMIT, "a pattern of the tokenizer takes too long on this text: %s", (const char *)why);
	}
	if (bounds[0] < at || bounds[1] < bounds[0])	/* \K can do that */
		return err_set(e, ERR_UNSUPPORTED, "a pattern of the tokenizer matches backwards");
	*from = bounds[0];
	*to = bounds[1];
	return 1;
}
