/* shape_adapter.c - low-rank adapters, against their adapter_config.json where they have one; see shape.h. Layers are shape_layers.c's. */
#include "infer/shape_adapter.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define PATTERN_MAX  1024	/* bytes of one key of rank_pattern */
#define PATTERNS_MAX 1024

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

/* A key of rank_pattern, or the pattern that target_modules is. */
struct pattern {
	const char *key;
	struct token_regex *re;		/* NULL: plain, or unknown */
	bool unknown;			/* it can't be read here */
	uint64_t rank;			/* 0: it gives none */
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

/* Without another sign than the dot, which stands for any, as nearly all keys are: no machine is needed for it. */
static bool is_plain(const char *key)
{
	return key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] == '\0';
}

static bool plain_fits(const char *key, const char *module, size_t n)
{
	size_t len = strlen(key), skip = n - len;

	if (len > n || (skip && module[skip - 1] != '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (key[i] != '.' && key[i] != module[skip + i])
			return false;
	return true;
}

/* before: what may stand in front of what the key fits. */
static void read_pattern(struct adapter *x, struct pattern *p, size_t n_before, const char *before, const char *where)
{
	char text[PATTERN_MAX + 16];
	struct err e = ERR_NONE;
	int len = snprintf(text, sizeof(text), "%s(%s)$", before, p->key), rc = 0;

	if (len >= (int)sizeof(text) || n_before >= PATTERNS_MAX)
		rc = err_set(&e, ERR_LIMIT, "there are more than %d patterns, or it has more than %d bytes", PATTERNS_MAX, PATTERN_MAX);
	else
		rc = token_regex_open(&p->re, text, (size_t)len, TOKEN_RUST, &e);
	if (rc == 0)
		return;
	p->unknown = true;
	report_path(x->r, "%s", x->file);
	report_flag(x->r, "shape.pattern", "%s \"%.80s\" can't be used, so modules that it may speak of are not checked against it: %s", where, p->key, e.msg);
}

static void read_patterns(struct adapter *x)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(x->config, "rank_pattern"), key, v) {
		struct pattern *p = vec_push(&x->patterns, &x->n_patterns, &x->cap_patterns);

		*p = (struct pattern){ .key = key, .rank = json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0 };
		if (!is_plain(key))
			read_pattern(x, p, x->n_patterns - 1, "(.*\\.)?", "rank_pattern");
	}
}

/* 1, 0, or -1 where that can't be told. */
static int pattern_fits(const struct pattern *p, const char *module, size_t n)
{
	struct token_matches m = { .re = p->re, .s = module, .n = n };
	struct err e = ERR_NONE;
	int rc = p->re ? token_matches_next(&m, &e) : plain_fits(p->key, module, n);

	return p->unknown || rc < 0 ? -1 : rc > 0 && (!p->re || m.from == 0);
}

/*
 * The rank that the configuration gives this module: that of the first key of rank_pattern which fits it, else r. PEFT asks
 * re.match("(.*\.)?(KEY)$", module). 0: it can't be told.
 */
static uint64_t rank_of(struct adapter *x, const char *module, size_t n)
{
	for (size_t i = 0; i < x->n_patterns; i++) {
		int fits = pattern_fits(&x->patterns[i], module, n);

		if (fits)
			return fits < 0 ? 0 : x->patterns[i].rank;
	}
	return (uint64_t)json_get_int(x->config, "r", 0);
}

/* The last component of what target_parameters names is a tensor of the module that the rest names; of any where there is no rest. */
static bool names_parameter_of(const char *parameter, const char *module, size_t n)
{
	const char *dot = strrchr(parameter, '.');
	size_t len = dot ? (size_t)(dot - parameter) : 0;

	if (!dot)
		return *parameter;
	return len && len <= n && memcmp(module + n - len, parameter, len) == 0 && (len == n || module[n - len - 1] == '.');
}

/*
 * Is the rank what PEFT gives a tensor that target_parameters names? One that holds matrices of several experts has the rank for each of them, how many the base
 * has is not said. Of several in one module each is around those before it, and which is which their names don't tell.
 */
static bool is_parameters_rank(struct adapter *x, const char *module, size_t n, uint64_t gives)
{
	static const char around[] = ".base_layer";
	const json_t *v;
	size_t i;

	while (n > strlen(around) && memcmp(module + n - strlen(around), around, strlen(around)) == 0)
		n -= strlen(around);
	json_array_foreach(json_object_get(x->config, "target_parameters"), i, v) {
		const char *parameter = json_is_string(v) ? json_string_value(v) : "";
		own(mem) char *whole = NULL;
		uint64_t rank;

		if (!names_parameter_of(parameter, module, n))
			continue;
		if (asprintf(&whole, "%.*s.%s", (int)n, module, strrchr(parameter, '.') ? strrchr(parameter, '.') + 1 : parameter) < 0)
			abort();
		rank = rank_of(x, whole, strlen(whole));
		if (rank == 0 || gives % rank == 0)
			return true;
	}
	return false;
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

static void check_pair(struct adapter *x, struct tensor *a, const char *end_a, const char *end_b)
{
	size_t n = strlen(a->name) - strlen(end_a), skip = str_starts(a->name, MODULES_FROM) ? strlen(MODULES_FROM) : 0;
	uint64_t rank, gives;
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
	if (a->rank < 2 || b->rank < 2 || gives != b->shape[1]) {
		adapter_fail(x, "shape.pair", b, "tensor %s takes %llu values, and its other half gives %llu", b->name, b->rank > 1 ? (unsigned long long)b->shape[1] : 0,
			(unsigned long long)gives);
		return;
	}
	adapter_modules_add(&x->modules, a->name + skip, n - skip);
	if (x->config && !x->stray && (!skip || is_wrapped_twice(a->name + skip)))
		x->stray = a;
	if (x->config)
		check_companions(x, a, n, b);
	rank = x->config ? rank_of(x, a->name + skip, n - skip) : 0;
	if (rank && gives != rank && !is_parameters_rank(x, a->name + skip, n - skip, gives))
		adapter_fail(x, "shape.rank", a, "tensor %s has the rank %llu, where adapter_config.json says %llu", a->name, (unsigned long long)gives, (unsigned long long)rank);
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
	struct pattern p = { .key = text };
	const struct adapter_module *other = NULL;
	size_t n_met = 0;

	read_pattern(x, &p, 0, "", "target_modules");
	for (size_t i = 0; i < x->modules.n && n_met != SIZE_MAX; i++) {
		int fits = pattern_fits(&p, x->modules.v[i].name, x->modules.v[i].n);

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
	for (size_t i = 0; i < x->n_patterns; i++)
		token_regex_free(x->patterns[i].re);
	free(x->patterns);
	free(x->modules.v);
	return x->failed ? ERR_INPUT : 0;
}

int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .config = config, .file = "adapter_config.json", .n = n, .r = r, .e = e };
	const char *type = json_get_str(config, "peft_type"), *base = json_get_str(config, "base_model_name_or_path");

	*n = (struct shape_count){ .known = type && strcmp(type, "LORA") == 0 };
	if (!base || !*base) {
		report_path(r, "adapter_config.json");
		report_flag(r, "shape.base", "it names no base model, so nobody can know what the adapter is for");
	}
	if (!n->known)
		return 0;
	read_patterns(&x);
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
