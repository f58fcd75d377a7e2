/* licence_file.c - which files of a model say what its licence is, and what is in them that is data and no text; see licence.h. */
#include <ctype.h>

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
#define DATA_BYTES_MAX (64u << 20)
#define KEY_MAX	       64
#define ENTITY_MAX     10
#define TAG_MAX	       4096

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

/* Does it lie in a folder of licence texts, as in LICENSES/Apache-2.0.txt of REUSE? */
static bool in_folder_of_texts(const char *path)
{
	static const char *const folders[] = { "licenses", "licences", "license", "licence", NULL };

	for (const char *end; (end = strchr(path, '/')); path = end + 1)
		if (one_of(path, (size_t)(end - path), folders))
			return strcasecmp(base_name(end), "README.md") != 0;
	return false;
}

bool licence_is_text_path(const char *path)
{
	static const char *const starts[] = { "license", "licence", "copying", "notice", "use_policy", "unlicense" };
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
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (!strncasecmp(name, starts[i], strlen(starts[i])))
			return true;
	return stem > 7 && (!strncasecmp(name + stem - 7, "license", 7) || !strncasecmp(name + stem - 7, "licence", 7));
}

bool licence_is_main_text(const char *path)
{
	static const char *const names[] = { "license", "licence", "copying", NULL };
	static const char *const kinds[] = { "txt", "md", "rst", "html", "htm", NULL };
	const char *dot = strrchr(path, '.');

	return one_of(path, dot ? (size_t)(dot - path) : strlen(path), names) && (!dot || one_of(dot + 1, strlen(dot + 1), kinds));
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
	const char *name = base_name(path);

	if (has_word(name, "code") || has_word(name, "third") || strcasestr(name, "thirdparty"))
		return true;
	for (const char *end; (end = strchr(path, '/')); path = end + 1)
		if (one_of(path, (size_t)(end - path), places))
			return true;
	return false;
}

/* --- what a card links to --------------------------------------------------------------------------------------------------------- */

/* "blob/main/docs/LICENSE" to "docs/LICENSE"; NULL for another page. */
static const char *skip_revision(const char *at)
{
	static const char *const pages[] = { "blob/", "raw/", "resolve/" };

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		const char *slash = str_starts(at, pages[i]) ? strchr(at + strlen(pages[i]), '/') : NULL;

		if (slash)
			return slash + 1;
	}
	return NULL;
}

const char *licence_link_path(const char *link, const char *repo, struct arena *a)
{
	const char *at = card_skip_host(link), *page;
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

static bool names_a_licence(const char *key)
{
	static const char *const keys[] = { "license", "licence", "spdx", "spdx_id", "spdxid", "license_id", "licenseid", "identifier", "id", "name", "type", NULL };

	return one_of(key, strlen(key), keys);
}

/* A string, on a line of its own, and as texts have it where it is the id of a licence. */
static void add_value(struct buf *out, const char *key, const char *value, size_t n)
{
	own(mem) char *copy = mem_strndup(value, n);
	const char *id = key && names_a_licence(key) ? licence_normalise(copy) : NULL;

	buf_putc(out, '\n');
	buf_add(out, value, n);
	if (id)
		buf_printf(out, "\nSPDX-License-Identifier: %s\n", id);
}

static void flatten(struct buf *out, const char *key, const json_t *v, int depth)
{
	const json_t *item;
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(v))
		add_value(out, key, json_string_value(v), json_string_length(v));
	if (depth == DATA_DEPTH)
		return;
	json_array_foreach (v, i, item)
		flatten(out, key, item, depth + 1);
	json_object_foreach ((json_t *)v, name, member)
		flatten(out, name, member, depth + 1);
}

/* Copies the key in front of '=' without quotes and what it is a part of: "project.license" is "license". False: no key stands there. */
static bool toml_key(const char *line, const char *end, char key[KEY_MAX])
{
	const char *eq = memchr(line, '=', (size_t)(end - line)), *p = line;
	size_t n = 0;

	for (; eq && p < eq && n + 1 < KEY_MAX; p++) {
		if (*p == '.')
			n = 0;
		else if (isalnum((unsigned char)*p) || *p == '_' || *p == '-')
			key[n++] = *p;
		else if (!isspace((unsigned char)*p) && *p != '"' && *p != '\'')
			return false;
	}
	key[n] = 0;
	return eq && p == eq && n;
}

/* Line by line: every string between quotes, with the last key before it. */
static void read_toml(struct buf *out, const char *text, size_t n)
{
	char key[KEY_MAX] = "", next[KEY_MAX];

	for (const char *line = text, *stop = text + n, *end; line < stop; line = end + 1) {
		end = memchr(line, '\n', (size_t)(stop - line));
		end = end ? end : stop;
		if (toml_key(line, end, next)) {
			memcpy(key, next, sizeof(key));
			line = (const char *)memchr(line, '=', (size_t)(end - line)) + 1;
		}
		for (const char *p = line, *close; p < end; p++) {
			if (*p != '"' && *p != '\'')
				continue;
			close = memchr(p + 1, *p, (size_t)(end - p - 1));
			if (!close)
				break;
			add_value(out, key, p + 1, (size_t)(close - p - 1));
			p = close;
		}
	}
}

/* --- licences as pages ------------------------------------------------------------------------------------------------------------ */

static bool is_page(const char *path, const char *text)
{
	text += strspn(text, " \t\r\n");
	return is_kind(path, (const char *const[]){ "html", "htm", "xhtml", NULL }) || !strncasecmp(text, "<!doctype html", 14) || !strncasecmp(text, "<html", 5);
}

/* What the entity at *p stands for where that is ASCII, else a blank; *p goes behind it. */
static char read_entity(const char **p)
{
	static const struct {
		const char *name;
		char c;
	} names[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };
	const char *name = *p + 1;
	size_t n = strspn(name, "#0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	long code;

	if (!n || n > ENTITY_MAX || name[n] != ';') {
		++*p;
		return '&';
	}
	*p = name + n + 1;
	if (*name == '#') {
		code = (name[1] | 32) == 'x' ? strtol(name + 2, NULL, 16) : strtol(name + 1, NULL, 10);
		return (char)(code > 0 && code < 0x80 ? code : ' ');
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i].name) == n && !memcmp(name, names[i].name, n))
			return names[i].c;
	return ' ';
}

/* Behind the tag at p, and of a script or style sheet behind its end; NULL: no tag begins there. A comment's words are read: they may say what the licence is. */
static const char *skip_tag(const char *p, struct buf *out)
{
	static const char *const within[] = { "a", "abbr", "acronym", "b", "code", "em", "font", "i", "q", "s", "small", "span", "strong", "sub", "sup", "tt", "u", NULL };
	const char *name = p + 1 + (p[1] == '/'), *close;
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	if (!strncmp(p, "<!--", 4)) {
		buf_putc(out, '\n');
		return p + 4;
	}
	if ((!n && *name != '!' && *name != '?') || !(close = memchr(p, '>', strnlen(p, TAG_MAX))))
		return NULL;
	if (p[1] != '/' && one_of(name, n, (const char *const[]){ "script", "style", NULL })) {
		const char *end = strcasestr(close, (*name | 32) == 's' && (name[1] | 32) == 'c' ? "</script" : "</style");

		return end ? end : close + strlen(close);
	}
	if (!n || !one_of(name, n, within))
		buf_putc(out, '\n');
	return close + 1;
}

static void read_page(struct buf *out, const char *p)
{
	while (*p) {
		const char *behind = *p == '<' ? skip_tag(p, out) : NULL;

		if (behind)
			p = behind;
		else
			buf_putc(out, *p == '&' ? read_entity(&p) : *p++);
	}
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

/* What is data is read as such, and its text too. False: it is not what its name says. */
static bool read_data(const char *path, const struct buf *text, struct buf *out)
{
	bool is_json = is_kind(path, (const char *const[]){ "json", NULL }), is_yaml = is_kind(path, (const char *const[]){ "yaml", "yml", NULL });
	own(json) json_t *doc = is_json ? json_parse_lax(text->data, text->len, path, NULL) : is_yaml ? yaml_parse(text->data, text->len, YAML_LAX, path, NULL) : NULL;

	if (is_page(path, text->data)) {
		read_page(out, text->data);
		return true;
	}
	buf_add(out, text->data, text->len);
	if (doc)
		flatten(out, NULL, doc, 0);
	else if (is_kind(path, (const char *const[]){ "toml", NULL }))
		read_toml(out, text->data, text->len);
	return doc || !(is_json || is_yaml);
}

void licence_read_file(const char *path, const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	own(buf) struct buf plain, all;
	bool is_read;

	buf_init(&plain, DATA_BYTES_MAX);
	buf_init(&all, DATA_BYTES_MAX);
	decode(&plain, text, n);
	is_read = read_data(path, &plain, &all);
	if (buf_failed(&all))
		out->unread = "says more than is read of data, so nobody has read it";
	else if (!is_read && !out->unread)
		out->unread = "is not what its name says, so nobody has read all of it";
	licence_read_text(all.data, all.len, a, out);
}
