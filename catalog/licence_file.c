/* licence_file.c - which files of a model say what its licence is, and what is in them that is data and no text; see licence.h. */
#include <ctype.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "verify/card.h"

#define DATA_DEPTH     16
#define DATA_BYTES_MAX (64u << 20)

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
	static const char *const kinds[] = { "txt", "md", "rst", NULL };
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

/* Every string, on lines of its own, and the ids of licences as texts have them. */
static void flatten(struct buf *out, const char *key, const json_t *v, int depth)
{
	const json_t *item;
	const char *name, *id;
	json_t *member;
	size_t i;

	if (json_is_string(v)) {
		buf_add(out, "\n", 1);
		buf_add(out, json_string_value(v), json_string_length(v));
		id = key && names_a_licence(key) ? licence_normalise(json_string_value(v)) : NULL;
		if (id)
			buf_printf(out, "\nSPDX-License-Identifier: %s\n", id);
	}
	if (depth == DATA_DEPTH)
		return;
	json_array_foreach (v, i, item)
		flatten(out, key, item, depth + 1);
	json_object_foreach ((json_t *)v, name, member)
		flatten(out, name, member, depth + 1);
}

void licence_read_file(const char *path, const char *text, size_t n, struct arena *a, struct licence_text *out)
{
	bool is_json = str_ends(path, ".json"), is_yaml = str_ends(path, ".yaml") || str_ends(path, ".yml");
	own(json) json_t *doc = is_json ? json_parse_lax(text, n, path, NULL) : is_yaml ? yaml_parse(text, n, YAML_LAX, path, NULL) : NULL;
	own(buf) struct buf all;

	buf_init(&all, DATA_BYTES_MAX);
	if (doc) {
		buf_add(&all, text, n);
		flatten(&all, NULL, doc, 0);
	}
	if (buf_failed(&all))
		out->unread = "says more than is read of data, so nobody has read it";
	licence_read_text(doc ? all.data : text, doc ? all.len : n, a, out);
}
