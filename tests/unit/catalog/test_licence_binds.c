/* test_licence_binds.c - what a card's section on its licence, or what it asks before access, says beyond a free licence; and what is said there of nothing such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/catalog/card_case.h"

/* As all of a section, below what is too long to be read word by word, and behind a label. */
static void check_places(const char *words, bool is_held)
{
	static const char long_words[] = "We trained the model in Berlin with the help of many people and thank all of them, and those who made what it is built upon, from the tokenizer to the tools for training. ";
	own(buf) struct buf text;

	buf_init(&text, 1 << 16);
	buf_printf(&text, "## License\n\n%s", words);
	check("apache-2.0", "language: en", text.data, is_held);
	buf_reset(&text);
	buf_printf(&text, "## License\n\n%s\n\n%s\n", long_words, words);
	check("apache-2.0", "language: en", text.data, is_held);
	buf_reset(&text);
	buf_printf(&text, "- **License:** %s\n", words);
	check("apache-2.0", "language: en", text.data, is_held);
}

static void bound(void **state)
{
	static const char *const words[] = {
		"The code is licensed under MIT. The use of the model weights is subject to the Model License.",
		"The source code is licensed under Apache-2.0, while usage of the weights is subject to the Model License.",
		"The use of Acme-V2 Base/Chat models is subject to [the Model License](LICENSE-MODEL). Acme-V2 series supports commercial use.",
		"The code of this repository is licensed under Apache-2.0. The use of the Acme3-6B model weights needs to comply with the [Model License](MODEL_LICENSE).",
		"Use of Acme models is governed by the Acme Agreement.",
		"GOVERNING TERMS: Use of this model is governed by the Acme Community Model License.",
		"All usage must adhere to the [Acme Series Models Community License Agreement 2.1](x).",
		"By using this model you agree to our Terms of Service.",
		"Acme Open Model License",
		"Acme Series Models Community License Agreement",
		"Released under the Acme Open Model License.",
		"If you plan to use the Acme 2 model or its derivatives for commercial purposes, please ensure that your entity meets the following conditions:\n\n1. The Daily Active Users (DAU) of your service is less than 1 million.",
		"Commercial users must register first.",
		"Free for commercial use under 1M USD revenue.",
		"MIT for academia, commercial license otherwise.",
		"Acme weights are open for academic research and free commercial use after registration.",
		"Acme weights are fully open for academic research; for commercial use fill in the application form.",
		"Commercial use: ❌",
		"| Commercial use | ❌ |",
		"Students and researchers may use it free of charge; all others need a license.",
		"Free for individuals and small companies.",
		"Access is granted to academic institutions only.",
		"Only for internal use.",
		"Hobby use only.",
		"Non-military use only.",
		"Redistribution is not allowed.",
		"Copyright Acme. Do not distribute.",
		"You may not offer it as a paid service.",
		"You may not host this model as a service.",
		"Not for use in the EU.",
		"The model may not be used to compete with OpenAI.",
		"You may not use its outputs to develop competing models.",
		"Use by weapon makers is prohibited.",
		"Licensing is available on request.",
		"Startups with less than $5M funding may use it for free.",
		"Use restricted to academic partners.",
		"Only the authors may distribute this model.",
		"Merging this model with others is forbidden.",
		"The Orion Community Licence applies.",
		"Any revenue-generating use triggers a 5% royalty.",
		"Commercial rights are retained by Acme.",
		"Licensed for use inside the EU only.",
		"This model is for research and development only.",
		"For research & development only",
		"For development only.",
		"For testing and development only.",
		"For research and experimentation only.",
		"For R&D only.",
		"You must not use or redistribute this model in a manner that infringes our rights.",
		"You must not use this model in violation of our terms.",
		"Commercial use is allowed on condition that you register.",
		"Apache 2.0 applies to the code, not the weights.",
		"MIT covers the code but not the weights.",
		"The Apache 2.0 license does not extend to the weights.",
		"Apache 2.0 for everything but the weights.",
		"The code, but not the model weights, is Apache 2.0.",
		"The license does not include the weights.",
		"Apache 2.0 (code only)",
		"The dataset is CC BY-NC 4.0; so are the weights.",
		"The dataset is CC BY-NC 4.0. The model inherits this license.",
		"The dataset is CC BY-NC 4.0. So is the model.",
		"The dataset is CC BY-NC 4.0. The same goes for the model.",
		"The dataset is CC BY-NC 4.0. The model is subject to the same license.",
		"The dataset is CC BY-NC 4.0. The weights, too.",
		"Apache 2.0 (NC)",
		"Apache-2.0-NC",
		"sai-nc-community",
		"acme-nc-1.0",
		"SSPL",
		"BSL 1.1",
		"Business Source License",
		"Acme RAIL",
		"ELv2",
		"FSL-1.1-MIT",
		"PolyForm Small Business 1.0.0",
		"CCBYNC4.0",
		"CCBYNCSA",
		"Llama31",
		"The weights are under Llama 2.",
		"DeepSeek Model License",
		"Acme-22B-v0.1 is released under the `MNLP-0.1` license.",
		"Acme-22B is released under the [MNPL-0.1](https://mistral.ai/licences/MNPL-0.1.md) license.",
		"Acme-22B is released under the MRL-0.1 license.",
		"Acme-22B is released under the XYZ-0.1 license.",
		"Use of the weights is subject to the XYZ 0.1 license.",
		"MRL-0.1",
		"The code is under Apache-2.0, the use of the weights must follow the [Model License](MODEL_LICENSE).",
		"The code is licensed under Apache-2.0, while use of the weights needs to follow the Model License.",
		"本仓库的代码依照 [Apache-2.0](LICENSE) 协议开源，Acme2-6B 模型的权重的使用则需要遵循 [Model License](MODEL_LICENSE)。",
		"代码依照 Apache-2.0 协议开源。使用 Acme 2 模型需要遵循 [《Acme 2 模型社区许可协议》](x.pdf)。",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		check_places(words[i], true);
}

static void let_be(void **state)
{
	static const char *const words[] = {
		"This model is licensed under the Apache 2.0 license. Please ensure compliance with the license terms of the base model.",
		"Apache 2.0. Users are responsible for ensuring that their use complies with applicable laws and regulations.",
		"This model is released under the Apache 2.0 license. Please refer to the base model's license for usage restrictions.",
		("Licensed under the Apache License, Version 2.0 (the \"License\"); you may not use this file except in compliance with the License. You may obtain a copy"
		 " of the License at\n\n    http://www.apache.org/licenses/LICENSE-2.0\n\nUnless required by applicable law or agreed to in writing, software distributed un"
		 "der the License is distributed on an \"AS IS\" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the s"
		 "pecific language governing permissions and limitations under the License."),
		"- ✅ Commercial use\n- ✅ Modification\n- ✅ Distribution\n- ❌ Liability\n- ❌ Warranty\n- ❌ Trademark use",
		("This model inherits the Apache-2.0 license of the base model. You are free to use, modify and distribute it, provided that you include the original co"
		 "pyright notice and license."),
		"The model is released under Apache 2.0. Attribution is required when redistributing the weights.",
		"You must give appropriate credit, provide a link to the license, and indicate if changes were made. Apache 2.0.",
		"Apache-2.0. This model should not be used to generate harmful content.",
		"This LoRA adapter is released under Apache 2.0. The base model is subject to its own license.",
		"This is a research preview, not a product. Apache 2.0.",
		"Trained only on permissively licensed data, so it can be used commercially. Apache 2.0.",
		"The weights are released under the Apache 2.0 license. The code in this repository is licensed under the MIT license.",
		"This repo only contains the quantized weights for use with llama.cpp. Apache 2.0, as the original.",
		"Apache 2.0: you can use it for whatever you want, including commercially. We do not claim any rights on the outputs.",
		"This model is provided for research and educational purposes under Apache 2.0. Use at your own risk.",
		"Apache 2.0 license. The use of this model is subject to the terms of the license.",
		"By using this model you agree to the terms of the Apache 2.0 license.",
		"By downloading or using this model, you agree to comply with the terms of the Apache License 2.0.",
		"Users must comply with the Apache 2.0 license and with the licenses of the underlying datasets.",
		"This model is licensed under Apache-2.0. See the LICENSE file for the full license text. The datasets used for training have their own licenses.",
		("Model weights and code are distributed under the Apache 2.0 license. There is no warranty, and the authors cannot be held liable for any use of the mo"
		 "del."),
		"We do not guarantee the accuracy of the outputs. Users assume all responsibility for the use of this model. Apache 2.0.",
		"Apache 2.0 – use it however you like. If you use it in a product, let us know! We'd love to hear about it.",
		"Licensed under Apache 2.0. No permission is needed to use it in commercial products.",
		"The Apache 2.0 license does not grant permission to use the trade names, trademarks, service marks, or product names of Acme.",
		"Because the base model Qwen2.5-7B is Apache 2.0, this model can be used commercially under the same terms.",
		"Apache License 2.0 (inherited from [Qwen/Qwen3-8B](https://huggingface.co/Qwen/Qwen3-8B)). No additional restrictions are imposed.",
		"Please check the license of the original model before use: Apache 2.0.",
		"View License: [Apache 2.0](LICENSE)",
		"[View License](LICENSE)",
		"Granite models are released under the Apache 2.0 license and may be used without restrictions in enterprise settings.",
		"**Apache 2.0**: free for research and commercial use. Not medical advice.",
		"This model is intended for research use, but its license (Apache 2.0) allows any use.",
		"The model is not intended for high-stakes decisions. It is licensed under Apache 2.0.",
		"Open-weight model under Apache 2.0. No usage caps, no registration, no fees.",
		"Apache 2.0. Need a custom fine-tune? Contact us at hello@acme.ai.",
		"Apache 2.0\n\n### Citation\n\nIf you use this model, you must cite our paper.\n\n### Contact\n\nFor commercial support, contact us.",
		"Apache 2.0\n\n### Limitations\n\nThe model may not be used without care: it can produce wrong results. It is not suitable for production use.",
		"Apache 2.0\n\n### Usage\n\nDo not use the system prompt with this model. Only use it with transformers >= 4.40.",
		"SmolLM is released under Apache 2.0 and everything needed to reproduce it is open.",
		("OLMo is licensed under Apache 2.0. It is intended for research and educational use. For more information, please see our [Responsible Use Guidelines]("
		 "https://allenai.org/responsible-use)."),
		("This model is licensed under Apache 2.0. It is intended for research and educational use in accordance with [Ai2's Responsible Use Guidelines](https:/"
		 "/allenai.org/responsible-use)."),
		("All models are licensed under the Apache 2.0 license, which permits commercial use, modification, distribution, and private use. License and copyright"
		 " notices must be preserved."),
		"Our code and model are licensed under Apache 2.0; you may use them commercially as long as you keep the notices.",
		"The code is licensed under Apache 2.0. Model weights: Apache 2.0. Data: see the dataset card.",
		"Apache 2.0. Built with Qwen. Not affiliated with or endorsed by Alibaba.",
		"Falcon 3? No: this one is under Apache 2.0.",
		"Released under the Apache License, version 2.0 license.",
		"Licensed under the terms of the 2.0 license of Apache.",
		"Released under the Apache-2.0 license. It was trained to follow instructions as to usage policy.",
		"Redistributions must follow the Apache 2.0 license.",
		"You must follow the terms of the license. Apache-2.0.",
		"模型权重遵循 Apache-2.0 许可协议。",
		"代码和模型遵循 [Apache 2.0](LICENSE) 协议，使用需遵守该协议。",
		"We release the model under Apache 2.0 to support the research community and companies alike.",
		"The dataset used is licensed under CC BY 4.0. The model is under Apache 2.0 and can be used by anyone: researchers, students, companies.",
		"Students, researchers and companies may use it free of charge under Apache 2.0.",
		"本模型遵循 Apache 2.0 许可证。",
		"Apache 2.0 — see [LICENSE](https://huggingface.co/acme/m/blob/main/LICENSE). Contributions must be signed off (DCO).",
		"The tokenizer is derived from GPT-2 (MIT). The model is Apache 2.0.",
		"The license only covers the model weights, not the training data. Apache 2.0.",
		"Copyright 2025 Acme Inc. Released under the Apache 2.0 license. \"Acme\" is a registered trademark of Acme Inc.",
		"The Apache License requires that you keep the NOTICE file when you redistribute the model.",
		"Apache 2.0. If you would like to use our hosted API, please register at acme.ai.",
		("Apache 2.0. You must not use this model in a manner that infringes, misappropriates, or otherwise violates any third party\xe2\x80\x99s rights, including intell"
		 "ectual property rights."),
		"You shall not use the model to infringe the intellectual property rights of others. Apache 2.0.",
		("You are free to use it, including for commercial purposes, provided that you retain the copyright notice and license text as required by the license. Ap"
		 "ache 2.0."),
		"Commercial use is allowed as long as you retain the license and copyright notice. Apache 2.0.",
		"Commercial use is allowed, on the condition that the copyright notice is kept. Apache 2.0.",
		"The dataset is CC BY-NC 4.0. The model is released under Apache 2.0, the same license as the base model.",
		"The dataset is CC BY-NC 4.0. The model has the same license as the base model, Apache 2.0.",
		"The model is based on DeepSeek-R1 and uses the Gemma architecture. Apache 2.0.",
		"Distilled from DeepSeek. Apache 2.0.",
		"Llama-style transformer, trained from scratch. Apache 2.0.",
		"- `Ovis2.5-9B/LICENSE`",
		"[Ovis2.5 LICENSE](https://example.com/LICENSE)",
		"Apache 2.0. For commercial inquiries, contact a@acme.ai.",
		"The weights are Apache 2.0 and free forever; our hosted API has usage fees.",
		"Apache 2.0. Hosted inference is available for a fee on our platform.",
		"Apache 2.0. Intermediate checkpoints are available upon request.",
		"Apache 2.0. Trained only on permissively licensed code.",
		"Apache 2.0. Commercial use and modification allowed; liability and warranty excluded.",
		"See https://www.apache.org/licenses/LICENSE-2.0.txt",
		"The model finds rail tracks. Apache 2.0.",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		check_places(words[i], false);
}

/* As they are on the Hub. */
static void known_cards(void **state)
{
	static const struct {
		const char *id, *front, *text;
	} cases[] = {
		{ "mit", "language: en", "## License\n\nDeepSeek-R1 is released under the MIT License." },
		{ "mit", "language: en", "## License\n\nThe code and model weights of DeepSeek-OCR are licensed under the MIT License." },
		{ "mit", "language: en", "- **License:** MIT\n- **Base:** DeepSeek" },
		{ "mit", "language: en",
		  "## License\n\nThis code repository is licensed under the MIT License. The use of DeepSeek-V3.1 models is also under the MIT License." },
		{ "mit", "language: en",
		  ("## License\n\nThis code repository is licensed under [the MIT License](LICENSE). The model weights are licensed under [the MIT License](LICENSE) too; De"
		 "epSeek-R1 series support commercial use, allow for any modifications and derivative works, including, but not limited to, distillation for training ot"
		 "her LLMs. Please note that:\n- DeepSeek-R1-Distill-Qwen-1.5B, DeepSeek-R1-Distill-Qwen-7B, DeepSeek-R1-Distill-Qwen-14B and DeepSeek-R1-Distill-Qwen-32"
		 "B are derived from Qwen-2.5 series, which are originally licensed under Apache 2.0 License, and now finetuned with 800k samples curated with DeepSeek-"
		 "R1.") },
		{ "mit", "language: en",
		  ("## License\n\nThe model is licensed under the [MIT license](./LICENSE).\n\n## Trademarks\n\nThis project may contain trademarks or logos for projects, produ"
		 "cts, or services. Authorized use of Microsoft trademarks or logos is subject to and must follow [Microsoft's Trademark & Brand Guidelines](https://www"
		 ".microsoft.com/en-us/legal/intellectualproperty/trademarks). Use of Microsoft trademarks or logos in modified versions of this project must not cause "
		 "confusion or imply Microsoft sponsorship. Any use of third-party trademarks or logos are subject to those third-party's policies.") },
		{ "mit", "language: en",
		  ("## License\n\nThe model is licensed under the MIT license.\n\n### Trademarks\n\nAuthorized use of Microsoft trademarks or logos is subject to and must follo"
		 "w Microsoft's Trademark & Brand Guidelines. Use of Microsoft trademarks or logos in modified versions of this project must not cause confusion or impl"
		 "y Microsoft sponsorship.") },
		{ "mit", "language: en",
		  "## License\n\nGLM-4.5 is released under the MIT open-source license and can be used commercially and for secondary development." },
		{ "mit", "extra_gated_prompt: \"The collected information will help acquire a better knowledge of pyannote.audio userbase and help its maintainers improve it further. Though this pipeline uses MIT license and will always remain open-source, we will occasionally email you about premium pipelines and paid services around pyannote.\"\nextra_gated_fields:\n  Company/university: text\n  Website: text",
		  "" },
		{ "apache-2.0", "extra_gated_prompt: 'By clicking Agree you accept to share your contact information (email and username) with the repository authors.'\nextra_gated_button_content: Acknowledge license",
		  "" },
		{ "apache-2.0", "extra_gated_prompt: 'You agree to not use the model to conduct experiments that cause harm to human subjects.'",
		  "" },
		{ "apache-2.0", "extra_gated_prompt: 'Are you a researcher? Tell us. Access is granted to everyone at once.'\nextra_gated_fields:\n  I am a student: checkbox\n  Affiliation: text",
		  "" },
		{ "cc-by-4.0", "language: en",
		  ("## License\n\nThis model is licensed under CC BY 4.0. You are free to share and adapt it for any purpose, even commercially, as long as you give appropr"
		 "iate credit.") },
		{ "cc-by-4.0", "language: en",
		  ("## License\n\nYou are free to:\n- Share — copy and redistribute the material in any medium or format for any purpose, even commercially.\n- Adapt — remix,"
		 " transform, and build upon the material for any purpose, even commercially.\n\nUnder the following terms:\n- Attribution — You must give appropriate cred"
		 "it, provide a link to the license, and indicate if changes were made. You may do so in any reasonable manner, but not in any way that suggests the lic"
		 "ensor endorses you or your use.\n- No additional restrictions — You may not apply legal terms or technological measures that legally restrict others fr"
		 "om doing anything the license permits.") },
		{ "cc-by-4.0", "language: en",
		  ("### License/Terms of Use\n\nGOVERNING TERMS: Use of this model is governed by the [CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/legalcode) lic"
		 "ense. By downloading the public and release version of the model, you accept the terms and conditions of the CC-BY-4.0 license.") },
		{ "cc-by-4.0", "language: en",
		  ("## License\n\nLicense to use this model is covered by the [CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/). By downloading the public and relea"
		 "se version of the model, you accept the terms and conditions of the [CC-BY-4.0](https://creativecommons.org/licenses/by/4.0/) license.") },
		{ "cc-by-sa-4.0", "language: en",
		  ("## License\n\nCC BY-SA 4.0. If you remix, transform, or build upon the model, you must distribute your contributions under the same license as the origi"
		 "nal.") },
		{ "gpl-3.0", "language: en",
		  "## License\n\nGPL-3.0. Any derivative work must be distributed under the same license, with its source code." },
		{ "agpl-3.0", "language: en",
		  "## License\n\nAGPL-3.0: if you host the model as a service, you must make your source code available to its users." },
		{ "agpl-3.0", "language: en",
		  "## License\n\nThis model is licensed under AGPL-3.0. Modifications must be released under AGPL-3.0." },
		{ "other", "license_name: nvidia-open-model-license",
		  ("### License/Terms of Use\n\nGOVERNING TERMS: Use of this model is governed by the [NVIDIA Open Model License](https://www.nvidia.com/en-us/agreements/en"
		 "terprise-software/nvidia-open-model-license/). This model is ready for commercial use.") },
		{ "other", "license_name: nvidia-open-model-license",
		  ("### License/Terms of Use\n\nGOVERNING TERMS: Use of this model is governed by the [NVIDIA Open Model License Agreement](https://www.nvidia.com/x). ADDIT"
		 "IONAL INFORMATION: [Apache License, Version 2.0](https://www.apache.org/licenses/LICENSE-2.0).") },
		{ "creativeml-openrail-m", "language: en",
		  ("## License\n\nThis model is open access and available to all, with a CreativeML OpenRAIL-M license further specifying rights and usage.\nThe CreativeML O"
		 "penRAIL License specifies: \n\n1. You can't use the model to deliberately produce nor share illegal or harmful outputs or content \n2. The authors claims"
		 " no rights on the outputs you generate, you are free to use them and are accountable for their use which must not go against the provisions set in the"
		 " license\n3. You may re-distribute the weights and use the model commercially and/or as a service. If you do, please be aware you have to include the s"
		 "ame use restrictions as the ones in the license and share a copy of the CreativeML OpenRAIL-M to all your users (please read the license entirely and "
		 "carefully)\n[Please read the full license here](https://huggingface.co/spaces/CompVis/stable-diffusion-license)") },
		{ "llama3.1", "language: en",
		  "## License\n\nUse is governed by the Llama 3.1 Community License. Use in any manner that violates applicable laws is prohibited." },
		{ "gemma", "language: en",
		  "## License\n\nTerms of use: [Terms](https://ai.google.dev/gemma/terms). You must not use it for what the Prohibited Use Policy lists." },
		{ "other", "license_name: acme-community-license",
		  "## License\n\nReleased under the Acme Community License. You may not redistribute it." },
		{ "apache-2.0", "language: en",
		  ("- **License:** apache-2.0\n- **Finetuned from model :** unsloth/Qwen2.5-7B\n\nThis qwen2 model was trained 2x faster with [Unsloth](https://github.com/un"
		 "slothai/unsloth)\n") },
		{ "apache-2.0", "language: en",
		  "- **License:** Apache 2.0, see LICENSE. You can use it anywhere.\n- **Model type:** x\n" },
		{ "apache-2.0", "language: en",
		  "## License\n\nThis merge is under Apache 2.0, because all models used are. I don't make any claims. Use it as you want; just don't blame me." },
		{ "apache-2.0", "language: en",
		  ("## License Agreement\n\nThe models in this repository are licensed under the Apache 2.0 License. We claim no rights over your generated contents, granti"
		 "ng you the freedom to use them while ensuring that your usage complies with the provisions of this license. You are fully accountable for your use of "
		 "the models, which must not involve sharing any content that violates applicable laws, causes harm to individuals or groups, disseminates personal info"
		 "rmation intended for harm, spreads misinformation, or targets vulnerable populations. For a complete list of restrictions and details regarding your r"
		 "ights, please refer to the full text of the [license](LICENSE.txt).") },
		{ "mit", "language: en",
		  ("## License Agreement\nThe Transformer models in this repository are licensed under the MIT License. The VAE is from `FLUX.1 [schnell]`. Please follow t"
		 "he license terms specified for these components. You own all content you create with this model. You can use your generated content freely, but you mu"
		 "st comply with this license agreement. You are responsible for how you use the models. Do not create illegal content, harmful material, personal infor"
		 "mation that could harm others, false information, or content targeting vulnerable groups.") },
		{ "apache-2.0", "language: en",
		  ("## License Agreement\n\nAll our open-source models, except for the 3B and 72B variants, are licensed under Apache 2.0. You can find the license files in"
		 " the respective Hugging Face repositories. It is NOT necessary for you to submit a request for commercial usage.") },
		{ "mit", "language: en",
		  ("## License\n\nFlagEmbedding is licensed under the [MIT License](https://github.com/FlagOpen/FlagEmbedding/blob/master/LICENSE). The released models can "
		 "be used for commercial purposes free of charge.") },
		{ "mit", "language: en",
		  ("## License\n\nThe use of DeepSeek-R1 models is also subject to [MIT License](LICENSE). DeepSeek-R1 series (including Base and Chat) supports commercial "
		 "use and distillation.") },
		{ "apache-2.0", "language: en",
		  ("## License\n\nThe code and weights of the Yi-1.5 series models are distributed under the [Apache 2.0 license](x).\n\nIf you create derivative works based "
		 "on this model, please include the following attribution in your derivative works:\n\n    This work is a derivative of [The Yi Series Model You Base On] "
		 "by 01.AI, used under the Apache 2.0 License.") },
		{ "apache-2.0", "language: en",
		  "## License\n\nLicensed under the Apache License 2.0. Research and commercial use permitted." },
		{ "apache-2.0", "language: en",
		  "- License: Released under the [`apache-2.0`](x) licence, the model can be used for personal, scientific, and commercial purposes." },
		{ "apache-2.0", "language: en",
		  ("## License\n\nWe release the weights under the Apache 2.0 license. Please note that the license of the base model and the training datasets may impose f"
		 "urther conditions; check them before commercial use.") },
		{ "apache-2.0", "language: en",
		  "## License\n\nThis model is licensed under Apache 2.0, so you can do almost anything with it. The only thing you may not do is sue us." },
		{ "mit", "language: en",
		  "## License\n\nLicensed to PSF under a Contributor Agreement. MIT." },
		{ "bsd-3-clause", "language: en",
		  ("## License\n\nThis model is licensed under the BSD 3-Clause License. Redistribution and use in source and binary forms, with or without modification, ar"
		 "e permitted provided that the conditions are met.") },
		{ "cc-by-4.0", "language: en",
		  "## License\n\nYou can use this model in commercial products under the conditions of CC BY 4.0: credit us." },
		{ "apache-2.0", "language: en",
		  "## License\n\nThe model may be used for commercial purposes under the conditions of the Apache 2.0 license." },
		{ "apache-2.0", "language: en",
		  "## License\n\nAnyone can use the model commercially; no registration or approval is required." },
		{ "apache-2.0", "language: en",
		  "## License\n\nUse, modify, and share it under Apache 2.0. For enterprise support, contact sales@acme.ai." },
		{ "apache-2.0", "language: en",
		  "## License\n\nContact: for collaboration or licensing questions, please contact us at a@b.c. Apache 2.0." },
		{ "apache-2.0", "language: en",
		  "## License\n\nThis model requires transformers 4.45 and a GPU. It is under Apache 2.0." },
		{ "apache-2.0", "language: en",
		  "## License\n\nLicensed under Apache 2.0. Please use it in accordance with the license terms and applicable law." },
		{ "apache-2.0", "language: en",
		  "## License\n\nThe weights can be downloaded without registration, and are free for commercial use, too." },
		{ "apache-2.0", "language: en",
		  "## License\n\nApache License, Version 2.0. We only ask that you cite our work if you use the model." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check(cases[i].id, cases[i].front, cases[i].text, false);
}

/* Below a heading within the section what is about a licence everywhere counts, be it about whatever; the heading itself may say it. */
static void below_headings(void **state)
{
	static const char *const headings[] = { "Usage", "Usage terms", "How you may use it", "Limitations", "Intended use", "FAQ", "Disclaimer", "Results and outputs", "Contact", "Conditions" };
	static const char *const bound_there[] = { "You may not redistribute the weights.", "You may not host this model for third parties.", "Use of the weights is subject to the Acme Model License.",
						   "Companies must obtain a license.", "Commercial redistribution is prohibited." };
	static const char *const bound_heading[] = { "### You may not redistribute the weights.", "### Internal use only.", "You may not redistribute the weights.\n---\nApache 2.0" };
	static const char *const fine[] = {
		"### Usage\n\nDo not share the tokenizer between threads. You can't host it on a GPU with 8 GB.", "### Limitations\n\nThe model is not suitable for production use, and not for data out of distribution.",
		"### Installation\n\nDo not use pip for it. An API key is required.", "### Prohibited uses\n\nNone.", "### Acknowledgements\n\nThis uses Foo, which is under the Foo License.",
	};
	own(arena) struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(headings); i++)
		for (size_t k = 0; k < ARRAY_LEN(bound_there); k++)
			check("apache-2.0", "language: en", arena_printf(&a, "## License\n\nApache 2.0.\n\n### %s\n\n%s\n", headings[i], bound_there[k]), true);
	for (size_t i = 0; i < ARRAY_LEN(bound_heading); i++)
		check("apache-2.0", "language: en", arena_printf(&a, "## License\n\nApache 2.0.\n\n%s\n", bound_heading[i]), true);
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		check("apache-2.0", "language: en", arena_printf(&a, "## License\n\nApache 2.0.\n\n%s\n", fine[i]), false);
}

/* What a free licence gives to everyone is given to some, where that is all of the answer. */
static void answers(void **state)
{
	static const char *const some[] = { "Research use", "Academic use", "Personal use.", "Internal use", "Non-profit", "Evaluation", "For research.", "MIT, research use", "acme-research" };
	static const char *const all[] = { "For research and commercial use", "Apache 2.0 (Acme Research)", "apache-2.0", "See research paper", "Personal and commercial use" };
	own(arena) struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(some) + ARRAY_LEN(all); i++) {
		const bool is_held = i < ARRAY_LEN(some);
		const char *words = is_held ? some[i] : all[i - ARRAY_LEN(some)];

		check("mit", "language: en", arena_printf(&a, "## License\n\n%s\n", words), is_held);
		check("mit", "language: en", arena_printf(&a, "**License:** %s\n", words), is_held);
		check("mit", "language: en", arena_printf(&a, "| License | %s |\n|---|---|\n", words), is_held);
	}
}

/* However much stands before it, and in one sentence with it; a picture is no word. */
static void far_behind(void **state)
{
	static const char denial[] = "you may not host this model for third parties";
	own(buf) struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_puts(&text, "## License\n\n");
	for (size_t i = 0; i < 3000; i++)
		buf_puts(&text, "We thank all of them.\n");
	check("apache-2.0", "language: en", text.data, false);
	buf_puts(&text, "The weights are licensed under CC BY-NC 4.0.\n");
	check("apache-2.0", "language: en", text.data, true);
	buf_printf(&text, "And %s.\n", denial);
	check("apache-2.0", "language: en", text.data, true);
	for (size_t before = 60; before < 300; before += 7) {
		buf_reset(&text);
		buf_puts(&text, "## License\n\nThis model");
		for (size_t i = 0; i < before; i++)
			buf_puts(&text, " really");
		buf_printf(&text, " is good and %s.\n", denial);
		check("apache-2.0", "language: en", text.data, true);
	}
	buf_reset(&text);
	buf_puts(&text, "## License\n\nApache 2.0 ![x](data:image/png;base64,");
	for (size_t i = 0; i < 10000; i++)
		buf_putc(&text, 'a');
	buf_puts(&text, ")\n");
	check("apache-2.0", "language: en", text.data, false);
}

static void prompts(void **state)
{
	static const char *const held[] = {
		"extra_gated_heading: Access is for academic researchers only", "extra_gated_heading: For students only",
		"extra_gated_prompt: By clicking you agree to the Acme Community License Agreement and acceptable use policy.",
		"extra_gated_prompt: Use of this model is governed by the Acme Terms of Use.",
		"extra_gated_fields:\n  I will use it for non-commercial purposes only: checkbox", "extra_gated_fields:\n  I agree to use it for research only:\n    type: select\n    options: [\"Yes\"]",
		"license_details: Redistribution is not allowed.",
	};
	static const char *const fine[] = {
		"extra_gated_prompt: You need to agree to share your contact information to access this model.", "extra_gated_button_content: Acknowledge License",
		"extra_gated_prompt: By agreeing you accept the license and the privacy policy.", "extra_gated_prompt: Your data will only be used for internal statistics.",
		"license_details: Apache 2.0",
		"extra_gated_prompt: By clicking Agree, you accept the Hugging Face Terms of Service.",
		"extra_gated_fields:\n  Intended use:\n    type: select\n    options:\n      - Research\n      - Commercial\n  I agree to share my contact information: checkbox",
		"extra_gated_fields:\n  Intended use:\n    type: select\n    options: [Research, Commercial]\n  Contact email: text",
		"extra_gated_fields:\n  Commercial use:\n    type: select\n    options: [\"Yes\", \"No\"]", "extra_gated_fields:\n  Commercial use: checkbox\n  Non-commercial use: checkbox",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		check("apache-2.0", held[i], "", true);
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		check("apache-2.0", fine[i], "", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bound), cmocka_unit_test(let_be), cmocka_unit_test(known_cards), cmocka_unit_test(below_headings), cmocka_unit_test(answers),
					    cmocka_unit_test(far_behind), cmocka_unit_test(prompts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
