/*
 * fuzz_tokenizer.c - tokenizer files of every kind, from anybody. The first byte says which: J tokenizer.json, S tokenizer.model,
 * R a rank file, V vocab.json and merges.txt with a NUL between, T tokenizer.json and behind a NUL the text to encode, G a GGUF, K tekken.json.
 * What is accepted then encodes and decodes a text; the sanitizers and the limits are the judges.
 */
#include <stdint.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "infer/token_parts.h"
#include "verify/gguf.h"

#define BACK_MAX ((size_t)1 << 20)

static const char usual[] = "Once upon a time,  there was 1 na\xc3\xafve caf\xc3\xa9.\r\n\t<s>It's e\xcc\x81 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\xa6\x99 </s>\n";

static int read_any(struct tokenizer *t, char kind, const char *p, size_t n, const char **text, size_t *n_text, struct err *e)
{
	const char *nul = memchr(p, 0, n);
	size_t first = nul ? (size_t)(nul - p) : n, rest = nul ? n - first - 1 : 0;
	own(buf) struct buf vocab, merges;

	buf_init(&vocab, n + 1);
	buf_init(&merges, n + 1);
	switch (kind) {
	case 'J':
		return token_json_read(t, p, n, e);
	case 'T':
		*text = nul ? nul + 1 : "";
		*n_text = rest;
		return token_json_read(t, p, first, e);
	case 'S':
		return token_spm_read(t, p, n, true, e);
	case 'R':
		return token_tiktoken_looks(p, n) ? token_tiktoken_read(t, p, n, e) : ERR_INPUT;
	case 'K':
		return token_tekken_read(t, p, n, e);
	case 'V':
		buf_add(&vocab, p, first);
		buf_add(&merges, nul ? nul + 1 : "", rest);
		return token_gpt2_read(t, "", &vocab, &merges, e);
	default:
		return ERR_INPUT;
	}
}

/* A whole tokenizer, finished; NULL when it is refused. */
static struct tokenizer *open_gguf(const char *p, size_t n)
{
	own(fd) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	own(gguf) struct gguf *g = NULL;
	struct tokenizer *t = NULL;
	struct err e = ERR_NONE;

	if (fd < 0 || fdio_write(fd, p, n, "the input", &e) < 0)
		abort();
	if (gguf_open(&g, fd, "the input", &e) == 0 && tokenizer_open_gguf(&t, g, &e) < 0 && t)
		abort();
	return t;
}

static struct tokenizer *open_any(char kind, const char *p, size_t n, const char **text, size_t *n_text)
{
	own(tokenizer) struct tokenizer *t = NULL;
	struct err e = ERR_NONE;

	if (kind == 'G')
		return open_gguf(p, n);
	t = tokenizer_new();
	return read_any(t, kind, p, n, text, n_text, &e) < 0 || tokenizer_finish(t, &e) < 0 ? NULL : take(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own(tokenizer) struct tokenizer *t = NULL;
	const char *text = usual;
	size_t n_text = sizeof(usual) - 1, n_ids = 0;
	struct err e = ERR_NONE;
	own(mem) int32_t *ids = NULL;
	own(buf) struct buf back;

	buf_init(&back, BACK_MAX);
	t = size > 0 ? open_any((char)data[0], (const char *)data + 1, size - 1, &text, &n_text) : NULL;
	if (!t || tokenizer_encode(t, text, n_text, &ids, &n_ids, &e) < 0)
		return 0;
	for (size_t i = 0; i < n_ids; i++)
		if (ids[i] < 0 || ids[i] > tokenizer_max_id(t))
			abort();
	/* What it made of a text it can read back. */
	if (tokenizer_decode(t, ids, n_ids, &back, &e) < 0 && e.code == ERR_INPUT)
		abort();
	return 0;
}
