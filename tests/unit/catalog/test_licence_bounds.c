/* test_licence_bounds.c - texts and cards made to be slow or large: they are read in a moment, and what is too much for that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "verify/card.h"

/* A sanitizer's own string functions walk to the end of the text at each call. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SLOW_BYTES 100000u
#endif
#endif
#ifndef SLOW_BYTES
#define SLOW_BYTES 1000000u
#endif

#define SECTION "---\nlicense: mit\n---\n# x\n\n## License\n\n"
static const char mit[] =
	"MIT License\n\nCopyright (c) 2024 Acme AI\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files "
	"(the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell "
	"copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission "
	"notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING "
	"BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY "
	"CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE "
	"SOFTWARE.\n\n";

/* What this card, or this file beside a card that says mit, comes to. */
static struct licence_answer resolve(const char *path, const struct buf *text, struct arena *a)
{
	struct licence_claims c = { .card = (const char *const[]){ "mit" }, .n_card = 1 };
	struct licence_text t = { .path = path };
	own(card) struct card card = { 0 };
	struct licence_answer out;

	if (!strcmp(path, CARD_PATH)) {
		card_parse(text->data, text->len, a, &card);
		licence_read_card(card.front, text->data, text->len, a, &c);
	} else {
		licence_read_file(path, text->data, text->len, a, &t);
		c.texts = &t;
		c.n_texts = 1;
	}
	licence_resolve(&c, a, &out);
	return out;
}

/* said: a part of the first conflict, NULL for none, "" for any or none. */
static void check(const char *path, const struct buf *text, const char *said)
{
	own(arena) struct arena a;

	arena_init(&a);
	struct licence_answer r = resolve(path, text, &a);

	if (said ? *said && (!r.n_conflicts || !strstr(r.conflicts[0], said)) : r.n_conflicts > 0)
		fail_msg("%s \"%.60s\" and so on: %zu conflicts %s", path, text->data, r.n_conflicts, r.n_conflicts ? r.conflicts[0] : "");
	assert_true(a.used_bytes < 200000);	/* of a file only what it says lasts */
}

static void fill(struct buf *b, const char *many, size_t n)
{
	for (size_t from = b->len; b->len < from + n;)
		buf_puts(b, many);
}

/* Each took time that grows faster than the text: minutes. */
static void what_is_made_to_be_slow(void **state)
{
	static const struct {
		const char *path, *before, *first;	/* first: 7,000 bytes of it, so that words are left to be read */
		const char *many, *behind, *said;
	} cases[] = {
		{ "LICENSE.json", "{\"license\":[\"mit\"", "", ",\"z\"", "]}", "LICENSE.json" }, { "LICENSE.toml", "license=['mit'", "", ",'z'", "]", "LICENSE.toml" },
		{ "LICENSE.json", "{\"license\":[\"mit\"", "", ",\n\"mit\"", "]}", "LICENSE.json" }, { "LICENSE.html", "<html>", "", "<a ", "", "parts without an end" },
		{ "LICENSE.html", "<html><!--", "", "< ", "", "parts without an end" }, { "docs/LICENSE", "", "", "Permission is hereby granted, free of charge, to any person obtaining a copy ", "", NULL },
		{ "docs/LICENSE", "", "", "redistribution and use in source and binary forms, with or ", "", NULL }, { "docs/LICENSE", "", "", "all rights reserved ", "", NULL },
		{ "docs/LICENSE", "", "", "all rights reserved\n", "", NULL }, { "docs/LICENSE", "", "", ". 1", "", NULL }, { "docs/LICENSE", "SPDX-License-Identifier: MIT\n", "", "a b\n", "", NULL },
		{ "README.md", SECTION, "", "unlike ", "", NULL }, { "README.md", SECTION, "", "unlike x,\n", "", "" }, { "README.md", SECTION, "", "X is a derivative of Y used under Z.\n", "", "" },
		{ "README.md", SECTION, "", "## License\na b c d\n", "", "more-than-are-read" }, { "README.md", "# x\n", "", "](", "", NULL }, { "README.md", "# x\n", "", "**|", "\n", NULL },
		{ "README.md", SECTION "\n", "a ", "business business use use research research ", "", NULL },
		{ "LICENSE", mit, "http://licen/", "= ", "", "" }, { "LICENSE", mit, "a=", "= ", "", "" }, { "LICENSE", mit, "a.*", "=.* ", "", "" }, { "LICENSE", mit, "licenseref-", "= ", "", "" },
		{ "LICENSE", mit, "http://licen/", "=", "", "8 KiB" }, { "LICENSE", mit, "a=", "=", "", "8 KiB" }, { "LICENSE", mit, "licenseref-", "=", "", "8 KiB" },
		{ "LICENSE", "", "", "SPDX-License-Identifier-", "", "8 KiB" }, { "LICENSE", "", "", "SPDX-License-Identifier: MIT-\n", "", "" }, { "LICENSE", "", "", "SPDX-License-Identifier- ", "", "" },
		{ "LICENSE", "", "", "SPDX-License-Identifier/ ", "", "" }, { "LICENSE", "", "a       b\n", "+ ", "", "" },
		{ "LICENSE_AGREEMENT.txt", "", "", "a model under a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a. ", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		clock_t begun = clock();
		own(buf) struct buf text;

		buf_init(&text, 5u << 20);
		buf_puts(&text, cases[i].before);
		if (*cases[i].first)
			fill(&text, cases[i].first, 7000);
		fill(&text, cases[i].many, SLOW_BYTES);
		buf_puts(&text, cases[i].behind);
		check(cases[i].path, &text, cases[i].said);
		assert_true((clock() - begun) / CLOCKS_PER_SEC < 20);
	}
}

static void what_is_too_long(void **state)
{
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 5u << 20);
	buf_puts(&text, mit);
	fill(&text, " \n", 2 << 20);	/* what nobody sees makes a text no longer */
	check("LICENSE", &text, NULL);
	fill(&text, "a text of words ", LICENCE_TEXT_MAX);
	check("LICENSE", &text, "LICENSE is longer than 1 MiB");
	check("EULA.md", &text, "EULA.md is longer than 1 MiB");
	check("third_party/LICENSE", &text, NULL);	/* nobody asks those */

	buf_reset(&text);
	buf_puts(&text, "License: MIT\n\n![](data:image/png;base64,");
	fill(&text, "iVBORw0KGgo", 9000);
	check("LICENSE", &text, "LICENSE has more than 8 KiB without a blank");

	buf_reset(&text);
	buf_printf(&text, "---\nlicense: mit\n---\n# x\n\n## License\n\nMIT\n\n## Picture\n\n![](data:image/png;base64,");
	fill(&text, "iVBORw0KGgo", 2 << 20);
	check("README.md", &text, NULL);	/* it stands behind the section */
	buf_puts(&text, ")\n\n## License\n\n");
	fill(&text, "a text of words ", LICENCE_TEXT_MAX);
	check("README.md", &text, "more-than-are-read");
}

/* An alias makes more of a text than stands in the file. */
static void a_prompt_that_is_too_long(void **state)
{
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_puts(&text, "---\nlicense: mit\nextra_gated_prompt:\n- &a \"");
	fill(&text, " ", 600000);
	buf_puts(&text, "\"\n- *a\n- For non-commercial use only\n---\n");
	check("README.md", &text, "more-than-are-read");
}

/* Words that are tried as names, of which no text that is one has so many. */
static void what_takes_too_long(void **state)
{
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 5u << 20);
	while (text.len < 900000)
		buf_puts(&text, "Acme model under alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon. ");
	check("LICENSE AGREEMENT.txt", &text, "takes too long to read");

	buf_reset(&text);
	buf_puts(&text, "---\nlicense: mit\n---\n# x\n\n");
	while (text.len < 1000000) {
		buf_puts(&text, "## License\n\nSPDX-License-Identifier: MIT\n\n");
		fill(&text, "apache ", 7000);
		buf_puts(&text, "\n");
	}
	check("README.md", &text, "more-than-are-read");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_made_to_be_slow), cmocka_unit_test(what_is_too_long), cmocka_unit_test(a_prompt_that_is_too_long), cmocka_unit_test(what_takes_too_long) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
