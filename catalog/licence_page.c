/*
 * licence_page.c - the text of a page, tags taken away as HTML has it; see licence_table.h. What a browser shows is read in any case, and what it does not show but for
 * scripts and style sheets too. Where a browser and this reader might part (something has no end, a style sheet in a drawing) the page counts as not read.
 */
#include <stdlib.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define ENTITY_MAX 10
#define TAG_MAX	   4096
#define BLANKS	   " \t\n\f\r"
#define LETTERS	   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

struct page {
	struct buf *out;
	int drawings;	/* open <svg> and <math>, in which a style sheet has an end of another kind */
	bool is_unread;
};

static bool one_of(const char *s, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncasecmp(s, *list, n))
			return true;
	return false;
}

/* A character as UTF-8, a blank for what is none. */
static void put_character(struct buf *out, long code)
{
	if (code <= 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = ' ';
	if (code < 0x80) {
		buf_putc(out, (char)code);
		return;
	}
	int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

	buf_putc(out, (char)((more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0) | code >> (6 * more)));
	while (more--)
		buf_putc(out, (char)(0x80 | ((code >> (6 * more)) & 0x3f)));
}

/* What the entity at p stands for, a blank where it is not known here; what is behind it. */
static const char *put_entity(struct buf *out, const char *p)
{
	static const struct {
		const char *name;
		long code;
	} names[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' }, { "copy", 0xa9 } };
	const char *name = p + 1;
	size_t n = strspn(name, "#0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	long code = ' ';

	if (*name == '#') {
		bool is_hex = (name[1] | 32) == 'x';

		n = 1 + is_hex + strspn(name + 1 + is_hex, is_hex ? "0123456789abcdefABCDEF" : "0123456789");
		if (n == 1u + is_hex) {
			buf_putc(out, '&');
			return name;
		}
		put_character(out, strtol(name + 1 + is_hex, NULL, is_hex ? 16 : 10));
		return name + n + (name[n] == ';');
	}
	if (!n || n > ENTITY_MAX || name[n] != ';') {
		buf_putc(out, '&');
		return name;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i].name) == n && !memcmp(name, names[i].name, n))
			code = names[i].code;
	put_character(out, code);
	return name + n + 1;
}

/* What stands at p, where no tag begins; what is behind it. */
static const char *put_next(struct buf *out, const char *p)
{
	if (*p == '&')
		return put_entity(out, p);
	buf_putc(out, *p);
	return p + 1;
}

/* The '>' of a tag whose name ends at p; one within a quoted value is none. NULL: it has none. */
static const char *tag_end(const char *p)
{
	while (*(p += strspn(p, BLANKS "/")) && *p != '>') {
		const char *value;

		p++;
		p += strcspn(p, BLANKS "/>=");
		value = p + strspn(p, BLANKS);
		if (*value != '=')
			continue;
		p = value + 1 + strspn(value + 1, BLANKS);
		if (*p == '"' || *p == '\'') {
			p = strchr(p + 1, *p);
			if (!p)
				return NULL;
			p++;
		} else {
			p += strcspn(p, BLANKS ">");
		}
	}
	return *p ? p : NULL;
}

/* The "</name" that ends an element whose inside has no tags, or NULL. */
static const char *element_end(const char *p, const char *name, size_t n)
{
	for (; (p = strstr(p, "</")); p += 2)
		if (!strncasecmp(p + 2, name, n) && p[2 + n] && strchr(BLANKS "/>", p[2 + n]))
			return p;
	return NULL;
}

static void put_words(struct page *g, const char *p, const char *end)
{
	buf_putc(g->out, '\n');
	while (p < end)
		p = put_next(g->out, p);
	buf_putc(g->out, '\n');
}

/* What a comment says may be what the licence is: its words are read, without what is between '<' and '>'. */
static const char *read_comment(struct page *g, const char *p)
{
	const char *inside = p + 4, *end;

	if (*inside == '>' || str_starts(inside, "->"))
		return strchr(inside, '>') + 1;
	end = strstr(inside, "--");
	while (end && end[2] != '>' && !str_starts(end + 2, "!>"))
		end = strstr(end + 1, "--");
	g->is_unread |= !end;
	end = end ? end : inside + strlen(inside);
	buf_putc(g->out, '\n');
	for (const char *close = inside; inside < end;) {
		if (*inside == '<' && close)
			close = memchr(inside, '>', (size_t)(end - inside));
		if (*inside == '<' && close)
			inside = close + 1;
		else
			inside = put_next(g->out, inside);
	}
	buf_putc(g->out, '\n');
	return *end ? strchr(end, '>') + 1 : end;
}

/* A script or style sheet, and what else has no tags within; p is behind its own tag. */
static const char *read_element(struct page *g, const char *p, const char *name, size_t n, bool is_closed)
{
	bool is_code = one_of(name, n, (const char *const[]){ "script", "style", NULL });
	const char *end = element_end(p, name, n);
	own(mem) char *inside = mem_strndup(p, end ? (size_t)(end - p) : strlen(p));

	g->is_unread |= !end || (is_code && (is_closed || g->drawings) && strchr(inside, '<')) || (is_code && strstr(inside, "<!--") && strcasestr(inside, "<script"));
	end = end ? end : p + strlen(p);
	if (!is_code)
		put_words(g, p, end);
	return end;
}

/* Behind the tag at p, and of an element without tags within it behind that; NULL: no tag begins there. */
static const char *read_tag(struct page *g, const char *p)
{
	static const char *const within[] = { "a", "abbr", "acronym", "b", "code", "em", "font", "i", "q", "s", "small", "span", "strong", "sub", "sup", "tt", "u", NULL };
	static const char *const without[] = { "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", NULL };
	bool is_end = p[1] == '/';
	const char *name = p + 1 + is_end, *close;
	size_t n = strspn(name, LETTERS) ? strcspn(name, BLANKS "/>") : 0;

	if (!n)
		return NULL;
	close = tag_end(name + n);
	g->is_unread |= !close || close - p > TAG_MAX;
	if (!close) {	/* nor has any tag behind it */
		put_words(g, p, p + strlen(p));
		return p + strlen(p);
	}
	if (!one_of(name, n, within))
		buf_putc(g->out, '\n');
	if (one_of(name, n, (const char *const[]){ "svg", "math", NULL }))
		g->drawings += is_end ? -(g->drawings > 0) : close[-1] != '/';
	if (!is_end && one_of(name, n, (const char *const[]){ "iframe", NULL }))
		g->is_unread |= memmem(name, (size_t)(close - name), "srcdoc", 6) != NULL;
	return !is_end && one_of(name, n, without) ? read_element(g, close + 1, name, n, close[-1] == '/') : close + 1;
}

/* "<!doctype …>", "<?xml …>", "</ >": what is in it is read. */
static const char *read_other(struct page *g, const char *p)
{
	const char *close = strchr(p, '>');

	if (strncasecmp(p, "<!doctype", 9) != 0)
		put_words(g, p + 2, close ? close : p + strlen(p));
	g->is_unread |= !close;
	return close ? close + 1 : p + strlen(p);
}

bool licence_read_page(struct buf *out, const char *p)
{
	struct page g = { .out = out };

	while (*p) {
		const char *behind = NULL;

		if (str_starts(p, "<!--"))
			behind = read_comment(&g, p);
		else if (*p == '<' && (p[1] == '!' || p[1] == '?' || (p[1] == '/' && !strspn(p + 2, LETTERS))))
			behind = read_other(&g, p);
		else if (*p == '<')
			behind = read_tag(&g, p);
		p = behind ? behind : put_next(out, p);
	}
	return !g.is_unread;
}
