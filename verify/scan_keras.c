/*
 * scan_keras.c - the configuration inside a Keras model names the classes and functions that loading it will look up. Lambda layers
 * carry code; a module other than Keras's own imports whatever it says, even in safe mode (CVE-2025-1550, -8747, -9906).
 * Rules: keras.lambda keras.module keras.unsafe; flags keras.custom keras.config.
 */
#include "base/json.h"
#include "base/str.h"
#include "verify/scan_parts.h"
#include "verify/pickle.h"

#define H5_JSON_MAX ((size_t)8 << 20)	/* bytes of one configuration in an HDF5 file */
#define H5_TRIES    64			/* configurations that are looked at */
#define OVERLAP	    64

#define FAIL(r, rule, ...) report_reject(r, rule, "keras", NULL, __VA_ARGS__)

static bool is_keras_module(const char *m)
{
	static const char *const harmless[] = { "keras", "keras.layers", "keras.src", "keras.models", "keras.initializers", "keras.optimizers", "keras.losses",
						"keras.metrics", "keras.regularizers", "keras.constraints", "keras.activations", "keras.ops", "keras.applications",
						"keras.dtype_policies", "keras.random", "keras.quantizers", "builtins" };

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (str_starts(m, harmless[i]) && (m[strlen(harmless[i])] == 0 || (m[strlen(harmless[i])] == '.' && strcmp(harmless[i], "keras") && strcmp(harmless[i], "builtins"))))
			return true;
	return false;
}

/* Functions of Keras itself that load, save, fetch or lower its guard. */
static bool is_unsafe_class(const char *c)
{
	return strstr(c, "unsafe") || !strcmp(c, "get_file") || str_starts(c, "load_") || str_starts(c, "save_") || !strcmp(c, "eval") || !strcmp(c, "exec");
}

/* "package>Class": found among the classes that its users' own code has registered, before any module is looked at. */
static bool is_registered(const char *name)
{
	const char *sep = name ? strchr(name, '>') : NULL;

	return sep && sep > name && sep[1];
}

static void check_object(const json_t *o, struct report *r)
{
	const char *class = json_get_str(o, "class_name"), *module = json_get_str(o, "module"), *registered = json_get_str(o, "registered_name");

	if (!class)
		return;
	if (!strcmp(class, "Lambda") || !strcmp(class, "__lambda__"))
		FAIL(r, "keras.lambda", "a %s carries code", class);
	if (module && !is_keras_module(module) && (!is_registered(registered) || pickle_judge(module, class, 4) == PICKLE_DANGEROUS))
		FAIL(r, "keras.module", "it loads %.200s.%.200s", module, class);
	else if (is_unsafe_class(class))
		FAIL(r, "keras.module", "it calls %.200s%s%.200s", module ? module : "", module ? "." : "", class);
	if (!strcmp(class, "function") && module && strcmp(module, "builtins"))
		FAIL(r, "keras.module", "it loads a function of %.200s", module);
	if (registered && *registered && (!strchr(registered, '>') || !str_starts(registered, "keras")) && strcmp(registered, class))
		report_flag(r, "keras.custom", "the class %.200s is registered by somebody's own code as '%.200s'", class, registered);
	else if (strchr(class, '>'))
		report_flag(r, "keras.custom", "the class %.200s is somebody's own", class);
}

/* jansson has bounded the nesting (JSON_DEPTH_MAX), so this recursion is bounded too. */
void scan_keras_json(const json_t *j, struct report *r)
{
	const char *key;
	const json_t *v;

	if (json_is_object(j)) {
		check_object(j, r);
		json_object_foreach((json_t *)(uintptr_t)j, key, v) {
			if (!strcmp(key, "__lambda__") || (!strcmp(key, "class_name") && json_is_array(v)))
				FAIL(r, "keras.lambda", "a lambda carries code");
			scan_keras_json(v, r);
		}
	}
	for (size_t i = 0; i < json_array_size(j); i++)
		scan_keras_json(json_array_get(j, i), r);
}

/* ---- HDF5: the configuration is text in an attribute; the file's own structure is not followed. ---- */

/* Looking for the end of a JSON object, piece by piece. */
struct ending {
	size_t at, depth;
	bool in_string, escaped;
};

/* Length of the object that begins at p, or 0 when it does not end within n. */
static size_t object_length(struct ending *s, const char *p, size_t n)
{
	for (; s->at < n; s->at++) {
		char c = p[s->at];

		if (s->in_string) {
			s->in_string = s->escaped || c != '"';
			s->escaped = !s->escaped && c == '\\';
			continue;
		}
		s->in_string = c == '"';
		s->depth += c == '{';
		if (c == '}' && --s->depth == 0)
			return s->at + 1;
	}
	return 0;
}

/* The configuration that begins at `at`. Where the next search begins. */
static uint64_t inspect_object(struct bytes *b, uint64_t at, struct report *r)
{
	own(buf) struct buf text;
	own(json) json_t *j = NULL;
	struct ending s = { 0 };
	struct err e = ERR_NONE;
	size_t n = 0;

	buf_init(&text, H5_JSON_MAX);
	for (uint64_t pos = at; n == 0 && pos < b->size && text.len < H5_JSON_MAX; pos += BYTES_WINDOW / 2) {
		size_t take = b->size - pos < BYTES_WINDOW / 2 ? (size_t)(b->size - pos) : BYTES_WINDOW / 2;
		const uint8_t *p = bytes_at(b, pos, take);

		if (!p || buf_add(&text, p, take) < 0)
			break;
		n = object_length(&s, text.data, text.len);
	}
	if (n)
		j = json_parse_lax(text.data, n, "model_config", &e);
	if (!j) {
		report_flag(r, "keras.config", "a configuration at byte %llu can't be read", (unsigned long long)at);
		return at + 1;
	}
	scan_keras_json(j, r);
	return at + n;
}

/* Objects that name a class begin with one of these. */
static const uint8_t *next_object(const uint8_t *p, size_t n)
{
	static const char *const begins[] = { "{\"class_name\"", "{\"module\"", "{\"name\"", "{ \"class_name\"" };
	const uint8_t *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		const uint8_t *hit = memmem(p, n, begins[i], strlen(begins[i]));

		if (hit && (!first || hit < first))
			first = hit;
	}
	return first;
}

void scan_keras_h5(struct bytes *b, struct report *r)
{
	uint64_t at = 0;
	int tries = 0;

	while (at < b->size) {
		size_t n = b->size - at < BYTES_WINDOW ? (size_t)(b->size - at) : BYTES_WINDOW;
		const uint8_t *p = bytes_at(b, at, n), *hit = p ? next_object(p, n) : NULL;

		if (!p)
			return;
		if (memmem(p, n, "\"Lambda\"", 8) || memmem(p, n, "__lambda__", 10))
			FAIL(r, "keras.lambda", "a Lambda layer carries code");
		if (hit && ++tries > H5_TRIES) {
			report_flag(r, "keras.config", "more than %d configurations", H5_TRIES);
			return;
		}
		if (hit)
			at = inspect_object(b, at + (uint64_t)(hit - p), r);
		else
			at += n > OVERLAP && at + n < b->size ? n - OVERLAP : n;
	}
}
