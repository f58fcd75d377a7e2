/* quant_demand.c - which form the configuration demands of a module's weight. */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/quant_rules.h"

static bool has_part(const char *module, const char *part)
{
	size_t n = strlen(part);

	for (const char *at = strstr(module, part); at; at = strstr(at + 1, part))
		if ((at == module || at[-1] == '.') && (at[n] == '.' || at[n] == '\0'))
			return true;
	return false;
}

static bool is_in_layer(const char *module)
{
	for (const char *dot = strchr(module, '.'); dot; dot = strchr(dot + 1, '.'))
		if (isdigit((unsigned char)dot[1]))
			return true;
	return false;
}

/*
 * Is it a linear layer for every program that reads the method? Heads, embeddings and whatever is outside of the layers each treats in its own way.
 * A mixture's experts and what chooses between them are linear layers in some programs and one tensor in others, which is not packed.
 */
static bool is_linear_everywhere(const struct quant_config *c, const char *module)
{
	static const char *const mixture[] = { "experts", "gate", "router", "wg", "shared_expert_gate", "shared_expert", "shared_experts" }, *const tables[] = { "embed", "bias", "norm", "pos_" };
	const char *last = strrchr(module, '.');

	for (size_t i = 0; i < ARRAY_LEN(mixture); i++)
		if (has_part(module, mixture[i]))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (strcasestr(module, tables[i]))
			return false;
	if (last && strcmp(last, ".wo") == 0)	/* T5's, which transformers keeps in F32 */
		return false;
	if (last && str_starts(last, ".c_") && strcmp(c->method, "bitsandbytes") != 0)	/* GPT-2's are of a class of their own */
		return false;
	return is_in_layer(module);
}

static bool is_plain_end(const struct quant_config *c, const char *module)
{
	static const char *const heads[] = { "lm_head", "embed_out" }, *const embeddings[] = { "embed_tokens", "wte", "word_embeddings" };
	const char *last = strrchr(module, '.');

	last = last ? last + 1 : module;
	for (size_t i = 0; c->plain_head && i < ARRAY_LEN(heads); i++)
		if (strcmp(last, heads[i]) == 0)
			return true;
	for (size_t i = 0; c->plain_embedding && i < ARRAY_LEN(embeddings); i++)
		if (strcmp(last, embeddings[i]) == 0)
			return true;
	return false;
}

int quant_config_demand(const struct quant_config *c, const char *module, struct quant_layout *layout, enum quant_demand *demand, struct err *e)
{
	struct quant_layout none;
	enum quant_fit ignored, ruled = FIT_NO;
	int rc;

	*layout = c->layout;
	*demand = DEMAND_EITHER;
	if (!*c->method)
		return 0;
	rc = quant_rules_find(c->ignored, module, &none, &ignored, e);
	if (rc == 0 && ignored != FIT_YES)
		rc = quant_rules_find(c->rules, module, layout, &ruled, e);
	if (rc < 0)
		return rc;
	layout->left_out |= ignored == FIT_YES;
	if (layout->left_out || (ruled == FIT_NO && (c->only_rules || is_plain_end(c, module))))
		*demand = DEMAND_PLAIN;
	else if (c->all_linear && ignored == FIT_NO && (ruled == FIT_YES || (ruled == FIT_NO && !c->only_rules)) && is_linear_everywhere(c, module))
		*demand = DEMAND_PACKED;
	return 0;
}
