/*
 * scan_card.c - a model card as a finding: front matter that can't be read or misleads, a licence nobody can name, active HTML in the body.
 * Rules: yaml.depth yaml.duplicate card.broken; flags yaml.tag text.bidi card.license card.html.
 */
#include "base/fdio.h"
#include "base/str.h"
#include "verify/card.h"
#include "verify/scan_parts.h"

#define README_MAX_BYTES ((uint64_t)16 << 20)

/* The Hub's licence ids. What each allows is the catalog's business; here it only matters whether the word means anything. */
static const char hub_licenses[] =
	" apache-2.0 mit afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0"
	" cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0"
	" cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl"
	" ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 mpl-2.0 ms-pl etalab-2.0 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0"
	" lgpl-lr isc lppl-1.3c postgresql ofl-1.1 ncsa unlicense zlib pddl odc-by odbl osl-3.0 openmdw-1.0 openmdw-1.1 openrail"
	" bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m openrail++ h-research intel-research"
	" apple-ascl apple-amlr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4"
	" grok2-community gemma unknown other ";

static bool is_hub_license(const char *id)
{
	size_t n = strlen(id);

	for (const char *p = hub_licenses; n && (p = strstr(p, id)); p += n)
		if (p[-1] == ' ' && p[n] == ' ')
			return true;
	return false;
}

static void check_license(const struct card *c, struct report *r)
{
	if (c->license.n == 0)
		report_flag(r, "card.license", "the card names no licence");
	for (size_t i = 0; i < c->license.n; i++)
		if (!is_hub_license(c->license.item[i]))
			report_flag(r, "card.license", "'%.100s' is no licence id of the Hub's", c->license.item[i]);
	for (size_t i = 0; i < c->license.n; i++)
		if (!strcmp(c->license.item[i], "other") && !c->license_name && !c->license_link)
			report_flag(r, "card.license", "the licence is 'other' and neither named nor linked");
}

/* The rule a sentence of card.c's stands for. */
static const char *rule_of(const char *problem)
{
	static const struct {
		const char *word, *rule;
	} rules[] = { { "twice", "yaml.duplicate" }, { "deep", "yaml.depth" }, { "nest", "yaml.depth" }, { "direction", "text.bidi" }, { "tag", "yaml.tag" } };

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (strstr(problem, rules[i].word))
			return rules[i].rule;
	return "card.broken";
}

/* Markup that would act in a page that shows the card as it is: an element that runs, or an attribute on…= inside a tag. */
static bool is_active(const char *body, size_t n)
{
	static const char *const elements[] = { "<script", "<iframe", "<object", "<embed", "javascript:" };
	bool in_tag = false;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(elements); k++)
			if (strncasecmp(body + i, elements[k], strlen(elements[k])) == 0)
				return true;
		in_tag = body[i] == '<' || (in_tag && body[i] != '>');
		if (in_tag && i && (body[i - 1] == ' ' || body[i - 1] == '\n') && strncasecmp(body + i, "on", 2) == 0) {
			size_t k = i + 2;

			while (k < n && ((body[k] | 32) >= 'a' && (body[k] | 32) <= 'z'))
				k++;
			if (k > i + 3 && k < n && body[k] == '=')
				return true;
		}
	}
	return false;
}

void scan_card(struct bytes *b, bool alone, struct report *r)
{
	own(buf) struct buf text;
	own(card) struct card c = { 0 };
	own(arena) struct arena a;
	size_t begin, end = 0;

	arena_init(&a);
	buf_init(&text, README_MAX_BYTES);
	if (b->size > README_MAX_BYTES) {
		report_flag(r, "card.large", "a card of %llu bytes", (unsigned long long)b->size);
		return;
	}
	for (uint64_t at = 0; at < b->size; at += BYTES_WINDOW) {
		size_t n = b->size - at < BYTES_WINDOW ? (size_t)(b->size - at) : BYTES_WINDOW;
		const uint8_t *p = bytes_at(b, at, n);

		if (p)
			buf_add(&text, p, n);
	}
	card_parse(text.data, text.len, &a, &c);
	if (c.verdict == CARD_BROKEN)
		report_reject(r, rule_of(c.problem), "card", NULL, "%.400s", c.problem);
	else if (c.verdict == CARD_ODD)
		report_flag(r, rule_of(c.problem), "%.400s", c.problem);
	if (!alone || c.verdict == CARD_BROKEN)
		return;		/* of a whole model, licence and display are judged elsewhere */
	check_license(&c, r);
	if (!card_find_front(text.data, text.len, &begin, &end))
		end = 0;
	if (is_active(text.data + end, text.len - end))
		report_flag(r, "card.html", "its body holds markup that acts: it must be escaped where it is shown");
}
