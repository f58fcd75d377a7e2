/*
 * token_parts.h - what the files of the tokenizer share: a vocabulary, merge rules, a text in pieces, steps that rewrite it,
 * and struct tokenizer itself. Nothing outside infer/token*.c includes it but their tests.
 *
 * Encoding is one pipeline for every kind of file:
 *	text -> added tokens cut out -> norm steps (a piece at a time) -> normalised added tokens cut out
 *	     -> pre steps (pieces get smaller) -> model (pieces become ids) -> head and tail ids around them
 * Decoding: ids -> one piece a token -> decode steps -> joined.
 */
#ifndef INFER_TOKEN_PARTS_H
#define INFER_TOKEN_PARTS_H

#include <jansson.h>

#include "infer/token.h"

#define TOKEN_WORK_MAX_BYTES  ((size_t)256 << 20)	/* of a text while it is rewritten: normalisers may make it longer */
#define TOKEN_VOCAB_MAX_BYTES ((size_t)256 << 20)	/* all tokens together */
#define TOKEN_STEPS_MAX	      64			/* of normalisers, pre-tokenizers or decoders */
#define TOKEN_TEMPLATE_MAX    64			/* ids that a post-processor puts before or behind */
#define TOKEN_REGEX_MAX	      ((size_t)32 << 10)	/* bytes of one pattern */
#define TOKEN_MARKS_MAX	      1024			/* combining marks in a row: normalising them is quadratic */
#define TOKEN_WORD_CHARS_MAX  1000			/* of a WordPiece word */

/* --- token_vocab.c: strings and their ids --- */

struct token_span {
	uint32_t off, len;
};

struct token_slot {
	uint32_t off, len;
	int32_t id;
};

struct token_vocab {
	struct buf bytes;
	struct token_span *by_id;	/* off == UINT32_MAX: this id has no token */
	size_t n_ids, cap_ids;		/* one more than the highest id */
	size_t n_tokens;		/* ids that have one */
	struct token_slot *slots;	/* open addressing; id < 0 is free */
	size_t n_slots, n_used;
	uint64_t seed;			/* a file can't choose tokens that collide */
	uint32_t longest;		/* bytes of the longest token */
};

void token_vocab_init(struct token_vocab *v);
void token_vocab_done(struct token_vocab *v);
/* A string given twice means the later id; an id given twice decodes to the later string. ERR_LIMIT, ERR_INPUT. */
int token_vocab_add(struct token_vocab *v, const char *s, size_t n, int64_t id, struct err *e);
int32_t token_vocab_find(const struct token_vocab *v, const char *s, size_t n);		/* -1: not there */
const char *token_vocab_text(const struct token_vocab *v, int32_t id, size_t *n);	/* NULL: no such id */

/* Which tokens begin a text? Strings in byte order, narrowed a byte at a time: no trie to build, O(longest log n) a look-up. */
struct token_prefixes {
	struct token_prefix {
		const char *s;		/* into the vocabulary, which must not grow any more */
		uint32_t len;
		int32_t id;
	} *v;
	size_t n, cap;
};
struct token_walk {
	const struct token_prefixes *of;
	const char *s;
	size_t n, depth, lo, hi;
};

void token_prefixes_add(struct token_prefixes *p, const struct token_vocab *v, int32_t id);
void token_prefixes_sort(struct token_prefixes *p);
void token_prefixes_done(struct token_prefixes *p);
/* Gives the tokens that are prefixes of s[0..n), shortest first; NULL when there are no more. */
struct token_walk token_walk_start(const struct token_prefixes *p, const char *s, size_t n);
const struct token_prefix *token_walk_next(struct token_walk *w);
const struct token_prefix *token_prefixes_longest(const struct token_prefixes *p, const char *s, size_t n);

struct token_merges {
	struct token_merge {
		int32_t left, right, joined;	/* left < 0: free */
		uint32_t rank;
	} *slots;
	size_t n, n_slots;
	uint64_t seed;
};

void token_merges_done(struct token_merges *m);
void token_merges_add(struct token_merges *m, int32_t left, int32_t right, int32_t joined, uint32_t rank);
const struct token_merge *token_merges_find(const struct token_merges *m, int32_t left, int32_t right);

/* --- token_text.c: a text in pieces, and what characters are --- */

struct token_piece {
	size_t off, len;
	int32_t id;	/* of an added token; -1: still text */
	bool first;	/* it begins where the whole text begins */
};

struct token_text {
	struct buf text;
	struct token_piece *pieces;
	size_t n, cap;
};

void token_text_init(struct token_text *t);
void token_text_done(struct token_text *t);
void token_text_reset(struct token_text *t);
void token_text_swap(struct token_text *a, struct token_text *b);
/* Appends a piece; a text piece of no bytes is left out. Passing the limit shows in buf_failed(&t->text). */
void token_text_put(struct token_text *t, const char *s, size_t n, int32_t id, bool first);
void token_text_keep(struct token_text *t, const char *s, size_t n, int32_t id);	/* as put, empty ones too: for decoders */
int token_text_check(const struct buf *b, struct err *e);		/* ERR_LIMIT when b has failed */

static inline void own_token_text(struct token_text *t)
{
	token_text_done(t);
}

struct token_ids {
	int32_t *v;
	size_t n, cap;
};

static inline void own_token_ids(struct token_ids *ids)
{
	free(ids->v);
}

void token_ids_add(struct token_ids *ids, int32_t id);

uint32_t token_utf8_at(const char *s, size_t n, size_t *len);	/* the character at s, which must be valid UTF-8; n > 0 */
uint32_t token_utf8_before(const char *s, size_t n, size_t *len); /* the last character of s[0..n) */
void token_utf8_put(struct buf *b, uint32_t c);

bool token_is_space(uint32_t c);	/* White_Space */
bool token_is_numeric(uint32_t c);	/* N* */
bool token_is_punctuation(uint32_t c);	/* P*, and all of ASCII's symbols */
bool token_is_word(uint32_t c);		/* \w: Alphabetic, M*, Nd, Pc */
bool token_is_mark(uint32_t c);		/* M* */
bool token_is_nonspacing(uint32_t c);	/* Mn */

/* GPT-2's map: each byte as a printable character. */
uint32_t token_byte_char(uint8_t byte);
int token_char_byte(uint32_t c);	/* -1: not a byte's character */

/* --- token_regex.c: patterns of tokenizer files through PCRE2 --- */

enum token_flavour {
	TOKEN_ONIGURUMA,	/* tokenizer.json: ^ and $ at lines, {n,m}+ is no possessive */
	TOKEN_RUST,		/* tiktoken, and the table for GGUF */
};

struct token_regex;

int token_regex_open(struct token_regex **out, const char *pattern, size_t n, enum token_flavour flavour, struct err *e);
int token_regex_literal(struct token_regex **out, const char *text, size_t n, struct err *e);
void token_regex_free(struct token_regex *re);
/*
 * All matches from left to right: 1 and the bounds of the next, 0 when there is none, ERR_LIMIT when it takes too long. An empty
 * match right behind another match does not count. s is valid UTF-8; re NULL matches nowhere.
 */
struct token_matches {
	struct token_regex *re;
	const char *s;
	size_t n, at;
	size_t from, to;	/* of the match */
	bool any;		/* there was one before */
};
int token_matches_next(struct token_matches *m, struct err *e);

/* --- steps: normalisers, pre-tokenizers, decoders --- */

enum token_behaviour {
	TOKEN_REMOVED,
	TOKEN_ISOLATED,
	TOKEN_MERGED_WITH_PREVIOUS,
	TOKEN_MERGED_WITH_NEXT,
	TOKEN_CONTIGUOUS,
};

enum token_prepend {
	TOKEN_PREPEND_NEVER,
	TOKEN_PREPEND_FIRST,
	TOKEN_PREPEND_ALWAYS,
};

struct token_step;
typedef int token_norm_fn(const struct token_step *st, const char *s, size_t n, struct buf *out, struct err *e);
typedef int token_pre_fn(const struct token_step *st, const char *s, size_t n, bool first, struct token_text *out, struct err *e);
typedef int token_decode_fn(const struct token_step *st, const struct token_text *in, struct token_text *out, struct err *e);
typedef bool token_class_fn(uint32_t c);

/* One step; which members mean something is the business of its function. */
struct token_step {
	token_norm_fn *norm;
	token_pre_fn *pre;
	token_decode_fn *decode;
	struct token_regex *re;
	token_class_fn *is;			/* splits at characters of this class */
	char *text, *with;			/* pattern or content; replacement */
	size_t n_text, n_with;
	enum token_behaviour behaviour;
	enum token_prepend prepend;
	bool invert, left, right, clean, chinese, accents, lower, split, add_space;
	size_t start, stop;
	struct token_charsmap *charsmap;
	const struct token_prefixes *whole;	/* what passes unchanged */
};

struct token_steps {
	struct token_step *v;
	size_t n, cap;
};

void token_steps_done(struct token_steps *s);
struct token_step *token_steps_add(struct token_steps *s, const char *what, struct err *e);	/* NULL: TOKEN_STEPS_MAX */
void token_step_text(struct token_step *st, const char *text, size_t n);
void token_step_with(struct token_step *st, const char *with, size_t n);
/* {"String": …} or {"Regex": …} */
int token_step_pattern(struct token_step *st, const json_t *pattern, const char *what, struct err *e);

/* Each reads one JSON object of tokenizer.json (or null) into steps, Sequences flattened. token_norm.c, token_pre.c, token_decode.c */
int token_norm_read(struct token_steps *s, const json_t *j, struct err *e);
int token_pre_read(struct token_steps *s, const json_t *j, struct err *e);
int token_decode_read(struct token_steps *s, const json_t *j, struct err *e);
int token_base64(struct buf *out, const char *s, size_t n);	/* ERR_INPUT when it is none, ERR_LIMIT */
token_norm_fn token_norm_replace, token_norm_bytes;
int token_norm_run(const struct token_steps *s, struct buf *text, struct err *e);	/* in place */
int token_pre_run(const struct token_steps *s, struct token_text *text, struct err *e);
int token_decode_run(const struct token_steps *s, struct token_text *pieces, struct err *e);

/* Steps that formats other than tokenizer.json are made of. */
int token_pre_add_regex(struct token_steps *s, const char *pattern, enum token_behaviour behaviour, bool invert, struct err *e);
int token_pre_add_bytes(struct token_steps *s, bool add_space, struct err *e);	/* GPT-2's byte characters, no regex */
enum token_cut {
	TOKEN_CUT_GPT2, TOKEN_CUT_LLAMA3, TOKEN_CUT_QWEN2, TOKEN_CUT_DEEPSEEK, TOKEN_CUT_CODER, TOKEN_CUT_DEEPSEEK3, TOKEN_CUT_FALCON, TOKEN_CUT_DIGITS,
	TOKEN_CUT_BLOOM, TOKEN_CUT_VIKING, TOKEN_CUT_TEKKEN, TOKEN_CUT_GPT4O, TOKEN_CUT_SEED,
};
int token_cut_add(struct token_steps *s, enum token_cut cut, struct err *e);		/* token_cut.c: the patterns of a family */
int token_norm_add_nfc(struct token_steps *s, struct err *e);
int token_decode_add_raw(struct token_steps *s, struct err *e);				/* tokens are bytes as they are */
int token_pre_add_mark(struct token_steps *s, struct err *e);			/* U+2581 before the text */
int token_decode_add_bytes(struct token_steps *s, struct err *e);
int token_decode_add_spm(struct token_steps *s, bool strip_space, struct err *e);

/* token_norm_spm.c: SentencePiece's normaliser */
struct token_spm_norm {
	const char *charsmap;		/* precompiled, or empty */
	size_t n_charsmap;
	bool dummy_prefix, space_suffix, squeeze, escape;
	bool once;			/* the prefix stands before the text, not before each piece between added tokens */
};
int token_norm_add_spm(struct tokenizer *t, const struct token_spm_norm *how, struct err *e);	/* t->user passes unchanged */

/* token_charsmap.c: SentencePiece's precompiled map of characters */
struct token_charsmap;
int token_charsmap_open(struct token_charsmap **out, const char *blob, size_t n, struct err *e);
void token_charsmap_free(struct token_charsmap *m);
/* What the shortest or longest key that begins s becomes, its length in *used; NULL when none does. */
const char *token_charsmap_find(const struct token_charsmap *m, const char *s, size_t n, bool longest, size_t *used);

/* --- token_added.c: added tokens, cut out before anything else sees the text --- */

struct token_added {
	struct token_vocab vocab;	/* content and id */
	struct token_flags {
		int32_t id;
		bool special, normalized, single_word, lstrip, rstrip;
	} *flags;			/* sorted by id */
	size_t n, cap;
	struct token_vocab folded;	/* the normalised ones as normalisation leaves them */
	struct token_prefixes raw, norm;
};

void token_added_init(struct token_added *a);
void token_added_done(struct token_added *a);
int token_added_add(struct token_added *a, const char *s, size_t n, struct token_flags flags, struct err *e);
void token_added_sort(struct token_added *a);
struct token_flags *token_added_among(const struct token_added *a, size_t n, int32_t id);	/* the first n flags, which are sorted */
int token_added_finish(struct token_added *a, const struct token_steps *norm, struct err *e);
const struct token_flags *token_added_flags(const struct token_added *a, int32_t id);	/* NULL: not an added token */
void token_added_split(const struct token_added *a, const struct token_prefixes *which, const char *s, size_t n, bool first, struct token_text *out);

/* --- the tokenizer --- */

#define TOKEN_UNK_MISSING (-2)	/* a token for unknown text is named but not in the vocabulary: an error when it is needed */

enum token_type {	/* SentencePiece's and GGUF's numbers */
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,
	TOKEN_USER = 4,
	TOKEN_UNUSED = 5,
	TOKEN_BYTE = 6,
};

typedef int token_model_fn(const struct tokenizer *t, const char *s, size_t n, struct token_ids *out, struct err *e);

struct tokenizer {
	const char *kind;
	token_model_fn *model;
	struct token_vocab vocab;
	struct token_added added;
	struct token_steps norm, pre, decode;

	/* BPE */
	struct token_merges merges;
	bool byte_fallback, fuse_unk, ignore_merges;
	int32_t byte_ids[256];
	int32_t unk;			/* -1: what is not in the vocabulary is dropped */
	char *subword_prefix, *word_suffix;	/* NULL: none */

	/* SentencePiece, tiktoken, Unigram, by id */
	double *scores;
	uint8_t *types;			/* enum token_type */
	double min_score;
	struct token_prefixes pieces;	/* Unigram: what the lattice is made of */
	struct token_prefixes user;	/* SentencePiece: user-defined symbols */
	bool single_precision;		/* sum scores as sentencepiece does */
	size_t word_chars_max;		/* WordPiece */

	int32_t head[TOKEN_TEMPLATE_MAX], tail[TOKEN_TEMPLATE_MAX];
	size_t n_head, n_tail;
	int32_t bos, eos;
};

struct tokenizer *tokenizer_new(void);
/* Once all parts are read: byte tokens, added tokens, checks that hold for every kind. */
int tokenizer_finish(struct tokenizer *t, struct err *e);

/* The text between added tokens as normalisation leaves it, and these. */
int token_text_cut(const struct tokenizer *t, const char *s, size_t n, struct token_text *out, struct err *e);

static inline void own_tokenizer(struct tokenizer **t)
{
	tokenizer_free(*t);
}

/* Models */
token_model_fn token_bpe_ranked;	/* token_bpe.c: merge rules by rank; characters, byte fallback, unknown */
token_model_fn token_bpe_scored;	/* SentencePiece: any two neighbours whose join is in the vocabulary, by score */
token_model_fn token_bpe_bytes;		/* tiktoken: the same from bytes */
token_model_fn token_unigram;		/* token_unigram.c */
token_model_fn token_wordpiece;		/* token_wordpiece.c */
token_model_fn token_wordlevel;

/* Readers: each fills t from a file's bytes, without tokenizer_finish(). */
struct token_config;
int token_json_read(struct tokenizer *t, const char *text, size_t n, struct err *e);
/* One rule of a BPE, its halves looked up. */
int token_merge_read(struct tokenizer *t, const char *left, size_t n_left, const char *right, size_t n_right, uint32_t rank, struct err *e);
int token_post_read(struct tokenizer *t, const json_t *j, struct err *e);
int token_spm_read(struct tokenizer *t, const char *p, size_t n, bool prefix_once, struct err *e);

bool token_tiktoken_looks(const char *text, size_t n);	/* is the file one of ranks: base64, space, number */
int token_tekken_read(struct tokenizer *t, const char *text, size_t n, struct err *e);
/* A vocabulary of bytes is complete: each of the 256 is a token, and a token's score falls with its id. */
int token_bytes_settle(struct tokenizer *t, const char *kind, struct err *e);
int token_tiktoken_read(struct tokenizer *t, const char *text, size_t n, struct err *e);
/* vocab.json and merges.txt; `class` is tokenizer_class of tokenizer_config.json, which decides how text is cut. */
int token_gpt2_read(struct tokenizer *t, const char *class, const struct buf *vocab, const struct buf *merges, struct err *e);
int token_vocab_read(struct tokenizer *t, const char *text, size_t n, struct err *e);	/* {"token": id, …} */

/* token_config.c: tokenizer_config.json and its neighbours say what tokens are special, and which begin and end a text. */
struct token_config {
	json_t *tokenizer, *special, *added, *generation, *model;	/* NULL: no such file */
};
int token_config_load(struct token_config *c, int dirfd, struct err *e);
void token_config_done(struct token_config *c);
int token_config_added(struct tokenizer *t, const struct token_config *c, struct err *e);	/* for formats that don't hold them */
int token_config_more(struct tokenizer *t, const struct token_config *c, struct err *e);	/* for those that do: what the library adds to them */
void token_config_ends(struct tokenizer *t, const struct token_config *c);			/* t->bos, t->eos */
/*
 * Head and tail where the tokenizer's file has none; bos and eos hold unless the configuration says. To a template in the file nothing is added: libraries
 * do not look at the configuration then, or put its tokens in the place of the template.
 */
void token_config_template(struct tokenizer *t, const struct token_config *c, bool bos, bool eos);
const char *token_config_class(const struct token_config *c);					/* "" when unknown */

static inline void own_token_config(struct token_config *c)
{
	token_config_done(c);
}

#endif
