/* test_licence_answer.c - from many claims to one answer: the strictest counts, and claims that disagree are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"

static const char own_terms[] = "Permission is granted to look at this on Mondays, in the reading room of the second floor and without taking notes of any kind, "
				"and to nobody else who does not work for us. All rights reserved.";

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

/* SPDX's way to write a name of one's own is one way wherever it stands. */
static void a_name_of_spdx_is_the_same_everywhere(void **state)
{
	static const char *const files[][2] = {
		{ "LICENSE", "SPDX-License-Identifier: LicenseRef-Acme\n" }, { "LICENSE", "SPDX-License-Identifier: licenseref-acme\n" },
		{ "LICENSE", "LicenseRef-Acme\n" }, { "LICENSE.json", "{\"license\": \"LicenseRef-Acme\"}" }, { "LICENSES/x.txt", "SPDX-License-Identifier: LicenseRef-Acme\n" },
		{ "model.safetensors.license", "SPDX-License-Identifier: LicenseRef-Acme\n" },
	};
	static const char *const cards[] = { "LicenseRef-Acme", "licenseref-acme", "Acme" };
	struct licence_answer r;
	own(arena) struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		for (size_t k = 0; k < ARRAY_LEN(cards); k++) {
			struct licence_text t = { .path = files[i][0] };

			licence_read_file(t.path, files[i][1], strlen(files[i][1]), &a, &t);
			r = resolve(&(struct licence_claims){ .card = &cards[k], .n_card = 1, .tags = (const char *const[]){ "licenseref-acme" }, .n_tags = 1, .texts = &t, .n_texts = 1 }, &a);
			if (strcmp(r.id, "other:acme") != 0 || r.n_conflicts || strcmp(r.spdx, "LicenseRef-acme") != 0)
				fail_msg("%s, %s: %s, %s, %zu conflicts %s", cards[k], files[i][1], r.id, r.spdx, r.n_conflicts, r.n_conflicts ? r.conflicts[0] : "");
		}
	assert_string_equal(licence_id("LicenseRef-Acme", &a), "other:acme");
	assert_string_equal(licence_id("other:LicenseRef-Acme", &a), "other:acme");
	assert_string_equal(licence_said("LicenseRef-Acme", &a), "other:acme");
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

static void tags_and_texts(void **state)
{
	static const char *const nc[] = { "cc-by-nc-4.0" }, *const mit[] = { "mit" }, *const other[] = { "other" }, *const apache[] = { "apache-2.0" };
	const struct licence_text text = { .path = "LICENSE", .recognised = "apache-2.0", .all = apache, .n_all = 1, .notice = "" };
	const struct licence_text unknown = { .path = "LICENSE", .notice = "" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	arena_init(&a);
	r = resolve(&(struct licence_claims){ .tags = nc, .n_tags = 1, .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "cc-by-nc-4.0");
	assert_string_equal(r.conflicts[0], "tag says cc-by-nc-4.0 but LICENSE is the text of apache-2.0");
	r = resolve(&(struct licence_claims){ .tags = mit, .n_tags = 1, .texts = &unknown, .n_texts = 1 }, &a);
	assert_string_equal(r.conflicts[0], "LICENSE is not the text of mit, nor any other that is known here");
	r = resolve(&(struct licence_claims){ .tags = other, .n_tags = 1, .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "apache-2.0");
	assert_int_equal(r.n_conflicts, 0);
	r = resolve(&(struct licence_claims){ .card = other, .n_card = 1, .tags = nc, .n_tags = 1, .texts = &text, .n_texts = 1 }, &a);
	assert_string_equal(r.conflicts[0], "the text says apache-2.0 but upstream's tag says cc-by-nc-4.0");
	r = resolve(&(struct licence_claims){ .chosen = "mit", .tags = nc, .n_tags = 1 }, &a);
	assert_string_equal(r.conflicts[0], "a person says mit but upstream's tag says cc-by-nc-4.0");
	r = resolve(&(struct licence_claims){ .chosen = "cc-by-nc-4.0", .tags = mit, .n_tags = 1 }, &a);
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
	/* One that gives all is not believed of it, be its text known or not. */
	assert_int_equal(conflicts_with("apple-ascl", "LICENSE", own_terms), 1);
	assert_int_equal(conflicts_with("openmdw-1.0", "LICENSE", own_terms), 1);
	assert_int_equal(conflicts_with("openmdw-1.1", "LICENSE", own_terms), 1);
	assert_int_equal(conflicts_with("openmdw-1.1", "LICENSE", "OpenMDW-1.1"), 0);
	assert_int_equal(conflicts_with("bsd", "LICENSE", own_terms), 1);
	/* Not where the model's own licence is expected, or one that does not give all and whose text nobody knows. */
	assert_int_equal(conflicts_with("mit", "NOTICE", own_terms), 0);
	assert_int_equal(conflicts_with("mit", "docs/LICENSE", own_terms), 0);
	assert_int_equal(conflicts_with("llama3", "LICENSE", own_terms), 0);
}

/* Answer and conflicts where LICENSE.md has terms that nobody knows and a text at `path` is that of `id`; the card says `card`, or nothing. */
static void check_beside(const char *card, const char *path, const char *id, const char *want, size_t conflicts)
{
	struct licence_text texts[2] = { { .path = "LICENSE.md" }, { .path = path, .recognised = id, .notice = "" } };
	struct licence_answer r;
	struct arena a;

	arena_init(&a);
	licence_read_text(own_terms, strlen(own_terms), &a, &texts[0]);
	r = resolve(&(struct licence_claims){ .card = &card, .n_card = card != NULL, .texts = texts, .n_texts = 2 }, &a);
	if (strcmp(r.id, want) != 0 || r.n_conflicts != conflicts)
		fail_msg("%s beside %s, the text of %s: %s, %zu conflicts", card ? card : "nothing", path, id, r.id, r.n_conflicts);
	arena_done(&a);
}

static void no_other_file_hides_it(void **state)
{
	const char *const tag = "mit";
	struct licence_text terms = { .path = "MODEL_LICENSE" };
	struct licence_answer r;
	struct arena a;

	(void)state;
	check_beside("apache-2.0", "src/LICENSE", "apache-2.0", "apache-2.0", 1);
	check_beside("apache-2.0", "LICENSE.txt", "apache-2.0", "apache-2.0", 1);
	check_beside("gemma", "LICENSE.txt", "gemma", "gemma", 1);
	check_beside("bsd", "src/LICENSE", "bsd-3-clause", "bsd-3-clause", 1);
	check_beside("other", "LICENSE.txt", "mit", "mit", 1);
	check_beside("other", "NOTICE", "mit", "other", 0);
	check_beside("other", "src/LICENSE", "mit", "other", 0);
	check_beside("other", "src/LICENSE", "llama3", "other", 0);
	check_beside("other:ours", "src/LICENSE", "llama3", "other:ours", 1);
	check_beside(NULL, "src/LICENSE", "mit", "unknown", 0);
	check_beside(NULL, "NOTICE", "gemma", "unknown", 0);
	check_beside(NULL, "weights/LICENSE", "cc-by-nc-4.0", "cc-by-nc-4.0", 1);	/* forbids all that may be forbidden */
	arena_init(&a);
	licence_read_text(own_terms, strlen(own_terms), &a, &terms);
	r = resolve(&(struct licence_claims){ .tags = &tag, .n_tags = 1, .texts = &terms, .n_texts = 1 }, &a);
	assert_string_equal(r.id, "mit");
	assert_int_equal(r.n_conflicts, 1);
	assert_string_equal(r.conflicts[0], "MODEL_LICENSE is not the text of mit, nor any other that is known here");
	arena_done(&a);
}

/* One that says more than what is known of it is no answer where it is not expected, and is asked for that where it is one. */
static void what_says_more_is_no_answer(void **state)
{
	static const struct {
		const char *card, *path, *id, *want;
		size_t conflicts;
	} cases[] = {
		{ NULL, "docs/LICENSE", "mit", "unknown", 0 }, { NULL, "LICENSE", "mit", "mit", 1 }, { NULL, "docs/LICENSE", "cc-by-nc-4.0", "cc-by-nc-4.0", 1 },
		{ NULL, "LICENSE_AGREEMENT.txt", "mit", "mit", 1 },	/* alone it is the model's own */
		{ "bsd", "src/LICENSE", "bsd-3-clause", "bsd-3-clause", 1 }, { "mit", "src/LICENSE", "mit", "mit", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct licence_text t = { .path = cases[i].path, .recognised = cases[i].id, .says_more = true, .notice = "" };
		struct licence_answer r;
		struct arena a;

		arena_init(&a);
		r = resolve(&(struct licence_claims){ .card = &cases[i].card, .n_card = cases[i].card != NULL, .texts = &t, .n_texts = 1 }, &a);
		if (strcmp(r.id, cases[i].want) != 0 || r.n_conflicts != cases[i].conflicts)
			fail_msg("%s: %s, %zu conflicts", cases[i].path, r.id, r.n_conflicts);
		arena_done(&a);
	}
}

/* Answer and conflicts of a card that says `card`, or nothing, beside a NOTICE with the text of `id`. */
static void check_notice(const char *card, const char *id, const char *want, size_t conflicts)
{
	const struct licence_text notice = { .path = "NOTICE.txt", .recognised = id, .notice = "" };
	struct licence_answer r;
	struct arena a;

	arena_init(&a);
	r = resolve(&(struct licence_claims){ .card = &card, .n_card = card != NULL, .texts = &notice, .n_texts = 1 }, &a);
	if (strcmp(r.id, want) != 0 || r.n_conflicts != conflicts)
		fail_msg("%s with a notice of %s: %s, %zu conflicts", card ? card : "nothing", id, r.id, r.n_conflicts);
	arena_done(&a);
}

static void a_notice_is_about_parts(void **state)
{
	(void)state;
	check_notice("other:qwen", "bsd-3-clause", "other:qwen", 0);
	check_notice("other:ours", "mit", "other:ours", 0);
	check_notice("mit", "apache-2.0", "mit", 0);
	check_notice("bsd", "bsd-3-clause", "bsd", 0);
	check_notice("other", "mit", "other", 0);
	check_notice(NULL, "mit", "unknown", 0);
	check_notice("mit", "gpl-3.0", "gpl-3.0", 1);
	check_notice("mit", "llama3.1", "llama3.1", 1);
	check_notice(NULL, "llama3.1", "llama3.1", 0);
}

static void own_texts(void **state)
{
	static const char *const main_texts[] = { "LICENSE", "licence.md", "COPYING", "MODEL_LICENSE", "MODEL-LICENSE.txt", "LICENSE-MODEL", "License Weights.md" };
	static const char *const others[] = { "docs/LICENSE", "LICENSE-CODE", "LICENSE.pdf", "MODEL.md", "model_license/x", "LICENSE_zh.md", "NOTICE", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(main_texts); i++)
		assert_true(licence_is_main_text(main_texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(licence_is_main_text(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_answer), cmocka_unit_test(a_name_of_spdx_is_the_same_everywhere), cmocka_unit_test(a_family_takes_texts_of_its_own), cmocka_unit_test(a_name_that_is_known_is_that_licence),
		cmocka_unit_test(the_same_counts_in_any_order), cmocka_unit_test(every_tag_counts), cmocka_unit_test(tags_and_texts), cmocka_unit_test(other_names_have_other_ids),
		cmocka_unit_test(conflicts_are_said), cmocka_unit_test(copyleft_is_not_dropped), cmocka_unit_test(no_derivatives_means_none),
		cmocka_unit_test(the_lgpl_comes_with_the_gpl), cmocka_unit_test(one_of_several_in_a_text), cmocka_unit_test(what_nobody_has_read_is_a_conflict),
		cmocka_unit_test(a_text_that_nobody_knows), cmocka_unit_test(no_other_file_hides_it), cmocka_unit_test(what_says_more_is_no_answer), cmocka_unit_test(a_notice_is_about_parts),
		cmocka_unit_test(own_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
