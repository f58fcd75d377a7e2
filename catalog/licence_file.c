/* licence_file.c - which files of a model say what its licence is, and what is in them that is data and no text; see licence.h. */
#include <ctype.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/card.h"

#define DATA_DEPTH     16
#define DATA_BYTES_MAX (8 * LICENCE_TEXT_MAX)	/* a file as it is fetched, and the strings in it */
#define NAMES_MAX      64	/* licences that one file of data names */
#define TRIED_MAX      2000	/* texts in it that may be names */
#define NAME_BYTES_MAX ((size_t)400)

static const char says_more[] = "says more than is read of data, so nobody has read it";

/* --- which ------------------------------------------------------------------------------------------------------------------ */

static bool one_of(const char *s, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncasecmp(s, *list, n))
			return true;
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_kind(const char *path, const char *const *endings)
{
	const char *dot = strrchr(base_name(path), '.');

	return dot && one_of(dot + 1, strlen(dot + 1), endings);
}

bool licence_is_data(const char *path)
{
	return is_kind(path, (const char *const[]){ "json", "yaml", "yml", "toml", NULL });
}

/* Does it lie in a folder of licence texts, as in LICENSES/Apache-2.0.txt of REUSE? */
static bool in_folder_of_texts(const char *path)
{
	static const char *const folders[] = { "licenses", "licences", "license", "licence", NULL };

	for (const char *end; (end = strchr(path, '/')); path = end + 1)
		if (one_of(path, (size_t)(end - path), folders))
			return strcasecmp(base_name(end), "README.md") != 0;
	return false;
}

static bool is_called_licence(const char *name, size_t stem)
{
	static const char *const starts[] = { "license", "licence", "copying", "notice", "use_policy", "unlicense" };

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (!strncasecmp(name, starts[i], strlen(starts[i])))
			return true;
	return stem > 7 && (!strncasecmp(name + stem - 7, "license", 7) || !strncasecmp(name + stem - 7, "licence", 7));
}

bool licence_is_text_path(const char *path)
{
	static const char *const names[] = { "license", "licence", "copying", "use_policy", "unlicense", "model_license", "model-license", NULL };
	static const char *const data[] = { "json", "yaml", "yml", "toml", NULL };
	static const char *const beside[] = { "license", "licence", NULL };	/* model.safetensors.license, as REUSE has it */
	static const char *const not_texts[] = { "py", "ipynb", "js", "ts", "c", "h", "cc", "cpp", "cu", "sh", "json", "jsonl", "yaml", "yml", "toml", "csv", "tsv", "xml", "parquet",
						 "arrow", "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "mp3", "mp4", "wav", "zip", "gz", "tar", "safetensors", "gguf", "ggml",
						 "bin", "pt", "pth", "ckpt", "pkl", "pickle", "onnx", "h5", "keras", "pb", "tflite", "npy", "npz", "msgpack", "mlmodel", "engine", NULL };
	const char *name = base_name(path), *dot = strrchr(name, '.');
	size_t stem = dot ? (size_t)(dot - name) : strlen(name);

	if (dot && one_of(dot + 1, strlen(dot + 1), data) && one_of(name, stem, names))
		return true;
	if (dot && one_of(dot + 1, strlen(dot + 1), not_texts))
		return false;
	if ((dot && dot > name && one_of(dot + 1, strlen(dot + 1), beside)) || in_folder_of_texts(path))
		return true;
	return is_called_licence(name, stem) || licence_is_called_terms(path);
}

bool licence_is_text_file(const char *path, uint64_t size_bytes)
{
	const char *name = base_name(path), *dot = strrchr(name, '.');
	size_t stem = dot ? (size_t)(dot - name) : strlen(name);

	return licence_is_text_path(path) && (size_bytes <= LICENCE_TEXT_MAX || strchr(path, '/') || is_called_licence(name, stem) || !licence_is_called_terms(path));
}

/* LICENSE, MODEL_LICENSE, LICENSE-WEIGHTS: a licence's name, and perhaps that it is the model's. */
bool licence_is_main_text(const char *path)
{
	static const char *const names[] = { "license", "licence", "copying", NULL }, *const models[] = { "model", "models", "weights", NULL };
	static const char *const kinds[] = { "txt", "md", "rst", "html", "htm", NULL };
	const char *dot = strrchr(path, '.'), *end = dot ? dot : path + strlen(path);
	bool is_named = false;

	if (dot && !one_of(dot + 1, strlen(dot + 1), kinds))
		return false;
	for (const char *p = path; p < end;) {
		size_t n = strcspn(p, "-_ .");

		if (one_of(p, n, names))
			is_named = true;
		else if (!one_of(p, n, models))
			return false;
		p += n + (p[n] != 0);
	}
	return is_named;
}

bool licence_is_named(const char *path)
{
	static const char *const begins[] = { "license", "licence", "copying" }, *const ends[] = { "license", "licence" };
	const char *dot = strrchr(path, '.');
	size_t stem = dot ? (size_t)(dot - path) : strlen(path);

	if (strchr(path, '/') || licence_is_data(path) || licence_is_of_parts(path))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (!strncasecmp(path, begins[i], strlen(begins[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (stem >= strlen(ends[i]) && !strncasecmp(path + stem - strlen(ends[i]), ends[i], strlen(ends[i])))
			return true;
	return licence_is_foreign(path);
}

bool licence_is_notice(const char *path)
{
	return !strncasecmp(base_name(path), "notice", 6);
}

/* Does the word stand in the name, between what are no letters? CodeLlama is not code. */
static bool has_word(const char *name, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = name; (p = strcasestr(p, word)); p++)
		if ((p == name || !isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n]))
			return true;
	return false;
}

bool licence_is_of_parts(const char *path)
{
	static const char *const places[] = { "third_party", "third-party", "thirdparty", "3rdparty", "vendor", "node_modules", "external", NULL };
	static const char *const words[] = { "third", "parts", "components", "dependencies" }, *const models[] = { "model", "models", "weights", "checkpoint", "checkpoints" };
	const char *name = base_name(path);
	bool is_of_model = strcasestr(name, "code-llama") || strcasestr(name, "code_llama");

	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		is_of_model |= has_word(name, models[i]);
	if ((has_word(name, "code") && !is_of_model) || strcasestr(name, "thirdparty"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (has_word(name, words[i]))
			return true;
	for (const char *end; (end = strchr(path, '/')); path = end + 1)
		if (one_of(path, (size_t)(end - path), places))
			return true;
	return false;
}

/* --- what a card links to --------------------------------------------------------------------------------------------------------- */

/* What a link of Markdown leads to, be it "[Terms](TERMS.md)", "<TERMS.md>" or "See TERMS.md". In a. */
static const char *bare_link(const char *link, struct arena *a)
{
	const char *target = *link == '[' ? strstr(link, "](") : NULL;

	if (target)
		return arena_strndup(a, target + 2, strcspn(target + 2, ") "));
	if (*link == '<')
		return arena_strndup(a, link + 1, strcspn(link + 1, ">"));
	return !strncasecmp(link, "see ", 4) ? link + 4 : link;
}

/* "blob/main/docs/LICENSE" to "docs/LICENSE"; NULL for another page. */
static const char *skip_revision(const char *at)
{
	static const char *const pages[] = { "blob/", "raw/", "resolve/", "tree/" };

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		const char *revision = str_starts(at, pages[i]) ? at + strlen(pages[i]) : NULL, *slash;

		if (revision && str_starts(revision, "refs/pr/"))
			revision += strlen("refs/pr/");
		slash = revision ? strchr(revision, '/') : NULL;
		if (slash)
			return slash + 1;
	}
	return NULL;
}

const char *licence_link_path(const char *link, const char *repo, struct arena *a)
{
	const char *at = card_skip_host(link = bare_link(link, a)), *page;
	bool is_address = at != link;
	size_t n = strlen(repo);
	char *path;

	if (at && *at == '/')
		at++;
	if (at && !strncasecmp(at, repo, n) && at[n] == '/')
		at = skip_revision(at + n + 1);
	else if (is_address)
		return NULL;
	if (!at)
		return NULL;
	page = skip_revision(at);
	path = arena_strdup(a, page ? page : at);
	path[strcspn(path, "?#")] = 0;
	while (str_starts(path, "./"))
		path += 2;
	if (!str_percent_decode(path) || fdio_check_relative(path, NULL) < 0 || !strcasecmp(path, "README.md"))
		return NULL;
	return path;
}

/* --- licences as data ------------------------------------------------------------------------------------------------------------- */

/* What is read of one file of data. */
struct data {
	struct buf *out;
	const char *names[NAMES_MAX];	/* the ids of the licences that it names */
	size_t n_names;
	size_t n_tried;		/* texts that may have been names */
	bool is_cut;		/* there is more than is read */
};

/* "license", "licenses", "license_expression", "spdx-id", …: all that stands under it is about a licence. */
static bool names_a_licence(const char *key, size_t n)
{
	static const char *const words[] = { "licens", "licenc", "spdx" };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_LEN(words); k++)
			if (n - i >= strlen(words[k]) && !strncasecmp(key + i, words[k], strlen(words[k])))
				return true;
	return false;
}

static bool add_name(struct data *d, const char *name)
{
	const char *id = d->n_tried++ < TRIED_MAX ? licence_normalise(name) : NULL;

	d->is_cut |= d->n_tried > TRIED_MAX;
	if (!id && !d->is_cut && !strncasecmp(name, "licenseref-", 11) && !name[strcspn(name, " \t\r\n")]) {	/* nobody but its maker knows it */
		buf_printf(d->out, "\nSPDX-License-Identifier: %s\n", name);
		return true;
	}
	if (!id || !strcmp(id, "other") || !strcmp(id, "unknown"))
		return false;
	for (size_t i = 0; i < d->n_names; i++)
		if (d->names[i] == id)
			return true;
	if (d->n_names == NAMES_MAX) {
		d->is_cut = true;
		return true;
	}
	d->names[d->n_names++] = id;
	buf_printf(d->out, "\nSPDX-License-Identifier: %s\n", id);
	return true;
}

/* What stands between two licences of an expression: how many bytes, 0 nothing such. */
static size_t operator_at(const char *p)
{
	static const char *const words[] = { " and ", " or ", " with ", " und ", " et " };

	if (strchr(",;/|&()", *p))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strncasecmp(p, words[i], strlen(words[i])))
			return strlen(words[i]) - 1;
	return 0;
}

/* A licence's name, or each of an expression. */
static void add_names(struct data *d, char *text)
{
	if (add_name(d, text))
		return;
	for (char *p = text; *p; p++) {
		size_t n = operator_at(p);

		if (!n)
			continue;
		*p = 0;
		add_name(d, text);
		text = p + n;
		p = text - 1;
	}
	add_name(d, text);
}

/* A string, on a line of its own, and as texts have it where it names licences. */
static void add_value(struct data *d, bool is_of_licence, const char *value, size_t n)
{
	own(mem) char *copy = is_of_licence && n <= NAME_BYTES_MAX && !d->is_cut ? mem_strndup(value, n) : NULL;

	buf_putc(d->out, '\n');
	buf_add(d->out, value, n);
	if (copy)
		add_names(d, copy);
}

static void flatten(struct data *d, bool is_of_licence, const json_t *v, int depth)
{
	const json_t *item;
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(v))
		add_value(d, is_of_licence, json_string_value(v), json_string_length(v));
	if (depth == DATA_DEPTH) {
		d->is_cut |= json_array_size(v) || json_object_size(v);
		return;
	}
	json_array_foreach (v, i, item)
		flatten(d, is_of_licence, item, depth + 1);
	json_object_foreach ((json_t *)v, name, member)
		flatten(d, is_of_licence || names_a_licence(name, strlen(name)), member, depth + 1);
}

/* The begin of the next line that is "---" or "...", which end a document wherever they stand; `stop` where there is none. */
static const char *next_document(const char *p, const char *stop)
{
	for (const char *line = p; (line = memchr(line, '\n', (size_t)(stop - line)));) {
		line++;
		if ((str_starts(line, "---") || str_starts(line, "...")) && strchr(" \t\r\n", line[3]))
			return line;
	}
	return stop;
}

/* Has it a line that is no directive, comment or mark? */
static bool says_anything(const char *p, const char *end)
{
	for (const char *line; p < end; p = line) {
		line = memchr(p, '\n', (size_t)(end - p));
		line = line ? line + 1 : end;
		if (!str_starts(p, "%") && !str_starts(p, "#") && !str_starts(p, "---\n") && !str_starts(p, "...") && p + strspn(p, " \t\r\n") < line)
			return true;
	}
	return false;
}

/* All documents of the file; a key that stands twice says two things. */
static bool read_yaml(struct data *d, const char *path, const char *text, size_t n)
{
	bool is_clear = true;

	for (const char *p = text, *stop = text + n, *end; p < stop; p = end) {
		end = next_document(p, stop);
		if (!says_anything(p, end))
			continue;
		own(json) json_t *clear = yaml_parse(p, (size_t)(end - p), YAML_STRICT, path, NULL);
		own(json) json_t *doc = clear ? NULL : yaml_parse(p, (size_t)(end - p), YAML_LAX, path, NULL);

		is_clear &= clear != NULL;
		flatten(d, false, clear ? clear : doc, 0);
	}
	return is_clear;
}

/* The same: a key twice is read once, and not all of it is read. */
static bool read_json(struct data *d, const char *path, const char *text, size_t n)
{
	own(json) json_t *clear = json_parse_python(text, n, path, NULL);
	own(json) json_t *doc = clear ? NULL : json_parse_lax(text, n, path, NULL);

	flatten(d, false, clear ? clear : doc, 0);
	return clear;
}

/* --- TOML: strings, and whether they stand under a licence's key; what else it has says nothing --- */

struct toml {
	struct data *d;
	const char *p;
	bool of_licence[DATA_DEPTH];	/* the table, then each list or inline table that is open */
	size_t depth;
	bool is_of_licence;		/* what comes next, by the key before it */
	bool key_is;			/* one of the words since the last value names a licence */
	bool begins_line;
};

/* A string at p between quotes, one or three, in a buffer. False: it has no end. */
static bool toml_string(struct toml *t, struct buf *text)
{
	char quote = *t->p;
	size_t n = t->p[1] == quote && t->p[2] == quote ? 3 : 1;

	for (t->p += n; *t->p && (n == 3 || *t->p != '\n'); t->p++) {
		if (*t->p == quote && (n == 1 || (t->p[1] == quote && t->p[2] == quote))) {
			t->p += n;
			return true;
		}
		if (*t->p != '\\' || quote == '\'' || !t->p[1]) {
			buf_putc(text, *t->p);
			continue;
		}
		t->p++;
		if (*t->p == 'u' || *t->p == 'U') {
			char digits[9] = "";
			size_t most = *t->p == 'u' ? 4 : 8, got = strnlen(t->p + 1, most);
			long code;

			memcpy(digits, t->p + 1, got);
			code = strtol(digits, NULL, 16);
			buf_putc(text, (char)(code > 0 && code < 0x80 ? code : '?'));
			t->p += got;
		} else {
			buf_putc(text, strchr("\"\\", *t->p) ? *t->p : ' ');
		}
	}
	return false;
}

/* "[tool.license]": what follows stands under it. */
static void toml_header(struct toml *t)
{
	size_t n = strcspn(t->p, "\n");

	t->of_licence[0] = t->is_of_licence = names_a_licence(t->p, n);
	t->p += n;
}

/* A mark that opens or closes a list or inline table, or stands between its members. */
static void toml_mark(struct toml *t)
{
	char c = *t->p++;

	if (c == '=') {
		t->is_of_licence = t->of_licence[t->depth] || t->key_is;
		t->key_is = false;
	} else if (c == '[' || c == '{') {
		if (t->depth + 1 < DATA_DEPTH)
			t->of_licence[++t->depth] = t->is_of_licence;
		else
			t->d->is_cut = true;
	} else if (c == ']' || c == '}') {
		t->depth -= t->depth > 0;
		t->is_of_licence = t->of_licence[t->depth];
	} else if (c == ',' || (c == '\n' && !t->depth)) {
		t->is_of_licence = t->of_licence[t->depth];
		t->key_is = false;
	}
}

static bool toml_value(struct toml *t)
{
	own(buf) struct buf text;

	buf_init(&text, DATA_BYTES_MAX);
	if (!toml_string(t, &text) || buf_failed(&text))
		return false;
	if (text.data)
		t->key_is |= names_a_licence(text.data, text.len);
	t->p += strspn(t->p, " \t");
	if (*t->p != '=' && *t->p != '.' && text.data)
		add_value(t->d, t->is_of_licence, text.data, text.len);
	return true;
}

static bool read_toml(struct data *d, const char *text)
{
	struct toml t = { .d = d, .p = text, .begins_line = true };

	while (*t.p) {
		size_t n = strspn(t.p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

		if (n) {
			t.key_is |= names_a_licence(t.p, n);
			t.p += n;
		} else if (*t.p == '#') {
			t.p += strcspn(t.p, "\n");
			continue;
		} else if (*t.p == '[' && t.begins_line && !t.depth) {
			toml_header(&t);
		} else if (*t.p == '"' || *t.p == '\'') {
			if (!toml_value(&t))
				return false;
		} else if (!strchr(" \t\r", *t.p)) {
			t.begins_line = *t.p == '\n';
			toml_mark(&t);
			continue;
		} else {
			t.p++;
			continue;
		}
		t.begins_line = false;
	}
	return true;
}

/* --- a file ----------------------------------------------------------------------------------------------------------------------- */

/* The text without the mark of its encoding, and of two bytes a character the ones that are ASCII. */
static void decode(struct buf *out, const char *text, size_t n)
{
	static const char *const marks[] = { "\xef\xbb\xbf", "\xff\xfe", "\xfe\xff" };

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (n >= strlen(marks[i]) && !memcmp(text, marks[i], strlen(marks[i]))) {
			text += strlen(marks[i]);
			n -= strlen(marks[i]);
			break;
		}
	for (const char *end = text + n, *nul; text < end; text = nul + 1) {
		nul = memchr(text, 0, (size_t)(end - text));
		nul = nul ? nul : end;
		buf_add(out, text, (size_t)(nul - text));
	}
}

static bool is_page(const char *path, const char *text)
{
	text += strspn(text, " \t\r\n");
	return is_kind(path, (const char *const[]){ "html", "htm", "xhtml", NULL }) || !strncasecmp(text, "<!doctype html", 14) || !strncasecmp(text, "<html", 5);
}

/* What is data is read as such, and its text too. NULL, or why not all of it is read. */
static const char *read_data(const char *path, const struct buf *text, struct buf *out)
{
	struct data d = { .out = out };
	bool is_read = true;

	if (licence_is_data(path) && text->len > LICENCE_TEXT_MAX)
		return says_more;
	if (is_page(path, text->data))
		return licence_read_page(out, text->data) ? NULL : "has parts without an end, so nobody has read all of it";
	buf_add(out, text->data, text->len);
	if (is_kind(path, (const char *const[]){ "json", NULL }))
		is_read = read_json(&d, path, text->data, text->len);
	else if (is_kind(path, (const char *const[]){ "yaml", "yml", NULL }))
		is_read = read_yaml(&d, path, text->data, text->len);
	else if (is_kind(path, (const char *const[]){ "toml", NULL }))
		is_read = read_toml(&d, text->data);
	return d.is_cut ? says_more : is_read ? NULL : "is not what its name says, so nobody has read all of it";
}

void licence_read_file(const char *path, const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	struct licence_text t = *out;
	own(arena) struct arena scratch;
	own(buf) struct buf plain, all;
	const char *unread;

	arena_init(&scratch);
	buf_init(&plain, DATA_BYTES_MAX);
	buf_init(&all, DATA_BYTES_MAX);
	decode(&plain, text, n);
	unread = read_data(path, &plain, &all);
	if (buf_failed(&plain) || buf_failed(&all))
		t.unread = says_more;
	else if (unread && !t.unread)
		t.unread = unread;
	licence_read_within(all.data, all.len, &scratch, &t);
	if (licence_is_agreement(path) && !t.recognised && t.notice && !*t.notice)
		licence_read_agreement(all.data, &scratch, &t);
	licence_keep(&t, a, out);
}
