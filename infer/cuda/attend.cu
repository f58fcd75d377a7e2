/*
 * attend.cu - out = softmax(softcap?(q k^T * scale) - alibi) v, a block a query and head. Which keys a query sees (causal, window, chunk)
 * comes down to a first and a last one, found on the host. Scores stay in shared memory: texts are short, and softmax is then
 * the plain one, in the processor's order: maximum, exponentials, sum, weights.
 *	q[query][head][d_k], k[key][kv][d_k], v[key][kv][d_v]; head h reads kv h / (n_head / n_kv)
 */
#include <cuda_fp16.h>

#include "infer/cuda/parts.h"
#include "infer/cuda/reduce.h"

extern "C" {
#include "base/vec.h"
}

#define THREADS	   128u
#define SHARED_MAX 49152u	/* every device has it without asking */

struct query {
	uint32_t row;		/* of q and out */
	uint32_t key;		/* row of the first key it sees */
	uint32_t n;		/* keys it sees; the last one is its own */
};

struct shape {
	uint32_t n_head, n_kv, d_k, d_v;
	float scale, softcap;
};

template <bool HALF> __device__ float rounded(float x)
{
	return HALF ? __half2float(__float2half_rn(x)) : x;
}

/* shared: floats [d_k of the query][scores of the n keys], then the reduction's */
template <bool HALF>
__global__ void attend_kernel(float *out, const float *q, const float *k, const float *v, const struct query *queries, const float *alibi, struct shape s)
{
	SHARED_DYNAMIC(float, shared);
	__shared__ double sums[THREADS];
	__shared__ float tops[THREADS];
	const struct query me = queries[blockIdx.x];
	uint32_t head = blockIdx.y, kv = head / (s.n_head / s.n_kv);
	float *mine = shared, *score = shared + s.d_k, top = -INFINITY, total;
	double sum = 0;

	for (uint32_t d = threadIdx.x; d < s.d_k; d += blockDim.x)
		mine[d] = rounded<HALF>(q[((size_t)me.row * s.n_head + head) * s.d_k + d]);
	__syncthreads();
	for (uint32_t t = threadIdx.x; t < me.n; t += blockDim.x) {
		const float *key = k + ((size_t)(me.key + t) * s.n_kv + kv) * s.d_k;
		float x = 0;

		for (uint32_t d = 0; d < s.d_k; d++)
			x += mine[d] * rounded<HALF>(key[d]);
		x *= s.scale;
		if (s.softcap > 0)
			x = s.softcap * tanhf(x / s.softcap);
		if (alibi)
			x -= alibi[head] * (float)(me.n - 1 - t);
		score[t] = x;
		top = x > top ? x : top;
	}
	top = block_reduce(top, tops, reduce_max());
	for (uint32_t t = threadIdx.x; t < me.n; t += blockDim.x) {
		score[t] = expf(score[t] - top);
		sum += (double)score[t];
	}
	total = (float)block_reduce(sum, sums, reduce_add());
	for (uint32_t t = threadIdx.x; t < me.n; t += blockDim.x)
		score[t] = rounded<HALF>(score[t] / total);
	__syncthreads();
	for (uint32_t d = threadIdx.x; d < s.d_v; d += blockDim.x) {
		const float *value = v + ((size_t)me.key * s.n_kv + kv) * s.d_v + d;
		float x = 0;

		for (uint32_t t = 0; t < me.n; t++)
			x += score[t] * rounded<HALF>(value[(size_t)t * s.n_kv * s.d_v]);
		out[((size_t)me.row * s.n_head + head) * s.d_v + d] = x;
	}
}

/* The first key that a query at position p sees, as on the processor. */
static uint32_t first_visible(const struct ops_attend *a, uint32_t p)
{
	uint32_t from = 0;

	if (a->window && p + 1 > a->window)
		from = p + 1 - a->window;
	if (a->chunk && p / a->chunk * a->chunk > from)
		from = p / a->chunk * a->chunk;
	return from;
}

/* Returns the most keys that a query sees. */
static uint32_t lay_out(const struct ops_attend *a, struct query *queries)
{
	uint32_t n = 0, most = 0;

	for (uint32_t i = 0; i < a->n_seqs; i++) {
		const struct ops_seq *s = &a->seqs[i];
		uint32_t key0 = s->position + s->n - s->n_keys;		/* the position of the first key */

		for (uint32_t t = 0; t < s->n; t++, n++) {
			uint32_t position = s->position + t, from = first_visible(a, position), skip = from > key0 ? from - key0 : 0;

			queries[n] = { s->first + t, s->key_first + skip, position - key0 + 1 - skip };
			most = queries[n].n > most ? queries[n].n : most;
		}
	}
	return most;
}

void cuda_attend(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a)
{
	struct shape s = { a->n_head, a->n_kv, a->d_k, a->d_v, (float)a->scale, (float)a->softcap };
	const struct query *on_device;
	const float *alibi = NULL;
	struct query *queries;
	uint32_t n = 0, most;
	size_t shared;

	for (uint32_t i = 0; i < a->n_seqs; i++)
		n += a->seqs[i].n;
	if (!cuda_begin(b, "attention", n, a->n_head, a->d_k) || n == 0)
		return;
	queries = static_cast<struct query *>(mem_zalloc(n * sizeof(*queries)));
	most = lay_out(a, queries);
	on_device = static_cast<const struct query *>(cuda_args(b, queries, n * sizeof(*queries)));
	free(queries);
	if (a->alibi)
		alibi = static_cast<const float *>(cuda_args(b, a->alibi, a->n_head * sizeof(*alibi)));
	shared = (s.d_k + (size_t)most) * sizeof(float);
	if (!on_device || (a->alibi && !alibi))
		return;
	if (shared + THREADS * (sizeof(double) + sizeof(float)) > SHARED_MAX) {
		err_set(&b->error, ERR_LIMIT, "attention over %u keys is more than the GPU path takes; run it with --device cpu", most);
		return;
	}
	if (a->half)
		LAUNCH(attend_kernel<true>, dim3(n, a->n_head), THREADS, shared, b->compute, out, q, k, v, on_device, alibi, s);
	else
		LAUNCH(attend_kernel<false>, dim3(n, a->n_head), THREADS, shared, b->compute, out, q, k, v, on_device, alibi, s);
	cuda_ok(b, cudaGetLastError());
}
