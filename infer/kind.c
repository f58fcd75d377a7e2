/* kind.c - see kind.h. */
#include "infer/kind.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/agree.h"
#include "infer/config.h"
#include "infer/shape.h"

static json_t *read_object(int dirfd, const char *path)
{
	struct buf text own(buf);

	buf_init(&text, CONFIG_MAX_BYTES);
	return fdio_slurp(dirfd, path, &text, NULL) < 0 ? NULL : json_parse_python(text.data, text.len, path, NULL);
}

static bool is_adapter(const char *file)
{
	return str_glob("adapter_model*.safetensors*", file);
}

static bool is_gguf_adapter(const struct gguf *g)
{
	const char *type = gguf_str(g, "general.type");

	return type && strcmp(type, "adapter") == 0;
}

/* The layers that sentence encoders add name no class: each is told by keys that only its configuration has. */
static const char *module_of_encoder(const json_t *config)
{
	static const struct {
		const char *key, *other, *name;
	} signs[] = {
		{ "in_features", "out_features", "Dense" }, { "layer_start", "num_hidden_layers", "WeightedLayerPooling" },
		{ "input_dim", "hidden_dim", "SparseAutoEncoder" }, { "word_weights", "unknown_word_weight", "WordWeights" },
		{ "frozen", "frozen", "SparseStaticEmbedding" },
	};

	if (json_is_true(json_object_get(config, "use_residual")) && json_get_int(config, "in_features", 0) != json_get_int(config, "out_features", 0))
		return "ProjectedDense";	/* what goes past it must be made as long as what comes out */
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (json_object_get(config, signs[i].key) && json_object_get(config, signs[i].other))
			return signs[i].name;
	return json_object_get(config, "dimension") && json_object_size(config) == 1 ? "LayerNorm" : NULL;
}

/* What it calls itself: an architecture of transformers, a class of diffusers, or a layer that sentence encoders add. */
static const char *architecture(const json_t *config)
{
	const json_t *list = json_object_get(config, "architectures");
	const char *name = json_string_value(json_array_get(list, 0)), *type = json_get_str(config, "model_type");

	if (!name)
		name = json_get_str(config, "_class_name");
	if (!name && !type)
		name = module_of_encoder(config);
	return name ? name : type;
}

/*
 * Every token needs a row, where tokens are what goes in: those of a model that hears are its answers. A tokenizer that we can't
 * read is not judged here: the model is not run either.
 */
static int check_tokenizer(int dirfd, const char *architecture, const json_t *config, struct report *r, struct err *e)
{
	const json_t *text = json_object_get(config, "text_config");
	int64_t rows = json_get_int(json_is_object(text) ? text : config, "vocab_size", 0), max;
	struct tokenizer *t = NULL;

	if (rows <= 0 || str_ends(architecture, "ForCTC") || tokenizer_open(&t, dirfd, NULL) < 0)
		return 0;
	max = tokenizer_max_id(t);
	if (max == rows && max == tokenizer_find(t, "<mask>", strlen("<mask>")))
		max--;	/* a BART that is trained to summarise has no row for it: nothing masks any more */
	tokenizer_free(t);
	report_path(r, "config.json");
	return max < rows ? 0 : report_reject(r, "config.token_id", "config.json", e, "the tokenizer has a token %lld, but the embedding only %lld rows", (long long)max,
		(long long)rows);
}

/* Of a form that this runner can't decode the structure is looked at nevertheless. */
static int read_packing(struct shape_packing *p, const struct weights *w, int dirfd, const json_t *config, struct report *r, struct err *e)
{
	struct err why = ERR_NONE;
	int rc = model_read_quant(&p->quant, config, w, dirfd, r, &why);

	p->unknown = rc == ERR_UNSUPPORTED;
	return rc == 0 || p->unknown ? 0 : err_set(e, ERR_INPUT, "%s", why.msg);
}

static int check(struct smoke *s, struct weights *w, int dirfd, const char *file, const json_t *config, struct shape_count *n, struct report *r, struct err *e)
{
	const char *name = architecture(config);
	struct shape_packing packing = { .unknown = false };
	int rc;

	if (is_adapter(file))
		return shape_check_adapter(w, config, n, r, e);
	rc = read_packing(&packing, w, dirfd, config, r, e);
	if (rc == 0 && name)
		rc = shape_check(w, name, config, &packing, n, r, e);
	quant_config_close(&packing.quant);
	if (rc == 0 && n->known)
		rc = agree_ties(s, w, name, config, r, e);
	if (rc == 0 && n->known)
		rc = check_tokenizer(dirfd, name, config, r, e);
	return rc;
}

int kind_check(struct smoke *s, struct weights *w, int dirfd, const char *file, struct report *r, struct err *e)
{
	bool gguf = str_ends(file, ".gguf");
	json_t *config own(json) = gguf ? NULL : read_object(dirfd, is_adapter(file) ? "adapter_config.json" : "config.json");
	struct shape_count n = { 0 };
	int rc = 0;

	if (gguf && !is_gguf_adapter(w->parts[0].gguf))
		return 0;
	if (gguf)
		rc = shape_check_gguf_adapter(w, file, &n, r, e);
	else if (strcmp(file, "adapter_model.safetensors") == 0 && !json_is_object(config))
		rc = report_reject(r, "shape.config", "adapter_config.json", e, "it is not here, or holds no object: PEFT loads no adapter without it");
	else if (config && (!s->side || is_adapter(file)))
		rc = check(s, w, dirfd, file, config, &n, r, e);
	if (rc < 0)
		return rc;
	if (gguf && n.known)
		smoke_reason(s, SMOKE_NOT_RUN, "its %zu tensors are pairs that fit; for which base, and of which rank, it does not say", n.demanded);
	else if (n.partial)
		smoke_reason(s, SMOKE_NOT_RUN, "as far as its configuration says, it is built so: %zu tensors", n.demanded);
	else if (n.known)
		smoke_reason(s, SMOKE_NOT_RUN, "built as its configuration demands: %zu tensors, %zu more that it says nothing of", n.demanded, n.unexpected);
	else
		smoke_reason(s, SMOKE_NOT_RUN, "no kind whose structure is known here");
	if (n.untold)
		smoke_reason(s, SMOKE_NOT_RUN, "%zu of them are packed in a form that is not known here: that they are there is all that was seen", n.untold);
	return 0;
}

/* What a GGUF says that it is, where that is no model; NULL where it is one, or can't be read. The first part of a split model may leave all tensors to the others. */
static const char *gguf_other(const struct gguf *g, const char *file)
{
	static const char *const types[] = { "adapter", "imatrix", "mmproj", "vocab" }, *const architectures[] = { "clip", "controlvector", "imatrix" };
	const char *type = gguf_str(g, "general.type"), *architecture = gguf_str(g, "general.architecture");

	for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
		if (strcmp(types[i], type) == 0)
			return types[i];
	for (size_t i = 0; architecture && i < ARRAY_LEN(architectures); i++)
		if (strcmp(architectures[i], architecture) == 0)
			return architectures[i];
	return gguf_n_tensors(g) == 0 && !weights_is_part(g, file) ? "vocabulary without tensors" : NULL;
}

/* One that can't be read is refused when it is opened in earnest. */
static int gguf_not_run(struct smoke *s, int dirfd, const char *file, struct err *e)
{
	own(fd) int fd = fdio_open_beneath(dirfd, file, O_RDONLY | O_CLOEXEC, NULL);
	struct gguf *g = NULL;
	const char *other;

	if (fd < 0 || gguf_open(&g, fd, file, NULL) < 0)
		return 0;
	other = gguf_other(g, file);
	s->side = other;
	if (other && is_gguf_adapter(g))
		err_set(e, ERR_UNSUPPORTED, "not run: task adapter");
	else if (other)
		err_set(e, ERR_UNSUPPORTED, "not run: no model by itself, but what it says: %s", other);
	gguf_close(g);
	return other ? ERR_UNSUPPORTED : 0;
}

/* Has no tensor of the file a place in what config.json describes? Of what is not known here nobody can say. */
static bool is_foreign(int dirfd, const char *file, const json_t *config)
{
	const char *name = architecture(config);
	const struct family *f = name ? family_by_hf(name) : NULL;
	const struct shape_packing plain = { .unknown = false };
	struct weights w own(weights) = { 0 };
	struct shape_count n = { 0 };
	bool any = false;

	if (!name || weights_open_safetensors(&w, dirfd, file, NULL, NULL) < 0)
		return false;
	if (!f)
		f = family_under_hf(name);
	if (f)
		return !plan_knows_any(f, &w);
	shape_check(&w, name, config, &plain, &n, NULL, NULL);
	for (size_t i = 0; i < w.n; i++)
		any |= w.tensors[i].claimed;
	return n.known && !any;
}

static bool has_file(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Sentence encoders may be a table of vectors, of which nothing is said but in the list of modules. */
static int not_configured(struct smoke *s, int dirfd, const char *file, struct err *e)
{
	const char *task = has_file(dirfd, "modules.json") ? kind_task(dirfd) : kind_by_tensors(dirfd, file);	/* the whole's, or its own */

	s->side = task && strcmp(task, "adapter") == 0;
	return task ? err_set(e, ERR_UNSUPPORTED, "not run: task %s", task) : 0;
}

int kind_not_run(struct smoke *s, int dirfd, const char *file, bool beside, struct err *e)
{
	json_t *config own(json) = NULL;

	if (is_adapter(file)) {
		s->side = true;
		return err_set(e, ERR_UNSUPPORTED, "not run: task adapter");
	}
	if (str_ends(file, ".gguf"))
		return gguf_not_run(s, dirfd, file, e);
	config = read_object(dirfd, "config.json");
	if (!has_file(dirfd, "config.json"))
		return not_configured(s, dirfd, file, e);
	if (beside && config && is_foreign(dirfd, file, config)) {
		s->side = true;
		return err_set(e, ERR_UNSUPPORTED, "not run: no model by itself: no tensor of it has a place in the model beside it");
	}
	if (config && !json_get_str(config, "model_type") && !json_object_get(config, "architectures") && architecture(config))
		return err_set(e, ERR_UNSUPPORTED, "not run: task %s", kind_task(dirfd) ? kind_task(dirfd) : "part of a pipeline");
	return 0;
}

/* By the files of sentence-transformers, which also saves what judges pairs of texts. */
static const char *sentence_task(int dirfd)
{
	static const char file[] = "config_sentence_transformers.json";
	json_t *config own(json) = NULL;

	if (!has_file(dirfd, "modules.json") && !has_file(dirfd, file))
		return NULL;
	config = read_object(dirfd, file);
	return strcmp(json_get_str_or(config, "model_type", ""), "CrossEncoder") == 0 ? "text-ranking" : "sentence-similarity";
}

const char *kind_embeds(int dirfd, const struct model *m)
{
	const struct gguf *g = m->gguf ? m->weights.parts[0].gguf : NULL;
	char key[128];
	uint64_t pooling = 0;

	if (!g)
		return sentence_task(dirfd);
	snprintf(key, sizeof(key), "%.100s.pooling_type", gguf_str(g, "general.architecture"));
	return gguf_u64(g, key, &pooling) && pooling ? "feature-extraction" : NULL;
}

/* By its class; one of the repository's own is taken for what nearly all are. */
static const char *pipeline_task(int dirfd, const char *file)
{
	json_t *index own(json) = read_object(dirfd, file);
	const char *class = json_get_str(index, "_class_name"), *task = class ? family_other_task(class) : NULL;

	return task ? task : "text-to-image";
}

const char *kind_task(int dirfd)
{
	json_t *config own(json) = NULL;
	const char *name;

	if (has_file(dirfd, "adapter_config.json"))
		return "adapter";
	if (has_file(dirfd, "model_index.json"))
		return pipeline_task(dirfd, "model_index.json");
	if (sentence_task(dirfd))
		return sentence_task(dirfd);
	if (!has_file(dirfd, "config.json"))
		return kind_by_files(dirfd);
	config = read_object(dirfd, "config.json");
	name = architecture(config);
	if (name && json_get_str(config, "_class_name"))
		return "text-to-image";
	return name && !family_by_hf(name) ? family_other_task(name) : NULL;
}
