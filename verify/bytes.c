/* bytes.c - see bytes.h. */
#include "verify/bytes.h"

#include "base/fdio.h"

void bytes_of_fd(struct bytes *b, int fd, uint64_t base, uint64_t size, const char *what)
{
	*b = (struct bytes){ .what = what, .size = size, .fd = fd, .base = base };
}

void bytes_of_mem(struct bytes *b, const void *p, size_t n, const char *what)
{
	*b = (struct bytes){ .what = what, .size = n, .fd = -1, .mem = p };
}

void bytes_of_part(struct bytes *part, const struct bytes *b, uint64_t at, uint64_t n)
{
	if (at > b->size)
		at = b->size;
	if (n > b->size - at)
		n = b->size - at;
	if (b->fd >= 0)
		bytes_of_fd(part, b->fd, b->base + at, n, b->what);
	else
		bytes_of_mem(part, b->mem + at, (size_t)n, b->what);
}

void bytes_done(struct bytes *b)
{
	free(b->window);
	b->window = NULL;
}

static bool fill(struct bytes *b, uint64_t pos)
{
	size_t n = b->size - pos < BYTES_WINDOW ? (size_t)(b->size - pos) : BYTES_WINDOW;

	if (!b->window)
		b->window = malloc(BYTES_WINDOW);
	if (!b->window) {
		err_set(&b->e, ERR_FAILED, "%s: no memory to read it", b->what);
		return false;
	}
	b->have = 0;
	if (fdio_pread_exact(b->fd, b->window, n, b->base + pos, b->what, &b->e) < 0)
		return false;
	b->at = pos;
	b->have = n;
	return true;
}

const uint8_t *bytes_at(struct bytes *b, uint64_t pos, size_t n)
{
	static const uint8_t nothing[1];

	if (pos > b->size || n > b->size - pos || n > BYTES_WINDOW || b->e.code)
		return NULL;
	if (!n)
		return nothing;		/* an empty file has no memory that could be pointed into */
	if (b->fd < 0)
		return b->mem + pos;
	if ((pos < b->at || pos - b->at > b->have || n > b->have - (pos - b->at)) && !fill(b, pos))
		return NULL;
	return b->window + (pos - b->at);
}
