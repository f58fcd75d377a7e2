/* judge.c - what a forward pass must show: finite everywhere, better than chance, better than word counts, attentive to order. */
#include <math.h>

#include "base/vec.h"
#include "infer/smoke.h"

#define CHANCE_SHARE   0.8	/* of ln(vocabulary): a loss above it is no better than guessing */
#define SHUFFLED_SHARE 0.85	/* of the loss on shuffled words: above it, order means nothing to the model */
#define FAR_MAX	       0.5	/* nats that the loss may change far from the start */
#define LONG_MAX       0.25	/* nats that more context may cost */
#define ONE_TOKEN_SHARE 0.95	/* of all predictions that may be one and the same token */
#define ENTROPY_MIN    1e-4	/* nats */
#define SURE_SHARE     0.2	/* of ln(vocabulary): how much more than it expects the model may pay */
#define TOKENS_ENOUGH  32	/* for judgements over the text as a whole */

static double mean_loss(const struct ops_tally *t, uint32_t from, uint32_t to)
{
	double sum = 0;

	for (uint32_t i = from; i < to; i++)
		sum += model_loss(&t[i]);
	return to > from ? sum / (to - from) : NAN;
}

/* Loss over all but the last token of the text; over the second half of each chunk. */
static double main_loss(const struct smoke_texts *x, const struct ops_tally *t, uint32_t *n)
{
	double sum = 0;
	uint32_t at = 0;

	*n = 0;
	for (uint32_t i = 0; at < x->n_main; at += x->seqs[i++].n) {
		uint32_t len = x->seqs[i].n, from = x->n_bytes ? 0 : len / 2;

		sum += mean_loss(t + at, from, len - 1) * (len - 1 - from);
		*n += len - 1 - from;
	}
	return sum / *n;
}

static double mean_target(const struct ops_tally *t, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)t[i].target;
	return sum / n;
}

static void judge_finite(struct smoke *s, const struct smoke_texts *x, const struct ops_tally *t, const struct ops_measure *layers)
{
	for (uint32_t l = 0; l < s->n_layers; l++) {
		if (layers[l].bad > 0) {
			smoke_reason(s, SMOKE_FAIL, "%.0f values are not finite %s %u", (double)layers[l].bad, l ? "after layer" : "in the embedding, layer",
				l ? l - 1 : 0);
			return;
		}
	}
	for (uint32_t i = 0; i < x->n_main; i++) {
		if (t[i].bad > 0) {
			smoke_reason(s, SMOKE_FAIL, "%.0f logits of token %u are not finite", (double)t[i].bad, i);
			return;
		}
	}
}

static int order(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/*
 * What counting words would cost: each token's chance from the counts of the others, one added to each of the vocabulary's. (The
 * text's own entropy would be too high a bar: it knows the words, and a good model of code may know these worse than that.)
 * Also how often the most frequent id is there.
 */
static double counting_loss(int32_t *ids, uint32_t n, uint32_t n_vocab, uint32_t *longest)
{
	double sum = 0;

	*longest = 0;
	qsort(ids, n, sizeof(*ids), order);
	for (uint32_t i = 0, j; i < n; i = j) {
		for (j = i; j < n && ids[j] == ids[i]; j++)
			;
		sum -= (j - i) * log((double)(j - i) / (n - 1.0 + n_vocab));
		*longest = j - i > *longest ? j - i : *longest;
	}
	return sum / n;
}

static void judge_predictions(struct smoke *s, const struct spec *spec, const struct smoke_texts *x, const struct ops_tally *t)
{
	own(mem) int32_t *ids = mem_zalloc(x->n_main * sizeof(*ids));
	double chance = log(spec->n_vocab), entropy = 0;
	uint32_t longest;

	memcpy(ids, x->ids, x->n_main * sizeof(*ids));
	s->unigram = counting_loss(ids, x->n_main, spec->n_vocab, &longest);
	for (uint32_t i = 0; i < x->n_main; i++) {
		ids[i] = (int32_t)t[i].top;
		entropy += model_entropy(&t[i]);
	}
	s->entropy = entropy / x->n_main;
	counting_loss(ids, x->n_main, spec->n_vocab, &longest);
	if (!(s->loss < CHANCE_SHARE * chance))
		smoke_reason(s, SMOKE_FAIL, "a loss of %.3f nats a token is no better than guessing among %u tokens (%.3f)", s->loss, spec->n_vocab, chance);
	if (x->n_main < TOKENS_ENOUGH)
		return;
	if (!(s->loss < s->unigram))
		smoke_reason(s, SMOKE_FAIL, "a loss of %.3f nats a token is no better than counting words (%.3f)", s->loss, s->unigram);
	if (longest >= ONE_TOKEN_SHARE * x->n_main)
		smoke_reason(s, SMOKE_FAIL, "%u of %u predictions are one and the same token", longest, x->n_main);
	if (!(s->loss - s->entropy <= SURE_SHARE * chance))	/* who has learnt knows what he does not know; who was shuffled does not */
		smoke_reason(s, SMOKE_FAIL, "the model expects to pay %.3f nats a token and pays %.3f: parts of it do not belong together", s->entropy, s->loss);
	if (s->entropy < ENTROPY_MIN)
		smoke_reason(s, SMOKE_FAIL, "the model is certain of everything (entropy %.2g)", s->entropy);
}

/* What stands before a word helps to tell it: never the more of it the worse. Attention that looks in wrong places shows so. */
static void judge_context(struct smoke *s, const struct smoke_texts *x, const struct ops_tally *t, uint32_t at)
{
	uint32_t n = x->n_window - x->window_lead - 1;
	double with = 0, without = 0;

	for (uint32_t i = 0; i < x->n_windows; i++, at += x->n_window) {
		with += mean_loss(t, x->window_at[i], x->window_at[i] + n) / x->n_windows;
		without += mean_loss(t + at, x->window_lead, x->window_lead + n) / x->n_windows;
	}
	if (!x->n_windows)
		return;
	s->loss_long = with;
	s->loss_short = without;
	if (!(with <= without + LONG_MAX))
		smoke_reason(s, SMOKE_FAIL, "with all the text before them words cost %.3f nats a token, with %u tokens %.3f: attention looks in wrong places",
			with, x->window_lead, without);
}

/* The two controls, against the same stretch of the text. */
static void judge_controls(struct smoke *s, const struct smoke_texts *x, const struct ops_tally *t)
{
	uint32_t at = x->n_main;

	if (x->n_shuffled) {
		double near = mean_loss(t, 0, x->n_shuffled - 1);

		s->loss_shuffled = mean_loss(t + at, 0, x->n_shuffled - 1);
		if (!(near < SHUFFLED_SHARE * s->loss_shuffled))
			smoke_reason(s, SMOKE_FAIL, "words in order cost %.3f nats a token, shuffled %.3f: order should matter more", near, s->loss_shuffled);
		at += x->n_shuffled;
	}
	if (x->n_far) {
		s->loss_near = mean_loss(t, 0, x->n_far - 1);
		s->loss_far = mean_loss(t + at, 0, x->n_far - 1);
		if (!(fabs(s->loss_far - s->loss_near) <= FAR_MAX))
			smoke_reason(s, SMOKE_FAIL, "at position %u the loss is %.3f, at the start %.3f: positions are wrong", x->seqs[x->n_seqs - 1].position,
				s->loss_far, s->loss_near);
		at += x->n_far;
	}
	judge_context(s, x, t, at);
}

void judge_forward(struct smoke *s, const struct spec *spec, const struct ops_tally *tally, const struct ops_measure *layers,
	const struct smoke_texts *x)
{
	uint32_t n;

	s->n_layers = spec->n_layer + 1;
	s->layer_rms = mem_zalloc(s->n_layers * sizeof(*s->layer_rms));
	s->layer_absmax = mem_zalloc(s->n_layers * sizeof(*s->layer_absmax));
	for (uint32_t l = 0; l < s->n_layers; l++) {
		s->layer_rms[l] = sqrt((double)layers[l].sum_squares / ((double)x->seqs[0].n * spec->d_model));
		s->layer_absmax[l] = layers[l].absmax;
	}
	s->n_top1 = x->n_main < SMOKE_TOP1_MAX ? x->n_main : SMOKE_TOP1_MAX;
	for (uint32_t i = 0; i < s->n_top1; i++)
		s->top1[i] = (int32_t)tally[i].top;
	s->loss = main_loss(x, tally, &n);
	s->perplexity = exp(s->loss);
	if (x->n_main > 1)
		s->target_logit = mean_target(tally, x->n_main - 1);	/* nothing comes after the last */
	s->prompt_tokens = x->n_main;
	if (x->n_bytes)
		s->bits_per_byte = s->loss * n / log(2) / (double)x->n_bytes;
	judge_finite(s, x, tally, layers);
	if (s->verdict == SMOKE_FAIL && !isfinite(s->loss))
		return;		/* all else follows from that */
	judge_predictions(s, spec, x, tally);
	judge_controls(s, x, tally);
	if (s->verdict == SMOKE_PASS && x->n_main < TOKENS_ENOUGH)
		smoke_reason(s, SMOKE_NOT_RUN, "not run: too few tokens to judge: %u, of at least %d", x->n_main, TOKENS_ENOUGH);
}
