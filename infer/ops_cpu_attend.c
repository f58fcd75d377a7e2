/*
 * ops_cpu_attend.c - softmax(q k^T * scale) v for runs of tokens, a task a head of a run. Keys come as they are: the causal mask,
 * a window, a chunk and ALiBi are all a matter of positions.
 */
#include <math.h>
#include <string.h>

#include "infer/ops_cpu_parts.h"

struct job {
	struct backend *b;
	float *out;
	const float *q, *k, *v;
	const struct ops_attend *a;
};

/* Rounded to half precision, as llama.cpp keeps keys and values. */
static float half(float x)
{
	uint32_t u;

	if (fabsf(x) < 0x1p-14f)	/* subnormal halves: multiples of 2^-24 */
		return rintf(x * 0x1p24f) * 0x1p-24f;
	memcpy(&u, &x, sizeof(u));
	u = (u + 0xfff + (u >> 13 & 1)) & ~0x1fffu;	/* ten bits of mantissa, ties to even */
	memcpy(&x, &u, sizeof(x));
	return fabsf(x) > 65504 ? copysignf(INFINITY, x) : x;
}

static float dot_half(const float *x, const float *y, uint32_t n)
{
	float sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += half(x[i]) * half(y[i]);
	return sum;
}

static void add_half(float *y, const float *x, float by, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		y[i] += half(by) * half(x[i]);
}

/* The first key that a query at position p sees. */
static uint32_t first_visible(const struct ops_attend *a, uint32_t p)
{
	uint32_t from = 0;

	if (a->window && p + 1 > a->window)
		from = p + 1 - a->window;
	if (a->chunk && p / a->chunk * a->chunk > from)
		from = p / a->chunk * a->chunk;
	return from;
}

static void query(const struct job *j, const struct ops_seq *s, uint32_t i, uint32_t head, float *score)
{
	const struct ops_attend *a = j->a;
	const struct kernel *kernel = j->b->kernel;
	uint32_t kv = head / (a->n_head / a->n_kv), position = s->position + i, key0 = s->position + s->n - s->n_keys;
	uint32_t from = first_visible(a, position), n = position - key0 + 1, j0 = from > key0 ? from - key0 : 0;
	const float *q = j->q + ((size_t)(s->first + i) * a->n_head + head) * a->d_k;
	float *out = j->out + ((size_t)(s->first + i) * a->n_head + head) * a->d_v, max = -INFINITY;
	double sum = 0;

	for (uint32_t t = j0; t < n; t++) {
		const float *k = j->k + ((size_t)(s->key_first + t) * a->n_kv + kv) * a->d_k;
		float x = (a->half ? dot_half(q, k, a->d_k) : kernel->inner(q, k, a->d_k)) * (float)a->scale;

		if (a->softcap > 0)
			x = (float)a->softcap * tanhf(x / (float)a->softcap);
		if (a->alibi)
			x -= a->alibi[head] * (float)(n - 1 - t);
		score[t] = x;
		max = x > max ? x : max;
	}
	for (uint32_t t = j0; t < n; t++)
		score[t] -= max;
	kernel->exps(score + j0, score + j0, n - j0);
	for (uint32_t t = j0; t < n; t++)
		sum += (double)score[t];
	memset(out, 0, a->d_v * sizeof(*out));
	for (uint32_t t = j0; t < n; t++) {
		const float *v = j->v + ((size_t)(s->key_first + t) * a->n_kv + kv) * a->d_v;
		float p = score[t] / (float)sum;

		if (a->half)
			add_half(out, v, p, a->d_v);
		else
			kernel->add_scaled(out, v, p, a->d_v);
	}
}

static void head_task(void *arg, uint32_t task, unsigned thread)
{
	const struct job *j = arg;
	const struct ops_seq *s = &j->a->seqs[task / j->a->n_head];
	float *score = scratch_room(&j->b->acc[thread], (s->n_keys + 1) * sizeof(*score));

	for (uint32_t i = 0; i < s->n; i++)
		query(j, s, i, task % j->a->n_head, score);
}

void ops_cpu_attend(struct backend *b, float *out, const float *q, const float *k, const float *v, const struct ops_attend *a)
{
	struct job j = { b, out, q, k, v, a };

	if (b->error.code == 0)
		pool_run(b->pool, a->n_seqs * a->n_head, head_task, &j);
}
