/* shape_adapter.c - low-rank adapters, against their adapter_config.json where they have one; see shape.h. Layers are shape_layers.c's. */
#include "infer/shape_adapter.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define PATTERN_MAX  1024	/* bytes of one key of rank_pattern */
#define PATTERNS_MAX 1024
#define MODULES_FROM "base_model.model."	/* what PEFT puts before the names of the base's modules */

/* How the two halves of a pair are called: A is [rank][in], B is [out][rank]. */
static const struct {
	const char *a, *b;
} pairs[] = { { ".lora_A.weight", ".lora_B.weight" }, { ".lora_embedding_A", ".lora_embedding_B" }, { ".lora_A.default.weight", ".lora_B.default.weight" },
	{ ".weight.lora_a", ".weight.lora_b" } };

/* A key of rank_pattern. */
struct pattern {
	const char *key;
	struct token_regex *re;		/* NULL: plain, or unknown */
	bool unknown;			/* it can't be read here */
	uint64_t rank;			/* 0: it gives none */
};

struct adapter {
	struct weights *w;
	const json_t *config;		/* NULL: a GGUF, which says no ranks */
	const char *file;		/* of what is said about the whole */
	struct adapter_modules modules;
	struct pattern *patterns;
	size_t n_patterns, cap_patterns;
	struct report *r;
	struct err *e;
	bool failed;
};

static void fail(struct adapter *x, const char *rule, const struct tensor *t, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void fail(struct adapter *x, const char *rule, const struct tensor *t, const char *fmt, ...)
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

static void read_pattern(struct adapter *x, struct pattern *p, size_t n_before)
{
	char text[PATTERN_MAX + 16];
	struct err e = ERR_NONE;
	int len = snprintf(text, sizeof(text), "(.*\\.)?(%s)$", p->key), rc = 0;

	if (is_plain(p->key))
		return;
	if (len >= (int)sizeof(text) || n_before >= PATTERNS_MAX)
		rc = err_set(&e, ERR_LIMIT, "there are more than %d patterns, or it has more than %d bytes", PATTERNS_MAX, PATTERN_MAX);
	else
		rc = token_regex_open(&p->re, text, (size_t)len, TOKEN_RUST, &e);
	if (rc == 0)
		return;
	p->unknown = true;
	report_path(x->r, "%s", x->file);
	report_flag(x->r, "shape.pattern", "rank_pattern \"%.80s\" can't be used, so the ranks of modules that it may speak of are not checked: %s", p->key, e.msg);
}

static void read_patterns(struct adapter *x)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(x->config, "rank_pattern"), key, v) {
		struct pattern *p = vec_push(&x->patterns, &x->n_patterns, &x->cap_patterns);

		*p = (struct pattern){ .key = key, .rank = json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0 };
		read_pattern(x, p, x->n_patterns - 1);
	}
}

/*
 * The rank that the configuration gives this module: that of the first key of rank_pattern which fits it, else r. PEFT asks
 * re.match("(.*\.)?(KEY)$", module). 0: it can't be told.
 */
static uint64_t rank_of(struct adapter *x, const char *module, size_t n)
{
	for (size_t i = 0; i < x->n_patterns; i++) {
		const struct pattern *p = &x->patterns[i];
		struct token_matches m = { .re = p->re, .s = module, .n = n };
		struct err e = ERR_NONE;
		int rc = p->re ? token_matches_next(&m, &e) : plain_fits(p->key, module, n);

		if (p->unknown || rc < 0)
			return 0;
		if (rc > 0 && (!p->re || m.from == 0))
			return p->rank;
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
		fail(x, "shape.missing", a, "tensor %s is missing: its other half %s is there", name, a->name);
		return;
	}
	b->claimed = true;
	gives = a->rank < 2 ? 0 : a->shape[is_flipped(x, a->name) ? a->rank - 1 : 0];
	if (a->rank < 2 || b->rank < 2 || gives != b->shape[1]) {
		fail(x, "shape.pair", b, "tensor %s takes %llu values, and its other half gives %llu", b->name, b->rank > 1 ? (unsigned long long)b->shape[1] : 0,
			(unsigned long long)gives);
		return;
	}
	adapter_modules_add(&x->modules, a->name + skip, n - skip);
	rank = x->config ? rank_of(x, a->name + skip, n - skip) : 0;
	if (rank && gives != rank && !is_parameters_rank(x, a->name + skip, n - skip, gives))
		fail(x, "shape.rank", a, "tensor %s has the rank %llu, where adapter_config.json says %llu", a->name, (unsigned long long)gives, (unsigned long long)rank);
}

static void check_pairs(struct adapter *x, struct shape_count *n)
{
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
				fail(x, "shape.missing", &x->w->tensors[i], "tensor %s has no other half", x->w->tensors[i].name);
	if (n->demanded == 0)
		fail(x, "shape.missing", NULL, "none of the %zu tensors is half of a pair of a low-rank adapter", x->w->n);
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
static void check_targets(struct adapter *x)
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
		fail(x, "shape.target", NULL, "no tensor adapts any of the %zu modules that target_modules names", n);
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

static int finish(struct adapter *x)
{
	if (!x->failed && adapter_layers_check(&x->modules, x->config, x->file, x->r, x->e) < 0)
		x->failed = true;
	for (size_t i = 0; i < x->n_patterns; i++)
		token_regex_free(x->patterns[i].re);
	free(x->patterns);
	free(x->modules.v);
	return x->failed ? ERR_INPUT : 0;
}

int shape_check_adapter(struct weights *w, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .config = config, .file = "adapter_config.json", .r = r, .e = e };
	const char *type = json_get_str(config, "peft_type"), *base = json_get_str(config, "base_model_name_or_path");

	*n = (struct shape_count){ .known = type && strcmp(type, "LORA") == 0 };
	if (!base || !*base) {
		report_path(r, "adapter_config.json");
		report_flag(r, "shape.base", "it names no base model, so nobody can know what the adapter is for");
	}
	if (!n->known)
		return 0;
	read_patterns(&x);
	check_pairs(&x, n);
	if (n->demanded)
		check_targets(&x);
	return finish(&x);
}

int shape_check_gguf_adapter(struct weights *w, const char *file, struct shape_count *n, struct report *r, struct err *e)
{
	struct adapter x = { .w = w, .file = file, .r = r, .e = e };
	const char *type = gguf_str(w->parts[0].gguf, "adapter.type");

	*n = (struct shape_count){ .known = type && strcmp(type, "lora") == 0 };
	if (!n->known)
		return 0;
	check_pairs(&x, n);
	return finish(&x);
}
