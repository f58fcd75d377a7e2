/*
 * token.h - a checkpoint's own tokenizer: text to ids and back, exactly as its author's library does it.
 *
 * Read are, in a Hugging Face directory, the first of: tokenizer.json, tekken.json, tokenizer.model (SentencePiece, or a rank
 * file of that name), vocab.json with merges.txt, *.tiktoken; and what a GGUF carries in itself. tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json next to them add tokens, as transformers has it; they, generation_config.json
 * and config.json say which tokens begin and end a text.
 *
 * Every file is hostile until read: counts, lengths, depths, regular expressions and their matching have the limits below,
 * and a feature that we do not have is ERR_UNSUPPORTED with its name, never a guess. Text must be valid UTF-8. Encoding takes
 * O(n log n) for any text. A tokenizer is used by one thread at a time.
 */
#ifndef INFER_TOKEN_H
#define INFER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TOKEN_FILE_MAX_BYTES   ((size_t)128 << 20)	/* the largest tokenizer.json seen has 33 MB */
#define TOKEN_VOCAB_MAX	       2000000			/* ids are below this */
#define TOKEN_MERGES_MAX       4000000
#define TOKEN_BYTES_MAX	       4096			/* of one token */
#define TOKEN_TEXT_MAX_BYTES   ((size_t)16 << 20)	/* that is encoded or decoded in one call */

struct tokenizer;
struct gguf;	/* verify/gguf.h */

/* From a Hugging Face directory. ERR_NOT_FOUND when it holds no tokenizer, ERR_INPUT malformed, ERR_LIMIT, ERR_UNSUPPORTED. */
int tokenizer_open(struct tokenizer **out, int dirfd, struct err *e);
/* From a GGUF's metadata, which must outlive only the call. A BPE vocabulary that does not say its pre-tokenizer is refused. */
int tokenizer_open_gguf(struct tokenizer **out, const struct gguf *g, struct err *e);
void tokenizer_free(struct tokenizer *t);

/* Ids of the text with what the post-processor adds (BOS …); *ids is free()d by the caller. Special tokens that the text spells are recognised. */
int tokenizer_encode(struct tokenizer *t, const char *text, size_t n, int32_t **ids, size_t *n_ids, struct err *e);
/* The same without BOS, EOS and the rest of the template. */
int tokenizer_encode_plain(struct tokenizer *t, const char *text, size_t n, int32_t **ids, size_t *n_ids, struct err *e);
/* Appends the text of the ids; special tokens are left out. An id that is not in the vocabulary is ERR_INPUT. */
int tokenizer_decode(struct tokenizer *t, const int32_t *ids, size_t n, struct buf *out, struct err *e);

/*
 * Is `back`, decoded from the ids of the text, that text: but for blanks in front, or as the normaliser leaves it? A normaliser that changes
 * letters or digits of ASCII by more than their case does not count.
 */
bool tokenizer_gave_back(const struct tokenizer *t, const char *text, size_t n, const char *back, size_t m);

int32_t tokenizer_bos(const struct tokenizer *t);	/* -1 when there is none */
int32_t tokenizer_eos(const struct tokenizer *t);
int64_t tokenizer_max_id(const struct tokenizer *t);	/* the highest id any token has: it must have a row in the embedding */
size_t tokenizer_size(const struct tokenizer *t);	/* how many ids have a token; with padding, less than max id + 1 */
bool tokenizer_has(const struct tokenizer *t, int64_t id);	/* is there a token of this id? */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);	/* left out of decoded text */
const char *tokenizer_text(const struct tokenizer *t, int32_t id, size_t *n);	/* as the files have it; NULL when there is no such token */
int32_t tokenizer_find(const struct tokenizer *t, const char *token, size_t n);	/* -1 when there is no such token */
const char *tokenizer_kind(const struct tokenizer *t);	/* "BPE", "Unigram", … for reports */

#endif
