/*
 * shape_adapter.h - which modules of its base an adapter adapts, between shape_adapter.c, which finds them, and shape_layers.c, which
 * looks whether layers are missing among them.
 */
#ifndef INFER_SHAPE_ADAPTER_H
#define INFER_SHAPE_ADAPTER_H

#include "infer/shape.h"

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
/* Sorts them. ERR_INPUT when a layer in the middle is missing that must be there; names what may be. config NULL: a GGUF's. */
int adapter_layers_check(struct adapter_modules *m, const json_t *config, const char *file, struct report *r, struct err *e);

#endif
