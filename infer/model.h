/*
 * model.h - a checkpoint that has been opened and understood, and its forward pass over a batch of texts. Weights stream past the
 * texts in layer order, once for the whole batch, so any number of tokens costs one reading of the files.
 */
#ifndef INFER_MODEL_H
#define INFER_MODEL_H

#include <jansson.h>

#include "infer/ops.h"
#include "infer/plan.h"
#include "infer/token.h"

#define MODEL_TOKENS_MAX 8192	/* of a batch */

/* What the model of text needs, by which its forms are told to be of one model and of which precision (reference.h). */
struct model_size {
	uint64_t n_params;		/* numbers, however they are packed; without what is not run */
	uint64_t layer_params;		/* those of the layers' matrices: however the head is stored, and the vocabulary padded */
	uint32_t width, experts;	/* of the residual stream; of a layer that routes, 0: of none */
	uint32_t vocab;			/* rows of the head: tokens, and what programs pad them with */
	double bits;			/* a number of the coarsest tenth of those, without scales that lie beside them */
	const char *stored;		/* "BF16" where all that it needs is stored so, norms too; else "mixed" */
};

struct model {
	struct spec *spec;
	const struct family *family;
	struct weights weights;
	struct plan plan;
	struct quant_config quant;
	struct sight sight;
	json_t *config;		/* config.json; NULL for a GGUF */
	bool gguf;
	uint64_t n_params;	/* of all tensors, however they are packed */
	struct model_size size;
};

/* `file` below dirfd: a .gguf, a .safetensors or an index of shards. A GGUF that is part of a directory needs nothing else. */
int model_open(struct model *m, int dirfd, const char *file, uint32_t n_tokens, struct report *r, struct err *e);
void model_close(struct model *m);
/* How weights are packed, as config.json or a file of its own beside it has it. As quant_config_parse. */
int model_read_quant(struct quant_config *quant, const json_t *config, const struct weights *w, int dirfd, struct report *r, struct err *e);
/* Has t a place in the model of text? A head that is stored beside the embedding to which it is tied has none. */
bool model_uses(const struct model *m, const struct tensor *t);

/* Keys and values of the tokens that one text has had so far, layer by layer. */
struct model_cache {
	float **k, **v;
	uint32_t n, cap;	/* tokens held; room */
};

void model_cache_open(struct model_cache *c, const struct model *m, const struct ops *op, struct backend *be, uint32_t cap);
void model_cache_close(struct model_cache *c, const struct model *m, const struct ops *op, struct backend *be);

struct model_seq {
	uint32_t n, position;	/* tokens; where the first one stands */
};

struct model_batch {
	const int32_t *ids;		/* of all texts, one after the other */
	const int32_t *targets;		/* the id after each, -1: none */
	uint32_t n;
	const struct model_seq *seqs;
	uint32_t n_seqs;
	struct model_cache *cache;	/* of the only text, whose earlier tokens are in it; may be NULL */
	bool half;			/* attention in half precision, as llama.cpp's: only to compare with its figures */
	uint32_t head_from;		/* logits are wanted from this token on */
	void (*progress)(void *ctx, uint32_t layer, uint32_t n_layers);
	void *ctx;
};

struct model_output {
	struct ops_tally *tally;	/* n, of each token; before head_from zero */
	struct ops_measure *layers;	/* n_layer + 1: the residual stream of the first text, after the embedding and after each layer */
};

/* ERR_INPUT when the checkpoint is at fault, others when we are. The output's arrays are the caller's. */
int model_forward(const struct model *m, const struct ops *op, struct backend *be, const struct model_batch *batch, struct model_output *out,
	struct err *e);

/* -log softmax of the target. NaN where a logit was not finite. */
double model_loss(const struct ops_tally *t);
double model_entropy(const struct ops_tally *t);

static inline void own_model(struct model *m)
{
	model_close(m);
}

#endif
