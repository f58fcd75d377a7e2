/* licence_link.c - the licence that an address leads to, by what is known of the pages there; see licence.h. */
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"

/* Pages of which the last part of the address is a licence's name. */
static const char *const lists[] = { "opensource.org/license", "spdx.org/licenses/", "choosealicense.com/licenses/", "apache.org/licenses/", "gnu.org/licenses/" };

/* Pages of one licence, and repositories whose licence it is: longer addresses before those that they begin with. */
static const struct {
	const char *address, *id;
} pages[] = {
	{ "ai.google.dev/gemma/terms", "gemma" },
	{ "llama.com/llama4", "llama4" },
	{ "llama.com/llama3_3", "llama3.3" },
	{ "llama.com/llama3_2", "llama3.2" },
	{ "llama.com/llama3_1", "llama3.1" },
	{ "llama.com/llama3/", "llama3" },
	{ "llama.meta.com/llama3_1", "llama3.1" },
	{ "llama.meta.com/llama3/", "llama3" },
	{ "llama.meta.com/llama2", "llama2" },
	{ "ai.meta.com/llama/license", "llama2" },
	{ "meta-llama/llama-4", "llama4" },
	{ "meta-llama/llama-3.3", "llama3.3" },
	{ "meta-llama/llama-3.2", "llama3.2" },
	{ "meta-llama/llama-3.1", "llama3.1" },
	{ "meta-llama/meta-llama-3.1", "llama3.1" },
	{ "meta-llama/meta-llama-3-", "llama3" },
	{ "meta-llama/llama-2", "llama2" },
	{ "google/gemma-1.1", "gemma" },
	{ "google/gemma-2", "gemma" },
	{ "google/gemma-3", "gemma" },
	{ "google/gemma-7b", "gemma" },
	{ "google/codegemma", "gemma" },
	{ "google/paligemma", "gemma" },
	{ "meta-llama/codellama", "llama2" },
	{ "codellama/codellama", "llama2" },
	{ "meta-llama/meta-llama-3/", "llama3" },
	{ "meta-llama/llama-guard-3-8b", "llama3.1" },
	{ "meta-llama/llama-guard-3-1", "llama3.2" },
	{ "meta-llama/llama-guard-4", "llama4" },
	{ "facebookresearch/llama/blob/main/license", "llama2" },
	{ "spaces/huggingface-projects/llama-2", "llama2" },
	{ "stability.ai/community-license", "other:stabilityai-ai-community" },
	{ "stability.ai/license", "other:stabilityai-ai-community" },
	{ "stabilityai/stable-diffusion-3", "other:stabilityai-ai-community" },
	{ "stabilityai/stable-diffusion-xl-base-1", "openrail++" },
	{ "stabilityai/stable-diffusion-xl-refiner-1", "openrail++" },
	{ "stabilityai/stable-diffusion-2", "openrail++" },
	{ "compvis/stable-diffusion", "creativeml-openrail-m" },	/* the repositories, and the space "stable-diffusion-license" */
	{ "runwayml/stable-diffusion-v1-5", "creativeml-openrail-m" },
	{ "spaces/bigscience/license", "bigscience-bloom-rail-1.0" },
	{ "spaces/bigcode/bigcode-model-license-agreement", "bigcode-openrail-m" },
	{ "bigcode-project.org/docs/pages/model-license", "bigcode-openrail-m" },
	{ "deepfloyd/if/blob/main/license-model", "deepfloyd-if-license" },
	{ "deepfloyd/if-license", "deepfloyd-if-license" },
	{ "black-forest-labs/flux.1-schnell", "apache-2.0" },
	{ "black-forest-labs/flux.1-", "other:flux-1-dev-non-commercial-license" },
	{ "black-forest-labs/flux.2-dev", "other:flux-2-dev-non-commercial-license" },
	{ "black-forest-labs/flux/blob/main/model_licenses/license-flux1-schnell", "apache-2.0" },
	{ "black-forest-labs/flux/blob/main/model_licenses/license-flux1-", "other:flux-1-dev-non-commercial-license" },
	{ "deepseek-ai/deepseek-v3/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-v2/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-llm/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-coder/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-coder-v2/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-math/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-vl/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-vl2/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/deepseek-moe/blob/main/license-model", "other:deepseek" },
	{ "deepseek-ai/janus/blob/main/license-model", "other:deepseek" },
	{ "qwen/qwen2.5-3b", "other:qwen-research" },
	{ "qwen/qwen2.5-coder-3b", "other:qwen-research" },
	{ "qwen/qwen2.5-vl-3b", "other:qwen-research" },
	{ "qwen/qwen2.5-72b", "other:qwen" },
	{ "qwen/qwen2.5-math-72b", "other:qwen" },
	{ "qwen/qwen2.5-vl-72b", "other:qwen" },
	{ "qwen/qwen2-72b", "other:qwen" },
	{ "qwenlm/qwen/blob/main/tongyi%20qianwen%20research", "other:qwen-research" },
	{ "qwenlm/qwen/blob/main/tongyi%20qianwen%20license", "other:qwen" },
	{ "tiiuae/falcon-180b", "other:falcon-llm-license" },
	{ "tiiuae/falcon-11b", "other:falcon-llm-license" },
	{ "tiiuae/falcon3", "other:falcon-llm-license" },
	{ "tiiuae/falcon-mamba", "other:falcon-llm-license" },
	{ "falconllm.tii.ae/", "other:falcon-llm-license" },
	{ "polyformproject.org/licenses/noncommercial", "other:polyform-noncommercial" },
	{ "polyformproject.org/licenses/", "other:polyform" },
	{ "mariadb.com/bsl", "other:busl-1.1" },
	{ "mongodb.com/licensing/server-side-public-license", "other:sspl-1.0" },
	{ "elastic.co/licensing/elastic-license", "other:elastic-2.0" },
	{ "nvidia-open-model-license", "other:nvidia-open-model-license" },
	{ "mistral.ai/licenses/mrl", "other:mrl" },
	{ "mistral.ai/licenses/mnpl", "other:mnpl" },
	{ "tencent/hunyuan3d-2", "other:hunyuan-3d-2.0" },
	{ "tencent/hunyuan", "other:hunyuan" },
	{ "lgai-exaone/exaone-", "other:exaone" },
	{ "cohere.com/c4ai-cc-by-nc-license", "cc-by-nc-4.0" },
	{ "facebook/fair-noncommercial-research-license", "fair-noncommercial-research-license" },
};

/* The licence of "MIT.html", "gpl-3.0.en.html", "LICENSE-2.0". */
static const char *of_page(const char *address, struct arena *a)
{
	static const char *const endings[] = { ".html", ".txt", ".md", ".php", ".en" };
	char *name = arena_strdup(a, address), *slash;

	name[strcspn(name, "?#")] = 0;
	for (size_t n = strlen(name); n && name[n - 1] == '/';)
		name[--n] = 0;
	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (str_ends(name, endings[i]))
			name[strlen(name) - strlen(endings[i])] = 0;
	return strcasestr(address, "apache.org/") && !strncasecmp(name, "license-2.0", 11) ? "apache-2.0" : licence_of_name(name, a);
}

/* A file on the Hub has one address for each way to look at it. */
static const char *one_way(const char *link, struct arena *a)
{
	static const char *const ways[] = { "/resolve/", "/raw/" };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const char *at = strcasestr(link, ways[i]);

		if (at)
			return arena_printf(a, "%.*s/blob/%s", (int)(at - link), link, at + strlen(ways[i]));
	}
	return link;
}

const char *licence_of_list(const char *address, struct arena *a)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (strcasestr(address, lists[i]))
			return of_page(address, a);
	return NULL;
}

const char *licence_of_link(const char *link, struct arena *a)
{
	const char *id = licence_of_address(link, strlen(link), a);

	if (id)
		return id;
	link = one_way(link, a);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (strcasestr(link, pages[i].address))
			return pages[i].id;
	return licence_of_list(link, a);
}
