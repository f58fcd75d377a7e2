/*
 * quant_weight.h - one linear weight, however it is stored, as float rows [out, in].
 * A checkpoint may keep a weight as one tensor (any type of quant.h, GGUF's blocks included) or as several: FP8 with scales a tensor,
 * a channel or a block; GPTQ; AWQ; bitsandbytes. The large one is `main`: the caller streams its bytes (hashing and scanning them on
 * the way); the small ones are loaded and checked by quant_weight_open. A weight whose scale is missing is an error, never a guess.
 *
 *	struct quant_weight w;
 *	if (quant_weight_open(&w, &config, &source, "model.layers.0.self_attn.q_proj.weight", e) < 0) ...
 *	quant_weight_window(&w, row, n, &offset, &bytes);	// of w.main
 *	... read those bytes ...
 *	quant_weight_rows(&w, window, row, n, floats, e);	// n x w.in
 *	quant_weight_close(&w);
 */
#ifndef INFER_QUANT_WEIGHT_H
#define INFER_QUANT_WEIGHT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "infer/quant.h"

#define QUANT_RANK_MAX	     8
#define QUANT_NAME_MAX	     512
#define QUANT_AUX_MAX_BYTES  ((uint64_t)1 << 30)	/* scales and zeros of one weight */

enum quant_scheme {
	QUANT_PLAIN,	/* one tensor, rows of quant_type */
	QUANT_FP8,	/* rows of an FP8 type times a scale: of the tensor, of each row, or of each block */
	QUANT_INT8,	/* rows of I8 times a scale of the row or of each group (compressed-tensors int-quantized; bitsandbytes: SCB / 127) */
	QUANT_GPTQ,
	QUANT_AWQ,
	QUANT_BNB4,	/* bitsandbytes nf4 and fp4 */
	QUANT_PACKED,	/* compressed-tensors pack-quantized: 2, 4 or 8 bits in I32 words along a row */
	QUANT_NVFP4,	/* two FP4 a byte, an F8_E4M3 scale each 16, one more scale for the tensor */
};

/* Zero points that are stored, where their method rounds asymmetrically and there are enough for chance to have no part in it. */
enum quant_zeros { ZEROS_NONE, ZEROS_STORED, ZEROS_BLANK };	/* blank: all their bits are zero */

/* What compressed-tensors says of a group's weights beside their bits and sizes; 0 wherever nothing is said. */
enum quant_number { NUMBER_UNSAID, NUMBER_INT, NUMBER_FLOAT };
enum quant_strategy { STRATEGY_UNSAID, STRATEGY_TENSOR, STRATEGY_CHANNEL, STRATEGY_GROUP, STRATEGY_BLOCK };

/* How a module's weight is packed, as the configuration has it. */
struct quant_layout {
	uint32_t bits;		/* GPTQ, AWQ, bitsandbytes, packed */
	int64_t group_size;	/* -1: one group a row */
	uint64_t block[2];	/* FP8 scale blocks: rows, columns; 0 when not said */
	enum quant_number number;
	enum quant_strategy strategy;
	bool by_group;		/* compressed-tensors: one of its groups says all this */
	bool bits_said, asymmetric;
	bool symmetric;		/* GPTQ, compressed-tensors: the zero points are the middle, and programs need not read them */
	bool reordered;		/* inputs stand out of order, and a list must say which group each is in */
	bool static_inputs;	/* what flows in is rounded by a scale that the checkpoint must hold */
	bool asymmetric_inputs;	/* and, where they are static, by a zero point */
	bool left_out;		/* said not to be packed */
	bool unsaid;		/* not spoken of: the shapes of its tensors tell */
};

struct quant_rules;

/* What config.json's quantization_config says; method is empty when there is none. */
struct quant_config {
	char method[32];	/* quant_method: "gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors", "modelopt", ""… */
	struct quant_layout layout;	/* of modules of which no rule speaks */
	bool gptq_v2;		/* zeros are stored as they are, not less one */
	bool awq_middle;	/* no zeros are stored: it is the middle everywhere */
	struct quant_rules *rules, *ignored;	/* quant_rules.h; NULL: none */
	bool only_rules;	/* what no rule speaks of is not packed */
	bool plain_head, plain_embedding;	/* nor are these, unless a rule speaks of them */
	bool all_linear;	/* its programs build every linear layer that is not left out as a packed one, and read nothing else there */
};

/* In which form the weight of a module must be stored, so that the method's own programs read what is meant. */
enum quant_demand { DEMAND_EITHER, DEMAND_PLAIN, DEMAND_PACKED };

/* A tensor of the checkpoint. `id` is the source's own. */
struct quant_part {
	const struct quant_type *type;	/* NULL for a type without a meaning as numbers (BOOL, C64, removed ones) */
	const char *dtype;		/* its name, always */
	uint32_t rank;
	uint64_t shape[QUANT_RANK_MAX];	/* slowest first */
	uint64_t size_bytes;
	uint64_t id;
};

struct quant_source {
	void *ctx;
	bool (*find)(void *ctx, const char *name, struct quant_part *out);
	int (*load)(void *ctx, const struct quant_part *part, void *dst, struct err *e);	/* all size_bytes of it */
};

struct quant_weight {
	enum quant_scheme scheme;
	uint64_t out, in;	/* a plain tensor of rank above 2 counts all but its last dimension as out */
	char name[QUANT_NAME_MAX + 32];	/* of main */
	struct quant_part main;
	uint32_t bits;
	uint64_t group;		/* inputs that share a scale */
	uint64_t block[2];	/* FP8: rows and columns that share a scale */
	uint64_t n_groups;
	float *scale;		/* FP8: [ceil(out/block0)][ceil(in/block1)]; GPTQ, AWQ: [groups][out]; INT8, packed, NVFP4: [out][groups]; BNB4: a block */
	enum quant_zeros zeros;	/* those of the checkpoint */
	enum quant_zeros order;	/* the same of the list of groups, where there are several and it need not be read */
	int32_t *zero;		/* laid out as the scale, (q - zero) * scale; INT8, packed: NULL where it is the middle */
	uint32_t *g_idx;	/* GPTQ: the group of each input; NULL: they are in order */
	float map[16];		/* BNB4 */
};

/* Reads quantization_config out of a config.json. ERR_UNSUPPORTED with "not run: …" for a method we can't decode (eetq, hqq, aqlm…).
 * What there is to close is closed on failure. */
int quant_config_parse(struct quant_config *c, const json_t *config, struct err *e);
/* The same of a params.json, of Mistral's own programs (NULL: there is none). */
int quant_config_parse_own(struct quant_config *c, const json_t *params, struct err *e);
/* The same of a file of its own, which is the method's where it names none. */
int quant_config_parse_beside(struct quant_config *c, const json_t *file, const char *method, struct err *e);
/* Where a config.json says it; NULL: nowhere. */
const json_t *quant_config_section(const json_t *config);

struct quant_contradiction {
	char what[160];		/* "bits 8, and config.json 4" */
	bool decides;		/* how codes are read */
};

/* Does a file of its own say otherwise than config.json of something that both speak of? */
bool quant_config_contradicts(const json_t *config, const json_t *file, struct quant_contradiction *out);
void quant_config_close(struct quant_config *c);
/* What the configuration demands of `module` (a weight's name without ".weight"), and how it says that it is packed. EITHER where that is not sure. */
int quant_config_demand(const struct quant_config *c, const char *module, struct quant_layout *layout, enum quant_demand *demand, struct err *e);

/*
 * Finds the tensors that make up `name` (as in an unquantised checkpoint, "….weight"), loads the small ones and checks every shape.
 * ERR_NOT_FOUND when there is no such weight at all; ERR_INPUT naming what is wrong (a missing scale, a shape that does not fit, a form
 * that the configuration's method does not read: programs go by the configuration, and would not decode it).
 */
int quant_weight_open(struct quant_weight *w, const struct quant_config *c, const struct quant_source *src, const char *name, struct err *e);
void quant_weight_close(struct quant_weight *w);

/* GPTQ and AWQ store columns: any row needs the whole of main. Read it once and decode all rows from it. */
bool quant_weight_is_whole(const struct quant_weight *w);
/* Which bytes of main the rows [row, row + n) need. */
void quant_weight_window(const struct quant_weight *w, uint64_t row, uint64_t n, uint64_t *offset, uint64_t *bytes);
/* dst gets n x in floats. `window` holds exactly the bytes of quant_weight_window. */
int quant_weight_rows(const struct quant_weight *w, const void *window, uint64_t row, uint64_t n, float *dst, struct err *e);

/* Is `name` a companion of a quantised weight (a scale, zeros, g_idx, quant_state…) rather than a tensor of the model? */
bool quant_is_companion(const char *name);

static inline void own_quant_config(struct quant_config *c)
{
	quant_config_close(c);
}

static inline void own_quant_weight(struct quant_weight *w)
{
	quant_weight_close(w);
}

#endif
