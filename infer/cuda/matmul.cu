/*
 * matmul.cu - y[n][rows] = x[n][cols] w^T on the device, a weight piece by piece: its stored bytes are fed (or lie there already), decoded to
 * floats unless the product takes them as they are, looked at once, and multiplied.
 *
 * How raw bytes lie on the device:
 *	ROWS	[rows][bytes of a row]			plain and packed weights whose rows are found alone
 *	COLUMNS	[cols][rows of the piece]		stored transposed, single elements
 *	WHOLE	all that is stored			transposed blocks; GPTQ and AWQ, where every row is everywhere
 * behind them the small parts of packed weights. A piece is as many rows as fit a slot and, decoded, a tile.
 *
 * Products are in fp32 without TF32. bfloat16 weights go to the matrix units as they are, and x as the sum of two bfloat16 terms, x = hi + lo
 * (16 bits of mantissa), so that nothing is lost of the weights and 2^-17 of x; sums are in fp32.
 */
#include <cuda_bf16.h>
#include <math.h>

#include "infer/cuda/parts.h"

extern "C" {
#include "base/vec.h"
}

enum layout { ROWS, COLUMNS, WHOLE };
enum operand { DECODED, RAW_F32, RAW_BF16 };	/* what the product reads */

struct product {
	struct backend *b;
	const struct weight *w;
	float *y;
	size_t ldy;
	const float *x;
	uint32_t n;

	enum layout layout;
	enum operand operand;
	size_t row_bytes;		/* ROWS: of a row; COLUMNS: of an element */
	size_t main_bytes, aux_bytes;	/* of all that is kept of a resident weight */
	uint8_t *kept;			/* it is, or is to be, resident here */
	bool loaded;			/* and has been fed before */
	uint8_t *aux_at;		/* where the small parts are: `kept`'s or b->raw's begin */
	size_t aux_to;			/* and how far behind it */
	bool want_stats;
	struct packed_device parts;
};

/* A matrix on the device as the product reads it. */
struct operand_matrix {
	const void *p;
	size_t ld;		/* elements from one stored row to the next */
	bool transposed;	/* stored [cols][…] */
};

/* ---- the product itself ------------------------------------------------------------------------------------------------ */

/* hi[i] + lo[i] = x[i] to 16 bits. An overflow of hi (beyond bfloat16's largest) is x's own infinity. */
__global__ void split_kernel(__nv_bfloat16 *hi, __nv_bfloat16 *lo, const float *x, size_t n)
{
	for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (size_t)blockDim.x) {
		__nv_bfloat16 h = __float2bfloat16_rn(x[i]);
		float rest = x[i] - __bfloat162float(h);

		hi[i] = h;
		lo[i] = __float2bfloat16_rn(isfinite(rest) ? rest : 0);
	}
}

static __nv_bfloat16 *split(struct product *p)
{
	size_t n = (size_t)p->n * p->w->cols;
	__nv_bfloat16 *hi;

	if (!memory_room(p->b, &p->b->split, 2 * n * sizeof(*hi), "activations in two terms"))
		return NULL;
	hi = reinterpret_cast<__nv_bfloat16 *>(p->b->split.p);
	LAUNCH(split_kernel, cuda_blocks(n, CUDA_THREADS, 65535), CUDA_THREADS, 0, p->b->compute, hi, hi + n, p->x, n);
	return cuda_ok(p->b, cudaGetLastError()) ? hi : NULL;
}

/*
 * Rows first … first + rows of y, in cuBLAS's terms (columns first): Y[rows][n] = op(W)[rows][cols] X[cols][n]. With two terms the small
 * one goes first.
 */
static void multiply(struct product *p, const struct operand_matrix *m, uint32_t first, uint32_t rows)
{
	const float one = 1, zero = 0;
	cublasOperation_t op = m->transposed ? CUBLAS_OP_N : CUBLAS_OP_T;
	uint32_t cols = p->w->cols;
	const __nv_bfloat16 *hi = reinterpret_cast<const __nv_bfloat16 *>(p->b->split.p);
	size_t terms = (size_t)p->n * cols;

	if (p->operand != RAW_BF16) {
		cuda_blas_ok(p->b, cublasSgemm(p->b->blas, op, CUBLAS_OP_N, (int)rows, (int)p->n, (int)cols, &one, static_cast<const float *>(m->p),
			(int)m->ld, p->x, (int)cols, &zero, p->y + first, (int)p->ldy));
		return;
	}
	for (int term = 1; term >= 0; term--)
		cuda_blas_ok(p->b, cublasGemmEx(p->b->blas, op, CUBLAS_OP_N, (int)rows, (int)p->n, (int)cols, &one, m->p, CUDA_R_16BF, (int)m->ld,
			hi + term * terms, CUDA_R_16BF, (int)cols, term ? &zero : &one, p->y + first, CUDA_R_32F, (int)p->ldy, CUBLAS_COMPUTE_32F,
			CUBLAS_GEMM_DEFAULT));
}

/* Which stored row (or column) row r is. */
static uint64_t stored_row(const struct weight *w, uint32_t r)
{
	return w->row0 + (w->group ? (uint64_t)(r / w->group) * w->stride + r % w->group : r);
}

/* ---- from raw bytes to the operand -------------------------------------------------------------------------------------- */

/* Elements of a stored row. */
static size_t stored_width(const struct weight *w)
{
	return w->pitch / w->type->bytes * w->type->block;
}

static struct operand_matrix decode(struct product *p, const uint8_t *raw, uint32_t first, uint32_t rows)
{
	const struct weight *w = p->w;
	float *tile = reinterpret_cast<float *>(p->b->tile.p);
	size_t width;

	if (w->packed) {
		p->parts.main = raw;
		packed_decode(p->b, tile, w, &p->parts, first, rows);
		return { tile, w->cols, false };
	}
	if (!w->transposed) {
		decode_type(p->b, tile, raw, w->type, (size_t)rows * w->cols);
		return { tile, w->cols, false };
	}
	width = p->layout == COLUMNS ? rows : stored_width(w);
	decode_type(p->b, tile, raw, w->type, width * w->cols);
	return { tile + (p->layout == WHOLE ? stored_row(w, first) : 0), width, true };
}

/* Rows first … first + rows, whose raw bytes are at `raw`. */
static void use(struct product *p, const uint8_t *raw, uint32_t first, uint32_t rows)
{
	const struct weight *w = p->w;
	struct operand_matrix m = { raw, w->transposed ? rows : w->cols, w->transposed };
	size_t n = (size_t)rows * w->cols;

	if (p->operand == DECODED)
		m = decode(p, raw, first, rows);
	if (p->want_stats && p->b->error.code == 0) {
		if (m.transposed && m.ld != rows)	/* neighbours' columns lie between: this view of them is looked at row by row */
			for (uint32_t k = 0; k < w->cols; k++)
				stats_add(p->b, w->tensor, static_cast<const float *>(m.p) + k * m.ld, rows, STATS_F32);
		else
			stats_add(p->b, w->tensor, m.p, n, p->operand == RAW_BF16 ? STATS_BF16 : STATS_F32);
	}
	if (p->b->error.code == 0)
		multiply(p, &m, first, rows);
}

/* ---- what to read ---------------------------------------------------------------------------------------------------------- */

/* Extents of rows first … first + n in the layout of the product; grown as needed. */
struct extents {
	struct extent *v;
	size_t n, cap;
};

static void push(struct extents *x, struct extent e)
{
	*static_cast<struct extent *>(vec_push_raw(reinterpret_cast<void **>(&x->v), &x->n, &x->cap, sizeof(e))) = e;
}

/* Rows that lie together are one extent. */
static void row_extents(const struct product *p, uint32_t first, uint32_t n, struct extents *x)
{
	const struct weight *w = p->w;
	struct tensor *t = w->packed ? w->packed->main : w->tensor;
	uint64_t at = w->packed ? t->at : w->at;
	size_t to = 0;

	for (uint32_t r = first, run; r < first + n; r += run) {
		uint32_t left = first + n - r;

		run = w->group ? w->group - r % w->group : left;
		run = run < left ? run : left;
		push(x, { t->fd, NULL, at + stored_row(w, r) * p->row_bytes, run * p->row_bytes, to, t->file, t });
		to += run * p->row_bytes;
	}
}

static void column_extents(const struct product *p, uint32_t first, uint32_t n, struct extents *x)
{
	const struct weight *w = p->w;
	uint64_t at = w->at + stored_row(w, first) * p->row_bytes;
	size_t bytes = n * p->row_bytes;

	if (bytes == w->pitch) {
		push(x, { w->tensor->fd, NULL, at, w->cols * bytes, 0, w->tensor->file, w->tensor });
		return;
	}
	for (uint32_t k = 0; k < w->cols; k++)
		push(x, { w->tensor->fd, NULL, at + k * w->pitch, bytes, k * bytes, w->tensor->file, NULL });
}

/* Bytes skip … skip + n of what is stored, for WHOLE. */
static struct extent whole_extent(const struct product *p, size_t skip, size_t n)
{
	const struct weight *w = p->w;

	if (w->packed && w->packed->whole)
		return { -1, static_cast<const uint8_t *>(w->packed->whole) + skip, 0, n, 0, NULL, NULL };
	if (w->packed)
		return { w->packed->main->fd, NULL, w->packed->main->at + skip, n, 0, w->packed->main->file, w->packed->main };
	return { w->tensor->fd, NULL, w->at + skip, n, 0, w->tensor->file, w->tensor };
}

/* ---- the course of a product -------------------------------------------------------------------------------------------- */

/* Rows of a piece; groups of heads may be cut anywhere. */
static uint32_t piece_rows(const struct product *p)
{
	const struct weight *w = p->w;
	size_t by_slot = p->layout == WHOLE ? w->rows : FEED_SLOT_BYTES / (p->layout == COLUMNS ? p->row_bytes * w->cols : p->row_bytes);
	size_t by_tile = p->operand == DECODED ? TILE_FLOATS / w->cols : by_slot, rows = by_slot < by_tile ? by_slot : by_tile;

	if (p->layout == WHOLE && w->transposed)
		return w->rows;		/* decoded at once */
	rows = rows > 64 ? rows / 64 * 64 : rows;
	return rows < 1 ? 1 : rows < w->rows ? (uint32_t)rows : w->rows;
}

/* Sends n bytes of memory or file in slots to `to`, which stays put. */
static bool send(struct product *p, struct extent x, uint8_t *to)
{
	for (size_t skip = 0; skip < x.bytes; skip += FEED_SLOT_BYTES) {
		struct extent part = x;

		part.bytes = x.bytes - skip < FEED_SLOT_BYTES ? x.bytes - skip : FEED_SLOT_BYTES;
		part.at += skip;
		part.memory = x.memory ? static_cast<const uint8_t *>(x.memory) + skip : NULL;
		part.to = 0;
		if (!feed_piece(p->b, &part, 1, to + skip))
			return false;
	}
	return true;
}

/* The small parts of a packed weight, and what must be whole, to where they stay until the product is done. */
static bool send_ahead(struct product *p)
{
	struct extent aux[3];
	unsigned n = p->w->packed ? packed_aux(&p->w->packed->q, p->aux_to, aux, p->aux_at, &p->parts) : 0;

	if (p->loaded)
		return true;
	if (!p->kept && p->aux_at && !cuda_ok(p->b, cudaStreamWaitEvent(p->b->copy, p->b->raw.used, 0)))	/* an earlier product may still read there */
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!send(p, aux[i], p->aux_at + aux[i].to))
			return false;
	return p->layout != WHOLE || send(p, whole_extent(p, 0, p->main_bytes), p->aux_at);
}

/* One piece's raw bytes: resident, or through the ring. */
static const uint8_t *bring(struct product *p, uint32_t first, uint32_t rows)
{
	size_t offset = p->layout == COLUMNS ? (size_t)first * p->w->cols * p->row_bytes : first * p->row_bytes;
	struct extents x = { NULL, 0, 0 };
	uint8_t *raw;

	if (p->layout == WHOLE)
		return p->aux_at;
	if (p->loaded)
		return p->kept + offset;
	if (p->layout == COLUMNS)
		column_extents(p, first, rows, &x);
	else
		row_extents(p, first, rows, &x);
	raw = feed_piece(p->b, x.v, x.n, p->kept ? p->kept + offset : NULL);
	free(x.v);
	return raw;
}

/* From `first` on at most `each`; columns of a piece are neighbours in what is stored. */
static uint32_t next_rows(const struct weight *w, uint32_t first, uint32_t each)
{
	uint32_t left = w->rows - first, together = w->transposed && w->group ? w->group - first % w->group : left;

	left = left < together ? left : together;
	return left < each ? left : each;
}

static void run(struct product *p)
{
	uint32_t each = piece_rows(p), rows;

	if (!send_ahead(p))
		return;
	for (uint32_t first = 0; first < p->w->rows && p->b->error.code == 0; first += rows) {
		const uint8_t *raw;

		rows = next_rows(p->w, first, each);
		raw = bring(p, first, rows);
		if (!raw)
			return;
		use(p, raw, first, rows);
		if (!p->kept && p->layout != WHOLE)
			feed_used(p->b);
	}
	if (!p->kept && p->aux_at)
		cuda_ok(p->b, cudaEventRecord(p->b->raw.used, p->b->compute));
}

/* ---- choices ------------------------------------------------------------------------------------------------------------- */

static void choose_layout(struct product *p)
{
	const struct weight *w = p->w;
	uint64_t offset, bytes;

	if (w->packed) {
		const struct quant_weight *q = &w->packed->q;

		quant_weight_window(q, 0, 1, &offset, &bytes);
		p->layout = quant_weight_is_whole(q) ? WHOLE : ROWS;
		p->row_bytes = bytes;
		p->main_bytes = p->layout == WHOLE ? w->packed->main->bytes : bytes * w->rows;
		p->aux_bytes = packed_aux_bytes(q);
		return;
	}
	p->layout = !w->transposed ? ROWS : w->type->block == 1 ? COLUMNS : WHOLE;
	p->row_bytes = w->transposed ? w->type->bytes : w->pitch;
	p->main_bytes = p->layout == WHOLE ? w->pitch * w->cols : p->layout == COLUMNS ? (size_t)w->rows * w->cols * w->type->bytes : w->pitch * w->rows;
	if (p->layout == WHOLE)
		return;
	if (strcmp(w->type->name, "F32") == 0)
		p->operand = RAW_F32;
	else if (strcmp(w->type->name, "BF16") == 0 && p->b->bf16)
		p->operand = RAW_BF16;
}

/* Resident if it is or can be; else room for what must not pass through the ring. */
static bool choose_place(struct product *p)
{
	struct backend *b = p->b;
	struct resident *r = memory_resident(b, p->w);
	size_t aux_to = (p->main_bytes + 255) / 256 * 256;

	p->loaded = r;
	if (!r)
		r = memory_resident_add(b, p->w, aux_to + p->aux_bytes);
	if (r) {
		p->kept = p->aux_at = r->p;
		p->aux_to = aux_to;
		return true;
	}
	if (p->layout != WHOLE && !p->aux_bytes)
		return true;
	p->aux_to = p->layout == WHOLE ? aux_to : 0;
	if (!memory_room(b, &b->raw, p->aux_to + p->aux_bytes, "a weight that must be whole"))
		return false;
	p->aux_at = b->raw.p;
	return true;
}

/* Statistics count each element once: not again in a later pass, nor for the part of a tensor that another view has covered. */
static void choose_stats(struct product *p)
{
	struct tensor_stats *s = &p->w->tensor->stats;
	uint64_t n = (uint64_t)p->w->rows * p->w->cols;

	p->want_stats = s->n + n <= tensor_numbers(p->w->tensor);
	if (!p->want_stats)
		return;
	if (s->n == 0) {
		s->min = INFINITY;
		s->max = -INFINITY;
	}
	s->n += n;	/* the rest follows when the device was waited for: stats_collect() */
}

static bool make_room(struct product *p)
{
	const struct weight *w = p->w;
	size_t floats = (size_t)piece_rows(p) * w->cols;

	if (p->operand == RAW_BF16)
		return split(p);
	if (p->operand == RAW_F32)
		return true;
	if (p->layout == WHOLE && w->transposed && !w->packed)
		floats = stored_width(w) * w->cols;
	return memory_room(p->b, &p->b->tile, floats * sizeof(float), "decoded weights");
}

void cuda_matmul(struct backend *b, float *y, size_t ldy, const float *x, uint32_t n, const struct weight *w)
{
	struct product p = {};

	p.b = b, p.w = w, p.y = y, p.ldy = ldy, p.x = x, p.n = n;
	if (!cuda_begin(b, "product", n, w->rows, w->cols) || n == 0 || w->rows == 0)
		return;
	b->at.name = w->tensor->name;
	choose_layout(&p);
	if (!make_room(&p) || !choose_place(&p))
		return;
	choose_stats(&p);
	run(&p);
	if (b->error.code && p.kept && !p.loaded)
		memory_drop_resident(b);	/* it is the last, and not all there */
}
