/* shape_words.h - what the words of a table (shape.h) mean for one checkpoint: names, dimensions, conditions. */
#ifndef INFER_SHAPE_WORDS_H
#define INFER_SHAPE_WORDS_H

#include "infer/shape.h"

#define SHAPE_WORD_MAX 96

struct shape_words {
	const struct shape_kind *kind;
	const json_t *config, *outer;
	char root[SHAPE_NAME_MAX];
	uint64_t stage, layer, last;	/* that a row is looked at for; the last stage */
};

bool shape_next_word(const char **at, char separator, char out[SHAPE_WORD_MAX]);
bool shape_expand(const struct shape_words *w, const char *text, size_t len, const char *suffix, char out[SHAPE_NAME_MAX]);
/* False where the configuration does not give it. */
bool shape_dimension(const struct shape_words *w, const char *text, uint64_t *out);
/* NULL holds. */
bool shape_holds(const struct shape_words *w, const char *when);

#endif
