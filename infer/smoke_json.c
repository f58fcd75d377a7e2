/* smoke_json.c - a smoke test's outcome as the contract's JSON object. */
#include <math.h>
#include <time.h>

#include "base/str.h"
#include "infer/smoke.h"

/* JSON has no NaN: what is not known is null. */
static void set_real(json_t *o, const char *key, double v)
{
	json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

static void set_text(json_t *o, const char *key, const char *s)
{
	json_t *v = s ? json_string(s) : NULL;

	json_object_set_new(o, key, v ? v : json_null());
}

static json_t *fingerprint(const struct smoke *s)
{
	json_t *o = json_object(), *rms = json_array(), *top1 = json_array();

	set_real(o, "loss", s->loss);
	set_real(o, "target_logit", s->target_logit);
	for (uint32_t i = 0; i < s->n_layers; i++)
		json_array_append_new(rms, isfinite(s->layer_rms[i]) ? json_real(s->layer_rms[i]) : json_null());
	for (uint32_t i = 0; i < s->n_top1; i++)
		json_array_append_new(top1, json_integer(s->top1[i]));
	json_object_set_new(o, "layer_rms", rms);
	json_object_set_new(o, "top1", top1);
	set_text(o, "path", s->path);
	json_object_set_new(o, "params", json_integer((json_int_t)s->size.n_params));
	json_object_set_new(o, "layer_params", json_integer((json_int_t)s->size.layer_params));
	json_object_set_new(o, "width", json_integer(s->size.width));
	json_object_set_new(o, "experts", json_integer(s->size.experts));
	json_object_set_new(o, "vocab", json_integer(s->size.vocab));
	set_real(o, "bits", s->size.bits);
	set_text(o, "stored", s->size.stored);
	set_text(o, "weights", s->weights[0] ? s->weights : NULL);
	return o;
}

static double absmax(const struct smoke *s)
{
	double max = NAN;

	for (uint32_t i = 0; i < s->n_layers; i++)
		max = isnan(max) || (double)s->layer_absmax[i] > max ? (double)s->layer_absmax[i] : max;
	return max;
}

static json_t *controls(const struct smoke *s)
{
	json_t *o = json_object();

	set_real(o, "loss_shuffled", s->loss_shuffled);
	set_real(o, "loss_near", s->loss_near);
	set_real(o, "loss_far", s->loss_far);
	set_real(o, "loss_long", s->loss_long);
	set_real(o, "loss_short", s->loss_short);
	set_real(o, "entropy", s->entropy);
	set_real(o, "unigram", s->unigram);
	set_real(o, "absmax_hidden", absmax(s));
	return o;
}

static void set_cuda_version(json_t *o, const char *key, int version)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d", version / 1000, version % 1000 / 10);
	set_text(o, key, text);
}

/* What a verdict rests on besides the checkpoint: when it changes, the daemon tests again. */
static json_t *platform(const struct smoke *s)
{
	const struct ops_device *d = s->gpu ? &s->gpu->device : NULL;
	json_t *o = json_object();
	char capability[32];

	set_text(o, "isa", s->isa);
	if (!d)
		return o;
	snprintf(capability, sizeof(capability), "%u.%u", d->major, d->minor);
	set_text(o, "gpu", d->name);
	set_text(o, "compute_capability", capability);
	set_text(o, "driver", d->driver);
	set_cuda_version(o, "cuda_driver", d->cuda_driver);
	set_cuda_version(o, "cuda_runtime", d->cuda_runtime);
	return o;
}

json_t *smoke_platform_json(const struct smoke *s)
{
	json_t *o = json_object();

	set_text(o, "device", s->device);
	json_object_set_new(o, "platform", platform(s));
	return o;
}

json_t *smoke_json(const struct smoke *s)
{
	json_t *o = json_object(), *reasons = json_array(), *tokens = json_array();
	char at[STR_TIME_MAX];

	str_format_iso(at, (int64_t)time(NULL));
	for (size_t i = 0; i < s->n_reasons; i++)
		json_array_append_new(reasons, json_string(s->reasons[i]));
	for (size_t i = 0; i < s->n_tokens; i++)
		json_array_append_new(tokens, json_integer(s->tokens[i]));
	set_text(o, "verdict", smoke_verdict_name(s->verdict));
	set_text(o, "structure", smoke_structure(s->surveyed, s->unsound));
	set_text(o, "file", s->file);
	set_text(o, "device", s->device);
	set_real(o, "bits_per_byte", s->bits_per_byte);
	json_object_set_new(o, "prompt_tokens", json_integer(s->prompt_tokens));
	set_real(o, "tokens_per_s", s->tokens_per_s);
	set_real(o, "decode_tokens_per_s", s->decode_tokens_per_s);
	json_object_set_new(o, "reasons", reasons);
	set_text(o, "at", at);
	json_object_set_new(o, "tokens", tokens);
	set_real(o, "loss_nats_per_token", s->loss);
	set_real(o, "perplexity", s->perplexity);
	set_text(o, "greedy_text", s->greedy_text);
	set_real(o, "load_s", s->load_s);
	set_real(o, "forward_s", s->forward_s);
	json_object_set_new(o, "peak_bytes", json_integer((json_int_t)s->peak_bytes));
	if (s->gpu)
		json_object_set_new(o, "gpu_peak_bytes", json_integer((json_int_t)s->gpu_peak_bytes));
	set_text(o, "architecture", s->architecture);
	json_object_set_new(o, "params", json_integer((json_int_t)s->n_params));
	json_object_set_new(o, "weight_bytes", json_integer((json_int_t)s->weight_bytes));
	json_object_set_new(o, "platform", platform(s));
	if (s->n_compared) {
		json_t *compared = json_array();

		for (size_t i = 0; i < s->n_compared; i++)
			json_array_append_new(compared, json_string(s->compared[i]));
		json_object_set_new(o, "compared", compared);
	}
	if (s->n_layers) {
		json_object_set_new(o, "controls", controls(s));
		if (*s->weights)	/* else the run was none to compare with: cut into chunks, or without a loss */
			json_object_set_new(o, "fingerprint", fingerprint(s));
	}
	return o;
}
