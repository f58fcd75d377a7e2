/* shape_adapter.c - low-rank adapters against their adapter_config.json; see shape.h. */
#include "infer/shape.h"

#include "base/json.h"
#include "base/str.h"

/* How the two halves of a pair are called: A is [rank][in], B is [out][rank]. */
static const struct {
	const char *a, *b;
} pairs[] = { { ".lora_A.weight", ".lora_B.weight" }, { ".lora_embedding_A", ".lora_embedding_B" }, { ".lora_A.default.weight", ".lora_B.default.weight" } };

struct adapter {
	struct weights *w;
	const json_t *config;
	struct report *r;
	struct err *e;
	bool failed;
};

static void fail(struct adapter *x, const char *rule, const struct tensor *t, const char *fmt, const char *name, uint64_t a, uint64_t b)
{
	report_path(x->r, "%s", t ? t->file : "adapter_config.json");
	report_reject(x->r, rule, t ? t->file : "adapter_config.json", x->failed ? NULL : x->e, fmt, name, (unsigned long long)a, (unsigned long long)b);
	x->failed = true;
}

/* The rank that the configuration gives this module: rank_pattern's, where a key of it ends the module's name, else r. */
static uint64_t rank_of(const json_t *config, const char *module, size_t n)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(config, "rank_pattern"), key, v) {
		const char *tail = key + strspn(key, "^.*\\");	/* patterns, of which ends of names are what is used */
		size_t len = strlen(tail);

		len -= len && tail[len - 1] == '$';
		if (len && len <= n && memcmp(module + n - len, tail, len) == 0 && (len == n || module[n - len - 1] == '.') && json_is_integer(v))
			return (uint64_t)json_integer_value(v);
	}
	return (uint64_t)json_get_int(config, "r", 0);
}

static void check_pair(struct adapter *x, struct tensor *a, const char *end_a, const char *end_b)
{
	size_t n = strlen(a->name) - strlen(end_a);
	uint64_t rank = rank_of(x->config, a->name, n);
	char name[SHAPE_NAME_MAX];
	struct tensor *b;

	a->claimed = true;
	snprintf(name, sizeof(name), "%.*s%s", (int)n, a->name, end_b);
	b = weights_find(x->w, name);
	if (!b) {
		fail(x, "shape.missing", a, "tensor %s is missing: its other half has the rank %llu", name, a->rank ? a->shape[0] : 0, 0);
		return;
	}
	b->claimed = true;
	if (a->rank < 2 || b->rank < 2 || a->shape[0] != b->shape[1])
		fail(x, "shape.pair", b, "tensor %s takes %llu values, and its other half gives %llu", b->name, b->rank > 1 ? b->shape[1] : 0, a->rank ? a->shape[0] : 0);
	else if (a->shape[0] != rank)
		fail(x, "shape.rank", a, "tensor %s has the rank %llu, where adapter_config.json says %llu", a->name, a->shape[0], rank);
}

/* A module that is to be adapted and is not: the adapter was cut. */
static void check_target(struct adapter *x, const char *target)
{
	char part[SHAPE_NAME_MAX];

	snprintf(part, sizeof(part), "*%s.lora_*", target);
	for (size_t i = 0; i < x->w->n; i++)
		if (str_glob(part, x->w->tensors[i].name))
			return;
	fail(x, "shape.target", NULL, "no tensor adapts %s, which target_modules names (%llu tensors, %llu of them read)", target, x->w->n, x->w->n);
}

int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .config = config, .r = r, .e = e };
	const char *type = json_get_str(config, "peft_type"), *base = json_get_str(config, "base_model_name_or_path");
	const json_t *targets = json_object_get(config, "target_modules"), *target;
	size_t i;

	*n = (struct shape_count){ .known = type && strcmp(type, "LORA") == 0 };
	if (!base || !*base) {
		report_path(r, "adapter_config.json");
		report_flag(r, "shape.base", "it names no base model, so nobody can know what the adapter is for");
	}
	if (!n->known)
		return 0;
	for (i = 0; i < w->n; i++) {
		for (size_t p = 0; p < ARRAY_LEN(pairs); p++) {
			if (str_ends(w->tensors[i].name, pairs[p].a)) {
				n->demanded += 2;
				check_pair(&x, &w->tensors[i], pairs[p].a, pairs[p].b);
			}
		}
	}
	for (i = 0; i < w->n; i++)	/* a B without its A */
		for (size_t p = 0; p < ARRAY_LEN(pairs); p++)
			if (!w->tensors[i].claimed && str_ends(w->tensors[i].name, pairs[p].b))
				fail(&x, "shape.missing", &w->tensors[i], "tensor %s has no other half (%llu bytes of %llu)", w->tensors[i].name, w->tensors[i].bytes,
					w->tensors[i].bytes);
	if (n->demanded == 0)
		fail(&x, "shape.missing", NULL, "%s: none of the %llu tensors is half of a pair (%llu)", "adapter", w->n, 0);
	json_array_foreach(targets, i, target)
		if (json_is_string(target))
			check_target(&x, json_string_value(target));
	return x.failed ? ERR_INPUT : 0;
}
