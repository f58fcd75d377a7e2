/*
 * shape_adapter.h - which modules of its base an adapter adapts, between shape_adapter.c, which finds them, shape_ranks.c, which knows
 * what numbers the configuration gives them, shape_layers.c, which looks whether layers are missing among them, and shape_saved.c,
 * which looks at what it holds whole.
 */
#ifndef INFER_SHAPE_ADAPTER_H
#define INFER_SHAPE_ADAPTER_H

#include "infer/shape.h"

#define MODULES_FROM "base_model.model."	/* what PEFT puts before the names of the base's modules */

struct adapter_modules {
	struct adapter_module {
		const char *name;	/* "model.layers.3.self_attn.q_proj", not ended by a NUL */
		size_t n;
		size_t stack;		/* bytes of it before the layer's number; 0: it is in no layer */
		size_t part;		/* where what comes behind the number begins */
		uint32_t layer;
	} *v;
	size_t n, cap;
};

void adapter_modules_add(struct adapter_modules *m, const char *name, size_t n);
/*
 * Sorts them. ERR_INPUT when a layer in the middle is missing that must be there; names what may be. config NULL: a GGUF's, or nothing
 * that it says matters. saved: they are what modules_to_save means by this name; NULL: they are adapted by pairs.
 */
int adapter_layers_check(struct adapter_modules *m, const json_t *config, const char *saved, const char *file, struct report *r, struct err *e);

/* The keys of rank_pattern and alpha_pattern, and the pattern that target_modules may be. */
struct adapter_patterns {
	struct adapter_pattern {
		const char *key;
		struct token_regex *re;		/* NULL: plain, or unknown */
		bool unknown;			/* it can't be read here */
		const json_t *value;
	} *v;
	size_t n, cap;
};

struct adapter {
	struct weights *w;
	const json_t *config;		/* NULL: a GGUF, which says no ranks */
	const char *file;		/* of what is said about the whole */
	struct adapter_modules modules;
	struct adapter_patterns ranks, alphas;
	struct shape_count *n;
	const struct tensor *stray;	/* the first whose name PEFT does not know */
	struct report *r;
	struct err *e;
	bool failed;
};

/* About a tensor, or the whole where it is NULL; the first one is the error too. */
void adapter_fail(struct adapter *x, const char *rule, const struct tensor *t, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Of the n_before-th pattern; `before` may stand in front of what the key fits. One that can't be used is named, as of `where`. */
void adapter_pattern_read(struct adapter *x, struct adapter_pattern *p, size_t n_before, const char *before, const char *where);
/* 1, 0, or -1 where that can't be told. */
int adapter_pattern_fits(const struct adapter_pattern *p, const char *module, size_t n);
/* Rejects numbers that PEFT does not take. */
void adapter_ranks_read(struct adapter *x);
void adapter_ranks_done(struct adapter *x);
/* The pair of the module, whose first half is a, has the rank that the configuration gives it. */
void adapter_check_rank(struct adapter *x, const struct tensor *a, const char *module, size_t n, uint64_t gives);
/* What modules_to_save names is there, in all layers, and the head of a task of labels with all its tensors. */
void adapter_check_saved(struct adapter *x);
/* The rows that trainable_token_indices means are there. */
void adapter_check_tokens(struct adapter *x);

#endif
