/* test_licence_words.c - what licence files say that are no known text: restrictions, short words about licences, data and pages, and files made to be misread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "catalog/licence.h"

#define GPL_PATH "/usr/share/common-licenses/GPL-3"

/* What a card that says `card` (and `name`, if any) comes to with this text. The arena holds it. */
static struct licence_answer with(const char *card, const char *name, const char *path, const char *text, size_t n, struct arena *a)
{
	struct licence_text t = { .path = path };
	struct licence_answer out;

	licence_read_file(path, text, n, a, &t);
	licence_resolve(&(struct licence_claims){ .card = &card, .n_card = 1, .card_name = name, .texts = &t, .n_texts = 1 }, a, &out);
	return out;
}

/* id: NULL for a conflict of any kind. */
static void check(const char *card, const char *name, const char *path, const char *text, const char *id, bool conflicts)
{
	own(arena) struct arena a;

	arena_init(&a);
	struct licence_answer r = with(card, name, path, text, strlen(text), &a);

	if ((id && strcmp(r.id, id) != 0) || (r.n_conflicts > 0) != conflicts)
		fail_msg("%s with %s \"%.200s\": %s, %zu conflicts %s", card, path, text, r.id, r.n_conflicts, r.n_conflicts ? r.conflicts[0] : "");
}

static void restrictions(void **state)
{
	static const char *const taken_back[] = {
		"Commercial usage is not allowed.", "Use in commercial products is forbidden.", "Commercial exploitation is prohibited.", "Not intended for commercial use without written permission",
		"You need a licence for commercial use.", "Commercial users must obtain a license", "For personal use.", "Only non-profit use is permitted.", "Research use only",
		"Use for business purposes is prohibited", "may not be sold", ("You may use this for non\xe2\x80\x91" "commercial purposes only"), "You may use it, but not commercially.",
		"For research\npurposes only.", "Companies with revenue over 1M must buy a license.", "No permission is granted for commercial use.", "You may not use the model or its name commercially.",
		"You may not use it for purposes including but not limited to commercial use.", "Limited to academic use.",
		"The above license applies to the code only.", "The model weights are proprietary.", "This license does not apply to the weights.",
		"The following uses of the model are prohibited:\n\n* commercial use\n* military use", "You may not use the weights for:\n 1. commercial purposes\n 2. military ones",
		"You may not:\n\n(a) sell it; or\n(b) use it for commercial purposes", " * The weights may not be used for\n * commercial purposes.", "Not for\n\n\ncommercial use",
		"Access is for academic researchers only.", "Granted to academic institutions only.", "For students only.",
		"Model weights (c) us, all rights reserved.", "Copyright us, model weights: all rights reserved", "Copyright us\nThe weights: all rights reserved",
	};
	static const char *const given[] = {
		"For commercial, academic, or non-commercial purposes.", "Commercial (as well as noncommercial) use is welcome.", "Commercial use requires no further permission.",
		"You may not use the trademarks of Foo in commercial advertising.", "Evaluation only covers English.", "non-commercial use is permitted, and commercial use is permitted",
		"Commercial use is allowed, but you may not sue us.", "This is not limited to research use only; commercial use is welcome.", "Commercial use not requiring a license.",
		"The academic paper is only available in PDF.", "Commercial support is available. Do not use the issue tracker for commercial requests.",
		"Commercial purposes are not prohibited.", "No permission is needed for commercial use.", "It is not necessary to request a license for commercial use.", "This research project is only a prototype, commercial use is fine.", "Commercial use requires attribution only.",
		"You are required to keep this notice and license text in commercial software.", "Governed by the laws of the place of business of the licensor, excluding its conflict rules.",
		"Copyright (c) 2023, Large Model Systems Organization\nAll rights reserved.", "# Copyright (c) 2023 The Model Lab. All rights reserved.",
		"Copyright (c) 2023 The Model Lab\n\nAll Rights Reserved",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken_back) + ARRAY_LEN(given); i++) {
		bool is_back = i < ARRAY_LEN(taken_back);
		own(buf) struct buf text;
		struct err e = ERR_NONE;

		buf_init(&text, 1 << 20);
		assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/LICENSE", &text, &e), 0);
		buf_printf(&text, "\n\n%s\n", is_back ? taken_back[i] : given[i - ARRAY_LEN(taken_back)]);
		check("apache-2.0", NULL, "NOTICE", text.data, is_back ? "other:with-restrictions" : "apache-2.0", is_back);
	}
}

static void short_words(void **state)
{
	static const struct {
		const char *card, *text, *id;
		bool conflicts;
	} cases[] = {
		{ "cc-by-4.0", "https://creativecommons.org/licenses/by-nc/4.0/", "cc-by-nc-4.0", true },
		{ "cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/legalcode", "cc-by-4.0", false },
		{ "cc-by-4.0", "https://creativecommons.org/licenses/by/3.0/", NULL, true },
		{ "cc0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0", false },
		{ "cc-by-4.0", "This work is licensed under a Creative Commons Attribution-NoDerivatives 4.0 International License.", "cc-by-nd-4.0", true },
		{ "cc-by-4.0", "This work by us is licensed under a Creative Commons Attribution 4.0 International License.", "cc-by-4.0", false },
		{ "cc-by-4.0", "CC BY-ND for the weights", NULL, true },
		{ "cc-by-4.0", "cc by sa 4.0 international, by me", NULL, true },
		{ "mit", "MIT for code, GPL-3.0 for weights", NULL, true },
		{ "mit", "Licensed under CC BY-NC 4.0. Code: MIT license.", NULL, true },
		{ "cc-by-nc-4.0", "Licensed under CC BY-NC 4.0. Code: MIT license.", "cc-by-nc-4.0", false },
		{ "mit", "MIT-style, but commercial usage is not allowed", NULL, true },
		{ "mit", "MIT-style licence", NULL, true },
		{ "mit", "MIT (NC)", NULL, true },
		{ "apache-2.0", "Apache 2.0 NC", NULL, true },
		{ "apache-2.0", "Apache 2.0 [NC]", NULL, true },
		{ "cc-by-4.0", "CC BY 4.0 (NC)", NULL, true },
		{ "apache-2.0", "Apache 2.0 applies to the code, not the weights.", NULL, true },
		{ "apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", "apache-2.0", false },
		{ "apache-2.0", "See https://www.apache.org/licenses/LICENSE-2.0.txt", "apache-2.0", false },
		{ "apache-2.0", "This model uses the Apache 2.0 license, see https://www.apache.org/licenses/LICENSE-2.0 for the full text.", "apache-2.0", false },
		{ "mit", "https://www.apache.org/licenses/LICENSE-2.0.txt", NULL, true },
		{ "mit", "See https://opensource.org/licenses/GPL-3.0", NULL, true },
		{ "mit", "The code is under the MIT License, the weights under the Qwen License.", NULL, true },
		{ "mit", "Copyright 2024. This model is licensed under the GNU GPL v3, not MIT.", NULL, true },
		{ "mit", "This model is under the MIT license, which the Llama 3 licence supersedes", NULL, true },
		{ "mit", "Emit license", NULL, true },
		{ "mit", "Code: MIT License. Weights: GLM-130B License.", NULL, true },
		{ "mit", "Code: MIT License. Weights: Acme-1.0 licence", NULL, true },
		{ "mit", "Code: MIT License. Weights: Acme Model License", NULL, true },
		{ "mit", "Code: MIT License. Weights: Acme Agreement", NULL, true },
		{ "mit", "Released under the Acme Community License. MIT code.", NULL, true },
		{ "mit", "MIT License. The Phi-3 Model is of the Base Model licensed under the MIT License.", "mit", false },
		{ "mpl-2.0", "Subject to the terms of the Mozilla Public License, v. 2.0.", "mpl-2.0", false },
		{ "mpl-2.0", "Subject to the terms of the Mozilla Public License. It is MPL 2.0.", "mpl-2.0", false },
		{ "mit", "MIT License\n\xe0\xb8\xab\xe0\xb9\x89\xe0\xb8\xb2\xe0\xb8\xa1", NULL, true },
		{ "mit", "MIT License\n\xef\xbc\xae\xef\xbc\xaf\xef\xbc\xae", NULL, true },
		{ "mit", "\xef\xbb\xbfMIT License \xe2\x9a\x96\xef\xb8\x8f", "mit", false },
		{ "mit", "MIT \xe8\xae\xb8\xe5\x8f\xaf, \xe4\xbb\x85\xe9\x99\x90", NULL, true },
		{ "mit", "MIT License. Free for commercial and noncommercial use.", "mit", false },
		{ "mit", "The MIT License (MIT)\nCopyright (c) 2024 X\nhttps://opensource.org/licenses/MIT", "mit", false },
		{ "mit", "Dual licensed under MIT or Apache-2.0.", "mit", false },
		{ "gpl-3.0", "GPLv3+", "gpl-3.0", false },
		{ "gpl-3.0", "You can redistribute it under the terms of the GNU General Public License, either version 3 or (at your option) any later version.", "gpl-3.0", false },
		{ "gpl-3.0", "You can redistribute it under the terms of the GNU Affero General Public License.", NULL, true },
		{ "epl-2.0", "Eclipse Public License - v 2.0", "epl-2.0", false },
		{ "gpl-3.0", "See https://www.gnu.org/licenses/gpl-3.0.html", "gpl-3.0", false },
		{ "gpl-3.0", "See https://www.gnu.org/licenses/agpl-3.0.html", NULL, true },
		{ "cc0-1.0", "Public domain.", "cc0-1.0", false },
		{ "unlicense", "Public Domain", "unlicense", false },
		{ "apache-2.0", "This model was fine-tuned with LLaMA-Factory and is released under the Apache License 2.0.", "apache-2.0", false },
		{ "apache-2.0", "Mistral AI licensed this model under Apache 2.0.", "apache-2.0", false },
		{ "mit", "MIT License\nCopyright (c) 2023 DeepSeek", "mit", false },
		{ "lgpl-3.0", "SPDX-License-Identifier: GPL-3.0-only AND LGPL-3.0-only", "gpl-3.0", true },
		{ "lgpl-3.0", "SPDX-License-Identifier: LGPL-3.0-only AND GPL-3.0-only", "gpl-3.0", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check(cases[i].card, NULL, "LICENSE", cases[i].text, cases[i].id, cases[i].conflicts);
}

/* What stands beside a known text in the same file is read as a short text is, and more of it than a word is unknown terms. */
static void beside_a_text(void **state)
{
	static const char own[] = "You may use the model in your own research group. Any other use is governed by a separate agreement with us. ";
	static const struct {
		const char *behind, *id;
		size_t times;
		bool conflicts, elsewhere;	/* elsewhere: in docs/, where what is no known text says nothing */
	} cases[] = {
		{ "The model weights are licensed under CC BY-NC 4.0.", "apache-2.0", 1, true, true },
		{ "The weights are licensed under the AGPL-3.0.", NULL, 1, true, true },
		{ "Copyright 2024 us, weights: CC BY-NC 4.0", NULL, 1, true, true },
		{ "\xe6\x9c\xac\xe6\xa8\xa1\xe5\x9e\x8b", NULL, 1, true, false },
		{ "The weights are licensed under the ChatGLM2-6B License.", NULL, 1, true, false },
		{ "The weights are licensed under the ChatGLM 3 License.", NULL, 1, true, false },
		{ "The weights are licensed under the Acme Public License.", NULL, 1, true, false },
		{ own, NULL, 30, true, false },
		{ own, "apache-2.0", 2, true, false },
		{ own, "apache-2.0", 1, true, false },
		{ "Apache License\nhttps://www.apache.org/licenses/LICENSE-2.0\n", "apache-2.0", 30, false, false },
		{ "The above license applies to the code only.", "other:with-restrictions", 1, true, true },
		{ "The model weights are proprietary and all rights are reserved.", "other:with-restrictions", 1, true, true },
		{ "This license does not apply to the weights.", "other:with-restrictions", 1, true, true },
		{ "Copyright (c) 2023 DeepSeek\n", "apache-2.0", 100, false, false },
		{ "Copyright \xe6\x9c\xac\n", "apache-2.0", 1, false, false },
		{ "Dual licensed under MIT or Apache-2.0.", "apache-2.0", 1, false, false },
		{ "You are required to keep this notice and license text in commercial software.", "apache-2.0", 1, true, false },
		{ "Governed by the laws of the place of business of the licensor, excluding its conflict-of-law provisions.", "apache-2.0", 1, true, false },
	};
	own(buf) struct buf apache;
	struct err e = ERR_NONE;

	(void)state;
	buf_init(&apache, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, SOURCE_DIR "/LICENSE", &apache, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(buf) struct buf text;

		buf_init(&text, 1 << 20);
		buf_printf(&text, "%s\n\n", apache.data);
		for (size_t k = 0; k < cases[i].times; k++)
			buf_puts(&text, cases[i].behind);
		check("apache-2.0", NULL, "LICENSE", text.data, cases[i].id, cases[i].conflicts);
		check("apache-2.0", NULL, "docs/LICENSE", text.data, cases[i].id, cases[i].elsewhere);
	}
	check("openmdw-1.1", NULL, "LICENSE", "OpenMDW License Agreement, version 1.1\n", "openmdw-1.1", false);
	for (int k = 0; k < 30; k++)
		buf_puts(&apache, own);
	buf_puts(&apache, "\nOpenMDW License Agreement, version 1.1\n");
	check("apache-2.0", NULL, "LICENSE", apache.data, "apache-2.0", true);
}

static void data(void **state)
{
	static const struct {
		const char *path, *text, *id;	/* NULL: mit, and a conflict */
	} cases[] = {
		{ "LICENSE.yaml", "license: mit\n---\nlicense: gpl-3.0\n", "gpl-3.0" },
		{ "LICENSE.yaml", "%YAML 1.1\n---\nlicense: mit\n...\n---\nlicense: cc-by-nc-4.0\n", "cc-by-nc-4.0" },
		{ "LICENSE.yaml", "---\nlicense: mit\n...\n", "mit" },
		{ "LICENSE.yaml", "license: gpl-3.0\nlicense: mit\n", NULL },
		{ "LICENSE.json", "{\"licenses\":[\"GPL-3.0\"],\"license\":\"MIT\"}", "gpl-3.0" },
		{ "LICENSE.json", "{\"license\":\"gpl-3.0\",\"license\":\"mit\"}", NULL },
		{ "LICENSE.json", "{\"license\":\"MIT AND GPL-3.0\"}", "gpl-3.0" },
		{ "LICENSE.json", "{\"license\":\"MIT OR (GPL-3.0 WITH Classpath-exception-2.0)\"}", "gpl-3.0" },
		{ "LICENSE.json", "{\"license\":\"MIT, CC BY-NC 4.0\"}", "cc-by-nc-4.0" },
		{ "LICENSE.json", "{\"license\":{\"text\":\"CC-BY-NC-4.0\"}}", "cc-by-nc-4.0" },
		{ "LICENSE.json", "{\"License-Expression\":\"GPL-3.0-only\"}", "gpl-3.0" },
		{ "LICENSE.json", "{\"license\":\"mit\",\"model\":{\"id\":\"llama3\"}}", "mit" },
		{ "LICENSE.json", "{\"name\":\"tiny\",\"type\":\"boost\",\"id\":\"gpl\",\"license\":\"mit\"}", "mit" },
		{ "LICENSE.json", "{\"x\":[[[[[[[[[[[[[[[[[[[[{\"license\":\"gpl-3.0\"}]]]]]]]]]]]]]]]]]]]]}", NULL },
		{ "LICENSE.toml", "x = { license = 'gpl-3.0' }", "gpl-3.0" },
		{ "LICENSE.toml", "x = { license = 'mit', about = 'gpl-3.0' }\ny = 'gpl-3.0'", "mit" },
		{ "LICENSE.toml", "[license]\ntext = \"cc-by-nc-4.0\"", "cc-by-nc-4.0" },
		{ "LICENSE.toml", "[license]\na = 1\n[other]\ntext = \"gpl-3.0\"", "mit" },
		{ "LICENSE.toml", "# it's\nlicense = \"\"\"\ncc\\u002dby-nc-4.0\"\"\"", "cc-by-nc-4.0" },
		{ "LICENSE.toml", "license = [\n 'mit', # it's mine\n 'gpl-3.0']", "gpl-3.0" },
		{ "LICENSE.toml", "license = 'mit", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check("mit", NULL, cases[i].path, cases[i].text, cases[i].id ? cases[i].id : "mit", !cases[i].id || strcmp(cases[i].id, "mit") != 0);
}

static void pages_that_hide_a_text(void **state)
{
	static const struct {
		const char *before, *behind;
		bool is_read;	/* the GPL is found; else it is said that not all is read */
	} cases[] = {
		{ "<!-- <script> --><html><pre>", "</pre></html>", true },
		{ "<html><a title='x > <script>'>hi</a><pre>", "</pre></html>", true },
		{ "<html><title><script></title><pre>", "</pre>", true },
		{ "<html><textarea><style></textarea><pre>", "</pre>", true },
		{ "<html><p a=\"<!--\"><pre>", "</pre>", true },
		{ "<html><!--><script>--></script><pre>", "</pre>", true },
		{ "<html><style type=x></style ><pre>", "</pre>", true },
		{ "<html><script>", "", false },
		{ "<html><svg><style/></svg><pre>", "</pre><style></style>", false },
		{ "<html><script><!--<script></script><style></script><pre>", "</pre></style>", false },
		{ "<html><p title='", "", false },
	};
	own(buf) struct buf gpl;
	struct err e = ERR_NONE;

	(void)state;
	buf_init(&gpl, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, GPL_PATH, &gpl, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own(buf) struct buf page;

		buf_init(&page, 1 << 20);
		buf_printf(&page, "%s%s%s", cases[i].before, gpl.data, cases[i].behind);
		check("mit", NULL, "LICENSE.html", page.data, cases[i].is_read ? "gpl-3.0" : NULL, true);
	}
	check("mit", NULL, "LICENSE.html", "<html><head><title>MIT</title><script>if (a < b) c('<!-- x');</script></head><p>MIT License</p>", "mit", false);
	check("mit", NULL, "LICENSE.html", "<html><p>&#71PL-3.0</p>", "gpl-3.0", true);
	check("mit", NULL, "LICENSE.html", "<html><p>MIT License</p><p>&#31105;&#x6b62;</p>", NULL, true);
	check("mit", NULL, "LICENSE.html", "<html><p>MIT License</p><p>&copy; Acme &#169;&nbsp;Acme</p>", "mit", false);
	check("mit", NULL, "LICENSE.html", "<html><p>MIT License</p><table><tr><td>Commercial use</td><td>not allowed</td></tr></table>", NULL, true);
}

/* A name of the card's own is one spelling of what the text is, and no free licence hides behind it. */
static void names_of_the_same_family(void **state)
{
	static const struct {
		const char *name, *title, *id;
		bool conflicts;
	} cases[] = {
		{ "tongyi-qianwen", "Tongyi Qianwen LICENSE AGREEMENT\n", "other:qwen", false },	{ "stabilityai-community", "STABILITY AI COMMUNITY LICENSE AGREEMENT\n", "other:stabilityai-ai-community", false },
		{ "tencent-hunyuan-a13b", "TENCENT HUNYUAN COMMUNITY LICENSE AGREEMENT\n", "other:hunyuan", false }, { "grok-2", "Grok 2 Community License Agreement\n", "grok2-community", false },
		{ "deepseek-license", "DEEPSEEK LICENSE AGREEMENT\n", "other:deepseek", false },	{ "llama3.1-community", "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\n", "llama3.1", false },
		{ "llama-3-1-community-license", "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\n", "llama3.1", false }, { "falcon-180b", "Falcon LLM License\n", "other:falcon-llm-license", false },
		{ "acme-research", "SPDX-License-Identifier: MIT\nFor research purposes only.\n", "other:acme-research", false },
		{ "acme-research", "SPDX-License-Identifier: MIT\n", "other:acme-research", true },	{ "qwen", "DEEPSEEK LICENSE AGREEMENT\n", "other:qwen", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check("other", cases[i].name, "docs/LICENSE", cases[i].title, cases[i].id, cases[i].conflicts);
	check("other", "public domain", "LICENSE", "", "pddl", false);
	check("cc0-1.0", "Public Domain", "LICENSE", "", "cc0-1.0", false);
}

static void copyleft_that_is_dropped(void **state)
{
	static const struct {
		const char *card, *base;
		bool conflicts;
	} cases[] = {
		{ "cc-by-nc-4.0", "cc-by-nc-sa-4.0", true }, { "cc-by-nc-4.0", "gpl-3.0", true }, { "llama3.1", "gpl-3.0", true }, { "lgpl-3.0", "gpl-3.0", true }, { "gpl-3.0", "agpl-3.0", true },
		{ "gpl-3.0", "lgpl-3.0", false }, { "agpl-3.0", "gpl-3.0", false }, { "gpl-3.0", "cc-by-sa-4.0", false }, { "gpl", "gpl-3.0", false }, { "cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct licence_base base = { .repo = "org/base", .license = cases[i].base };
		own(arena) struct arena a;
		struct licence_answer r;

		arena_init(&a);
		licence_resolve(&(struct licence_claims){ .card = &cases[i].card, .n_card = 1, .bases = &base, .n_bases = 1 }, &a, &r);
		if ((r.n_conflicts > 0) != cases[i].conflicts)
			fail_msg("%s from %s: %zu conflicts", cases[i].card, cases[i].base, r.n_conflicts);
	}
}

static void more_licences_than_are_read(void **state)
{
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "SPDX-License-Identifier: MIT\n");
	check("mit", NULL, "LICENSE", text.data, "mit", false);
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "SPDX-License-Identifier: LicenseRef-%d\n", i);
	buf_puts(&text, "SPDX-License-Identifier: GPL-3.0-only\n");
	check("mit", NULL, "LICENSE", text.data, NULL, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restrictions), cmocka_unit_test(short_words), cmocka_unit_test(beside_a_text), cmocka_unit_test(data), cmocka_unit_test(pages_that_hide_a_text), cmocka_unit_test(names_of_the_same_family),
		cmocka_unit_test(copyleft_that_is_dropped), cmocka_unit_test(more_licences_than_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
