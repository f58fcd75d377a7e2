/* shape_adapter.c - low-rank adapters, against their adapter_config.json where they have one; see shape.h. Layers are shape_layers.c's. */
#include "infer/shape_adapter.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

/* How the two halves of a pair are called: A is [rank][in], B is [out][rank]. */
static const struct {
	const char *a, *b;
} pairs[] = { { ".lora_A.weight", ".lora_B.weight" }, { ".lora_embedding_A", ".lora_embedding_B" }, { ".lora_A.default.weight", ".lora_B.default.weight" },
	{ ".weight.lora_a", ".weight.lora_b" } };

/* What the configuration says that every pair has beside its halves: a number for each that comes out of B. Files that keep the adapter's name have the second name. */
static const struct {
	const char *key, *names[2];
} companions[] = {
	{ "use_dora", { ".lora_magnitude_vector", ".lora_magnitude_vector.default.weight" } },
	{ "lora_bias", { ".lora_B.bias", ".lora_B.default.bias" } },
};

void adapter_fail(struct adapter *x, const char *rule, const struct tensor *t, const char *fmt, ...)
{
	const char *file = t ? t->file : x->file;
	char text[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report_path(x->r, "%s", file);
	report_reject(x->r, rule, file, x->failed ? NULL : x->e, "%s", text);
	x->failed = true;
}

/* A half that stands for rows of an embedding lies the other way round in a GGUF. */
static bool is_flipped(const struct adapter *x, const char *name)
{
	return !x->config && str_starts(name, "token_embd.");
}

static void check_companions(struct adapter *x, const struct tensor *a, size_t stem, const struct tensor *b)
{
	for (size_t i = 0; i < ARRAY_LEN(companions); i++) {
		char name[2][SHAPE_NAME_MAX];
		struct tensor *t = NULL;

		if (!json_get_bool(x->config, companions[i].key, false))
			continue;
		for (size_t k = 0; k < 2 && !t; k++) {
			snprintf(name[k], sizeof(name[k]), "%.*s%s", (int)stem, a->name, companions[i].names[k]);
			t = weights_find(x->w, name[k]);
		}
		x->n->demanded++;
		if (!t) {
			adapter_fail(x, "shape.missing", a, "tensor %s is missing, which %s means beside %s", name[0], companions[i].key, a->name);
			continue;
		}
		t->claimed = true;
		if (tensor_elements(t) != b->shape[0])
			adapter_fail(x, "shape.shape", t, "tensor %s has %llu elements, where %s gives %llu", t->name, (unsigned long long)tensor_elements(t), b->name,
				(unsigned long long)b->shape[0]);
	}
}

/* What comes behind the prefix begins with it again. A base whose own model is called base_model has layers there. */
static bool is_wrapped_twice(const char *module)
{
	return str_starts(module, MODULES_FROM) && !str_starts(module + strlen(MODULES_FROM), "layers.");
}

/* Into how many blocks BD-LoRA cuts the B of this module, of which each takes a part of what A gives: what it names is anywhere in the module's name. */
static uint64_t blocks_of(const struct adapter *x, const char *module, size_t n)
{
	const json_t *how = json_object_get(x->config, "use_bdlora"), *v;
	size_t i;

	json_array_foreach(json_object_get(how, "target_modules_bd_b"), i, v)
		if (json_is_string(v) && memmem(module, n, json_string_value(v), json_string_length(v)))
			return (uint64_t)json_get_int(how, "nblocks", 1);
	return 1;
}

/* Does B take what A gives? Of a convolution in groups each takes its part. */
static bool takes(const struct adapter *x, const struct tensor *a, const struct tensor *b, const char *module, size_t n, uint64_t gives)
{
	uint64_t groups = a->rank > 2 && b->rank == a->rank && b->shape[1] ? gives / b->shape[1] : blocks_of(x, module, n);

	return groups && gives % groups == 0 && gives / groups == b->shape[1] && b->shape[0] % groups == 0;
}

static void check_pair(struct adapter *x, struct tensor *a, const char *end_a, const char *end_b)
{
	size_t n = strlen(a->name) - strlen(end_a), skip = str_starts(a->name, MODULES_FROM) ? strlen(MODULES_FROM) : 0;
	uint64_t gives;
	char name[SHAPE_NAME_MAX];
	struct tensor *b;

	a->claimed = true;
	snprintf(name, sizeof(name), "%.*s%s", (int)n, a->name, end_b);
	b = weights_find(x->w, name);
	if (!b) {
		adapter_fail(x, "shape.missing", a, "tensor %s is missing: its other half %s is there", name, a->name);
		return;
	}
	b->claimed = true;
	gives = a->rank < 2 ? 0 : a->shape[is_flipped(x, a->name) ? a->rank - 1 : 0];
	adapter_modules_add(&x->modules, a->name + skip, n - skip);
	if (a->rank < 2 || b->rank < 2 || !takes(x, a, b, a->name + skip, n - skip, gives)) {
		adapter_fail(x, "shape.pair", b, "tensor %s takes %llu values, and its other half gives %llu", b->name, b->rank > 1 ? (unsigned long long)b->shape[1] : 0,
			(unsigned long long)gives);
		return;
	}
	if (x->config && !x->stray && (!skip || is_wrapped_twice(a->name + skip)))
		x->stray = a;
	if (!x->config)
		return;
	check_companions(x, a, n, b);
	adapter_check_rank(x, a, a->name + skip, n - skip, gives);
}

static void check_pairs(struct adapter *x)
{
	struct shape_count *n = x->n;

	for (size_t i = 0; i < x->w->n; i++) {
		for (size_t p = 0; p < ARRAY_LEN(pairs); p++) {
			if (str_ends(x->w->tensors[i].name, pairs[p].a)) {
				n->demanded += 2;
				check_pair(x, &x->w->tensors[i], pairs[p].a, pairs[p].b);
			}
		}
	}
	for (size_t i = 0; i < x->w->n; i++)	/* a B without its A */
		for (size_t p = 0; p < ARRAY_LEN(pairs); p++)
			if (!x->w->tensors[i].claimed && str_ends(x->w->tensors[i].name, pairs[p].b))
				adapter_fail(x, "shape.missing", &x->w->tensors[i], "tensor %s has no other half", x->w->tensors[i].name);
	if (n->demanded == 0)
		adapter_fail(x, "shape.missing", NULL, "none of the %zu tensors is half of a pair of a low-rank adapter", x->w->n);
	if (x->stray)
		adapter_fail(x, "shape.target", x->stray, "tensor %s adapts nothing: PEFT passes over names that do not begin with " MODULES_FROM ", once", x->stray->name);
}

/* Is the module, of n bytes, the one that a target names: by its whole name or the end of it? */
static bool is_target(const char *module, size_t n, const char *target)
{
	size_t len = strlen(target);

	return len && len <= n && memcmp(module + n - len, target, len) == 0 && (len == n || module[n - len - 1] == '.');
}

static bool is_adapted(const struct adapter *x, const char *target)
{
	for (size_t i = 0; i < x->modules.n; i++)
		if (is_target(x->modules.v[i].name, x->modules.v[i].n, target))
			return true;
	return false;
}

/* exclude_modules takes what it names out of target_modules. Which modules a pattern takes out, the tensors don't say. */
static bool is_excluded(const json_t *excluded, const char *target)
{
	const json_t *v;
	size_t i;

	json_array_foreach(excluded, i, v)
		if (json_is_string(v) && is_target(target, strlen(target), json_string_value(v)))
			return true;
	return json_is_string(excluded);
}

/*
 * PEFT passes over names of which the base has no module, as lists for several models hold them, but wants one that it has. An adapter
 * that was cut looks the same, and so what is missing is named.
 */
static void check_target_list(struct adapter *x)
{
	const json_t *targets = json_object_get(x->config, "target_modules"), *excluded = json_object_get(x->config, "exclude_modules"), *v;
	size_t i, n = 0, met = 0;

	json_array_foreach(targets, i, v) {
		const char *target = json_string_value(v);

		if (!target || is_excluded(excluded, target))
			continue;
		n++;
		met += is_adapted(x, target);
	}
	if (n && !met) {
		adapter_fail(x, "shape.target", NULL, "no tensor adapts any of the %zu modules that target_modules names", n);
		return;
	}
	json_array_foreach(targets, i, v) {
		const char *target = json_string_value(v);

		if (!target || is_excluded(excluded, target) || is_adapted(x, target))
			continue;
		report_path(x->r, "%s", x->file);
		report_flag(x->r, "shape.target", "no tensor adapts %.100s, which target_modules names: the base has none, or the adapter was cut", target);
	}
}

/* A pattern fits whole names of modules; what adapts others PEFT passes over. What target_parameters names it does not speak of. */
static void check_target_pattern(struct adapter *x, const char *text)
{
	struct adapter_pattern p = { .key = text };
	const struct adapter_module *other = NULL;
	size_t n_met = 0;

	adapter_pattern_read(x, &p, 0, "", "target_modules");
	for (size_t i = 0; i < x->modules.n && n_met != SIZE_MAX; i++) {
		int fits = adapter_pattern_fits(&p, x->modules.v[i].name, x->modules.v[i].n);

		n_met = fits < 0 ? SIZE_MAX : n_met + (size_t)fits;
		if (fits == 0 && !other)
			other = &x->modules.v[i];
	}
	token_regex_free(p.re);
	if (n_met == 0) {
		adapter_fail(x, "shape.target", NULL, "no tensor adapts a module that target_modules (\"%.100s\") fits", text);
	} else if (other && n_met != SIZE_MAX) {
		report_path(x->r, "%s", x->file);
		report_flag(x->r, "shape.target", "%.*s is adapted, and target_modules (\"%.100s\") does not fit it: PEFT passes over that", (int)other->n, other->name, text);
	}
}

/* As Python does. */
static bool is_empty(const json_t *v)
{
	return !v || json_is_null(v) || json_string_length(v) + json_array_size(v) + json_object_size(v) == 0;
}

/* What PEFT refuses together. */
static void check_choice(struct adapter *x)
{
	const json_t *targets = json_object_get(x->config, "target_modules"), *parameters = json_object_get(x->config, "target_parameters");
	const json_t *layers = json_object_get(x->config, "layers_to_transform"), *pattern = json_object_get(x->config, "layers_pattern");
	bool listed = layers && !json_is_null(layers);

	if (json_is_string(parameters))
		adapter_fail(x, "shape.config", NULL, "its target_parameters is no list");
	if (targets && !json_is_null(targets) && is_empty(targets) && is_empty(parameters))
		adapter_fail(x, "shape.config", NULL, "its target_modules names nothing, and PEFT refuses to adapt nothing");
	if (json_is_string(targets) && (listed || (pattern && !json_is_null(pattern))))
		adapter_fail(x, "shape.config", NULL, "its target_modules is a pattern, beside which PEFT takes no %s", listed ? "layers_to_transform" : "layers_pattern");
	else if (!is_empty(pattern) && !listed)
		adapter_fail(x, "shape.config", NULL, "its layers_pattern says where layers are, and layers_to_transform not which: PEFT refuses one without the other");
}

static void check_targets(struct adapter *x)
{
	const json_t *targets = json_object_get(x->config, "target_modules");
	const char *pattern = json_string_value(targets);

	if (!pattern)
		check_target_list(x);
	else if (strcasecmp(pattern, "all-linear") != 0 && json_array_size(json_object_get(x->config, "target_parameters")) == 0)
		check_target_pattern(x, pattern);
}

static int finish(struct adapter *x)
{
	if (!x->failed && adapter_layers_check(&x->modules, x->config, NULL, x->file, x->r, x->e) < 0)
		x->failed = true;
	adapter_ranks_done(x);
	free(x->modules.v);
	return x->failed ? ERR_INPUT : 0;
}

int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .config = config, .file = "adapter_config.json", .n = n, .r = r, .e = e };
	const char *type = json_get_str(config, "peft_type"), *base = json_get_str(config, "base_model_name_or_path");

	*n = (struct shape_count){ .known = type && strcmp(type, "LORA") == 0 };
	if (!type || strcmp(type, "lora") == 0)
		adapter_fail(&x, "shape.config", NULL, "its peft_type names no kind of adapter that PEFT knows");
	if (!base || !*base) {
		report_path(r, "adapter_config.json");
		report_flag(r, "shape.base", "it names no base model, so nobody can know what the adapter is for");
	}
	if (!n->known)
		return finish(&x);
	adapter_ranks_read(&x);
	check_choice(&x);
	check_pairs(&x);
	if (n->demanded) {
		check_targets(&x);
		adapter_check_saved(&x);
		adapter_check_tokens(&x);
	}
	return finish(&x);
}

int shape_check_gguf_adapter(struct weights *w, const char *file, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .file = file, .n = n, .r = r, .e = e };
	const char *type = gguf_str(w->parts[0].gguf, "adapter.type");

	*n = (struct shape_count){ .known = type && strcmp(type, "lora") == 0 };
	if (!n->known)
		return 0;
	check_pairs(&x);
	return finish(&x);
}
