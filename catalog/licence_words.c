/* licence_words.c - do the words behind a free licence take back commercial use? Clause by clause: a word that forbids counts for what stands in its own; see licence_table.h. */
#include <stdlib.h>

#include "base/str.h"
#include "catalog/licence_table.h"

#define CLAUSE_MAX 120	/* words; a longer one is read in pieces that overlap */
#define OVERLAP	   20
#define ASKED_MOST 4	/* words from "need not" to what need not be done */
#define NEAR	   12	/* words between what is forbidden and what forbids it */

typedef const char *const words_list[];

struct clause {
	const char *word[CLAUSE_MAX];	/* "" for what another word takes the sense of */
	size_t n;
};

static words_list denials = { "not", "no", "never", "nor", "neither", "cannot", "t", "prohibited", "prohibits", "prohibit", "forbidden", "forbids", "forbid", "disallowed", "disallows",
			      "excluded", "excludes", "excluding", "except", "banned", "illegal", "unlawful", "restricted", "denied", NULL };
/* Behind "not", "no" and "without": what is not forbidden, or not asked for. */
static words_list undone = { "prohibited", "forbidden", "restricted", "restrict", "prohibit", "forbid", "disallowed", "excluded", "limited", "required", "require", "requiring", "need", "needed", "necessary",
			     "restriction", "restrictions", "limit", "limits", "limitation", "limitations", "additional", "further", "extra", "special", "separate", "fee", "fees", "charge",
			     "cost", "cap", "caps", "only", "just", NULL };
static words_list asks = { "requires", "require", "required", "requiring", "need", "needs", "obtain", "acquire", "buy", "purchase", "request", "apply", "ask", "get", "pay", NULL };
static words_list asked_for = { "license", "licence", "licenses", "licences", "permission", "permissions", "agreement", "consent", "approval", "authorization", "authorisation", "contract",
				"subscription", "fee", NULL };
static words_list trade = { "business", "profit", "sold", "sell", "selling", "resold", "monetize", "monetise", NULL };
/* Commercial as these are, using the model is no part of it. */
static words_list beside_use = { "advertising", "advertisement", "advertisements", "ads", "ad", "promotion", "support", "request", "requests", "damage", "damages", "loss", "losses", "item", "items",
				 "computer", "entity", "entities", "inquiry", "inquiries", "enquiry", "enquiries", "partnership", "partnerships", "collaboration", "collaborations", "cooperation", NULL };
static words_list kept = { "keep", "retain", "include", "reproduce", "preserve", NULL };
/* What a model is, beside its code, and what a licence does with it. */
static words_list models = { "model", "models", "weights", "checkpoint", "checkpoints", NULL };
static words_list closed = { "proprietary", "reserved", NULL };
static words_list governs = { "license", "licence", "licensed", "applies", "apply", "covers", "cover", "covered", "governs", "apache", "mit", "bsd", NULL };
/* From "not" to the weights: "does not extend to the model weights"; and from "only" to the code. */
static words_list leads = { "extend", "include", "cover", "apply", "govern", "applies", "covers", "governs", "to", "for", "the", "its", "our", "their", "these", "this", "any", "model", "trained",
			    "released", "source", NULL };
static words_list weights = { "weights", "checkpoint", "checkpoints", NULL };
static words_list left_out = { "not", "t", "except", "excluding", "but", "minus", "besides", NULL };
static words_list everything = { "everything", "anything", "all", NULL };
static words_list names = { "trademark", "trademarks", "mark", "marks", "logo", "logos", "name", "names", "brand", "brands", NULL };
static words_list allowed = { "allowed", "permitted", "welcome", "fine", "ok", "okay", "free", "granted", "encouraged", "possible", NULL };
static words_list circles = { "academic", "academia", "academics", "research", "researchers", "students", "scholars", "educational", "education", "educators", "evaluation", "personal", "nonprofit", "scientific", "teaching", "noncommercial", NULL };
static words_list uses = { "use", "uses", "usage", "purpose", "purposes", "and", "or", "work", "works", "activities", "projects", "institutions", "institution", "organizations", "development",
			   "experimentation", "testing", "demonstration", "study", NULL };
static words_list solely = { "only", "solely", "exclusively", "purely", "strictly", NULL };
static words_list on_the_way = { "for", "be", "is", "are", "used", "use", "usable", "in", "to", "within", "your", "own", "permitted", "allowed", "intended", "licensed", "available", "and", "or", NULL };
static words_list other_sense = { "a", "an", "the", "available", "partially", "partly", NULL };

static bool is_one(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static const char *at(const struct clause *c, size_t i)
{
	return i < c->n ? c->word[i] : "";
}

static bool is_either(const char *word, const char *one, const char *other)
{
	return !strcmp(word, one) || !strcmp(word, other);
}

/* "Not necessary to request a license": what need not be done is not asked for. */
static void undo_asked(struct clause *c, size_t from)
{
	for (size_t i = from; i < c->n && i < from + ASKED_MOST; i++)
		if (is_one(c->word[i], asks)) {
			c->word[i] = "";
			return;
		}
}

/* "not prohibited", "no further …", "requires no …" forbid nothing and ask for nothing. True: there is a "not limited" or the like. */
static bool undo(struct clause *c)
{
	bool is_wide = false;

	for (size_t i = 0; i < c->n; i++) {
		bool is_no = !strcmp(c->word[i], "no");

		if (!is_no && !is_either(c->word[i], "not", "without") && strcmp(c->word[i], "t") != 0)
			continue;
		for (size_t k = i + 1, most = i + (is_one(at(c, i + 1), asked_for) ? 3 : 2); k < c->n && k <= most; k++)
			if (is_one(c->word[k], undone)) {
				is_wide |= is_either(c->word[k], "limited", "restricted") || is_either(c->word[k], "only", "just");
				if (is_either(c->word[k], "need", "necessary") || is_either(c->word[k], "needed", "required"))
					undo_asked(c, k + 1);
				c->word[i] = c->word[k] = "";
			}
		if (is_no && i && is_one(c->word[i - 1], asks))
			c->word[i] = c->word[i - 1] = "";
	}
	return is_wide;
}

static bool is_commerce(const struct clause *c, size_t i)
{
	return str_starts(c->word[i], "commercial") && !is_one(at(c, i + 1), beside_use);
}

/* A "place of business" or "its primary business" is where somebody is. */
static bool is_trade(const struct clause *c, size_t i)
{
	bool is_place = i > 1 && ((!strcmp(c->word[i - 1], "of") && str_starts(c->word[i - 2], "place")) || is_either(c->word[i - 1], "primary", "principal"));

	return is_one(c->word[i], trade) && !(is_place && !strcmp(c->word[i], "business"));
}

/* Is it said right behind it, and without a "not", that it may be? */
static bool is_affirmed(const struct clause *c, size_t i)
{
	for (size_t k = i > 3 ? i - 3 : 0; k < i + 6 && k < c->n; k++) {
		if (k != i && is_one(c->word[k], denials))
			return false;
		if (k > i && is_one(c->word[k], allowed))
			return is_one(at(c, k + 1), solely) == false;
	}
	return false;
}

/* "use the names of … for": what may not be used is a name. */
static bool is_of_names(const struct clause *c)
{
	for (size_t k = 0; k < c->n; k++) {
		if (!is_one(c->word[k], names))
			continue;
		for (size_t i = k, steps = 0; i-- > 0 && steps < 4 && !is_either(c->word[i], "and", "or"); steps++)
			if (!strcmp(c->word[i], "use"))
				return true;
		if (k <= 2)
			return true;
	}
	return false;
}

static bool is_denied(const struct clause *c, size_t i)
{
	for (size_t k = i > NEAR ? i - NEAR : 0; k < c->n && k <= i + NEAR; k++)
		if (is_one(c->word[k], denials))
			return true;
	return false;
}

/* Does it ask for a licence or the like, and not for this one to be kept? */
static bool is_to_be_asked_for(const struct clause *c, bool is_of_commerce)
{
	for (size_t i = 0; i < c->n; i++) {
		bool is_sale = is_either(c->word[i], "buy", "purchase") || !strcmp(c->word[i], "pay");

		if (is_of_commerce && !strcmp(c->word[i], "contact"))
			return true;
		if (!is_one(c->word[i], asks) || (!is_of_commerce && !is_sale))
			continue;
		for (size_t k = i + 1; k < c->n && k <= i + NEAR && !is_one(c->word[k], kept); k++)
			if (is_one(c->word[k], asked_for) && !is_either(c->word[k - 1], "this", "the") && strcmp(c->word[k - 1], "no") != 0)
				return true;
	}
	return false;
}

/* "research use only", and not "the evaluation only covers English". */
static bool ends_in_only(const struct clause *c, size_t i)
{
	for (i++; is_one(at(c, i), uses) || is_one(at(c, i), circles); i++)
		;
	const char *behind = at(c, i + 1);
	size_t n = strlen(behind);

	return is_one(at(c, i), solely) && !is_one(behind, other_sense) && (!n || behind[n - 1] != 's' || is_one(behind, uses));
}

/* "only for research", "limited to academic use". */
static bool begins_with_only(const struct clause *c, size_t i)
{
	const char *behind = at(c, i + 1);

	if (*behind && !is_one(behind, uses) && !is_one(behind, on_the_way) && !is_one(behind, circles))
		return false;
	for (size_t k = i; k-- > 0 && k + 6 > i;) {
		if (is_one(c->word[k], solely) || (is_either(c->word[k], "limited", "restricted") && !strcmp(at(c, k + 1), "to")))
			return true;
		if (!is_one(c->word[k], on_the_way) && !is_one(c->word[k], circles))
			return false;
	}
	return false;
}

/* Nothing but "for personal use". */
static bool is_all(const struct clause *c, size_t i)
{
	return i == 1 && !strcmp(c->word[0], "for") && !strcmp(c->word[1], "personal") && c->n == 3 && !strcmp(c->word[2], "use");
}

static bool has_phrase(const struct clause *c, const char *one, const char *two, const char *three)
{
	for (size_t i = 0; i + 2 < c->n; i++)
		if (!strcmp(c->word[i], one) && !strcmp(c->word[i + 1], two) && !strcmp(c->word[i + 2], three))
			return true;
	return false;
}

static bool has_one(const struct clause *c, size_t from, size_t to, const char *const *list)
{
	for (size_t i = from; i < c->n && i < to; i++)
		if (is_one(c->word[i], list))
			return true;
	return false;
}

static size_t behind_leads(const struct clause *c, size_t i)
{
	for (i++; is_one(at(c, i), leads); i++)
		;
	return i;
}

/* "code only", "only the code", "only applies to the source code". */
static bool is_code_alone(const struct clause *c, size_t i)
{
	if (is_one(at(c, i), solely))
		return !strcmp(at(c, behind_leads(c, i)), "code");
	return !strcmp(at(c, i), "code") && is_one(at(c, i + 1), solely);
}

/* "applies to the code only", "the weights are proprietary", "the code, not the weights": the model is under something else. Behind "but" a clause begins. */
static bool is_of_code_alone(const struct clause *c)
{
	bool is_of_model = has_one(c, 0, c->n, models), is_of_licence = has_one(c, 0, c->n, governs);

	if (is_of_model && has_one(c, 0, c->n, closed))
		return true;
	for (size_t i = 0; i < c->n; i++) {
		bool is_out = is_one(c->word[i], left_out) && is_one(at(c, behind_leads(c, i)), weights);

		if ((is_out && (!i || is_of_licence || is_one(c->word[i - 1], everything))) || (is_of_licence && is_code_alone(c, i)))
			return true;
		if (is_of_model && is_either(c->word[i], "not", "t") && has_one(c, i + 1, i + 3, governs))
			return true;
	}
	return false;
}

static bool clause_restricts(struct clause *c)
{
	bool is_wide = undo(c), is_of_commerce = false, is_of_trade = false;

	if (has_phrase(c, "monthly", "active", "users") || is_of_code_alone(c))
		return true;
	for (size_t i = 0; i < c->n; i++) {
		bool is_commercial = is_commerce(c, i);

		is_of_commerce |= is_commercial;
		is_of_trade |= is_trade(c, i);
		if ((is_commercial || is_trade(c, i)) && !is_affirmed(c, i) && !is_of_names(c) && is_denied(c, i))
			return true;
	}
	if (is_to_be_asked_for(c, is_of_commerce || is_of_trade))
		return true;
	if (is_of_commerce || is_wide || has_phrase(c, "this", "alternative", "is"))	/* the latter: the GPL's, of offers of source */
		return false;
	for (size_t i = 0; i < c->n; i++)
		if (str_starts(c->word[i], "noncommercial") || (is_one(c->word[i], circles) && (ends_in_only(c, i) || begins_with_only(c, i) || is_all(c, i))))
			return true;
	return false;
}

/* One more word: "non commercial" is one. */
static void add(struct clause *c, const char *word)
{
	const char *last = c->n ? c->word[c->n - 1] : "";

	if (!strcmp(last, "non") && str_starts(word, "commercial"))
		c->word[c->n - 1] = "noncommercial";
	else if (!strcmp(last, "non") && !strcmp(word, "profit"))
		c->word[c->n - 1] = "nonprofit";
	else
		c->word[c->n++] = word;
}

/* Is the clause at its end? Behind "but" stands another one, but for "including but not limited to" and "everything but". */
static bool is_end(const struct clause *c, const char *word, const char *next)
{
	bool is_joined = str_starts(next, "not limited") || (c->n && is_one(c->word[c->n - 1], everything));

	return !strcmp(word, ".") || (!strcmp(word, "but") && !is_joined);
}

bool licence_restricts(char *words)
{
	struct clause c = { .n = 0 };
	char *save = NULL;

	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		bool ends = is_end(&c, word, save ? save : ""), is_full = c.n == CLAUSE_MAX;

		if ((ends || is_full) && clause_restricts(&c))
			return true;
		if (is_full)
			memmove(c.word, c.word + CLAUSE_MAX - OVERLAP, OVERLAP * sizeof(*c.word));
		c.n = ends ? 0 : is_full ? OVERLAP : c.n;
		if (!ends)
			add(&c, word);
	}
	return clause_restricts(&c);
}
