/*
 * shape_layers.c - which layers an adapter adapts; see shape_adapter.h.
 *
 * How many layers the base has, an adapter does not say: that its last ones are gone shows only where others of its modules are still
 * there, or where layers_to_transform names them. A hole is another matter. Names of modules without a layer's number mean all layers that have such a module, so where all layers
 * that are adapted are adapted alike, and most of them are, one in between that is not was lost. Bases whose layers differ (attention in
 * every fourth, a first one without experts, layers that borrow keys) look otherwise, and what is odd there is only named.
 */
#include "infer/shape_adapter.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

#define NO_LAYER UINT32_MAX

void adapter_modules_add(struct adapter_modules *m, const char *name, size_t n)
{
	*vec_push(&m->v, &m->n, &m->cap) = (struct adapter_module){ .name = name, .n = n };
}

/* Is the component that ends before name[at] (a dot) the list of layers that layers_pattern names? */
static bool is_list(const json_t *pattern, const char *name, size_t at)
{
	const json_t *v = pattern;
	size_t i = 0, len;

	do {
		v = json_is_array(pattern) ? json_array_get(pattern, i) : pattern;
		len = json_string_length(v);
		if (len && len <= at && memcmp(name + at - len, json_string_value(v), len) == 0 && (len == at || name[at - len - 1] == '.'))
			return true;
	} while (++i < json_array_size(pattern));
	return false;
}

/* Where in the name the layer stands: the first number of it, or the first behind one of layers_pattern. */
static void find_layer(struct adapter_module *m, const json_t *pattern)
{
	bool named = json_string_length(pattern) || json_array_size(pattern);

	for (size_t i = 0; i + 1 < m->n; i++) {
		size_t first = i + 1, end = first;

		if (m->name[i] != '.' || (named && !is_list(pattern, m->name, i)))
			continue;
		while (end < m->n && isdigit((unsigned char)m->name[end]))
			end++;
		if (end == first || end >= m->n || m->name[end] != '.' || end - first > 4)
			continue;
		m->layer = (uint32_t)strtoul(m->name + first, NULL, 10);
		if (m->layer >= SHAPE_LAYERS_MAX)
			return;
		m->stack = first;
		m->part = end + 1;
		return;
	}
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t k)
{
	int d = memcmp(a, b, n < k ? n : k);

	return d ? d : (n > k) - (n < k);
}

static int by_stack(const void *a, const void *b)
{
	const struct adapter_module *x = a, *y = b;

	return compare_bytes(x->name, x->stack, y->name, y->stack);
}

static int by_part(const void *a, const void *b)
{
	const struct adapter_module *x = a, *y = b;
	int d = by_stack(a, b);

	if (d == 0)
		d = compare_bytes(x->name + x->part, x->n - x->part, y->name + y->part, y->n - y->part);
	return d ? d : (x->layer > y->layer) - (x->layer < y->layer);
}

static bool same_part(const struct adapter_module *x, const struct adapter_module *y)
{
	return x->n - x->part == y->n - y->part && memcmp(x->name + x->part, y->name + y->part, x->n - x->part) == 0;
}

/* The layers of one list of them, and those that are meant to be adapted. */
struct stack {
	const struct adapter_module *v;
	size_t n;
	bool have[SHAPE_LAYERS_MAX], meant[SHAPE_LAYERS_MAX];
	uint32_t first, end, n_have;
	bool listed;			/* layers_to_transform says which */
	bool alike;			/* every part is adapted in each of them */
	const struct adapter_module *less;	/* else one of a part that is not */
	uint32_t less_layer;
};

static bool has_digit(const char *s)
{
	return s[strcspn(s, "0123456789")] != '\0';
}

/* Do the names mean modules of all layers? A pattern, or a name with a number in it, may mean some. */
static bool means_all(const json_t *names)
{
	const json_t *v;
	size_t i;

	if (json_is_string(names))
		return strcmp(json_string_value(names), "all-linear") == 0;
	json_array_foreach(names, i, v)
		if (json_is_string(v) && has_digit(json_string_value(v)))
			return false;
	return true;
}

static bool is_listed(const json_t *list, uint32_t layer)
{
	const json_t *v;
	size_t i;

	if (json_is_integer(list))
		return json_integer_value(list) == layer;
	json_array_foreach(list, i, v)
		if (json_is_integer(v) && json_integer_value(v) == layer)
			return true;
	return json_array_size(list) == 0;
}

/* The modules from `from` to `to` are one part in several layers, in their order: is there a layer that it is not in? */
static void compare_part(struct stack *s, size_t from, size_t to)
{
	size_t at = from;

	for (uint32_t l = 0; l < s->end; l++) {
		while (at < to && s->v[at].layer < l)
			at++;
		if (!s->have[l] || (at < to && s->v[at].layer == l))
			continue;
		s->alike = false;
		s->less = &s->v[from];
		s->less_layer = l;
		return;
	}
}

/* everywhere: the layers that any stack has. A list of them may be meant for another stack than this, which is shorter. */
static void fill(struct stack *s, const json_t *listed, const bool *everywhere)
{
	s->first = NO_LAYER;
	for (size_t i = 0; i < s->n; i++) {
		uint32_t layer = s->v[i].layer;

		s->n_have += !s->have[layer];
		s->have[layer] = true;
		s->first = layer < s->first ? layer : s->first;
		s->end = layer >= s->end ? layer + 1 : s->end;
	}
	s->listed = json_is_integer(listed) || json_array_size(listed);
	for (uint32_t l = 0; l < (s->listed ? SHAPE_LAYERS_MAX : s->end); l++)
		s->meant[l] = is_listed(listed, l) && (l < s->end || !everywhere[l]);
	s->alike = true;
	for (size_t i = 0, j; i < s->n && s->alike; i = j) {
		for (j = i; j < s->n && same_part(&s->v[i], &s->v[j]); j++)
			;
		compare_part(s, i, j);
	}
}

/* What modules_to_save names is in each layer that has such a module, and PEFT does not load it without one. */
static int judge_saved(const struct stack *s, const char *saved, uint32_t lost, uint32_t n_lost, struct report *r, const char *file, struct err *e)
{
	int stack = (int)s->v[0].stack;
	const char *name = s->v[0].name;

	if (n_lost && s->alike && lost > s->first && n_lost < s->n_have)
		return report_reject(r, "shape.layers", file, e, "there is no tensor of %.100s, which modules_to_save names, in %.*s%u, and all %u other layers up to %u have it",
			saved, stack, name, lost, s->n_have, s->end - 1);
	if (n_lost)
		report_flag(r, "shape.layers", "there is no tensor of %.100s in %.*s%u and %u more below layer %u: the base has none there, or it was lost", saved, stack,
			name, lost, n_lost - 1, s->end - 1);
	if (!s->alike)
		report_flag(r, "shape.layers", "%.*s is saved of some layers and not of %.*s%u, where others are: the base has none there, or it was lost",
			(int)(s->less->n - s->less->part), s->less->name + s->less->part, stack, name, s->less_layer);
	return 0;
}

static int judge(const struct stack *s, const char *saved, const char *file, struct report *r, struct err *e)
{
	uint32_t lost = NO_LAYER, n_lost = 0;
	int stack = (int)s->v[0].stack;
	const char *name = s->v[0].name;

	for (uint32_t l = SHAPE_LAYERS_MAX; l-- > 0;) {
		if (s->meant[l] && !s->have[l]) {
			lost = l;
			n_lost++;
		}
	}
	report_path(r, "%s", file);
	if (saved)
		return judge_saved(s, saved, lost, n_lost, r, file, e);
	if (n_lost && s->alike && s->listed && n_lost < s->n_have)
		return report_reject(r, "shape.layers", file, e, "no tensor adapts %.*s%u, which layers_to_transform names, and the %u others are adapted alike: it was lost",
			stack, name, lost, s->n_have);
	if (n_lost && s->alike && lost > s->first && n_lost < s->n_have)
		return report_reject(r, "shape.layers", file, e, "no tensor adapts %.*s%u, and all %u other layers up to %u are adapted alike: it was lost", stack, name,
			lost, s->n_have, s->end - 1);
	if (n_lost && s->listed)
		report_flag(r, "shape.layers", "no tensor adapts %.*s%u and %u more that layers_to_transform names: the base has nothing to adapt there, or it was lost", stack,
			name, lost, n_lost - 1);
	else if (n_lost)
		report_flag(r, "shape.layers", "no tensor adapts %.*s%u and %u more below layer %u: the base has nothing to adapt there, or it was lost", stack, name,
			lost, n_lost - 1, s->end - 1);
	if (!s->alike)
		report_flag(r, "shape.layers", "%.*s is adapted in some layers and not in %.*s%u, where others are: the base has none there, or it was lost",
			(int)(s->less->n - s->less->part), s->less->name + s->less->part, stack, name, s->less_layer);
	return 0;
}

int adapter_layers_check(struct adapter_modules *m, const json_t *config, const char *saved, const char *file, struct report *r, struct err *e)
{
	const json_t *listed = json_object_get(config, "layers_to_transform");
	bool everywhere[SHAPE_LAYERS_MAX] = { false };
	int rc = 0;

	if (m->n == 0 || (saved && has_digit(saved)) || !means_all(json_object_get(config, "target_modules")) || !means_all(json_object_get(config, "exclude_modules")))
		return 0;
	for (size_t i = 0; i < m->n; i++) {
		find_layer(&m->v[i], json_object_get(config, "layers_pattern"));
		if (m->v[i].stack)
			everywhere[m->v[i].layer] = true;
	}
	qsort(m->v, m->n, sizeof(*m->v), by_part);
	for (size_t i = 0, j; i < m->n; i = j) {
		own(mem) struct stack *s = NULL;

		for (j = i; j < m->n && by_stack(&m->v[i], &m->v[j]) == 0; j++)
			;
		if (m->v[i].stack == 0)		/* in no layer */
			continue;
		s = mem_zalloc(sizeof(*s));
		s->v = m->v + i;
		s->n = j - i;
		fill(s, listed, everywhere);
		if (judge(s, saved, file, r, rc == 0 ? e : NULL) < 0)
			rc = ERR_INPUT;
	}
	return rc;
}
