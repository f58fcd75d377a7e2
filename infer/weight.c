/* weight.c - rows of a matrix, read from the file and decoded; see weights.h. */
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "infer/gaps.h"
#include "infer/packed.h"
#include "infer/weights.h"

struct weight weight_of(struct tensor *t, uint64_t block, uint32_t rows, uint32_t cols, bool transposed)
{
	uint32_t stored_cols = transposed ? rows : cols, stored_rows = transposed ? cols : rows;
	uint64_t pitch = quant_row_bytes(t->type, stored_cols);

	return (struct weight){ .tensor = t, .type = t->type, .rows = rows, .cols = cols, .pitch = pitch, .transposed = transposed,
		.at = t->at + (transposed ? block * stored_rows * pitch : 0), .row0 = transposed ? 0 : block * stored_rows };
}

struct weight weight_slice(struct weight w, uint32_t first, uint32_t n)
{
	w.row0 += first;
	w.rows = n;
	return w;
}

struct weight weight_heads(struct weight w, uint32_t first, uint32_t group, uint32_t stride)
{
	w.row0 += first;
	w.rows = w.rows / stride * group;
	w.group = group;
	w.stride = stride;
	return w;
}

void *scratch_room(struct scratch *s, size_t n)
{
	if (n > s->cap) {
		free(s->p);
		s->p = aligned_alloc(64, (n + 63) / 64 * 64);	/* no vector lies across two lines of the cache */
		if (!s->p)
			abort();
		s->cap = n;
	}
	return s->p;
}

/* Which stored row (or column) row r is. */
static uint64_t stored_row(const struct weight *w, uint32_t r)
{
	return w->row0 + (w->group ? (uint64_t)(r / w->group) * w->stride + r % w->group : r);
}

/* How many rows from r on lie together, at most n. */
static uint32_t run_length(const struct weight *w, uint32_t r, uint32_t n)
{
	uint32_t left = w->group ? w->group - r % w->group : n;

	return left < n ? left : n;
}

static int read_stored(const struct weight *w, uint32_t r, uint32_t n, void *raw, struct err *e)
{
	uint64_t at = w->at + stored_row(w, r) * w->pitch;
	int rc = fdio_pread_exact(w->tensor->fd, raw, n * w->pitch, at, w->tensor->file, e);

	if (rc < 0)
		return err_wrap(e, "tensor %s", w->tensor->name);
	gaps_look(w->tensor, at, raw, n * w->pitch);
	return 0;
}

static int read_run(const struct weight *w, uint32_t r, uint32_t n, float *out, struct scratch *s, struct err *e)
{
	uint8_t *raw = scratch_room(s, n * w->pitch);
	int rc = read_stored(w, r, n, raw, e);

	if (rc == 0)
		w->type->row(out, raw, (size_t)n * w->cols);	/* stored rows have no padding */
	return rc;
}

/*
 * Columns of what is stored: from each stored row the part that is wanted, or all of it where elements are decoded in blocks.
 * n rows of the matrix are then n neighbours in each stored row.
 */
static int read_transposed(const struct weight *w, uint32_t r, uint32_t n, float *out, struct scratch *s, struct err *e)
{
	bool blocks = w->type->block > 1;
	uint64_t first = stored_row(w, r);
	size_t width = blocks ? w->pitch / w->type->bytes * w->type->block : n, bytes = quant_row_bytes(w->type, width);
	float *row = scratch_room(s, width * sizeof(float) + bytes);
	uint8_t *raw = (uint8_t *)(row + width);
	uint64_t at = w->at + (blocks ? 0 : quant_row_bytes(w->type, first));

	for (uint32_t k = 0; k < w->cols; k++) {
		int rc = fdio_pread_exact(w->tensor->fd, raw, bytes, at + k * w->pitch, w->tensor->file, e);

		if (rc < 0)
			return err_wrap(e, "tensor %s", w->tensor->name);
		w->type->row(row, raw, width);
		for (uint32_t i = 0; i < n; i++)
			out[(size_t)i * w->cols + k] = row[(blocks ? first : 0) + i];
	}
	return 0;
}

int weight_rows(const struct weight *w, uint32_t first, uint32_t n, float *out, struct scratch *s, struct tensor_stats *stats, struct err *e)
{
	for (uint32_t r = first; r < first + n;) {
		uint32_t run = run_length(w, r, first + n - r);
		float *to = out + (size_t)(r - first) * w->cols;
		int rc = w->packed ? packed_rows(w->packed, stored_row(w, r), run, to, s, e)
			: w->transposed ? read_transposed(w, r, run, to, s, e) : read_run(w, r, run, to, s, e);

		if (rc < 0)
			return rc;
		r += run;
	}
	if (stats)
		tensor_stats_add(stats, out, (size_t)n * w->cols);
	return 0;
}

int weight_rows_stored(const struct weight *w, uint32_t first, uint32_t n, void *out, struct err *e)
{
	for (uint32_t r = first, run; r < first + n; r += run) {
		int rc;

		run = run_length(w, r, first + n - r);
		rc = read_stored(w, r, run, (uint8_t *)out + (r - first) * w->pitch, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void weight_prefetch(const struct weight *w)
{
	uint64_t rows = w->group ? (uint64_t)w->rows / w->group * w->stride : w->rows;

	if (w->rows && !w->transposed && !w->packed)
		posix_fadvise(w->tensor->fd, (off_t)(w->at + w->row0 * w->pitch), (off_t)(rows * w->pitch), POSIX_FADV_WILLNEED);
}

/* In lanes, so that the compiler can use vectors; a lane's order of adding is fixed. */
void tensor_stats_add(struct tensor_stats *s, const float *x, size_t n)
{
	enum { LANES = 16 };
	float sum[LANES] = { 0 }, low = s->n ? s->min : INFINITY, high = s->n ? s->max : -INFINITY, absmax = s->absmax;
	uint64_t bad = 0, zero = 0;
	uint32_t bits = 0, word;

	for (size_t i = 0; i < n; i += 4096) {
		size_t end = i + 4096 < n ? i + 4096 : n;
		double block = 0;

		for (size_t j = i; j < end; j++) {
			float v = x[j];
			bool finite = fabsf(v) <= 3.40282347e38f;

			bad += !finite;
			zero += v == 0;
			v = finite ? v : 0;
			memcpy(&word, &v, sizeof(word));
			bits += TENSOR_BITS(word);
			sum[j % LANES] += v * v;
			low = v < low ? v : low;
			high = v > high ? v : high;
		}
		for (int l = 0; l < LANES; l++) {
			block += (double)sum[l];
			sum[l] = 0;
		}
		s->sum_squares += block;
	}
	absmax = fmaxf(absmax, fmaxf(fabsf(low), fabsf(high)));
	s->n += n;
	s->n_nonfinite += bad;
	s->n_zero += zero;
	s->bits += bits;
	s->min = low;
	s->max = high;
	s->absmax = n ? absmax : s->absmax;
}

void tensor_stats_merge(struct tensor_stats *into, const struct tensor_stats *from)
{
	if (from->n == 0)
		return;
	into->min = into->n ? fminf(into->min, from->min) : from->min;
	into->max = into->n ? fmaxf(into->max, from->max) : from->max;
	into->absmax = fmaxf(into->absmax, from->absmax);
	into->n += from->n;
	into->n_nonfinite += from->n_nonfinite;
	into->n_zero += from->n_zero;
	into->bits += from->bits;
	into->sum_squares += from->sum_squares;
}
