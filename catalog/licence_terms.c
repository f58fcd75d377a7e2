/*
 * licence_terms.c - does what stands beside a known text, or beside a licence's name, set terms? Nothing that this file can't account for does not: owners, names, addresses,
 * plain sentences that name a licence, that allow what it allows anyway or that give no warranty are taken away as wholes, and of what remains every word must be known to be
 * harmless, or be a name or number; those that terms are made of are not, be they names or not. So what is not understood is held; see licence_table.h.
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_sentence.h"
#include "catalog/licence_table.h"

#define MODEL_MOST   3		/* words of a model's name */
#define LEAD_MOST    9		/* words between "terms" and the licence whose they are */

/* Of what forbids, limits or asks. A "*" stands for any end. */
static words_list denials = { "not", "no", "none", "never", "nor", "neither", "cannot", "only", "solely", "exclu*", "except", "unless", "until", "provided", "without", "must", "may", "shall",
			      "prohibit*", "forbid*", "disallow*", "restrict*", "limit", "limited", "limits", "limitations", "limitation", "permi*", "allow*", "consent*", "royalt*", "*n't", "revok*", "terminat*", NULL };
/* What it is about, for whom, and for what in return; the same in the languages that are next to English on model cards. */
static words_list subjects = {
	"commercial*", "noncommerc*", "nonprofit*", "academ*", "research*", "personal*", "education*", "evaluation", "evaluat*", "scientific", "hobby*", "production", "noncommercial", "military", "weapon*",
	"surveillance", "government*", "enterprise*", "compan*", "business*", "corporat*", "organi*", "startup*", "industr*", "individual*", "student*", "universit*", "employee*", "user", "users",
	"customer*", "partner", "partners", "member", "members", "revenue*", "fee", "fees", "pay", "pays", "paid", "payment*", "buy", "purchas*", "sell*", "sold", "sale", "sales", "money", "profit*", "monet*",
	"pric*", "subscri*", "licensing", "regist*", "separate*", "tbd", "tba", "govern*", "terms", "condition*", "subject", "agreement*", "agree", "agreed", "contract*", "eula", "polic*", "reserve*", "reserving",
	"retain*", "contact*", "ask", "asks", "asked", "request", "requested", "require*", "need", "needs", "obligat*", "obliged", "obtain*", "delet*", "redistribut*", "share", "shared", "sharing", "mirror*",
	"confidential*", "proprietary", "property", "closed", "custom", "addend*", "amend*", "additional*", "instead", "thereafter", "expire*", "expiry", "apart", "unlike", "exempt*", "inherit*", "extend*",
	"outside", "internal*", "alone", "domiciled", "region*", "countr*", "weights", "checkpoint*", "parameters", "supersede*", "replace*", "previously", "formerly", "earlier", "former", "but", "however", "if", "fewer",
	"less", "more", "exceed*", "access", "appl*", "cover*", "withdraw*", "own", "attribut*", "rail", "sublicens*", "trademark*", "patent*", "comply", "compliance",
	"acceptable", "use", "used", "using", "usage", "usable", "distribut*", "copies", "crime*", "breach*", "violat*", "illegal*", "unlawful*", "banned", "denied", "notif*", "display*", "send", "credit*",
	"host*", "service*", "logo*", "train", "publish", "every",
	"nicht*", "nur", "kein*", "ausschlie*", "verboten", "untersagt", "ohne", "kommerz*", "pas", "uniquement", "seulement", "interdi*", "sauf", "solo", "s\xc3\xb3lo", "solamente", "prohibid*", "proibid*",
	"n\xc3\xa3o", "nao", "apenas", "somente", "vietat*", "soltanto", "sin", "niet", "alleen", "geen", "comercial*", "commerci*", "fins", "f\xc3\xbcr", "fur", "pour", "para", "forsch*", "gebruik*", "investiga*", "uso", "solament*", "unicament*", NULL
};
/* Behind an owner's name, of what is owned. */
static words_list used = { "use", "used", "usage", "weights", "checkpoint*", "commercially", "noncommerc*", NULL };

/* A sentence of these and a licence's name says what the licence is, and no more. */
static words_list plain = {
	"this", "that", "the", "these", "a", "an", "all", "both", "our", "its", "it", "and", "or", "of", "in", "for", "by", "to", "at", "on", "under", "work", "works", "model", "models", "project",
	"package", "repository", "repo", "software", "code", "source", "weights", "weight", "checkpoint", "checkpoints", "data", "dataset", "file", "files", "license", "licence", "licenses", "licences",
	"licensed", "released", "distributed", "available", "made", "published", "is", "are", "be", "see", "following", "details", "information", "full", "text", "copy", "below", "above", "found", "same",
	"uses", "dual", "content", "contents", "everything", "spdx", "identifier", "version", "v", "here", "please", "as", "open", "applies", "apply", "covers", "cover", "either", "later", "any", "your", "option", "also", "rights", NULL
};
/* And of these and of such that allow: what may be done with it. */
static words_list allowed = {
	"allowed", "allows", "allow", "permitted", "permits", "permit", "free", "freely", "welcome", "may", "can", "granted", "encouraged", "support", "supports", "fine", "ok", "okay", NULL
};
static words_list deeds = {
	"you", "we", "anyone", "everyone", "they", "with", "use", "used", "uses", "usage", "using", "modify", "modified", "modifications", "modification", "distribute", "distribution", "redistribute",
	"redistribution", "copy", "share", "publish", "sublicense", "sell", "merge", "adapt", "build", "upon", "run", "derivative", "finetune", "fine", "tune", "distillation", "distill", "training", "train",
	"output", "outputs", "other", "llms", "purpose", "purposes", "application", "applications", "including", "includes", "there", "commercially", "series", "charge", "fully", "include", "from", "well", "even", "terms", "general", "public", "foundation", NULL
};
static words_list circles = { "academic", "research", "personal", "educational", "education", "evaluation", "noncommercial", "noncommercially", "business", "private", NULL };
static words_list joins = { "and", "or", "as", "well", "both", "use", "uses", "usage", "purpose", "purposes", "academic", "research", "personal", "educational", "noncommercial", "noncommercially", "business", "private", "for", NULL };
static words_list of_commerce = { "use", "uses", "usage", "purpose", "purposes", "application", "applications", "and", "or", "as", "", NULL };
static words_list disclaimers = { "warrant*", "liab*", "responsib*", NULL };
static words_list disclaims = { "no", "not", "without", "any", "nor", "shall", "of", "if", NULL };
static words_list wishes = { "if", "use", "used", "using", "research", "academ*", NULL };
static words_list lead = { "to", "of", "the", "and", "in", "under", "terms", "condition", "conditions", "this", "a", NULL };

/* Of who made what from what, and where more of it is to be read: together with names and `plain` they set no terms. What promises, dates or counts is none of them. */
static words_list harmless = {
	"we", "you", "they", "who", "which", "where", "was", "were", "been", "being", "has", "have", "had", "do", "does", "did", "can", "from", "with", "via", "into", "about", "like", "such", "so", "there", "their", "them", "us",
	"one", "two", "three", "several", "many", "most", "some", "other", "others", "each", "et", "al", "no.", "c", "s", "y", "de", "etc", "eg", "ie",
	"author", "authors", "contributor*", "contribut*", "maintain*", "develop*", "creat*", "written", "wrote", "built", "build", "trained", "training", "fine", "tuned", "finetuned", "tuning", "finetuning", "based", "derived",
	"derivative", "convert*", "conversion*", "quantiz*", "quantis*", "merged", "adapted", "forked", "fork", "ported", "port", "modified", "modification*", "changes", "changed", "contain*", "include", "includes", "included", "including", "consist*", "portions", "parts", "part", "original",
	"paper", "article", "report", "citation", "cite", "cited", "citing", "bibtex", "journal", "conference", "proceedings", "doi", "arxiv", "star", "stars", "thank*", "acknowledg*", "grateful", "fund*", "received", "grant", "hope", "enjoy", "love",
	"useful", "helpful", "find", "give", "question*", "issue", "issues", "feedback", "bug", "bugs", "email", "mail", "website", "homepage", "github", "link", "links", "page", "readme", "documentation", "docs", "notice", "notices", "comments",
	"library", "libraries", "tool", "tools", "toolkit", "script", "scripts", "implementation", "architecture", "tokenizer", "tokeniser", "configuration", "config", "language", "languages", "large", "small", "base", "image", "images", "speech", "audio", "vision",
	"statement", "purpose", "beyond", "python", "datetime", "approved", "osi", "fsf", "reproduced", "towards", "dependency", "dependencies", "extension", "extensions", "module", "modules", "standard", "alternatively", "domain", "top", "welcome", "appreciated", "parser", "bindings", "wrapper",
	"name", "date", "last", "updated", "inc", "ltd", "llc", "corp", "gmbh", "team", "lab", "laboratory", "group", "institute", "department", "foundation", "community", "programme", "program", "copyright", "copyrights", "holder", "holders",
	"january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december", "refer", "read", "visit", "view", "affiliated", "unless", "stated", "otherwise", "noted", "third", "party", "parties", "public", "publicly",
	"opensource", "php", "htm", "legalcode", "deed", "shield", "badge", "png", "svg", "md", "txt", "html", "rst", "www", "http", "https", "com", "org", NULL
};
/* In an address: what it leads to is terms, and nobody here has read them. */
static const char *const terms_pages[] = { "eula", "/terms", "terms-of", "terms_of", "agreement", "use-policy", "usage-policy", "use_policy", "usage_policy", "acceptable-use" };

/* Words that allow, or take no hold of anything, together. */
static const char *const phrases[][6] = {
	{ "without", "any", "restrictions" }, { "without", "any", "restriction" }, { "without", "restrictions" }, { "without", "restriction" }, { "without", "limitation" }, { "without", "limitations" },
	{ "provided", "as", "is" }, { "is", "provided" }, { "are", "provided" }, { "provided", "under" }, { "without", "charge" }, { "commercially", "or", "not" }, { "but", "not", "limited", "to" }, { "not", "limited", "to" }, { "no", "restrictions" }, { "no", "need", "to", "obtain", "a", "license" },
	{ "no", "need", "to", "obtain", "permission" }, { "no", "need", "to", "ask", "for", "permission" }, { "requires", "no", "further", "permission" }, { "requires", "no", "permission" },
	{ "for", "more", "information" }, { "for", "more", "details" }, { "more", "details" }, { "for", "additional", "information" }, { "all", "rights", "reserved" }, { "reserved", "font", "name" }, { "not", "legal", "advice" },
};

/* --- from text to sentences ---------------------------------------------------------------------------------------------------------- */

/* Bytes of a letter at p, 0 none: ASCII, and Latin ones with marks. */
static size_t letter_at(const char *p)
{
	unsigned char c = (unsigned char)*p;

	if (isalnum(c) || *p == LICENCE_NAMED)
		return 1;
	return c >= 0xc3 && c <= 0xcc && ((unsigned char)p[1] & 0xc0) == 0x80 ? 2 : 0;
}

/* Marks within a word: an apostrophe, the point of a number, and what nobody sees. */
static size_t mark_at(const char *p)
{
	static const char *const unseen[] = { "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d", "\xef\xbb\xbf", "\xc2\xad", "\xe2\x80\x99" };

	if ((*p == '\'' && isalpha((unsigned char)p[1])) || (*p == '.' && isdigit((unsigned char)p[1])))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
		if (str_starts(p, unseen[i]))
			return strlen(unseen[i]);
	return 0;
}

/* The word at p, in out; how many bytes it takes. */
static size_t read_word(const char *p, const char *end, char out[WORD_MAX])
{
	size_t n = 0, at_most = (size_t)(end - p), k = 0;

	while (n < at_most) {
		size_t letter = letter_at(p + n), mark = letter ? 0 : mark_at(p + n);

		if (!letter && !mark)
			break;
		for (size_t i = 0; i < letter && k < WORD_MAX - 1; i++)
			out[k++] = (char)tolower((unsigned char)p[n + i]);
		if (mark && (p[n] == '.' || p[n] == '\'' || str_starts(p + n, "\xe2\x80\x99")) && k < WORD_MAX - 1)
			out[k++] = p[n] == '.' ? '.' : '\'';
		n += letter + mark;
	}
	out[k] = 0;
	return n;
}

/* Has the word of n bytes at p such a letter behind a small one? Names begin with a capital; what is no more than that letter is left of a known text. */
static bool is_foreign(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] >= 0xc3 && (unsigned char)p[i] <= 0xcc)
			return n > 2 && islower((unsigned char)*p);
	return false;
}

static void add_word(struct sentence *s, const char *word, bool is_proper, bool is_foreign_word)
{
	char *last = s->n ? s->v[s->n - 1].text : NULL;

	if (last && !strcmp(last, "non") && (str_starts(word, "commerc") || str_starts(word, "profit"))) {
		char joined[2 * WORD_MAX];

		snprintf(joined, sizeof(joined), "non%s", word);
		memcpy(last, joined, WORD_MAX - 1);
		return;
	}
	if (s->n == SENTENCE_MAX) {
		s->is_long = true;
		s->has_operative |= is_foreign_word || is_one(word, denials) || is_one(word, subjects);
		return;
	}
	snprintf(s->v[s->n].text, WORD_MAX, "%s", word);
	s->v[s->n].is_proper = is_proper;
	s->v[s->n++].is_foreign = is_foreign_word;
}

static bool leads_to_terms(const char *address, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(terms_pages); i++)
		for (size_t k = 0; k + strlen(terms_pages[i]) <= n; k++)
			if (!strncasecmp(address + k, terms_pages[i], strlen(terms_pages[i])))
				return true;
	return false;
}

/* Where the address at p ends. A licence's name in it is marked, and blank as far as its letters went. */
static const char *address_end(const char *p, const char *end)
{
	const char *q = p, *rest;

	for (;; q = rest) {
		while (q < end && !strchr(" \t\r\n\"'<>()[]{},;", *q))
			q++;
		for (rest = q; rest < end && *rest == ' '; rest++)
			;
		if (q == p || q[-1] != LICENCE_NAMED || rest >= end || !strchr("./-_#?", *rest))
			return q;
	}
}

/* Is it an address, path or key: "info@acme.ai", "acme.ai/x", "doe2024"? Where all of it is none, no end of it is one. */
static bool is_address(const char *p, const char *end)
{
	bool is_found = false;

	for (const char *q = p; q < end; q++)
		is_found |= strchr("@_", *q) || (*q == '.' && q > p && isalnum((unsigned char)q[-1]) && isalpha((unsigned char)q[1])) ||
			      (isalpha((unsigned char)*q) && q > p && isdigit((unsigned char)q[-1])) || (isdigit((unsigned char)*q) && q > p && isalpha((unsigned char)q[-1]));
	return is_found;
}

/* What stands between p and end; is_part: as far as it fits. */
static void read_words(struct sentence *s, const char *p, const char *end, bool is_part)
{
	bool in_address = false;

	s->n = 0;
	s->has_operative = s->is_long = false;
	s->more = NULL;
	memset(s->v, 0, sizeof(s->v));
	for (const char *run = p; p < end && !(is_part && s->is_long);) {	/* run: the end of the letters and marks without a blank that were looked at last */
		char word[WORD_MAX];
		size_t n = !strncasecmp(p, "http://", 7) || !strncasecmp(p, "https://", 8) ? (size_t)(address_end(p, end) - p) : 0;

		s->has_operative |= leads_to_terms(p, n);
		if (!n && (n = letter_at(p)) != 0) {
			if (p >= run) {
				run = address_end(p, end);
				in_address = is_address(p, run);
			}
			n = read_word(p, end, word);
			s->more = s->n == SENTENCE_MAX - SENTENCE_LAP && !s->more ? p : s->more;
			add_word(s, word, (in_address && p < run) || (s->n && !islower((unsigned char)*p)), is_foreign(p, n));
		}
		p += n ? n : 1;
	}
}

static void read_sentence(struct sentence *s, const char *p, const char *end)
{
	read_words(s, p, end, false);
}

/* Does a line begin an entry of a list, a row of a table, a heading, or a tag? */
static bool is_entry(const char *line)
{
	return (*line && strchr("-*#|", *line)) || !strncasecmp(line, "spdx-", 5);
}

static const char *sentence_end(const char *p)
{
	for (; *p; p++) {
		if (*p == '\n') {
			const char *next = p + 1 + strspn(p + 1, " \t\r");

			if (*next == '\n' || is_entry(next))
				return p + 1;
		}
		if (strchr(".!?;", *p) && (!p[1] || strchr(" \t\r\n\"')*_", p[1])))
			return p + 1;
	}
	return p;
}

/* --- what is no term ------------------------------------------------------------------------------------------------------------------ */

static void take_phrases(struct sentence *s)
{
	for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
		for (size_t from = 0; from < s->n; from++) {
			size_t k = 0;

			while (k < ARRAY_LEN(phrases[i]) && phrases[i][k] && !strcmp(at(s, from + k), phrases[i][k]))
				k++;
			for (size_t gone = from; (k == ARRAY_LEN(phrases[i]) || !phrases[i][k]) && gone < from + k; gone++)
				s->v[gone].is_gone = true;
		}
}

/* "Subject to the terms and conditions of the MIT License": they are the licence's own. "The Model License" is that of something else. */
static void take_terms(struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++) {
		bool is_led = !strncmp(s->v[i].text, "condition", 9) || is_one(s->v[i].text, (words_list){ "terms", "subject", "accordance", NULL });

		if (!is_led || !is_one(at(s, i + 1), lead))
			continue;
		for (size_t k = i + 1; k < s->n && k <= i + LEAD_MOST && !s->v[i].is_gone; k++)
			s->v[i].is_gone = is_name(s->v[k].text) || (str_starts(s->v[k].text, "licen") && !is_one(s->v[k - 1].text, (words_list){ "model", "models", "weights", NULL }));
	}
}

/* "For the weights see the model license": of a licence that it doesn't name, and that is not this one. */
static bool is_of_unnamed(const struct sentence *s)
{
	bool is_named = has_one(s, (words_list){ "this", "same", "above", "below", "following", NULL });

	for (size_t i = 0; i < s->n; i++)
		is_named |= is_name(s->v[i].text);
	return !is_named && has_one(s, (words_list){ "weights", "checkpoint*", NULL });
}

static bool is_plain(const struct sentence *s)
{
	if (is_of_unnamed(s))
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].is_gone && !is_name(s->v[i].text) && !is_number(s->v[i].text) && !is_one(s->v[i].text, plain))
			return false;
	return !s->is_long;
}

/* "research and commercial use": a circle of users is none where all others are named with it. */
static bool is_joined(const struct sentence *s, size_t i)
{
	for (size_t k = 0; k < s->n; k++) {
		size_t from = k < i ? k : i, to = k < i ? i : k;

		if (!str_starts(s->v[k].text, "commercial") && strcmp(s->v[k].text, "business") != 0)
			continue;
		while (++from < to && is_one(s->v[from].text, joins))
			;
		if (from >= to)
			return true;
	}
	return false;
}

/* Is it said of the code, and of nothing else? The model may be under something else then. */
static bool is_of_code(const struct sentence *s)
{
	return has_one(s, (words_list){ "code", "source", "script", "scripts", NULL }) &&
	       !has_one(s, (words_list){ "model", "models", "weights", "checkpoint", "checkpoints", "project", "repository", "everything", NULL });
}

/* How many words at the begin are a model's name, as in "DeepSeek-R1 series support …". */
static size_t name_of_model(const struct sentence *s)
{
	for (size_t i = 0; i < s->n && i <= MODEL_MOST && !is_one(s->v[i].text, denials) && !is_one(s->v[i].text, subjects); i++)
		if (is_one(s->v[i].text, (words_list){ "series", "model", "models", NULL }))
			return i;
	return 0;
}

/* May the word stand where something is allowed, and for all? */
static bool is_of_permission(const struct sentence *s, size_t i, bool is_for_any)
{
	const char *word = s->v[i].text;

	if (!strcmp(word, "commercial"))
		return is_one(at(s, i + 1), of_commerce);
	if (is_one(word, circles))
		return is_for_any || is_joined(s, i);
	return is_name(word) || is_number(word) || is_one(word, plain) || is_one(word, allowed) || is_one(word, deeds);
}

/* "Commercial use is allowed." "Free to use, modify and distribute." */
static bool is_affirmed(const struct sentence *s)
{
	bool allows = false, is_for_any = false;

	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].text, "reserved"))
			return false;
	for (size_t i = 0; i < s->n; i++) {
		is_for_any |= is_one(s->v[i].text, (words_list){ "any", "other", NULL }) && str_starts(at(s, i + 1), "purpose");
		allows |= s->v[i].is_gone || is_one(s->v[i].text, allowed) || (str_starts(s->v[i].text, "includ") && str_starts(at(s, i + 1), "for"));
	}
	allows |= is_for_any;
	for (size_t i = name_of_model(s); i < s->n; i++)
		if (!s->v[i].is_gone && !is_of_permission(s, i, is_for_any))
			return false;
	return allows && !s->is_long && !is_of_code(s);
}

/* "Acme is a trademark of Acme Inc." */
static bool is_of_trademark(const struct sentence *s)
{
	static words_list of_marks = { "trademark*", "registered", "respective", "owner", "owners", "property", "their", "inc", "or", NULL };

	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].is_proper && !is_one(s->v[i].text, of_marks) && !is_one(s->v[i].text, (words_list){ "is", "are", "a", "an", "and", "the", "of", "all", NULL }) &&
		    (is_one(s->v[i].text, denials) || is_one(s->v[i].text, subjects) || i))
			return false;
	return !s->is_long && has_one(s, (words_list){ "trademark*", NULL }) && has_one(s, (words_list){ "is", "are", NULL });
}

/* "The authors are not responsible for any misuse." "If you use it for research, please cite our paper." */
static bool is_harmless(const struct sentence *s)
{
	bool is_question = has_one(s, (words_list){ "question*", "feedback", "bug", "bugs", "issues", NULL });
	bool is_wish = is_question || has_one(s, (words_list){ "cite", "citing", "star", "responsibly", NULL });

	if (is_of_trademark(s))
		return true;
	if (!is_wish && (!has_one(s, disclaimers) || has_one(s, used)))
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].is_gone && !is_one(s->v[i].text, is_wish ? wishes : disclaims) && !(is_question && !strcmp(s->v[i].text, "contact")) && (is_one(s->v[i].text, denials) || is_one(s->v[i].text, subjects)))
			return false;
	return !s->is_long;
}

/* The month, and no permission. */
static bool is_month(const struct sentence *s, size_t i)
{
	return !strcmp(s->v[i].text, "may") && (is_number(at(s, i + 1)) || (i && is_number(s->v[i - 1].text)));
}

/* "Derived from a project under the MIT License": that is of something else. */
static bool is_of_another(const struct sentence *s, size_t i)
{
	if (!is_one(s->v[i].text, (words_list){ "derived", "based", "trained", "forked", "adapted", NULL }))
		return false;
	while (++i < s->n)
		if (is_name(s->v[i].text) || str_starts(s->v[i].text, "licen"))
			return true;
	return false;
}

/* "MIT from 2028 on": until then it is not. */
static bool is_later(const struct sentence *s, size_t i)
{
	return !strcmp(s->v[i].text, "from") && is_number(at(s, i + 1)) && ((i && is_name(s->v[i - 1].text)) || is_one(at(s, i + 2), (words_list){ "on", "onward", "onwards", NULL }));
}

/* "This grant is for the scripts": what a licence gives is given of them only. */
static bool is_grant_of_code(const struct sentence *s)
{
	for (size_t i = 0; i + 1 < s->n; i++)
		if (!strcmp(s->v[i].text, "this") && !strcmp(s->v[i + 1].text, "grant"))
			return is_of_code(s);
	return false;
}

static bool is_operative(const struct sentence *s, bool is_owner)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].is_gone && !is_month(s, i) &&
		    (is_one(s->v[i].text, denials) || is_one(s->v[i].text, is_owner ? used : subjects) ||
		     (!is_owner && (is_of_another(s, i) || is_later(s, i) || s->v[i].is_foreign))))
			return true;
	return s->has_operative;
}

/* Is every word harmless, a name or a number? Where all are in capitals none is known to be a name. */
static bool is_understood(const struct sentence *s)
{
	if (!strcmp(at(s, 0), "spdx") && !strcmp(at(s, 1), "license"))	/* what stands in an expression is read as one */
		return true;
	for (size_t i = 0; i < s->n; i++) {
		const struct word *w = &s->v[i];
		bool is_led = !i && (s->n == 1 || s->v[1].is_proper || is_number(s->v[1].text) || is_name(s->v[1].text));	/* "Acme Labs" begins with one, too */

		if (!w->is_gone && !w->is_proper && !is_led && !is_name(w->text) && !is_number(w->text) && w->text[1] && !is_one(w->text, plain) && !is_one(w->text, harmless))
			return false;
	}
	return true;
}

/* Does it only name a licence? */
static bool only_names(const struct sentence *s)
{
	return is_plain(s) && !s->has_operative && !(is_of_code(s) && has_one(s, (words_list){ "appl*", "cover*", NULL }));
}

const char *licence_next_sentence(struct sentence *s, const char *p)
{
	const char *end = sentence_end(p);

	read_sentence(s, p, end);
	take_phrases(s);
	take_terms(s);
	return end;
}

bool licence_read_on(struct sentence *s, const char *end)
{
	if (!s->is_long)
		return false;
	read_words(s, s->more, end, true);
	take_phrases(s);
	take_terms(s);
	return true;
}

bool licence_says_nothing(const struct sentence *s)
{
	return only_names(s) || is_affirmed(s) || is_harmless(s);
}

/* --- the lines of owners, then the sentences of the rest ---------------------------------------------------------------------------------- */

/* Does the line say something of a licence that its name, or an owner's, does not: "(c) Acme and licensed under …"? */
static bool is_of_licence(const char *line, size_t n)
{
	return !strncasecmp(line, "spdx-license", 12) || (licence_is_of_owner(line) && memmem(line, n, "icen", 4));
}

/* Takes the lines away that name an owner or are a title. True: there is more in one. */
static bool take_lines(const char *left, char *marked, struct arena *a)
{
	bool has_terms = false;
	struct sentence s;

	for (size_t from = 0, to; left[from]; from = to + (left[to] != 0)) {
		size_t first = from + strspn(marked + from, LICENCE_LINE_MARKS);

		to = from + strcspn(left + from, "\n");
		if (first >= to || !licence_is_title(left + first, to - first, a) || is_of_licence(left + first, to - first))
			continue;
		read_sentence(&s, marked + first, marked + to);
		take_phrases(&s);
		has_terms |= licence_is_of_owner(left + first) ? is_operative(&s, true) : s.has_operative;
		memset(marked + from, ' ', to - from);
	}
	return has_terms;
}

bool licence_has_terms(const char *left, char *affirmed, struct arena *a)
{
	char *marked = licence_mark_names(left, a);
	bool has_terms = take_lines(left, marked, a);
	struct sentence s;

	for (const char *p = marked, *end; *p; p = end) {
		end = licence_next_sentence(&s, p);
		if (end > p && end[-1] == '?' && s.n) {	/* "MIT?" says nothing */
			has_terms = true;
			continue;
		}
		if (only_names(&s))
			continue;
		if (is_affirmed(&s) || is_harmless(&s))
			memset(affirmed + (p - marked), ' ', (size_t)(end - p));
		else
			has_terms |= is_operative(&s, false) || is_grant_of_code(&s) || !is_understood(&s);
	}
	return has_terms;
}
