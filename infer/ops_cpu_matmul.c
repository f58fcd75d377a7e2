/*
 * ops_cpu_matmul.c - y = x W^T on the processor. A task is a tile of W's rows: read from the file, decoded to floats, looked at
 * (NaN, range), and multiplied with all tokens while it is in the cache. So a weight passes through memory once, and no more of
 * it is ever held than a tile a thread.
 *	x is packed once: [block of tokens][cols][tokens of the block], so that tokens are lanes.
 */
#include <string.h>

#include "infer/ops_cpu_parts.h"

#include "base/vec.h"

#define TILE_FLOATS (1u << 18)	/* of a decoded tile: 1 MiB */
#define TILE_ROWS   96u
#define TILE_ROWS_TRANSPOSED 510u	/* short reads from many stored rows: fewer, longer ones */
#define PACK_COLS   64u		/* columns at once while x is packed: what is written stays in the first-level cache */
#define K_BLOCK	    512u	/* columns at once: their part of a token block stays in the second-level cache */

struct job {
	struct backend *b;
	const struct weight *w;
	float *y;
	size_t ldy;
	const float *x;
	uint32_t n;
	uint32_t width, n_blocks;	/* tokens of a block; the last one may be narrower */
	uint32_t tile_rows;
	bool want_stats;
	struct tile_result *results;	/* a tile each */
};

/* Vectors that block needs: all of them, or in the last block as few as do. */
static uint32_t block_nv(const struct job *j, uint32_t block)
{
	uint32_t left = j->n - block * j->width, lanes = j->b->kernel->lanes, nv = 1;

	while (nv * lanes < left && nv * lanes < j->width)
		nv *= 2;
	return nv;
}

static void pack_block(void *arg, uint32_t block, unsigned thread)
{
	const struct job *j = arg;
	uint32_t cols = j->w->cols, first = block * j->width, width = block_nv(j, block) * j->b->kernel->lanes;
	float *to = (float *)j->b->packed.p + (size_t)first * cols;

	(void)thread;
	for (uint32_t k0 = 0; k0 < cols; k0 += PACK_COLS) {
		uint32_t k1 = cols - k0 < PACK_COLS ? cols : k0 + PACK_COLS;

		for (uint32_t t = 0; t < width; t++) {
			const float *from = first + t < j->n ? j->x + (size_t)(first + t) * cols : NULL;

			for (uint32_t k = k0; k < k1; k++)
				to[(size_t)k * width + t] = from ? from[k] : 0;
		}
	}
}

/* Plain types through the kernel's own decoders: tile rows as floats. */
static int read_tile(const struct job *j, uint32_t first, uint32_t n, unsigned thread, float *tile, struct err *e)
{
	const struct weight *w = j->w;
	struct weight plain = *w;
	struct quant_type fast = { 0 };

	if (w->type && w->type->block == 1 && w->type->bytes == 2 && !w->packed) {
		fast = *w->type;
		fast.row = strcmp(w->type->name, "BF16") == 0 ? j->b->kernel->bf16 : strcmp(w->type->name, "F16") == 0 ? j->b->kernel->f16 : fast.row;
		plain.type = &fast;
	}
	return weight_rows(&plain, first, n, tile, &j->b->raw[thread], NULL, e);
}

/* One tile with one block of tokens; rows past the tile's end are zero in `tile` and their results are not stored. */
static void tile_block(const struct job *j, const float *tile, uint32_t first, uint32_t n, uint32_t block, float *acc)
{
	uint32_t cols = j->w->cols, token0 = block * j->width, tokens = j->n - token0 < j->width ? j->n - token0 : j->width;
	uint32_t nv = block_nv(j, block), width = nv * j->b->kernel->lanes;
	const float *x = (const float *)j->b->packed.p + (size_t)token0 * cols;
	uint32_t padded = (n + KERNEL_ROWS - 1) / KERNEL_ROWS * KERNEL_ROWS;

	memset(acc, 0, (size_t)padded * width * sizeof(*acc));
	for (uint32_t k = 0; k < cols; k += K_BLOCK)
		for (uint32_t r = 0; r < padded; r += KERNEL_ROWS)
			j->b->kernel->dot(acc + (size_t)r * width, x + (size_t)k * width, tile + (size_t)r * cols + k, cols,
				cols - k < K_BLOCK ? cols - k : K_BLOCK, nv);
	for (uint32_t t = 0; t < tokens; t++)
		for (uint32_t r = 0; r < n; r++)
			j->y[(token0 + t) * j->ldy + first + r] = acc[(size_t)r * width + t];
}

static void tile_task(void *arg, uint32_t task, unsigned thread)
{
	const struct job *j = arg;
	struct backend *b = j->b;
	uint32_t first = task * j->tile_rows, n = j->w->rows - first < j->tile_rows ? j->w->rows - first : j->tile_rows;
	uint32_t padded = (n + KERNEL_ROWS - 1) / KERNEL_ROWS * KERNEL_ROWS, cols = j->w->cols;
	float *tile = scratch_room(&b->tile[thread], (size_t)padded * cols * sizeof(*tile));
	float *acc = scratch_room(&b->acc[thread], (size_t)padded * j->width * sizeof(*acc));
	struct err e = ERR_NONE;

	if (read_tile(j, first, n, thread, tile, &e) < 0) {
		tile_failed(&j->results[task], &e);
		return;
	}
	memset(tile + (size_t)n * cols, 0, (size_t)(padded - n) * cols * sizeof(*tile));
	if (j->want_stats)
		b->kernel->stats(&j->results[task].stats, tile, (size_t)n * cols);
	for (uint32_t block = 0; block < j->n_blocks; block++)
		tile_block(j, tile, first, n, block, acc);
}

static uint32_t choose_tile_rows(const struct weight *w)
{
	uint32_t most = w->transposed ? TILE_ROWS_TRANSPOSED : TILE_ROWS, rows = TILE_FLOATS / w->cols / KERNEL_ROWS * KERNEL_ROWS;

	if (w->transposed)
		rows = most;
	return rows < KERNEL_ROWS ? KERNEL_ROWS : rows > most ? most : rows;
}

/* Statistics count each element once: not again in a later pass, nor for the part of a tensor that another view has covered. */
bool weight_wants_stats(const struct weight *w)
{
	return w->tensor->stats.n + (uint64_t)w->rows * w->cols <= tensor_elements(w->tensor);
}

void tile_failed(struct tile_result *r, const struct err *e)
{
	r->error = mem_zalloc(sizeof(*e));
	*r->error = *e;
}

void tiles_merge(struct backend *b, const struct weight *w, struct tile_result *results, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		tensor_stats_merge(&w->tensor->stats, &results[i].stats);
		if (results[i].error && b->error.code == 0)
			b->error = *results[i].error;
		free(results[i].error);
	}
	free(results);
}

void ops_cpu_matmul(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w)
{
	struct job j = { .b = b, .w = w, .y = y, .ldy = ldy, .x = x, .n = n, .tile_rows = choose_tile_rows(w) };
	uint32_t n_tiles = (w->rows + j.tile_rows - 1) / j.tile_rows;

	if (b->error.code || n == 0 || w->rows == 0)
		return;
	if (ops_cpu_matrix_takes(b, w)) {
		ops_cpu_matrix(b, y, ldy, x, n, w);
		return;
	}
	j.width = b->kernel->max_nv * b->kernel->lanes;
	j.n_blocks = (n + j.width - 1) / j.width;
	j.want_stats = weight_wants_stats(w);
	j.results = mem_zalloc(n_tiles * sizeof(*j.results));
	scratch_room(&b->packed, (size_t)j.n_blocks * j.width * w->cols * sizeof(float));
	pool_run(b->pool, j.n_blocks, pack_block, &j);
	pool_run(b->pool, n_tiles, tile_task, &j);
	tiles_merge(b, w, j.results, n_tiles);
}
