/* test_licence.c - the table is whole, written forms reach their ids, texts are recognised, and files that hold some are found. */
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
	assert_int_equal(n, 131);
	assert_int_equal(permissive, 40);
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
		{ "Apache2", "apache-2.0" }, { "apache2.0", "apache-2.0" },   { "BSD3", "bsd-3-clause" },	  { "BSD3-Clause", "bsd-3-clause" }, { "3-clause BSD", "bsd-3-clause" },
		{ "GPL3", "gpl-3.0" },	     { "LGPL2.1", "lgpl-2.1" },	      { "AGPL3", "agpl-3.0" },	  { "MIT0", "other:mit-0" },	    { "MPL2.0", "mpl-2.0" },
		{ "CC BY4.0", "cc-by-4.0" }, { "CC-BY-NC4.0", "cc-by-nc-4.0" }, { "creativeml-open-rail-m", "creativeml-openrail-m" },
	};
	own(arena) struct arena a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *id = licence_normalise(forms[i][0]);

		if (!id || strcmp(id, forms[i][1]) != 0)
			fail_msg("%s gives %s", forms[i][0], id ? id : "nothing");
	}
	assert_null(licence_normalise("???"));
	assert_null(licence_normalise("apache3"));
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

/* It stands until the next one. */
static const char *recognise(const char *text, size_t n)
{
	static char id[LICENCE_ID_MAX];
	struct licence_text t = { 0 };
	own(arena) struct arena a;

	arena_init(&a);
	licence_read_text(text, n, &a, &t);
	snprintf(id, sizeof(id), "%s", t.recognised ? t.recognised : "");
	return t.recognised ? id : NULL;
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

/* What the text is with `mark` in the place of each "(a)" or "a)" at the begin of a line. */
static const char *marked(const char *path, const char *mark)
{
	own(buf) struct buf text, out;
	struct err e = ERR_NONE;

	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, path, &text, &e), 0);
	for (const char *line = text.data; *line;) {
		const char *first = line + strspn(line, " "), *end = strchr(line, '\n');
		size_t n = first[0] == '(' && first[2] == ')' ? 3 : first[0] && first[1] == ')' ? 2 : 0;

		if (n)
			buf_printf(&out, "%.*s%s", (int)(first - line), line, mark);
		line = n ? first + n : line;
		buf_add(&out, line, (size_t)(end - line) + 1);
		line = end + 1;
	}
	return recognise(out.data, out.len);
}

static void marks_of_lists(void **state)
{
	static const char apache[] = SOURCE_DIR "/LICENSE", gpl[] = "/usr/share/common-licenses/GPL-3";
	static const char *const marks[] = { "", "-", "*", "1.", "(iii)" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		assert_string_equal(marked(apache, marks[i]), "apache-2.0");
		assert_string_equal(marked(gpl, marks[i]), "gpl-3.0");
	}
	assert_null(marked(apache, "(if I let you)"));	/* more than a mark */
	assert_null(marked(apache, "not"));
	assert_null(marked(gpl, "No"));
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

/* Lines without a letter are no name, and cost no more than their bytes, however many there are. */
static void lines_of_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		static const char *const lines[] = { ".\n", "```\n", "|\n", "\xe8\xae\xb8\n" };
		own(buf) struct buf text;
		own(arena) struct arena a;
		struct licence_text t = { .path = "LICENSE" };

		buf_init(&text, 4 << 20);
		arena_init(&a);
		buf_puts(&text, "MIT License\n");
		while (text.len < 300000)
			buf_puts(&text, lines[i]);
		licence_read_text(text.data, text.len, &a, &t);
		assert_null(t.recognised);
	}
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
	assert_true(licence_is_text_path("Tongyi Qianwen LICENSE AGREEMENT"));
	assert_true(licence_is_text_path("ACCEPTABLE_USE_POLICY.md"));
	assert_true(licence_is_text_path("EULA.txt"));
	assert_true(licence_is_text_path("TERMS.md"));
	assert_true(licence_is_text_path("LIZENZ.txt"));
	assert_true(licence_is_text_path("licen\303\247a.txt"));
	assert_true(licence_is_text_path("\xe8\xae\xb8\xe5\x8f\xaf\xe8\xaf\x81.md"));
	assert_false(licence_is_text_path("use_policy_gradient.py"));
	assert_false(licence_is_text_path("medical_terms.txt"));
	assert_true(licence_is_text_path("Gemma Terms of Use_en.html"));
	assert_true(licence_is_text_path("acme-eula-v2.txt"));
	assert_false(licence_is_text_path("search_terms_of_2020.txt"));
	assert_false(licence_is_text_path("vocab_terms_of_art.txt"));
	assert_false(licence_is_text_path("beulah.txt"));
	assert_true(licence_is_text_file("eula_corpus.md", 1 << 20));
	assert_false(licence_is_text_file("eula_corpus.md", (1 << 20) + 1));
	assert_true(licence_is_text_file("LICENSE AGREEMENT.txt", (1 << 20) + 1));
	assert_false(licence_is_text_file("words.txt", 1));
	assert_false(licence_is_text_path("data/terms.txt"));
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

/* The text at `path`, with `more` behind it: its licence, and whether more stands in it than that licence's own file has, be it another's name. */
static void check_text(const char *path, const char *more, const char *want, bool says_more)
{
	own(arena) struct arena a;
	own(buf) struct buf text;
	struct licence_text t = { .path = "LICENSE" };
	struct err e = ERR_NONE;

	arena_init(&a);
	buf_init(&text, 1 << 20);
	assert_int_equal(fdio_slurp(AT_FDCWD, path, &text, &e), 0);
	buf_puts(&text, more);
	licence_read_text(text.data, text.len, &a, &t);
	for (size_t i = 0; i < t.n_said; i++)
		t.says_more |= strcmp(t.said[i], want) != 0 && !strstr(want, t.said[i]);	/* "artistic" is what it is */
	if (!t.recognised || strcmp(t.recognised, want) != 0 || t.says_more != says_more)
		fail_msg("%s: %s%s", path, t.recognised ? t.recognised : "nothing", t.says_more ? ", and more" : "");
}

/* What the distribution keeps of each is the text that people copy. */
static void common_texts(void **state)
{
	static const char *const texts[][2] = {
		{ "Apache-2.0", "apache-2.0" }, { "Artistic", "other:artistic-1.0-perl" }, { "BSD", "bsd-3-clause" }, { "CC0-1.0", "cc0-1.0" }, { "GFDL-1.2", "gfdl" }, { "GFDL-1.3", "gfdl" },
		{ "GPL-1", "other:gpl-1.0" }, { "GPL-2", "gpl-2.0" }, { "GPL-3", "gpl-3.0" }, { "LGPL-2", "other:lgpl-2.0" }, { "LGPL-2.1", "lgpl-2.1" }, { "LGPL-3", "lgpl-3.0" },
		{ "MPL-2.0", "mpl-2.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char path[200];

		snprintf(path, sizeof(path), "/usr/share/common-licenses/%s", texts[i][0]);
		check_text(path, "", texts[i][1], false);
	}
}

static void texts_as_they_are_given_on(void **state)
{
	static const char lgpl[] = "\nLicense: LGPL-2+\n This package is free software; you can redistribute it and/or\n modify it under the terms of the GNU Lesser General Public\n"
				   " License as published by the Free Software Foundation; either\n version 2 of the License, or (at your option) any later version.\n";

	(void)state;
	check_text(SOURCE_DIR "/tests/licences/OFL-1.1.txt", "", "ofl-1.1", false);	/* with the words above it that its authors prescribe */
	check_text(SOURCE_DIR "/tests/licences/OFL-1.1.txt", lgpl, "ofl-1.1", true);
	check_text(SOURCE_DIR "/tests/licences/OpenMDW-1.0.txt", "", "openmdw-1.0", false);
	check_text(SOURCE_DIR "/tests/licences/OpenMDW-1.0.txt", own_terms, "openmdw-1.0", true);
	check_text(SOURCE_DIR "/tests/licences/Apple-ASCL.txt", "", "apple-ascl", false);
	check_text(SOURCE_DIR "/tests/licences/ECL-2.0.txt", "", "ecl-2.0", false);	/* its own words on how to apply it name it again */
	check_text(SOURCE_DIR "/tests/licences/ECL-2.0.txt", own_terms, "ecl-2.0", true);
	check_file("LICENSE", "OpenMDW License Agreement, version 1.0 (OpenMDW-1.0)\n\nYou may look at this on Mondays only. You may not redistribute it, nor show it to anybody else.", NULL);
	check_file("LICENSE", "LLaMA LICENSE AGREEMENT\nThis License Agreement", "other:llama1");
	check_file("LICENSE", "Falcon 180B TII License Version 1.0\nSeptember 2023", "other:falcon-llm-license");
	check_file("LICENSE", "TII Falcon License 2.0\nMay 2024", "other:falcon-llm-license");
	check_file("LICENSE", "STABILITY AI NON-COMMERCIAL RESEARCH COMMUNITY LICENSE AGREEMENT\nDated: December 06, 2023", "other:stabilityai-nc-research-community");
	check_file("LICENSE", "The grant of rights under the License will not include, and the License does not grant to you, the right to Sell the Software.", "other:commons-clause");
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
		{ "[Terms](TERMS.md)", "TERMS.md" },
		{ "[Terms](https://huggingface.co/org/m/blob/main/TERMS.md)", "TERMS.md" },
		{ "<TERMS.md>", "TERMS.md" },
		{ "See TERMS.md", "TERMS.md" },
		{ "https://huggingface.co/org/m/blob/refs/pr/1/TERMS.md", "TERMS.md" },
		{ "https://huggingface.co/org/m/tree/main/TERMS.md", "TERMS.md" },
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
		cmocka_unit_test(the_table_is_whole), cmocka_unit_test(written_forms), cmocka_unit_test(texts), cmocka_unit_test(text_paths),
		cmocka_unit_test(ids_in_files), cmocka_unit_test(links), cmocka_unit_test(names_are_filled_in), cmocka_unit_test(what_a_key_would_not_say),
		cmocka_unit_test(words_and_names), cmocka_unit_test(pages), cmocka_unit_test(several_in_one_text), cmocka_unit_test(lines_of_nothing), cmocka_unit_test(marks_of_lists),
		cmocka_unit_test(common_texts), cmocka_unit_test(texts_as_they_are_given_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
