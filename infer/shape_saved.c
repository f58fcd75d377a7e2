/*
 * shape_saved.c - what an adapter holds whole beside its pairs: modules_to_save, the head of a task of labels, and rows of an embedding
 * (trainable_token_indices); see shape_adapter.h.
 *
 * PEFT saves each module of the base whose name ends so, and does not load an adapter without one of its tensors. What the base has, the
 * file does not say, so what is missing shows by its like: in other layers, or in the head that has one half only with the other.
 */
#include "infer/shape_adapter.h"

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

#define DELTA ".token_adapter.trainable_tokens_delta"

static bool is_name(const char *name, size_t n, const char *other)
{
	return strlen(other) == n && memcmp(name, other, n) == 0;
}

/* Where the name of the module that a tensor belongs to ends so; NULL: nowhere. whole: a component of it is called so, no more and no less. */
static const char *belongs(const char *tensor, const char *module, bool whole)
{
	size_t len = strlen(module);

	for (const char *dot = strchr(tensor, '.'); dot; dot = strchr(dot + 1, '.'))
		if ((size_t)(dot - tensor) >= len && memcmp(dot - len, module, len) == 0 && (!whole || dot - len == tensor || dot[-(ptrdiff_t)len - 1] == '.'))
			return dot;
	return NULL;
}

/* Whole, and not as a pair? */
static bool is_saved(const struct adapter *x, const char *module, bool whole)
{
	for (size_t i = 0; i < x->w->n; i++)
		if (!x->w->tensors[i].claimed && belongs(x->w->tensors[i].name, module, whole))
			return true;
	return false;
}

static bool is_of_labels(const struct adapter *x)
{
	const char *task = json_get_str(x->config, "task_type");

	return task && (strcmp(task, "SEQ_CLS") == 0 || strcmp(task, "TOKEN_CLS") == 0);
}

/* The names that PEFT adds to modules_to_save for a task of labels; the base has one of them, or another head. */
static bool is_usual_head(const char *module)
{
	return strcmp(module, "classifier") == 0 || strcmp(module, "score") == 0;
}

/* Heads have what names they like (classification_head, logits_proj), but these are of what stands before one. */
static bool may_be_head(const char *module)
{
	static const char *const others[] = { "*embed*", "wte", "wpe", "*norm*", "ln_*", "lm_head", "*pooler*", "pre_classifier", "sequence_summary" };

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_glob(others[i], module))
			return false;
	return *module;
}

static bool has_head(const struct adapter *x)
{
	const json_t *v;
	size_t i;

	if (is_saved(x, "classifier", true) || is_saved(x, "score", true))
		return true;
	json_array_foreach(json_object_get(x->config, "modules_to_save"), i, v)
		if (json_is_string(v) && !is_usual_head(json_string_value(v)) && may_be_head(json_string_value(v)) && is_saved(x, json_string_value(v), true))
			return true;
	return false;
}

static void check_layers(struct adapter *x, const char *module)
{
	struct adapter_modules all = { .n = 0 };

	for (size_t i = 0; i < x->w->n; i++) {
		const char *name = x->w->tensors[i].name;

		if (x->w->tensors[i].claimed || !belongs(name, module, false))
			continue;
		name += str_starts(name, MODULES_FROM) ? strlen(MODULES_FROM) : 0;
		adapter_modules_add(&all, name, strlen(name));
	}
	if (adapter_layers_check(&all, NULL, module, x->file, x->r, x->failed ? NULL : x->e) < 0)
		x->failed = true;
	free(all.v);
}

/* Lists are made for several models, as target_modules are, and PEFT passes over what the base lacks. But one name the base has. */
static void check_list(struct adapter *x)
{
	const json_t *names = json_object_get(x->config, "modules_to_save"), *v;
	bool labels = is_of_labels(x);
	size_t i, n_met = 0;

	json_array_foreach(names, i, v)
		n_met += json_string_length(v) && is_saved(x, json_string_value(v), false);
	json_array_foreach(names, i, v) {
		const char *module = json_string_value(v);

		if (!module || !*module || (labels && is_usual_head(module)))
			continue;
		if (is_saved(x, module, false)) {
			check_layers(x, module);
		} else if (n_met == 0) {
			adapter_fail(x, "shape.missing", NULL, "there is no tensor of %.100s, which modules_to_save names", module);
		} else {
			report_path(x->r, "%s", x->file);
			report_flag(x->r, "shape.missing", "there is no tensor of %.100s, which modules_to_save names: the base has none, or it was lost", module);
		}
	}
}

/* Of a head in two steps, the tensors that each has whose like is there. */
static void check_steps(struct adapter *x, const struct tensor *t)
{
	static const char *const tensors[] = { "dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias" };
	const char *head = belongs(t->name, "classifier", true);
	bool any = false;

	if (!head)
		head = belongs(t->name, "classification_head", true);
	for (size_t i = 0; head && i < ARRAY_LEN(tensors); i++)
		any |= strcmp(head + 1, tensors[i]) == 0;
	for (size_t i = 0; any && i < ARRAY_LEN(tensors); i++) {
		char name[SHAPE_NAME_MAX];

		snprintf(name, sizeof(name), "%.*s.%s", (int)(head - t->name), t->name, tensors[i]);
		if (weights_find(x->w, name))
			continue;
		adapter_fail(x, "shape.missing", t, "tensor %s is missing: %s of the same head is there", name, t->name);
		return;
	}
}

/* A head without its weight is none; one without a bias is rare. */
static void check_half(struct adapter *x, const struct tensor *t)
{
	static const char *const heads[] = { "classifier", "pre_classifier", "qa_outputs", "score" }, *const halves[] = { "weight", "bias" };

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		const char *end = belongs(t->name, heads[i], true);
		char name[SHAPE_NAME_MAX];
		bool bias = end && strcmp(end + 1, "bias") == 0;

		if (!end || (!bias && (strcmp(end + 1, "weight") != 0 || strcmp(heads[i], "score") == 0)))
			continue;
		snprintf(name, sizeof(name), "%.*s.%s", (int)(end - t->name), t->name, halves[!bias]);
		if (weights_find(x->w, name))
			continue;
		if (bias) {
			adapter_fail(x, "shape.missing", t, "tensor %s is missing: its bias is there", name);
		} else {
			report_path(x->r, "%s", t->file);
			report_flag(x->r, "shape.missing", "there is no tensor %s: the base's head has none, or it was lost", name);
		}
	}
}

void adapter_check_saved(struct adapter *x)
{
	bool failed;

	check_list(x);
	if (is_of_labels(x) && !has_head(x))
		adapter_fail(x, "shape.missing", NULL, "there is no tensor of a head (classifier, score or another that modules_to_save names), which its task %s means: it would be random",
			json_get_str(x->config, "task_type"));
	failed = x->failed;
	if (!is_of_labels(x) && json_array_size(json_object_get(x->config, "modules_to_save")) == 0)
		return;		/* biases alone: "bias": "all" */
	for (size_t i = 0; i < x->w->n && x->failed == failed; i++) {
		if (x->w->tensors[i].claimed)
			continue;
		check_steps(x, &x->w->tensors[i]);
		check_half(x, &x->w->tensors[i]);
	}
}

/* One for each index of the list; where it is an object, of the embedding that a key names. The head's are the embedding's where both are tied, and not there. */
static void check_rows(struct adapter *x, const char *module, const json_t *indices, size_t *n_met)
{
	size_t n = json_array_size(indices);

	if (json_is_array(indices) && n == 0)
		adapter_fail(x, "shape.config", NULL, "its trainable_token_indices has a list of no tokens, of which PEFT wants a tensor, and can't use one");
	for (size_t i = 0; i < x->w->n; i++) {
		const struct tensor *t = &x->w->tensors[i];
		size_t stem = strlen(t->name) - strlen(DELTA);

		if (!str_ends(t->name, DELTA) || (module && (stem < strlen(module) || !is_name(t->name + stem - strlen(module), strlen(module), module))))
			continue;
		++*n_met;
		if (t->rank != 2 || t->shape[0] != n)
			adapter_fail(x, "shape.shape", t, "tensor %s has %llu rows, where trainable_token_indices names %zu tokens", t->name,
				t->rank ? (unsigned long long)t->shape[0] : 0, n);
	}
}

void adapter_check_tokens(struct adapter *x)
{
	json_t *indices = json_object_get(x->config, "trainable_token_indices"), *list;
	size_t n_met = 0, n = json_array_size(indices);
	const char *module;

	if (json_is_array(indices))
		check_rows(x, NULL, indices, &n_met);
	json_object_foreach(indices, module, list) {
		check_rows(x, module, list, &n_met);
		n += json_array_size(list);
	}
	if (n && !n_met)
		adapter_fail(x, "shape.missing", NULL, "there is no tensor of the %zu tokens that trainable_token_indices names (…" DELTA ")", n);
}
