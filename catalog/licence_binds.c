/*
 * licence_binds.c - does a card's word on its licence bind whoever uses the model to more than a free licence does? A card says much that needs not be understood, so here, other
 * than beside a text (licence_terms.c), a sentence must do something known: deny a use, keep it to some, ask for something in return, set conditions for commerce, or be under
 * terms of another name. What thanks, credits, disclaims or points at the law is let be; see licence_table.h.
 */
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_sentence.h"

#define PIECE_MOST ((size_t)16 << 10)	/* bytes in which names are looked for together */
#define REACH	   6			/* words between a denial and what it denies */
#define TERMS_MOST 14			/* words from "subject to" to the terms that are meant */
#define HEADING_MOST 200
#define ITEM_MOST  8			/* words of a licence's name that is all of a line */

static words_list denials = { "not", "no", "never", "nor", "neither", "cannot", "except", "excluding", "*n't", NULL };
static words_list bans = { "prohibit*", "forbid*", "disallow*", "banned", NULL };
/* Behind a denial: it is none of a use. */
static words_list no_denial = { "just", "only", "limited", "restrict*", "limit", "necessarily", "need*", "require*", "oblig*", "prohibit*", "forbid*", "disallow*", "prevent",
	"fee", "fees", "cost", "charge", "further", "additional", "hesitate", "claim*", "compliance", "impl*", "guarantee*", NULL };
static words_list permits = { "allow*", "permit*", "authori*", "grant*", "licensed", "acceptable", NULL };
static words_list acts = { "use", "uses", "used", "using", "usage", "distribut*", "redistribut*", "share", "shared", "sharing", "host", "hosted", "hosting", "serve", "served",
	"serving", "merge*", "merging", "offer*", "sell", "selling", "sold", "resell*", "resale", "resold", "sale", "deploy*", "mirror*", "upload*", "reupload*", "publish",
	"sublicens*", "modify", "modification*", "alter", "derivative*", "copy", "copies", "copied", "reproduc*", "exploit*", "monetiz*", "monetis*", "compet*", "distill*",
	"access*", "download*", "train", "commercial*", "military", "weapon*", "surveillance", "production", NULL };
/* Acts that a licence is about wherever they are denied, be it below "Usage": whether it is good for production is said of the model. */
static words_list grave_acts = { "redistribut*", "distribute", "resell*", "resale", "resold", "sublicens*", "commercial*", "reupload*", "monetiz*", "monetis*", "host", "hosting", "hosted", NULL };
static words_list uses = { "use", "uses", "used", "using", "usage", NULL };
/* Said of what was, or is, done with it: "was not used". */
static words_list facts = { "was", "were", "has", "have", "had", "did", "does", "is", "are", "i", "we", "should", "doesn't", "isn't", "aren't", "wasn't", "weren't", "hasn't",
	"haven't", "hadn't", "didn't", "shouldn't", NULL };
static words_list solely = { "only", "solely", "exclusively", "strictly", "purely", NULL };
/* Users and uses that are some of all. */
static words_list circles = { "academ*", "research*", "personal", "private", "internal", "hobby*", "education*", "student*", "universit*", "institution*", "individual*",
	"nonprofit*", "noncommercial*", "startup*", "scientist*", "teacher*", "customer*", "member*", "partner*", "employee*", "subscriber*", "evaluation", "testing",
	"scholar*", "school*", "company", "companies", "organi*", "citizen*", "resident*", NULL };
/* What it may be kept to, beside these; the letters are those of R&D. */
static words_list purposes = { "development", "experiment*", "prototyp*", "demo", "demos", "demonstration*", "test", "learning", "study", "institut*", "r", "d", "and", "or", "use", "uses", "purpose",
	"purposes", NULL };
static words_list everyone = { "any", "all", "anyone", "everyone", "everybody", "both", "companies", "commercial*", "business*", "enterprise*", "industr*", "developers",
	"practitioners", "product*", "community", "whatever", NULL };
static words_list on_the_way = { "for", "to", "by", "within", "in", "be", "is", "are", "the", "a", "our", "your", "own", "available", "allowed", "permitted", "licensed",
	"granted", "intended", "meant", "of", "charge", "use", "used", "small", NULL };
static words_list wants = { "must", "shall", "need", "needs", "needed", "require", "requires", "required", "requiring", "obtain", "request", "apply", "acquire", "ask", NULL };
static words_list wanted = { "permission*", "consent", "approval", "regist*", "fee", "fees", "pay", "payment*", "royalt*", "subscri*", "application", "contract*", "purchas*",
	"buy", NULL };
static words_list conditions = { "revenue*", "turnover", "regist*", "application", "form", "contact*", "fewer", "less", "exceed*", "criteria", "approval",
	"permission*", "consent", "fee", "fees", "pay*", "royalt*", "pric*", "subscri*", "request*", "purchas*", "separate*", "otherwise", "reserve*", "dau", "mau",
	"threshold*", NULL };
/* The same, unless it is a notice that is asked for. */
static words_list loose_conditions = { "condition*", "retain*", NULL };
/* What lets the one who is asked do as he would under any free licence; what is said of the law, of marks and of warranty. */
static words_list duties = { "notice*", "attribut*", "credit*", "cite", "cites", "cited", "citing", "citation*", "acknowledg*", "same", "source", "changes", NULL };
static words_list remarks = { "law", "laws", "illegal*", "unlawful*", "lawful*", "regulation*", "trademark*", "logo*", "brand*", "warrant*", "liab*", "responsib*", "guarantee*",
	"endors*", "guideline*", NULL };
static words_list wrongs = { "infring*", "misappropriat*", "violat*", NULL };
static words_list no_remark = { "military", "weapon*", "surveillance", "government*", "enforcement", "compan*", "fee", "fees", "pay*", "permission*", "consent", "regist*",
	"revenue*", "internal", "academ*", "research*", "student*", "compet*", "sell", "commercial*", "redistribut*", NULL };

static bool is_first(const struct sentence *s, size_t from, size_t to, const char *const *list)
{
	for (size_t i = from; i < to && i < s->n; i++)
		if (!s->v[i].is_gone && is_one(s->v[i].text, list))
			return true;
	return false;
}

static bool is_denial(const struct sentence *s, size_t i)
{
	return !s->v[i].is_gone && is_one(s->v[i].text, denials);
}

static bool is_denied_before(const struct sentence *s, size_t i)
{
	return is_first(s, i > 3 ? i - 3 : 0, i, denials) || is_first(s, i > 3 ? i - 3 : 0, i, (words_list){ "without", NULL });
}

/* "The data was not used", "we don't share": what somebody did, or does. "Is not to be used" and "does not permit" are none. */
static bool is_fact(const struct sentence *s, size_t i)
{
	bool is_told = is_one(s->v[i].text, facts) || is_first(s, i > 2 ? i - 2 : 0, i, facts);

	return is_told && !is_first(s, i + 1, i + 3, permits) && !is_one(at(s, i + 1), (words_list){ "to", "for", "available", "free", NULL });
}

/* --- denials --------------------------------------------------------------------------------------------------------------------------- */

/* "You may not use this file except in compliance with the License": with it one may. */
static bool is_but_in_compliance(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].text, "except") && is_first(s, i + 1, i + 3, (words_list){ "compliance", "according", NULL }))
			return true;
	return false;
}

/* Is the word at k one of the acts, which that at i denies? "Can't be hosted on a small GPU" is of what it can do, and below "Usage" (is_aside) no act. */
static bool is_act(const struct sentence *s, size_t i, size_t k, bool is_aside)
{
	bool is_of_host = !strncmp(s->v[k].text, "host", 4);

	if (is_aside && is_of_host && is_one(s->v[i].text, (words_list){ "cannot", "*n't", NULL }))
		return false;
	return is_one(s->v[k].text, is_aside ? grave_acts : acts) && !is_one(at(s, k + 1), (words_list){ "cap", "caps", "limit*", "restriction*", "fee", "fees", NULL });
}

/* "You may not share it", "no redistribution", "redistribution is not permitted", "use by X is prohibited". */
static bool denies(const struct sentence *s, bool is_aside)
{
	if (is_but_in_compliance(s))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		if (is_one(s->v[i].text, bans) && !is_denied_before(s, i) && (!is_aside || has_one(s, grave_acts)))
			return true;
		if (!is_denial(s, i) || is_fact(s, i))
			continue;
		if (is_first(s, i + 1, i + 3, permits) && has_one(s, is_aside ? grave_acts : acts))
			return true;
		for (size_t k = i + 1; k < s->n && k <= i + REACH && !is_one(s->v[k].text, no_denial); k++)
			if (is_act(s, i, k, is_aside))
				return true;
	}
	return false;
}

/* "For research and development only": all that stands between "for" and "only", or before it, is what it is kept to. */
static bool is_behind_purpose(const struct sentence *s, size_t i)
{
	size_t k = i;

	while (k && (is_one(s->v[k - 1].text, circles) || is_one(s->v[k - 1].text, purposes)))
		k--;
	return k < i && i + 1 == s->n && (!k || !strcmp(s->v[k - 1].text, "for"));
}

/* Is "only" at i behind what it is about: "internal use only", "for students only"? */
static bool is_behind_circle(const struct sentence *s, size_t i)
{
	static words_list open = { "for", "the", "to", "can", "may", "you", "its", "of", "and", "we", NULL };
	bool ends = i + 1 == s->n || is_one(at(s, i + 1), (words_list){ "and", "or", "under", "unless", "with", NULL });
	bool is_use = i > 1 && is_one(s->v[i - 1].text, (words_list){ "use", "uses", "usage", "purpose", "purposes", NULL }) && !is_one(s->v[i - 2].text, open);

	return i && ends && (is_use || is_one(s->v[i - 1].text, circles) || (i + 1 == s->n && !is_name(s->v[i - 1].text) && is_first(s, 0, i, acts)));
}

/* Or before it: "only for internal use", "may only be used for", "only available to members"? */
static bool is_before_circle(const struct sentence *s, size_t i)
{
	bool is_may = i && is_one(s->v[i - 1].text, (words_list){ "may", "can", "must", "shall", NULL });
	bool is_used = i > 1 && !strcmp(s->v[i - 1].text, "used") && !strcmp(s->v[i - 2].text, "be");
	size_t k = i + 1;

	if (is_may && is_one(at(s, k + !strcmp(at(s, k), "be")), acts))
		return true;
	for (size_t may = k; !i && may <= REACH; may++)	/* "Only members may use it" */
		if (is_one(at(s, may), (words_list){ "may", "can", NULL }) && is_one(at(s, may + 1), acts))
			return true;
	if (is_used && is_one(at(s, k), (words_list){ "for", "by", "in", "within", "as", NULL }))
		return true;
	while (k < s->n && k <= i + REACH && is_one(s->v[k].text, on_the_way))
		k++;
	return k > i + 1 && is_one(at(s, k), circles) && !has_one(s, (words_list){ "community", NULL });
}

/* "Only", "limited to". */
static bool is_only(const struct sentence *s, size_t i)
{
	return is_one(s->v[i].text, solely) || (is_one(s->v[i].text, (words_list){ "limited", "restricted", "reserved", NULL }) && is_one(at(s, i + 1), (words_list){ "to", "for", NULL }));
}

static bool keeps_to_some(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_only(s, i) && (is_behind_circle(s, i) || is_behind_purpose(s, i) || is_before_circle(s, i)) && !is_denied_before(s, i))
			return true;
	return false;
}

/* "Free for individuals and small companies", "students may use it": the others are not named. */
static bool is_for_some(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_one(s->v[i].text, everyone) && !(i && is_one(s->v[i - 1].text, (words_list){ "small", "certain", "some", NULL })))
			return false;
	for (size_t i = 0; i < s->n; i++) {
		bool is_free = is_one(s->v[i].text, (words_list){ "free", "gratis", "granted", "allowed", "permitted", NULL });
		size_t k = i + 1;

		while (is_free && k < s->n && k <= i + REACH && is_one(s->v[k].text, on_the_way))
			k++;
		if (is_free && k > i + 1 && is_one(at(s, k), circles))
			return true;
		if (!strcmp(s->v[i].text, "by") && is_one(at(s, i + 1), circles) && is_first(s, i > 4 ? i - 4 : 0, i, (words_list){ "used", "usable", NULL }))
			return true;
		for (k = i + 1; i < 4 && is_one(s->v[i].text, circles) && k <= i + REACH; k++)
			if (is_one(at(s, k), (words_list){ "may", "can", NULL }) && is_one(at(s, k + 1), acts))
				return true;
	}
	return false;
}

/* --- what is asked in return ------------------------------------------------------------------------------------------------------------- */

static bool is_licence(const char *word)
{
	return is_one(word, (words_list){ "license", "licence", "licenses", "licences", NULL });
}

static bool is_terms(const char *word)
{
	return is_licence(word) || is_one(word, (words_list){ "agreement", "agreements", "policy", "policies", "terms", "eula", "addendum", NULL });
}

/* "A commercial license", where another one is asked for. */
static bool is_another_licence(const struct sentence *s, size_t k)
{
	return k && is_licence(s->v[k].text) && is_one(s->v[k - 1].text, (words_list){ "a", "an", "separate", "commercial", "another", "paid", "special", "enterprise", NULL });
}

/* "Companies must obtain a license". */
static bool asks_for_licence(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = i + 1; is_one(s->v[i].text, wants) && !is_denied_before(s, i) && k < s->n && k <= i + 2 + REACH; k++)
			if (is_another_licence(s, k))
				return true;
	return false;
}

/* Is it of what is offered beside the model: "our hosted API has usage fees"? */
static bool is_of_service(const struct sentence *s)
{
	return has_one(s, (words_list){ "api", "demo", "playground", "endpoint*", "inference", NULL }) &&
	       !has_one(s, (words_list){ "model", "models", "weights", "checkpoint*", "commercial*", "use", "compan*", NULL });
}

/* "Others need a license", "must register first", "licensing is available on request". */
static bool asks(const struct sentence *s)
{
	bool is_of_licence = has_one(s, (words_list){ "licens*", "licenc*", "commercial*", "use", "usage", "access", NULL });

	for (size_t i = 0; i < s->n; i++) {
		const char *word = s->v[i].text;
		bool is_behind = is_one(word, (words_list){ "on", "upon", "after", NULL }) && is_of_licence;

		if (is_one(word, (words_list){ "royalty", "royalties", "chargeable", "fee", "fees", NULL }) && strcmp(at(s, i + 1), "free") != 0 && !is_denied_before(s, i))
			return true;
		if (is_behind && is_first(s, i + 1, i + 3, (words_list){ "request", "application", "registration", "approval", "payment", "permission", NULL }) &&
		    !has_one(s, (words_list){ "code", "questions", "data", NULL }))
			return true;
		if (!is_one(word, wants) || is_denied_before(s, i))
			continue;
		for (size_t k = i + 1; k < s->n && k <= i + 2 + REACH; k++)
			if ((is_one(s->v[k].text, wanted) && strcmp(s->v[k - 1].text, "no") != 0) || is_another_licence(s, k))
				return true;
		if (is_one(word, (words_list){ "required", "needed", NULL }) && is_first(s, i > 3 ? i - 3 : 0, i, wanted) && !is_first(s, 0, i, denials))
			return true;
	}
	return false;
}

/* "Under 1M", "up to 100": a limit, and no licence. */
static bool is_limit(const struct sentence *s, size_t i)
{
	size_t k = i + 1 + (!strcmp(s->v[i].text, "up") && !strcmp(at(s, i + 1), "to"));

	return is_one(s->v[i].text, (words_list){ "under", "below", "over", "above", "up", "than", "within", NULL }) && is_number(at(s, k)) && !is_licence(at(s, k + 1));
}

static words_list beside_commerce = { "support", "friendly", "applications", "inquir*", "enquir*", "partnership*", "collaboration*", "cooperation", NULL };

/* Is commerce spoken of with a condition, or a licence of its own for it? */
static bool conditions_commerce(const struct sentence *s)
{
	bool is_of_commerce = false, has_condition = false;

	for (size_t i = 0; i < s->n; i++) {
		const char *word = s->v[i].text;
		bool is_condition = is_one(word, conditions) || is_limit(s, i) || (is_one(word, loose_conditions) && !has_one(s, duties));

		if (is_one(word, (words_list){ "commercial*", NULL }) && !is_one(at(s, i + 1), beside_commerce)) {
			is_of_commerce = true;
			if (!strcmp(word, "commercial") && (is_terms(at(s, i + 1)) || !strcmp(at(s, i + 1), "licensing")) && !is_denied_before(s, i))
				return true;
		}
		has_condition |= !s->v[i].is_gone && !is_denied_before(s, i) && is_condition;
	}
	return is_of_commerce && has_condition;
}

/* --- other terms ------------------------------------------------------------------------------------------------------------------------- */

/* Are the terms at k those of a licence that is named, of this one, or of what the model was made from, which is asked for its own? */
static bool are_known_terms(const struct sentence *s, size_t k)
{
	static words_list own = { "the", "this", "these", "its", "their", "same", "above", "following", "that", "a", "an", "base", "original", "upstream", "respective",
		"corresponding", "relevant", "underlying", "parent", "own", "open", "source", "permissive", "free", "all", "of", "and", "or", "privacy", "under", "to", "by",
		"with", "any", "txt", "md", "see", "dataset*", "data", "both", "full", "software", "version", "v", NULL };
	size_t version = k > 1 && is_number(s->v[k - 1].text);	/* "the MNPL-0.1 license" is as its name says */
	const char *before = k ? s->v[k - 1 - version].text : "";
	bool is_of_use = !strcmp(at(s, k + 1), "of") && is_one(at(s, k + 2), (words_list){ "use", "service", "services", NULL });

	if (s->v[k].is_gone || !*before || is_terms(before) || is_number(before))
		return true;
	for (size_t i = k > 3 ? k - 3 : 0; i <= k + 4 && i < s->n; i++)
		if (is_name(s->v[i].text) && (i < k || is_one(at(s, k + 1), (words_list){ "of", "for", NULL })))
			return true;
	if (is_licence(s->v[k].text) || (is_one(at(s, k + 1), (words_list){ "of", "and", "above", NULL }) && !is_of_use))
		return is_one(before, own) || (k > 1 && is_one(before, (words_list){ "model", "model's", "project", "repository", NULL }) &&
					       is_one(s->v[k - 2].text, (words_list){ "base", "original", "this", "upstream", "parent", "underlying", NULL }));
	return is_one(before, (words_list){ "these", "those", "its", "following", "privacy", "same", "license", "contributor", "face", "huggingface", NULL });
}

static bool leads_to_terms(const struct sentence *s, size_t i)
{
	const char *word = s->v[i].text, *next = at(s, i + 1);

	if (is_one(word, (words_list){ "subject", "adher*", "agree", "agrees", "agreeing", "bound", "according", NULL }))
		return is_one(next, (words_list){ "to", "by", NULL });
	if (is_one(word, (words_list){ "governed", "abide", NULL }))
		return !strcmp(next, "by");
	if (!strcmp(word, "follow") && i)
		return is_one(s->v[i - 1].text, (words_list){ "must", "shall", NULL }) || (i > 1 && !strcmp(s->v[i - 1].text, "to") && is_one(s->v[i - 2].text, wants));
	return is_one(word, (words_list){ "comply", "complies", "complying", "compliance", "accordance", "accept", "accepting", NULL });
}

/* "Use of the weights is subject to the Model License", "released under the Acme License". */
static bool is_under_others(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++) {
		bool is_led = leads_to_terms(s, i), is_under = !strcmp(s->v[i].text, "under");

		for (size_t k = i + 1; (is_led || is_under) && k < s->n && k <= i + TERMS_MOST; k++)
			if (is_terms(s->v[k].text) && !are_known_terms(s, k) && (is_led || (s->v[k - 1].is_proper && k > i + 1)))
				return true;
		if (i && is_licence(s->v[i].text) && s->v[i - 1].is_proper && is_one(at(s, i + 1), (words_list){ "applies", "apply", "governs", NULL }) &&
		    !are_known_terms(s, i))
			return true;
	}
	return false;
}

/* "`Ovis2.5-9B/LICENSE`", "[Ovis LICENSE](LICENSE)": a file, or what leads to one. */
static bool is_of_file(const char *raw, size_t n)
{
	static const char name[] = "LICENSE";
	const char *at = memmem(raw, n, name, sizeof(name) - 1);

	return at && ((at > raw && at[-1] == '/') || at[sizeof(name) - 1] == ']');
}

/* "Jamba Open Model License" and nothing else. */
static bool is_other_name(const struct sentence *s, const char *raw, size_t n)
{
	static words_list shown = { "view", "read", "see", "show", "get", "check", "full", "model", "models", "project", "code", "weights", "acknowledge", "accept", "software",
		"open", "source", "public", "the", "this", "our", "permissive", "user", "free", "base", "data*", "attribution", "about", NULL };
	size_t end = s->n;

	if (end && (is_number(at(s, end - 1)) || !strncmp(at(s, end - 1), "v", 1)))
		end--;
	if (end < 2 || end > ITEM_MOST || memchr(raw, '#', n) || memchr(raw, '|', n > 1 ? n - 2 : 0) || is_of_file(raw, n) || is_one(s->v[0].text, shown))
		return false;
	for (size_t i = 1; i < end; i++)
		if (!s->v[i].is_proper || is_name(s->v[i].text))
			return false;
	return !is_name(s->v[0].text) && (is_licence(s->v[end - 1].text) || !strcmp(s->v[end - 1].text, "agreement"));
}

/* "It is not necessary to submit a request." */
static bool asks_nothing(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_denial(s, i) && is_first(s, i + 1, i + 4, (words_list){ "necessary", "required", "needed", "need", "needs", "require", "requires", NULL }))
			return true;
	return false;
}

/* --- a text --------------------------------------------------------------------------------------------------------------------------------- */

/* Of the law alone: "you must not use it in a manner that infringes any third party's rights". */
static bool is_of_wrongs(const struct sentence *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_one(s->v[i].text, acts) && !is_one(s->v[i].text, uses))
			return false;
	return has_one(s, wrongs) && !has_one(s, (words_list){ "agreement*", "terms", "polic*", "eula", NULL });
}

/* Says it no more than any free licence, or the law, does? */
static bool is_let_be(const struct sentence *s)
{
	static words_list ifs = { "must", "provided", "long", "required", "requires", "require", "if", "without", "unless", "except", NULL };
	bool is_duty = has_one(s, duties) && (has_one(s, ifs) || !has_one(s, denials));

	return (is_duty || has_one(s, remarks) || is_of_wrongs(s)) && !has_one(s, no_remark);
}

/* What a part of a text is: the licence's own words, what is below a heading of something else, or a heading. */
enum part { OWN, ASIDE, TITLE };

/* Of what is about something else only what a licence is about everywhere. */
static bool binds_aside(const struct sentence *s)
{
	bool is_of_model = has_one(s, (words_list){ "model", "models", "weights", "checkpoint*", "use", NULL });

	return !is_let_be(s) && (denies(s, true) || asks_for_licence(s) || (is_of_model && is_under_others(s)));
}

/* Of a heading no more than a whole sentence would say: "Prohibited uses" says nothing yet. */
static bool title_binds(const struct sentence *s)
{
	bool is_nothing = has_one(s, bans) && !has_one(s, (words_list){ "is", "are", NULL });

	return !is_let_be(s) && !is_nothing && (denies(s, false) || keeps_to_some(s));
}

static bool binds(const struct sentence *s, const char *raw, size_t n, enum part part, bool is_prompt)
{
	bool is_of_marks = has_one(s, (words_list){ "trademark*", "logo*", NULL }) && !has_one(s, (words_list){ "model", "models", "weights", NULL });

	if (licence_says_nothing(s) || is_of_marks)
		return false;
	if (part != OWN)
		return !is_prompt && (part == ASIDE ? binds_aside(s) : title_binds(s));
	if (is_under_others(s) || is_other_name(s, raw, n))
		return true;
	if (is_prompt || is_let_be(s))
		return false;
	if (denies(s, false) || is_for_some(s))
		return true;
	return !is_of_service(s) && (keeps_to_some(s) || (!asks_nothing(s) && (conditions_commerce(s) || asks(s))));
}

/* --- its parts ------------------------------------------------------------------------------------------------------------------------------ */

static bool has_any(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcasestr(text, *list))
			return true;
	return false;
}

/* A cross says no of what stands on its line. */
static bool is_crossed_out(const char *line)
{
	static words_list crosses = { "\xe2\x9d\x8c", "\xe2\x9c\x97", "\xe2\x9c\x98", "\xe2\x9c\x96", "\xe2\x9b\x94", "\xf0\x9f\x9a\xab", NULL };
	static words_list ticks = { "\xe2\x9c\x85", "\xe2\x9c\x94", "\xe2\x9c\x93", NULL };

	return strcasestr(line, "commercial") && has_any(line, crosses) && !has_any(line, ticks);
}

static bool has_crossed_out(char *text)
{
	bool is_crossed = false;

	for (char *line = text, *end; *line && !is_crossed; line = end + (*end != 0)) {
		char mark = *(end = line + strcspn(line, "\n"));

		*end = 0;
		is_crossed = is_crossed_out(line);
		*end = mark;
	}
	return is_crossed;
}

/* Does a heading within the section begin what is about something else? */
static bool is_aside(const char *heading, size_t n)
{
	static words_list others = { "usage", "cit", "contact", "acknowledg", "limitation", "training", "evaluation", "install", "quick", "how", "example", "benchmark",
		"result", "reference", "bias", "risk", "faq", "about", "data", "support", "changelog", "bibtex", "intended", "disclaimer", NULL };
	static words_list own = { "restrict", "terms", "rules", "condition", "policy", "licen", "you may", "commercial", NULL };
	char line[HEADING_MOST];

	snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), heading);
	for (size_t i = 0; others[i]; i++)
		if (!strncasecmp(line + strspn(line, "# *_"), others[i], strlen(others[i])))
			return !has_any(line, own);
	return false;
}

/* Is the line at p marked as a heading, or the next one its underline? Where it ends, else NULL. */
static const char *heading_end(const char *p)
{
	const char *end = p + strcspn(p, "\n"), *next = end + (*end != 0);
	size_t n = strspn(next, "=-");

	return *p == '#' || (end > p && n > 2 && strchr("\r\n", next[n])) ? end : NULL;
}

/* Where what is read together ends: at a heading, and at a line when it gets long. */
static const char *piece_end(const char *from)
{
	const char *p = from;

	while (*p && !(p > from && ((size_t)(p - from) > PIECE_MOST || heading_end(p)))) {
		p += strcspn(p, "\n");
		p += *p != 0;
	}
	return p;
}

static bool piece_binds(const char *text, size_t n, enum part part, bool is_prompt, struct arena *a)
{
	char *words = arena_strndup(a, text, n), *marked;
	struct sentence s;

	if (!is_prompt && has_crossed_out(words))
		return true;
	marked = licence_mark_names(words, a);
	for (const char *p = marked, *end; *p; p = end) {
		end = licence_next_sentence(&s, p);
		do
			if (s.n && binds(&s, p, (size_t)(end - p), part, is_prompt))
				return true;
		while (licence_read_on(&s, end));
	}
	return false;
}

bool licence_binds(const char *text, bool is_prompt, struct arena *a)
{
	enum part part = OWN;

	for (const char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		const char *title = heading_end(p);

		end = title ? title + (*title != 0) : piece_end(p);
		if (title)
			part = is_aside(p, (size_t)(end - p)) ? ASIDE : OWN;
		if (piece_binds(p, (size_t)(end - p), title && part == OWN ? TITLE : part, is_prompt, a))
			return true;
	}
	return false;
}
