/*
 * token_bpe.c - byte-pair encoding: neighbours are joined, the cheapest join first, the leftmost of equals, until none is left.
 * Three dialects differ in what a first symbol is and in which joins there are: ranked rules between tokens (Hugging Face),
 * any join that is itself in the vocabulary by score (SentencePiece), and the same from bytes by rank (tiktoken).
 * A heap of candidates over a linked list: O(n log n) for any text.
 */
#include "base/vec.h"
#include "infer/token_parts.h"

#define NOWHERE UINT32_MAX

struct symbol {
	uint32_t off, len;	/* len 0: joined into the one before */
	uint32_t prev, next;
	int32_t id;		/* -1: not in the vocabulary */
	bool frozen;		/* user-defined: takes part in no join */
};

struct join {
	double cost;
	uint32_t left, right, len;
	int32_t id;
};

struct word {
	const struct tokenizer *t;
	const char *s;
	struct symbol *symbols;
	size_t n, cap;
	struct join *heap;
	size_t n_heap, cap_heap;
	/* Can these neighbours join? Fills id and cost. */
	bool (*joins)(const struct word *w, const struct symbol *l, const struct symbol *r, struct join *j);
	uint32_t *halves;	/* by id, of pieces marked unused: the length of the left half they were joined from */
};

static void word_done(struct word *w)
{
	free(w->symbols);
	free(w->heap);
	free(w->halves);
}

static inline void own_word(struct word *w)
{
	word_done(w);
}

static bool cheaper(const struct join *a, const struct join *b)
{
	return a->cost < b->cost || (a->cost == b->cost && a->left < b->left);
}

static void heap_push(struct word *w, struct join j)
{
	size_t i = w->n_heap;

	vec_push(&w->heap, &w->n_heap, &w->cap_heap);
	while (i > 0 && cheaper(&j, &w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = j;
}

static struct join heap_pop(struct word *w)
{
	struct join top = w->heap[0], last = w->heap[--w->n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_heap) {
		if (child + 1 < w->n_heap && cheaper(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!cheaper(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

static void add_symbol(struct word *w, size_t off, size_t len, int32_t id, bool frozen)
{
	struct symbol s = { .off = (uint32_t)off, .len = (uint32_t)len, .id = id, .frozen = frozen, .next = NOWHERE, .prev = NOWHERE };

	if (w->n > 0) {
		s.prev = (uint32_t)w->n - 1;
		w->symbols[w->n - 1].next = (uint32_t)w->n;
	}
	*vec_push(&w->symbols, &w->n, &w->cap) = s;
}

static void consider(struct word *w, uint32_t left, uint32_t right)
{
	struct join j = { .left = left, .right = right };
	const struct symbol *l, *r;

	if (left == NOWHERE || right == NOWHERE)
		return;
	l = &w->symbols[left];
	r = &w->symbols[right];
	if (l->frozen || r->frozen || !w->joins(w, l, r, &j))
		return;
	j.len = l->len + r->len;
	if (w->halves && w->t->types[j.id] == TOKEN_UNUSED)
		w->halves[j.id] = l->len;
	heap_push(w, j);
}

/* Ranked rules name what they make, so a join still stands when its neighbours, whatever they are by now, make the same. */
static bool stands_ranked(const struct word *w, const struct join *j)
{
	const struct symbol *l = &w->symbols[j->left];
	struct join now;

	return l->len > 0 && l->next != NOWHERE && w->joins(w, l, &w->symbols[l->next], &now) && now.id == j->id;
}

static bool stands_scored(const struct word *w, const struct join *j)
{
	const struct symbol *l = &w->symbols[j->left], *r = &w->symbols[j->right];

	return l->len > 0 && r->len > 0 && l->len + r->len == j->len;
}

static void merge(struct word *w, bool (*stands)(const struct word *, const struct join *))
{
	for (uint32_t i = 0; i + 1 < w->n; i++)
		consider(w, i, i + 1);
	while (w->n_heap > 0) {
		struct join j = heap_pop(w);
		struct symbol *l, *r;

		if (!stands(w, &j))
			continue;
		l = &w->symbols[j.left];
		r = &w->symbols[l->next];
		l->len += r->len;
		l->id = j.id;
		l->next = r->next;
		r->len = 0;
		if (l->next != NOWHERE)
			w->symbols[l->next].prev = j.left;
		consider(w, l->prev, j.left);
		consider(w, j.left, l->next);
	}
}

/* --- Hugging Face: rules --- */

static bool joins_ranked(const struct word *w, const struct symbol *l, const struct symbol *r, struct join *j)
{
	const struct token_merge *m = token_merges_find(&w->t->merges, l->id, r->id);

	if (!m)
		return false;
	j->id = m->joined;
	j->cost = m->rank;
	return true;
}

/* All bytes of the character as byte tokens, or none. */
static bool fall_back(struct word *w, size_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (w->t->byte_ids[(uint8_t)w->s[off + i]] < 0)
			return false;
	for (size_t i = 0; i < len; i++)
		add_symbol(w, off + i, 1, w->t->byte_ids[(uint8_t)w->s[off + i]], false);
	return true;
}

/* The token of a character at its place in the word. */
static int32_t find_character(const struct word *w, size_t off, size_t len, bool last)
{
	const struct tokenizer *t = w->t;
	own(buf) struct buf b;

	buf_init(&b, TOKEN_BYTES_MAX * 4);
	if ((!t->subword_prefix || off == 0) && (!t->word_suffix || !last))
		return token_vocab_find(&t->vocab, w->s + off, len);
	if (t->subword_prefix && off > 0)
		buf_puts(&b, t->subword_prefix);
	buf_add(&b, w->s + off, len);
	if (t->word_suffix && last)
		buf_puts(&b, t->word_suffix);
	return token_vocab_find(&t->vocab, b.data, b.len);
}

static int spell(struct word *w, size_t n, struct err *e)
{
	const struct tokenizer *t = w->t;
	size_t unknown = 0, len;	/* bytes of unknown text before this character */

	for (size_t i = 0; i < n; i += len) {
		int32_t id;

		token_utf8_at(w->s + i, n - i, &len);
		id = find_character(w, i, len, i + len == n);
		if (id >= 0) {
			if (unknown)
				add_symbol(w, i - unknown, unknown, t->unk, false);
			unknown = 0;
			add_symbol(w, i, len, id, false);
			continue;
		}
		if (t->byte_fallback && fall_back(w, i, len))
			continue;
		if (t->unk == TOKEN_UNK_MISSING)
			return err_set(e, ERR_INPUT, "the text has a character that is not in the vocabulary, and neither is the token for unknown ones");
		if (t->unk < 0)
			continue;
		if (unknown && !t->fuse_unk) {
			add_symbol(w, i - unknown, unknown, t->unk, false);
			unknown = 0;
		}
		unknown += len;
	}
	if (unknown)
		add_symbol(w, n - unknown, unknown, t->unk, false);
	return 0;
}

int token_bpe_ranked(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	own(word) struct word w = { .t = t, .s = s, .joins = joins_ranked };
	int32_t whole = t->ignore_merges ? token_vocab_find(&t->vocab, s, n) : -1;
	int rc;

	if (whole >= 0) {
		token_ids_add(out, whole);
		return 0;
	}
	rc = spell(&w, n, e);
	if (rc < 0)
		return rc;
	merge(&w, stands_ranked);
	for (size_t i = 0; i < w.n; i++)
		if (w.symbols[i].len > 0)
			token_ids_add(out, w.symbols[i].id);
	return 0;
}

/* --- SentencePiece: what is in the vocabulary, by score --- */

static int32_t find_piece(const struct tokenizer *t, const char *s, size_t n)
{
	int32_t id = token_vocab_find(&t->vocab, s, n);

	if (id < 0 || !t->types)
		return id;
	return t->types[id] == TOKEN_NORMAL || t->types[id] == TOKEN_USER || t->types[id] == TOKEN_UNUSED ? id : -1;
}

static bool joins_scored(const struct word *w, const struct symbol *l, const struct symbol *r, struct join *j)
{
	j->id = find_piece(w->t, w->s + l->off, (size_t)l->len + r->len);
	if (j->id < 0)
		return false;
	j->cost = -w->t->scores[j->id];
	return true;
}

/* Bytes for what is unknown where there are byte tokens, else one unknown token for each run. */
static void emit_unknown(const struct tokenizer *t, const char *s, size_t n, bool *in_run, struct token_ids *out)
{
	if (t->byte_fallback) {
		for (size_t i = 0; i < n; i++)
			token_ids_add(out, t->byte_ids[(uint8_t)s[i]]);
	} else if (!*in_run && t->unk >= 0) {
		token_ids_add(out, t->unk);
		*in_run = true;
	}
}

/* A piece that is marked unused is taken apart again into what it was joined from. Its halves are shorter, so this ends. */
static void emit(const struct word *w, size_t off, size_t len, int32_t id, bool *in_run, struct token_ids *out)
{
	uint32_t half = id >= 0 && w->halves && w->t->types[id] == TOKEN_UNUSED ? w->halves[id] : 0;

	if (half > 0 && half < len) {
		emit(w, off, half, find_piece(w->t, w->s + off, half), in_run, out);
		emit(w, off + half, len - half, find_piece(w->t, w->s + off + half, len - half), in_run, out);
	} else if (id < 0) {
		emit_unknown(w->t, w->s + off, len, in_run, out);
	} else {
		token_ids_add(out, id);
		*in_run = false;
	}
}

static bool has_unused(const struct tokenizer *t)
{
	return t->types && memchr(t->types, TOKEN_UNUSED, t->vocab.n_ids);
}

int token_bpe_scored(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	own(word) struct word w = { .t = t, .s = s, .joins = joins_scored };
	bool in_run = false;
	size_t len;

	(void)e;
	if (has_unused(t))
		w.halves = mem_zalloc(t->vocab.n_ids * sizeof(*w.halves));
	for (size_t i = 0; i < n; i += len) {
		const struct token_prefix *user = t->user.n ? token_prefixes_longest(&t->user, s + i, n - i) : NULL;

		if (user)
			len = user->len;
		else
			token_utf8_at(s + i, n - i, &len);
		add_symbol(&w, i, len, find_piece(t, s + i, len), user);
	}
	merge(&w, stands_scored);
	for (size_t i = 0; i < w.n; i++)
		if (w.symbols[i].len > 0)
			emit(&w, w.symbols[i].off, w.symbols[i].len, w.symbols[i].id, &in_run, out);
	return 0;
}

/* --- tiktoken: bytes --- */

int token_bpe_bytes(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	own(word) struct word w = { .t = t, .s = s, .joins = joins_scored };
	int32_t whole = token_vocab_find(&t->vocab, s, n);

	(void)e;
	if (whole >= 0) {
		token_ids_add(out, whole);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		add_symbol(&w, i, 1, t->byte_ids[(uint8_t)s[i]], false);
	merge(&w, stands_scored);
	for (size_t i = 0; i < w.n; i++)
		if (w.symbols[i].len > 0)
			token_ids_add(out, w.symbols[i].id);
	return 0;
}
