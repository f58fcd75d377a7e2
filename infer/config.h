/*
 * config.h - a checkpoint's own configuration (config.json, or the key-values of a GGUF) as a struct spec. One table says which
 * keys mean which member in either format. Whatever changes the mathematics and is not understood is an error, never a guess:
 * an unknown kind of rope scaling, an unknown activation, an unknown key whose name sounds like mathematics.
 */
#ifndef INFER_CONFIG_H
#define INFER_CONFIG_H

#include <jansson.h>

#include "infer/family.h"
#include "verify/gguf.h"
#include "verify/report.h"

#define CONFIG_MAX_BYTES (4u << 20)

/*
 * Fills *s (without spec_finish) and says which family it is. ERR_UNSUPPORTED "not run: architecture X" for one we don't know,
 * "not run: task Y" for a model that is no text generator; ERR_INPUT for a configuration that can't be right.
 */
int config_read_hf(struct spec *s, const struct family **family, const json_t *config, struct report *r, struct err *e);
int config_read_gguf(struct spec *s, const struct family **family, const struct gguf *g, struct report *r, struct err *e);

/* After spec_finish: what layer_types and no_rope_layers say of single layers. */
int config_layers_hf(struct spec *s, const struct family *f, const json_t *config, struct report *r, struct err *e);

/* Is its class the repository's own, whatever it is called? What that makes of the configuration is not known here. */
bool config_own_code(const json_t *config);

#endif
