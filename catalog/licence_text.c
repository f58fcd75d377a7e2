/*
 * licence_text.c - which licence a text is. Two ways: the fixed parts of a known text, found by their first words and proven by their SHA-256
 * (schema/licence_texts.csv, made by script/licence-texts); and, for agreements whose text is known by title only, that title near the
 * beginning or at the begin of a line. Before both, a text is reduced to its letters and digits in lower case, so that line breaks, marks and
 * copyright lines before the body do not matter. One file may hold several: the strictest counts.
 */
#include <ctype.h>
#include <pthread.h>

#include "base/embed.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_reduced.h"
#include "catalog/licence_table.h"
#include "catalog/licence_title.h"
#include "verify/digest.h"

#define NAME_BYTES_MAX	((size_t)8192)		/* of the lines that may be one name, be it of marks */
#define TITLE_WITHIN	((size_t)400)		/* reduced characters in which a title may stand anywhere */
#define ANCHOR_TRIES	256			/* places in one text where a body may begin */
#define FOUND_MAX	64			/* licences in one text */
#define MARK_MOST	6			/* a gap of so many reduced characters is there for the mark of a list */
#define BESIDE		"beside "
#define TOKEN_MOST	((size_t)256)		/* bytes of an id in an expression; a longer one is no known one, cut or not */
#define NAME_WITHIN	((size_t)160)		/* reduced characters of a text that may be nothing but a licence's name */

/* One part of a known text. Parts of one text follow each other, number 0 first. */
struct fingerprint {
	const char *id, *anchor;
	uint64_t part, gap, length;	/* gap: reduced characters at most between it and the part before: a name, the mark of a list */
	struct digest sha256;
	bool is_beside;			/* a paragraph that this licence's own file has beside its text, and no text */
};

static struct fingerprint *prints;
static size_t n_prints, cap_prints;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Reduced conditions that are put on top of a known text, wherever they stand: with one it is another licence. */
static const struct {
	const char *words, *id;
} riders[] = {
	{ "commonsclause", "other:commons-clause" },
	{ "thelicensedoesnotgranttoyoutherighttosellthesoftware", "other:commons-clause" },
	{ "modifiedmitlicense", "other:modified-mit" },
	{ "shallbeusedforgoodnotevil", "other:json" },
};

/* Reduced sentences that say of a licence's document, and not of what is under it, what may be done with it. */
static const char *const of_the_document[] = {
	"everyoneispermittedtocopyanddistributeverbatimcopiesofthislicensedocumentbutchangingitisnotallowed",
	"endoftermsandconditions",
	"thatsallthereistoit",
	"orsendalettertocreativecommonspobox1866mountainviewca94042usa",
	"gemmaisprovidedunderandsubjecttothegemmatermsofusefoundataigoogledevgemmaterms",
	"howtoapplythesetermstoyournewprograms",
	"howtoapplythesetermstoyournewlibraries",
	"thisisthefirstreleasedversionofthelessergplitalsocountsasthesuccessorofthegnulibrarypubliclicenseversion2hencetheversionnumber21",
};

static void load(void)
{
	const struct embedded *f = licence_file("licence_texts.csv");
	char *text = mem_strndup(f->data, f->size_bytes), *save = NULL;

	strtok_r(text, "\n", &save);	/* the column names */
	for (char *line; (line = strtok_r(NULL, "\n", &save));) {
		char *fields[6];
		struct fingerprint *p = vec_push(&prints, &n_prints, &cap_prints);

		if (licence_csv_row(line, fields, 6) != 6 || str_parse_u64(fields[1], &p->part, NULL) < 0 || str_parse_u64(fields[2], &p->gap, NULL) < 0 ||
		    str_parse_u64(fields[4], &p->length, NULL) < 0 || digest_parse(&p->sha256, DIGEST_SHA256, fields[5], NULL) < 0)
			abort();	/* built in, and a test reads it */
		p->is_beside = str_starts(fields[0], BESIDE);
		p->id = fields[0] + (p->is_beside ? strlen(BESIDE) : 0);
		p->anchor = fields[3];
	}
}

/* Does this part begin at `at`? */
static bool is_part(const struct fingerprint *p, const char *at, const char *end)
{
	struct digest d;

	if (p->length > (size_t)(end - at))
		return false;
	digest_of(&d, DIGEST_SHA256, at, p->length);
	return digest_equal(&d, &p->sha256);
}

/* The parts behind the first one, from `at` on. */
static bool parts_follow(const struct fingerprint *p, size_t n, const char *at, const char *end)
{
	for (size_t i = 1; i < n; i++) {
		const char *found = memmem(at, strnlen(at, p[i].gap + strlen(p[i].anchor)), p[i].anchor, strlen(p[i].anchor));

		if (!found || !is_part(&p[i], found, end) || (p[i].gap <= MARK_MOST && !licence_is_mark(at, found)))
			return false;
		at = found + p[i].length;
	}
	return true;
}

/* The parts stand at `at`: what is not theirs remains. */
static void blank(struct reduced *r, const struct fingerprint *p, size_t n, const char *at)
{
	for (size_t i = 0; i < n; i++) {
		const char *gap = at;

		at = i ? strstr(at, p[i].anchor) : at;
		for (; gap < at; gap++)
			r->begins[gap - r->text] |= IN_GAP;
		memset(r->rest + (at - r->text), ' ', p[i].length);
		at += p[i].length;
	}
}

/* Where the text whose n parts these are begins in this one; NULL when it does not stand in it. */
static const char *find_text(const struct fingerprint *p, size_t n, struct reduced *r)
{
	const char *at = r->text, *end = r->text + r->n, *first = NULL;

	for (int tries = 0; tries < ANCHOR_TRIES && (at = strstr(at, p->anchor)); tries++, at++) {
		if (!is_part(p, at, end) || !parts_follow(p, n, at + p->length, end))
			continue;
		blank(r, p, n, at);
		first = first ? first : at;
	}
	return first;
}

/* Where a title stands as one does; what is said in passing, further on, is none. */
static const char *find_title(const struct licence_title *t, const char *text, const struct reduced *r)
{
	for (const char *at = text; (at = strstr(at, t->words)); at++)
		if ((size_t)(at - text) <= TITLE_WITHIN || (r->begins[at - text] & BEGINS_LINE))
			return at;
	return NULL;
}

/* How many parts the text has whose first one is i. */
static size_t n_parts(size_t i)
{
	size_t n = 1;

	while (i + n < n_prints && prints[i + n].part)
		n++;
	return n;
}

static bool restricts(const char *text, size_t n, const struct reduced *r, struct arena *a)
{
	own(mem) char *words = licence_words_left(r);

	return licence_restricts(words) || licence_restricts_foreign(licence_left_of(text, n, r, a), n);
}

static bool is_free(const char *id)
{
	const struct licence *l = licence_find(id);

	return l && l->commercial_use == LICENCE_YES;
}

struct found {
	const char *id, *at;
	bool is_text;	/* its whole text stands there */
};

struct found_list {
	struct found v[FOUND_MAX];
	size_t n;
	bool is_full;	/* there are more */
};

static void note(struct found_list *l, const char *id, const char *at, bool is_text)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].id, id) && l->v[i].is_text == is_text)
			return;
	if (at && l->n < FOUND_MAX)
		l->v[l->n++] = (struct found){ id, at, is_text };
	else if (at)
		l->is_full = true;
}

static bool has_text(const struct found_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_text && !strcmp(l->v[i].id, id))
			return true;
	return false;
}

/* The LGPL adds permissions to the GPL and comes with its text. */
static bool is_part_of_another(const struct found_list *l, const struct found *f)
{
	return f->is_text && !strcmp(f->id, "gpl-3.0") && has_text(l, "lgpl-3.0");
}

static const char *strictest(const struct found_list *l)
{
	const struct found *best = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct found *f = &l->v[i];

		if (is_part_of_another(l, f))
			continue;
		if (!best || licence_is_stricter(f->id, best->id) || (!licence_is_stricter(best->id, f->id) && f->at < best->at))
			best = f;
	}
	return best ? best->id : NULL;
}

static void find_all(struct reduced *r, struct found_list *out)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i += n_parts(i))
		if (!prints[i].is_beside)
			note(out, prints[i].id, find_text(&prints[i], n_parts(i), r), true);
		else if (has_text(out, prints[i].id))	/* these rows are behind the others */
			find_text(&prints[i], 1, r);
	for (const struct licence_title *t = licence_titles; t->words; t++)
		note(out, t->id, find_title(t, r->text, r), false);
	for (const struct licence_title *t = licence_policies; t->words; t++)
		note(out, t->id, find_title(t, r->text, r), false);
	for (const struct licence_title *t = licence_sentences; t->words; t++)
		note(out, t->id, strstr(r->text, t->words), false);
}

static size_t token_length(const char *p, const char *end)
{
	size_t n = 0;

	while (n < TOKEN_MOST && p + n < end && (isalnum((unsigned char)p[n]) || strchr(".+-", p[n])) && p[n])
		n++;
	return n;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && *p && strchr(" \t()\"'=:", *p))
		p++;
	return p;
}

static bool is_word(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(p, word, n);
}

/* Does it loosen a licence, and do no more than that? */
static bool is_exception(const char *name)
{
	static const char *const known[] = { "Classpath-exception-2.0", "LLVM-exception", "GCC-exception-2.0", "GCC-exception-3.1", "Linux-syscall-note", "Bison-exception-2.2",
					     "Autoconf-exception-2.0", "Autoconf-exception-3.0", "Font-exception-2.0", "Libtool-exception", "WxWindows-exception-3.1",
					     "Swift-exception", "Qt-GPL-exception-1.0", "Qt-LGPL-exception-1.1", "u-boot-exception-2.0", "eCos-exception-2.0",
					     "openvpn-openssl-exception", "Universal-FOSS-exception-1.0", "OpenJDK-assembly-exception-1.0" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcasecmp(name, known[i]))
			return true;
	return false;
}

/* One SPDX expression, on one line: ids with AND or OR between them, or what people write instead, and exceptions behind WITH. */
static void read_expression(const char *p, const char *end, const char *at, struct arena *a, struct found_list *out)
{
	for (int ids = 0; ids < FOUND_MAX; ids++) {
		size_t n = token_length(p = skip_blanks(p, end), end);
		const char *name, *id;

		if (!n || !isalnum((unsigned char)*p))
			return;
		name = arena_strndup(a, p, n);
		id = licence_normalise(name);
		note(out, id ? id : licence_other_id(a, name), at, false);
		n = token_length(p = skip_blanks(p + n, end), end);
		if (is_word(p, n, "with")) {
			p = skip_blanks(p + n, end);
			name = arena_strndup(a, p, token_length(p, end));
			if (!is_exception(name))
				note(out, licence_other_id(a, name), at, false);
			p = skip_blanks(p + token_length(p, end), end);
			n = token_length(p, end);
		}
		if (!is_word(p, n, "and") && !is_word(p, n, "or") && (n || p == end || !*p || !strchr(",;/|&", *p)))
			return;
		p += n ? n : 1;
	}
}

static void find_identifiers(const char *text, size_t n, const char *at, struct arena *a, struct found_list *out)
{
	static const char tag[] = "SPDX-License-Identifier";
	const char *end = text + n;

	for (const char *p = text; !out->is_full && !licence_is_spent(a) && (size_t)(end - p) >= sizeof(tag) - 1; p++)
		if (!strncasecmp(p, tag, sizeof(tag) - 1))
			read_expression(p + sizeof(tag) - 1, end, at, a, out);
}

static bool is_plain(const char *word, size_t n)
{
	static const char *const plain[] = { "this", "the", "these", "work", "model", "models", "project", "repository", "software", "weights", "is", "are", "licensed", "released",
					     "distributed", "under" };

	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (is_word(word, n, plain[i]))
			return true;
	return false;
}

/* Behind "this model is licensed under", where the text says no more before it. */
static const char *skip_statement(const char *p)
{
	size_t n;

	while ((n = strcspn(p += strspn(p, " "), " ")) && is_plain(p, n))
		p += n;
	return p;
}

/* A text that is nothing but a licence's name, but for copyright lines and where its text is. */
static void find_name(const char *text, size_t n, const struct reduced *r, struct arena *a, struct found_list *out)
{
	char *lines = r->n && r->n <= NAME_WITHIN ? arena_strndup(a, text, n) : NULL, *save = NULL;
	const char *address = NULL, *id;
	own(buf) struct buf name;

	buf_init(&name, NAME_BYTES_MAX);

	for (char *line = lines ? strtok_r(lines, "\r\n", &save) : NULL; line; line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t#*=->");
		if (!address && str_starts(line, "http")) {
			address = licence_of_address(line, strlen(line), a);
			address = address ? address : licence_of_list(line, a);
		}
		if (!licence_is_beside_name(line)) {
			buf_putc(&name, ' ');
			buf_puts(&name, line);
		}
	}
	if (buf_failed(&name))
		return;		/* too long to be a name */
	id = name.len ? licence_normalise(skip_statement(name.data)) : NULL;
	if (id && strcmp(id, "other") != 0 && strcmp(id, "unknown") != 0)
		note(out, id, r->text, false);
	if (address && (id || !name.len))
		note(out, licence_find(address) ? address : licence_other_id(a, address), r->text, false);
}

static const char *find_rider(const struct reduced *r)
{
	for (size_t i = 0; i < ARRAY_LEN(riders); i++)
		if (strstr(r->text, riders[i].words))
			return riders[i].id;
	return NULL;
}

static const char *recognise(const struct reduced *r, const struct found_list *found, bool restricts)
{
	const char *id = strictest(found), *with_rider = find_rider(r);

	if (with_rider)
		return with_rider;
	return id && is_free(id) && restricts ? "other:with-restrictions" : id;
}

static bool holds_text(const struct found_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_text)
			return true;
	return false;
}

/* Is something in it known by its title alone, so that nobody here knows where its text ends? Not of a free one beside others, whose terms it would hide. */
static bool is_by_title(const struct found_list *l, const struct reduced *r)
{
	for (const struct licence_title *t = licence_policies; t->words; t++)
		if (find_title(t, r->rest, r))
			return true;
	for (size_t i = 0; i < l->n; i++)
		for (const struct licence_title *t = licence_titles; t->words; t++)
			if (!strcmp(l->v[i].id, t->id) && !has_text(l, t->id) && (l->n == 1 || !is_free(t->id)))
				return true;
	return false;
}

/* What stands beside a text and is no term: of the owner's rights, and of the document's own. */
static void blank_harmless(struct reduced *r, const char *text)
{
	static const char words[] = "allrightsreserved";

	for (size_t i = 0; i < ARRAY_LEN(of_the_document); i++)
		for (const char *at = r->text; (at = strstr(at, of_the_document[i])); at++)
			memset(r->rest + (at - r->text), ' ', strlen(of_the_document[i]));
	for (const char *at = r->text; (at = strstr(at, words)); at += sizeof(words) - 1)
		if (licence_is_reserved_by_owner(text, text + r->origin[at - r->text]))
			memset(r->rest + (at - r->text), ' ', sizeof(words) - 1);
}

/* A paragraph that a licence's own files have beside its text is no term where the licence is only named, either. */
static void blank_beside(struct reduced *r)
{
	for (size_t i = 0; i < n_prints; i += n_parts(i))
		if (prints[i].is_beside)
			find_text(&prints[i], 1, r);
}

/* What stands in a gap of a text is a name, as an owner's line is one. */
static void blank_gaps(const char *text, struct reduced *r, struct arena *a)
{
	for (size_t i = 0, end; i < r->n && !licence_is_spent(a); i = end + 1) {
		for (end = i; end < r->n && (r->begins[end] & IN_GAP) && r->rest[end] != ' '; end++)
			;
		if (end == i)
			continue;
		char *line = arena_printf(a, "(c) %.*s", (int)(r->origin[end - 1] - r->origin[i] + 1), text + r->origin[i]);

		for (char *p = line; *p; p++)
			*p = *p == '\n' ? ' ' : *p;
		if (!licence_has_terms(line, arena_strdup(a, line), a))
			memset(r->rest + i, ' ', end - i);
	}
}

/* Are there terms beside what is known? What only allows is blanked, and takes back nothing. */
static bool has_terms(const char *text, size_t n, struct reduced *r, struct arena *a)
{
	char *left, *affirmed;
	bool has;

	if (licence_count_left(r) > LICENCE_OWNERS_MAX)
		return true;
	own(mem) char *rest = mem_strndup(r->rest, r->n);

	blank_beside(r);
	blank_gaps(text, r, a);
	left = licence_left_of(text, n, r, a);
	affirmed = arena_strdup(a, left);
	has = licence_has_terms(left, affirmed, a);
	memcpy(r->rest, rest, r->n);
	for (size_t i = 0; i < r->n; i++)
		if (affirmed[r->origin[i]] == ' ' && left[r->origin[i]] != ' ')
			r->rest[i] = ' ';
	return has;
}

static const char *notice(const struct reduced *r, struct arena *a)
{
	if (r->n > LICENCE_NOTICE_MAX)
		return "";
	return r->n ? arena_strdup(a, r->text) : "-";
}

void licence_read_within(const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	struct found_list found = { .n = 0 };
	own(reduced) struct reduced r = { .text = NULL };
	const char **all;
	bool terms, is_read;
	char *left;

	text = licence_bounded(text, &n, a, out);
	if (!text)
		return;
	licence_reduce(&r, text, n);
	find_all(&r, &found);
	blank_harmless(&r, text);
	find_identifiers(text, n, r.text, a, &found);
	find_name(text, n, &r, a, &found);
	all = arena_alloc(a, found.n * sizeof(*all) + 1);
	for (size_t i = 0; i < found.n; i++)
		all[i] = found.v[i].id;
	out->notice = notice(&r, a);
	is_read = *out->notice || (found.n && !is_by_title(&found, &r));
	left = is_read ? licence_left_of(text, n, &r, a) : NULL;
	terms = is_read && has_terms(text, n, &r, a);
	out->restricts = restricts(text, n, &r, a);
	out->recognised = recognise(&r, &found, out->restricts);
	out->all = all;
	out->n_all = found.n;
	if (found.is_full && !out->unread)
		out->unread = "names more licences than are read, so nobody has read all of it";
	out->says_more = terms && (!out->recognised || licence_find(out->recognised));
	if (is_read)
		licence_read_rest(left, licence_left_of(text, n, &r, a), holds_text(&found) && !find_rider(&r) ? LICENCE_REST_MAX : LICENCE_NOTICE_MAX, a, out);
	licence_note_spent(a, out);
}

void licence_read_text(const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	struct licence_text t = *out;
	own(arena) struct arena scratch;

	arena_init(&scratch);
	licence_read_within(text, n, &scratch, &t);
	licence_keep(&t, a, out);
}

bool licence_has_text(const char *id)
{
	pthread_once(&once, load);
	for (size_t i = 0; i < n_prints; i++)
		if (!strcmp(prints[i].id, id))
			return true;
	return false;
}
