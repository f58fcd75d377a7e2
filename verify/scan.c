/* scan.c - one file: told by its bytes, then by its name, and handed to the parser of its format. Directories are scan_dir.c. */
#include "verify/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "verify/gguf.h"
#include "verify/scan_parts.h"
#include "verify/pickle.h"
#include "verify/safetensors.h"

#define HEAD_BYTES	64
#define MEMBER_KEEP_MAX ((size_t)64 << 20)	/* bytes of a packed member that are unpacked to be looked at */
#define GZIP_OUT_MAX	((uint64_t)4 << 30)
#define TEXT_LOOK_BYTES ((size_t)65536)
#define POINTER_MAX	1024

#define FAIL(in, rule, ...) report_reject((in)->r, rule, (in)->name, NULL, __VA_ARGS__)
#define IS(in, what)	    (*(in)->format = (what))

static bool begins(struct bytes *b, const char *magic, size_t n)
{
	const uint8_t *p = bytes_at(b, 0, n);

	return p && memcmp(p, magic, n) == 0;
}

#define BEGINS(b, magic) begins(b, magic, sizeof(magic) - 1)

/* ---- formats that need the whole file ---- */

static bool is_safetensors(struct bytes *b)
{
	const uint8_t *p = bytes_at(b, 0, 9);

	return p && p[8] == '{' && bytes_le64(p) <= SAFETENSORS_HEADER_MAX && bytes_le64(p) + 8 <= b->size;
}

static void inspect_safetensors(const struct scan *in, struct bytes *b)
{
	struct safetensors st;

	if (in->nested) {
		report_flag(in->r, "container.nested", "safetensors inside an archive is not looked into");
		return;
	}
	if (safetensors_open(&st, b->fd, in->name, in->r, NULL) == 0)
		safetensors_close(&st);
}

static void inspect_gguf(const struct scan *in, struct bytes *b)
{
	own(gguf) struct gguf *g = NULL;

	if (in->nested) {
		report_flag(in->r, "container.nested", "GGUF inside an archive is not looked into");
		return;
	}
	if (gguf_open_report(&g, b->fd, in->name, in->r, NULL) < 0)
		return;
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);

		if (str_starts(kv->key, "tokenizer.chat_template") && kv->text)
			scan_template(kv->text, strlen(kv->text), in->r);
	}
}

/* ---- containers ---- */

void scan_member(const struct scan *in, const char *member, struct bytes *b)
{
	const char *format = NULL;
	struct scan inner = { .dirfd = -1, .name = member, .nested = in->nested + 1, .r = in->r, .format = &format };
	char outer[2048];

	snprintf(outer, sizeof(outer), "%s", in->r->path ? in->r->path : "");
	if (inner.nested > SCAN_NESTED_MAX) {
		report_flag(in->r, "container.nested", "'%.200s' lies in too many containers to be looked at", member);
		return;
	}
	report_path(in->r, "%s!%s", outer, member);
	scan_bytes(&inner, b);
	report_path(in->r, "%s", outer);
}

static void inspect_zip_member(const struct scan *in, struct bytes *b, const struct zip_member *m)
{
	own(buf) struct buf text;
	own(bytes) struct bytes sub = { 0 };

	buf_init(&text, MEMBER_KEEP_MAX);
	if (zip_read(b, m, m->method ? &text : NULL, MEMBER_KEEP_MAX, in->r) < 0)
		return;
	if (m->method && text.len < m->bytes) {
		report_flag(in->r, "container.large", "'%.200s' is packed and too large to be looked at", m->name);
		return;
	}
	if (m->method)
		bytes_of_mem(&sub, text.data, text.len, b->what);
	else
		bytes_of_part(&sub, b, m->data_at, m->packed_bytes);
	scan_member(in, m->name, &sub);
}

/* config.json beside metadata.json or model.weights.h5 */
static bool inspect_keras(const struct scan *in, struct bytes *b, const struct zip *z)
{
	const struct zip_member *m = zip_find(z, "config.json");
	own(buf) struct buf text;
	own(json) json_t *j = NULL;
	struct err e = ERR_NONE;

	buf_init(&text, MEMBER_KEEP_MAX);
	if (!m || (!zip_find(z, "metadata.json") && !zip_find(z, "model.weights.h5")))
		return false;
	if (zip_read(b, m, &text, MEMBER_KEEP_MAX, in->r) == 0)
		j = json_parse(text.data, text.len, "config.json", &e);
	if (j)
		scan_keras_json(j, in->r);
	else
		FAIL(in, "keras.config", "its config.json can't be read: %.300s", e.msg);
	return true;
}

static void inspect_zip(const struct scan *in, struct bytes *b)
{
	own(zip) struct zip z = { 0 };
	char root[1024] = "";
	bool torch = false;

	if (zip_open(&z, b, in->r) < 0 || z.overlaps)
		return;
	for (size_t i = 0; i < z.n && !torch; i++) {
		size_t n = strlen(z.members[i].name);

		torch = n > 9 && n < sizeof(root) && str_ends(z.members[i].name, "/data.pkl");
		if (torch)
			snprintf(root, sizeof(root), "%.*s", (int)(n - 8), z.members[i].name);
	}
	if (torch) {
		IS(in, "pickle");
		for (size_t i = 0; i < z.n; i++)
			zip_read(b, &z.members[i], NULL, 0, in->r);
		scan_torch_zip(in, b, &z, root);
		return;
	}
	if (inspect_keras(in, b, &z))
		IS(in, "keras");
	else if (z.n && str_ends(z.members[0].name, ".npy"))
		IS(in, "numpy");
	for (size_t i = 0; i < z.n; i++)
		if (z.members[i].bytes || !str_ends(z.members[i].name, "/"))
			inspect_zip_member(in, b, &z.members[i]);
}

/* The first bytes are looked at like a file of their own; the rest only for its ratio. */
static void inspect_gzip(const struct scan *in, struct bytes *b)
{
	own(buf) struct buf text;
	z_stream s = { 0 };
	uint64_t pos = 0, out = 0;
	int code = Z_OK;
	struct bytes sub;
	uint8_t chunk[65536];

	buf_init(&text, MEMBER_KEEP_MAX);
	if (inflateInit2(&s, MAX_WBITS + 16) != Z_OK)
		return;
	while (code == Z_OK && pos < b->size) {
		size_t n = b->size - pos < sizeof(chunk) ? (size_t)(b->size - pos) : sizeof(chunk);

		s.next_in = (Bytef *)(uintptr_t)bytes_at(b, pos, n);
		s.avail_in = s.next_in ? (uInt)n : 0;
		if (!s.next_in)
			break;
		do {
			s.next_out = chunk;
			s.avail_out = sizeof(chunk);
			code = inflate(&s, Z_NO_FLUSH);
			out += sizeof(chunk) - s.avail_out;
			buf_add(&text, chunk, sizeof(chunk) - s.avail_out < MEMBER_KEEP_MAX - text.len ? sizeof(chunk) - s.avail_out : MEMBER_KEEP_MAX - text.len);
		} while (code == Z_OK && (s.avail_in || !s.avail_out) && out <= GZIP_OUT_MAX);
		pos += n - s.avail_in;
		if (out > ZIP_RATIO_FROM && out / ZIP_RATIO_MAX > pos) {
			FAIL(in, "gzip.ratio", "it unpacks more than %d bytes from each", ZIP_RATIO_MAX);
			break;
		}
		if (out > GZIP_OUT_MAX)
			break;
		code = code == Z_BUF_ERROR ? Z_OK : code;
	}
	inflateEnd(&s);
	if (code == Z_STREAM_END && pos < b->size)
		report_flag(in->r, "gzip.trailing", "%llu bytes follow its stream", (unsigned long long)(b->size - pos));
	else if (code != Z_STREAM_END && !report_has(in->r, "gzip.ratio"))
		FAIL(in, "gzip.structure", "it is no whole gzip stream");
	if (out > text.len)
		report_flag(in->r, "container.large", "it unpacks to more than is looked at");
	bytes_of_mem(&sub, text.data, text.len, b->what);
	scan_member(in, "(unpacked)", &sub);
}

/* ---- by name ---- */

static void inspect_onnx(const struct scan *in, struct bytes *b)
{
	scan_onnx(in, b);
}

static void inspect_tf(const struct scan *in, struct bytes *b)
{
	scan_tf(b, in->r);
}

static void inspect_msgpack(const struct scan *in, struct bytes *b)
{
	scan_msgpack(b, in->r);
}

static void inspect_card(const struct scan *in, struct bytes *b)
{
	scan_card(b, in->alone, in->r);
}

static void inspect_template(const struct scan *in, struct bytes *b)
{
	const char *p = b->size <= BYTES_WINDOW ? (const char *)bytes_at(b, 0, (size_t)b->size) : NULL;

	if (p)
		scan_template(p, (size_t)b->size, in->r);
	else
		report_flag(in->r, "template.large", "a template of %llu bytes", (unsigned long long)b->size);
}

/* SentencePiece's model: a protocol buffer that holds pieces and settings. */
static void inspect_pieces(const struct scan *in, struct bytes *b)
{
	struct scan_field f;
	uint64_t pos = 0;

	while (scan_proto_next(b, &pos, b->size, &f, in->r) == 1)
		;
}

static void inspect_frozen(const struct scan *in, struct bytes *b)
{
	inspect_pieces(in, b);
	report_flag(in->r, "format.unknown", "a graph whose operators are not looked at");
}

static const struct {
	const char *suffix, *format;
	void (*inspect)(const struct scan *in, struct bytes *b);
} by_suffix[] = {
	{ ".onnx", "onnx", inspect_onnx }, { "saved_model.pb", "tensorflow", inspect_tf }, { ".msgpack", "flax", inspect_msgpack },
	{ "README.md", "card", inspect_card }, { ".json", "json", scan_json }, { ".jinja", "template", inspect_template },
	{ ".model", "tokenizer", inspect_pieces }, { ".pb", "tensorflow", inspect_frozen },
};

/* Pictures, sound and papers that lie beside a model: by magic, at an offset. */
static bool is_media(struct bytes *b)
{
	static const struct {
		uint8_t at, n;
		const char *magic;
	} table[] = {
		{ 0, 4, "\x89PNG" }, { 0, 3, "\xff\xd8\xff" }, { 0, 4, "GIF8" }, { 8, 4, "WEBP" }, { 0, 5, "%PDF-" }, { 4, 4, "ftyp" }, { 0, 4, "OggS" },
		{ 0, 4, "fLaC" },    { 0, 3, "ID3" },	       { 8, 4, "WAVE" }, { 0, 2, "BM" },   { 0, 4, "wOF2" },  { 0, 4, "II*\0" },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const uint8_t *p = bytes_at(b, table[i].at, table[i].n);

		if (p && memcmp(p, table[i].magic, table[i].n) == 0)
			return true;
	}
	return false;
}

/* Text: UTF-8 without NUL bytes as far as is looked. A character may be cut at the end of the look. */
static bool is_text(struct bytes *b)
{
	size_t n = b->size < TEXT_LOOK_BYTES ? (size_t)b->size : TEXT_LOOK_BYTES;
	const uint8_t *p = bytes_at(b, 0, n);

	if (n == 0)
		return true;	/* an empty file is an empty text */
	if (!p || memchr(p, 0, n))
		return false;
	for (size_t cut = 0; cut < 4 && cut < n; cut++)
		if (str_utf8_valid((const char *)p, n - cut))
			return true;
	return false;
}

/* Numbers that lie beside a model and are told by their names alone: nothing in them is ever run. */
static bool is_raw_name(const char *name)
{
	static const char *const parts[] = { ".onnx_data", ".onnx.data", "variables.data-", "variables.index", "tfevents" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

static void inspect_by_name(const struct scan *in, struct bytes *b)
{
	for (size_t i = 0; i < ARRAY_LEN(by_suffix); i++)
		if (str_ends(in->name, by_suffix[i].suffix)) {
			IS(in, by_suffix[i].format);
			by_suffix[i].inspect(in, b);
			return;
		}
	if (scan_code_name(in->name, in->r)) {
		IS(in, "code");
	} else if (BEGINS(b, "#!")) {
		IS(in, "code");
		report_flag(in->r, "code.script", SCAN_SCRIPT);
	} else if ((in->claimed && path_set_has(in->claimed, in->name)) || is_raw_name(in->name) || scan_openvino(in, b) || scan_imatrix(in, b)) {
		IS(in, "data");
	} else if (is_media(b)) {
		IS(in, "media");
	} else if (is_text(b)) {
		IS(in, "text");
	} else {
		report_flag(in->r, "format.unknown", "a file of no known format");
	}
}

/* ---- by content ---- */

/* What pickle.dump and torch.save are given for names: by convention, and by transformers, peft, accelerate and diffusers. */
static bool is_named_pickle(const char *name)
{
	static const char *const suffixes[] = { ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".p", ".mar" };
	static const char *const saved[] = {
		"*pytorch_model*.bin", "*adapter_model*.bin", "*training_args*.bin", "optimizer*.bin", "scheduler*.bin", "rng_state*.bin", "sampler*.bin",
		"pytorch_lora_weights*.bin", "learned_embeds*.bin", "non_lora_trainables*.bin", "mm_projector*.bin",
	};
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(saved); i++)
		if (str_glob(saved[i], slash ? slash + 1 : name))
			return true;
	return false;
}

static bool is_native(struct bytes *b)
{
	return BEGINS(b, "\x7f"
			 "ELF") ||
	       (BEGINS(b, "MZ") && b->size > HEAD_BYTES) || BEGINS(b, "\xcf\xfa\xed\xfe") || BEGINS(b, "\xce\xfa\xed\xfe") || BEGINS(b, "\xca\xfe\xba\xbe");
}

static const struct {
	const char *magic;
	size_t n;
	const char *rule, *what;
	bool reject;
} packers[] = {
	{ "7z\xbc\xaf\x27\x1c", 6, "container.7z", "a 7z archive, which loaders of models do not read", true },
	{ "Rar!", 4, "container.rar", "a RAR archive, which loaders of models do not read", true },
	{ "\xfd"
	  "7zXZ",
	  5, "container.packed", "packed with xz, which is not looked into", false },
	{ "BZh", 3, "container.packed", "packed with bzip2, which is not looked into", false },
	{ "\x28\xb5\x2f\xfd", 4, "container.packed", "packed with zstd, which is not looked into", false },
	{ "\x04\x22\x4d\x18", 4, "container.packed", "packed with lz4, which is not looked into", false },
};

static bool inspect_packer(const struct scan *in, struct bytes *b)
{
	for (size_t i = 0; i < ARRAY_LEN(packers); i++) {
		if (!begins(b, packers[i].magic, packers[i].n))
			continue;
		if (packers[i].reject)
			FAIL(in, packers[i].rule, "%s", packers[i].what);
		else
			report_flag(in->r, packers[i].rule, "%s", packers[i].what);
		return true;
	}
	return false;
}

static void inspect_pickle(const struct scan *in, struct bytes *b)
{
	if (scan_is_torch_legacy(b))
		scan_torch_legacy(in, b);
	else
		pickle_inspect(b, in->r);
}

/* The bytes that begin a format. */
static bool is_gguf(const struct scan *in, struct bytes *b)
{
	return BEGINS(b, "GGUF") || (str_ends(in->name, ".gguf") && b->size < POINTER_MAX && !BEGINS(b, "version https://git-lfs"));
}

static bool is_pickle(const struct scan *in, struct bytes *b)
{
	return scan_is_torch_legacy(b) || is_named_pickle(in->name) || pickle_is(b);
}

static void look(const struct scan *in, struct bytes *b)
{
	if (is_gguf(in, b)) {
		IS(in, "gguf");
		inspect_gguf(in, b);
	} else if (str_ends(in->name, ".safetensors") || is_safetensors(b)) {
		IS(in, "safetensors");
		inspect_safetensors(in, b);
	} else if (b->size < POINTER_MAX && BEGINS(b, "version https://git-lfs.github.com/spec/")) {
		FAIL(in, "lfs.pointer", "a Git LFS pointer lies where its content should");
	} else if (BEGINS(b, "PK\3\4") || BEGINS(b, "PK\5\6")) {
		IS(in, "archive");
		inspect_zip(in, b);
	} else if (is_native(b)) {
		IS(in, "code");
		FAIL(in, "code.native", SCAN_NATIVE);
	} else if (BEGINS(b, "\x93NUMPY")) {
		IS(in, "numpy");
		scan_npy(b, in->r);
	} else if (BEGINS(b, "\x89HDF\r\n\x1a\n")) {
		IS(in, "keras");
		scan_keras_h5(b, in->r);
	} else if (BEGINS(b, "\x1f\x8b")) {
		IS(in, "archive");
		inspect_gzip(in, b);
	} else if (inspect_packer(in, b)) {
		IS(in, "archive");
	} else if (scan_is_tar(b) || str_ends(in->name, ".tar")) {
		IS(in, "archive");
		scan_tar(in, b);
		if (pickle_is(b))	/* the name of its first member may be opcodes */
			inspect_pickle(in, b);
	} else if (is_pickle(in, b)) {
		if (zip_is(b))	/* torch reads the pickle before it, other readers the archive */
			inspect_zip(in, b);
		IS(in, "pickle");
		inspect_pickle(in, b);
	} else if (zip_is(b)) {
		IS(in, "archive");
		inspect_zip(in, b);
	} else {
		inspect_by_name(in, b);
	}
}

void scan_bytes(const struct scan *in, struct bytes *b)
{
	IS(in, "unknown");
	look(in, b);
	if (b->e.code)
		report_flag(in->r, "io", "%.400s", b->e.msg);
}

static int inspect_open(const struct scan *in, int *fd, struct stat *st, struct err *e)
{
	*fd = openat(in->dirfd, in->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && (errno == ELOOP || errno == ENXIO)) {
		FAIL(in, "path.special", "a link or a special file");
		return 1;
	}
	if (*fd < 0 || fstat(*fd, st) < 0)
		return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "%s: there is no such file", in->name) : err_errno(e, "open %s", in->name);
	if (!S_ISREG(st->st_mode)) {
		FAIL(in, "path.special", "neither a file nor a directory");
		return 1;
	}
	return 0;
}

/* The findings of this file are counted apart, so that it has a verdict of its own. */
int scan_named(int dirfd, const char *name, bool alone, struct path_set *claimed, const struct scan_listener *l, struct report *r, struct err *e)
{
	const char *format = "special";
	struct scan in = { .dirfd = dirfd, .name = name, .alone = alone, .r = r, .format = &format, .claimed = claimed };
	enum report_severity before = r->verdict;
	own(bytes) struct bytes b = { 0 };
	own(fd) int fd = -1;
	struct stat st;
	int code;

	r->verdict = REPORT_ACCEPT;
	report_path(r, "%s", name);
	if (l && l->begin)
		l->begin(l->ctx, name);
	code = inspect_open(&in, &fd, &st, e);
	if (code == 0) {
		bytes_of_fd(&b, fd, 0, (uint64_t)st.st_size, name);
		scan_bytes(&in, &b);
		scan_siblings(&in);
	}
	if (code >= 0 && l)
		l->seen(l->ctx, name, format, r->verdict);
	if (before > r->verdict)
		r->verdict = before;
	return code < 0 ? code : 0;
}

int scan_file(int dirfd, const char *name, const struct scan_listener *l, struct report *r, struct err *e)
{
	return scan_named(dirfd, name, true, NULL, l, r, e);
}

int scan_path(const char *path, struct report *r, struct err *e)
{
	own(mem) char *copy = mem_strdup(path);
	own(fd) int dirfd = -1;
	struct stat st;
	char *slash;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "%s: there is no such file or directory", path) : err_errno(e, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return dirfd < 0 ? err_errno(e, "open %s", path) : scan_dir(dirfd, NULL, r, e);
	}
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	dirfd = open(slash == copy ? "/" : slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_errno(e, "open the directory of %s", path);
	return scan_file(dirfd, slash ? slash + 1 : path, NULL, r, e);
}
