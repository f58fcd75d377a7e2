/* config_parts.h - what config.c and config_hf.c share. */
#ifndef INFER_CONFIG_PARTS_H
#define INFER_CONFIG_PARTS_H

#include <math.h>
#include <stddef.h>

#include "infer/config.h"

#define CONFIG_NAME_MAX 192

/* One member of struct spec: the names it goes by in config.json and in a GGUF (after "ARCH."), the first found counts. */
struct config_key {
	const char *hf, *gguf;
	enum { CONFIG_U32, CONFIG_F64, CONFIG_BOOL } type;
	size_t offset;
};

extern const struct config_key config_keys[];	/* ended by a NULL */

int config_store(struct spec *s, const struct config_key *key, double value, const char *name, struct err *e);
/* config_known.c: is every key of this object one whose meaning we know? */
int config_check_keys(const json_t *text, bool not_run, const char *also_known, struct report *r, struct err *e);
/* The same of a GGUF's key-values of its architecture. ERR_UNSUPPORTED for one that sounds like mathematics: its writers run it so. */
int config_check_gguf_keys(const struct gguf *g, const char *arch, struct report *r, struct err *e);
/* Is name one of a list separated, begun and ended by blanks? */
bool config_in_list(const char *list, const char *name);
/* The next of the names in a list separated by blanks. */
bool config_next_name(const char **list, char out[CONFIG_NAME_MAX]);

#endif
