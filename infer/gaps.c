/* gaps.c - see gaps.h. */
#include "infer/gaps.h"

#include <sys/stat.h>

#include "base/fdio.h"
#include "base/vec.h"

#define ROW_MIN	    64		/* bytes; what is shorter is a filter's line, not a row */
#define CHANCE	    16u		/* bytes beside a page that may be zero by themselves */
#define CHANCE_ODDS 16u		/* that of so many runs one ends at a page by chance: it is one in 120 */
#define FAR_LONGER  8u		/* times the longest of those that are meant: none of them */
#define WINDOW	    (1u << 20)	/* read at once */
#define COLUMNS	    16u		/* places of a row that are told apart */
#define COLUMN_MIN  16u		/* rows in which one place is zero, before it can be meant */

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
	return at > t->at && at - t->at < t->bytes && (at - t->at) % row != 0;
}

static bool is_zero_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word == 0;
}

/* The first of the zeros that end before p[i]. */
static size_t zeros_begin(const uint8_t *p, size_t i)
{
	while (i >= 8 && is_zero_word(p + i - 8))
		i -= 8;
	while (i > 0 && p[i - 1] == 0)
		i--;
	return i;
}

/* Behind the last of the zeros that begin with p[i]. */
static size_t zeros_end(const uint8_t *p, size_t n, size_t i)
{
	while (i + 8 <= n && is_zero_word(p + i))
		i += 8;
	while (i < n && p[i] == 0)
		i++;
	return i;
}

/* ---- on the way ------------------------------------------------------------------------------------------------------- */

/* An end of what was read is none of a run: it may be longer than it seems there. */
static bool is_worth_a_look(const struct tensor *t, uint64_t row, uint64_t at, size_t n, size_t from, size_t to)
{
	bool cut = from == 0 || to == n;

	return to - from >= (cut ? GAP_TAIL : GAP_PAGE) && ((from > 0 && within_row(t, row, at + from)) || (to < n && within_row(t, row, at + to)));
}

void gaps_look(struct tensor *t, uint64_t at, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t row = t->rank >= 2 ? row_bytes(t) : 0;
	bool seen = false;

	if (!row || n < 8 || __atomic_load_n(&t->has_gaps, __ATOMIC_RELAXED))
		return;
	seen = (is_zero_word(p) && is_worth_a_look(t, row, at, n, 0, zeros_end(p, n, 0))) ||
		(is_zero_word(p + n - 8) && is_worth_a_look(t, row, at, n, zeros_begin(p, n), n));
	for (size_t i = 0; !seen && i + 8 <= n; i += GAP_STEP) {
		size_t to;

		if (!is_zero_word(p + i))
			continue;
		to = zeros_end(p, n, i);
		seen = is_worth_a_look(t, row, at, n, zeros_begin(p, i), to);
		i = to / GAP_STEP * GAP_STEP;
	}
	if (seen)
		__atomic_store_n(&t->has_gaps, true, __ATOMIC_RELAXED);
}

/* ---- to the end ------------------------------------------------------------------------------------------------------- */

/* Runs that begin (or, if that is no place within a row, end) at one place of their rows. */
struct column {
	uint64_t at;
	struct gaps at_page, elsewhere;
	struct gap longest;	/* of those that are whole pages */
};

struct hunt {
	const struct tensor *t;
	uint64_t row, file_size;
	uint8_t *window;
	struct column columns[COLUMNS + 1];	/* the last: all other places */
	size_t n;
	uint64_t elsewhere;	/* bytes of the longest one elsewhere */
};

/* Of the file outside of the tensor, up to a page: where the run goes on. */
static int follow(const struct hunt *h, const struct gap *in, struct gap *whole, struct err *e)
{
	const struct tensor *t = h->t;
	uint8_t page[GAP_PAGE];
	int rc = 0;

	*whole = *in;
	if (in->to == t->at + t->bytes && in->to < h->file_size) {
		size_t n = h->file_size - in->to < GAP_PAGE ? (size_t)(h->file_size - in->to) : GAP_PAGE;

		rc = fdio_pread_exact(t->fd, page, n, in->to, t->file, e);
		whole->to += rc < 0 ? 0 : zeros_end(page, n, 0);
	}
	if (rc == 0 && in->from == t->at && in->from > 0) {
		size_t n = in->from < GAP_PAGE ? (size_t)in->from : GAP_PAGE;

		rc = fdio_pread_exact(t->fd, page, n, in->from - n, t->file, e);
		whole->from -= rc < 0 ? 0 : n - zeros_begin(page, n);
	}
	return rc;
}

/* Is the run's end a page's, but for a few bytes that happen to be zero, and no row's? */
static bool at_page(const struct tensor *t, uint64_t row, const struct gap *g)
{
	uint64_t first = (g->from + GAP_PAGE - 1) / GAP_PAGE * GAP_PAGE, last = g->to / GAP_PAGE * GAP_PAGE;

	return (first - g->from <= CHANCE && within_row(t, row, g->from) && within_row(t, row, first)) ||
		(g->to - last <= CHANCE && within_row(t, row, g->to) && within_row(t, row, last));
}

static uint64_t gap_bytes(const struct gap *g)
{
	return g->to - g->from;
}

static bool is_whole_pages(const struct gap *g)
{
	return (GAP_PAGE - g->from % GAP_PAGE) % GAP_PAGE <= CHANCE && g->to % GAP_PAGE <= CHANCE;
}

/* Is the row before it zero in the same place? Then the columns are. */
static int is_of_columns(const struct hunt *h, const struct gap *g, bool *yes, struct err *e)
{
	uint8_t above[GAP_PAGE];
	size_t n = (size_t)(g->to - g->from);
	int rc;

	*yes = false;
	if (g->from - h->t->at < h->row || n > sizeof(above))
		return 0;
	rc = fdio_pread_exact(h->t->fd, above, n, g->from - h->row, h->t->file, e);
	*yes = rc == 0 && zeros_end(above, n, 0) == n;
	return rc;
}

/* A page's size is asked of a run, in the tensor or over its ends; to the end of the file less will do, for there a page is cut. */
static int is_long(const struct hunt *h, const struct gap *g, bool *yes, struct err *e)
{
	bool of_columns = false;
	struct gap whole;
	int rc;

	*yes = g->to - g->from >= GAP_PAGE;
	if (*yes || g->to - g->from < GAP_TAIL || !at_page(h->t, h->row, g))
		return 0;
	rc = follow(h, g, &whole, e);
	if (rc < 0 || (whole.to - whole.from < GAP_PAGE && whole.to < h->file_size))
		return rc;
	rc = is_of_columns(h, g, &of_columns, e);
	*yes = !of_columns;
	return rc;
}

static struct column *column_of(struct hunt *h, const struct gap *g)
{
	uint64_t at = (within_row(h->t, h->row, g->from) ? g->from : g->to) - h->t->at;
	size_t i = 0;

	at %= h->row;
	while (i < h->n && h->columns[i].at != at)
		i++;
	if (i == h->n && h->n < COLUMNS)
		h->columns[h->n++].at = at;
	return &h->columns[i];
}

static void count(struct gaps *x, const struct gaps *more)
{
	if (x->n == 0)
		x->first = more->first;
	x->n += more->n;
}

static int add_run(struct hunt *h, uint64_t from, uint64_t to, struct err *e)
{
	struct gaps one = { 1, { from, to } };
	struct column *c;
	bool is = within_row(h->t, h->row, from) || within_row(h->t, h->row, to), page;
	int rc = is ? is_long(h, &one.first, &is, e) : 0;

	if (rc < 0 || !is)
		return rc;
	c = column_of(h, &one.first);
	page = at_page(h->t, h->row, &one.first);
	count(page ? &c->at_page : &c->elsewhere, &one);
	if (!page && to - from > h->elsewhere)
		h->elsewhere = to - from;
	if (page && is_whole_pages(&one.first) && to - from > gap_bytes(&c->longest))
		c->longest = one.first;
	return 0;
}

static int hunt_runs(struct hunt *h, struct err *e)
{
	const struct tensor *t = h->t;
	uint64_t end = t->at + t->bytes, from = 0;
	const uint8_t *p = h->window;
	bool open = false;	/* a run that goes on from the window before */
	int rc = 0;

	for (uint64_t at = t->at; rc == 0 && at < end; at += WINDOW) {
		size_t n = end - at < WINDOW ? (size_t)(end - at) : WINDOW, i = 0, last;

		rc = fdio_pread_exact(t->fd, h->window, n, at, t->file, e);
		if (rc == 0 && open) {
			i = zeros_end(p, n, 0);
			if (i == n)
				continue;
			rc = add_run(h, from, at + i, e);
		}
		last = zeros_begin(p, n);
		open = last < n;
		for (i = (i + GAP_STEP - 1) / GAP_STEP * GAP_STEP; rc == 0 && i + 8 <= last; i += GAP_STEP) {
			size_t to;

			if (!is_zero_word(p + i))
				continue;
			to = zeros_end(p, n, i);
			rc = add_run(h, at + zeros_begin(p, i), at + to, e);
			i = to / GAP_STEP * GAP_STEP;
		}
		from = at + last;
	}
	return rc == 0 && open ? add_run(h, from, end, e) : rc;
}

static void sum_up(const struct hunt *h, struct gaps_found *out)
{
	uint64_t rows = h->t->bytes / h->row;
	struct gaps longest = { 1, { 0, 0 } };

	for (size_t i = 0; i <= h->n && i <= COLUMNS; i++) {
		const struct column *c = &h->columns[i];
		uint64_t n = c->at_page.n + c->elsewhere.n;
		bool meant = i < COLUMNS && n >= COLUMN_MIN && n >= rows / 2;

		count(meant ? &out->columns : &out->at_page, &c->at_page);
		if (!meant && gap_bytes(&c->longest) > gap_bytes(&longest.first))
			longest.first = c->longest;
		count(&out->elsewhere, meant ? &(struct gaps){ 0 } : &c->elsewhere);
	}
	if (out->at_page.n * CHANCE_ODDS <= out->elsewhere.n)
		out->at_page = gap_bytes(&longest.first) > FAR_LONGER * h->elsewhere ? longest : (struct gaps){ 0 };
	if (out->elsewhere.n > GAPS_FEW)
		out->elsewhere = (struct gaps){ 0 };
}

int gaps_find(const struct tensor *t, struct gaps_found *out, struct err *e)
{
	struct hunt h = { .t = t };
	own(mem) uint8_t *window = NULL;
	struct stat st;
	int rc;

	*out = (struct gaps_found){ 0 };
	if (!t->has_gaps)
		return 0;
	if (fstat(t->fd, &st) < 0)
		return err_errno(e, "%s", t->file);
	h.row = row_bytes(t);
	h.file_size = (uint64_t)st.st_size;
	h.window = window = mem_zalloc(WINDOW);
	rc = hunt_runs(&h, e);
	if (rc == 0)
		sum_up(&h, out);
	return rc;
}
