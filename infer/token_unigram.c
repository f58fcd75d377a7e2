/*
 * token_unigram.c - the unigram language model: of all ways to cut the text into pieces, the one whose scores sum highest
 * (Viterbi). A character that no piece covers costs as much as the worst piece and a penalty.
 */
#include "base/vec.h"
#include "infer/token_parts.h"

#define UNKNOWN_PENALTY 10.0
#define USER_BONUS	0.1

struct node {
	double score;	/* of the best way to here */
	uint32_t from;	/* where its last piece begins; NOWHERE: no way to here */
	int32_t id;
};

#define NOWHERE UINT32_MAX

static bool in_lattice(const struct tokenizer *t, int32_t id)
{
	return !t->types || t->types[id] == TOKEN_NORMAL || t->types[id] == TOKEN_USER;
}

/* A user-defined piece gets what its characters, whose scores are negative, could never sum to. */
static double score_of(const struct tokenizer *t, const struct token_prefix *p)
{
	if (t->types && t->types[p->id] == TOKEN_USER)
		return USER_BONUS * (double)(p->len - 1);
	return t->scores[p->id];
}

/* sentencepiece sums in single precision, and ties fall accordingly. */
static double sum(const struct tokenizer *t, double a, double b)
{
	return t->single_precision ? (double)((float)a + (float)b) : a + b;
}

static void offer(struct node *to, double score, size_t from, int32_t id)
{
	if (to->from == NOWHERE || score > to->score)
		*to = (struct node){ score, (uint32_t)from, id };
}

static void advance(const struct tokenizer *t, struct node *nodes, const char *s, size_t n, size_t at)
{
	struct token_walk w = token_walk_start(&t->pieces, s + at, n - at);
	const struct token_prefix *p;
	bool covered = false;
	size_t len;
	double unknown = t->min_score - UNKNOWN_PENALTY;

	token_utf8_at(s + at, n - at, &len);
	while ((p = token_walk_next(&w))) {
		if (!in_lattice(t, p->id))
			continue;
		offer(&nodes[at + p->len], sum(t, nodes[at].score, score_of(t, p)), at, p->id);
		covered |= p->len == len;
	}
	if (!covered)
		offer(&nodes[at + len], sum(t, nodes[at].score, unknown), at, t->unk);
}

/* What a run of unknown characters becomes: a token that is spelt so after all, its bytes, or the unknown token. */
static int emit_unknown(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	int32_t id = t->single_precision ? -1 : token_vocab_find(&t->vocab, s, n);

	if (id < 0 && t->byte_fallback) {
		for (size_t i = 0; i < n; i++)
			token_ids_add(out, t->byte_ids[(uint8_t)s[i]]);
		return 0;
	}
	if (id < 0)
		id = t->unk;
	if (id < 0)
		return err_set(e, ERR_INPUT, "the text has a character that is not in the vocabulary, and there is no token for unknown ones");
	token_ids_add(out, id);
	return 0;
}

int token_unigram(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e)
{
	own(mem) struct node *nodes = mem_zalloc((n + 1) * sizeof(*nodes));
	own(mem) uint32_t *ends = NULL;
	size_t n_ends = 0, cap_ends = 0, at, len, unknown = 0;
	int rc = 0;

	for (size_t i = 1; i <= n; i++)
		nodes[i].from = NOWHERE;
	for (at = 0; at < n; at += len) {
		token_utf8_at(s + at, n - at, &len);
		advance(t, nodes, s, n, at);
	}
	for (at = n; at > 0; at = nodes[at].from)
		*vec_push(&ends, &n_ends, &cap_ends) = (uint32_t)at;
	while (n_ends > 0 && rc == 0) {
		const struct node *node = &nodes[at = ends[--n_ends]];

		len = at - node->from;
		if (node->id == t->unk) {
			unknown += len;
			if (t->fuse_unk && n_ends > 0)
				continue;
		} else if (!unknown) {
			token_ids_add(out, node->id);
			continue;
		}
		if (unknown)
			rc = emit_unknown(t, s + at - (node->id == t->unk ? 0 : len) - unknown, unknown, out, e);
		unknown = 0;
		if (rc == 0 && node->id != t->unk)
			token_ids_add(out, node->id);
	}
	return rc;
}
