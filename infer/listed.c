/* listed.c - see listed.h. */
#include "infer/listed.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/config.h"
#include "infer/kind.h"

#define PATH_TEXT_MAX 1024
#define ENTRIES_MAX   20000	/* of one folder */
#define PARTS_MAX     500	/* in a list, settings too: the largest published have some thirty */
#define WIDTH_MAX     (1 << 24)	/* of vectors; and how many of them lie end to end */

struct looking {
	struct smoke *s;
	int fd;			/* of the folder that the list is in */
	const char *file;	/* the list */
	struct report *r;
	size_t n_modules;	/* that were looked at, of routers too */
};

static bool failed(const struct looking *l)
{
	return l->s->verdict >= SMOKE_FAIL;
}

static void wrong(struct looking *l, const char *rule, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void wrong(struct looking *l, const char *rule, const char *fmt, ...)
{
	char text[REPORT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report_path(l->r, "%s", l->file);
	report_reject(l->r, rule, l->file, NULL, "%s", text);
	smoke_reason(l->s, SMOKE_FAIL, "%s", text);
}

static json_t *read_object(const struct looking *l, const char *path)
{
	struct buf text own(buf);

	buf_init(&text, CONFIG_MAX_BYTES);
	return fdio_slurp(l->fd, path, &text, NULL) < 0 ? NULL : json_parse_python(text.data, text.len, path, NULL);
}

/* "1_Pooling/" and "config.json"; either may be empty. False where a list names what is no path below its folder. */
static bool join(const char *folder, const char *name, char out[PATH_TEXT_MAX])
{
	bool slash = *folder && *name && !str_ends(folder, "/");

	return snprintf(out, PATH_TEXT_MAX, "%s%s%s", folder, slash ? "/" : "", name) < PATH_TEXT_MAX && (!*out || fdio_check_relative(out, NULL) == 0);
}

static bool is_there(const struct looking *l, const char *folder, const char *name)
{
	char path[PATH_TEXT_MAX];
	struct stat st;

	return join(folder, name, path) && fstatat(l->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_folder(const struct looking *l, const char *folder)
{
	struct stat st;

	return fdio_check_relative(folder, NULL) == 0 && fstatat(l->fd, folder, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Is one of these names, separated by blanks, there? */
static bool has_any(const struct looking *l, const char *folder, const char *names)
{
	char name[64];

	for (int n; sscanf(names, "%63s%n", name, &n) == 1; names += n)
		if (is_there(l, folder, name))
			return true;
	return false;
}

/* "a b c" as "a, b or c". */
static const char *alternatives(const char *names, char out[PATH_TEXT_MAX])
{
	const char *last = strrchr(names, ' ');
	size_t n = 0;

	for (const char *at = names; *at && n + 8 < PATH_TEXT_MAX; at++) {
		if (*at == ' ')
			n += (size_t)snprintf(out + n, PATH_TEXT_MAX - n, at == last ? " or " : ", ");
		else
			out[n++] = *at;
	}
	out[n] = '\0';
	return out;
}

static bool holds(const struct looking *l, const char *folder, const char *const *globs)
{
	int fd = openat(l->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *x;
	bool found = false;
	size_t n = 0;

	if (!d)
		return false;
	while (!found && (x = readdir(d)) && n++ < ENTRIES_MAX)
		for (size_t i = 0; globs[i]; i++)
			found |= str_glob(globs[i], x->d_name);
	closedir(d);
	return found;
}

/* In any form that a program reads, whichever: that the form is whole is seen where the file is. */
static bool has_weights(const struct looking *l, const char *folder)
{
	static const char *const globs[] = { "model*.safetensors", "diffusion_pytorch_model*.safetensors", "adapter_model*.safetensors",
		"pytorch_model*.bin", "diffusion_pytorch_model*.bin", "adapter_model*.bin", "flax_model*.msgpack", "diffusion_flax_model*.msgpack",
		"tf_model*.h5", "*.onnx", "openvino_*.xml", NULL };
	static const char *const exported[] = { "", "onnx", "openvino" };
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(exported); i++)
		if (join(folder, exported[i], path) && holds(l, path, globs))
			return true;
	return false;
}

/* ---- modules.json ------------------------------------------------------------------------------------------------- */

/* How long the vectors are that go from module to module; 0 is not known. */
struct chain {
	int64_t token, sentence;
};

struct module {
	const char *name, *type;	/* as the list gives them, the type without its package */
	const char *folder;
	const json_t *config;
};

/* 0 where there is none, or none that a vector can have. */
static int64_t width_of(const json_t *config, const char *key, const char *other)
{
	int64_t n = json_get_int(config, key, other ? json_get_int(config, other, 0) : 0);

	return n > 0 && n <= WIDTH_MAX ? n : 0;
}

/* Must fit what comes, where both are known. */
static void fits(struct looking *l, const struct module *m, int64_t width, int64_t given)
{
	if (width && given && width != given)
		wrong(l, "parts.width", "%s takes vectors of %lld elements, and what is before it gives %lld", m->name, (long long)width, (long long)given);
}

static void encode(struct looking *l, const struct module *m, struct chain *c)
{
	(void)l;
	*c = (struct chain){ .token = width_of(m->config, "hidden_size", "dim") };
	if (!c->token)
		c->token = width_of(m->config, "d_model", NULL);
}

/* What is pooled in several ways is put end to end. Where older and newer releases read the ways otherwise, the width is not known. */
static int64_t pooling_ways(const json_t *config)
{
	static const char *const flags[] = { "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens", "pooling_mode_mean_sqrt_len_tokens",
		"pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken" };
	const json_t *modes = json_object_get(config, "pooling_mode");
	int64_t n = 0;

	if (json_is_array(modes))
		return (int64_t)json_array_size(modes);
	if (json_is_string(modes))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		n += json_is_true(json_object_get(config, flags[i]));
	return n && json_object_get(config, "pooling_mode_mean_tokens") ? n : 0;
}

static void pool(struct looking *l, const struct module *m, struct chain *c)
{
	int64_t width = width_of(m->config, "word_embedding_dimension", "embedding_dimension");

	fits(l, m, width, c->token);
	c->sentence = (width ? width : c->token) * pooling_ways(m->config);
}

static void dense(struct looking *l, const struct module *m, struct chain *c)
{
	bool tokens = strcmp(json_get_str_or(m->config, "module_input_name", str_starts(m->type, "pylate.") ? "token_embeddings" : ""), "token_embeddings") == 0;
	int64_t in = width_of(m->config, "in_features", NULL), out = width_of(m->config, "out_features", NULL);
	const char *to = json_get_str_or(m->config, "module_output_name", tokens ? "token_embeddings" : "sentence_embedding");

	if (!in || !out)
		wrong(l, "parts.config", "the configuration of %s gives no usable in_features and out_features", m->name);
	fits(l, m, in, tokens ? c->token : c->sentence);
	if (strcmp(to, "token_embeddings") == 0)
		c->token = out;
	else if (strcmp(to, "sentence_embedding") == 0)
		c->sentence = out;
}

static void norm(struct looking *l, const struct module *m, struct chain *c)
{
	fits(l, m, width_of(m->config, "dimension", NULL), c->sentence);
}

static void convolve(struct looking *l, const struct module *m, struct chain *c)
{
	fits(l, m, width_of(m->config, "in_word_embedding_dimension", "in_embedding_dimension"), c->token);
	c->token = width_of(m->config, "out_channels", NULL) * (int64_t)json_array_size(json_object_get(m->config, "kernel_sizes"));
}

static void recur(struct looking *l, const struct module *m, struct chain *c)
{
	fits(l, m, width_of(m->config, "word_embedding_dimension", "embedding_dimension"), c->token);
	c->token = width_of(m->config, "hidden_dim", NULL) * (json_get_bool(m->config, "bidirectional", true) ? 2 : 1);
}

static void weigh_layers(struct looking *l, const struct module *m, struct chain *c)
{
	fits(l, m, width_of(m->config, "word_embedding_dimension", "embedding_dimension"), c->token);
}

static void keep(struct looking *l, const struct module *m, struct chain *c)
{
	(void)l, (void)m, (void)c;
}

static void forget(struct looking *l, const struct module *m, struct chain *c)
{
	(void)l, (void)m;
	*c = (struct chain){ 0 };
}

static void route(struct looking *l, const struct module *m, struct chain *c);

static const struct module_kind {
	const char *type, *configs;	/* one of these must be there; NULL: none */
	bool weights;
	void (*pass)(struct looking *l, const struct module *m, struct chain *c);
} module_kinds[] = {
	{ "Transformer", "config.json adapter_config.json", true, encode },
	{ "MLMTransformer", "config.json adapter_config.json", true, forget },
	{ "CLIPModel", "config.json", true, forget },
	{ "Pooling", "config.json", false, pool },
	{ "Dense", "config.json", true, dense },
	{ "Normalize", NULL, false, keep },	/* has nothing to save: its folder is empty, and so in no repository */
	{ "Dropout", "config.json", false, keep },
	{ "LayerNorm", "config.json", true, norm },
	{ "CNN", "cnn_config.json", true, convolve },
	{ "LSTM", "lstm_config.json", true, recur },
	{ "WeightedLayerPooling", "config.json", true, weigh_layers },
	{ "WordEmbeddings", "wordembedding_config.json", true, forget },
	{ "WordWeights", "config.json", true, keep },
	{ "BoW", "config.json", false, forget },
	{ "StaticEmbedding", "tokenizer.json", true, forget },
	{ "SpladePooling", "config.json", false, forget },
	{ "SparseAutoEncoder", "config.json", true, forget },
	{ "SparseStaticEmbedding", "config.json", true, forget }, { "IDF", "config.json", true, forget },
	{ "Router", "router_config.json config.json", false, route }, { "Asym", "router_config.json config.json", false, route },
};

/* Only the classes of the libraries themselves: one of the repository's own may be called as it likes. */
static const struct module_kind *module_kind_of(const char *type)
{
	const char *name = strrchr(type, '.');

	if (!name || !(str_starts(type, "sentence_transformers.") || str_starts(type, "pylate.")))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(module_kinds); i++)
		if (strcmp(module_kinds[i].type, name + 1) == 0)
			return &module_kinds[i];
	return NULL;
}

/* The first of its configurations that is there. */
static json_t *module_config(struct looking *l, const struct module_kind *k, const char *folder)
{
	char name[64], path[PATH_TEXT_MAX];
	const char *names = k->configs;

	for (int n; names && sscanf(names, "%63s%n", name, &n) == 1; names += n)
		if (is_there(l, folder, name) && join(folder, name, path))
			return read_object(l, path);
	return NULL;
}

static void check_module(struct looking *l, const char *type, const char *folder, struct chain *c)
{
	const char *at = *folder ? folder : "the root";
	const struct module_kind *k = module_kind_of(type);
	struct module m = { .name = *folder ? folder : "the encoder", .type = type, .folder = folder };
	json_t *config own(json) = NULL;
	char path[PATH_TEXT_MAX];

	if (!k || !join(folder, "config.json", path)) {
		report_path(l->r, "%s", l->file);
		report_flag(l->r, "parts.unknown", "%s is of a type that is not known here (%.100s): what it needs was not looked for", at, type);
		forget(l, &m, c);
		return;
	}
	if (++l->n_modules > PARTS_MAX)
		wrong(l, "parts.config", "it and its routers list more than %d modules", PARTS_MAX);
	else if (k->configs && !has_any(l, folder, k->configs))
		wrong(l, "parts.missing", "it names a %s in %s, where its %s is not", k->type, at, alternatives(k->configs, path));
	else if (k->weights && !has_weights(l, folder))
		wrong(l, "parts.missing", "it names a %s in %s, where its weights are not", k->type, at);
	config = module_config(l, k, folder);
	m.config = config;
	if (!failed(l))
		k->pass(l, &m, c);
}

/* One of a router's, in a folder of its name below the router's. */
static void check_routed(struct looking *l, const struct module *router, const char *id, const char *type, struct chain *c)
{
	char folder[PATH_TEXT_MAX];

	if (!type)
		wrong(l, "parts.config", "the router in %s sends texts to %.100s, and its types do not say what that is", *router->folder ? router->folder : "the root", id);
	else if (!*id || !join(router->folder, id, folder))
		wrong(l, "parts.config", "the router in %s names a module \"%.100s\", which is no folder below it", *router->folder ? router->folder : "the root", id);
	else
		check_module(l, type, folder, c);
}

/* Each route is a chain of its own, and goes on from what comes before the router. What comes out of it depends on the route. */
static void route(struct looking *l, const struct module *m, struct chain *c)
{
	const json_t *types = json_object_get(m->config, "types");
	const char *name;
	json_t *ids;

	if (json_object_size(types) == 0 || json_object_size(json_object_get(m->config, "structure")) == 0)
		wrong(l, "parts.config", "the configuration of %s gives no types and structure of a router", m->name);
	json_object_foreach(json_object_get(m->config, "structure"), name, ids) {
		struct chain own_chain = *c;
		const json_t *id;
		size_t i;

		json_array_foreach(ids, i, id) {
			if (!failed(l) && json_is_string(id))
				check_routed(l, m, json_string_value(id), json_get_str(types, json_string_value(id)), &own_chain);
		}
	}
	forget(l, m, c);
}

/* Programs for GGUF read no modules. */
static bool only_gguf(const struct looking *l)
{
	static const char *const globs[] = { "*.gguf", NULL };

	return holds(l, "", globs) && !has_weights(l, "");
}

static void check_modules(struct looking *l, const json_t *list)
{
	struct chain c = { 0 };
	const json_t *one;
	size_t i;

	if (only_gguf(l))
		return;
	json_array_foreach(list, i, one)
		check_module(l, json_get_str_or(one, "type", ""), json_get_str_or(one, "path", ""), &c);
	if (!failed(l) && is_there(l, "", "config_setfit.json") && !is_there(l, "", "model_head.pkl")) {
		report_path(l->r, "config_setfit.json");
		report_flag(l->r, "parts.head", "the head that SetFit classifies with, model_head.pkl, is not here: SetFit makes a new one, which is not trained");
	}
}

/* ---- model_index.json ---------------------------------------------------------------------------------------------- */

/* What classes keep, told by how they are called; anything else is a model. NULL: nothing of a certain name. */
static const struct component_kind {
	const char *class, *configs;
	bool weights;
} component_kinds[] = {
	{ "*Scheduler*", "scheduler_config.json", false },
	{ "*Tokenizer*", "tokenizer_config.json tokenizer.json vocab.json vocab.txt spiece.model tokenizer.model", false },
	{ "*FeatureExtractor*", "preprocessor_config.json", false },
	{ "*ImageProcessor*", "preprocessor_config.json processor_config.json config.json", false },
	{ "*Processor", "processor_config.json preprocessor_config.json config.json tokenizer_config.json", false },
	{ "*Pipeline", "model_index.json", false },
	{ "Mel", "mel_config.json", false },
	{ "OnnxRuntimeModel", NULL, true },
	{ "*", "config.json", true },
};

static struct component_kind component_kind_of(const char *class)
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(component_kinds) && !str_glob(component_kinds[i].class, class))
		i++;
	return component_kinds[i];
}

/* A class of the repository's own, which saves what it likes: its code lies beside the part. */
static bool is_own_code(const struct looking *l, const char *folder, const char *library)
{
	char file[PATH_TEXT_MAX];

	return snprintf(file, sizeof(file), "%s.py", library) < (int)sizeof(file) && is_there(l, folder, file);
}

/* Where there is no folder of its name, diffusers looks in the pipeline's own. Exports of Optimum keep one configuration for all. */
static void check_component(struct looking *l, const char *name, const char *library, const char *class)
{
	struct component_kind k = component_kind_of(class);
	char names[PATH_TEXT_MAX];
	bool folder = is_folder(l, name);
	const char *at = folder ? name : "";

	if (folder && is_own_code(l, name, library))
		return;
	if (k.weights && str_starts(library, "optimum"))
		k.configs = NULL;
	if (!folder && ((k.configs && !has_any(l, "", k.configs)) || (k.weights && !has_weights(l, "")) || str_ends(class, "Pipeline")))
		wrong(l, "parts.missing", "it names %s (%s), and the folder %s/ is not here", name, class, name);
	else if (k.configs && !has_any(l, at, k.configs))
		wrong(l, "parts.missing", "it names %s (%s), and in %s/ is no %s", name, class, name, alternatives(k.configs, names));
	else if (k.weights && !has_weights(l, at))
		wrong(l, "parts.missing", "it names %s (%s), and in %s/ are no weights", name, class, name);
}

static void check_pipeline(struct looking *l, const json_t *index)
{
	const char *name;
	json_t *entry;
	size_t n = 0;

	smoke_reason(l->s, SMOKE_NOT_RUN, "not run: task %s", kind_task(l->fd));
	json_object_foreach((json_t *)index, name, entry) {
		const char *library = json_string_value(json_array_get(entry, 0)), *class = json_string_value(json_array_get(entry, 1));

		if (*name == '_' || !library || !class)	/* a setting; or a part that this pipeline does without, [null, null] */
			continue;
		check_component(l, name, library, class);
		n++;
	}
	if (!failed(l))
		smoke_reason(l->s, SMOKE_NOT_RUN, "each of the %zu parts that %s names is here", n, l->file);
}

/* ---- both ---------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *file;
	void (*check)(struct looking *l, const json_t *list);
} lists[LISTED_FILES] = {
	{ "model_index.json", check_pipeline },
	{ "modules.json", check_modules },
};

bool listed_check(struct smoke *s, size_t number, int dirfd, const char *dir, struct report *r)
{
	own(fd) int fd = fdio_open_dir(dirfd, *dir ? dir : ".", NULL);
	struct looking l = { .s = s, .fd = fd, .file = lists[number].file, .r = r };
	json_t *list own(json) = fd < 0 ? NULL : read_object(&l, l.file);

	if (!list)	/* not there; or no JSON, which is refused where files are inspected */
		return false;
	smoke_begin(s, l.file);
	if (json_array_size(list) + json_object_size(list) > PARTS_MAX)
		wrong(&l, "parts.config", "it lists more than %d parts", PARTS_MAX);
	else
		lists[number].check(&l, list);
	s->surveyed = true;
	if (s->n_reasons)
		return true;
	smoke_done(s);
	return false;
}
