/*
 * scan_onnx.c - an ONNX model: where its tensors' external data lies (never outside the model's directory, never through a link) and which
 * operators need foreign native code. Messages are walked with a list of work, not by recursion.
 * Source: onnx.proto. Rules: onnx.path onnx.missing onnx.link onnx.depth onnx.limit, flag onnx.custom_domain, and those of scan_proto.c.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/vec.h"
#include "verify/scan_parts.h"
#include "verify/path_check.h"

#define DEPTH_MAX    32
#define MESSAGES_MAX 20000000
#define TEXT_MAX     4096

#define FAIL(in, rule, ...) report_reject((in)->r, rule, "onnx", NULL, __VA_ARGS__)

enum message { M_NONE, M_MODEL, M_GRAPH, M_NODE, M_ATTRIBUTE, M_TENSOR, M_SPARSE, M_FUNCTION, M_EXTERNAL };

/* Which field of which message is a message that matters. */
static const struct {
	enum message in;
	uint32_t number;
	enum message is;
} children[] = {
	{ M_MODEL, 7, M_GRAPH },	{ M_MODEL, 25, M_FUNCTION },   { M_GRAPH, 1, M_NODE },	     { M_GRAPH, 5, M_TENSOR },	  { M_GRAPH, 15, M_SPARSE },
	{ M_NODE, 5, M_ATTRIBUTE },	{ M_ATTRIBUTE, 5, M_TENSOR },  { M_ATTRIBUTE, 6, M_GRAPH },  { M_ATTRIBUTE, 10, M_TENSOR }, { M_ATTRIBUTE, 11, M_GRAPH },
	{ M_ATTRIBUTE, 22, M_SPARSE },	{ M_ATTRIBUTE, 23, M_SPARSE }, { M_SPARSE, 1, M_TENSOR },    { M_SPARSE, 2, M_TENSOR },	  { M_FUNCTION, 7, M_NODE },
	{ M_TENSOR, 13, M_EXTERNAL },
};

struct work {
	enum message kind;
	uint64_t at, end;
	int depth;
};

static enum message child(enum message in, const struct scan_field *f)
{
	for (size_t i = 0; f->wire == 2 && i < ARRAY_LEN(children); i++)
		if (children[i].in == in && children[i].number == f->number)
			return children[i].is;
	return M_NONE;
}

/* Domains that a runtime brings itself. */
static bool is_known_domain(const char *d)
{
	static const char *const known[] = { "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft",
					     "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(d, known[i]) == 0)
			return true;
	return false;
}

/* `location` as it is named below dirfd, where the model itself may lie in a directory. Caller frees. */
static char *below(const struct scan *in, const char *location)
{
	const char *slash = strrchr(in->name, '/');
	char *path;

	if (asprintf(&path, "%.*s%s", slash ? (int)(slash + 1 - in->name) : 0, in->name, location) < 0)
		abort();
	return path;
}

/* A location is a plain relative name of a regular file. */
static void check_location(const struct scan *in, const char *location)
{
	own(report) struct report why;
	own(mem) char *path = below(in, location);
	own(fd) int fd = -1;
	struct err e = ERR_NONE;
	struct stat st;

	report_init(&why);
	if (in->claimed && path_set_has(in->claimed, path))
		return;		/* a model names one file for thousands of tensors */
	if (path_check(location, strlen(location), &why) < 0 || strstr(location, "://")) {
		FAIL(in, "onnx.path", "external data at '%.200s'%s%.200s", location, why.n ? ": " : "", why.n ? why.v[0].message : "");
		return;
	}
	if (in->nested || in->dirfd < 0) {
		FAIL(in, "onnx.missing", "external data at '%.200s', which is not in this archive's reach", location);
		return;
	}
	fd = fdio_open_beneath(in->dirfd, path, O_RDONLY | O_NONBLOCK, &e);
	if (fd < 0 || fstat(fd, &st) < 0)
		FAIL(in, fd == ERR_NOT_FOUND ? "onnx.missing" : "onnx.link", "external data at '%.200s': %.200s", location, e.msg);
	else if (!S_ISREG(st.st_mode))	/* that it may have other names is no matter: the store shows its blobs by hard links */
		FAIL(in, "onnx.link", "external data at '%.200s' is no plain file", location);
	else if (in->claimed)
		path_set_add(in->claimed, path);
}

/* StringStringEntryProto: 1 key, 2 value */
static int check_external(const struct scan *in, struct bytes *b, const struct work *w)
{
	char key[TEXT_MAX] = "", value[TEXT_MAX] = "";
	struct scan_field f;
	uint64_t pos = w->at;
	bool odd = false;
	int code;

	while ((code = scan_proto_next(b, &pos, w->end, &f, in->r)) == 1) {
		if (f.number == 1)
			odd |= !scan_proto_text(b, &f, key, sizeof(key));
		else if (f.number == 2)
			odd |= !scan_proto_text(b, &f, value, sizeof(value));
	}
	if (code == 0 && odd)
		FAIL(in, "onnx.path", "external data at a name that is too long or holds a NUL");
	else if (code == 0 && !strcmp(key, "location"))
		check_location(in, value);
	return code;
}

static void check_domain(const struct scan *in, struct bytes *b, const struct scan_field *f)
{
	char domain[TEXT_MAX];

	if (!scan_proto_text(b, f, domain, sizeof(domain)))
		report_flag(in->r, "onnx.custom_domain", "an operator of a domain with an odd name");
	else if (!is_known_domain(domain) && !report_has(in->r, "onnx.custom_domain"))
		report_flag(in->r, "onnx.custom_domain", "an operator of the domain '%.200s' needs a native library", domain);
}

void scan_onnx(const struct scan *in, struct bytes *b)
{
	struct work *todo = NULL;
	size_t n = 0, cap = 0, seen = 0;
	int code = 0;

	*vec_push(&todo, &n, &cap) = (struct work){ M_MODEL, 0, b->size, 0 };
	while (n && code >= 0) {
		struct work w = todo[--n];
		struct scan_field f;
		uint64_t pos = w.at;

		if (w.kind == M_EXTERNAL) {
			code = check_external(in, b, &w);
			continue;
		}
		while ((code = scan_proto_next(b, &pos, w.end, &f, in->r)) == 1) {
			enum message kind = child(w.kind, &f);

			if (w.kind == M_NODE && f.number == 7)
				check_domain(in, b, &f);
			if (kind == M_NONE)
				continue;
			if (w.depth >= DEPTH_MAX || ++seen > MESSAGES_MAX) {
				code = FAIL(in, w.depth >= DEPTH_MAX ? "onnx.depth" : "onnx.limit", "its graph is nested too deep or too large");
				break;
			}
			*vec_push(&todo, &n, &cap) = (struct work){ kind, f.at, f.at + f.n, w.depth + 1 };
		}
	}
	free(todo);
}
