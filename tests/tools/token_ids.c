/*
 * token_ids.c - a test's way to ask the tokenizer: token_ids DIR|FILE.gguf reads a JSON string a line and writes for each
 * {"ids":[…],"plain":[…],"text":"…"} (with and without what is put around the text; decoded again) or {"error":"…"}.
 */
#include <fcntl.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "infer/token.h"
#include "verify/gguf.h"

#define LINE_MAX_BYTES ((size_t)64 << 20)

static json_t *list(const int32_t *ids, size_t n)
{
	json_t *j = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(j, json_integer(ids[i]));
	return j;
}

static json_t *answer(struct tokenizer *t, const char *s, size_t n)
{
	own(mem) int32_t *ids = NULL, *plain = NULL;
	size_t n_ids = 0, n_plain = 0;
	struct err e = ERR_NONE;
	own(buf) struct buf text;

	buf_init(&text, LINE_MAX_BYTES);
	if (tokenizer_encode(t, s, n, &ids, &n_ids, &e) < 0 || tokenizer_encode_plain(t, s, n, &plain, &n_plain, &e) < 0 ||
	    tokenizer_decode(t, plain, n_plain, &text, &e) < 0)
		return json_pack("{s:s}", "error", e.msg);
	return json_pack("{s:o,s:o,s:s%}", "ids", list(ids, n_ids), "plain", list(plain, n_plain), "text", text.data, text.len);
}

static int open_gguf(struct tokenizer **t, const char *path, struct err *e)
{
	own(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	own(gguf) struct gguf *g = NULL;
	int rc = fd < 0 ? err_errno(e, "open %s", path) : gguf_open(&g, fd, path, e);

	return rc < 0 ? rc : tokenizer_open_gguf(t, g, e);
}

static int open_any(struct tokenizer **t, const char *path, struct err *e)
{
	if (str_ends(path, ".gguf"))
		return open_gguf(t, path, e);
	own(fd) int dirfd = fdio_open_dir(AT_FDCWD, path, e);

	return dirfd < 0 ? dirfd : tokenizer_open(t, dirfd, e);
}

int main(int argc, char **argv)
{
	struct tokenizer *t = NULL;
	struct err e = ERR_NONE;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (argc != 2 || open_any(&t, argv[1], &e) < 0) {
		fprintf(stderr, "token_ids: %s\n", argc != 2 ? "DIR|FILE.gguf is missing" : e.msg);
		return argc != 2 ? 2 : 1;
	}
	fprintf(stderr, "%s size=%zu max_id=%lld bos=%d eos=%d\n", tokenizer_kind(t), tokenizer_size(t), (long long)tokenizer_max_id(t), tokenizer_bos(t),
		tokenizer_eos(t));
	while ((n = getline(&line, &cap, stdin)) > 0) {
		own(json) json_t *j = json_parse(line, (size_t)n, "the line", &e);

		if (!json_is_string(j)) {
			fprintf(stderr, "token_ids: a line is not a JSON string: %s\n", e.msg);
			return 1;
		}
		own(json) json_t *a = answer(t, json_string_value(j), json_string_length(j));
		own(mem) char *out = json_text(a);

		puts(out);
		fflush(stdout);
	}
	free(line);
	tokenizer_free(t);
	return 0;
}
