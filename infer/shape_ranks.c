/*
 * shape_ranks.c - the numbers that adapter_config.json gives an adapter's modules: ranks and strengths, for all (r, lora_alpha) or by patterns of their
 * names; see shape_adapter.h. What PEFT takes for none of them is a reject.
 */
#include "infer/shape_adapter.h"

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define PATTERN_MAX  1024	/* bytes of one key of rank_pattern */
#define PATTERNS_MAX 1024
#define RANK_DEFAULT 8		/* PEFT's, where nothing is said */
#define RANK_NONE    UINT64_MAX	/* what is said is none */

static bool is_rank(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) > 0;
}

/* Python calculates with truth values, too. */
static bool is_number(const json_t *v)
{
	return json_is_number(v) || json_is_boolean(v);
}

static bool is_object(const json_t *v)
{
	return json_is_object(v);
}

static bool is_bias(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && (strcmp(s, "none") == 0 || strcmp(s, "all") == 0 || strcmp(s, "lora_only") == 0);
}

static bool is_chance(const json_t *v)
{
	return is_number(v) && json_number_value(v) <= 1;
}

/* How the numbers began that training has changed since: PEFT begins anew before it loads them. What Python takes for false is no way at all. */
static bool is_start(const json_t *v)
{
	static const char *const exact[] = { "", "pissa", "pissa_niter_[0-9]*", "corda*", "loftq", "eva", "orthogonal", "lora_ga" }, *const folded[] = { "gaussian", "olora", "mica" };
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < ARRAY_LEN(exact); i++)
		if (str_glob(exact[i], s))
			return true;
	for (size_t i = 0; s && i < ARRAY_LEN(folded); i++)
		if (strcasecmp(folded[i], s) == 0)
			return true;
	return !s && (json_is_boolean(v) || json_is_null(v) || (json_is_number(v) ? json_number_value(v) == 0 : json_array_size(v) + json_object_size(v) == 0));
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

void adapter_pattern_read(struct adapter *x, struct adapter_pattern *p, size_t n_before, const char *before, const char *where)
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

int adapter_pattern_fits(const struct adapter_pattern *p, const char *module, size_t n)
{
	struct token_matches m = { .re = p->re, .s = module, .n = n };
	struct err e = ERR_NONE;
	int rc = p->re ? token_matches_next(&m, &e) : plain_fits(p->key, module, n);

	return p->unknown || rc < 0 ? -1 : rc > 0 && (!p->re || m.from == 0);
}

/* The value of the first key that fits this module, which counts: PEFT asks re.match("(.*\.)?(KEY)$", module). 0: none does; -1: it can't be told. */
static int value_for(const struct adapter_patterns *p, const char *module, size_t n, const json_t **value)
{
	for (size_t i = 0; i < p->n; i++) {
		int fits = adapter_pattern_fits(&p->v[i], module, n);

		*value = p->v[i].value;
		if (fits)
			return fits;
	}
	return 0;
}

/* What the configuration gives this module; 0: it can't be told. Only one without a pattern needs `r`. */
static uint64_t rank_of(struct adapter *x, const char *module, size_t n)
{
	const json_t *v = NULL;
	int said = value_for(&x->ranks, module, n, &v);

	if (said == 0)
		v = json_object_get(x->config, "r");
	if (said == 0 && !is_rank(v))
		return v ? RANK_NONE : RANK_DEFAULT;
	return said >= 0 && is_rank(v) ? (uint64_t)json_integer_value(v) : 0;
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

/* What PEFT does not take, where it is said: of a pattern, and of r, only what is meant for some module, which adapter_check_rank sees. */
static const struct {
	const char *key;
	bool (*takes)(const json_t *v);
	const char *what;
} settings[] = {
	{ "lora_alpha", is_number, "a number" }, { "rank_pattern", is_object, "an object" },
	{ "alpha_pattern", is_object, "an object" }, { "lora_dropout", is_chance, "a number up to 1" }, { "bias", is_bias, "none, all or lora_only" },
	{ "init_lora_weights", is_start, "true, false or a name that it knows" },
};

static void read_patterns(struct adapter *x, struct adapter_patterns *into, const char *where)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(x->config, where), key, v) {
		struct adapter_pattern *p = vec_push(&into->v, &into->n, &into->cap);

		*p = (struct adapter_pattern){ .key = key, .value = v };
		if (!is_plain(key))
			adapter_pattern_read(x, p, into->n - 1, "(.*\\.)?", where);
	}
}

/* Strengths change no shape: their patterns matter where a value is none. */
static bool has_other_than_numbers(const json_t *values)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)values, key, v)
		if (!is_number(v))
			return true;
	return false;
}

void adapter_ranks_read(struct adapter *x)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const json_t *v = json_object_get(x->config, settings[i].key);

		if (v && !settings[i].takes(v))
			adapter_fail(x, "shape.config", NULL, "its %s is not %s, as PEFT asks for", settings[i].key, settings[i].what);
	}
	read_patterns(x, &x->ranks, "rank_pattern");
	if (has_other_than_numbers(json_object_get(x->config, "alpha_pattern")))
		read_patterns(x, &x->alphas, "alpha_pattern");
}

static void patterns_done(struct adapter_patterns *p)
{
	for (size_t i = 0; i < p->n; i++)
		token_regex_free(p->v[i].re);
	free(p->v);
}

void adapter_ranks_done(struct adapter *x)
{
	patterns_done(&x->ranks);
	patterns_done(&x->alphas);
}

static void check_value(struct adapter *x, const struct adapter_patterns *p, bool (*takes)(const json_t *v), const char *where, const char *module, size_t n)
{
	const json_t *v = NULL;

	if (value_for(p, module, n, &v) > 0 && !takes(v))
		adapter_fail(x, "shape.config", NULL, "its %s gives %.*s something else than %s", where, (int)n, module, takes == is_rank ? "a whole number above zero" : "a number");
}

void adapter_check_rank(struct adapter *x, const struct tensor *a, const char *module, size_t n, uint64_t gives)
{
	uint64_t rank = rank_of(x, module, n);

	check_value(x, &x->ranks, is_rank, "rank_pattern", module, n);
	check_value(x, &x->alphas, is_number, "alpha_pattern", module, n);
	if (!rank || gives == rank || is_parameters_rank(x, module, n, gives))
		return;
	if (rank == RANK_NONE)
		adapter_fail(x, "shape.config", NULL, "its r is not a whole number above zero, and rank_pattern gives %.*s no other", (int)n, module);
	else
		adapter_fail(x, "shape.rank", a, "tensor %s has the rank %llu, where adapter_config.json says %llu", a->name, (unsigned long long)gives, (unsigned long long)rank);
}
