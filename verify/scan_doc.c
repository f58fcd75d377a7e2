/*
 * scan_doc.c - JSON documents and chat templates: strict text, and what in them makes a loader run code.
 * Rules: json.depth json.duplicate json.control json.utf8 json.syntax, flags json.number json.large; flags code.auto_map
 * code.auto_map_remote code.custom_pipeline; flags template.attr template.dunder template.loop template.import.
 */
#include <ctype.h>

#include "base/json.h"
#include "base/str.h"
#include "verify/scan_parts.h"

#define JSON_MAX_BYTES ((uint64_t)128 << 20)
#define LOOP_DIGITS    7	/* range(1000000) and up */

/* ---- templates ---- */

static bool has(const char *text, size_t n, const char *what)
{
	return memmem(text, n, what, strlen(what)) != NULL;
}

/* `|attr`, `| attr` or `attr(`, and the escapes that spell an underscore for it. */
static bool has_attr(const char *p, size_t n)
{
	const char *at = p, *end = p + n;

	if (has(p, n, "\\x5f") || has(p, n, "\\137") || has(p, n, "\\u005f") || has(p, n, "\\x5F") || has(p, n, "\\u005F"))
		return true;
	while ((at = memmem(at, (size_t)(end - at), "attr", 4))) {
		const char *before = at;

		while (before > p && isspace((unsigned char)before[-1]))
			before--;
		if (before > p && before[-1] == '|')
			return true;
		at += 4;
	}
	return false;
}

/* __word__, or a dunder that a template puts together from pieces. */
static bool has_dunder(const char *p, size_t n)
{
	for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), "__", 2)); at += 2) {
		const char *q = at + 2;

		while (q < p + n && isalpha((unsigned char)*q))
			q++;
		if (q > at + 2 && (size_t)(p + n - q) >= 2 && q[0] == '_' && q[1] == '_')
			return true;
	}
	return has(p, n, "'__'") || has(p, n, "\"__\"");
}

static bool has_loop(const char *p, size_t n)
{
	for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), "range", 5)); at += 5) {
		size_t digits = 0;
		const char *q = at + 5;

		while (q < p + n && (isspace((unsigned char)*q) || *q == '('))
			q++;
		for (; q < p + n && *q != ')'; q++) {
			digits = isdigit((unsigned char)*q) ? digits + 1 : *q == '_' ? digits : 0;
			if (digits >= LOOP_DIGITS || (*q == '*' && q > at + 6 && q[-1] == '*'))
				return true;
		}
	}
	return false;
}

static bool has_import(const char *p, size_t n)
{
	static const char *const words[] = { "import", "include", "extends", "from" };

	for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), "{%", 2)); at += 2) {
		const char *q = at + 2;

		while (q < p + n && (*q == '-' || *q == '+' || isspace((unsigned char)*q)))
			q++;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if ((size_t)(p + n - q) > strlen(words[i]) && !memcmp(q, words[i], strlen(words[i])) && isspace((unsigned char)q[strlen(words[i])]))
				return true;
	}
	return false;
}

void scan_template(const char *text, size_t n, struct report *r)
{
	if (has_attr(text, n))
		report_flag(r, "template.attr", "the chat template reaches attributes by name");
	if (has_dunder(text, n))
		report_flag(r, "template.dunder", "the chat template uses Python's inner names (__…__)");
	if (has_loop(text, n))
		report_flag(r, "template.loop", "the chat template counts to a million or more");
	if (has_import(text, n))
		report_flag(r, "template.import", "the chat template loads another");
}

/* ---- configuration ---- */

static void inspect_templates(const json_t *t, struct report *r)
{
	const char *key;
	const json_t *v;

	if (json_is_string(t))
		scan_template(json_string_value(t), json_string_length(t), r);
	for (size_t i = 0; i < json_array_size(t); i++) {
		const json_t *one = json_object_get(json_array_get(t, i), "template");

		if (json_is_string(one))
			scan_template(json_string_value(one), json_string_length(one), r);
	}
	json_object_foreach((json_t *)(uintptr_t)t, key, v)
		if (json_is_string(v))
			scan_template(json_string_value(v), json_string_length(v), r);
}

/* "file.Class", "other/repo--file.Class", or a list of those (slow and fast tokenizer). */
static void inspect_auto_map(const json_t *v, struct report *r)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; i < json_array_size(v); i++)
		inspect_auto_map(json_array_get(v, i), r);
	if (s && strstr(s, "--"))
		report_flag(r, "code.auto_map_remote", "it loads code from another repository: %.200s", s);
	else if (s)
		report_flag(r, "code.auto_map", "it loads code of its own: %.200s", s);
}

/* Where diffusers lists a pipeline's parts, whatever else is in it. In a part's own configuration two words are two words. */
static bool is_pipeline(const char *name)
{
	const char *slash = strrchr(name, '/');

	name = slash ? slash + 1 : name;
	return strcmp(name, "model_index.json") == 0 || strcmp(name, "modular_model_index.json") == 0;
}

/* The modules of diffusers.pipelines, 0.11 to 0.42: it takes its own first. (One too old for it may take a file beside, which is flagged as code.) */
static const char pipelines[] =
	" ace_step allegro alt_diffusion amused animatediff anyflow audio_diffusion audioldm audioldm2 aura_flow blip_diffusion bria bria_fibo "
	"bria_fibo2 chroma chronoedit cogvideo cogview3 cogview4 consisid consistency_models controlnet controlnet_hunyuandit controlnet_sd3 "
	"controlnet_xs cosmos dance_diffusion ddim ddpm deepfloyd_if diffusion_gemma dit dreamlite easyanimate ernie_image flux flux2 glm_image "
	"helios hidream_image hunyuan_image hunyuan_video hunyuan_video1_5 hunyuandit i2vgen_xl ideogram4 joyimage kandinsky kandinsky2_2 "
	"kandinsky3 kandinsky5 kandinsky6 kolors krea2 latent_consistency_models latent_diffusion latent_diffusion_uncond latte ledits_pp llada2 "
	"longcat_audio_dit longcat_image ltx ltx2 lucy lumina lumina2 marigold mochi motif_video musicldm nucleusmoe_image omnigen ovis_image pag "
	"paint_by_example pia pixart_alpha pndm prx qwenimage qwenimage21 repaint rfd4_proteina sana sana_video sana_wm score_sde_ve "
	"semantic_stable_diffusion shap_e skyreels_v2 spectrogram_diffusion stable_audio stable_audio_3 stable_cascade stable_diffusion "
	"stable_diffusion_3 stable_diffusion_attend_and_excite stable_diffusion_diffedit stable_diffusion_gligen stable_diffusion_k_diffusion "
	"stable_diffusion_ldm3d stable_diffusion_panorama stable_diffusion_safe stable_diffusion_sag stable_diffusion_variants stable_diffusion_xl "
	"stable_video_diffusion stochastic_karras_ve t2i_adapter text_to_video_synthesis unclip unidiffuser versatile_diffusion visualcloze "
	"vq_diffusion wan wuerstchen z_image ";

/* Is the library none that an installed program brings (of optimum, modules within it)? diffusers then looks for a file of that name in the part's folder. */
static bool is_module_of_its_own(const char *library)
{
	static const char *const known[] = { "diffusers", "transformers", "onnxruntime", "onnxruntime.training", "optimum" };
	char word[64];

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(library, known[i]) == 0)
			return false;
	if (str_starts(library, "optimum."))
		return false;
	return strchr(library, ' ') || (size_t)snprintf(word, sizeof(word), " %s ", library) >= sizeof(word) || !strstr(pipelines, word);
}

/* [library, class], in a modular pipeline with an object that says where from. The pipeline's own class is named so, too, when it is none of the library's. */
static bool is_part(const json_t *v)
{
	return json_is_string(json_array_get(v, 0)) && json_is_string(json_array_get(v, 1)) &&
	       (json_array_size(v) == 2 || (json_array_size(v) == 3 && json_is_object(json_array_get(v, 2))));
}

static void inspect_pipeline(const json_t *j, struct report *r)
{
	const char *key;
	const json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v) {
		const char *library = json_string_value(json_array_get(v, 0));

		if (is_part(v) && (strcmp(key, "_class_name") == 0 || is_module_of_its_own(library)))
			report_flag(r, "code.custom_pipeline", "its part %.100s comes from a module of its own: %.100s", key, library);
	}
}

static void inspect_config(const json_t *j, struct report *r)
{
	const char *key;
	const json_t *v;

	json_object_foreach(json_object_get(j, "auto_map"), key, v)
		inspect_auto_map(v, r);
	json_object_foreach(json_object_get(j, "custom_pipelines"), key, v)
		report_flag(r, "code.custom_pipeline", "it brings a pipeline of its own: %.200s", key);
	inspect_templates(json_object_get(j, "chat_template"), r);
}

/* ---- JSON ---- */

/* jansson's sentences, by what they mean here. */
static const struct {
	const char *words, *rule;
	enum report_severity severity;
} problems[] = {
	{ "nested deeper", "json.depth", REPORT_REJECT },	{ "duplicate object key", "json.duplicate", REPORT_REJECT },
	{ "control character", "json.control", REPORT_REJECT }, { "unable to decode", "json.utf8", REPORT_REJECT },
	{ "nvalid Unicode", "path.surrogate", REPORT_REJECT },	{ "too big integer", "json.number", REPORT_FLAG },
	{ "too big negative", "json.number", REPORT_FLAG },	{ "real number overflow", "json.number", REPORT_FLAG },
};

/* Files that a loader reads. Of others (training logs with NaN in them) bad JSON is only an oddity. */
static bool is_loaded(const char *name)
{
	static const char *const suffixes[] = { "config.json", "tokenizer.json", "index.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
						"chat_template.json", "modules.json", "params.json" };

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return true;
	return false;
}

static void report_problem(const char *name, const char *msg, struct report *r)
{
	const char *rule = "json.syntax";
	enum report_severity severity = is_loaded(name) ? REPORT_REJECT : REPORT_FLAG;

	for (size_t i = 0; i < ARRAY_LEN(problems); i++)
		if (strstr(msg, problems[i].words)) {
			rule = problems[i].rule;
			severity = problems[i].severity;
			break;
		}
	if (severity == REPORT_REJECT)
		report_reject(r, rule, name, NULL, "%.400s", msg);
	else
		report_flag(r, rule, "%.400s", msg);
}

void scan_json(const struct scan *in, struct bytes *b)
{
	own(buf) struct buf text;
	own(json) json_t *j = NULL;
	struct err e = ERR_NONE;
	const json_t *first;

	buf_init(&text, JSON_MAX_BYTES);
	if (b->size > JSON_MAX_BYTES) {
		report_flag(in->r, "json.large", "a document of %llu bytes", (unsigned long long)b->size);
		return;
	}
	for (uint64_t at = 0; at < b->size; at += BYTES_WINDOW) {
		size_t n = b->size - at < BYTES_WINDOW ? (size_t)(b->size - at) : BYTES_WINDOW;
		const uint8_t *p = bytes_at(b, at, n);

		if (p)
			buf_add(&text, p, n);
	}
	j = json_parse_python(text.data, text.len, in->name, &e);
	if (!j) {
		report_problem(in->name, e.msg, in->r);
		return;
	}
	inspect_config(j, in->r);
	if (is_pipeline(in->name))
		inspect_pipeline(j, in->r);
	first = json_array_get(j, 0);
	if (json_object_get(first, "path") && json_object_get(first, "type") && json_object_get(first, "oid"))
		scan_tree(j, in->r);
}
