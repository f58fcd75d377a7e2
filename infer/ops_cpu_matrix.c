/*
 * ops_cpu_matrix.c - y = x W^T for bf16 weights on the processor's matrix unit (kernel_amx.c). As in ops_cpu_matmul.c a task is a tile of W's rows,
 * but the unit takes them as they lie in the file; they are decoded only to be looked at.
 */
#include <string.h>

#include "infer/ops_cpu_parts.h"

#include "base/vec.h"

#define TILE_BYTES (1u << 19)	/* of stored rows: beside their results, in the second-level cache */
#define LOOK_AT	   4096u	/* elements decoded at once: in the first-level cache */

struct job {
	struct backend *b;
	const struct weight *w;
	float *y;
	size_t ldy;
	const float *x;
	uint32_t n, blocks, tile_rows;
	bool want_stats;
	struct tile_result *results;
};

bool ops_cpu_matrix_takes(const struct backend *b, const struct weight *w)
{
	return b->matrix && w->type && strcmp(w->type->name, "BF16") == 0 && !w->packed && !w->transposed;
}

static void pack_block(void *arg, uint32_t block, unsigned thread)
{
	const struct job *j = arg;
	const struct kernel_matrix *m = j->b->matrix;
	uint32_t first = block * m->tokens, left = j->n - first;

	(void)thread;
	m->pack((uint16_t *)j->b->packed.p + block * m->packed_size(j->w->cols), j->x + (size_t)first * j->w->cols, left < m->tokens ? left : m->tokens, j->w->cols);
}

static void look_at(const struct job *j, struct tensor_stats *s, const uint16_t *raw, size_t n)
{
	float some[LOOK_AT];

	for (size_t i = 0; i < n; i += LOOK_AT) {
		size_t k = n - i < LOOK_AT ? n - i : LOOK_AT;

		j->b->kernel->bf16(some, raw + i, k * sizeof(*raw), 1, k, s);
	}
}

static void tile_task(void *arg, uint32_t task, unsigned thread)
{
	const struct job *j = arg;
	struct backend *b = j->b;
	uint32_t first = task * j->tile_rows, n = j->w->rows - first < j->tile_rows ? j->w->rows - first : j->tile_rows;
	uint32_t padded = (n + b->matrix->rows - 1) / b->matrix->rows * b->matrix->rows, ld = j->blocks * b->matrix->tokens;
	uint16_t *raw = scratch_room(&b->raw[thread], n * j->w->pitch);
	float *acc = scratch_room(&b->acc[thread], (size_t)padded * ld * sizeof(*acc));
	struct err e = ERR_NONE;

	if (weight_rows_stored(j->w, first, n, raw, &e) < 0) {
		tile_failed(&j->results[task], &e);
		return;
	}
	b->matrix->dot(acc, raw, n, b->packed.p, j->blocks, j->w->cols);
	if (j->want_stats)
		look_at(j, &j->results[task].stats, raw, (size_t)n * j->w->cols);
	b->kernel->transpose(j->y + first, j->ldy, acc, ld, n, j->n);
}

static uint32_t choose_tile_rows(const struct backend *b, const struct weight *w)
{
	uint64_t step = 2 * b->matrix->rows, rows = TILE_BYTES / w->pitch / step * step;

	return (uint32_t)(rows ? rows : step);
}

void ops_cpu_matrix(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w)
{
	struct job j = { .b = b, .w = w, .y = y, .ldy = ldy, .x = x, .n = n, .blocks = (n + b->matrix->tokens - 1) / b->matrix->tokens,
		.tile_rows = choose_tile_rows(b, w), .want_stats = weight_wants_stats(w) };
	uint32_t n_tiles = (w->rows + j.tile_rows - 1) / j.tile_rows;

	j.results = mem_zalloc(n_tiles * sizeof(*j.results));
	scratch_room(&b->packed, j.blocks * b->matrix->packed_size(w->cols) * sizeof(uint16_t));
	pool_run(b->pool, j.blocks, pack_block, &j);
	pool_run(b->pool, n_tiles, tile_task, &j);
	tiles_merge(b, w, j.results, n_tiles);
}
