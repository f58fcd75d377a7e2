/*
 * token_spm.c - reads tokenizer.model, SentencePiece's protobuf (sentencepiece_model.proto), with a reader of its own: fields
 * come as (number, wire type) and what it does not know it skips. Bounds are checked at each step.
 */
#include <endian.h>
#include <math.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/token_parts.h"

#define WHAT "tokenizer.model"

enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_MODEL_TYPE = 3, TRAINER_SPACE_SUFFIX = 24, TRAINER_BYTE_FALLBACK = 35, TRAINER_UNK = 40, TRAINER_BOS = 41, TRAINER_EOS = 42 };
enum { NORM_CHARSMAP = 2, NORM_DUMMY_PREFIX = 3, NORM_SQUEEZE = 4, NORM_ESCAPE = 5 };
enum { TYPE_UNIGRAM = 1, TYPE_BPE = 2 };

struct message {
	const uint8_t *p;
	size_t n, at;
};

struct field {
	uint64_t number, value;		/* value: of a varint or a fixed-size field */
	const uint8_t *bytes;		/* of a length-delimited one */
	size_t n;
};

struct spm {
	struct tokenizer *t;
	size_t n_pieces, cap_scores, cap_types, n_types;
	int64_t model_type, unk, bos, eos;
	struct token_spm_norm norm;
};

static int bad(struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, WHAT " is not a SentencePiece model: %s", why);
}

static int varint(struct message *m, uint64_t *out, struct err *e)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b;

		if (m->at >= m->n)
			return bad(e, "it ends inside a number");
		b = m->p[m->at++];
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return 0;
		}
	}
	return bad(e, "a number has more than 64 bits");
}

static int fixed(struct message *m, size_t size, uint64_t *out, struct err *e)
{
	uint64_t v = 0;

	if (m->n - m->at < size)
		return bad(e, "it ends inside a number");
	memcpy(&v, m->p + m->at, size);
	m->at += size;
	*out = le64toh(v);
	return 0;
}

/* 1 and the next field, 0 at the end. */
static int next(struct message *m, struct field *f, struct err *e)
{
	uint64_t key, n;
	int rc;

	if (m->at >= m->n)
		return 0;
	*f = (struct field){ 0 };
	rc = varint(m, &key, e);
	if (rc < 0)
		return rc;
	f->number = key >> 3;
	switch (key & 7) {
	case 0:
		rc = varint(m, &f->value, e);
		break;
	case 1:
		rc = fixed(m, 8, &f->value, e);
		break;
	case 5:
		rc = fixed(m, 4, &f->value, e);
		break;
	case 2:
		rc = varint(m, &n, e);
		if (rc == 0 && n > m->n - m->at)
			rc = bad(e, "a field is longer than what holds it");
		if (rc == 0) {
			f->bytes = m->p + m->at;
			f->n = (size_t)n;
			m->at += (size_t)n;
		}
		break;
	default:
		rc = bad(e, "a field of unknown type");
	}
	return rc < 0 ? rc : 1;
}

static double as_float(uint64_t bits)
{
	uint32_t b = (uint32_t)bits;
	float v;

	memcpy(&v, &b, sizeof(v));
	return (double)v;
}

static int read_piece(struct spm *s, const struct field *of, struct err *e)
{
	struct message m = { .p = of->bytes, .n = of->n };
	const char *text = "";
	size_t n = 0;
	double score = 0;
	uint64_t type = TOKEN_NORMAL;
	struct field f;
	int rc;

	if (!of->bytes)
		return bad(e, "a piece is not a message");
	while ((rc = next(&m, &f, e)) > 0) {
		if (f.number == PIECE_TEXT && f.bytes) {
			text = (const char *)f.bytes;
			n = f.n;
		} else if (f.number == PIECE_SCORE) {
			score = as_float(f.value);
		} else if (f.number == PIECE_TYPE) {
			type = f.value;
		}
	}
	if (rc < 0)
		return rc;
	if (type < TOKEN_NORMAL || type > TOKEN_BYTE || !isfinite(score) || n == 0 || !str_utf8_valid(text, n))
		return err_set(e, ERR_INPUT, WHAT ": piece %zu has no text, a score that is no number, or an unknown type", s->n_pieces);
	rc = token_vocab_add(&s->t->vocab, text, n, (int64_t)s->n_pieces, e);
	if (rc < 0)
		return rc;
	*vec_push(&s->t->scores, &s->n_pieces, &s->cap_scores) = score;
	*vec_push(&s->t->types, &s->n_types, &s->cap_types) = (uint8_t)type;
	return 0;
}

static int read_trainer(struct spm *s, const struct field *of, struct err *e)
{
	struct message m = { .p = of->bytes, .n = of->n };
	struct field f;
	int rc;

	while ((rc = next(&m, &f, e)) > 0) {
		switch (f.number) {
		case TRAINER_MODEL_TYPE:
			s->model_type = (int64_t)f.value;
			break;
		case TRAINER_SPACE_SUFFIX:
			s->norm.space_suffix = f.value;
			break;
		case TRAINER_BYTE_FALLBACK:
			s->t->byte_fallback = f.value;
			break;
		case TRAINER_UNK:
			s->unk = (int32_t)f.value;
			break;
		case TRAINER_BOS:
			s->bos = (int32_t)f.value;
			break;
		case TRAINER_EOS:
			s->eos = (int32_t)f.value;
			break;
		}
	}
	return rc;
}

static int read_normalizer(struct spm *s, const struct field *of, struct err *e)
{
	struct message m = { .p = of->bytes, .n = of->n };
	struct field f;
	int rc;

	while ((rc = next(&m, &f, e)) > 0) {
		switch (f.number) {
		case NORM_CHARSMAP:
			s->norm.charsmap = (const char *)f.bytes;
			s->norm.n_charsmap = f.n;
			break;
		case NORM_DUMMY_PREFIX:
			s->norm.dummy_prefix = f.value;
			break;
		case NORM_SQUEEZE:
			s->norm.squeeze = f.value;
			break;
		case NORM_ESCAPE:
			s->norm.escape = f.value;
			break;
		}
	}
	return rc;
}

/* Ids are used only when the vocabulary has them as what they claim to be. */
static int32_t claimed(const struct tokenizer *t, int64_t id, enum token_type type)
{
	return id >= 0 && (uint64_t)id < t->vocab.n_ids && t->types[id] == type ? (int32_t)id : -1;
}

/* User-defined symbols, what the lattice is made of, and the worst score. */
static void build_index(struct tokenizer *t)
{
	bool any = false;

	for (size_t i = 0; i < t->vocab.n_ids; i++) {
		if (t->types[i] == TOKEN_USER)
			token_prefixes_add(&t->user, &t->vocab, (int32_t)i);
		if (t->model == token_unigram && (t->types[i] == TOKEN_NORMAL || t->types[i] == TOKEN_USER))
			token_prefixes_add(&t->pieces, &t->vocab, (int32_t)i);
		if (t->types[i] != TOKEN_NORMAL)
			continue;
		t->min_score = !any || t->scores[i] < t->min_score ? t->scores[i] : t->min_score;
		any = true;
	}
	token_prefixes_sort(&t->user);
}

static int settle(struct spm *s, struct err *e)
{
	struct tokenizer *t = s->t;
	int rc;

	if (s->n_pieces == 0)
		return bad(e, "it has no pieces");
	if (s->model_type != TYPE_UNIGRAM && s->model_type != TYPE_BPE)
		return err_set(e, ERR_UNSUPPORTED, WHAT ": models of words or characters (type %lld) are not supported", (long long)s->model_type);
	t->kind = s->model_type == TYPE_BPE ? "SentencePiece BPE" : "SentencePiece Unigram";
	t->model = s->model_type == TYPE_BPE ? token_bpe_scored : token_unigram;
	t->single_precision = true;
	t->fuse_unk = true;
	t->unk = claimed(t, s->unk, TOKEN_UNKNOWN);
	if (t->unk < 0)
		return err_set(e, ERR_INPUT, WHAT ": token %lld is not the unknown one that it is said to be", (long long)s->unk);
	t->bos = claimed(t, s->bos, TOKEN_CONTROL);
	t->eos = claimed(t, s->eos, TOKEN_CONTROL);
	build_index(t);
	rc = token_norm_add_spm(t, &s->norm, e);
	return rc < 0 ? rc : token_decode_add_spm(&t->decode, s->norm.dummy_prefix && !s->norm.space_suffix, e);
}

int token_spm_read(struct tokenizer *t, const char *p, size_t n, bool prefix_once, struct err *e)
{
	struct spm s = { .t = t, .model_type = TYPE_UNIGRAM, .unk = 0, .bos = 1, .eos = 2,
			 .norm = { .dummy_prefix = true, .squeeze = true, .escape = true, .once = prefix_once } };
	struct message m = { .p = (const uint8_t *)p, .n = n };
	struct field f;
	int rc;

	while ((rc = next(&m, &f, e)) > 0) {
		if (f.number == MODEL_PIECES)
			rc = read_piece(&s, &f, e);
		else if (f.number == MODEL_TRAINER && f.bytes)
			rc = read_trainer(&s, &f, e);
		else if (f.number == MODEL_NORMALIZER && f.bytes)
			rc = read_normalizer(&s, &f, e);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : settle(&s, e);
}
