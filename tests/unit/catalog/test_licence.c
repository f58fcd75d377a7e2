/* test_licence.c - the table is whole, written forms reach their ids, texts are recognised, and claims that disagree are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "catalog/licence.h"

static void the_table_is_whole(void **state)
{
	size_t n = 0, permissive = 0;

	(void)state;
	for (const struct licence *l; (l = licence_at(n)); n++) {
		assert_true(*l->id && *l->spdx && *l->name);
		assert_ptr_equal(licence_find(l->id), l);
		permissive += l->permissive;
		if (l->permissive)
			assert_int_equal(l->commercial_use, LICENCE_YES);
	}
	assert_int_equal(n, 95);
	assert_int_equal(permissive, 30);
	assert_true(licence_find("Apache-2.0")->permissive);
	assert_false(licence_find("gpl-3.0")->permissive);
	assert_false(licence_find("cc-by-nc-4.0")->permissive);
	assert_int_equal(licence_find("llama3.1")->user_limit, 700000000);
	assert_int_equal(licence_find("llama3.1")->commercial_use, LICENCE_CONDITIONAL);
	assert_string_equal(licence_nearest("apache-2"), "apache-2.0");
}

static void written_forms(void **state)
{
	static const char *const forms[][2] = {
		{ "MIT", "mit" },	     { "PDDL", "pddl" },	      { "apache-2", "apache-2.0" },	  { "Apache License, Version 2.0", "apache-2.0" },
		{ "BSD-3", "bsd-3-clause" }, { "GPLv3", "gpl-3.0" },	      { "GPL-3.0-only", "gpl-3.0" },	  { "Academic Free License v3.0", "afl-3.0" },
		{ "CC-BY-SA-4.0", "cc-by-sa-4.0" }, { "cc-by-nc-4.0 ", "cc-by-nc-4.0" }, { "CC BY 4.0", "cc-by-4.0" }, { "The MIT License", "mit" },
		{ "Apache 2.0", "apache-2.0" }, { "AGPL v3", "agpl-3.0" },    { "openrail++", "openrail++" },	  { "GNU LGPL v2.1", "lgpl-2.1" },
		{ "llama-3.1", "llama3.1" }, { "llama-3.1-community-license", "llama3.1" }, { "Llama 2 Community License Agreement", "llama2" },
	};
	own(arena) struct arena a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *id = licence_normalise(forms[i][0]);

		if (!id || strcmp(id, forms[i][1]) != 0)
			fail_msg("%s gives %s", forms[i][0], id ? id : "nothing");
	}
	assert_null(licence_normalise("???"));
	assert_null(licence_normalise("my own licence 7"));
	assert_null(licence_normalise("mit or something else"));
	arena_init(&a);
	assert_string_equal(licence_id("MIT", &a), "mit");
	assert_string_equal(licence_id("gpl-3.0-ONLY", &a), "gpl-3.0");
	assert_string_equal(licence_id("Other:My Licence", &a), "other:my-licence");
	assert_string_equal(licence_id("other:llama-3.1", &a), "llama3.1");	/* as the card's name is read */
	assert_string_equal(licence_id("other:MIT", &a), "mit");
	assert_null(licence_id("apache-2", &a));
}

/* What is left out of a key may be the restriction: nothing is, or there is no key. */
static void what_a_key_would_not_say(void **state)
{
	static const char *const forms[] = { "MIT（仅限非商业用途）", "apache-2.0 (非商用)", "MIT только для некоммерческого использования", "Apache\xc2\xa0" "2.0", "apache-2.0\xe2\x80\x8b",
					     "ap\xd0\xb0" "che-2.0" };
	char padded[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (licence_normalise(forms[i]))
			fail_msg("%s gives %s", forms[i], licence_normalise(forms[i]));
	snprintf(padded, sizeof(padded), "MIT%*snon-commercial use only", 230, "");
	assert_null(licence_normalise(padded));
}

static const char *recognise(const char *text, size_t n)
{
	struct licence_text t = { 0 };
	struct arena a;

	arena_init(&a);
	licence_read_text(text, n, &a, &t);
	arena_done(&a);
	return t.recognised;
}

static void texts(void **state)
{
	static const char mit[] =
		"MIT License\n\nCopyright (c) 2026 Somebody\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated "
		"documentation files (the \"Software\"), to deal\nin the Software without restriction, including without limitation the rights\nto use, copy, modify, merge, publish, "
		"distribute, sublicense, and/or sell\ncopies of the Software, and to permit persons to whom the Software is\nfurnished to do so, subject to the following "
		"conditions:\n\nThe above copyright notice and this permission notice shall be included in all\ncopies or substantial portions of the Software.\n\nTHE SOFTWARE IS "
		"PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\nIMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\nFITNESS FOR A PARTICULAR "
		"PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\nAUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\nLIABILITY, WHETHER IN AN ACTION OF "
		"CONTRACT, TORT OR OTHERWISE, ARISING FROM,\nOUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n";
	static const char llama[] = "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\nLlama 3.2 Version Release Date: September 25, 2024\n";
	static const char *const taken_back[] = {
		"Notwithstanding the above, commercial use is prohibited.", "Commercial use is strictly prohibited.", "Commercial use of the model is not permitted.",
		"You may not use this for commercial purposes.", "This model may not be used commercially.", "Use for commercial purposes is prohibited.", "For academic use only.",
		"for non-commercial research only", "not licensed for commercial use", "Non-Commercial License: you cannot make money with it.",
		"If you have more than 700 million monthly active users you must request a license.",
	};
	static const char *const given[] = { "You may use it for commercial and non-commercial purposes.", "Any use, non-commercial or commercial, is welcome.", "Research is what we do." };
	struct err e = ERR_NONE;
	own(buf) struct buf apache;
	own(mem) char *changed = strdup(mit);

	(void)state;
	buf_init(&apache, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/LICENSE", &apache, &e), 0);
	assert_string_equal(recognise(apache.data, apache.len), "apache-2.0");
	assert_string_equal(recognise(mit, strlen(mit)), "mit");
	assert_string_equal(recognise(llama, strlen(llama)), "llama3.2");
	memcpy(strstr(changed, "without restriction"), "with no restriction", 19);	/* one word changed is another licence */
	assert_null(recognise(changed, strlen(changed)));
	assert_null(recognise("", 0));
	for (size_t i = 0; i < ARRAY_LEN(taken_back) + ARRAY_LEN(given); i++) {
		const char *more = i < ARRAY_LEN(taken_back) ? taken_back[i] : given[i - ARRAY_LEN(taken_back)], *id;
		own(buf) struct buf text;

		buf_init(&text, 1 << 20);
		buf_printf(&text, "%s\n%s\n", mit, more);
		id = recognise(text.data, text.len);
		if (strcmp(id, i < ARRAY_LEN(taken_back) ? "other:with-restrictions" : "mit") != 0)
			fail_msg("%s: %s", more, id);
	}
	buf_puts(&apache, "\n\"Commons Clause\" License Condition v1.0\n");
	assert_string_equal(recognise(apache.data, apache.len), "other:commons-clause");
}

/* What a file says whose parts these are, one after the other, with `gap` line breaks between them. */
static const char *all_of(const char *const *parts, size_t n, size_t gap)
{
	own(buf) struct buf text;

	buf_init(&text, 8 << 20);
	for (size_t i = 0; i < n; i++) {
		if (*parts[i] == '/') {
			struct err e = ERR_NONE;

			assert_int_equal(fdio_slurp(AT_FDCWD, parts[i], &text, &e), 0);
		} else {
			buf_puts(&text, parts[i]);
		}
		for (size_t k = 0; k < gap; k++)
			buf_putc(&text, '\n');
	}
	return recognise(text.data, text.len);
}

static void several_in_one_text(void **state)
{
	static const char apache[] = SOURCE_DIR "/LICENSE", gpl[] = "/usr/share/common-licenses/GPL-3", lgpl[] = "/usr/share/common-licenses/LGPL-3";
	static const char gemma[] = "Gemma Terms of Use\n\nBy using, reproducing or distributing any portion of Gemma you agree to this.\n";
	static const char aside[] = "This work is not one of those that are given under the Gemma Terms of Use, whatever others say.\n";

	(void)state;
	assert_string_equal(all_of((const char *const[]){ apache, gemma }, 2, 2), "gemma");
	assert_string_equal(all_of((const char *const[]){ apache, aside }, 2, 2), "apache-2.0");
	assert_string_equal(all_of((const char *const[]){ apache, gpl }, 2, 2), "gpl-3.0");
	assert_string_equal(all_of((const char *const[]){ gpl, apache }, 2, 2), "gpl-3.0");
	assert_string_equal(all_of((const char *const[]){ gpl, lgpl }, 2, 2), "lgpl-3.0");
	assert_string_equal(all_of((const char *const[]){ "\n", gpl }, 2, 2 << 20), "gpl-3.0");	/* the whole file is read */
	assert_string_equal(all_of((const char *const[]){ gpl, "No commercial use.\n" }, 2, 2), "other:with-restrictions");
}

static const char own_terms[] = "Permission is granted to look at this on Mondays, in the reading room of the second floor and without taking notes of any kind, "
				"and to nobody else who does not work for us. All rights reserved.";

/* The 3-clause BSD licence, with a name where one is filled in, other marks of the list, and perhaps one clause more. */
static const char *bsd_of(const char *name, const char *holders, const char *more)
{
	own(buf) struct buf text;

	buf_init(&text, 1 << 20);
	buf_printf(&text,
		"Copyright 2026 %s\nRedistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met:\n"
		"* Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.\n"
		"* Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the documentation "
		"and/or other materials provided with the distribution.\n%s"
		"* Neither the name of %s nor the names of its contributors may be used to endorse or promote products derived from this software without specific prior "
		"written permission.\nTHIS SOFTWARE IS PROVIDED BY %s ``AS IS'' AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED "
		"WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL %s BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, "
		"SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; "
		"OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR "
		"OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.\n",
		name, more, name, holders, holders);
	return recognise(text.data, text.len);
}

static void names_are_filled_in(void **state)
{
	static const char advertising[] = "* All advertising materials mentioning features or use of this software must display an acknowledgement of the University.\n";

	(void)state;
	assert_string_equal(bsd_of("the University", "THE REGENTS AND CONTRIBUTORS", ""), "bsd-3-clause");
	assert_string_equal(bsd_of("Salesforce.com, inc.", "THE COPYRIGHT HOLDERS AND CONTRIBUTORS", ""), "bsd-3-clause");
	assert_null(bsd_of("the University", "THE REGENTS", advertising));	/* four clauses are another licence */
	assert_null(bsd_of(own_terms, "THE REGENTS", ""));			/* more than a name */
}

static struct licence_answer resolve(const struct licence_claims *c, struct arena *a)
{
	struct licence_answer out;

	licence_resolve(c, a, &out);
	return out;
}

static void one_answer(void **state)
{
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ 0 }, &a);
	assert_string_equal(r.id, "unknown");
	assert_string_equal(r.spdx, "NOASSERTION");
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "apache-2.0" }, .n_card = 1, .tags = (const char *const[]){ "apache-2.0" }, .n_tags = 1 }, &a);
	assert_string_equal(r.id, "apache-2.0");
	assert_string_equal(r.source, "card");
	assert_int_equal(r.n_conflicts, 0);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "other" }, .n_card = 1, .card_name = "Qwen", .tags = (const char *const[]){ "other" }, .n_tags = 1 }, &a);
	assert_string_equal(r.id, "other:qwen");	/* `other` never hides the real name */
	assert_string_equal(r.name, "Qwen");
	assert_int_equal(r.commercial_use, LICENCE_CONDITIONAL);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "my own licence" }, .n_card = 1 }, &a);
	assert_string_equal(r.id, "other:my-own-licence");
	assert_string_equal(r.spdx, "LicenseRef-my-own-licence");
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "mit", "cc-by-nc-4.0" }, .n_card = 2 }, &a);
	assert_string_equal(r.id, "cc-by-nc-4.0");	/* the strictest counts */
	assert_int_equal(r.n_conflicts, 1);
	arena_done(&a);
}

static struct licence_answer of_card(const char *const *card, size_t n, const char *name, const char *text, struct arena *a)
{
	const struct licence_text t = { .path = "LICENSE", .recognised = text };

	return resolve(&(struct licence_claims){ .card = card, .n_card = n, .card_name = name, .texts = &t, .n_texts = text != NULL }, a);
}

static void a_family_takes_texts_of_its_own(void **state)
{
	static const struct {
		const char *family, *text, *id;
		size_t conflicts;
	} cases[] = {
		{ "gpl", "gpl-3.0", "gpl-3.0", 0 },    { "gpl", "mit", "gpl", 1 },		       { "gpl", "lgpl-3.0", "gpl", 1 },		{ "lgpl", "lgpl-2.1", "lgpl-2.1", 0 },
		{ "cc", "cc-by-nc-4.0", "cc-by-nc-4.0", 0 }, { "cc", "cc0-1.0", "cc0-1.0", 0 },	       { "cc", "mit", "cc", 1 },		{ "bsd", "bsd-3-clause", "bsd-3-clause", 0 },
		{ "openrail", "mit", "openrail", 1 },  { "openrail", "openrail++", "openrail++", 0 },  { "openrail", "creativeml-openrail-m", "creativeml-openrail-m", 0 },
		{ "bsd", "other:with-restrictions", "other:with-restrictions", 1 },		       { "other", "mit", "mit", 0 },
	};
	struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct licence_answer r = of_card(&cases[i].family, 1, NULL, cases[i].text, &a);

		if (strcmp(r.id, cases[i].id) != 0 || r.n_conflicts != cases[i].conflicts)
			fail_msg("%s with the text of %s: %s, %zu conflicts", cases[i].family, cases[i].text, r.id, r.n_conflicts);
	}
	arena_done(&a);
}

static void a_name_that_is_known_is_that_licence(void **state)
{
	static const struct {
		const char *license, *name, *id;
		size_t conflicts;
	} cases[] = {
		{ "other", "cc-by-nc-4.0", "cc-by-nc-4.0", 0 }, { "other", "GPL-3.0-only", "gpl-3.0", 0 }, { "other", "llama-3.1-community-license", "llama3.1", 0 },
		{ "other", "unknown", "other:unknown", 0 },	{ "mit", "cc-by-nc-4.0", "cc-by-nc-4.0", 1 }, { "cc-by-nc-4.0", "mit", "cc-by-nc-4.0", 1 },
		{ "mit", "MIT License", "mit", 0 },		{ "mit", "my model", "mit", 0 },	   { "cc", "cc-by-4.0", "cc-by-4.0", 0 },
		{ "cc-by-4.0", "cc", "cc-by-4.0", 0 },		{ "apache-2.0", "qwen", "other:qwen", 1 }, { NULL, "cc-by-nc-4.0", "cc-by-nc-4.0", 0 },
		{ NULL, "my model", "unknown", 0 },
	};
	struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct licence_answer r = of_card(&cases[i].license, cases[i].license != NULL, cases[i].name, NULL, &a);

		if (strcmp(r.id, cases[i].id) != 0 || r.n_conflicts != cases[i].conflicts)
			fail_msg("%s, named %s: %s, %zu conflicts", cases[i].license ? cases[i].license : "nothing", cases[i].name, r.id, r.n_conflicts);
	}
	assert_string_equal(licence_said(of_card(&cases[2].license, 1, cases[2].name, NULL, &a).name, &a), "other:llama-3.1-community-license");
	assert_null(licence_said(of_card(&cases[6].license, 1, cases[6].name, NULL, &a).name, &a));
	arena_done(&a);
}

static void the_same_counts_in_any_order(void **state)
{
	static const char *const pairs[][2] = {	/* the stricter one first */
		{ "gpl-3.0", "mit" }, { "cc-by-nd-4.0", "gpl-3.0" }, { "cc-by-nd-4.0", "mit" }, { "llama3.1", "cc-by-nd-4.0" }, { "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0" }, { "cc-by-nc-4.0", "other" },
	};
	struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const char *const back[] = { pairs[i][1], pairs[i][0] };

		assert_string_equal(of_card(pairs[i], 2, NULL, NULL, &a).id, pairs[i][0]);
		assert_string_equal(of_card(back, 2, NULL, NULL, &a).id, pairs[i][0]);
		assert_int_equal(of_card(back, 2, NULL, NULL, &a).n_conflicts, 1);
		assert_string_equal(resolve(&(struct licence_claims){ .tags = back, .n_tags = 2 }, &a).id, pairs[i][0]);
	}
	arena_done(&a);
}

static void every_tag_counts(void **state)
{
	static const char *const two[] = { "mit", "cc-by-nc-4.0" }, *const listed[] = { "cc-by-nc-4.0", "mit" }, *const strange[] = { "my-strange-nc" };
	static const char *const lines[] = { "mit\nbut not for commerce\n", "mit?but not for commerce?" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .tags = two, .n_tags = 2 }, &a);
	assert_string_equal(r.id, "cc-by-nc-4.0");
	assert_string_equal(r.source, "tag");
	assert_int_equal(r.n_conflicts, 1);
	r = resolve(&(struct licence_claims){ .tags = listed, .n_tags = 2 }, &a);
	assert_string_equal(r.id, "cc-by-nc-4.0");
	r = resolve(&(struct licence_claims){ .card = two, .n_card = 1, .tags = two, .n_tags = 2 }, &a);
	assert_string_equal(r.conflicts[0], "the card says mit but upstream's tag says cc-by-nc-4.0");
	r = resolve(&(struct licence_claims){ .card = two, .n_card = 2, .tags = listed, .n_tags = 2 }, &a);
	assert_int_equal(r.n_conflicts, 1);	/* the card's own two, and not the tags that repeat them */
	r = resolve(&(struct licence_claims){ .card = two, .n_card = 1, .tags = strange, .n_tags = 1 }, &a);
	assert_string_equal(r.conflicts[0], "the card says mit but upstream's tag says my-strange-nc");
	r = resolve(&(struct licence_claims){ .card = strange, .n_card = 1, .tags = strange, .n_tags = 1 }, &a);
	assert_int_equal(r.n_conflicts, 0);
	r = resolve(&(struct licence_claims){ .card = lines, .n_card = 1, .tags = lines + 1, .n_tags = 1 }, &a);
	assert_int_equal(r.n_conflicts, 0);
	arena_done(&a);
}

/* The id and the SPDX id of a name that the Hub has no id for, in the arena. */
static struct licence_answer named(const char *name, struct arena *a)
{
	return resolve(&(struct licence_claims){ .card = (const char *const[]){ "other" }, .n_card = 1, .card_name = name }, a);
}

static void other_names_have_other_ids(void **state)
{
	char one[200], two[200];
	const char *const names[][2] = { { "通义千问许可", "深度求索许可" }, { "MIT（仅限非商业用途）", "MIT（商业）" }, { one, two } };
	struct licence_answer x, y;
	struct arena a;

	(void)state;
	arena_init(&a);
	memset(one, 'x', sizeof(one));
	one[sizeof(one) - 1] = 0;
	memcpy(two, one, sizeof(two));
	two[150] = 'y';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		x = named(names[i][0], &a);
		y = named(names[i][1], &a);
		if (!strcmp(x.id, y.id) || !strcmp(x.spdx, y.spdx))
			fail_msg("%s and %s are both %s, %s", names[i][0], names[i][1], x.id, x.spdx);
		assert_true(strlen(x.id) < LICENCE_ID_MAX && strlen(x.spdx) < LICENCE_ID_MAX);
		assert_int_equal(strspn(x.spdx, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"), strlen(x.spdx));
		assert_string_equal(resolve(&(struct licence_claims){ .chosen = x.id }, &a).id, x.id);	/* `rebuild` gives the id again */
	}
	assert_string_not_equal(named("a_b", &a).spdx, named("a-b", &a).spdx);
	assert_string_equal(named("a-b", &a).spdx, "LicenseRef-a-b");
	arena_done(&a);
}

static void conflicts_are_said(void **state)
{
	const struct licence_text text = { .path = "LICENSE", .recognised = "llama3.1" };
	const struct licence_base base = { .repo = "org/base", .license = "cc-by-nc-4.0" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "apache-2.0" }, .n_card = 1, .texts = &text, .n_texts = 1, .bases = &base, .n_bases = 1 }, &a);
	assert_string_equal(r.id, "llama3.1");	/* the stricter of two counts */
	assert_string_equal(r.source, "text");
	assert_int_equal(r.n_conflicts, 2);
	assert_string_equal(r.conflicts[0], "card says apache-2.0 but LICENSE is the text of llama3.1");
	assert_string_equal(r.conflicts[1], "llama3.1 is looser than cc-by-nc-4.0, the licence of its base model org/base");
	r = resolve(&(struct licence_claims){ .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "llama3.1");
	assert_string_equal(r.source, "text");
	r = resolve(&(struct licence_claims){ .chosen = "mit", .card = (const char *const[]){ "gpl-3.0" }, .n_card = 1 }, &a);
	assert_string_equal(r.id, "mit");
	assert_string_equal(r.source, "person");
	assert_int_equal(r.n_conflicts, 1);
	assert_string_equal(r.conflicts[0], "a person says mit but the card says gpl-3.0");
	r = resolve(&(struct licence_claims){ .chosen = "mit", .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "mit");	/* a person's word stands, and the conflict is said */
	assert_int_equal(r.n_conflicts, 1);
	arena_done(&a);
}

static void copyleft_is_not_dropped(void **state)
{
	const struct licence_text gpl = { .path = "LICENSE", .recognised = "gpl-3.0" }, code = { .path = "LICENSE-CODE", .recognised = "gpl-3.0" };
	const struct licence_base base = { .repo = "org/base", .license = "gpl-3.0" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "mit" }, .n_card = 1, .bases = &base, .n_bases = 1 }, &a);
	assert_int_equal(r.n_conflicts, 1);
	assert_string_equal(r.conflicts[0], "mit drops the copyleft of gpl-3.0, the licence of its base model org/base");
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "agpl-3.0" }, .n_card = 1, .bases = &base, .n_bases = 1 }, &a);
	assert_int_equal(r.n_conflicts, 0);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "mit" }, .n_card = 1, .texts = &gpl, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "gpl-3.0");
	assert_int_equal(r.n_conflicts, 1);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "mit" }, .n_card = 1, .texts = &code, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "mit");	/* of the code beside the model */
	assert_int_equal(r.n_conflicts, 0);
	arena_done(&a);
}

static void no_derivatives_means_none(void **state)
{
	const struct licence_base base = { .repo = "org/base", .license = "cc-by-nd-4.0" };
	static const char *const free = "mit", *const same = "cc-by-nd-4.0";
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = &free, .n_card = 1, .bases = &base, .n_bases = 1 }, &a);
	assert_int_equal(r.n_conflicts, 1);
	assert_string_equal(r.conflicts[0], "cc-by-nd-4.0, the licence of its base model org/base, does not let derivatives be shared");
	r = resolve(&(struct licence_claims){ .card = &same, .n_card = 1, .bases = &base, .n_bases = 1, .repo = "org/kid" }, &a);
	assert_int_equal(r.n_conflicts, 1);
	r = resolve(&(struct licence_claims){ .card = &same, .n_card = 1, .bases = &base, .n_bases = 1, .repo = "Org/Base" }, &a);
	assert_int_equal(r.n_conflicts, 0);	/* made from itself */
	arena_done(&a);
}

/* The GPL's text beside that of the LGPL, which is written as what it adds. */
static void the_lgpl_comes_with_the_gpl(void **state)
{
	struct licence_text t[] = { { .path = "COPYING", .recognised = "gpl-3.0", .notice = "" }, { .path = "COPYING.LESSER", .recognised = "lgpl-3.0", .notice = "" } };
	static const char *const lgpl = "lgpl-3.0";
	struct licence_claims c = { .card = &lgpl, .n_card = 1, .texts = t, .n_texts = 2 };
	struct arena a;

	(void)state;
	arena_init(&a);
	assert_int_equal(resolve(&c, &a).n_conflicts, 0);
	c.n_card = 0;
	assert_string_equal(resolve(&c, &a).id, "lgpl-3.0");
	c.n_card = 1;
	t[1].path = "code/COPYING.LESSER";
	assert_string_equal(resolve(&c, &a).id, "gpl-3.0");	/* the stricter one, and both are said */
	assert_int_equal(resolve(&c, &a).n_conflicts, 2);
	t[1].path = "COPYING.LESSER";
	t[0].notice = "licensedunderthegplversion3";	/* a word of somebody, not the text */
	assert_int_equal(resolve(&c, &a).n_conflicts, 2);
	arena_done(&a);
}

static void one_of_several_in_a_text(void **state)
{
	static const char *const both[] = { "cc0-1.0", "apache-2.0", "gemma" };
	const struct licence_text free = { .path = "LICENSE", .recognised = "cc0-1.0", .all = both, .n_all = 2 }, terms = { .path = "LICENSE", .recognised = "gemma", .all = both, .n_all = 3 };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = both + 1, .n_card = 1, .texts = &free, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "apache-2.0");
	assert_int_equal(r.n_conflicts, 0);
	r = resolve(&(struct licence_claims){ .card = both + 1, .n_card = 1, .texts = &terms, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "gemma");
	assert_int_equal(r.n_conflicts, 1);
	arena_done(&a);
}

static void what_nobody_has_read_is_a_conflict(void **state)
{
	const struct licence_text text = { .path = "LICENSE", .unread = "is too long for a licence, so nobody has read it" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = (const char *const[]){ "mit" }, .n_card = 1, .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "mit");
	assert_int_equal(r.n_conflicts, 1);
	assert_string_equal(r.conflicts[0], "LICENSE is too long for a licence, so nobody has read it");
	arena_done(&a);
}

/* Conflicts of a card that says `id` with a text of these words at `path`. */
static size_t conflicts_with(const char *id, const char *path, const char *words)
{
	struct licence_text text = { .path = path };
	struct licence_answer r;
	struct arena a;

	arena_init(&a);
	licence_read_text(words, strlen(words), &a, &text);
	r = resolve(&(struct licence_claims){ .card = &id, .n_card = 1, .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, id);
	arena_done(&a);
	return r.n_conflicts;
}

static void a_text_that_nobody_knows(void **state)
{
	own(buf) struct buf long_one;

	(void)state;
	buf_init(&long_one, 1 << 20);
	for (int i = 0; i < 30; i++)
		buf_puts(&long_one, "MIT License. You may use it, unless you compete with us. ");
	assert_int_equal(conflicts_with("mit", "LICENSE", own_terms), 1);
	assert_int_equal(conflicts_with("mit", "LICENSE.md", long_one.data), 1);	/* that it says MIT does not make it MIT */
	assert_int_equal(conflicts_with("apache-2.0", "COPYING", own_terms), 1);
	/* A word about the licence, or nothing. */
	assert_int_equal(conflicts_with("mit", "LICENSE", "MIT License, Copyright 2024 Some Body"), 0);
	assert_int_equal(conflicts_with("apache-2.0", "LICENSE", "Licensed under the Apache License, Version 2.0; see http://www.apache.org/licenses/"), 0);
	assert_int_equal(conflicts_with("cc-by-4.0", "LICENSE", "https://creativecommons.org/licenses/by/4.0/legalcode"), 0);
	assert_int_equal(conflicts_with("mit", "LICENSE", ""), 0);
	assert_int_equal(conflicts_with("mit", "LICENSE", "# License\n\nMIT\n\n(c) 2024 Some Body"), 0);
	/* A word about it, and a restriction; or a word that nobody understands. */
	assert_int_equal(conflicts_with("mit", "LICENSE", "MIT, non-commercial"), 1);
	assert_int_equal(conflicts_with("apache-2.0", "LICENSE.html", "<p>Apache License 2.0. Not for commercial use."), 1);
	assert_int_equal(conflicts_with("mit", "LICENSE", "ask me"), 1);
	/* Not where the model's own licence is expected, or one whose text nobody knows. */
	assert_int_equal(conflicts_with("mit", "NOTICE", own_terms), 0);
	assert_int_equal(conflicts_with("mit", "docs/LICENSE", own_terms), 0);
	assert_int_equal(conflicts_with("gemma", "LICENSE", own_terms), 0);
}

static void text_paths(void **state)
{
	(void)state;
	assert_true(licence_is_text_path("LICENSE"));
	assert_true(licence_is_text_path("LICENSE.md"));
	assert_true(licence_is_text_path("USE_POLICY.md"));
	assert_true(licence_is_text_path("docs/LICENSE"));
	assert_true(licence_is_text_path("license/COPYING"));
	assert_true(licence_is_text_path("MODEL_LICENSE.txt"));
	assert_true(licence_is_text_path("LICENSE-2.0"));
	assert_false(licence_is_text_path("license.py"));
	assert_false(licence_is_text_path("license_plates.safetensors"));
	assert_false(licence_is_text_path("licenses/README.md"));
	assert_true(licence_is_text_path("LICENSES/Apache-2.0.txt"));
	assert_true(licence_is_text_path("docs/licenses/llama/MIT"));
	assert_false(licence_is_text_path("LICENSES/check.py"));
	assert_false(licence_is_text_path("licenses.txt.d/x"));
	assert_true(licence_is_text_path("model.safetensors.license"));
	assert_true(licence_is_text_path("COPYING"));
	assert_true(licence_is_text_path("LICENCE"));
	assert_true(licence_is_text_path("LICENSE.json"));
	assert_true(licence_is_text_path("docs/license.yaml"));
	assert_false(licence_is_text_path("license_plates.json"));
	assert_false(licence_is_of_parts("docs/LICENSE"));
	assert_true(licence_is_of_parts("third_party/zlib/LICENSE"));
	assert_true(licence_is_of_parts("LICENSE-CODE"));
	assert_true(licence_is_of_parts("LICENSE.code"));
	assert_true(licence_is_of_parts("code_license.txt"));
	assert_true(licence_is_of_parts("LICENSE-THIRD-PARTY"));
	assert_true(licence_is_of_parts("ThirdPartyNotices.txt"));
	assert_false(licence_is_of_parts("LICENSE-CodeLlama.txt"));
	assert_false(licence_is_of_parts("USE_POLICY_codegemma.md"));
	assert_false(licence_is_text_path("model.safetensors"));
}

static void check_file(const char *path, const char *text, const char *want)
{
	own(arena) struct arena a;
	struct licence_text t = { .path = path };

	arena_init(&a);
	licence_read_file(path, text, strlen(text), &a, &t);
	if (!want != !t.recognised || (want && strcmp(want, t.recognised) != 0))
		fail_msg("%s: %s, not %s", path, t.recognised ? t.recognised : "nothing", want ? want : "nothing");
}

static void ids_in_files(void **state)
{
	(void)state;
	check_file("a.license", "SPDX-FileCopyrightText: us\nSPDX-License-Identifier: CC-BY-NC-4.0\n", "cc-by-nc-4.0");
	check_file("LICENSE", "# SPDX-License-Identifier: (MIT OR GPL-3.0-only WITH Classpath-exception-2.0 AND Apache-2.0)", "gpl-3.0");
	check_file("LICENSE", "SPDX-License-Identifier: MIT and see below: GPL-3.0-only", "other:see");
	check_file("LICENSE", "SPDX-License-Identifier: LicenseRef-Ours", "other:ours");
	check_file("LICENSE", "SPDX-License-Identifier:", NULL);
	check_file("LICENSE.json", "{\"license\": \"cc-by-nc-4.0\"}", "cc-by-nc-4.0");
	check_file("LICENSE.json", "{\"about\": {\"spdx\": [\"MIT\", \"CC-BY-NC-4.0\"]}}", "cc-by-nc-4.0");
	check_file("LICENSE.json", "{\"text\": \"Llama 3.1 Community\\nLicense Agreement\"}", "llama3.1");
	check_file("LICENSE.json", "{\"note\": \"mit\"}", NULL);
	check_file("LICENSE.json", "{ no json, but Gemma Terms of Use", "gemma");
	check_file("LICENSE.yaml", "license: CC BY-NC 4.0\n", "cc-by-nc-4.0");
	check_file("LICENSE.yaml", "license: cc-by-nc-4.0\n", "cc-by-nc-4.0");
	check_file("LICENSE.toml", "SPDX-License-Identifier = \"MPL-2.0\"\n", "mpl-2.0");
	check_file("LICENSE.toml", "# about\n[model]\nname = \"x\"\nlicense = \"CC-BY-NC-4.0\"\n", "cc-by-nc-4.0");
	check_file("LICENSE.toml", "project.license = { text = 'CC BY-NC 4.0' }\n", "cc-by-nc-4.0");
	check_file("LICENSE.TOML", "license = [\n  \"MIT\",\n  \"GPL-3.0-only\",\n]\n", "gpl-3.0");
	check_file("LICENSE.toml", "note = \"mit\"\n", NULL);
	check_file("License.Json", "{\"license\": \"cc-by-nc-4.0\"}", "cc-by-nc-4.0");
	check_file("LICENSE.JSON", "\xef\xbb\xbf{\"license\": \"cc-by-nc-4.0\"}", "cc-by-nc-4.0");
	check_file("license.YAML", "license: CC-BY-NC-4.0\n", "cc-by-nc-4.0");
	check_file("NOTICE", "spdx-license-identifier: CC-BY-NC-4.0", "cc-by-nc-4.0");
	check_file("NOTICE", "SPDX-License-Identifier: MIT, CC-BY-NC-4.0", "cc-by-nc-4.0");
	check_file("NOTICE", "SPDX-License-Identifier: MIT / CC-BY-NC-4.0", "cc-by-nc-4.0");
	check_file("a.py", "/* SPDX-License-Identifier: MIT */", "mit");
	check_file("a.html", "<!-- SPDX-License-Identifier: MIT -->", "mit");
}

static void words_and_names(void **state)
{
	(void)state;
	check_file("NOTICE", "Built with Llama. Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright \xc2\xa9 Meta Platforms, Inc. All Rights Reserved.", "llama3.1");
	check_file("NOTICE", "Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc.", "llama2");
	check_file("NOTICE", "Meta Llama 3 is licensed under the Meta Llama 3 Community License, Copyright \xc2\xa9 Meta", "llama3");
	check_file("NOTICE", "Our notice. Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms", "gemma");
	check_file("LICENSE", "cc-by-nc-4.0", "cc-by-nc-4.0");
	check_file("LICENSE", "CC BY-NC 4.0\n", "cc-by-nc-4.0");
	check_file("LICENSE.md", "# License: CC-BY-NC-4.0\n\nCopyright 2024 X\nhttps://example.org/terms\n", "cc-by-nc-4.0");
	check_file("LICENSE", "MIT, non-commercial", NULL);
	check_file("LICENSE", "other", NULL);
}

static void pages(void **state)
{
	own(buf) struct buf gpl, page;
	struct err e = ERR_NONE;
	size_t lines = 0;

	(void)state;
	buf_init(&gpl, 1 << 20);
	buf_init(&page, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, "/usr/share/common-licenses/GPL-3", &gpl, &e), 0);
	buf_puts(&page, "<html><head><style>p { x: y }</style></head><body><p title=\"x\">");
	for (const char *p = gpl.data; *p; p++) {
		if (*p == '"')
			buf_puts(&page, "&ldquo;");
		else if (*p == '\n' && p[1] == '\n')
			buf_printf(&page, "</p>\n<p id=\"n%zu\"><b>&#32;</b>", lines++);
		else
			buf_putc(&page, *p);
	}
	check_file("LICENSE.html", page.data, "gpl-3.0");
	check_file("LICENSE", page.data, "gpl-3.0");	/* a page under another name */
	check_file("LICENSE.htm", "<p>SPDX-License-<i>Identifier</i>: <code>CC-BY-NC-4.0</code></p>", "cc-by-nc-4.0");
	check_file("LICENSE.HTML", "a < b &unknown; &#x41; &#; & <unclosed", NULL);
	check_file("LICENSE.html", "<script>Gemma Terms of Use", NULL);
	check_file("LICENSE.html", "<!-- Gemma Terms of Use -->", "gemma");
}

static void links(void **state)
{
	static const struct {
		const char *link, *path;
	} cases[] = {
		{ "LICENSE", "LICENSE" },
		{ "./docs/terms.md", "docs/terms.md" },
		{ "/terms.md#use", "terms.md" },
		{ "our%20terms.txt", "our terms.txt" },
		{ "blob/main/terms.md", "terms.md" },
		{ "https://huggingface.co/Org/m/blob/main/docs/terms.md", "docs/terms.md" },
		{ "http://www.hf.co/org/M/resolve/refs%2Fpr%2F1/terms.md?download=true", "terms.md" },
		{ "huggingface.co/org/m/raw/main/terms.md", "terms.md" },
		{ "https://huggingface.co/org/m", NULL },
		{ "https://huggingface.co/org/m/discussions/1", NULL },
		{ "https://huggingface.co/org/more/blob/main/terms.md", NULL },
		{ "https://example.com/org/m/blob/main/terms.md", NULL },
		{ "../terms.md", NULL },
		{ "README.md", NULL },
		{ "%zz", NULL },
		{ "", NULL },
	};
	own(arena) struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *path = licence_link_path(cases[i].link, "org/m", &a);

		if (!path != !cases[i].path || (path && strcmp(path, cases[i].path) != 0))
			fail_msg("%s: %s", cases[i].link, path ? path : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_whole), cmocka_unit_test(written_forms),	    cmocka_unit_test(texts),
		cmocka_unit_test(one_answer),	      cmocka_unit_test(conflicts_are_said), cmocka_unit_test(text_paths), cmocka_unit_test(ids_in_files), cmocka_unit_test(links),
		cmocka_unit_test(names_are_filled_in), cmocka_unit_test(one_of_several_in_a_text), cmocka_unit_test(what_a_key_would_not_say), cmocka_unit_test(every_tag_counts),
		cmocka_unit_test(a_family_takes_texts_of_its_own), cmocka_unit_test(a_name_that_is_known_is_that_licence), cmocka_unit_test(the_same_counts_in_any_order),
		cmocka_unit_test(no_derivatives_means_none), cmocka_unit_test(the_lgpl_comes_with_the_gpl), cmocka_unit_test(words_and_names), cmocka_unit_test(pages),
		cmocka_unit_test(other_names_have_other_ids), cmocka_unit_test(several_in_one_text),
		cmocka_unit_test(a_text_that_nobody_knows),
		cmocka_unit_test(copyleft_is_not_dropped), cmocka_unit_test(what_nobody_has_read_is_a_conflict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
