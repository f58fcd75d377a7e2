/*
 * smoke.h - is this checkpoint fit to publish? Opens it, runs a text through it and judges what comes out. The judgement rests on
 * layers: structure (plan.h), statistics of the weights (survey.h), the forward pass (here), and a fingerprint to compare with.
 */
#ifndef INFER_SMOKE_H
#define INFER_SMOKE_H

#include <jansson.h>

#include "infer/model.h"
#include "infer/tell.h"
#include "verify/digest.h"

#define SMOKE_REASONS_MAX 40
#define SMOKE_GREEDY_TOKENS 32
#define SMOKE_TOP1_MAX 64
#define SMOKE_REFERENCES_MAX 4

enum smoke_verdict { SMOKE_PASS, SMOKE_NOT_RUN, SMOKE_FAIL, SMOKE_ERROR };	/* from best to worst */

/* What an earlier report is of, seen from the checkpoint at hand. */
enum smoke_relation {
	SMOKE_SAME,		/* what should be the same model: any difference fails it */
	SMOKE_SIBLING,		/* others beside it, perhaps of other models: those say nothing */
	SMOKE_QUANTIZED,	/* the model that this one says it was made from by quantising */
	SMOKE_MAYBE_QUANTIZED,	/* the same, but it does not say how it was made: a difference is worth a look */
	SMOKE_SAME_WEIGHTS,	/* an earlier revision with the same weights: a difference is worth a look */
	SMOKE_OTHER_WEIGHTS,	/* an earlier revision with other files, which may hold the same; if not, doing worse is worth a look */
};

struct smoke_reference {
	const json_t *report;	/* NULL: whatever of the gone has the same weights */
	const json_t *gone;	/* of an earlier revision, a list of reports on what this one does not have under its name; NULL for other relations */
	const char *name;	/* how to call it; NULL: "the reference" */
	enum smoke_relation relation;
};

struct smoke_options {
	const struct smoke_gpu *gpu;	/* where to run it; NULL: on the processor */
	struct err device_error;	/* set: the device that was asked for can't be used, and so the test is an error */
	const char *text;
	size_t n_text;
	uint32_t chunk;			/* perplexity as llama.cpp's tool counts it, in chunks of so many tokens; 0: off */
	uint32_t max_tokens;		/* 0: by the size of the model, all of the text for small ones */
	unsigned threads;		/* 0: all */
	const char *isa;		/* NULL: the best */
	struct smoke_reference references[SMOKE_REFERENCES_MAX + 1];	/* one more: that of its folder */
	size_t n_references;
	bool side;			/* no model by itself */
	bool beside;			/* a model that it may have nothing to do with came before it */
	bool no_run;			/* structure and statistics are all that is wanted */
	struct tell *tell;		/* NULL: nobody wants to know how far it is */
};

/* A GPU that was opened before the cage was shut, for all tests of the process. */
struct smoke_gpu {
	const struct ops *op;
	struct backend *be;
	struct ops_device device;
};

/* What one checkpoint came to. Figures are NAN until they are known. */
struct smoke {
	char *file, *device, *isa;
	char *path;			/* where figures repeat bit by bit: the instruction set, or the GPU and its libraries */
	const struct smoke_gpu *gpu;
	const char *architecture;
	bool side;			/* no model: that it is not run says nothing of one beside it */
	enum smoke_verdict verdict;
	char *reasons[SMOKE_REASONS_MAX];
	size_t n_reasons;
	bool judging;			/* the run: what fails then says nothing against structure and statistics */
	bool surveyed, unsound;		/* these were looked at, all of them; and something is wrong with them */
	double loss, perplexity, bits_per_byte, loss_shuffled, loss_near, loss_far, loss_long, loss_short, entropy, unigram;
	double target_logit;		/* mean of those of the ids that came next: no other row of the head has a part in it */
	double load_s, forward_s, tokens_per_s;
	double decode_tokens_per_s;	/* of the short continuation, a token at a time */
	int32_t *tokens;
	size_t n_tokens;
	uint32_t prompt_tokens;		/* that went through the model as the text */
	uint32_t wanted_tokens;		/* that would have, had its context not ended */
	char *greedy_text;
	double *layer_rms;		/* of the residual stream, after the embedding and after each layer */
	float *layer_absmax;
	uint32_t n_layers;		/* entries of these */
	int32_t top1[SMOKE_TOP1_MAX];
	uint32_t n_top1;
	uint64_t weight_bytes, n_params, peak_bytes, gpu_peak_bytes;
	struct model_size size;
	char weights[DIGEST_HEX_MAX];	/* sample.h; "" while that is not known */
	char *compared[SMOKE_REFERENCES_MAX + 1];	/* "agrees with org/base@1f0c…" */
	size_t n_compared;
};

/* One of which nothing is known yet. */
void smoke_begin(struct smoke *s, const char *file);
/* `file` below dirfd, as model_open takes it. Fills s whatever happens; r gets what is wrong with the files. */
void smoke_run(struct smoke *s, int dirfd, const char *file, const struct smoke_options *o, struct report *r);
/* Opens the device as a test would, and closes it: fills device, isa and gpu, for smoke_platform_json(). */
int smoke_look(struct smoke *s, const struct smoke_options *o, struct err *e);
void smoke_done(struct smoke *s);
/* "pass" or "fail": what --no-run alone would have found; NULL: not all of it was looked at. */
const char *smoke_structure(bool surveyed, bool unsound);
void smoke_reason(struct smoke *s, enum smoke_verdict at_least, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *smoke_verdict_name(enum smoke_verdict v);

/* The contract's object (docs: section 2), for one checkpoint. */
json_t *smoke_json(const struct smoke *s);
/* Of it, what the verdict rests on besides the checkpoint: "device" and "platform". */
json_t *smoke_platform_json(const struct smoke *s);

/* judge.c: what the forward pass must show. */
struct smoke_texts;
void judge_forward(struct smoke *s, const struct spec *spec, const struct ops_tally *tally, const struct ops_measure *layers,
	const struct smoke_texts *t);

#define SMOKE_WINDOWS 4

/* A batch: the text (or its chunks), then the same words shuffled, then its beginning far away, then stretches of it by themselves. */
struct smoke_texts {
	int32_t *ids, *targets;
	uint32_t n;
	struct model_seq *seqs;
	uint32_t n_seqs;
	uint32_t n_main;		/* tokens of the text; of the chunks together */
	uint32_t n_shuffled, n_far;	/* tokens of the two others, 0: left out */
	uint32_t n_windows;		/* 0: left out */
	uint32_t window_lead, n_window;	/* tokens of each that are not judged; all of them */
	uint32_t window_at[SMOKE_WINDOWS];	/* where in the text the judged ones stand */
	uint64_t n_bytes;		/* of the text that the main tokens predict */
};

static inline void own_smoke(struct smoke *s)
{
	smoke_done(s);
}

#endif
