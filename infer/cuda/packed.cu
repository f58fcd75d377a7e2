/*
 * packed.cu - weights that several tensors make up (quant_weight.h), as float rows: an element a thread, the formulas of
 * quant_rows.c. Plain products, so that they can't be fused: the same bits as on the processor.
 */
#include "infer/cuda/parts.h"

extern "C" {
#include "infer/quant_plain.h"
}

#define GRID_MAX 65535u
#define AUX_ALIGN 16

/* Output row r (as stored) and input i of this matrix; `local` is the row's place in the window. */
struct element {
	uint64_t r, local, i;
};

/* What the kernels know of a struct quant_weight. */
struct scheme {
	struct packed_device d;
	uint64_t out, in, group, n_groups, block0, block1, across;
	unsigned bits;
	float map[16];
};

/* Where the matrix's rows lie among the stored ones: weights.h's row0, group and stride. */
struct rows {
	uint64_t row0;
	uint32_t first, group, stride;
	__device__ uint64_t stored(uint64_t k) const
	{
		uint32_t r = first + (uint32_t)k;

		return row0 + (group ? (uint64_t)(r / group) * stride + r % group : r);
	}
};

template <void (*ROW)(float *, const void *, size_t)> struct fp8 {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		float v;

		ROW(&v, s.d.main + e.local * s.in + e.i, 1);
		return v * s.d.scale[e.r / s.block0 * s.across + e.i / s.block1];
	}
};

struct int8 {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		uint64_t at = e.r * s.n_groups + e.i / s.group;

		return (float)((int8_t)s.d.main[e.local * s.in + e.i] - (s.d.zero ? s.d.zero[at] : 0)) * s.d.scale[at];
	}
};

__device__ static uint32_t word(const uint8_t *p)
{
	return quant_u32(p);
}

/* Value i of an output begins at bit i * bits of its column of words, and may go on in the next word (3 bits). */
struct gptq {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		uint64_t bit = e.i * s.bits, g = s.d.g_idx ? s.d.g_idx[e.i] : e.i / s.group, at = g * s.out + e.r;
		const uint8_t *p = s.d.main + (bit / 32 * s.out + e.r) * 4;
		unsigned shift = bit % 32;
		uint64_t both = shift + s.bits > 32 ? (uint64_t)word(p + s.out * 4) << 32 | word(p) : word(p);
		int32_t q = (int32_t)((uint32_t)(both >> shift) & ((1u << s.bits) - 1));

		return (float)(q - s.d.zero[at]) * s.d.scale[at];
	}
};

/* A word holds eight outputs of one input; output k of them is nibble k / 2, from the fourth on for odd k. */
struct awq {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		unsigned k = e.r % 8, nibble = k / 2 + k % 2 * 4;
		uint64_t at = e.i / s.group * s.out + e.r;
		uint32_t q = word(s.d.main + (e.i * (s.out / 8) + e.r / 8) * 4) >> (4 * nibble) & 15;

		return (float)((int32_t)q - s.d.zero[at]) * s.d.scale[at];
	}
};

/* High nibble first; blocks run on over the ends of rows. */
struct bnb4 {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		uint8_t q = s.d.main[(e.local * s.in + e.i) / 2];

		return s.map[e.i % 2 ? q & 15 : q >> 4] * s.d.scale[(e.r * s.in + e.i) / s.group];
	}
};

struct pack_quantized {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		unsigned per = 8 / s.bits;
		uint64_t row = (s.in * s.bits + 31) / 32 * 4;
		int32_t q = (int32_t)((unsigned)s.d.main[e.local * row + e.i / per] >> (e.i % per * s.bits) & ((1u << s.bits) - 1));

		uint64_t at = e.r * s.n_groups + (s.d.g_idx ? s.d.g_idx[e.i] : e.i / s.group);

		return (float)(q - (s.d.zero ? s.d.zero[at] : 1 << (s.bits - 1))) * s.d.scale[at];
	}
};

struct nvfp4 {
	static __device__ float at(const struct scheme &s, struct element e)
	{
		float two[2];

		row_f4(two, s.d.main + (e.local * s.in + e.i) / 2, 2);
		return two[e.i % 2] * s.d.scale[e.r * s.n_groups + e.i / 16];
	}
};

template <typename SCHEME> __global__ void packed_kernel(float *out, struct scheme s, struct rows rows, uint64_t n)
{
	for (uint64_t k = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; k < n * s.in; k += gridDim.x * (uint64_t)blockDim.x)
		out[k] = SCHEME::at(s, { rows.stored(k / s.in), k / s.in, k % s.in });
}

typedef void kernel(float *out, struct scheme s, struct rows rows, uint64_t n);

static kernel *pick(const struct quant_weight *q)
{
	static const struct {
		const char *type;
		kernel *run;
	} fp8s[] = { { "F8_E4M3", packed_kernel<fp8<row_f8_e4m3>> }, { "F8_E5M2", packed_kernel<fp8<row_f8_e5m2>> },
		{ "F8_E4M3FNUZ", packed_kernel<fp8<row_f8_e4m3fnuz>> }, { "F8_E5M2FNUZ", packed_kernel<fp8<row_f8_e5m2fnuz>> } };

	switch (q->scheme) {
	case QUANT_FP8:
		for (const auto &f : fp8s)
			if (strcmp(f.type, q->main.type->name) == 0)
				return f.run;
		break;
	case QUANT_INT8:
		return packed_kernel<int8>;
	case QUANT_GPTQ:
		return packed_kernel<gptq>;
	case QUANT_AWQ:
		return packed_kernel<awq>;
	case QUANT_BNB4:
		return packed_kernel<bnb4>;
	case QUANT_PACKED:
		return packed_kernel<pack_quantized>;
	case QUANT_NVFP4:
		return packed_kernel<nvfp4>;
	case QUANT_PLAIN:
		break;
	}
	return NULL;
}

void packed_decode(struct backend *b, float *out, const struct weight *w, const struct packed_device *d, uint32_t first, uint32_t n)
{
	const struct quant_weight *q = &w->packed->q;
	struct rows rows = { w->row0, first, w->group, w->stride };
	struct scheme s = { *d, q->out, q->in, q->group, q->n_groups, q->block[0], q->block[1], 0, q->bits, {} };
	kernel *run = pick(q);

	memcpy(s.map, q->map, sizeof(s.map));
	s.across = q->block[1] ? (q->in + q->block[1] - 1) / q->block[1] : 0;
	if (!run) {
		err_set(&b->error, ERR_UNSUPPORTED, "%s: the GPU path does not decode %s", q->name, q->main.dtype);
		return;
	}
	LAUNCH(run, cuda_blocks(n * q->in, CUDA_THREADS, GRID_MAX), CUDA_THREADS, 0, b->compute, out, s, rows, (uint64_t)n);
	cuda_ok(b, cudaGetLastError());
}

/* ---- the small parts ----------------------------------------------------------------------------------------------- */

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return b ? (a + b - 1) / b : 0;
}

/* As quant_weight.h describes the arrays. */
static uint64_t n_scales(const struct quant_weight *q)
{
	bool each_output = q->scheme != QUANT_FP8 && q->scheme != QUANT_BNB4;

	return each_output ? q->n_groups * q->out : q->n_groups;
}

struct part {
	const void *memory;
	size_t bytes;
};

static void parts(const struct quant_weight *q, struct part p[3])
{
	p[0] = { q->scale, n_scales(q) * sizeof(float) };
	p[1] = { q->zero, q->zero ? q->n_groups * q->out * sizeof(int32_t) : 0 };
	p[2] = { q->g_idx, q->g_idx ? q->in * sizeof(uint32_t) : 0 };
}

size_t packed_aux_bytes(const struct quant_weight *q)
{
	struct part p[3];
	size_t n = 0;

	parts(q, p);
	for (const struct part &part : p)
		n += ceil_div(part.bytes, AUX_ALIGN) * AUX_ALIGN;
	return n;
}

unsigned packed_aux(const struct quant_weight *q, size_t to, struct extent *x, const uint8_t *base, struct packed_device *d)
{
	const uint8_t *at[3] = { NULL, NULL, NULL };
	struct part p[3];
	unsigned n = 0;

	parts(q, p);
	for (int i = 0; i < 3; i++) {
		if (p[i].bytes == 0)
			continue;
		x[n++] = { -1, p[i].memory, 0, p[i].bytes, to, NULL, NULL };
		at[i] = base + to;
		to += ceil_div(p[i].bytes, AUX_ALIGN) * AUX_ALIGN;
	}
	d->scale = reinterpret_cast<const float *>(at[0]);
	d->zero = reinterpret_cast<const int32_t *>(at[1]);
	d->g_idx = reinterpret_cast<const uint32_t *>(at[2]);
	return n;
}
