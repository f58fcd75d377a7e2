/*
 * licence_section.c - where the text of a card is about its licence: below a heading as Markdown shows one, and behind a label ("**License:** mit", a row of a table). A scanner of
 * lines, which knows of Markdown and HTML only what makes a heading; what it takes for one too many, it reads too much. See licence_table.h.
 */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define PLAIN_MAX    100	/* bytes of a line without its marks; what is longer is no heading and no label */
#define HEADING_MOST 80		/* bytes of a heading that is one of a licence, and no sentence */
#define LABEL_MOST   40
#define LABEL_WITHIN 400	/* bytes of a line in which a label ends, with its marks */
#define LEVEL_BOLD   7		/* below those that Markdown has: a line in bold letters */
#define NO_HEADING   0

struct line {
	const char *at, *end, *next;	/* end: its line break or that of the text; next: behind it */
};

static struct line line_at(const char *p, const char *end)
{
	const char *stop = memchr(p, '\n', (size_t)(end - p));

	return (struct line){ p, stop ? stop : end, stop ? stop + 1 : end };
}

/* --- a line without its marks ------------------------------------------------------------------------------------------------------ */

/* Behind a tag or the address of a link at p; p: none is there. open: which of these two has no end before `end`, so that none is looked for twice. */
static const char *behind_markup(const char *p, const char *end, bool open[2])
{
	bool is_link = end - p > 1 && p[0] == ']' && p[1] == '(';
	const char *close;

	if ((*p != '<' && !is_link) || open[is_link])
		return p;
	close = memchr(p, is_link ? ')' : '>', (size_t)(end - p));
	open[is_link] = !close;
	return close ? close + 1 : p;
}

/* What Markdown shows of it, in lower case; false: that is too long for a heading. */
static bool strip(const char *p, const char *end, char out[PLAIN_MAX])
{
	bool open[2] = { false, false };
	size_t n = 0;

	while (p < end) {
		const char *behind = behind_markup(p, end, open);

		if (behind > p) {
			p = behind;
			continue;
		}
		bool is_blank = isspace((unsigned char)*p) || strchr("*_`[]#>|~", *p);

		if (n == PLAIN_MAX - 1)
			return false;
		if (!is_blank || (n && out[n - 1] != ' '))
			out[n++] = is_blank ? ' ' : (char)tolower((unsigned char)*p);
		p++;
	}
	while (n && strchr(" :", out[n - 1]))
		n--;
	out[n] = 0;
	return true;
}

/* Is it about a licence, by its words: "license", "📜 licensing information", "terms of use", "许可证"? */
static bool is_of_licence(const char *plain)
{
	static const char *const starts[] = { "licens", "licenc", "licenz", "licen\xc3\xa7", "lizenz", "lisans", "lisens", "terms of use", "terms of service", "terms and conditions", "terms & conditions", "conditions of use",
					      "acceptable use", "use policy", "usage policy", "usage terms", "model terms", "licenti", "gi\xe1\xba\xa5y ph\xc3\xa9p", "nutzungsbedingungen", "\xd0\xbb\xd0\xb8\xd1\x86\xd0\xb5\xd0\xbd\xd0\xb7", "\xd0\x9b\xd0\xb8\xd1\x86\xd0\xb5\xd0\xbd\xd0\xb7",
					      "\xe8\xae\xb8\xe5\x8f\xaf", "\xe8\xa8\xb1\xe5\x8f\xaf", "\xe6\x8e\x88\xe6\x9d\x83", "\xe6\x8e\x88\xe6\xac\x8a", "\xe5\x8d\x8f\xe8\xae\xae", "\xe5\x8d\x94\xe8\xad\xb0",
					      "\xe3\x83\xa9\xe3\x82\xa4\xe3\x82\xbb\xe3\x83\xb3\xe3\x82\xb9", "\xeb\x9d\xbc\xec\x9d\xb4\xec\x84\xa0\xec\x8a\xa4", "\xeb\x9d\xbc\xec\x9d\xb4\xec\x84\xbc\xec\x8a\xa4" };

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		for (const char *p = plain; (p = strstr(p, starts[i])); p++)
			if (p == plain || !isalnum((unsigned char)p[-1]))
				return true;
	return false;
}

/* The same of a licence, and of the model's: not of data, of the code alone or of what it was made from. */
static bool is_of_models_licence(const char *plain, struct arena *a)
{
	bool is_of_parts = strstr(plain, "code") && !strstr(plain, "model") && !strstr(plain, "weight");

	return is_of_licence(plain) && !is_of_parts && !licence_is_of_data(plain, a);
}

/* --- headings ---------------------------------------------------------------------------------------------------------------------- */

/* Behind the marks of quotes and up to three blanks; NULL: the line is code by its blanks. */
static const char *behind_quote(const struct line *l)
{
	const char *p = l->at;

	for (;;) {
		size_t blanks = strspn(p, " ");

		if (p + blanks >= l->end || p[blanks] != '>')
			return blanks < 4 ? p + blanks : NULL;
		p += blanks + 1;
	}
}

/* Behind the mark of a list: "-", "*", "+", "1."; p: none is there. */
static const char *behind_item(const char *p)
{
	size_t digits = strspn(p, "0123456789");
	const char *mark = p + (digits && strchr(".)", p[digits]) ? digits : 0);

	return *mark && strchr("-*+.)", *mark) && strchr(" \t", mark[1]) ? mark + 1 + strspn(mark + 1, " \t") : p;
}

/* Is it a line of nothing but "=" or "-", below a line that it makes a heading? */
static int underlined(const struct line *l, const char *text_end)
{
	struct line under = l->next < text_end ? line_at(l->next, text_end) : (struct line){ l->end, l->end, l->end };
	const char *mark = behind_quote(&under), *first = behind_quote(l), *end = under.end;
	char plain[PLAIN_MAX];

	while (mark && end > mark && isspace((unsigned char)end[-1]))
		end--;
	if (!mark || !first || end - mark < 2 || !strchr("=-", *mark) || licence_begins_item(first) || !strip(first, l->end, plain) || !*plain)
		return NO_HEADING;
	for (const char *p = mark; p < end; p++)
		if (*p != *mark)
			return NO_HEADING;
	return *mark == '=' ? 1 : 2;
}

/* Is all of it in bold letters, as "**License:**", "__License__" and "<b>License</b>" are? */
static bool is_bold(const char *p, const char *end)
{
	static const char *const tags[] = { "<summary", "<center", "<b>", "<strong" };
	const char *close;

	while (end > p && strchr(" \t\r:\\", end[-1]))
		end--;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (!strncasecmp(p, tags[i], strlen(tags[i])))
			return end[-1] == '>';
	if (end - p < 5 || (strncmp(p, "**", 2) != 0 && strncmp(p, "__", 2) != 0))
		return false;
	close = memmem(p + 2, (size_t)(end - p - 2), p, 2);
	return close && strspn(close, "*_") == (size_t)(end - close);
}

static int html_level(const char *p, const char *end)
{
	if (*p != '<')
		return NO_HEADING;
	for (; end - p > 3; p++)
		if (!strncasecmp(p, "<h", 2) && p[2] >= '1' && p[2] <= '6' && strchr(" \t>", p[3]))
			return p[2] - '0';
	return NO_HEADING;
}

/* Words that are a heading whatever the marks: nothing else stands on the line. */
static bool is_lone_word(const char *p, const char *end)
{
	static const char *const words[] = { "license", "licence", "licensing", "licenses", "licences", "model license", "model licence", "license information", "terms of use", "lizenz", "licencia", "licenza" };
	char plain[PLAIN_MAX];

	if (!strip(p, end, plain))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(plain, words[i]))
			return true;
	return false;
}

/* The level of the heading on this line: 1 is the highest. */
static int level_of(const struct line *l, const char *text_end)
{
	const char *p = behind_quote(l), *bold;
	char plain[PLAIN_MAX];
	size_t marks;
	int level;

	if (!p || p >= l->end)
		return NO_HEADING;
	marks = strspn(p, "#");
	if (marks && marks < LEVEL_BOLD && p + marks < l->end && strip(p, l->end, plain) && *plain)
		return (int)marks;
	if (marks && marks < LEVEL_BOLD && strchr(" \t", p[marks]))
		return (int)marks;
	level = html_level(p, l->end);
	level = level ? level : underlined(l, text_end);
	if (level)
		return level;
	bold = behind_item(p);
	return bold < l->end && (is_bold(bold, l->end) || is_lone_word(bold, l->end)) && strip(bold, l->end, plain) && *plain && strlen(plain) < HEADING_MOST ? LEVEL_BOLD : NO_HEADING;
}

/* A block of code that is open: the mark it began with, and how many of them; 0: none is. */
struct fence {
	char mark;
	size_t n;
};

/*
 * Is the line in a block of code, or one of its ends? What looks like a heading there is none. As CommonMark has them, but for blanks before them, which a list may ask for:
 * it ends with as many of the marks as it began with, or more, and nothing behind them; and "```x```" is code within a line.
 */
static bool in_code(struct fence *f, const struct line *l)
{
	const char *p = l->at + strspn(l->at, " \t>"), *rest;
	char mark;
	size_t n = 0;

	if (!f->n)
		p = behind_item(p);
	mark = p < l->end ? *p : 0;
	while (p + n < l->end && (mark == '`' || mark == '~') && p[n] == mark)
		n++;
	rest = p + n;
	if (f->n) {
		if (mark == f->mark && n >= f->n && rest + strspn(rest, " \t\r") >= l->end)
			f->n = 0;
		return true;
	}
	if (n < 3 || (mark == '`' && memchr(rest, '`', (size_t)(l->end - rest))))
		return false;
	*f = (struct fence){ mark, n };
	return true;
}

static bool is_blank(const struct line *l)
{
	return l->at + strspn(l->at, " \t\r>") >= l->end;
}

/*
 * Where the section ends whose heading has this level: at the next heading that is not below it, or, of one that is an entry of a list, at the next entry. What is bold
 * right below a bold heading is what it says, and of a line that the next one makes a heading it may be so, too.
 */
static const char *section_end(const char *p, const char *end, int level, bool is_item)
{
	struct fence fence = { 0 };
	bool is_empty = true;

	for (struct line l; p < end; p = l.next) {
		l = line_at(p, end);
		bool is_code = in_code(&fence, &l);
		int next = is_code ? NO_HEADING : level_of(&l, end);

		if (is_item && !is_code && !isspace((unsigned char)*p) && behind_item(p) > p)
			return p;
		if (next && next <= level && !(is_empty && next == LEVEL_BOLD) && p < l.end)
			return underlined(&l, end) ? l.next : p;
		is_empty &= is_blank(&l);
	}
	return end;
}

/* --- labels ------------------------------------------------------------------------------------------------------------------------ */

/* Behind what separates a label from what it is of, at p; p: nothing does here. A dash does behind bold letters. */
static const char *behind_separator(const char *p, bool is_bold_before)
{
	static const char *const dashes[] = { " - ", " \xe2\x80\x93 ", " \xe2\x80\x94 " };

	if (str_starts(p, "\xef\xbc\x9a"))
		return p + 3;
	if (*p == '|' || (*p == ':' && p[1] != '/'))
		return p + 1;
	if (!strncasecmp(p, "</td>", 5) || !strncasecmp(p, "</th>", 5) || !strncasecmp(p, "</dt>", 5))
		return p + 5;
	for (size_t i = 0; is_bold_before && i < ARRAY_LEN(dashes); i++)
		if (str_starts(p, dashes[i]))
			return p + strlen(dashes[i]);
	return p;
}

/* "**License** A custom license": behind bold letters at the begin of a line that goes on. Where they name a licence they are read, too. NULL: there are no such. */
static const char *behind_bold(const char *first, const char *end, struct arena *a)
{
	static const char *const marks[][2] = { { "**", "**" }, { "__", "__" }, { "<b>", "</b>" }, { "<strong>", "</strong>" } };
	char plain[PLAIN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		const char *label = first + strlen(marks[i][0]);
		const char *close = str_starts(first, marks[i][0]) ? memmem(label, (size_t)(end - label), marks[i][1], strlen(marks[i][1])) : NULL;
		const char *behind = close ? close + strlen(marks[i][1]) : end;
		const char *said = behind + strspn(behind, "*_ \t");

		if (said >= end || !strchr(" \t", *behind) || !strip(label, close, plain) || strlen(plain) > LABEL_MOST || strchr(plain, ':') || !is_of_models_licence(plain, a))
			continue;
		return strchr(licence_mark_names(plain, a), LICENCE_NAMED) ? first : said;
	}
	return NULL;
}

/* "- **License:** cc-by-nc-4.0", "| License | mit |", "Model License: …": where what it says begins; NULL: it has no such label. */
static const char *behind_label(const struct line *l, struct arena *a)
{
	const char *first = behind_item(l->at + strspn(l->at, " \t>")), *said = behind_bold(first, l->end, a);
	bool is_bold_line = str_starts(first, "**") || str_starts(first, "__") || *first == '<';

	if (said)
		return said;
	for (const char *p = first, *from = first; p < l->end && p - from < LABEL_WITHIN; p++) {
		const char *behind = behind_separator(p, is_bold_line);
		char plain[PLAIN_MAX];

		if (behind == p)
			continue;
		if (!strip(first, p, plain))
			return NULL;
		const char *open = strrchr(plain, '(');

		if (open && !strchr(open, ')'))
			return NULL;	/* within an address */
		if (!*plain) {
			first = p;	/* nothing before it is of the label */
			continue;
		}
		behind += strspn(behind, "*_ \t");
		return strlen(plain) <= LABEL_MOST && behind < l->end && is_of_models_licence(plain, a) ? behind : NULL;
	}
	return NULL;
}

/* A badge, "[![License](picture)](address)": what its addresses lead to is said; NULL: the line has none. */
static const char *badge_at(const struct line *l, const char **stop)
{
	static const char mark[] = "[![licen";
	const char *p = l->at;

	while (l->end - p > (ptrdiff_t)sizeof(mark) && strncasecmp(p, mark, sizeof(mark) - 1) != 0)
		p++;
	if (l->end - p <= (ptrdiff_t)sizeof(mark))
		return NULL;
	*stop = memmem(p + 1, (size_t)(l->end - p - 1), "[![", 3);
	*stop = *stop ? *stop : l->end;
	return p;
}

static size_t indent_of(const struct line *l)
{
	return strspn(l->at, " \t>");
}

/* Where the paragraph ends that goes on here; what a block of code begins is not of it. */
static const char *paragraph_end(const char *p, const char *end)
{
	struct fence none = { 0 };

	for (struct line l; p < end; p = l.next) {
		l = line_at(p, end);
		if (is_blank(&l) || licence_begins_item(p) || level_of(&l, end) || behind_item(p) > p || in_code(&none, &l))
			return p;
	}
	return end;
}

/* Where what belongs to this line's label ends: its paragraph, and of an entry of a list all that is set deeper. */
static const char *label_end(const struct line *l, const char *end)
{
	const char *stop = paragraph_end(l->next, end), *item = l->at + indent_of(l);
	struct fence fence = { 0 };

	if (behind_item(item) == item)
		return stop;
	for (struct line next; stop < end; stop = next.next) {
		next = line_at(stop, end);
		bool is_code = in_code(&fence, &next);

		if (!is_code && !is_blank(&next) && indent_of(&next) <= indent_of(l))
			return stop;
	}
	return end;
}

/* --- lists of other models ------------------------------------------------------------------------------------------------------------- */

/* Does an entry of a list begin with a link to the page of a model that is not this one: "* [Acme-Chat](https://huggingface.co/acme/acme-chat): …"? */
static bool is_of_other_model(const struct line *l, const char *repo)
{
	static const char hub[] = "](https://huggingface.co/";
	static const char *const no_owners[] = { "datasets/", "spaces/", "docs/", "papers/", "collections/" };
	const char *item = behind_item(l->at), *link = item == l->at || !repo ? NULL : item + strspn(item, "*_");
	const char *owner = link && *link == '[' ? memmem(link, (size_t)(l->end - link), "](", 2) : NULL;

	if (!owner || !str_starts(owner, hub))
		return false;
	owner += sizeof(hub) - 1;
	for (size_t i = 0; i < ARRAY_LEN(no_owners); i++)
		if (str_starts(owner, no_owners[i]))
			return false;
	size_t n = strcspn(owner, "/ \n)"), name = owner[n] == '/' ? strcspn(owner + n + 1, "/?#) \n") : 0;

	return name && (strlen(repo) != n + 1 + name || strncasecmp(owner, repo, strlen(repo)) != 0);
}

/* Has the text a section of its own, below a heading, in which a licence is named? */
static bool has_own_section(const char *text, const char *end, struct arena *a)
{
	struct fence fence = { 0 };

	for (struct line l; text < end; text = l.next) {
		l = line_at(text, end);
		int level = in_code(&fence, &l) ? NO_HEADING : level_of(&l, end);
		char plain[PLAIN_MAX];

		if (!level || level >= LEVEL_BOLD || !strip(l.at, l.end, plain) || !is_of_models_licence(plain, a))
			continue;
		const char *stop = section_end(l.next, end, level, false);

		if (strchr(licence_mark_names(arena_strndup(a, l.at, (size_t)(stop - l.at)), a), LICENCE_NAMED))
			return true;
		l.next = stop > l.next ? stop : l.next;
	}
	return false;
}

/* Whose a label is that is set deeper in a list: that of the entry at `entry`, which may be of another model. Only where the card speaks of this one's licence elsewhere. */
struct list {
	const char *text, *end, *repo;
	struct line entry;
	bool is_asked, has_own;
};

static void follow_list(struct list *list, const struct line *l)
{
	if (!is_blank(l) && !isspace((unsigned char)*l->at))
		list->entry = *l;
}

static bool is_of_others(struct list *list, const struct line *label, struct arena *a)
{
	if (!list->entry.at || list->entry.at == label->at || !is_of_other_model(&list->entry, list->repo))
		return false;
	if (!list->is_asked)
		list->has_own = has_own_section(list->text, list->end, a);
	list->is_asked = true;
	return list->has_own;
}

void licence_each_section(const char *text, const char *end, const char *repo, struct arena *a, void (*each)(void *, const char *where, const char *text, size_t n), void *arg)
{
	struct list list = { .text = text, .end = end, .repo = repo };
	struct fence fence = { 0 };

	for (struct line l; text < end; text = l.next) {
		l = line_at(text, end);
		bool is_code = in_code(&fence, &l);
		int level = is_code ? NO_HEADING : level_of(&l, end);
		const char *behind = level ? NULL : behind_label(&l, a), *stop, *badge = is_code ? NULL : badge_at(&l, &stop);
		char plain[PLAIN_MAX];

		follow_list(&list, &l);
		if (badge)
			each(arg, "a badge in its text", badge, (size_t)(stop - badge));
		if (behind) {
			stop = label_end(&l, end);
			if (!is_of_others(&list, &l, a))
				each(arg, "an entry \"License\" in its text", behind, (size_t)(stop - behind));
			l.next = stop;
		} else if (level && strip(l.at, l.end, plain) && strlen(plain) < HEADING_MOST && is_of_models_licence(plain, a)) {
			const char *from = underlined(&l, end) ? line_at(l.next, end).next : l.next;

			stop = section_end(from, end, level, level == LEVEL_BOLD && behind_item(l.at) > l.at);
			each(arg, "a section on the licence in its text", l.at, (size_t)(stop - l.at));
			l.next = stop > l.next ? stop : l.next;
		}
	}
}
