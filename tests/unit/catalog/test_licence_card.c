/* test_licence_card.c - what a card says of its licence in its text and in the rest of its front matter: where that is read, and which of it is about the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/catalog/card_case.h"

static void check_texts(const char *id, const char *const *texts, size_t n, const char *before, const char *behind, bool is_held)
{
	for (size_t i = 0; i < n; i++) {
		own(buf) struct buf text;

		buf_init(&text, 1 << 16);
		buf_printf(&text, "%s%s%s", before, texts[i], behind);
		check(id, "language: en", text.data, is_held);
	}
}

/* Whatever Markdown shows as a heading is one. */
static void headings(void **state)
{
	static const char *const words[] = {
		"## [License](https://huggingface.co/acme/acme-7b-instruct/blob/main/LICENSE)",
		"   ## License",
		"<h2 align=\"center\" id=\"license\" style=\"color:black;\">License information</h2>",
		"## License and terms of use of the Acme Large Language Model family",
		"# <a id=\"license\"></a><span style=\"color:blue\">License</span> of the model",
		"<center><h2>License</h2></center>",
		"<summary><b>License</b></summary>",
		"**License:**",
		"__License__",
		"*License*",
		"- **License:**",
		"1. **License**",
		"> ## License",
		"LICENSE",
		"## Lizenz",
		"## Licença",
		"## Лицензия",
		"## 许可证",
		"## 協議",
		"## ライセンス",
		"## 라이선스",
		"## Usage terms",
		"## Model Terms",
		"## Licentie",
		"## Giấy phép",
		"**License(s):**"
	};

	(void)state;
	check_texts("mit", words, ARRAY_LEN(words), "", "\n\nThis model is licensed under CC BY-NC 4.0.\n", true);
}

static void labels_and_ends(void **state)
{
	static const char *const words[] = {
		"License\n-------\nThis model is CC BY-NC 4.0.\n",
		"**Model License:** CC BY-NC 4.0\n",
		"<b>License:</b> CC BY-NC 4.0\n",
		"- **License** - CC BY-NC 4.0\n",
		"| **License** | CC BY-NC 4.0 |\n",
		"**License** CC-BY-NC-4.0\n",
		"**Status** It is done.\n\n**License** A custom commercial license is available at: [https://acme.ai/license](https://acme.ai/license)\n",
		"**Model License** Research use only\n",
		"- **CC BY-NC License** applies\n",
		"**License: CC BY-NC 4.0** applies\n",
		"<b>License</b> CC BY-NC 4.0\n",
		"**Usage and License Notices**: The model is intended and licensed for research use only.\n",
		"## License: CC BY-NC 4.0\n",
		"## Terms and Conditions\n\nCommercial use is prohibited.\n",
		"**License**\n\n**CC BY-NC 4.0**\n",
		"## License\nCC BY-NC 4.0\n---\n",
		"- **License:**\n  CC BY-NC 4.0\n",
		"- **License:** MIT\n  - For non-commercial use only.\n- **Contact:** us\n",
		"- **License:** [acme-1.4](https://acme.ai/license)\n  - The model is released under a Creative Commons license for non-commercial use.\n",
		"* License: see below\n\n    * For research purposes only\n",
		"  * License: MIT\n    ```\n    x\n    ```\n    Non-commercial use only.\n",
		"許可証\n====\nCC BY-NC 4.0\n",
		"许可证：CC BY-NC 4.0\n",
		"<h2>\nLicense\n</h2>\nCC BY-NC 4.0\n",
		"<table><tr><td>License</td><td>CC BY-NC 4.0</td></tr></table>\n",
		"[![License](https://img.shields.io/badge/license-CC--BY--NC--4.0-blue)](https://creativecommons.org/licenses/by-nc/4.0/)\n"
	};

	(void)state;
	check_texts("mit", words, ARRAY_LEN(words), "", "", true);
}

/* Sentences that mention data and are about the model. */
static void beside_data(void **state)
{
	static const char *const words[] = {
		"Since it was trained on the Alpaca dataset, commercial use is prohibited.",
		"Released under CC BY-NC 4.0, in line with the license of the Alpaca dataset.",
		"This work builds on the Alpaca dataset and is licensed under CC BY-NC 4.0.",
		"CC BY-NC 4.0 (as the dataset)",
		"We release everything (code, datasets, parameters) under CC BY-NC 4.0.",
		"Acme-7B is based on the X corpus and may only be used for research.",
		"Data: CC BY-NC 4.0\nWeights: same as the data",
		"Code: MIT\nDataset: CC BY 4.0\nParameters: CC BY-NC 4.0\n",
		"Owing to the OpenAI-generated dataset, Acme-7B can't be used commercially.",
		"The LoRA is for non-commercial use only, like its dataset.",
		"Acme-LLM and the dataset are licensed CC BY-NC 4.0.",
		"Unlike the weights (CC BY-NC 4.0), the code is MIT.",
		"The video generator is CC BY-NC 4.0.",
		"The dataset is licensed under CC BY-NC 4.0, the model too.",
		"The dataset is under CC BY-NC 4.0, and so is the model, but the code is Apache 2.0.",
		"The dataset is CC BY-NC 4.0, the model inherits that, the code is under MIT.",
		"The dataset is MIT, the model under CC BY-NC 4.0.",
		"The model is under CC BY-NC 4.0 and the dataset under MIT."
	};
	static const char *const sections[] = {
		"## License\nThe dataset is CC BY-NC 4.0, so Acme-7B cannot be used commercially.\n",
		"## License\nDataset and Acme-7B: CC BY-NC 4.0\n",
		"## License\nThe LoRA, like the dataset, is CC BY-NC\n",
		"## License\nAcme-7B trained on the X dataset is CC BY-NC 4.0\n",
		"## License\nThis model is a derivative of LLaMA weights, used under CC BY-NC 4.0\n",
		"## License\n| Model | License |\n|--|--|\n| Data, Acme-7B | CC BY-NC 4.0 |\n",
		"## License\nAcme-LLM and the dataset are licensed CC BY-NC 4.0.\n",
		"## License\nX is a derivative of the Y corpus, used under CC BY-NC 4.0, and may only be used for research.\n"
	};

	(void)state;
	check_texts("mit", words, ARRAY_LEN(words), "## License\n\n", "\n", true);
	check_texts("mit", sections, ARRAY_LEN(sections), "", "", true);
}

static void terms_in_a_section(void **state)
{
	static const char *const words[] = {
		"## License\nThis model is licensed under the Acme Research License.\n",
		"## License\nThe code is MIT, the weights aren't.\n",
		"## License\nPreviously MIT, now proprietary.\n",
		"## License\nPermission is granted for research and education.\n",
		"## License\nThe code is MIT. The weights are subject to the Acme Community License.\n",
		"## License\nAll rights reserved.\n",
		"## License\nWeights come with their own terms, see TERMS.md.\n",
		"## License\nMIT except weights\n",
		"## License\nMIT, weights excluded\n",
		"## License\nMIT apart from the weights\n",
		"## License\nThe weights have a license of their own; see TERMS.md.\n",
		"## License\nThe source is MIT. The parameters are under the Acme Model License.\n",
		"## License\nMIT for code. Ask us about weights.\n",
		"## License\nNot MIT.\n",
		"## License\nFormerly MIT; the current version is closed.\n",
		"## License\nNo rights granted.\n",
		"* [Acme-7B](https://huggingface.co/acme/acme-7b): this model.\n  * License: CC BY-NC 4.0\n\n## License\nMIT\n",
		"* [Acme-7B-Chat](https://huggingface.co/acme/acme-7b-chat): a model.\n  * License: CC BY-NC 4.0\n\n## License\nSee above\n",
		"* [Acme-7B-Chat](https://huggingface.co/acme/acme-7b-chat): a model.\n\nHere\n  * License: CC BY-NC 4.0\n\n## License\nMIT\n",
		"* [Data](https://huggingface.co/datasets/acme/data): data.\n  * License: CC BY-NC 4.0\n\n## License\nMIT\n",
		"## License\nThis model is derived from Foo-7B and is originally licensed under CC BY-NC 4.0.\n",
		"## License\n- A is derived from Foo-7B, originally licensed under CC BY-NC 4.0.\n- B is based on Foo-8B, which is licensed under CC BY-NC 4.0.\n",
		"## License\nThe code is licensed under MIT. The model is derived from Foo-7B, which is licensed under CC BY-NC 4.0.\n",
		"## License\nThe model is licensed under MIT. Acme-7B is derived from Foo-7B, which is licensed under CC BY-NC 4.0, and so is this one.\n",
		"## License\nThe model is licensed under MIT. Acme-7B is derived from Foo-7B, which is licensed under CC BY-NC 4.0. The model inherits this license.\n",
		"## License\nThe model is licensed under MIT. Acme-7B is derived from Foo-7B, originally licensed under Apache 2.0, and now under CC BY-NC 4.0.\n",
		"## License\nThe model is licensed under MIT. Derived from Foo-7B, our weights, which are licensed under CC BY-NC 4.0, are new.\n",
	};

	(void)state;
	check_texts("mit", words, ARRAY_LEN(words), "", "", true);
}

/* What looks like a block of code and is none, or has ended. */
static void behind_code(void **state)
{
	static const char *const code[] = {
		"```pip install acme```\n", "````\n```\npip install acme\n````\n", "```\n~~~\n```\n", "```\n```python\n```\n", "1. Install:\n\n    ```\n    pip install acme\n   ```\n",
		"- ```bash\n  pip install acme\n    ```\n", "> ~~~\n> a\n> ~~~~\n", "License: mit\n```\n\na\n```\n", "- License: mit\n  ```\n\n  a\n  ```\n", "- **License**\n  ```\n- a\n  ```\n",
	};

	(void)state;
	check_texts("mit", code, ARRAY_LEN(code), "## Usage\n\n", "\n## License\n\nCC BY-NC 4.0\n", true);
}

/* What is about data alone, and what is no section. */
static void not_of_the_model(void **state)
{
	static const char *const words[] = {
		"## License\nThe model is released under the Apache-2.0 license. The training data is under CC BY-NC 4.0 and is not part of this repository.\n",
		"## License\n| Component | License |\n|---|---|\n| Code | Apache 2.0 |\n| Model | Apache 2.0 |\n| Training Data (ShareGPT) | CC BY-NC 4.0 |\n",
		"\n## License\n\nThe model is licensed under Apache 2.0.\n\nTraining data: CC BY-NC 4.0\n",
		"## License\n- Model: Apache 2.0\n- Data: CC BY-NC 4.0\n",
		"## License\nApache 2.0. The benchmark is licensed under CC BY-NC 4.0.\n",
		"## License\nModel weights are Apache 2.0; the evaluation dataset is CC BY-NC 4.0.\n",
		"**Dataset License:** CC BY-NC 4.0\n",
		"## License\nApache-2.0\n\nThe training and evaluation data are under CC BY-NC 4.0.\n",
		"## 许可证\n模型采用 Apache 2.0 许可。训练数据采用 CC BY-NC 4.0 许可。\n",
		"## Lizenz\nApache 2.0. Die Trainingsdaten stehen unter CC BY-NC 4.0.\n",
		"# Data\n- **License:**\n- **Finetuned from model:** llama2 research only\n",
		"## Dataset license\nCC BY-NC 4.0\n",
		"```\n# License\n```\nbla bla\n\nCC BY-NC 4.0\n",
		"- **License:** [More Information Needed]\n- **Finetuned from model [optional]:** llama\n",
		"## License\nThe license of the dataset is CC BY-NC 4.0.\n",
		"## License\nThis work \"X\" is a derivative of [CSR-I (WSJ0) Complete](https://c.org/LDC) by [LDC](https://x.org), used under [LDC User Agreement](https://z.org) (Research only). \"X\" is licensed under Apache 2.0.\n",
		"## License\nThe code and weights are released under the Apache 2.0 License. Use of this model is governed by it.\n",
		"## License\nLicensed under the Apache License, Version 2.0; you may not use this file except in compliance with the License.\n",
		"License of a sentence that goes on and on and on before there is a colon in it, as one of an ordinary text may do, with no label: CC BY-NC 4.0\n",
		"**License**: Apache-2.0\n**Intended use**: research only\n",
		"## License\nReleased under the Apache License 2.0 - free for both research and commercial purposes, with no usage caps.\n",
		"## License\nUnlike LLaMA (non-commercial), OpenLLaMA weights are Apache 2.0.\n",
		"## License\nThis project is licensed under Apache 2.0. The demo video is CC BY-NC 4.0.\n",
		"**License** Apache-2.0\n",
		"**Dataset License** CC BY-NC 4.0\n",
		"- **License:** Apache 2.0\n  - Commercial use is allowed.\n- **Finetuned from:** llama\n  - For research use only\n",
		"- **License:** Apache 2.0\n\nFor non-commercial or commercial use: see Usage. CC BY-NC 4.0\n",
		"**Permissively licensed** and free to use in products, under the Apache 2.0 license\n",
		("## License\nThe code and the model weights are licensed under Apache-2.0.\n- Acme-Distill-7B is derived from [Qwen-2.5 series](https://x.org/Qwen2.5), which are originally licensed under [Apache 2.0 License](https://x.org/blob/main/LICENSE), and now finetuned.\n"
		 "- Acme-Distill-8B is derived from Llama3.1-8B-Base and is originally licensed under [llama3.1 license](https://x.org/meta-llama/Llama-3.1-8B/blob/main/LICENSE).\n"),
		"## License\nThis model is based on Foo-7B, which is licensed under CC BY-NC 4.0. This model is licensed under Apache 2.0.\n",
		"## Models\n* [Acme-7B-Chat](https://huggingface.co/acme/acme-7b-chat): a model for dialogue.\n\n  * License: _CC-By-NC-SA-4.0_\n\n## Model License\n\nApache-2.0\n",
		"## License\nSame as the base model.\n",
		"## License\nPlease refer to the original model card.\n",
		"## License\nThe dataset is licensed under CC BY-NC 4.0, the model under Apache 2.0.\n",
		"## License\nThe model is released under Apache 2.0, while the training data is under CC BY-NC 4.0.\n",
		"## License\nThe code and model weights are Apache 2.0 and the dataset is CC BY-NC 4.0.\n",
		"[![License](https://img.shields.io/badge/License-Apache_2.0-blue.svg)](https://opensource.org/licenses/Apache-2.0) [![Data](x.svg)](https://creativecommons.org/licenses/by-nc/4.0/)\n"
	};

	(void)state;
	check_texts("apache-2.0", words, ARRAY_LEN(words), "", "", false);
}

static void front_matter(void **state)
{
	static const char *const held[] = {
		"tags: [cc-by-nc]",
		"tags: [non-commercial]",
		"tags: [research-only]",
		"extra_gated_button_content: I agree to the CC BY-NC 4.0 license",
		"extra_gated_prompt: By accessing you agree to the Acme Research License",
		"license_link: https://huggingface.co/spaces/CompVis/stable-diffusion-license",
		"license_link: https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
		"license_link: https://huggingface.co/stabilityai/stable-diffusion-3.5-large/blob/main/LICENSE.md",
		"license_link: https://stability.ai/license",
		"license_link: https://github.com/deepseek-ai/DeepSeek-V3/blob/main/LICENSE-MODEL",
		"license_link: https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
		"license_link: https://huggingface.co/tiiuae/falcon-180B/resolve/main/LICENSE.txt",
		"license_link: https://huggingface.co/spaces/bigscience/license",
		"license_link: https://polyformproject.org/licenses/noncommercial/1.0.0/",
		"license_link: https://mariadb.com/bsl11",
		"license_link: https://x.org/hunyuan-non-commercial-license",
		"license_name: flux-1-dev",
		"license_name: tongyi",
		"license_name: personal-use",
		"license_name: apache-2.0-with-restrictions",
		"license_name: Apache 2.0 + Acme AUP",
		"license_name: MIT + Acme Terms",
		"license_name: Acme EULA",
		"license_link: https://acme.ai/research-only-license",
		"license_link: https://ai.google.dev/gemma/prohibited_use_policy"
	};
	static const char *const fine[] = {
		"extra_gated_button_content: Acknowledge license", "tags: [research, commercial, llama]", "license_link: https://opensource.org/licenses/MIT",
		"license_link: https://huggingface.co/microsoft/phi-4/resolve/main/LICENSE", "extra_gated_prompt: Tell us who you are",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		check("mit", held[i], "", true);
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		check("mit", fine[i], "", false);
}

/* What a card says behind more places than are read is not lost. */
static void more_places_than_are_read(void **state)
{
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 40000; i++)	/* in no time: what there is no place for is not read */
		buf_printf(&text, "License: mit\n\n");
	check("mit", "language: en", text.data, true);
	buf_reset(&text);
	for (int i = 0; i < 500000; i++)
		buf_printf(&text, "|");
	check("mit", "language: en", text.data, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings), cmocka_unit_test(labels_and_ends), cmocka_unit_test(beside_data), cmocka_unit_test(terms_in_a_section), cmocka_unit_test(behind_code), cmocka_unit_test(not_of_the_model),
		cmocka_unit_test(front_matter), cmocka_unit_test(more_places_than_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
