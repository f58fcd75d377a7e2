/* agree.c - see agree.h. */
#include "infer/agree.h"

#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/config.h"

#define COMPARE_BYTES (1u << 20)

struct ids {
	struct smoke *s;
	const struct tokenizer *t;
	struct report *r;
	const char *file;
	int64_t rows;		/* of the embedding */
};

static void reject(const struct ids *x, const char *fmt, const char *key, int64_t id, int64_t rows)
{
	struct err e = ERR_NONE;

	report_path(x->r, "%s", x->file);
	report_reject(x->r, "config.token_id", x->file, &e, fmt, key, (long long)id, (long long)rows);
	smoke_reason(x->s, SMOKE_FAIL, "%s", e.msg);
}

/* One id, which may also be a list of them. Negative ones mean "none". Returns how many the tokenizer has; *n counts all. */
static size_t check_id(const struct ids *x, const char *key, const json_t *v, size_t *n)
{
	size_t known = 0;

	for (size_t i = 0; v && (i == 0 || i < json_array_size(v)); i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		int64_t id = json_is_integer(one) ? (int64_t)json_integer_value(one) : -1;

		if (id < 0)
			continue;
		++*n;
		known += tokenizer_has(x->t, id);
		if (id >= x->rows)
			reject(x, "%s %lld has no row in an embedding of %lld", key, id, x->rows);
		else if (!tokenizer_has(x->t, id)) {
			report_path(x->r, "%s", x->file);
			report_flag(x->r, "config.token_id", "%s %lld is no token of the tokenizer", key, (long long)id);
		}
	}
	return known;
}

static bool among(const json_t *v, int64_t id)
{
	for (size_t i = 0; v && (i == 0 || i < json_array_size(v)); i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;

		if (json_is_integer(one) && json_integer_value(one) == id)
			return true;
	}
	return false;
}

/* A text whose end nothing can say goes on for ever. */
static void check_end(const struct ids *x, const json_t *v, size_t n, size_t known)
{
	int32_t eos = tokenizer_eos(x->t);

	if (n && !known) {
		reject(x, "%s: none of the %lld ids is a token of the tokenizer, so no text ends (%lld rows)", "eos_token_id", (int64_t)n, x->rows);
	} else if (n && eos >= 0 && !among(v, eos)) {
		report_path(x->r, "%s", x->file);
		report_flag(x->r, "config.token_id", "eos_token_id does not hold %d, with which the tokenizer ends a text", (int)eos);
	}
}

static void check_object(const struct ids *x, const json_t *o)
{
	static const char *const keys[] = { "bos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "decoder_start_token_id", "forced_bos_token_id" };
	size_t n = 0, known;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		check_id(x, keys[i], json_object_get(o, keys[i]), &n);
	n = 0;
	known = check_id(x, "eos_token_id", json_object_get(o, "eos_token_id"), &n);
	check_end(x, json_object_get(o, "eos_token_id"), n, known);
}

static json_t *read_generation(struct ids *x, int dirfd)
{
	struct buf text own(buf);
	struct err e = ERR_NONE;
	json_t *o;

	buf_init(&text, CONFIG_MAX_BYTES);
	if (fdio_slurp(dirfd, "generation_config.json", &text, &e) < 0)
		return NULL;	/* most have none */
	o = json_parse_python(text.data, text.len, "generation_config.json", &e);
	if (!o) {
		report_path(x->r, "generation_config.json");
		report_reject(x->r, "config.json", "generation_config.json", &e, "%s", e.msg);
		smoke_reason(x->s, SMOKE_FAIL, "%s", e.msg);
	}
	return o;
}

static void check_gguf(const struct ids *x, const struct gguf *g)
{
	static const char *const keys[] = { "bos", "eos", "eot", "padding", "unknown", "separator" };
	char key[64];
	uint64_t id;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		snprintf(key, sizeof(key), "tokenizer.ggml.%s_token_id", keys[i]);
		if (gguf_u64(g, key, &id) && id != UINT32_MAX && id >= (uint64_t)x->rows)	/* all ones: none */
			reject(x, "%s %lld has no row in an embedding of %lld", key, (int64_t)(id > INT32_MAX ? INT32_MAX : id), x->rows);
	}
}

void agree_token_ids(struct smoke *s, const struct model *m, const struct tokenizer *t, int dirfd, struct report *r)
{
	struct ids x = { .s = s, .t = t, .r = r, .file = "config.json", .rows = m->spec->n_vocab };
	const json_t *text = json_object_get(m->config, "text_config");
	json_t *generation own(json) = NULL;

	if (m->gguf) {
		x.file = s->file;
		check_gguf(&x, m->weights.parts[0].gguf);
		return;
	}
	check_object(&x, m->config);
	check_object(&x, text);
	generation = read_generation(&x, dirfd);
	x.file = "generation_config.json";
	check_object(&x, generation);
}

/* ---- head and embedding ------------------------------------------------------------------------------------------- */

/* 1 the same bytes, 0 not. Most pairs that differ do so at once. */
static int same_bytes(const struct tensor *a, const struct tensor *b, struct err *e)
{
	own(mem) char *x = mem_zalloc(COMPARE_BYTES), *y = mem_zalloc(COMPARE_BYTES);

	for (uint64_t at = 0; at < a->bytes; at += COMPARE_BYTES) {
		size_t n = a->bytes - at < COMPARE_BYTES ? (size_t)(a->bytes - at) : COMPARE_BYTES;
		int rc = fdio_pread_exact(a->fd, x, n, a->at + at, a->file, e);

		if (rc == 0)
			rc = fdio_pread_exact(b->fd, y, n, b->at + at, b->file, e);
		if (rc < 0)
			return rc;
		if (memcmp(x, y, n) != 0)
			return 0;
	}
	return 1;
}

/* What writing a number in a type may change of it: a share, and that much near zero. What is not here may have scales beside it. */
static const struct precision {
	const char *type;
	double share, tiny;
} precisions[] = { { "BF16", 0x1p-7, 0x1p-126 }, { "F16", 0x1p-10, 0x1p-24 }, { "F32", 0x1p-23, 0x1p-126 }, { "F64", 0x1p-23, 0x1p-126 } };

static const struct precision *precision_of(const struct tensor *t)
{
	for (size_t i = 0; i < ARRAY_LEN(precisions); i++)
		if (strcmp(precisions[i].type, t->type_name) == 0)
			return &precisions[i];
	return NULL;
}

static bool is_rounded(double a, double b, double share, double tiny)
{
	return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= share * fmax(fabs(a), fabs(b)) + tiny;
}

/* 1 the same numbers but for the rounding of the coarser type, 0 not. Both are matrices of one shape. */
static int same_numbers(struct tensor *a, struct tensor *b, struct err *e)
{
	const struct precision *p = precision_of(a), *q = precision_of(b);
	double share = fmax(p->share, q->share), tiny = fmax(p->tiny, q->tiny);
	uint32_t rows = (uint32_t)a->shape[0], cols = (uint32_t)a->shape[1], step = cols < COMPARE_BYTES ? COMPARE_BYTES / cols : 1;
	struct weight x = weight_of(a, 0, rows, cols, false), y = weight_of(b, 0, rows, cols, false);
	own(mem) float *left = mem_zalloc((size_t)step * cols * sizeof(float)), *right = mem_zalloc((size_t)step * cols * sizeof(float));
	struct scratch s own(scratch) = { 0 };

	for (uint32_t row = 0; row < rows; row += step) {
		uint32_t n = rows - row < step ? rows - row : step;
		int rc = weight_rows(&x, row, n, left, &s, NULL, e);

		if (rc == 0)
			rc = weight_rows(&y, row, n, right, &s, NULL, e);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < (size_t)n * cols; i++)
			if (!is_rounded((double)left[i], (double)right[i], share, tiny))
				return 0;
	}
	return 1;
}

static int reject_tie(struct smoke *s, struct report *r, const struct tensor *head, const struct tensor *embed, struct err *e)
{
	report_reject(r, "plan.tied", head->file, e, "tensor %s is not %s, though the configuration ties them: what the model says depends on who loads it",
		head->name, embed->name);
	smoke_reason(s, SMOKE_FAIL, "%s", e->msg);
	return 0;
}

/* Tied, and yet there are two. */
static int check_tied(struct smoke *s, struct tensor *head, struct tensor *embed, struct report *r, struct err *e)
{
	bool comparable = precision_of(head) && precision_of(embed);
	int same;

	if (tensor_elements(head) == 0 || tensor_elements(embed) == 0)
		return 0;
	if (!comparable) {
		report_flag(r, "plan.tied", "tensor %s of type %s is there beside %s of type %s, though the configuration ties them: whether it is the same is not known",
			head->name, head->type_name, embed->name, embed->type_name);
		return 0;
	}
	if (head->rank != 2 || memcmp(head->shape, embed->shape, 2 * sizeof(*head->shape)) != 0)
		return reject_tie(s, r, head, embed, e);
	same = strcmp(head->type_name, embed->type_name) == 0 ? same_bytes(head, embed, e) : same_numbers(head, embed, e);
	if (same < 0)
		return same;
	return same ? 0 : reject_tie(s, r, head, embed, e);
}

int agree_tie(struct smoke *s, const struct model *m, struct report *r, struct err *e)
{
	struct tensor *embed = m->plan.ends.w[ROLE_EMBED].tensor, *head = m->plan.stored_head;
	int same;

	if (m->gguf || !head || head == embed)
		return 0;
	report_path(r, "%s", head->file);
	if (m->spec->tied)
		return check_tied(s, head, embed, r, e);
	if (head->bytes != embed->bytes || strcmp(head->type_name, embed->type_name) != 0)
		return 0;
	same = same_bytes(head, embed, e);
	if (same == 1)
		report_flag(r, "plan.tied", "tensor %s repeats %s byte for byte, though the configuration does not tie them", head->name, embed->name);
	return same < 0 ? same : 0;
}

#define T5 "T5Model T5For* T5WithLMHeadModel T5EncoderModel MT5Model MT5For* MT5EncoderModel UMT5Model UMT5For* UMT5EncoderModel "
#define BART "BartModel BartFor* MBartModel MBartFor* PegasusModel PegasusFor* M2M100Model M2M100For* BlenderbotModel BlenderbotFor*" \
	" BlenderbotSmallModel BlenderbotSmallFor* "
#define MARIAN "MarianModel MarianMTModel "

/* Matrices that are one in memory, of models that are not run; what comes before their names is left out. */
static const struct tie {
	const char *architectures;		/* globs, separated by blanks */
	const char *names;			/* separated by bars: each is the same as the first that is there … */
	const char *head;			/* … or only this one is; NULL: each */
	const char *key;			/* the configuration may untie them by saying that this is false; NULL: it can't */
} ties[] = {
	{ T5 BART, "shared|encoder.embed_tokens|decoder.embed_tokens", NULL, NULL },
	{ MARIAN, "shared|encoder.embed_tokens|decoder.embed_tokens", NULL, "share_encoder_decoder_embeddings" },
	{ "*T5ForConditionalGeneration T5WithLMHeadModel *BartForConditionalGeneration PegasusForConditionalGeneration M2M100ForConditionalGeneration"
		" Blenderbot*ForConditionalGeneration", "shared|encoder.embed_tokens|decoder.embed_tokens", "lm_head", "tie_word_embeddings" },
	{ "MarianMTModel", "decoder.embed_tokens", "lm_head", "tie_word_embeddings" },
	{ "WhisperForConditionalGeneration", "decoder.embed_tokens", "proj_out", "tie_word_embeddings" },
	{ "BertForMaskedLM BertForPreTraining BertLMHeadModel DebertaV2ForMaskedLM", "embeddings.word_embeddings", "cls.predictions.decoder", "tie_word_embeddings" },
	{ "RobertaForMaskedLM XLMRobertaForMaskedLM CamembertForMaskedLM MPNetForMaskedLM EsmForMaskedLM", "embeddings.word_embeddings", "lm_head.decoder",
		"tie_word_embeddings" },
	{ "AlbertForMaskedLM AlbertForPreTraining", "embeddings.word_embeddings", "predictions.decoder", "tie_word_embeddings" },
	{ "ElectraForMaskedLM", "embeddings.word_embeddings", "generator_lm_head", "tie_word_embeddings" },
	{ "DistilBertForMaskedLM", "embeddings.word_embeddings", "vocab_projector", "tie_word_embeddings" },
	{ "ModernBertForMaskedLM", "embeddings.tok_embeddings", "decoder", "tie_word_embeddings" },
};

static bool is_of(const struct tie *t, const char *architecture)
{
	const char *at = t->architectures;
	char glob[64];

	for (size_t n; *at; at += n + (at[n] == ' ')) {
		n = strcspn(at, " ");
		snprintf(glob, sizeof(glob), "%.*s", (int)n, at);
		if (n && str_glob(glob, architecture))
			return true;
	}
	return false;
}

static struct tensor *find_end(const struct weights *w, const char *module, size_t n)
{
	char name[80], end[96];

	snprintf(name, sizeof(name), "%.*s.weight", (int)n, module);
	snprintf(end, sizeof(end), ".%s", name);
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->tensors[i].name, name) == 0 || str_ends(w->tensors[i].name, end))
			return &w->tensors[i];
	return NULL;
}

static int check_one(struct smoke *s, struct tensor *one, struct tensor *first, struct report *r, struct err *e)
{
	if (!one || !first || one == first)
		return 0;
	report_path(r, "%s", one->file);
	return check_tied(s, one, first, r, e);
}

static int check_tie(struct smoke *s, const struct weights *w, const struct tie *t, struct report *r, struct err *e)
{
	struct tensor *first = NULL;
	int rc = 0;

	for (const char *at = t->names; rc == 0 && *at;) {
		size_t n = strcspn(at, "|");
		struct tensor *one = find_end(w, at, n);

		at += n + (at[n] == '|');
		first = first ? first : one;
		if (!t->head)
			rc = check_one(s, one, first, r, e);
	}
	return rc == 0 && t->head ? check_one(s, find_end(w, t->head, strlen(t->head)), first, r, e) : rc;
}

int agree_ties(struct smoke *s, const struct weights *w, const char *architecture, const json_t *config, struct report *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(ties); i++)
		if (is_of(&ties[i], architecture) && (!ties[i].key || json_get_bool(config, ties[i].key, true)))
			rc = check_tie(s, w, &ties[i], r, e);
	return rc;
}
