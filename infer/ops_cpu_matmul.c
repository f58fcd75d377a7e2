/*
 * ops_cpu_matmul.c - y = x W^T on the processor. A task is a tile of W's rows: read from the file, then a panel of its columns at a
 * time decoded to floats, looked at (NaN, range), and multiplied with all tokens while it is in the cache. So a weight passes through
 * memory once, and no more of it is ever held than a tile a thread.
 *	x is packed once: [block of tokens][cols][tokens of the block], so that tokens are lanes.
 * Sizes are those of the caches: what a panel's step has of a token block (16 KiB) stays in the first level while all rows meet it; the panel
 * and the sums of its rows stay in the second. Results do not depend on them: a sum is taken in the order of the columns.
 */
#include <string.h>

#include "infer/ops_cpu_parts.h"

#include "base/vec.h"

#define TILE_FLOATS (1u << 20)	/* elements that are read at once, at most */
#define TILE_ROWS   96u
#define TILE_ROWS_TRANSPOSED (6 * TILE_ROWS)	/* short reads from many stored rows: fewer, longer ones */
#define PANEL_COLS  256u	/* a multiple of the elements of every type's block */
#define STEP_COLS   128u	/* of a panel, multiplied at once */
#define LOOK_ROWS   12u		/* of a panel, decoded and looked at while they are in the first-level cache */
#define PACK_COLS   512u	/* of x, packed by one task */
#define CACHE_LINE  64u

struct job {
	struct backend *b;
	const struct weight *w;
	float *y;
	size_t ldy;
	const float *x;
	uint32_t n;
	struct block {
		uint32_t first, n;	/* tokens */
		uint32_t nv;		/* vectors that hold them */
	} *blocks;
	uint32_t n_blocks, n_lanes;	/* of all blocks together */
	uint32_t tile_rows;
	bool want_stats;
	struct tile_result *results;	/* a tile each */
};

/* As many vectors of tokens at once as the kernel takes; what is left in powers of two. */
static void cut_blocks(struct job *j)
{
	uint32_t lanes = j->b->kernel->lanes, at = 0;

	j->blocks = mem_zalloc((j->n / lanes + 1) * sizeof(*j->blocks));
	while (at < j->n) {
		struct block *block = &j->blocks[j->n_blocks++];

		*block = (struct block){ .first = at, .nv = j->b->kernel->max_nv };
		while ((block->nv - 1) * lanes >= j->n - at)
			block->nv /= 2;
		block->n = block->nv * lanes < j->n - at ? block->nv * lanes : j->n - at;
		at += block->n;
		j->n_lanes += block->nv * lanes;
	}
}

static float *packed_at(const struct job *j, const struct block *block, uint32_t k)
{
	return (float *)j->b->packed.p + (size_t)block->first * j->w->cols + (size_t)k * block->nv * j->b->kernel->lanes;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Some columns of a block, in squares: rows of x are often a power of two apart, and more than eight of those share lines of the cache. */
static void pack_task(void *arg, uint32_t task, unsigned thread)
{
	enum { SQUARE = 8, WIDE = 64 };
	const struct job *j = arg;
	const struct block *block = &j->blocks[task % j->n_blocks];
	uint32_t cols = j->w->cols, width = block->nv * j->b->kernel->lanes, first = task / j->n_blocks * PACK_COLS, end = least(first + PACK_COLS, cols);

	(void)thread;
	if (block->n < width)
		memset(packed_at(j, block, first), 0, (size_t)width * (end - first) * sizeof(float));
	for (uint32_t k = first; k < end; k += WIDE)
		for (uint32_t t = 0; t < block->n; t += SQUARE)
			j->b->kernel->transpose(packed_at(j, block, k) + t, width, j->x + (size_t)(block->first + t) * cols + k, cols,
				least(block->n - t, SQUARE), least(end - k, WIDE));
}

/* Rows of a tile in memory: as they are stored, or as floats where decoding takes more than a row by itself. */
struct rows {
	const uint8_t *at;
	size_t pitch;
	uint32_t n;
	const struct quant_type *type;
};

static int read_tile(const struct job *j, uint32_t first, uint32_t n, unsigned thread, struct rows *t, struct err *e)
{
	struct backend *b = j->b;
	const struct weight *w = j->w;
	float *floats;

	if (!w->transposed && !w->packed) {
		void *stored = scratch_room(&b->raw[thread], n * w->pitch);

		*t = (struct rows){ .at = stored, .pitch = w->pitch, .n = n, .type = w->type };
		return weight_rows_stored(w, first, n, stored, e);
	}
	floats = scratch_room(&b->tile[thread], (size_t)n * w->cols * sizeof(*floats));
	*t = (struct rows){ .at = (const uint8_t *)floats, .pitch = w->cols * sizeof(*floats), .n = n, .type = quant_type("F32") };
	return weight_rows(w, first, n, floats, &b->raw[thread], NULL, e);
}

/* n columns of the rows at `in`, one after the other. */
static void decode(const struct kernel *kernel, const struct quant_type *type, const uint8_t *in, size_t pitch, uint32_t rows, uint32_t n, float *out,
	struct tensor_stats *stats)
{
	if (strcmp(type->name, "BF16") == 0) {
		kernel->bf16(out, in, pitch, rows, n, stats);
	} else if (strcmp(type->name, "F16") == 0) {
		kernel->f16(out, in, pitch, rows, n, stats);
	} else {
		for (uint32_t i = 0; i < rows; i++)
			type->row(out + (size_t)i * n, in + i * pitch, n);
		if (stats)
			kernel->stats(stats, out, (size_t)rows * n);
	}
}

/* Columns k … k + n of all rows, and rows of zeros up to a multiple of what the kernel takes. */
static void decode_panel(const struct job *j, const struct rows *t, uint32_t k, uint32_t n, uint32_t padded, float *panel, struct tensor_stats *stats)
{
	const uint8_t *in = t->at + quant_row_bytes(t->type, k);

	for (uint32_t r = 0; r < t->n; r += LOOK_ROWS)
		decode(j->b->kernel, t->type, in + r * t->pitch, t->pitch, least(t->n - r, LOOK_ROWS), n, panel + (size_t)r * n, j->want_stats ? stats : NULL);
	memset(panel + (size_t)t->n * n, 0, (size_t)(padded - t->n) * n * sizeof(*panel));
}

/* Bytes from … to of p will be wanted soon. */
static void fetch(const void *p, size_t from, size_t to)
{
	for (; from < to; from += CACHE_LINE)
		__builtin_prefetch((const char *)p + from, 0, 2);
}

/*
 * acc[padded][tokens of the block] += what columns k … k + n add, whose weights stand in rows ldw apart. Meanwhile the tokens that the next
 * step meets are fetched, a part before each product: they come from the third-level cache.
 */
static void multiply_block(const struct job *j, const struct block *block, const float *weights, uint32_t ldw, uint32_t k, uint32_t n, uint32_t padded,
	float *acc)
{
	const struct kernel *kernel = j->b->kernel;
	bool last = block + 1 == j->blocks + j->n_blocks;
	const struct block *next = last ? j->blocks : block + 1;
	const float *x = packed_at(j, block, k), *next_x = packed_at(j, next, !last ? k : k + n < j->w->cols ? k + n : 0);
	uint32_t width = block->nv * kernel->lanes, products = padded / KERNEL_ROWS;
	size_t ahead = (size_t)n * next->nv * kernel->lanes * sizeof(*x), part = (ahead / products / CACHE_LINE + 1) * CACHE_LINE;

	for (uint32_t i = 0; i < products; i++) {
		fetch(next_x, i * part, (i + 1) * part < ahead ? (i + 1) * part : ahead);
		kernel->dot(acc + (size_t)i * KERNEL_ROWS * width, x, weights + (size_t)i * KERNEL_ROWS * ldw, ldw, n, block->nv);
	}
}

/* Some rows with all tokens, into columns first … of y. */
static void multiply_rows(const struct job *j, const struct rows *t, uint32_t first, unsigned thread, struct tensor_stats *stats)
{
	struct backend *b = j->b;
	uint32_t cols = j->w->cols, padded = (t->n + KERNEL_ROWS - 1) / KERNEL_ROWS * KERNEL_ROWS;
	size_t n_acc = (size_t)padded * j->n_lanes;
	float *panel = scratch_room(&b->panel[thread], (size_t)padded * PANEL_COLS * sizeof(*panel));
	float *acc = scratch_room(&b->acc[thread], n_acc * sizeof(*acc));
	const struct block *end = j->blocks + j->n_blocks;

	memset(acc, 0, n_acc * sizeof(*acc));
	for (uint32_t k = 0; k < cols; k += PANEL_COLS) {
		uint32_t n = least(cols - k, PANEL_COLS);

		decode_panel(j, t, k, n, padded, panel, stats);
		for (uint32_t at = 0; at < n; at += STEP_COLS)
			for (const struct block *block = j->blocks; block < end; block++)
				multiply_block(j, block, panel + at, n, k + at, least(n - at, STEP_COLS), padded, acc + (size_t)block->first * padded);
	}
	for (const struct block *block = j->blocks; block < end; block++)
		b->kernel->transpose(j->y + block->first * j->ldy + first, j->ldy, acc + (size_t)block->first * padded, block->nv * b->kernel->lanes, t->n,
			block->n);
}

static void tile_task(void *arg, uint32_t task, unsigned thread)
{
	const struct job *j = arg;
	struct tile_result *result = &j->results[task];
	uint32_t first = task * j->tile_rows;
	struct err e = ERR_NONE;
	struct rows all;

	if (read_tile(j, first, least(j->w->rows - first, j->tile_rows), thread, &all, &e) < 0) {
		tile_failed(result, &e);
		return;
	}
	for (uint32_t r = 0; r < all.n; r += TILE_ROWS) {
		struct rows t = all;

		t.at += r * all.pitch;
		t.n = least(all.n - r, TILE_ROWS);
		multiply_rows(j, &t, first + r, thread, &result->stats);
	}
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
	return w->tensor->stats.n + (uint64_t)w->rows * w->cols <= tensor_numbers(w->tensor);
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
	cut_blocks(&j);
	j.want_stats = weight_wants_stats(w);
	j.results = mem_zalloc(n_tiles * sizeof(*j.results));
	scratch_room(&b->packed, (size_t)j.n_lanes * w->cols * sizeof(float));
	pool_run(b->pool, j.n_blocks * ((w->cols + PACK_COLS - 1) / PACK_COLS), pack_task, &j);
	pool_run(b->pool, n_tiles, tile_task, &j);
	tiles_merge(b, w, j.results, n_tiles);
	free(j.blocks);
}
