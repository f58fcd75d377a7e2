/* git_input.c - see git_input.h. */
#include "verify/git_input.h"

#include "base/vec.h"

struct git_input *git_input_new(const struct spool *from, uint64_t begin, uint64_t end)
{
	struct git_input *in = mem_zalloc(sizeof(*in));

	in->from = from;
	in->window_at = begin;
	in->end = end;
	if (inflateInit(&in->z) != Z_OK)
		abort();
	return in;
}

void git_input_free(struct git_input *in)
{
	if (in)
		inflateEnd(&in->z);
	free(in);
}

uint64_t git_input_at(const struct git_input *in)
{
	return in->window_at + in->at;
}

/* The next bytes, when those of the window are all taken. */
static int refill(struct git_input *in, struct err *e)
{
	uint64_t left = in->end - git_input_at(in);
	ssize_t n;

	if (in->at < in->have)
		return 0;
	if (!left)
		return err_set(e, ERR_INPUT, "git pack ends in the middle of an object");
	in->window_at += in->at;
	in->at = in->have = 0;
	n = spool_read(in->from, in->window, left < sizeof(in->window) ? (size_t)left : sizeof(in->window), in->window_at, e);
	if (n < 0)
		return (int)n;
	in->have = (size_t)n;
	return n ? 0 : err_set(e, ERR_FAILED, "the file of the git pack has become shorter");
}

int git_input_byte(struct git_input *in, unsigned char *out, struct err *e)
{
	int rc = refill(in, e);

	if (!rc)
		*out = in->window[in->at++];
	return rc;
}

int git_input_bytes(struct git_input *in, void *out, size_t n, struct err *e)
{
	unsigned char *p = out;
	int rc = 0;

	while (n-- && !rc)
		rc = git_input_byte(in, p++, e);
	return rc;
}

/* As much as the window and the room allow; zlib's answer. */
static int inflate_some(struct git_input *in)
{
	int rc;

	in->z.next_in = in->window + in->at;
	in->z.avail_in = (unsigned)(in->have - in->at);
	rc = inflate(&in->z, Z_NO_FLUSH);
	in->at = in->have - in->z.avail_in;
	return rc;
}

int git_input_inflate(struct git_input *in, unsigned char *out, size_t n, struct err *e)
{
	unsigned char past;	/* one byte of room more than n shows a longer stream */
	int rc = Z_OK, bad;

	inflateReset(&in->z);
	in->z.next_out = out;
	in->z.avail_out = (unsigned)n;	/* an object has less than 2^32 bytes: git_pack.h */
	while (rc == Z_OK || rc == Z_BUF_ERROR) {
		if ((bad = refill(in, e)) < 0)
			return bad;
		if (in->z.total_out == n) {
			in->z.next_out = &past;
			in->z.avail_out = 1;
		}
		rc = inflate_some(in);
		if (in->z.total_out > n || (rc == Z_BUF_ERROR && in->at < in->have && in->z.total_out < n))
			break;
	}
	if (rc != Z_STREAM_END || in->z.total_out != n)
		return err_set(e, ERR_INPUT, "git pack has an object whose compressed bytes are damaged");
	return 0;
}
