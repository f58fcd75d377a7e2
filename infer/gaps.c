/* gaps.c - see gaps.h. */
#include "infer/gaps.h"

#include <pthread.h>

#include "base/fdio.h"
#include "base/vec.h"

#define ROW_MIN	   64		/* bytes; what is shorter is a filter's line, not a row */
#define CHANCE	   16u		/* bytes beside a page that may be zero by themselves */
#define WINDOW	   65536u	/* read at once where a run's ends are looked for */

/* Places in the file that lie in runs. */
struct tensor_gaps {
	uint64_t at[GAPS_MAX];
	size_t n;
	bool many;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* taken where there is something to write down, which is hardly ever */

static uint64_t row_bytes(const struct tensor *t)
{
	uint64_t rows = 1, row;

	if (t->stands_for[0] && t->rank == 2 && t->shape[1] == 1)	/* bitsandbytes' column of codes */
		return t->bytes / t->stands_for[0];
	for (int i = 0; i + 1 < t->rank; i++)
		rows *= t->shape[i];
	row = rows ? t->bytes / rows : 0;
	for (int i = t->rank - 2; i >= 0 && row && row < ROW_MIN; i--)
		row *= t->shape[i];
	return row;
}

static bool within_row(const struct tensor *t, uint64_t row, uint64_t at)
{
	return (at - t->at) % row != 0 && at - t->at < t->bytes;
}

static void write_down(struct tensor *t, uint64_t at)
{
	pthread_mutex_lock(&lock);
	if (!t->gaps)
		t->gaps = mem_zalloc(sizeof(*t->gaps));
	if (t->gaps->n < GAPS_MAX)
		t->gaps->at[t->gaps->n++] = at;
	else
		t->gaps->many = true;
	pthread_mutex_unlock(&lock);
}

static bool is_zero_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word == 0;
}

/* The run of zeros around p[i … i + 8). */
static void run_around(const uint8_t *p, size_t n, size_t i, size_t *from, size_t *to)
{
	size_t a = i, b = i + 8;

	while (a > 0 && p[a - 1] == 0)
		a--;
	while (b + 8 <= n && is_zero_word(p + b))
		b += 8;
	while (b < n && p[b] == 0)
		b++;
	*from = a;
	*to = b;
}

void gaps_look(struct tensor *t, uint64_t at, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t row = t->rank >= 2 ? row_bytes(t) : 0;

	for (size_t i = 0; row && i + 8 <= n; i += GAP_STEP) {
		size_t from, to;

		if (!is_zero_word(p + i))
			continue;
		run_around(p, n, i, &from, &to);
		/* An end of what was read is none of a run. */
		if (to - from >= GAP_STEP && ((from > 0 && within_row(t, row, at + from)) || (to < n && within_row(t, row, at + to))))
			write_down(t, at + from);
		i = to / GAP_STEP * GAP_STEP;
	}
}

/* Down from `at` to the run's first byte. */
static int find_begin(const struct tensor *t, uint64_t *at, uint8_t *window, struct err *e)
{
	while (*at > t->at) {
		uint64_t n = *at - t->at < WINDOW ? *at - t->at : WINDOW, i = n;
		int rc = fdio_pread_exact(t->fd, window, n, *at - n, t->file, e);

		if (rc < 0)
			return rc;
		while (i > 0 && window[i - 1] == 0)
			i--;
		*at -= n - i;
		if (i > 0)
			break;
	}
	return 0;
}

static int find_end(const struct tensor *t, uint64_t *at, uint8_t *window, struct err *e)
{
	while (*at < t->at + t->bytes) {
		uint64_t left = t->at + t->bytes - *at, n = left < WINDOW ? left : WINDOW, i = 0;
		int rc = fdio_pread_exact(t->fd, window, n, *at, t->file, e);

		if (rc < 0)
			return rc;
		while (i < n && window[i] == 0)
			i++;
		*at += i;
		if (i < n)
			break;
	}
	return 0;
}

/* Is the run's end a page's, but for a few bytes that happen to be zero, and no row's? */
static bool at_page(const struct tensor *t, const struct gap *g)
{
	uint64_t row = row_bytes(t), first = (g->from + GAP_PAGE - 1) / GAP_PAGE * GAP_PAGE, last = g->to / GAP_PAGE * GAP_PAGE;

	return (first - g->from <= CHANCE && within_row(t, row, g->from) && within_row(t, row, first)) ||
		(g->to - last <= CHANCE && within_row(t, row, g->to) && within_row(t, row, last));
}

int gaps_found(const struct tensor *t, struct gap out[GAPS_MAX], size_t *n, struct err *e)
{
	own(mem) uint8_t *window = NULL;

	*n = 0;
	if (!t->gaps || t->gaps->many)
		return 0;
	window = mem_zalloc(WINDOW);
	for (size_t i = 0; i < t->gaps->n; i++) {
		struct gap g = { t->gaps->at[i], t->gaps->at[i], false };
		bool known = false;
		int rc = find_begin(t, &g.from, window, e);

		if (rc == 0)
			rc = find_end(t, &g.to, window, e);
		if (rc < 0)
			return rc;
		for (size_t k = 0; k < *n; k++)		/* seen from both of its ends, or twice */
			known |= out[k].from == g.from;
		g.at_page = at_page(t, &g);
		if (!known && g.to - g.from >= GAP_PAGE)
			out[(*n)++] = g;
	}
	return 0;
}
