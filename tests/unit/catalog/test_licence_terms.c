/* test_licence_terms.c - what stands beside a known text or a licence's name and sets terms, however short it is; and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"

static const char mit[] =
	"MIT License\n\nCopyright (c) 2024 Acme AI\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files "
	"(the \"Software\"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell "
	"copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission "
	"notice shall be included in all copies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING "
	"BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY "
	"CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE "
	"SOFTWARE.\n";

/* A LICENSE of these three parts under a card that says `card`. said: a part of its conflict, or NULL for any. */
static void check(const char *card, const char *before, const char *text, const char *behind, bool is_held, const char *said)
{
	struct licence_text t = { .path = "LICENSE" };
	struct licence_answer out;
	own(arena) struct arena a;
	own(buf) struct buf file;

	arena_init(&a);
	buf_init(&file, 1 << 20);
	buf_printf(&file, "%s\n\n%s\n\n%s\n", before, text, behind);
	licence_read_file("LICENSE", file.data, file.len, &a, &t);
	licence_resolve(&(struct licence_claims){ .card = &card, .n_card = 1, .texts = &t, .n_texts = 1 }, &a, &out);
	if ((out.n_conflicts > 0) != is_held || (said && !strstr(out.conflicts[0], said)))
		fail_msg("%s with \"%s%.12s%s\": %s, %zu conflicts %s", card, before, text, behind, out.id, out.n_conflicts, out.n_conflicts ? out.conflicts[0] : "");
}

/* Before the text, behind it, and where there is nothing but the licence's name. */
static void check_places(const char *words, bool is_held)
{
	check("mit", "", mit, words, is_held, NULL);
	check("mit", words, mit, "", is_held, NULL);
	check("mit", "", "MIT License.", words, is_held, NULL);
}

static void terms(void **state)
{
	static const char *const words[] = {
		"Commercial use is permitted only with written consent.", "Commercial rights reserved.", "Free for commercial use up to $1M in annual revenue.",
		"Commercial use is allowed for companies with fewer than 100 employees.", "You may use it commercially, provided that you pay a 3% royalty.",
		"Use in commercial products is subject to the Acme Commercial Terms.", "Commercially usable only with prior registration.", "Commercial use allowed after approval by Acme.",
		"Commercial use is free for startups.", "For commercial use see pricing page.", "Commercial users: licensing@acme.ai", "Uso comercial prohibido.",
		"Nur f\xc3\xbcr nicht-kommerzielle Nutzung.", "Gratuit pour un usage non commercial.", "Companies must obtain a license.", "Any use by a company requires a license from Acme.",
		"Organizations with more than 100 employees need an enterprise licence.", "Licensed under the MIT License for academic use.", "Licensed under MIT for non-profit organisations only.",
		"The weights are licensed separately. The code is licensed under the MIT License.", "This license applies to the inference code. Checkpoints are governed by the Acme EULA.",
		"This license does not extend to the weights.", "Weights are excluded from this licence.", "The weights are not part of this license.",
		"Model files (*.safetensors) are exempt from this license.", "Excludes model weights.", "This covers the scripts only.", "MIT (code); custom licence (weights)",
		"MIT. Weights inherit the license of the base model.", "No military use.", "You must not redistribute the weights.", "Hosting the model as a service needs our permission.",
		"Do not share, mirror or re-upload these weights.", "Not available to persons domiciled in the European Union.", "Free for research use.", "You may use it for personal purposes.",
		"This license applies to the code.", "The code may be used commercially.", "Commercial license available.", "You don\xe2\x80\x99t get to use it.", "n\xe2\x80\x8bot for you",
		"Copyright 2024 Acme, not to be used", "Copyright 2024 Acme, for academic use", "Please cite our paper and pay $5.", "el uso acad\xc3\xa9mico", "For weights see the MODEL LICENSE.", "Members that leave must delete all copies.",
		"SPDX-License-Identifier: MIT but not for companies",
		"For demonstration purposes.", "Licensed per seat.", "Free under 700 million MAU.", "MIT after 2027.", "Licence pending.", "Will be MIT after publication.",
		"We keep all rights to outputs.", "MIT (old versions).", "MIT? See paper.", "License to be determined.", "Outputs are owned by Acme.", "Up to 5 GPUs.", "https://acme.ai/eula.html",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		check_places(words[i], true);
}

static void plain_words(void **state)
{
	static const char *const words[] = {
		"Commercial use is allowed.", "Free to use, modify and distribute, without any restrictions, commercially or not.", "For more information see https://acme.ai/license.",
		"This license applies to the code and the weights.", "You may use this model without any restrictions, commercially or not.",
		"There is no need to obtain a license for commercial use.", "Both research and commercial use are permitted.",
		"You can use it for commercial and non-commercial purposes.", "If you use it for research, please cite our paper.", "The authors are not responsible for any misuse.",
		"The model is provided as is, without warranty of any kind.", "Copyright (c) 2023 Jos\xc3\xa9, Shaw Research, University of Georgia\nAll rights reserved.",
		"Contributors: Jane Doe, Jos\xc3\xa9 M\xc3\xbcller", "Released 1 May 2024.", "SPDX-License-Identifier: MIT",
		("Both code and weights are licensed under the MIT License. DeepSeek-R1 series support commercial use, allow for any modifications and derivative works, including, but not limited "
		 "to, distillation for training other LLMs."),
		"This project is licensed under the terms of the MIT License - see the LICENSE file for details.",
		"This project is distributed under the terms of the [MIT License](http://www.opensource.org/licenses/mit-license.php).",
		"If you find this useful, please give us a star.", "Trademarks: Acme is a trademark of Acme Inc.", "For questions contact info@acme.ai.", "Please use responsibly.",
		"This is not legal advice.", "You may use the outputs for any purpose.", "Fine-tuned by Acme Labs in Berlin.",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		check_places(words[i], false);
}

/* A short file that names the card's licence, and says something else. */
static void short_files(void **state)
{
	static const char *const words[] = {
		"The inference code in this repository is derived from a project under the MIT License.", "This model is not released under the MIT License. Ask us for terms.",
		"The MIT License no longer applies to these weights.", "Apart from the tokenizer (MIT), everything here is the property of Acme.",
		"Licensed under the MIT License.\n\n## Additional terms\n- No military use\n- Services with more than 1,000,000 users write to us first",
		"License: MIT\nUse restrictions. You agree to (a) and (b).", "See https://opensource.org/licenses/MIT for the code. The weights after you have signed the data use agreement.",
		"The code is licensed under MIT. The use of the model weights is subject to the Model License.",
		"Previously MIT. From version 2 on a paid subscription is needed.", "This model was trained with code under the MIT license. Its own terms: ask Acme.",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		check("mit", words[i], "", "", true, "is not the text of mit");
}

static void other_licences(void **state)
{
	static const struct {
		const char *words, *said;
	} cases[] = {
		{ "This model is licensed under MIT with the Commons Clause.", "commons-clause" }, { "MIT License + Commons Clause", "commons-clause" },
		{ "Weights: BUSL-1.1", "other:busl" }, { "MIT until 2025-12-31, thereafter under BUSL-1.1", "other:busl" }, { "Weights: SSPL-1.0", "other:sspl" },
		{ "Weights: NVIDIA Source Code License-NC", "other:nvidia-source-code-license" }, { "Weights: RAIL", "other:rail" },
		{ "SPDX-License-Identifier: MIT WITH Commons-Clause", "commons-clause" }, { "SPDX-License-Identifier: MIT WITH Acme-1.0", "acme-1.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		check("mit", "", mit, cases[i].words, true, cases[i].said);
		check("mit", "", "MIT License.", cases[i].words, true, cases[i].said);
	}
	check("mit", "mit-nc", "", "", true, "modified");
	check("apache-2.0", "Apache-2.0-NC", "", "", true, "modified");
	check("gpl-2.0", "SPDX-License-Identifier: GPL-2.0-only WITH Classpath-exception-2.0", "", "", false, NULL);
}

/* The LICENSE.md that comes with a badge; its address has "%20". */
static void badges(void **state)
{
	(void)state;
	check("cc-by-4.0",
	      "Shield: [![CC BY 4.0][cc-by-shield]][cc-by]\n\nThis work is licensed under a\n[Creative Commons Attribution 4.0 International License][cc-by].\n\n[![CC BY 4.0][cc-by-image]][cc-by]\n",
	      "[cc-by]: http://creativecommons.org/licenses/by/4.0/\n[cc-by-image]: https://i.creativecommons.org/l/by/4.0/88x31.png\n",
	      "[cc-by-shield]: https://img.shields.io/badge/License-CC%20BY%204.0-lightgrey.svg", false, NULL);
	check("cc-by-4.0", "https://img.shields.io/badge/License-CC%20BY--NC%204.0-lightgrey.svg", "", "", true, "cc-by-nc");
}

/* Sentences that a licence's publisher has written for its users. */
static void prescribed(void **state)
{
	(void)state;
	check("cc-by-4.0",
	      "This work is licensed under the Creative Commons Attribution 4.0 International License. To view a copy of this license, visit http://creativecommons.org/licenses/by/4.0/ or send a "
	      "letter to Creative Commons, PO Box 1866, Mountain View, CA 94042, USA.", "", "", false, NULL);
	check("gemma", "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms", "", "", false, NULL);
}

static void each_that_the_card_names(void **state)
{
	static const char *const card[] = { "apache-2.0", "mit" };
	struct licence_text t = { .path = "LICENSE-MIT" };
	struct licence_answer out;
	own(arena) struct arena a;

	(void)state;
	arena_init(&a);
	licence_read_file(t.path, mit, sizeof(mit) - 1, &a, &t);
	licence_resolve(&(struct licence_claims){ .card = card, .n_card = 2, .texts = &t, .n_texts = 1 }, &a, &out);
	assert_int_equal(out.n_conflicts, 1);
	assert_non_null(strstr(out.conflicts[0], "names several licences"));
}

/* What a LICENSE.json or a licence in a folder says in words counts as that of any other file. */
static void words_elsewhere(void **state)
{
	static const struct {
		const char *path, *text, *said;
	} cases[] = {
		{ "LICENSE.json", "{\"license\": \"The weights are released under CC BY-NC 4.0.\"}", "speaks of cc-by-nc-4.0" },
		{ "LICENSE.json", "{\"license\": \"This model may be used for research only.\"}", "restricts" },
		{ "LICENSE.yaml", "license: Acme Research License\n", "speaks of other:" },
		{ "LICENSE.toml", "[license]\ntext = \"No commercial use.\"\n", "restricts" },
		{ "LICENSE.json", "{\"license\": \"MIT\", \"author\": \"Acme AI\"}", NULL },
		{ "weights/LICENSE", "You may not redistribute the weights.", "sets terms of its own" },
		{ "weights/LICENSE", "Model weights: no licence granted.", "sets terms of its own" },
		{ "weights/LICENSE", "MIT License", NULL },
		{ "TERMS.md", "You must pay Acme 100 USD per month. You may not redistribute the weights.", "sets terms of its own" },
		{ "TERMS.md", "MIT License", NULL },
		{ "LEGAL.txt", "You must not export the model.", NULL },
		{ "LICENSE", "MIT AND LicenseRef-Acme\n", "speaks of other:acme" },
		{ "LICENSE", "MIT/NC\n", "speaks of other:modified" },
		{ "LICENSE.yaml", "spdx: LicenseRef-Acme-Research\n", "is the text of other:acme-research" },
		{ "LICENSE.yaml", "license: LicenseRef-Acme-Research\n", "is the text of other:acme-research" },
		{ "LICENSE", "MIT License.\nMIT from 2028 on.\n", "is not the text of mit" },
		{ "LICENSE", "MIT License.\nLicense TBD.\n", "is not the text of mit" },
		{ "LICENSE", "MIT License.\nThis grant is for the scripts.\n", "is not the text of mit" },
	};
	const char *card = "mit";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct licence_text t = { .path = cases[i].path };
		struct licence_answer out;
		own(arena) struct arena a;

		arena_init(&a);
		licence_read_file(t.path, cases[i].text, strlen(cases[i].text), &a, &t);
		licence_resolve(&(struct licence_claims){ .card = &card, .n_card = 1, .texts = &t, .n_texts = 1 }, &a, &out);
		if ((out.n_conflicts > 0) != (cases[i].said != NULL) || (cases[i].said && !strstr(out.conflicts[0], cases[i].said)))
			fail_msg("%s: %zu conflicts %s", cases[i].text, out.n_conflicts, out.n_conflicts ? out.conflicts[0] : "");
	}
}

/* An agreement is heard to its end for what the model is under. */
static void long_agreements(void **state)
{
	static const struct {
		const char *path, *last;
		bool is_held;
	} cases[] = {
		{ "EULA.md", "The weights are licensed under CC BY-NC 4.0.", true },
		{ "Acme Terms of Service EULA.txt", "The weights are licensed under CC BY-NC 4.0.", true },
		{ "EULA.md", "The weights are licensed under MIT.", false },
		{ "EULA.md", "The manual is CC BY-NC 4.0.", false },
	};
	const char *card = "mit";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct licence_text t = { .path = cases[i].path };
		struct licence_answer out;
		own(buf) struct buf text;
		own(arena) struct arena a;

		arena_init(&a);
		buf_init(&text, 1 << 20);
		for (int k = 0; k < 300; k++)
			buf_printf(&text, "Acme means Acme Incorporated. ");
		buf_printf(&text, "\n\n%s\n", cases[i].last);
		licence_read_file(t.path, text.data, text.len, &a, &t);
		licence_resolve(&(struct licence_claims){ .card = &card, .n_card = 1, .texts = &t, .n_texts = 1 }, &a, &out);
		if ((out.n_conflicts > 0) != cases[i].is_held)
			fail_msg("%s, %s: %s", cases[i].path, cases[i].last, out.n_conflicts ? out.conflicts[0] : "no conflict");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms), cmocka_unit_test(plain_words), cmocka_unit_test(short_files), cmocka_unit_test(other_licences), cmocka_unit_test(badges), cmocka_unit_test(prescribed), cmocka_unit_test(words_elsewhere), cmocka_unit_test(long_agreements), cmocka_unit_test(each_that_the_card_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
