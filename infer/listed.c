/* listed.c - see listed.h. Components of pipelines are listed_pipeline.c's. */
#include "infer/listed_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/config.h"
#include "infer/kind.h"

#define ENTRIES_MAX 20000	/* of one folder */
#define WIDTH_MAX   (1 << 24)	/* of vectors; and how many of them lie end to end */

bool listed_failed(const struct looking *l)
{
	return l->s->verdict >= SMOKE_FAIL;
}

void listed_wrong(struct looking *l, const char *rule, const char *fmt, ...)
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

json_t *listed_read(const struct looking *l, const char *path)
{
	struct buf text own(buf);

	buf_init(&text, CONFIG_MAX_BYTES);
	return fdio_slurp(l->fd, path, &text, NULL) < 0 ? NULL : json_parse_python(text.data, text.len, path, NULL);
}

/* "./1_Pooling/" as "1_Pooling", and "." as "": the folder itself. */
static void drop_dots(char *path)
{
	char *to = path;

	for (const char *at = path; *at; at += strspn(at, "/")) {
		size_t n = strcspn(at, "/");

		if (n != 1 || *at != '.') {
			if (to > path)
				*to++ = '/';
			memmove(to, at, n);
			to += n;
		}
		at += n;
	}
	*to = '\0';
}

bool listed_join(const char *folder, const char *name, char out[PATH_TEXT_MAX])
{
	bool fits = snprintf(out, PATH_TEXT_MAX, "%s%s%s", folder, *folder && *name ? "/" : "", name) < PATH_TEXT_MAX && *out != '/';

	drop_dots(out);
	return fits && (!*out || fdio_check_relative(out, NULL) == 0);
}

bool listed_is_there(const struct looking *l, const char *folder, const char *name)
{
	char path[PATH_TEXT_MAX];
	struct stat st;

	return listed_join(folder, name, path) && fstatat(l->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

const char *listed_alternatives(const char *names, char out[PATH_TEXT_MAX])
{
	const char *last = strrchr(names, ' ');
	size_t n = 0;

	for (const char *at = names; *at && n + 8 < PATH_TEXT_MAX; at++) {
		if (*at == ' ')
			n += (size_t)snprintf(out + n, PATH_TEXT_MAX - n, at == last ? " or " : ", ");
		else if (*at == '+')
			n += (size_t)snprintf(out + n, PATH_TEXT_MAX - n, " with ");
		else
			out[n++] = *at;
	}
	out[n] = '\0';
	return out;
}

void listed_each(const struct looking *l, const char *folder, void (*seen)(void *arg, const char *name), void *arg)
{
	int fd = openat(l->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *x;
	size_t n = 0;

	if (!d)
		return;
	while ((x = readdir(d)) && n++ < ENTRIES_MAX)
		seen(arg, x->d_name);
	closedir(d);
}

struct search {
	const char *const *globs;
	bool found;
};

static void match(void *arg, const char *name)
{
	struct search *s = arg;

	for (size_t i = 0; s->globs[i]; i++)
		s->found |= str_glob(s->globs[i], name);
}

static bool holds(const struct looking *l, const char *folder, const char *const *globs)
{
	struct search s = { .globs = globs };

	listed_each(l, folder, match, &s);
	return s.found;
}

/* "a+b": both. */
static bool has_all(const struct looking *l, const char *folder, const char *names)
{
	char name[64];

	for (int n; sscanf(names, "%63[^+]%n", name, &n) == 1; names += n + (names[n] == '+'))
		if (strchr(name, '*') ? !holds(l, folder, (const char *const[]){ name, NULL }) : !listed_is_there(l, folder, name))
			return false;
	return true;
}

bool listed_has_any(const struct looking *l, const char *folder, const char *names)
{
	char name[64];

	for (int n; sscanf(names, "%63s%n", name, &n) == 1; names += n)
		if (has_all(l, folder, name))
			return true;
	return false;
}

bool listed_has_weights(const struct looking *l, const char *folder)
{
	static const char *const globs[] = { "model*.safetensors", "diffusion_pytorch_model*.safetensors", "adapter_model*.safetensors",
		"pytorch_model*.bin", "diffusion_pytorch_model*.bin", "adapter_model*.bin", "flax_model*.msgpack", "diffusion_flax_model*.msgpack",
		"tf_model*.h5", "*.onnx", "openvino_*.xml", NULL };
	static const char *const exported[] = { "", "onnx", "openvino" };
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(exported); i++)
		if (listed_join(folder, exported[i], path) && holds(l, path, globs))
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
		listed_wrong(l, "parts.width", "%s takes vectors of %lld elements, and what is before it gives %lld", m->name, (long long)width, (long long)given);
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
		listed_wrong(l, "parts.config", "the configuration of %s gives no usable in_features and out_features", m->name);
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
		if (listed_is_there(l, folder, name) && listed_join(folder, name, path))
			return listed_read(l, path);
	return NULL;
}

static void check_module(struct looking *l, const char *type, const char *said, struct chain *c)
{
	const struct module_kind *k = module_kind_of(type);
	char folder[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
	bool known = listed_join(said, "", folder) && k;
	const char *at = *folder ? folder : "the root";
	struct module m = { .name = *folder ? folder : "the encoder", .type = type, .folder = folder };
	json_t *config own(json) = NULL;

	if (!known) {
		report_path(l->r, "%s", l->file);
		if (k)
			report_flag(l->r, "parts.unknown", "%.100s is no folder below it: what it needs was not looked for", said);
		else
			report_flag(l->r, "parts.unknown", "%s is of a type that is not known here (%.100s): what it needs was not looked for", at, type);
		forget(l, &m, c);
		return;
	}
	if (++l->n_modules > PARTS_MAX)
		listed_wrong(l, "parts.config", "it and its routers list more than %d modules", PARTS_MAX);
	else if (k->configs && !listed_has_any(l, folder, k->configs))
		listed_wrong(l, "parts.missing", "it names a %s in %s, where its %s is not", k->type, at, listed_alternatives(k->configs, path));
	else if (k->weights && !listed_has_weights(l, folder))
		listed_wrong(l, "parts.missing", "it names a %s in %s, where its weights are not", k->type, at);
	config = module_config(l, k, folder);
	m.config = config;
	if (!listed_failed(l))
		k->pass(l, &m, c);
}

/* One of a router's, in a folder of its name below the router's. */
static void check_routed(struct looking *l, const struct module *router, const char *id, const char *type, struct chain *c)
{
	char folder[PATH_TEXT_MAX];

	if (!type)
		listed_wrong(l, "parts.config", "the router in %s sends texts to %.100s, and its types do not say what that is", *router->folder ? router->folder : "the root", id);
	else if (!listed_join(router->folder, id, folder) || strcmp(folder, router->folder) == 0)
		listed_wrong(l, "parts.config", "the router in %s names a module \"%.100s\", which is no folder below it", *router->folder ? router->folder : "the root", id);
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
		listed_wrong(l, "parts.config", "the configuration of %s gives no types and structure of a router", m->name);
	json_object_foreach(json_object_get(m->config, "structure"), name, ids) {
		struct chain own_chain = *c;
		const json_t *id;
		size_t i;

		json_array_foreach(ids, i, id) {
			if (!listed_failed(l) && json_is_string(id))
				check_routed(l, m, json_string_value(id), json_get_str(types, json_string_value(id)), &own_chain);
		}
	}
	forget(l, m, c);
}

/* Programs for GGUF read no modules. */
static bool only_gguf(const struct looking *l)
{
	static const char *const globs[] = { "*.gguf", NULL };

	return holds(l, "", globs) && !listed_has_weights(l, "");
}

/* Of a chain whose first module is in a folder, no file but the list tells what the whole is for. */
static void say_task(struct looking *l)
{
	if (listed_failed(l) || l->n_modules == 0 || listed_has_weights(l, ""))
		return;
	smoke_reason(l->s, SMOKE_NOT_RUN, "not run: task %s", kind_task(l->fd));
	smoke_reason(l->s, SMOKE_NOT_RUN, "each of the %zu modules that %s names, and that are known here, is here", l->n_modules, l->file);
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
	if (!listed_failed(l) && listed_is_there(l, "", "config_setfit.json") && !listed_is_there(l, "", "model_head.pkl")) {
		report_path(l->r, "config_setfit.json");
		report_flag(l->r, "parts.head", "the head that SetFit classifies with, model_head.pkl, is not here: SetFit makes a new one, which is not trained");
	}
	say_task(l);
}

/* ---- both ---------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *file;
	void (*check)(struct looking *l, const json_t *list);
} lists[LISTED_FILES] = {
	{ "model_index.json", listed_check_pipeline },
	{ "modules.json", check_modules },
};

bool listed_check(struct smoke *s, size_t number, int dirfd, const char *dir, struct report *r)
{
	own(fd) int fd = fdio_open_dir(dirfd, *dir ? dir : ".", NULL);
	struct looking l = { .s = s, .fd = fd, .file = lists[number].file, .r = r };
	json_t *list own(json) = fd < 0 ? NULL : listed_read(&l, l.file);

	if (!list)	/* not there; or no JSON, which is refused where files are inspected */
		return false;
	smoke_begin(s, l.file);
	if (json_array_size(list) + json_object_size(list) > PARTS_MAX)
		listed_wrong(&l, "parts.config", "it lists more than %d parts", PARTS_MAX);
	else
		lists[number].check(&l, list);
	s->surveyed = true;
	if (s->n_reasons)
		return true;
	smoke_done(s);
	return false;
}
