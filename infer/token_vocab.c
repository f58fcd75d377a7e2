/* token_vocab.c - see token_parts.h: the vocabulary, its strings in order, and the merge rules. */
#include <sys/auxv.h>

#include "base/vec.h"
#include "infer/token_parts.h"

#define SLOTS_MIN 64
#define NO_TOKEN  UINT32_MAX

/* The kernel gives each process 16 random bytes: no system call is needed, so this works in a confined process. */
static uint64_t seed(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);	/* NOLINT: that is what it returns */
	uint64_t v = 0x9e3779b97f4a7c15u;

	if (random)
		memcpy(&v, random, sizeof(v));
	return v | 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)(a ^ 0x2d358dccaa6c78a5u) * (b ^ 0x8bb84b93962eacc9u);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash(uint64_t h, const char *s, size_t n)
{
	uint64_t w;

	for (h ^= n; n >= 8; s += 8, n -= 8) {
		memcpy(&w, s, 8);
		h = mix(h, w);
	}
	w = 0;
	memcpy(&w, s, n);
	return mix(mix(h, w), h);
}

void token_vocab_init(struct token_vocab *v)
{
	*v = (struct token_vocab){ .seed = seed() };
	buf_init(&v->bytes, TOKEN_VOCAB_MAX_BYTES);
}

void token_vocab_done(struct token_vocab *v)
{
	buf_done(&v->bytes);
	free(v->by_id);
	free(v->slots);
	*v = (struct token_vocab){ 0 };
	buf_init(&v->bytes, TOKEN_VOCAB_MAX_BYTES);
}

/* The slot that holds s, or the free one where it would go. There is always a free one. */
static struct token_slot *slot_of(const struct token_vocab *v, const char *s, size_t n)
{
	size_t i = hash(v->seed, s, n) & (v->n_slots - 1);

	while (v->slots[i].id >= 0 && (v->slots[i].len != n || memcmp(v->bytes.data + v->slots[i].off, s, n) != 0))
		i = (i + 1) & (v->n_slots - 1);
	return &v->slots[i];
}

static void grow_slots(struct token_vocab *v)
{
	size_t n_old = v->n_slots;
	own(mem) struct token_slot *old = v->slots;

	v->n_slots = n_old ? n_old * 2 : SLOTS_MIN;
	v->slots = mem_zalloc(v->n_slots * sizeof(*v->slots));
	for (size_t i = 0; i < v->n_slots; i++)
		v->slots[i].id = -1;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].id >= 0)
			*slot_of(v, v->bytes.data + old[i].off, old[i].len) = old[i];
}

static void grow_ids(struct token_vocab *v, size_t n)
{
	if (n > v->cap_ids) {
		v->cap_ids = n + n / 2 + SLOTS_MIN;
		v->by_id = reallocarray(v->by_id, v->cap_ids, sizeof(*v->by_id));
		if (!v->by_id)
			abort();
	}
	for (; v->n_ids < n; v->n_ids++)
		v->by_id[v->n_ids] = (struct token_span){ .off = NO_TOKEN };
}

int token_vocab_add(struct token_vocab *v, const char *s, size_t n, int64_t id, struct err *e)
{
	struct token_slot *slot;

	if (id < 0 || id >= TOKEN_VOCAB_MAX)
		return err_set(e, ERR_INPUT, "token '%.*s' has id %lld: ids from 0 to %d are read", (int)(n < 40 ? n : 40), s, (long long)id, TOKEN_VOCAB_MAX - 1);
	if (n > TOKEN_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "token %lld has %zu bytes, more than the %d that are read", (long long)id, n, TOKEN_BYTES_MAX);
	if (v->n_used >= TOKEN_VOCAB_MAX)
		return err_set(e, ERR_LIMIT, "the vocabulary has more than %d tokens", TOKEN_VOCAB_MAX);
	if (v->n_used * 2 >= v->n_slots)
		grow_slots(v);
	slot = slot_of(v, s, n);
	if (slot->id < 0) {
		*slot = (struct token_slot){ (uint32_t)v->bytes.len, (uint32_t)n, -1 };
		if (buf_add(&v->bytes, s, n) < 0)
			return err_set(e, ERR_LIMIT, "the vocabulary is larger than %zu bytes", v->bytes.max);
		v->n_used++;
	}
	slot->id = (int32_t)id;
	grow_ids(v, (size_t)id + 1);
	v->n_tokens += v->by_id[id].off == NO_TOKEN;
	v->by_id[id] = (struct token_span){ slot->off, slot->len };
	if (n > v->longest)
		v->longest = (uint32_t)n;
	return 0;
}

int32_t token_vocab_find(const struct token_vocab *v, const char *s, size_t n)
{
	if (n > v->longest || v->n_slots == 0)
		return -1;
	return slot_of(v, s, n)->id;
}

const char *token_vocab_text(const struct token_vocab *v, int32_t id, size_t *n)
{
	if (id < 0 || (size_t)id >= v->n_ids || v->by_id[id].off == NO_TOKEN)
		return NULL;
	*n = v->by_id[id].len;
	return v->bytes.data + v->by_id[id].off;
}

void token_prefixes_add(struct token_prefixes *p, const struct token_vocab *v, int32_t id)
{
	size_t n;
	const char *s = token_vocab_text(v, id, &n);

	if (s && n > 0)
		*vec_push(&p->v, &p->n, &p->cap) = (struct token_prefix){ s, (uint32_t)n, id };
}

static int by_bytes(const void *pa, const void *pb)
{
	const struct token_prefix *a = pa, *b = pb;
	int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

	if (c != 0)
		return c;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

void token_prefixes_sort(struct token_prefixes *p)
{
	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), by_bytes);
}

void token_prefixes_done(struct token_prefixes *p)
{
	free(p->v);
	*p = (struct token_prefixes){ 0 };
}

/* The first in [lo, hi) whose byte at depth is at least c; all in the range are longer than depth and share what comes before. */
static size_t lower(const struct token_prefixes *p, size_t lo, size_t hi, size_t depth, unsigned c)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((unsigned char)p->v[mid].s[depth] < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct token_walk token_walk_start(const struct token_prefixes *p, const char *s, size_t n)
{
	return (struct token_walk){ .of = p, .s = s, .n = n, .hi = p->n };
}

const struct token_prefix *token_walk_next(struct token_walk *w)
{
	while (w->depth < w->n && w->lo < w->hi) {
		unsigned c = (unsigned char)w->s[w->depth];
		const struct token_prefix *found = NULL;

		w->lo = lower(w->of, w->lo, w->hi, w->depth, c);
		w->hi = lower(w->of, w->lo, w->hi, w->depth, c + 1);
		w->depth++;
		/* In byte order a token comes before those that it begins: the ones that end here are at the front. */
		while (w->lo < w->hi && w->of->v[w->lo].len == w->depth)
			found = &w->of->v[w->lo++];
		if (found)
			return found;
	}
	return NULL;
}

const struct token_prefix *token_prefixes_longest(const struct token_prefixes *p, const char *s, size_t n)
{
	struct token_walk w = token_walk_start(p, s, n);
	const struct token_prefix *best = NULL, *at;

	while ((at = token_walk_next(&w)))
		best = at;
	return best;
}

static struct token_merge *merge_slot(const struct token_merges *m, int32_t left, int32_t right)
{
	size_t i = mix(m->seed ^ (uint64_t)(uint32_t)left, (uint64_t)(uint32_t)right + m->seed) & (m->n_slots - 1);

	while (m->slots[i].left >= 0 && (m->slots[i].left != left || m->slots[i].right != right))
		i = (i + 1) & (m->n_slots - 1);
	return &m->slots[i];
}

static void grow_merges(struct token_merges *m)
{
	size_t n_old = m->n_slots;
	own(mem) struct token_merge *old = m->slots;

	m->seed = seed();
	m->n_slots = n_old ? n_old * 2 : SLOTS_MIN;
	m->slots = mem_zalloc(m->n_slots * sizeof(*m->slots));
	for (size_t i = 0; i < m->n_slots; i++)
		m->slots[i].left = -1;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].left >= 0)
			*merge_slot(m, old[i].left, old[i].right) = old[i];
}

/* A pair given twice: the later rule holds, as in the library that writes these files. */
void token_merges_add(struct token_merges *m, int32_t left, int32_t right, int32_t joined, uint32_t rank)
{
	struct token_merge *slot;

	if (m->n * 2 >= m->n_slots)
		grow_merges(m);
	slot = merge_slot(m, left, right);
	m->n += slot->left < 0;
	*slot = (struct token_merge){ left, right, joined, rank };
}

const struct token_merge *token_merges_find(const struct token_merges *m, int32_t left, int32_t right)
{
	const struct token_merge *slot = m->n_slots ? merge_slot(m, left, right) : NULL;

	return slot && slot->left >= 0 ? slot : NULL;
}

void token_merges_done(struct token_merges *m)
{
	free(m->slots);
	*m = (struct token_merges){ 0 };
}
