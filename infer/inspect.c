/* inspect.c - see inspect.h. A new format is a row of `inspectors`. */
#include "infer/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/gguf.h"
#include "verify/safetensors.h"

#define CONFIG_MAX (4u << 20)

typedef int inspect_fn(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e);

static void count(struct inspect *x, const char *dtype, uint64_t n)
{
	json_object_set_new(x->dtypes, dtype, json_integer(json_integer_value(json_object_get(x->dtypes, dtype)) + (json_int_t)n));
	x->n_params += n;
}

static int open_file(int dirfd, const char *path, struct err *e)
{
	return fdio_open_beneath(dirfd, path, O_RDONLY | O_CLOEXEC, e);
}

static int inspect_safetensors(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e)
{
	struct safetensors st own(safetensors) = { 0 };
	own(fd) int fd = open_file(dirfd, path, e);
	int rc = fd < 0 ? fd : safetensors_open(&st, fd, path, r, e);

	for (size_t i = 0; rc == 0 && i < st.n_tensors; i++)
		count(x, safetensors_dtype_name(st.tensors[i].dtype), (st.tensors[i].end - st.tensors[i].begin) * 8 / safetensors_dtype_bits(st.tensors[i].dtype));
	return rc;
}

/* The shards are inspected by themselves; here only whether they and the index agree. */
static int inspect_index(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e)
{
	struct safetensors_set set own(safetensors_set) = { 0 };
	const char *slash = strrchr(path, '/');
	own(mem) char *folder = slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
	own(fd) int dir = slash ? fdio_open_beneath(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, e) : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)x;
	return dir < 0 ? ERR_FAILED : safetensors_set_open(&set, dir, slash ? slash + 1 : path, r, e);
}

static void gguf_facts(struct inspect *x, const struct gguf *g)
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

static int inspect_gguf(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e)
{
	struct gguf *g own(gguf) = NULL;
	own(fd) int fd = open_file(dirfd, path, e);
	int rc = fd < 0 ? fd : gguf_open_report(&g, fd, path, r, e);

	for (size_t i = 0; rc == 0 && i < gguf_n_tensors(g); i++)
		count(x, gguf_dtype_info(gguf_tensor_at(g, i)->type)->name, gguf_tensor_at(g, i)->n_elements);
	if (rc == 0)
		gguf_facts(x, g);
	return rc;
}

static int inspect_config(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e)
{
	json_t *config own(json) = NULL;
	struct buf text own(buf);
	struct err je = ERR_NONE;
	const char *arch;
	int rc;

	buf_init(&text, CONFIG_MAX);
	rc = fdio_slurp(dirfd, path, &text, e);
	if (rc < 0)
		return rc;
	config = json_parse(text.data, text.len, path, &je);
	if (!config)
		return report_reject(r, strstr(je.msg, "duplicate") ? "json.duplicate" : "json.syntax", path, e, "%s", je.msg);
	arch = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
	if (arch && !x->architecture)
		x->architecture = mem_strndup(arch, strnlen(arch, 128));
	arch = json_get_str(json_object_get(config, "quantization_config"), "quant_method");
	if (arch && !x->quantization)
		x->quantization = mem_strndup(arch, strnlen(arch, 64));
	return 0;
}

static const struct {
	const char *glob, *format;
	inspect_fn *fn;
} inspectors[] = {
	{ "*.safetensors", "safetensors", inspect_safetensors },
	{ "*.safetensors.index.json", "safetensors-index", inspect_index },
	{ "*.gguf", "gguf", inspect_gguf },
	{ "config.json", "config", inspect_config },
};

/* One file. Its findings are counted apart, so that it has a verdict of its own. */
static int inspect_one(struct inspect *x, int dirfd, const char *path, struct report *r, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(inspectors); i++) {
		enum report_severity before = r->verdict;
		struct inspect_file *f;
		int rc;

		if (!str_glob(inspectors[i].glob, path))
			continue;
		r->verdict = REPORT_ACCEPT;
		report_path(r, "%s", path);
		rc = inspectors[i].fn(x, dirfd, path, r, e);
		if (rc == ERR_UNSUPPORTED || rc == ERR_LIMIT)
			report_flag(r, "inspect.unsupported", "%s", e->msg);
		else if (rc < 0 && r->verdict != REPORT_REJECT)
			return rc;	/* reading failed: that is no verdict */
		f = vec_push(&x->files, &x->n_files, &x->cap_files);
		*f = (struct inspect_file){ mem_strdup(path), inspectors[i].format, r->verdict };
		r->verdict = before > r->verdict ? before : r->verdict;
		return 0;
	}
	return 0;
}

struct names {
	char **v;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The regular files below a directory, as paths. Links and special files are not followed or opened. */
static int list(struct names *names, int dirfd, const char *prefix, int depth, struct err *e)
{
	int fd = *prefix ? fdio_open_beneath(dirfd, prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC, e) : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int rc = 0;

	if (!dir)
		return fd < 0 && *prefix ? fd : err_errno(e, "list the directory");
	while (rc == 0 && (d = readdir(dir))) {
		struct stat st;
		char path[PATH_MAX];

		if (d->d_name[0] == '.' && strcmp(d->d_name, ".") >= 0 && (d->d_name[1] == '\0' || strcmp(d->d_name, "..") == 0))
			continue;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "/" : "", d->d_name) >= PATH_MAX)
			continue;
		if (S_ISDIR(st.st_mode) && depth < INSPECT_DEPTH_MAX)
			rc = list(names, dirfd, path, depth + 1, e);
		else if (S_ISREG(st.st_mode))
			*vec_push(&names->v, &names->n, &names->cap) = mem_strdup(path);
		if (names->n > INSPECT_FILES_MAX)
			rc = err_set(e, ERR_LIMIT, "more than %d files", INSPECT_FILES_MAX);
	}
	closedir(dir);
	return rc;
}

int inspect_run(struct inspect *x, int dirfd, const char *only, struct report *r, struct err *e)
{
	struct names names = { 0 };
	int rc;

	*x = (struct inspect){ .dtypes = json_object() };
	if (only)
		return inspect_one(x, dirfd, only, r, e);
	rc = list(&names, dirfd, "", 0, e);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (size_t i = 0; i < names.n; i++) {
		if (rc == 0)
			rc = inspect_one(x, dirfd, names.v[i], r, e);
		free(names.v[i]);
	}
	free(names.v);
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

json_t *inspect_json(const struct inspect *x, const struct report *r)
{
	json_t *o = json_object(), *files = json_array();

	for (size_t i = 0; i < x->n_files; i++)
		json_array_append_new(files, json_pack("{s:s, s:s, s:s}", "path", x->files[i].path, "format", x->files[i].format, "verdict",
			report_severity_name(x->files[i].verdict)));
	json_object_set_new(o, "verdict", json_string(report_severity_name(r->verdict)));
	json_object_set_new(o, "findings", report_json(r));
	json_object_set_new(o, "files", files);
	json_object_set_new(o, "params", json_integer((json_int_t)x->n_params));
	json_object_set(o, "dtypes", x->dtypes);
	if (x->architecture)
		json_object_set_new(o, "architecture", json_string(x->architecture));
	if (x->quantization)
		json_object_set_new(o, "quantization", json_string(x->quantization));
	if (x->context_length)
		json_object_set_new(o, "context_length", json_integer(x->context_length));
	return o;
}
