/* inspect.c - see inspect.h. The verdicts are verify/scan's; here the facts are added that a catalog wants. */
#include "infer/inspect.h"

#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/kind.h"
#include "verify/gguf.h"
#include "verify/safetensors.h"
#include "verify/scan.h"

#define CONFIG_MAX (4u << 20)

/*
 * The files of one set of weights: shards of a safetensors model or of a GGUF. A repository may hold several: the same model in other precisions and
 * formats, which is no more parameters, or the parts of a pipeline, which is.
 */
struct variant {
	char *dir, *stem;
	bool gguf;
	uint64_t n;
	json_t *dtypes;
};

struct variants {
	struct variant *v;
	size_t n, cap;
};

/* "dir/", and the name without "-00001-of-00002.safetensors". */
static struct variant *variant_of(struct variants *all, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
	size_t n_dir = (size_t)(name - path), n = dot ? (size_t)(dot - name) : strlen(name);
	struct variant *v;

	if (n > 15 && name[n - 15] == '-' && !strncmp(name + n - 9, "-of-", 4) && strspn(name + n - 5, "0123456789") >= 5)
		n -= 15;
	for (size_t i = 0; i < all->n; i++) {
		v = &all->v[i];
		if (strlen(v->dir) == n_dir && !strncmp(v->dir, path, n_dir) && strlen(v->stem) == n && !strncmp(v->stem, name, n))
			return v;
	}
	v = vec_push(&all->v, &all->n, &all->cap);
	*v = (struct variant){ .dir = mem_strndup(path, n_dir), .stem = mem_strndup(name, n), .gguf = str_ends(path, ".gguf"), .dtypes = json_object() };
	return v;
}

static void add_to(json_t *dtypes, const char *dtype, uint64_t n)
{
	json_object_set_new(dtypes, dtype, json_integer(json_integer_value(json_object_get(dtypes, dtype)) + (json_int_t)n));
}

static void count(struct inspect *x, struct variant *v, const char *dtype, uint64_t n)
{
	add_to(x->dtypes, dtype, n);
	add_to(v->dtypes, dtype, n);
	v->n += n;
}

static uint64_t largest_of(const struct variants *all, const char *dir)
{
	uint64_t most = 0;

	for (size_t i = 0; i < all->n; i++)
		if ((!dir || !strcmp(all->v[i].dir, dir)) && all->v[i].n > most)
			most = all->v[i].n;
	return most;
}

static bool is_first_of_dir(const struct variants *all, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(all->v[k].dir, all->v[i].dir))
			return false;
	return true;
}

/* The type of most of a GGUF's numbers, where that is a quantised one; NULL else. */
static const char *main_quantization(const struct variant *v)
{
	const char *name, *best = NULL;
	json_int_t most = 0;
	json_t *n;

	json_object_foreach (v->dtypes, name, n) {
		if (json_integer_value(n) <= most)
			continue;
		most = json_integer_value(n);
		best = name;
	}
	return best && !str_starts(best, "F") && !str_starts(best, "BF") && !str_starts(best, "I") ? best : best && str_starts(best, "IQ") ? best : NULL;
}

/* What the variants are together. GGUFs that are quantised in several ways have no one quantisation. */
static void sum_up(struct inspect *x, const struct variants *all, bool pipeline)
{
	const char *quantization = NULL;
	bool differ = false;

	for (size_t i = 0; pipeline && i < all->n; i++)
		x->n_params += is_first_of_dir(all, i) ? largest_of(all, all->v[i].dir) : 0;
	if (!pipeline)
		x->n_params = largest_of(all, NULL);
	for (size_t i = 0; i < all->n; i++) {
		const char *one = all->v[i].gguf ? main_quantization(&all->v[i]) : NULL;

		differ |= one && quantization && strcmp(one, quantization);
		quantization = one ? one : quantization;
	}
	if (quantization && !differ && !x->quantization)
		x->quantization = mem_strdup(quantization);
}

static void variants_done(struct variants *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->v[i].dir);
		free(all->v[i].stem);
		json_decref(all->v[i].dtypes);
	}
	free(all->v);
}

static int open_file(int dirfd, const char *path, struct err *e)
{
	return fdio_open_beneath(dirfd, path, O_RDONLY | O_CLOEXEC, e);
}

static void safetensors_facts(struct inspect *x, struct variants *all, int dirfd, const char *path)
{
	struct safetensors st own(safetensors) = { 0 };
	own(fd) int fd = open_file(dirfd, path, NULL);
	struct variant *v;

	if (fd < 0 || safetensors_open(&st, fd, path, NULL, NULL) < 0)
		return;
	v = variant_of(all, path);
	for (size_t i = 0; i < st.n_tensors; i++)
		count(x, v, safetensors_dtype_name(st.tensors[i].dtype), (st.tensors[i].end - st.tensors[i].begin) * 8 / safetensors_dtype_bits(st.tensors[i].dtype));
}

static void gguf_words(struct inspect *x, const struct gguf *g)
{
	const char *arch = gguf_str(g, "general.architecture");
	char key[128];
	uint64_t n;

	if (!arch || x->architecture)
		return;
	x->architecture = mem_strndup(arch, strnlen(arch, 64));
	snprintf(key, sizeof(key), "%s.context_length", x->architecture);
	if (gguf_u64(g, key, &n) && n < INT32_MAX)
		x->context_length = (int64_t)n;
}

static void gguf_facts(struct inspect *x, struct variants *all, int dirfd, const char *path)
{
	struct gguf *g own(gguf) = NULL;
	own(fd) int fd = open_file(dirfd, path, NULL);
	struct variant *v;

	if (fd < 0 || gguf_open(&g, fd, path, NULL) < 0)
		return;
	v = variant_of(all, path);
	for (size_t i = 0; i < gguf_n_tensors(g); i++)
		count(x, v, gguf_dtype_info(gguf_tensor_at(g, i)->type)->name, gguf_tensor_at(g, i)->n_elements);
	gguf_words(x, g);
}

static void config_facts(struct inspect *x, struct variants *all, int dirfd, const char *path)
{
	json_t *config own(json) = NULL;
	struct buf text own(buf);
	const char *word;

	(void)all;
	buf_init(&text, CONFIG_MAX);
	if (strcmp(path, "config.json") || fdio_slurp(dirfd, path, &text, NULL) < 0)
		return;
	config = json_parse_python(text.data, text.len, path, NULL);
	word = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	if (word && !x->architecture)
		x->architecture = mem_strndup(word, strnlen(word, 128));
	word = json_get_str(json_object_get(config, "quantization_config"), "quant_method");
	if (word && !x->quantization)
		x->quantization = mem_strndup(word, strnlen(word, 64));
}

/* What is read out of a file of some format, beside its verdict. */
static const struct {
	const char *format;
	void (*read)(struct inspect *x, struct variants *all, int dirfd, const char *path);
} facts[] = {
	{ "safetensors", safetensors_facts },
	{ "gguf", gguf_facts },
	{ "json", config_facts },
};

static void read_facts(struct inspect *x, int dirfd)
{
	struct variants all = { 0 };
	bool pipeline = false;

	for (size_t f = 0; f < x->n_files; f++)
		for (size_t i = 0; i < ARRAY_LEN(facts); i++)
			if (x->files[f].verdict != REPORT_REJECT && strcmp(facts[i].format, x->files[f].format) == 0) {
				tell_file(x->listener, (uint32_t)f + 1, (uint32_t)x->n_files, x->files[f].path);
				tell(x->listener, "inspect", 0, 0);
				facts[i].read(x, &all, dirfd, x->files[f].path);
			}
	for (size_t f = 0; f < x->n_files; f++)
		pipeline |= !strcmp(x->files[f].path, "model_index.json");
	sum_up(x, &all, pipeline);
	variants_done(&all);
}

static void begin(void *ctx, const char *path)
{
	struct inspect *x = ctx;

	tell_file(x->listener, (uint32_t)x->n_files + 1, 0, path);
	tell(x->listener, "inspect", 0, 0);
}

static void keep(void *ctx, const char *path, const char *format, enum report_severity verdict)
{
	struct inspect *x = ctx;

	*vec_push(&x->files, &x->n_files, &x->cap_files) = (struct inspect_file){ mem_strdup(path), format, verdict };
}

int inspect_run(struct inspect *x, int dirfd, const char *only, struct tell *listener, struct report *r, struct err *e)
{
	struct scan_listener watch = { begin, keep, x };
	int rc;

	*x = (struct inspect){ .dtypes = json_object(), .listener = listener };
	rc = only ? scan_file(dirfd, only, &watch, r, e) : scan_dir(dirfd, &watch, r, e);
	if (rc == 0) {
		read_facts(x, dirfd);
		x->task = only ? NULL : kind_task(dirfd);
	}
	return rc;
}

void inspect_done(struct inspect *x)
{
	for (size_t i = 0; i < x->n_files; i++)
		free(x->files[i].path);
	free(x->files);
	free(x->architecture);
	free(x->quantization);
	json_decref(x->dtypes);
	*x = (struct inspect){ 0 };
}

json_t *inspect_file_json(const struct inspect_file *f)
{
	return json_pack("{s:s, s:s, s:s}", "path", f->path, "format", f->format, "verdict", report_severity_name(f->verdict));
}

json_t *inspect_json(const struct inspect *x, const struct report *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "verdict", json_string(report_severity_name(r->verdict)));
	json_object_set_new(o, "findings", report_json(r));
	json_object_set_new(o, "params", json_integer((json_int_t)x->n_params));
	json_object_set(o, "dtypes", x->dtypes);
	if (x->architecture)
		json_object_set_new(o, "architecture", json_string(x->architecture));
	if (x->quantization)
		json_object_set_new(o, "quantization", json_string(x->quantization));
	if (x->task)
		json_object_set_new(o, "task", json_string(x->task));
	if (x->context_length)
		json_object_set_new(o, "context_length", json_integer(x->context_length));
	return o;
}
