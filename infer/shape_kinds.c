/* shape_kinds.c - all kinds of shape.h, which shape_text.c and its neighbours hold as data. */
#include "infer/shape_table.h"

const struct shape_kind *shape_kind_at(size_t i)
{
	static const struct shape_kind *const tables[] = { shape_text, shape_vision, shape_speech, shape_diffusion };

	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		const struct shape_kind *k = tables[t];

		for (; k->architectures; k++)
			if (i-- == 0)
				return k;
	}
	return NULL;
}
