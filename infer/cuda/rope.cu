/*
 * rope.cu - rotary positions: of each head's elements (p, q) = (i, i + half) or (2i, 2i + 1), i < half = n_rot / 2,
 *	p' = p cos a - q sin a,  q' = p sin a + q cos a,  a = position * inv_freq[i]		cos and sin times the table's factor
 * Angles in double, as on the processor: at position 100,000 a float is off by a hundredth of a turn. A block a token.
 */
#include "infer/cuda/parts.h"

struct rope_place {
	uint32_t n_head, d_head, offset, half;
	bool interleaved;
	double factor;
};

__global__ void rope_kernel(float *x, const uint32_t *positions, const double *inv_freq, struct rope_place r)
{
	__shared__ float cosine[SPEC_ROT_MAX / 2], sine[SPEC_ROT_MAX / 2];

	for (uint32_t i = threadIdx.x; i < r.half; i += blockDim.x) {
		double angle = positions[blockIdx.x] * inv_freq[i];

		cosine[i] = (float)(cos(angle) * r.factor);
		sine[i] = (float)(sin(angle) * r.factor);
	}
	__syncthreads();
	for (uint32_t k = threadIdx.x; k < r.n_head * r.half; k += blockDim.x) {
		uint32_t i = k % r.half;
		float *v = x + ((size_t)blockIdx.x * r.n_head + k / r.half) * r.d_head + r.offset;
		float *p = v + (r.interleaved ? 2 * i : i), *q = r.interleaved ? p + 1 : p + r.half, a = *p;

		*p = a * cosine[i] - *q * sine[i];
		*q = a * sine[i] + *q * cosine[i];
	}
}

void cuda_rope(struct backend *b, float *x, uint32_t n, const struct ops_rope *r)
{
	struct rope_place place = { r->n_head, r->d_head, r->offset, r->table->n_rot / 2, r->interleaved, r->table->factor };
	const uint32_t *positions;
	const double *inv_freq;

	if (!cuda_begin(b, "rope", n, r->n_head, r->d_head) || n == 0)
		return;
	positions = static_cast<const uint32_t *>(cuda_args(b, r->positions, n * sizeof(*positions)));
	inv_freq = static_cast<const double *>(cuda_args(b, r->table->inv_freq, place.half * sizeof(*inv_freq)));
	if (!positions || !inv_freq)
		return;
	LAUNCH(rope_kernel, n, CUDA_THREADS, 0, b->compute, x, positions, inv_freq, place);
	cuda_ok(b, cudaGetLastError());
}
