/* spool.c - see spool.h. */
#include "base/spool.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/json.h"

#define WHAT	 "a temporary file"
#define NOT_UTF8 "a name or a value is not valid UTF-8"

void spool_init(struct spool *s, int (*open)(void *arg, struct err *e), void *arg, uint64_t max)
{
	*s = (struct spool){ .open = open, .arg = arg, .max = max, .fd = -1 };
	buf_init(&s->held, SIZE_MAX / 2);
}

void spool_done(struct spool *s)
{
	if (s->max && s->fd >= 0)
		close(s->fd);
	if (s->max)
		buf_done(&s->held);
	s->max = 0;
}

/* What is held goes to the file, which is made when there is none. */
static void write_out(struct spool *s)
{
	if (s->fd < 0)
		s->fd = s->open(s->arg, &s->why);
	if (s->fd >= 0 && fdio_write(s->fd, s->held.data, s->held.len, WHAT, &s->why) == 0)
		buf_reset(&s->held);
}

void spool_add(struct spool *s, const void *p, size_t n)
{
	if (s->why.code)
		return;
	if (n > s->max - s->n) {
		err_set(&s->why, ERR_LIMIT, "it is longer than %llu bytes", (unsigned long long)s->max);
		return;
	}
	buf_add(&s->held, p, n);
	s->n += n;
	if (s->open && s->held.len >= SPOOL_MEMORY_BYTES)
		write_out(s);
}

void spool_puts(struct spool *s, const char *text)
{
	spool_add(s, text, strlen(text));
}

void spool_printf(struct spool *s, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		err_set(s->why.code ? NULL : &s->why, ERR_LIMIT, "a part of it is longer than %zu bytes", sizeof(text));
	else
		spool_add(s, text, (size_t)n);
}

static int append(const char *p, size_t n, void *s)
{
	spool_add(s, p, n);
	return 0;
}

void spool_json(struct spool *s, json_t *j)
{
	if (!j || json_dump_to(append, s, j))
		err_set(s->why.code ? NULL : &s->why, ERR_INPUT, NOT_UTF8);
	json_decref(j);
}

void spool_open(struct spool *s, json_t *o)
{
	own(buf) struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	if (!o || json_write(&text, o))
		err_set(s->why.code ? NULL : &s->why, ERR_INPUT, NOT_UTF8);
	else
		spool_add(s, text.data, text.len - 1);
	json_decref(o);
}

int spool_end(struct spool *s, struct err *e)
{
	if (!s->why.code && s->fd >= 0)
		write_out(s);
	if (!s->why.code)
		return 0;
	if (e)
		*e = s->why;
	return s->why.code;
}

ssize_t spool_read(const struct spool *s, void *p, size_t n, uint64_t at, struct err *e)
{
	if (s->fd >= 0)
		return fdio_pread(s->fd, p, n, at, WHAT, e);
	if (at >= s->held.len)
		return 0;
	n = n < s->held.len - (size_t)at ? n : s->held.len - (size_t)at;
	memcpy(p, s->held.data + at, n);
	return (ssize_t)n;
}

int spool_take_fd(struct spool *s)
{
	return take_fd(&s->fd);
}
