/*
 * listed_pipeline.c - the components that model_index.json of a diffusion pipeline lists; see listed_parts.h.
 *
 * A library looks for weights under names of its own, with the name of a variant in them; diffusers loads a pipeline with one variant, and
 * where a component has none of it, with the plain file.
 */
#include "infer/listed_parts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/kind.h"

#define VARIANTS_MAX 16
#define VARIANT_MAX  32	/* bytes of its name */
#define NUMBERED_MAX 32

struct variants {
	char names[VARIANTS_MAX][VARIANT_MAX];
	size_t n;
	bool plain;	/* there is one without a name, or a form that has no variants */
};

struct pipeline {
	struct looking *l;
	const json_t *index;
	struct variants whole;	/* with which all components so far are there; plain: any */
};

static bool is_folder(const struct looking *l, const char *folder)
{
	struct stat st;

	return fdio_check_relative(folder, NULL) == 0 && fstatat(l->fd, folder, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* What classes of tokenizers read their tokens from; those of bytes and of characters read nothing. */
#define VOCABULARIES "tokenizer.json *vocab* *.model *.spm *.tiktoken *.bpe *.codes *.tokenizer tekken.json dict.txt byte_maps.json"

/* What classes keep, told by how they are called; anything else is a model. NULL: nothing of a certain name. */
static const struct component_kind {
	const char *class, *configs;
	bool weights;
} component_kinds[] = {
	{ "*Scheduler*", "scheduler_config.json", false },
	{ "ByT5Tokenizer*", "tokenizer_config.json", false }, { "CanineTokenizer*", "tokenizer_config.json", false },
	{ "PerceiverTokenizer*", "tokenizer_config.json", false },
	{ "CLIPTokenizer*", "tokenizer.json vocab.json+merges.txt", false },
	{ "*Tokenizer*", VOCABULARIES, false },
	{ "*Guidance", "guider_config.json", false },
	{ "*FeatureExtractor*", "preprocessor_config.json processor_config.json", false },
	{ "*ImageProcessor*", "preprocessor_config.json processor_config.json config.json", false },
	{ "*Processor", "processor_config.json preprocessor_config.json video_preprocessor_config.json config.json tokenizer_config.json", false },
	{ "*Pipeline", "model_index.json", false },
	{ "Mel", "mel_config.json", false },
	{ "OnnxRuntimeModel", NULL, true },
	{ "*", "config.json", true },
};

static bool is_transformers(const char *library)
{
	return strcmp(library, "transformers") == 0 || strcmp(library, "tokenizers") == 0;
}

/* There are models that cut sounds into tokens. Beside the vocabulary of a tokenizer of transformers there may be a configuration, and no weights. */
static bool is_model_of_tokens(const struct looking *l, const char *folder, const char *library)
{
	bool config = listed_is_there(l, folder, "config.json"), weights = listed_has_weights(l, folder);

	return is_transformers(library) ? config && weights : (config || weights) && !listed_has_any(l, folder, VOCABULARIES);
}

static struct component_kind component_kind_of(const struct looking *l, const char *folder, const char *library, const char *class)
{
	const size_t model = ARRAY_LEN(component_kinds) - 1;
	size_t i = 0;

	while (i < model && !str_glob(component_kinds[i].class, class))
		i++;
	return component_kinds[*folder && component_kinds[i].configs && strcmp(component_kinds[i].configs, VOCABULARIES) == 0 && is_model_of_tokens(l, folder, library) ? model : i];
}

/* A class of the repository's own, which saves what it likes: its code lies beside the part. */
static bool is_own_code(const struct looking *l, const char *folder, const char *library)
{
	char file[PATH_TEXT_MAX];

	return snprintf(file, sizeof(file), "%s.py", library) < (int)sizeof(file) && listed_is_there(l, folder, file);
}

/* What a class of diffusers is in a pipeline: 0 is not known. */
static int role_of(const char *class)
{
	static const char *const roles[][2] = { { "*ControlNet*", "*ControlNet*" }, { "*Autoencoder*", "*VQModel*" }, { "*UNet*", "*Transformer*" } };

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (str_glob(roles[i][0], class) || str_glob(roles[i][1], class))
			return (int)i + 1;
	return 0;
}

static void find_config(void *arg, const char *file)
{
	*(bool *)arg |= str_ends(file, ".json") && !str_glob("*.index*.json", file);
}

/* Does a class that nothing tells for a model keep its configuration under a name of its own? What else it needs is not known. */
static bool keeps_its_own(const struct looking *l, const char *folder, const char *library, const char *class)
{
	bool found = false;

	if (is_transformers(library) || role_of(class) || str_glob("*Model*", class) || listed_is_there(l, folder, "config.json"))
		return false;
	listed_each(l, folder, find_config, &found);
	return found;
}

/* How a library calls weights: with variants, and in forms that have none. */
static const struct weight_names {
	const char *library, *stems[2], *ends[2], *others[6];
} weight_names[] = {
	{ "diffusers", { "diffusion_pytorch_model", "diffusion_pytorch_model" }, { ".safetensors", ".bin" },
		{ "diffusion_flax_model*.msgpack", "*.onnx", "openvino_*.xml", "onnx", "openvino" } },
	{ "transformers", { "model", "pytorch_model" }, { ".safetensors", ".bin" },
		{ "adapter_model*", "flax_model*.msgpack", "tf_model*.h5", "*.onnx", "openvino_*.xml", "onnx" } },
};

/* Of "-00001-of-00002", how many bytes; 0: it is none. */
static size_t shard_length(const char *s)
{
	unsigned a, b;
	int n = 0;

	return sscanf(s, "-%5u-of-%5u%n", &a, &b, &n) == 2 ? (size_t)n : 0;
}

/* "fp16" of diffusion_pytorch_model.fp16-00001-of-00002.safetensors, or with the number first, as it was; "" of one without a variant. */
static bool variant_of(const char *file, const char *stem, const char *end, char out[VARIANT_MAX])
{
	size_t n = strlen(file), from = strlen(stem), to = n - strlen(end), len = 0;

	if (!str_starts(file, stem) || !str_ends(file, end) || to < from || to - from >= VARIANT_MAX * 2)
		return false;
	for (size_t i = from, shard; i < to && len < VARIANT_MAX - 1; i++) {
		shard = shard_length(file + i);
		if (shard)
			i += shard - 1;
		else
			out[len++] = file[i];
	}
	out[len] = '\0';
	if (len && *out != '.')
		return false;
	memmove(out, out + (len > 0), len + (len == 0));
	return true;
}

struct folder {
	const struct looking *l;
	const char *name;
	const struct weight_names *names;
	size_t form;			/* that is looked for: of names->stems */
	struct variants have, safe;	/* safe: as safetensors, which both libraries look for first */
	char lost[PATH_TEXT_MAX];	/* a shard that an index names beside others, and that is not there */
	bool unnamed;			/* there are shards; no index was seen to name them yet */
};

static bool has_variant(const struct variants *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->names[i], name) == 0)
			return true;
	return false;
}

static bool is_shard(const char *file)
{
	for (; *file; file++)
		if (shard_length(file))
			return true;
	return false;
}

static bool is_safe(const struct folder *f, const char *variant)
{
	return *variant ? has_variant(&f->safe, variant) : f->safe.plain;
}

/* An index of which no shard is there was left behind where all of them were left out: it stands for nothing. Where the variant stands in its name has changed. */
static bool has_shards(struct folder *f, const char *file, char variant[VARIANT_MAX])
{
	char path[PATH_TEXT_MAX];
	json_t *index own(json) = listed_join(f->name, file, path) ? listed_read(f->l, path) : NULL, *shard;
	const char *tensor, *lost = NULL, *there = NULL;

	json_object_foreach(json_object_get(index, "weight_map"), tensor, shard) {
		const char *name = json_string_value(shard) ? json_string_value(shard) : "";

		if (listed_is_there(f->l, f->name, name))
			there = name;
		else if (!lost)
			lost = name;
	}
	if (there && !variant_of(there, f->names->stems[f->form], f->names->ends[f->form], variant))
		*variant = '\0';
	if (there && lost && is_safe(f, variant)) {
		report_path(f->l->r, "%s", f->l->file);
		report_flag(f->l->r, "parts.shard", "of the shards of pickles in %s/ %s is not here, and programs that read no safetensors load none of it", f->name, lost);
	} else if (there && lost) {
		snprintf(f->lost, sizeof(f->lost), "%s", lost);
	}
	return there && !lost;
}

/* The shards of safetensors are an artefact, which is looked at by itself. Pickles are not, and count where an index names them. */
static bool is_whole(struct folder *f, const char *file, char variant[VARIANT_MAX])
{
	const char *name = f->names->stems[f->form], *end = f->names->ends[f->form];
	bool pickle = strcmp(end, ".bin") == 0;

	if (pickle && str_starts(file, name) && str_glob("*.bin*index*.json", file))
		return has_shards(f, file, variant);
	if (!variant_of(file, name, end, variant))
		return false;
	f->unnamed |= pickle && is_shard(file);
	return !pickle || !is_shard(file);
}

static void see(void *arg, const char *file)
{
	struct folder *f = arg;
	char variant[VARIANT_MAX];

	if (!is_whole(f, file, variant))
		return;
	f->have.plain |= !*variant;
	if (*variant && f->have.n < VARIANTS_MAX && !has_variant(&f->have, variant))
		memcpy(f->have.names[f->have.n++], variant, sizeof(variant));
}

static void see_other(void *arg, const char *file)
{
	struct folder *f = arg;

	for (size_t i = 0; i < ARRAY_LEN(f->names->others) && f->names->others[i]; i++)
		f->have.plain |= str_glob(f->names->others[i], file);
}

/* What a component has only in variants narrows those with which the whole can be loaded. */
static void narrow(struct pipeline *p, const char *name, const struct variants *have)
{
	struct variants left = { .n = 0 };

	if (have->plain || listed_failed(p->l))
		return;
	for (size_t i = 0; i < have->n; i++)
		if (p->whole.plain || has_variant(&p->whole, have->names[i]))
			memcpy(left.names[left.n++], have->names[i], VARIANT_MAX);
	if (left.n == 0)
		listed_wrong(p->l, "parts.variant", "%s is here only as variant %s, and others of its parts only as %s: no one variant loads all of it", name, have->names[0],
			p->whole.names[0]);
	p->whole = left;
}

/* Under the names that the library reads. */
static void check_weights(struct pipeline *p, const char *name, const char *library, const char *class)
{
	struct folder f = { .l = p->l, .name = name };

	for (size_t i = 0; i < ARRAY_LEN(weight_names); i++)
		if (strcmp(weight_names[i].library, library) == 0)
			f.names = &weight_names[i];
	if (!f.names)
		return;
	for (; f.form < ARRAY_LEN(f.names->stems); f.form++) {
		listed_each(p->l, name, see, &f);
		if (f.form == 0)
			f.safe = f.have;
	}
	listed_each(p->l, name, see_other, &f);
	if (*f.lost)
		listed_wrong(p->l, "parts.missing", "it names %s (%s), and of its shards %s is not here", name, class, f.lost);
	else if (f.have.plain || f.have.n)
		narrow(p, name, &f.have);
	else if (f.unnamed)
		listed_wrong(p->l, "parts.missing", "it names %s (%s), and in %s/ is no index that names its shards", name, class, name);
	else
		listed_wrong(p->l, "parts.missing", "it names %s (%s), and in %s/ are no weights under a name that %s reads (%s%s)", name, class, name, library,
			f.names->stems[0], f.names->ends[0]);
}

static bool is_class_of_another(const json_t *index, const char *class)
{
	const char *name;
	json_t *entry;

	json_object_foreach((json_t *)index, name, entry)
		if (strcmp(json_string_value(json_array_get(entry, 1)) ? json_string_value(json_array_get(entry, 1)) : "", class) == 0)
			return true;
	return false;
}

/* Classes were renamed, and diffusers takes that of the list; but a part that is of another's class, or of another role, lies in the wrong folder. */
static void check_class(struct pipeline *p, const char *name, const char *class)
{
	char path[PATH_TEXT_MAX];
	json_t *config own(json) = listed_join(name, "config.json", path) ? listed_read(p->l, path) : NULL;
	const char *says = json_get_str(config, "_class_name");
	int role;

	class += str_starts(class, "Flax") ? strlen("Flax") : 0;
	if (!says || strcmp(says + (str_starts(says, "Flax") ? strlen("Flax") : 0), class) == 0)
		return;
	role = role_of(says);
	if (is_class_of_another(p->index, says) || (role && role_of(class) && role != role_of(class))) {
		listed_wrong(p->l, "parts.class", "it names %s (%s), and %s/config.json says %.100s", name, class, name, says);
	} else {
		report_path(p->l->r, "%s", p->l->file);
		report_flag(p->l->r, "parts.class", "it names %s (%s), and %s/config.json says %.100s", name, class, name, says);
	}
}

/* Where there is no folder of its name, diffusers looks in the pipeline's own. Exports of Optimum keep one configuration for all. */
static void check_component(struct pipeline *p, const char *name, const char *library, const char *class)
{
	struct looking *l = p->l;
	char names[PATH_TEXT_MAX];
	bool folder = is_folder(l, name);
	const char *at = folder ? name : "";
	struct component_kind k = component_kind_of(l, at, library, class);

	if (folder && is_own_code(l, name, library))
		return;
	if (folder && strcmp(k.class, "*") == 0 && keeps_its_own(l, name, library, class)) {
		report_path(l->r, "%s", l->file);
		report_flag(l->r, "parts.unknown", "it names %s (%s), a class that is not known here: what it needs was not looked for", name, class);
		return;
	}
	if (k.weights && str_starts(library, "optimum"))
		k.configs = NULL;
	if (!folder && ((k.configs && !listed_has_any(l, "", k.configs)) || (k.weights && !listed_has_weights(l, "")) || str_ends(class, "Pipeline")))
		listed_wrong(l, "parts.missing", "it names %s (%s), and the folder %s/ is not here", name, class, name);
	else if (k.configs && !listed_has_any(l, at, k.configs))
		listed_wrong(l, "parts.missing", "it names %s (%s), and in %s/ is no %s", name, class, name, strchr(k.configs, '*') ? "vocabulary" : listed_alternatives(k.configs, names));
	else if (k.weights && !listed_has_weights(l, at))
		listed_wrong(l, "parts.missing", "it names %s (%s), and in %s/ are no weights", name, class, name);
	else if (k.weights && folder)
		check_weights(p, name, library, class);
	if (k.weights && folder && !listed_failed(l) && strcmp(library, "diffusers") == 0)
		check_class(p, name, class);
}

/* Of these the first lies in the folder of its name, and others in NAME_1, NAME_2 … for as long as there is a folder. */
static const char *one_of_several(const char *class)
{
	static const char *const classes[][2] = { { "MultiControlNetModel", "ControlNetModel" }, { "MultiControlNetUnionModel", "ControlNetUnionModel" },
		{ "MultiAdapter", "T2IAdapter" } };

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(classes[i][0], class) == 0)
			return classes[i][1];
	return NULL;
}

struct numbered {
	const char *name;
	unsigned last;
};

static void find_last(void *arg, const char *file)
{
	struct numbered *x = arg;
	size_t n = strlen(x->name);
	uint64_t no;

	if (strncmp(file, x->name, n) == 0 && file[n] == '_' && str_parse_u64(file + n + 1, &no, NULL) == 0 && no <= NUMBERED_MAX && no > x->last)
		x->last = (unsigned)no;
}

/* One that is missing before another was lost, for what comes behind it is never loaded; that the last one was nothing tells. */
static void check_numbered(struct pipeline *p, const char *name, const char *library, const char *class)
{
	struct numbered x = { .name = name };
	char folder[PATH_TEXT_MAX];

	listed_each(p->l, "", find_last, &x);
	for (unsigned i = 1; i <= x.last && !listed_failed(p->l); i++)
		if (snprintf(folder, sizeof(folder), "%s_%u", name, i) < (int)sizeof(folder))
			check_component(p, folder, library, class);
}

void listed_check_pipeline(struct looking *l, const json_t *index)
{
	struct pipeline p = { .l = l, .index = index, .whole = { .plain = true } };
	const char *name;
	json_t *entry;
	size_t n = 0;

	smoke_reason(l->s, SMOKE_NOT_RUN, "not run: task %s", kind_task(l->fd));
	json_object_foreach((json_t *)index, name, entry) {
		const char *library = json_string_value(json_array_get(entry, 0)), *class = json_string_value(json_array_get(entry, 1)), *one;

		if (*name == '_' || !library || !class)	/* a setting; or a part that this pipeline does without, [null, null] */
			continue;
		one = one_of_several(class);
		check_component(&p, name, library, one ? one : class);
		if (one)
			check_numbered(&p, name, library, one);
		n++;
	}
	if (!listed_failed(l))
		smoke_reason(l->s, SMOKE_NOT_RUN, "each of the %zu parts that %s names is here", n, l->file);
}
