/*
 * format.h - which file names hold weights, and of which format. Judged by name only, which is enough to plan a download and to know what
 * must be inspected; what a file really is, the inspection says.
 */
#ifndef CATALOG_FORMAT_H
#define CATALOG_FORMAT_H

#include <stdbool.h>

enum format {
	FORMAT_NONE,		/* not weights: config, tokenizer, card, code, image */
	FORMAT_SAFETENSORS,
	FORMAT_GGUF,
	FORMAT_PICKLE,		/* .bin .pt .pth .pkl .ckpt … : torch and joblib pickles, whatever their container */
	FORMAT_ONNX,
	FORMAT_KERAS,		/* .keras, .h5 */
	FORMAT_TENSORFLOW,	/* saved_model.pb, variables */
	FORMAT_FLAX,		/* .msgpack */
	FORMAT_NUMPY,		/* .npy, .npz */
	FORMAT_OTHER,		/* weights of a kind nobody here inspects: .tflite, .mlmodel, .engine, .nemo, archives … */
	FORMAT_N,
};

enum format format_of_path(const char *path);
const char *format_name(enum format f);			/* "safetensors"; FORMAT_NONE gives "none" */
enum format format_parse(const char *name);		/* FORMAT_NONE when unknown; aliases: "pytorch", "tf", "npz" */
const char *const *format_names(void);			/* of FORMAT_SAFETENSORS …, NULL at the end: for "did you mean" */
/* Training state kept beside weights (optimizer.pt, training_args.bin, rng_state_0.pth, …): no model is loaded from it. */
bool format_is_training_state(const char *path);

/* Sets of formats: bit 1 << format. */
#define FORMAT_BIT(f) (1u << (f))

#endif
