/* query_index_part.c - rows of the posting index and what is known of them: columns, lists, combinations, authors; see query_index_impl.h. */
#include <sys/mman.h>

#include "base/vec.h"
#include "catalog/query_index_impl.h"

#define HUGE_PAGE    ((size_t)2 << 20)
#define SLOTS_MIN    1024u			/* of a hash table, which is at most half full */
#define COMBINATIONS_MAX (1u << 16)		/* as many as index_facts has room for, and */
#define ARCHITECTURES_MAX (1u << 24)

/* --- memory ------------------------------------------------------------------------------------------------------------------------------- */

/* Large arrays are looked at here and there: with large pages the processor finds them without a walk through tables. */
void *index_array(size_t n, size_t size)
{
	size_t bytes = n * size;
	void *p;

	if (bytes < HUGE_PAGE) {
		p = calloc(n ? n : 1, size);
	} else {
		bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
		p = aligned_alloc(HUGE_PAGE, bytes);
		if (p) {
			madvise(p, bytes, MADV_HUGEPAGE);
			memset(p, 0, bytes);
		}
	}
	if (!p)
		abort();	/* query_index_load() has compared the estimate with its limit */
	return p;
}

/* Room for n elements where there were n_old, the new ones zeroed. */
static void *grown(void *p, size_t n_old, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (!p)
		abort();
	memset((char *)p + n_old * size, 0, (n - n_old) * size);
	return p;
}

#define grow(p, n_old, n) ((p) = grown((p), (n_old), (n), sizeof(*(p))))

static uint32_t hash_bytes(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint32_t h = 2166136261u;	/* FNV-1a */

	while (n--)
		h = (h ^ *s++) * 16777619u;
	return h ^ h >> 15;
}

/* --- a model as read ---------------------------------------------------------------------------------------------------------------------- */

void index_lower(char out[MODEL_NAME_MAX + 1], const char *name)
{
	size_t n = 0;

	for (; name[n] && n < MODEL_NAME_MAX; n++)
		out[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
	out[n] = 0;
}

/* Dates beyond what 32 bits hold (the year 2106) never come. */
static uint32_t date(int64_t at)
{
	return at < 0 ? 0 : at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

void index_row_read(struct sql *q, struct index_row *r)
{
	int64_t commercial = sql_get_int(q, 7);
	const char *name = sql_get_text(q, 14);

	r->id = sql_get_int(q, 0);
	r->downloads = sql_get_int(q, 1);
	r->size = (uint64_t)sql_get_int(q, 2);
	r->params = sql_get_int(q, 3);
	r->formats = (uint32_t)sql_get_int(q, 4) & ((1u << FORMAT_N) - 1);
	for (int i = 0; i < INDEX_COLUMNS; i++)
		r->columns[i] = (uint32_t)sql_get_int(q, 8 + i);
	r->library = (uint32_t)sql_get_int(q, 13);
	r->sunset_at = date(sql_get_int(q, 15));
	r->deprecated_at = date(sql_get_int(q, 16));
	r->author = (uint32_t)sql_get_int(q, 17);
	r->sets = 1u << INDEX_LIVE | r->formats << INDEX_FORMAT;
	r->sets |= sql_get_int(q, 5) ? 1u << INDEX_VISIBLE : 0;
	r->sets |= sql_get_int(q, 6) ? 1u << INDEX_GATED : 0;
	r->sets |= commercial == LICENCE_YES || commercial == LICENCE_CONDITIONAL ? 1u << INDEX_COMMERCIAL : 0;
	r->sets |= r->deprecated_at ? 1u << INDEX_DEPRECATED : 0;
	r->sets |= r->sunset_at ? 1u << INDEX_ENDING : 0;
	index_lower(r->name, name ? name : "");
}

/* --- parts -------------------------------------------------------------------------------------------------------------------------------- */

void index_part_init(struct index_part *t, uint32_t cap, uint32_t n_terms)
{
	*t = (struct index_part){ .cap = cap, .n_terms = n_terms };
	t->id = index_array(cap, sizeof(*t->id));
	t->downloads = index_array(cap, sizeof(*t->downloads));
	t->params = index_array(cap, sizeof(*t->params));
	t->facts = index_array(cap, sizeof(*t->facts));
	t->sunset_at = index_array(cap, sizeof(*t->sunset_at));
	t->deprecated_at = index_array(cap, sizeof(*t->deprecated_at));
	t->name_at = index_array(cap + 1ul, sizeof(*t->name_at));
	for (int i = 0; i < INDEX_SETS; i++)
		t->sets[i] = index_array(index_words(cap), sizeof(*t->sets[i]));
	t->terms = index_array(n_terms, sizeof(*t->terms));
}

void index_part_grow(struct index_part *t)
{
	uint32_t cap = t->cap * 2;

	grow(t->id, t->cap, cap);
	grow(t->downloads, t->cap, cap);
	grow(t->params, t->cap, cap);
	grow(t->facts, t->cap, cap);
	grow(t->sunset_at, t->cap, cap);
	grow(t->deprecated_at, t->cap, cap);
	grow(t->name_at, t->cap + 1ul, cap + 1ul);
	for (int i = 0; i < INDEX_SETS; i++)
		grow(t->sets[i], index_words(t->cap), index_words(cap));
	for (uint32_t i = 0; i < t->n_terms; i++)
		if (t->terms[i].dense)
			grow(t->terms[i].bits, index_words(t->cap), index_words(cap));
	t->cap = cap;
}

void index_part_terms(struct index_part *t, uint32_t term)
{
	uint32_t n = term + term / 4 + 1024;

	if (term < t->n_terms)
		return;
	grow(t->terms, t->n_terms, n);
	t->n_terms = n;
}

void index_part_free(struct index_part *t)
{
	for (uint32_t i = 0; i < t->n_terms; i++)
		free(t->terms[i].list);		/* or the bits, in the same place */
	for (int i = 0; i < INDEX_SETS; i++)
		free(t->sets[i]);
	free(t->terms);
	free(t->id);
	free(t->downloads);
	free(t->params);
	free(t->facts);
	free(t->sunset_at);
	free(t->deprecated_at);
	free(t->large);
	free(t->names);
	free(t->name_at);
	*t = (struct index_part){ 0 };
}

static size_t large_at(const struct index_part *t, uint32_t position)
{
	size_t lo = 0, hi = t->n_large;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->large[mid].position < position)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t index_part_size(const struct index_part *t, uint32_t position)
{
	uint64_t size = t->facts[position].size_low | (uint64_t)t->facts[position].size_high << 32;

	return size < INDEX_SIZE_MAX ? size : t->large[large_at(t, position)].size;
}

static void put_large(struct index_part *t, uint32_t position, uint64_t size)
{
	size_t at = large_at(t, position);

	if (at == t->n_large || t->large[at].position != position) {
		vec_push(&t->large, &t->n_large, &t->cap_large);
		memmove(t->large + at + 1, t->large + at, (t->n_large - 1 - at) * sizeof(*t->large));
	}
	t->large[at] = (struct index_large){ position, size };
}

void index_part_put(struct index_part *t, uint32_t position, const struct index_row *r, const struct index_facts *facts)
{
	bool large = r->size >= INDEX_SIZE_MAX;
	uint64_t size = large ? INDEX_SIZE_MAX : r->size;

	t->id[position] = (uint32_t)r->id;
	t->downloads[position] = r->downloads;
	t->params[position] = r->params;
	t->facts[position] = *facts;
	t->facts[position].size_low = (uint32_t)size;
	t->facts[position].size_high = size >> 32 & 0xff;
	t->sunset_at[position] = r->sunset_at;
	t->deprecated_at[position] = r->deprecated_at;
	if (large)
		put_large(t, position, r->size);	/* one that has become smaller stays there, unasked */
	for (int i = 0; i < INDEX_SETS; i++) {
		uint64_t bit = 1ull << (position % 64), *word = &t->sets[i][position / 64];

		*word = r->sets >> i & 1 ? *word | bit : *word & ~bit;
	}
}

void index_part_name(struct index_part *t, const char *name)
{
	size_t n = strlen(name) + 1, at = t->name_at[t->n];

	if (at + n > t->cap_names) {
		size_t cap = (at + n) * 3 / 2 + 1024;

		grow(t->names, t->cap_names, cap);
		t->cap_names = cap;
	}
	memcpy(t->names + at, name, n);
	t->name_at[++t->n] = (uint32_t)(at + n);
}

void index_part_carry(struct index_part *t, uint32_t term, uint32_t position)
{
	struct index_term *v = &t->terms[term];

	if (v->dense) {
		v->bits[position / 64] |= 1ull << (position % 64);
		v->n++;
		return;
	}
	if ((v->n & (v->n - 1)) == 0)
		grow(v->list, v->n, v->n ? v->n * 2ul : 1);
	v->list[v->n++] = position;
}

/* --- what facets count ------------------------------------------------------------------------------------------------------------------- */

static void combinations_init(struct index_combinations *v)
{
	*v = (struct index_combinations){ .n_slots = SLOTS_MIN };
	v->slots = index_array(v->n_slots, sizeof(*v->slots));
	memset(v->slots, 0xff, v->n_slots * sizeof(*v->slots));
}

void index_values_init(struct index_values *v, uint32_t n_terms)
{
	*v = (struct index_values){ .n_small_of = n_terms };
	v->small_of = index_array(n_terms, sizeof(*v->small_of));
	for (int i = 0; i < INDEX_COLUMNS; i++)
		for (uint32_t k = 0; k < (i == FACET_STATE ? INDEX_STATES : 1); k++)
			*vec_push(&v->columns[i].term_of, &v->columns[i].n, &v->columns[i].cap) = k;
	combinations_init(&v->rights);
	combinations_init(&v->kinds);
}

void index_values_free(struct index_values *v)
{
	for (int i = 0; i < INDEX_COLUMNS; i++)
		free(v->columns[i].term_of);
	free(v->small_of);
	free(v->rights.v);
	free(v->rights.slots);
	free(v->kinds.v);
	free(v->kinds.slots);
}

static uint32_t small_number(struct index_values *v, int column, uint32_t term)
{
	if (column == FACET_STATE)
		return term < INDEX_STATES ? term : 0;
	if (term >= v->n_small_of) {
		size_t n = term + term / 4ul + 1024;

		grow(v->small_of, v->n_small_of, n);
		v->n_small_of = n;
	}
	if (term && v->small_of[term] == 0) {
		v->small_of[term] = (uint32_t)v->columns[column].n;
		*vec_push(&v->columns[column].term_of, &v->columns[column].n, &v->columns[column].cap) = term;
	}
	return v->small_of[term];
}

/* The slot where the combination is, or would be. */
static uint32_t *slot_of(const struct index_combinations *v, const struct index_combination *c)
{
	size_t at = hash_bytes(c, sizeof(*c)) & (v->n_slots - 1);

	while (v->slots[at] != INDEX_NONE && memcmp(&v->v[v->slots[at]], c, sizeof(*c)) != 0)
		at = (at + 1) & (v->n_slots - 1);
	return &v->slots[at];
}

static void hash_anew(struct index_combinations *v)
{
	free(v->slots);
	v->n_slots *= 2;
	v->slots = index_array(v->n_slots, sizeof(*v->slots));
	memset(v->slots, 0xff, v->n_slots * sizeof(*v->slots));
	for (size_t i = 0; i < v->n; i++)
		*slot_of(v, &v->v[i]) = (uint32_t)i;
}

/* COMBINATIONS_MAX when there are too many. */
static uint32_t combination(struct index_combinations *v, struct index_combination c)
{
	uint32_t *slot = slot_of(v, &c);

	if (*slot != INDEX_NONE)
		return *slot;
	if (v->n == COMBINATIONS_MAX)
		return COMBINATIONS_MAX;
	*slot = (uint32_t)v->n;
	*vec_push(&v->v, &v->n, &v->cap) = c;
	if (v->n * 2 > v->n_slots)
		hash_anew(v);
	return (uint32_t)(v->n - 1);
}

bool index_facts(struct index_values *v, const struct index_row *r, struct index_facts *out)
{
	uint32_t small[INDEX_COLUMNS], rights, kind;

	for (int i = 0; i < INDEX_COLUMNS; i++)
		small[i] = small_number(v, i, r->columns[i]);
	rights = combination(&v->rights, (struct index_combination){ { small[FACET_LICENSE], small[FACET_STATE] } });
	kind = combination(&v->kinds, (struct index_combination){ { small[FACET_TASK], small[FACET_QUANTIZATION], r->formats } });
	if (rights == COMBINATIONS_MAX || kind == COMBINATIONS_MAX || small[FACET_ARCHITECTURE] >= ARCHITECTURES_MAX)
		return false;
	*out = (struct index_facts){ .rights = (uint16_t)rights, .kind = (uint16_t)kind, .architecture = small[FACET_ARCHITECTURE] & (ARCHITECTURES_MAX - 1) };
	return true;
}

size_t index_sums_n(const struct index_values *v)
{
	return v->rights.n + v->columns[FACET_ARCHITECTURE].n + v->kinds.n;
}

struct index_sums index_sums(const struct index_values *v, struct index_sum *memory)
{
	struct index_sum *architectures = memory + v->rights.n;

	return (struct index_sums){ memory, architectures, architectures + v->columns[FACET_ARCHITECTURE].n, index_sums_n(v) };
}

/* --- authors ------------------------------------------------------------------------------------------------------------------------------ */

static struct index_author *author_slot(const struct index_authors *v, const char *name, size_t n)
{
	size_t at = hash_bytes(name, n) & (v->n_slots - 1);

	for (; v->slots[at].term; at = (at + 1) & (v->n_slots - 1)) {
		const char *known = v->names + v->slots[at].name_at;

		if (!strncmp(known, name, n) && known[n] == 0)
			break;
	}
	return &v->slots[at];
}

static void authors_grow(struct index_authors *v)
{
	struct index_authors more = *v;

	more.n_slots = v->n_slots ? v->n_slots * 2 : SLOTS_MIN;
	more.slots = index_array(more.n_slots, sizeof(*more.slots));
	for (size_t i = 0; i < v->n_slots; i++) {
		const char *name = v->names + v->slots[i].name_at;

		if (v->slots[i].term)
			*author_slot(&more, name, strlen(name)) = v->slots[i];
	}
	free(v->slots);
	*v = more;
}

uint32_t index_author_add(struct index_authors *v, const char *name, uint32_t term)
{
	const char *slash = strchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : 0;
	struct index_author *a;

	if (n == 0 || term == 0)
		return 0;
	if (v->n * 2 >= v->n_slots)
		authors_grow(v);
	a = author_slot(v, name, n);
	if (a->term)
		return a->term;
	if (v->n_names + n + 1 > v->cap_names) {
		size_t cap = v->cap_names * 2 + MODEL_NAME_MAX + 1;

		grow(v->names, v->cap_names, cap);
		v->cap_names = cap;
	}
	*a = (struct index_author){ (uint32_t)v->n_names, term };
	memcpy(v->names + v->n_names, name, n);
	v->names[v->n_names + n] = 0;
	v->n_names += n + 1;
	v->n++;
	return term;
}

uint32_t index_author_find(const struct index_authors *v, const char *author)
{
	return v->n_slots ? author_slot(v, author, strlen(author))->term : 0;
}

void index_authors_free(struct index_authors *v)
{
	free(v->slots);
	free(v->names);
}
