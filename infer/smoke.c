/* smoke.c - the course of one smoke test; see smoke.h. Judging is judge.c, the JSON smoke_json.c. */
#include "infer/smoke.h"

#include <math.h>
#include <stdarg.h>
#include <time.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/agree.h"
#include "infer/kind.h"
#include "infer/reference.h"
#include "infer/sample.h"
#include "infer/sandbox.h"
#include "infer/survey.h"
#include "infer/texts.h"

#define GREEDY_BYTES 4000000000ull	/* of weights that the short continuation may read in all */
#define GREEDY_MIN   8			/* fewer tokens than this say nothing */
#define PROMPT_WORDS 4

struct test {
	struct smoke *s;
	const struct smoke_options *o;
	struct model model;
	struct tokenizer *tokenizer;
	const struct ops *op;
	struct backend *be;
	struct err *e;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *smoke_verdict_name(enum smoke_verdict v)
{
	static const char *const names[] = { "pass", "not_run", "fail", "error" };

	return names[v];
}

void smoke_reason(struct smoke *s, enum smoke_verdict at_least, const char *fmt, ...)
{
	bool worse = at_least > s->verdict;
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->verdict = worse ? at_least : s->verdict;
	s->unsound |= at_least == SMOKE_FAIL && !s->judging;
	if (s->n_reasons == SMOKE_REASONS_MAX)
		return;
	if (worse)		/* what decides is said first */
		memmove(s->reasons + 1, s->reasons, s->n_reasons * sizeof(*s->reasons));
	s->reasons[worse ? 0 : s->n_reasons] = mem_strdup(str_printable(text));
	s->n_reasons++;
}

const char *smoke_structure(bool surveyed, bool unsound)
{
	return unsound ? "fail" : surveyed ? "pass" : NULL;
}

/* Whose fault an error is: the checkpoint's, nobody's, or ours. */
static void reason_of(struct smoke *s, int rc, const struct err *e)
{
	switch (rc) {
	case ERR_INPUT:
	case ERR_MISMATCH:
		smoke_reason(s, SMOKE_FAIL, "%s", e->msg);
		break;
	case ERR_UNSUPPORTED:
		smoke_reason(s, SMOKE_NOT_RUN, "%s%s", str_starts(e->msg, "not run: ") ? "" : "not run: ", e->msg);
		break;
	case ERR_NOT_FOUND:
		smoke_reason(s, SMOKE_NOT_RUN, "not run: %s", e->msg);
		break;
	default:
		smoke_reason(s, SMOKE_ERROR, "%s", e->msg);
	}
}

static int open_cpu(struct test *t)
{
	int rc = ops_cpu_open(&t->op, &t->be, t->o->threads, t->o->isa, t->e);

	if (rc < 0)
		return rc;
	t->s->device = mem_strdup("cpu");
	t->s->isa = mem_strdup(ops_cpu_isa(t->be));
	if (asprintf(&t->s->path, "%s, edition %d", t->s->isa, OPS_CPU_EDITION) < 0)
		abort();
	return 0;
}

static void take_gpu(struct test *t)
{
	const struct ops_device *d = &t->o->gpu->device;

	t->op = t->o->gpu->op;
	t->be = t->o->gpu->be;
	t->s->gpu = t->o->gpu;
	if (asprintf(&t->s->device, "cuda:%u", d->index) < 0 || asprintf(&t->s->isa, "sm_%u%u", d->major, d->minor) < 0 ||
		asprintf(&t->s->path, "%s, %s, CUDA %d", d->name, t->s->isa, d->cuda_runtime) < 0)
		abort();
}

static int open_device(struct test *t)
{
	if (t->o->device_error.code)
		return err_set(t->e, ERR_FAILED, "%s", t->o->device_error.msg);
	if (!t->o->gpu)
		return open_cpu(t);
	take_gpu(t);
	return 0;
}

/* The processor's backend is the test's own; the GPU serves the next test too, which may have its weights at the same addresses. */
static void close_device(struct test *t)
{
	if (!t->be)
		return;
	t->s->peak_bytes = sandbox_rss_peak();
	if (!t->o->gpu) {
		t->op->close(t->be);
		return;
	}
	t->s->gpu_peak_bytes = t->op->peak_bytes(t->be);
	t->op->finish(t->be, NULL);
	t->op->forget(t->be);
}

int smoke_look(struct smoke *s, const struct smoke_options *o, struct err *e)
{
	struct test t = { .s = s, .o = o, .e = e };
	int rc = open_device(&t);

	close_device(&t);
	return rc;
}

static int open_tokenizer(struct test *t, int dirfd)
{
	int rc = t->model.gguf ? tokenizer_open_gguf(&t->tokenizer, t->model.weights.parts[0].gguf, t->e) : tokenizer_open(&t->tokenizer, dirfd, t->e);

	return rc < 0 ? err_wrap(t->e, "tokenizer") : 0;
}

static int check_references(struct test *t)
{
	int rc = 0;

	t->s->wanted_tokens = texts_wanted(t->s, &t->model, t->o);
	for (size_t i = 0; rc == 0 && !t->o->chunk && i < t->o->n_references; i++)
		rc = reference_check(t->s, &t->o->references[i], texts_length(t->s, &t->model, t->o), t->e);
	return rc;
}

static int open_all(struct test *t, int dirfd, const char *file, struct report *r)
{
	uint32_t n_tokens = t->o->chunk ? t->o->chunk : 512;	/* how far positions go, for families with two rotation tables */
	const char *task;
	int rc = model_open(&t->model, dirfd, file, n_tokens, r, t->e);

	if (rc < 0)
		return rc;
	t->s->architecture = t->model.family->name;
	t->s->n_params = t->model.n_params;
	t->s->size = t->model.size;
	for (size_t i = 0; i < t->model.weights.n; i++)
		t->s->weight_bytes += t->model.weights.tensors[i].bytes;
	task = t->model.spec->task ? t->model.spec->task : kind_embeds(dirfd, &t->model);
	if (task)	/* its structure is seen to; what it would say next means nothing */
		return err_set(t->e, ERR_UNSUPPORTED, "not run: task %s", task);
	rc = open_tokenizer(t, dirfd);
	if (rc < 0)
		return rc;
	agree_token_ids(t->s, &t->model, t->tokenizer, dirfd, r);
	rc = agree_tie(t->s, &t->model, r, t->e);
	if (rc == 0)
		rc = texts_encode(t->s, &t->model, t->tokenizer, t->o, t->e);
	if (rc == 0)
		rc = check_references(t);
	if (rc == 0)
		rc = spec_reach(t->model.spec, texts_length(t->s, &t->model, t->o), t->e);
	return rc < 0 ? rc : open_device(t);
}

static void tell_layer(void *ctx, uint32_t layer, uint32_t n_layers)
{
	tell(ctx, "test", layer, n_layers);
}

static int run_text(struct test *t)
{
	struct smoke_texts x own(smoke_texts) = { 0 };
	own(mem) struct ops_tally *tally = NULL;
	own(mem) struct ops_measure *layers = mem_zalloc((t->model.spec->n_layer + 1) * sizeof(*layers));
	struct model_batch batch = { 0 };
	struct model_output out = { .layers = layers };
	double start;
	int rc = texts_make(&x, t->s, &t->model, t->tokenizer, t->o, t->e);

	if (rc < 0)
		return rc;
	out.tally = tally = mem_zalloc(x.n * sizeof(*tally));
	batch = (struct model_batch){ .ids = x.ids, .targets = x.targets, .n = x.n, .seqs = x.seqs, .n_seqs = x.n_seqs, .half = t->o->chunk != 0,
		.progress = tell_layer, .ctx = t->o->tell };
	start = now_s();
	rc = model_forward(&t->model, t->op, t->be, &batch, &out, t->e);
	if (rc < 0)
		return rc;
	t->s->forward_s = now_s() - start;
	t->s->tokens_per_s = x.n / t->s->forward_s;
	judge_forward(t->s, t->model.spec, tally, layers, &x);
	if (t->o->chunk)
		t->s->bits_per_byte = t->s->loss * (double)t->s->n_tokens / log(2) / (double)t->o->n_text;
	return 0;
}

/* The first words of the text, without what ends the last of them. */
static size_t prompt_length(const char *text, size_t n)
{
	size_t at = 0;

	for (int words = 0; words < PROMPT_WORDS && at < n; words++) {
		while (at < n && (text[at] == ' ' || text[at] == '\n'))
			at++;
		while (at < n && text[at] != ' ' && text[at] != '\n')
			at++;
	}
	while (at > 0 && strchr(" ,.;:!?\n", text[at - 1]))
		at--;
	return at;
}

/* One step: the ids not yet in the cache go in, the best next id comes out; -1 where no logit is the best. */
static int next_id(struct test *t, struct model_cache *cache, const int32_t *ids, uint32_t n, int32_t *best)
{
	struct model_seq seq = { .n = n, .position = cache->n };
	own(mem) struct ops_tally *tally = mem_zalloc(n * sizeof(*tally));
	own(mem) struct ops_measure *layers = mem_zalloc((t->model.spec->n_layer + 1) * sizeof(*layers));
	struct model_batch batch = { .ids = ids, .n = n, .seqs = &seq, .n_seqs = 1, .cache = cache, .head_from = n - 1 };
	struct model_output out = { .tally = tally, .layers = layers };

	int rc = model_forward(&t->model, t->op, t->be, &batch, &out, t->e);

	if (rc == 0)
		*best = tally[n - 1].bad > 0 ? -1 : (int32_t)tally[n - 1].top;
	return rc;
}

/* What the model says next: the prompt's tokens and up to SMOKE_GREEDY_TOKENS more, as text. Only a run that fails is an error. */
static int run_greedy(struct test *t)
{
	uint64_t affordable = t->op->resident(t->be) ? SMOKE_GREEDY_TOKENS : GREEDY_BYTES / (t->s->weight_bytes + 1);
	uint32_t want = affordable < SMOKE_GREEDY_TOKENS ? (uint32_t)affordable : SMOKE_GREEDY_TOKENS, room;
	own(mem) int32_t *prompt = NULL, *ids = NULL;
	struct model_cache cache = { 0 };
	struct buf text own(buf);
	size_t n = 0, fed = 0, first;
	double start = 0;
	int rc = 0;

	buf_init(&text, TOKEN_TEXT_MAX_BYTES);
	if (want < GREEDY_MIN || tokenizer_encode(t->tokenizer, t->o->text, prompt_length(t->o->text, t->o->n_text), &prompt, &n, t->e) < 0 || n == 0)
		return 0;
	room = (uint32_t)n + want;
	if (room > t->model.spec->n_ctx || room > MODEL_TOKENS_MAX)
		return 0;
	ids = mem_zalloc(room * sizeof(*ids));
	memcpy(ids, prompt, n * sizeof(*ids));
	first = n;
	model_cache_open(&cache, &t->model, t->op, t->be, room);
	while (n < room) {
		int32_t id = -1;

		rc = next_id(t, &cache, ids + fed, (uint32_t)(n - fed), &id);
		if (n == first)
			start = now_s();	/* the prompt has gone in */
		if (rc < 0 || id < 0 || id == tokenizer_eos(t->tokenizer))
			break;
		fed = n;
		ids[n++] = id;
	}
	if (n > first + 1)
		t->s->decode_tokens_per_s = (double)(n - first - 1) / (now_s() - start);
	model_cache_close(&cache, &t->model, t->op, t->be);
	if (rc == 0 && tokenizer_decode(t->tokenizer, ids, n, &text, NULL) == 0)
		t->s->greedy_text = buf_take(&text);
	return rc;
}

static int run_all(struct test *t, int dirfd, const char *file, struct report *r)
{
	double start = now_s();
	int rc;

	tell(t->o->tell, "open", 0, 0);
	t->s->side = t->o->side;
	rc = t->o->side ? err_set(t->e, ERR_UNSUPPORTED, "not run: no model by itself") : kind_not_run(t->s, dirfd, file, t->o->beside, t->e);
	if (rc == 0)
		rc = open_all(t, dirfd, file, r);

	t->s->load_s = now_s() - start;
	if (rc < 0)
		return rc;
	if (t->o->no_run)
		return err_set(t->e, ERR_UNSUPPORTED, "not run: only structure and statistics were asked for");
	t->s->judging = true;
	rc = run_text(t);
	t->s->judging = false;
	if (rc == 0)
		rc = survey_run(t->s, &t->model, t->o->tell, r, t->e);
	t->s->surveyed = rc == 0;
	if (rc < 0 || t->o->chunk || !isfinite(t->s->loss))
		return rc;
	rc = sample_model(&t->model, t->s->weights, t->e);
	if (rc < 0)
		return rc;
	t->s->judging = true;
	references_compare(t->s, t->o->references, t->o->n_references, r);
	t->s->judging = false;
	tell(t->o->tell, "write", 0, 0);
	return run_greedy(t);
}

void smoke_begin(struct smoke *s, const char *file)
{
	*s = (struct smoke){ .file = mem_strdup(file), .loss = NAN, .perplexity = NAN, .bits_per_byte = NAN, .loss_shuffled = NAN, .loss_near = NAN,
		.loss_far = NAN, .loss_long = NAN, .loss_short = NAN, .entropy = NAN, .unigram = NAN, .target_logit = NAN, .load_s = NAN, .forward_s = NAN, .tokens_per_s = NAN,
		.decode_tokens_per_s = NAN };
}

void smoke_run(struct smoke *s, int dirfd, const char *file, const struct smoke_options *o, struct report *r)
{
	struct err e = ERR_NONE;
	struct test t = { .s = s, .o = o, .e = &e };
	int rc;

	smoke_begin(s, file);
	rc = run_all(&t, dirfd, file, r);
	if (rc < 0)
		reason_of(s, rc, &e);
	if (rc < 0 && s->verdict == SMOKE_NOT_RUN) {	/* what can be seen without running is still looked at */
		rc = t.model.spec ? survey_run(s, &t.model, o->tell, r, &e) : survey_unknown(s, dirfd, file, o->tell, r, &e);
		s->surveyed = rc == 0;
		if (rc < 0)
			reason_of(s, rc, &e);
		else
			smoke_reason(s, SMOKE_NOT_RUN, "all of its %llu numbers were looked at", (unsigned long long)s->n_params);
	}
	close_device(&t);
	tokenizer_free(t.tokenizer);
	model_close(&t.model);
}

void smoke_done(struct smoke *s)
{
	for (size_t i = 0; i < s->n_reasons; i++)
		free(s->reasons[i]);
	for (size_t i = 0; i < s->n_compared; i++)
		free(s->compared[i]);
	free(s->file);
	free(s->device);
	free(s->isa);
	free(s->path);
	free(s->tokens);
	free(s->greedy_text);
	free(s->layer_rms);
	free(s->layer_absmax);
	*s = (struct smoke){ 0 };
}
