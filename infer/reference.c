/* reference.c - see reference.h. */
#include "infer/reference.h"

#include <math.h>
#include <stdarg.h>

#include "base/json.h"
#include "infer/same_model.h"

#define SAME_PATH_REL	 2e-6	/* one path, one precision: figures repeat but for how parts are laid out in the file */
#define OTHER_PATH_REL	 2e-4	/* another instruction set or device: other orders of adding */
#define WORSE_MAX_BITS	 0.1	/* bits a byte by which other weights may do worse */
#define TOP1_MAX_CHANGED 2	/* of 64 predictions, where neither of two is sure */

/* What a precision may cost, by bits a number of the layers' matrices (model.h): nats, and share of the residual's size. */
static const struct {
	double bits, loss, rms;
} costs[] = { { 7, 0.03, 0.05 }, { 4.9, 0.05, 0.10 }, { 3.9, 0.15, 0.25 }, { 2.3, 0.5, 0.6 },
	{ 0, 2, 2 } };	/* of so few bits little can be demanded; that the model works is the other checks' */

/*
 * Of it, what two quantisations of one model into the same types may differ by, for both are near what they were made of: small models with other scales
 * and importance matrices do by up to a sixth of the loss and an eighth of the residual (Q4_0, Q8_0). A page of another tensor costs them a twentieth to
 * three quarters, so that only less than is lost by packing anew goes through.
 */
#define ANEW_SHARE (1.0 / 3)

static double bits_a_weight(double bytes, double params)
{
	return params > 0 ? bytes * 8 / params : 32;
}

static bool tokens_differ(const struct smoke *s, const json_t *tokens)
{
	if (!json_is_array(tokens))
		return false;
	if (json_array_size(tokens) != s->n_tokens)
		return true;
	for (size_t i = 0; i < s->n_tokens; i++)
		if (json_integer_value(json_array_get(tokens, i)) != s->tokens[i])
			return true;
	return false;
}

static uint32_t top1_changed(const struct smoke *s, const json_t *top1)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_top1 && i < json_array_size(top1); i++)
		n += json_integer_value(json_array_get(top1, i)) != s->top1[i];
	return n;
}

/* The layer that differs most, and by what share. */
static double rms_change(const struct smoke *s, const json_t *rms, uint32_t *layer)
{
	double worst = 0;

	*layer = 0;
	for (uint32_t i = 0; i < s->n_layers && i < json_array_size(rms); i++) {
		double was = json_number_value(json_array_get(rms, i)), change = fabs(s->layer_rms[i] - was) / fmax(was, 1e-12);

		if (!(change <= worst)) {
			worst = change;
			*layer = i;
		}
	}
	return worst;
}

/* Is the report of a run over more or less of the same text? A loss is of its text. */
static bool has_other_length(const struct smoke *s, const json_t *report, uint32_t n)
{
	int64_t was = json_get_int(report, "prompt_tokens", n);

	return was != n && !tokens_differ(s, json_object_get(report, "tokens"));
}

/* Of weights that had a longer context once, the configuration has been changed. Another form of them may always have had a shorter one. */
static bool lost_context(const struct smoke *s, const struct smoke_reference *ref)
{
	return ref->relation == SMOKE_SAME_WEIGHTS && s->prompt_tokens < s->wanted_tokens && json_get_int(ref->report, "prompt_tokens", 0) == s->wanted_tokens;
}

struct comparison {
	struct smoke *s;
	const struct smoke_reference *ref;
	struct report *r;
	bool quiet;		/* only whether they differ is wanted */
	bool differs;
	char but[120];		/* of those that agree: what is to be known of it */
};

static void differ(struct comparison *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct comparison *c, const char *fmt, ...)
{
	char text[400], of[160] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->differs = true;
	if (c->quiet)
		return;
	if (c->ref->name)
		snprintf(of, sizeof(of), " (%.140s)", c->ref->name);
	if (c->ref->relation <= SMOKE_QUANTIZED) {
		smoke_reason(c->s, SMOKE_FAIL, "%s%s", text, of);
		return;
	}
	report_path(c->r, "%s", c->s->file);
	report_flag(c->r, "reference", "%s%s", text, of);
}

static void compare_stream(struct comparison *c, const json_t *print, double rms_max, uint32_t top1_max)
{
	const struct smoke *s = c->s;
	double change;
	uint32_t layer, n;

	change = rms_change(s, json_object_get(print, "layer_rms"), &layer);
	if (!(change <= rms_max))
		differ(c, "after layer %d the residual stream is off the reference by %.2g of its size", (int)layer - 1, change);
	n = top1_changed(s, json_object_get(print, "top1"));
	if (n > top1_max)
		differ(c, "%u of %u predictions differ from the reference", n, s->n_top1);
}

static void compare_figures(struct comparison *c, const json_t *print, double loss_max, double rms_max, uint32_t top1_max)
{
	double was = json_get_real(print, "loss", NAN);

	if (!(fabs(c->s->loss - was) <= loss_max))
		differ(c, "the loss is %.6f; the reference has %.6f and may differ by %.2g", c->s->loss, was, loss_max);
	compare_stream(c, print, rms_max, top1_max);
}

/* Padded to another length? Reports of old do not tell. */
static bool has_other_vocabulary(const struct smoke *s, const json_t *print)
{
	int64_t had = json_get_int(print, "vocab", 0);

	return had > 0 && had != s->size.vocab && isfinite(json_get_real(print, "target_logit", NAN));
}

/*
 * The same floats but for the rows that one has more: each adds to what all chances are divided by, so that the text costs more with them and never less.
 * The logits of the ids that came next know nothing of them, and are the same.
 */
static void compare_padded(struct comparison *c, const json_t *print, double rel, uint32_t top1_max)
{
	const struct smoke *s = c->s;
	double was = json_get_real(print, "loss", NAN), logit = json_get_real(print, "target_logit", NAN), rounding = rel * (fabs(logit) + was);
	long long had = json_get_int(print, "vocab", 0);
	double more = s->size.vocab > had ? s->loss - was : was - s->loss;

	if (!(more >= -rounding && more <= costs[0].loss))
		differ(c, "the loss is %.6f with %u rows in the vocabulary; the reference has %.6f with %lld, and may differ by %.2g, the one with more upwards", s->loss,
			s->size.vocab, was, had, costs[0].loss);
	if (!(fabs(s->target_logit - logit) <= rounding))
		differ(c, "the logits of the tokens that come next are %.6f on average; the reference has %.6f", s->target_logit, logit);
	compare_stream(c, print, rel, top1_max);
	snprintf(c->but, sizeof(c->but), ": the vocabulary has %u rows, and there %lld; the loss is off by %.2g nats", s->size.vocab, had, fabs(s->loss - was));
}

static double bits_of(const json_t *reference)
{
	double average = bits_a_weight(json_get_real(reference, "weight_bytes", 0), json_get_real(reference, "params", 0));

	return json_get_real(json_object_get(reference, "fingerprint"), "bits", average);
}

static bool has_weights(const json_t *report, const struct smoke *s)
{
	const char *weights = json_get_str(json_object_get(report, "fingerprint"), "weights");

	return weights && strcmp(weights, s->weights) == 0;
}

/*
 * Are the very same figures to be expected? Of the same weights always; of another form of them where both hold the same floats: matrices of 16 bits
 * do not tell that, for norms beside them may be as they were trained in one form and rounded in the other.
 */
static bool is_same_form(const struct comparison *c, const json_t *reference)
{
	double bits = bits_a_weight((double)c->s->weight_bytes, (double)c->s->n_params);
	double other = bits_a_weight(json_get_real(reference, "weight_bytes", 0), json_get_real(reference, "params", 0));
	const char *stored = json_get_str_or(json_object_get(reference, "fingerprint"), "stored", "");
	bool alike = c->s->size.stored && strcmp(stored, c->s->size.stored) == 0;

	if (c->ref->relation == SMOKE_SAME_WEIGHTS || (c->ref->relation == SMOKE_SAME && has_weights(reference, c->s)))
		return true;
	if (fabs(bits - other) >= 0.01 * other)
		return false;
	if (c->ref->relation == SMOKE_SAME && !*stored)
		return true;	/* reports of old do not tell */
	return alike && (strcmp(stored, "BF16") == 0 || strcmp(stored, "F16") == 0 || strcmp(stored, "F32") == 0);
}

/* Other numbers in tensors of the same types and sizes: quantised anew, trained further, or damaged where a sample of them shows it. */
static bool is_made_anew(const struct comparison *c, const json_t *reference)
{
	const struct smoke *s = c->s;
	const json_t *print = json_object_get(reference, "fingerprint");

	return json_get_str(print, "weights") && !has_weights(reference, s) && s->size.stored && strcmp(json_get_str_or(print, "stored", ""), s->size.stored) == 0 &&
		json_get_int(reference, "weight_bytes", -1) == (int64_t)s->weight_bytes && json_get_int(reference, "params", -1) == (int64_t)s->n_params &&
		fabs(bits_of(reference) - s->size.bits) < 1e-6;
}

/* Of other weights nothing is known but that nobody releases a model anew to make it worse. */
static void compare_other(struct comparison *c, const json_t *reference)
{
	double was = json_get_real(reference, "bits_per_byte", NAN);

	if (c->s->bits_per_byte > was + WORSE_MAX_BITS)
		differ(c, "%.3f bits a byte are worse than the %.3f of the reference, which had other weights", c->s->bits_per_byte, was);
	else if (is_made_anew(c, reference))
		snprintf(c->but, sizeof(c->but), ": other weights of the same types; %.3f bits a byte for %.3f", c->s->bits_per_byte, was);
}

static void compare_same(struct comparison *c, const json_t *reference)
{
	const struct smoke *s = c->s;
	const json_t *print = json_object_get(reference, "fingerprint");
	double bits = fmin(s->size.bits, bits_of(reference));
	const char *path = json_get_str(print, "path");
	bool same_path = path && s->path && strcmp(path, s->path) == 0, anew;
	double share;
	size_t i = 0;

	if (tokens_differ(s, json_object_get(reference, "tokens"))) {
		differ(c, "the text gives other token ids than the reference has, which is of another tokenizer or another text");
		return;
	}
	if (json_array_size(json_object_get(print, "layer_rms")) != s->n_layers) {
		differ(c, "the reference is of another kind of model: it %s", same_model(s, reference).why);
		return;
	}
	if (is_same_form(c, reference)) {
		double rel = same_path ? SAME_PATH_REL : OTHER_PATH_REL;
		uint32_t changed = same_path ? 0 : TOP1_MAX_CHANGED;

		if (has_other_vocabulary(s, print))
			compare_padded(c, print, rel, changed);
		else
			compare_figures(c, print, rel * s->loss, rel, changed);
		return;
	}
	while (bits < costs[i].bits)
		i++;
	anew = is_made_anew(c, reference);
	share = anew && c->ref->relation == SMOKE_SAME ? ANEW_SHARE : 1;
	compare_figures(c, print, share * costs[i].loss, share * costs[i].rms, s->n_top1);
	if (anew)
		snprintf(c->but, sizeof(c->but), ": other weights of the same types; the loss is off by %.2g nats, and may be by %.2g",
			fabs(s->loss - json_get_real(print, "loss", NAN)), share * costs[i].loss);
}

static bool agrees(const struct comparison *c, const json_t *report)
{
	struct smoke_reference ref = { .report = report, .relation = SMOKE_SAME_WEIGHTS };
	struct comparison trial = { .s = c->s, .ref = &ref, .quiet = true };

	compare_same(&trial, report);
	return !trial.differs && !has_other_length(c->s, report, c->s->prompt_tokens);
}

/* Of those in list with these very weights, which several may have under configurations of their own, one that agrees; else the first. */
static const json_t *find_among(const struct comparison *c, const json_t *list)
{
	const json_t *one, *found = NULL;
	size_t i;

	json_array_foreach(list, i, one) {
		if (!has_weights(one, c->s))
			continue;
		if (agrees(c, one))
			return one;
		found = found ? found : one;
	}
	return found;
}

/*
 * What an earlier revision said with these very weights: under this name, or under one that is no more. What it said under a name that is still there
 * was of that one, and this is one more. Without any the reference stays as it is: what was said under this name, and of that what was known of the files.
 */
static void find_weights(const struct comparison *c, struct smoke_reference *ref)
{
	const json_t *found = has_weights(ref->report, c->s) ? ref->report : find_among(c, ref->gone);

	if (!found)
		return;
	ref->report = found;
	ref->relation = SMOKE_SAME_WEIGHTS;
}

static void add_compared(struct smoke *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_compared(struct smoke *s, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	s->compared[s->n_compared++] = text;
}

/* A report of another artefact: of a form of this model, one would think. */
static bool is_of_another(const struct smoke_reference *ref)
{
	return ref->relation == SMOKE_SIBLING || ref->relation == SMOKE_QUANTIZED || ref->relation == SMOKE_MAYBE_QUANTIZED;
}

/* another_is_the_original: of several that the checkpoint says it was made from, for its repository holds several models. */
static void compare_one(struct smoke *s, const struct smoke_reference *given, bool another_is_the_original, struct report *r)
{
	struct smoke_reference reference = *given, *ref = &reference;
	struct comparison c = { .s = s, .ref = ref, .r = r };
	struct same_model_answer same = { .how = SAME_MODEL };
	const char *name;

	if (ref->gone)
		find_weights(&c, ref);
	if (!ref->report)
		return;		/* it was not there then */
	if (is_of_another(ref)) {
		ref->report = same_model_among(s, ref->report);
		same = same_model(s, ref->report);
	}
	name = ref->name ? ref->name : json_get_str_or(ref->report, "file", "the reference");
	if (same.how == SAME_UNKNOWN || (same.how == SAME_NOT && (ref->relation != SMOKE_QUANTIZED || another_is_the_original))) {
		add_compared(s, "is not compared with %s: that %s", name, same.why);
		return;
	}
	if (same.how == SAME_MODEL && has_other_length(s, ref->report, s->prompt_tokens) && !lost_context(s, ref)) {
		add_compared(s, "is not compared with %s: that run is of %lld tokens of the text, this one of %u", name,
			(long long)json_get_int(ref->report, "prompt_tokens", 0), s->prompt_tokens);
		return;
	}
	if (same.how != SAME_MODEL)
		differ(&c, "the reference %s", same.why);
	else if (lost_context(s, ref))
		differ(&c, "its context ends the text after %u tokens, that of the reference not after %u", s->prompt_tokens, s->wanted_tokens);
	else if (ref->relation == SMOKE_OTHER_WEIGHTS)
		compare_other(&c, ref->report);
	else
		compare_same(&c, ref->report);
	add_compared(s, "%s %s%s", c.differs ? "differs from" : "agrees with", name, c.differs ? "" : c.but);
}

static bool is_original(const struct smoke *s, const struct smoke_reference *ref)
{
	return ref->relation == SMOKE_QUANTIZED && same_model(s, same_model_among(s, ref->report)).how == SAME_MODEL;
}

void references_compare(struct smoke *s, const struct smoke_reference *refs, size_t n, struct report *r)
{
	bool found = false;

	for (size_t i = 0; i < n; i++)
		found |= is_original(s, &refs[i]);
	for (size_t i = 0; i < n; i++)
		compare_one(s, &refs[i], found, r);
}

int reference_check(const struct smoke *s, const struct smoke_reference *ref, uint32_t n, struct err *e)
{
	if (ref->relation != SMOKE_SAME || !has_other_length(s, ref->report, n))
		return 0;
	return err_set(e, ERR_FAILED, "the reference is of a run over %lld tokens, and this one is over %u: make both with the same --tokens",
		(long long)json_get_int(ref->report, "prompt_tokens", 0), n);
}

int reference_read(struct smoke_reference *out, const json_t *file, struct err *e)
{
	static const struct {
		const char *word;
		enum smoke_relation relation;
	} relations[] = {
		{ "quantized", SMOKE_QUANTIZED }, { "maybe_quantized", SMOKE_MAYBE_QUANTIZED }, { "same_weights", SMOKE_SAME_WEIGHTS },
		{ "other_weights", SMOKE_OTHER_WEIGHTS },
	};
	const char *word = json_get_str(file, "relation");

	*out = (struct smoke_reference){ .report = word ? json_object_get(file, "report") : file, .name = word ? json_get_str(file, "name") : NULL };
	if (!json_is_object(out->report))
		return err_set(e, ERR_INPUT, "the reference holds no report");
	if (!word)
		return json_is_object(json_object_get(file, "fingerprint")) ? 0 : err_set(e, ERR_INPUT, "the reference holds no report of a run: it has no fingerprint");
	for (size_t i = 0; i < ARRAY_LEN(relations); i++) {
		if (strcmp(relations[i].word, word) == 0) {
			out->relation = relations[i].relation;
			return 0;
		}
	}
	return err_set(e, ERR_INPUT, "the reference's relation \"%.40s\" is not one we know", word);
}
