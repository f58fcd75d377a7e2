/*
 * fuzz_licence.c - any bytes as a card or a licence file. The first line is the file's name, and behind a blank how often the rest stands in it: a pass over the text
 * that looks too far ahead or back shows with short inputs (-timeout=5), for the time it takes grows faster than the text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "catalog/licence.h"
#include "verify/card.h"

#define FILE_MAX_BYTES ((size_t)1 << 19)
#define NAME_MAX_BYTES 256

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void judge(const char *path, const struct buf *b, struct arena *a)
{
	struct licence_claims c = { .repo = "org/model" };
	struct licence_text t = { .path = path };
	struct licence_answer out;
	struct card card = { .verdict = CARD_FINE };

	if (!strcmp(path, CARD_PATH)) {
		card_parse(b->data, b->len, a, &card);
		c.card = card.license.item;
		c.n_card = card.license.n;
		c.card_name = card.license_name;
		c.card_link = card.license_link;
		licence_read_card(card.front, b->data, b->len, a, &c);
	} else {
		licence_read_file(path, b->data, b->len, a, &t);
		c.texts = &t;
		c.n_texts = 1;
	}
	licence_resolve(&c, a, &out);
	if (!out.id || !*out.id || !out.spdx || !*out.spdx || !out.source || out.n_conflicts > LICENCE_CONFLICTS_MAX)
		abort();
	for (size_t i = 0; i < out.n_conflicts; i++)
		if (!out.conflicts[i] || !*out.conflicts[i])
			abort();
	card_done(&card);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *line = memchr(data, '\n', size < NAME_MAX_BYTES ? size : NAME_MAX_BYTES);
	struct arena a;
	struct buf b;
	char name[NAME_MAX_BYTES + 1];
	size_t rest, times = 1;
	char *blank;

	if (!line)
		return 0;
	memcpy(name, data, (size_t)(line - data));
	name[line - data] = 0;
	if ((blank = strchr(name, ' '))) {
		*blank = 0;
		times = strtoul(blank + 1, NULL, 10);
	}
	rest = size - (size_t)(line + 1 - data);
	arena_init(&a);
	buf_init(&b, FILE_MAX_BYTES);
	for (size_t i = 0; rest && i < times && b.len + rest <= FILE_MAX_BYTES; i++)
		buf_add(&b, line + 1, rest);
	judge(name, &b, &a);
	buf_done(&b);
	arena_done(&a);
	return 0;
}
