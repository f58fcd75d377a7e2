/* model.c - opens a checkpoint: its configuration, its tensors, and whether the two fit. The forward pass is forward.c. */
#include "infer/model.h"

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/config.h"

#define COARSEST_SHARE 10	/* of one in so many numbers; fewer cost little, whatever holds them */

static int read_json(json_t **out, int dirfd, const char *file, struct report *r, struct err *e)
{
	struct buf text own(buf);
	struct err je = ERR_NONE;
	int rc;

	buf_init(&text, CONFIG_MAX_BYTES);
	rc = fdio_slurp(dirfd, file, &text, e);
	if (rc < 0)
		return rc;
	report_path(r, "%s", file);
	*out = json_parse_python(text.data, text.len, file, &je);
	return *out ? 0 : report_reject(r, "config.json", file, e, "%s", je.msg);
}

static bool has_object(const json_t *o, const char *key)
{
	return json_is_object(json_object_get(o, key));
}

/* NULL where it is not there, or no JSON. */
static json_t *read_if_there(int dirfd, const char *file)
{
	struct buf text own(buf);

	buf_init(&text, CONFIG_MAX_BYTES);
	return fdio_slurp(dirfd, file, &text, NULL) == 0 ? json_parse_python(text.data, text.len, file, NULL) : NULL;
}

/* Files of the authors' own programs have params.json for their configuration, where they come with it. NULL where they don't. */
static json_t *read_params(int dirfd)
{
	return read_if_there(dirfd, "params.json");
}

static void read_own_sight(struct model *m, int dirfd)
{
	json_t *params own(json) = read_params(dirfd);
	bool named = false;

	for (size_t i = 0; !params && i < m->weights.n; i++)
		named |= str_starts(m->weights.tensors[i].name, FAMILY_NATIVE_VISION);
	if (named || has_object(params, "vision_encoder"))
		sight_read(&m->sight, params, true);
}

/* Does the configuration declare a part that sees images? */
static void read_sight(struct model *m, int dirfd)
{
	const char *name = json_string_value(json_array_get(json_object_get(m->config, "architectures"), 0));

	if (!(name && str_ends(name, "ForConditionalGeneration")) && !has_object(m->config, "vision_config") && !has_object(m->config, "visual"))
		return;
	if (weights_find(&m->weights, FAMILY_NATIVE_EMBED))
		read_own_sight(m, dirfd);
	else
		sight_read(&m->sight, m->config, false);
}

static int open_gguf(struct model *m, int dirfd, const char *file, uint32_t n_tokens, struct report *r, struct err *e)
{
	int rc = weights_open_gguf(&m->weights, dirfd, file, r, e);

	if (rc == 0)
		rc = config_read_gguf(m->spec, &m->family, m->weights.parts[0].gguf, r, e);
	if (rc == 0)
		rc = plan_rope_factors(m->spec, &m->weights, e);
	return rc < 0 ? rc : spec_finish(m->spec, n_tokens, e);
}

static bool has_tensor_ending(const struct weights *w, const char *end)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_ends(w->tensors[i].name, end))
			return true;
	return false;
}

/* Files that say how weights are packed where config.json does not. */
static const struct beside {
	const char *file, *method;	/* of the programs that write it */
	const char *part;		/* without tensors called so a file of this name is another program's; "": no others write one */
	bool before;			/* its programs read it before config.json */
} others[] = {
	{ "hf_quant_config.json", "modelopt", "", false }, { "quantize_config.json", "gptq", "", true }, { "quant_config.json", "awq", ".qweight", false },
};

/* One that says otherwise is named, and rejects where the method's own programs then read other codes than those that go by config.json. */
static int check_beside(const struct beside *b, const char *method, const json_t *config, int dirfd, struct report *r, struct err *e)
{
	json_t *beside own(json) = read_if_there(dirfd, b->file);
	struct quant_contradiction x;

	if (!beside || !quant_config_contradicts(config, beside, &x))
		return 0;
	report_path(r, "%s", b->file);
	if (b->before && x.decides && strcmp(b->method, method) == 0)
		return report_reject(r, "config.beside", b->file, e, "it says %s: programs differ in which of the two they read", x.what);
	report_flag(r, "config.beside", "it says %s", x.what);
	return 0;
}

int model_read_quant(struct quant_config *quant, const json_t *config, const struct weights *w, int dirfd, struct report *r, struct err *e)
{
	int rc = quant_config_parse(quant, config, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(others); i++) {
		json_t *beside own(json) = NULL;

		if (!has_tensor_ending(w, others[i].part))
			continue;
		if (quant->method[0]) {
			rc = check_beside(&others[i], quant->method, config, dirfd, r, e);
			continue;
		}
		rc = read_json(&beside, dirfd, others[i].file, r, e);
		if (rc == 0)
			rc = quant_config_parse_beside(quant, beside, others[i].method, e);
		else if (rc == ERR_NOT_FOUND)
			rc = 0;
	}
	return rc;
}

/* Of files of the authors' own programs params.json says it, and config.json of those beside them. */
static int read_own_quant(struct model *m, int dirfd, struct report *r, struct err *e)
{
	json_t *params own(json) = read_params(dirfd);
	int rc = quant_config_parse_own(&m->quant, params, e);

	return rc < 0 || m->quant.method[0] ? rc : model_read_quant(&m->quant, m->config, &m->weights, dirfd, r, e);
}

static int open_hf(struct model *m, int dirfd, const char *file, uint32_t n_tokens, struct report *r, struct err *e)
{
	int rc = weights_open_safetensors(&m->weights, dirfd, file, r, e);
	bool own_program;

	if (rc == 0)
		rc = read_json(&m->config, dirfd, "config.json", r, e);
	if (rc == 0)
		rc = config_read_hf(m->spec, &m->family, m->config, r, e);
	own_program = rc == 0 && weights_find(&m->weights, FAMILY_NATIVE_EMBED);
	if (own_program)
		m->spec->rope_interleaved = true;
	if (rc == 0)
		rc = own_program ? read_own_quant(m, dirfd, r, e) : model_read_quant(&m->quant, m->config, &m->weights, dirfd, r, e);
	if (rc == 0)
		rc = spec_finish(m->spec, n_tokens, e);
	return rc < 0 ? rc : config_layers_hf(m->spec, m->family, m->config, r, e);
}

/* Numbers that a tensor holds or stands for; scales and the like are none of the model's. */
static uint64_t params_of(const struct model *m, const struct tensor *t)
{
	return !t->stands_for[0] && m->quant.method[0] && quant_is_companion(t->name) ? 0 : tensor_numbers(t);
}

static bool is_layer_matrix(const struct tensor *t)
{
	return t->claimed && t->role >= ROLE_LAYER_FIRST && !t->is_bias && (t->stands_for[0] || (t->rank >= 2 && t->shape[t->rank - 1] > 1 && t->shape[t->rank - 2] > 1));
}

bool model_uses(const struct model *m, const struct tensor *t)
{
	const struct weight *ends = m->plan.ends.w;

	return t->claimed && (t != m->plan.stored_head || t == ends[ROLE_HEAD].tensor || t == ends[ROLE_EMBED].tensor);
}

struct share {
	double bits;		/* a number */
	uint64_t n;
};

static int by_bits(const void *a, const void *b)
{
	double x = ((const struct share *)a)->bits, y = ((const struct share *)b)->bits;

	return (x > y) - (x < y);
}

/* What packing costs is the coarse parts' doing, however wide the others are kept: as many bits, or fewer, have a tenth of all the numbers. */
static double coarsest_bits(struct share *v, size_t n, uint64_t total)
{
	uint64_t sum = 0;

	qsort(v, n, sizeof(*v), by_bits);
	for (size_t i = 0; i < n; i++) {
		sum += v[i].n;
		if (sum >= total / COARSEST_SHARE)
			return v[i].bits;
	}
	return 32;
}

static void take_size(struct model *m)
{
	own(mem) struct share *shares = mem_zalloc((m->weights.n + 1) * sizeof(*shares));
	uint64_t params = 0;
	size_t n_shares = 0;

	for (size_t i = 0; i < m->weights.n; i++) {
		const struct tensor *t = &m->weights.tensors[i];
		uint64_t n = params_of(m, t);
		const char *type = t->stands_for[0] ? "packed" : t->type_name;

		m->n_params += n;
		if (model_uses(m, t)) {
			m->size.n_params += n;
			m->size.stored = !m->size.stored || strcmp(m->size.stored, type) == 0 ? type : "mixed";
		}
		if (!is_layer_matrix(t))
			continue;
		if (n > 0)
			shares[n_shares++] = (struct share){ .bits = (double)t->bytes * 8 / (double)n, .n = n };
		params += n;
	}
	m->size.layer_params = params;
	m->size.width = m->spec->d_model;
	m->size.vocab = m->spec->n_vocab;
	m->size.experts = m->spec->moe.n_expert;
	m->size.bits = coarsest_bits(shares, n_shares, params);
}

int model_open(struct model *m, int dirfd, const char *file, uint32_t n_tokens, struct report *r, struct err *e)
{
	int rc;

	*m = (struct model){ .spec = mem_zalloc(sizeof(*m->spec)), .gguf = str_ends(file, ".gguf") };
	rc = m->gguf ? open_gguf(m, dirfd, file, n_tokens, r, e) : open_hf(m, dirfd, file, n_tokens, r, e);
	if (rc == 0)
		read_sight(m, dirfd);
	if (rc == 0)
		rc = plan_open(&m->plan, m->spec, m->family, &m->weights, &m->quant, m->gguf, &m->sight, r, e);
	if (rc == 0)
		take_size(m);
	else
		model_close(m);
	return rc;
}

void model_close(struct model *m)
{
	plan_close(&m->plan);
	weights_close(&m->weights);
	quant_config_close(&m->quant);
	json_decref(m->config);
	free(m->spec);
	*m = (struct model){ 0 };
}
