/* ops_cpu.c - the table of ops.h on the processor: plain loops in fp32, sums in double where they are short. */
#include <math.h>
#include <string.h>

#include "infer/ops_cpu_parts.h"

#include "base/vec.h"

#define GRAIN 16384	/* elements that are worth a task of their own */

struct ranges {
	size_t n, grain;
	void (*fn)(void *arg, size_t from, size_t to);
	void *arg;
};

static void range_task(void *arg, uint32_t task, unsigned thread)
{
	const struct ranges *r = arg;
	size_t from = task * r->grain, to = from + r->grain < r->n ? from + r->grain : r->n;

	(void)thread;
	r->fn(r->arg, from, to);
}

void ops_cpu_ranges(struct backend *b, size_t n, size_t grain, void (*fn)(void *arg, size_t from, size_t to), void *arg)
{
	struct ranges r = { n, grain ? grain : 1, fn, arg };

	if (b->error.code == 0 && n)
		pool_run(b->pool, (uint32_t)((n + r.grain - 1) / r.grain), range_task, &r);
}

/* Every array remembers its size in front of it, for the peak. */
struct block {
	size_t bytes;
	_Alignas(64) float data[];
};

static float *cpu_alloc(struct backend *b, size_t n)
{
	size_t bytes = sizeof(struct block) + n * sizeof(float);
	struct block *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (!p)
		abort();
	p->bytes = bytes;
	memset(p->data, 0, n * sizeof(float));
	b->bytes += bytes;
	b->peak = b->bytes > b->peak ? b->bytes : b->peak;
	return p->data;
}

static void cpu_free(struct backend *b, float *data)
{
	struct block *p;

	if (!data)
		return;
	p = (struct block *)(void *)((char *)data - offsetof(struct block, data));
	b->bytes -= p->bytes;
	free(p);
}

static void cpu_copy(struct backend *b, float *to, const float *from, size_t n)
{
	(void)b;
	memcpy(to, from, n * sizeof(*to));
}

struct norm_job {
	float *y;
	const float *x, *w, *bias;
	uint32_t d;
	double eps;
	enum norm_kind kind;
};

static void norm_rows(void *arg, size_t from, size_t to)
{
	const struct norm_job *j = arg;

	for (size_t i = from; i < to; i++) {
		const float *x = j->x + i * j->d;
		float *y = j->y + i * j->d, by;
		double mean = 0, squares = 0;

		for (uint32_t k = 0; j->kind == NORM_LAYER && k < j->d; k++)
			mean += (double)x[k];
		mean /= j->d;
		for (uint32_t k = 0; k < j->d; k++)
			squares += ((double)x[k] - mean) * ((double)x[k] - mean);
		by = (float)(1 / sqrt(squares / j->d + j->eps));
		for (uint32_t k = 0; k < j->d; k++)
			y[k] = (x[k] - (float)mean) * by * (j->w ? j->w[k] : 1) + (j->bias ? j->bias[k] : 0);
	}
}

static void cpu_norm(struct backend *b, float *y, const float *x, const float *w, const float *bias, size_t n, uint32_t d, double eps, enum norm_kind kind)
{
	struct norm_job j = { y, x, w, bias, d, eps, kind };

	ops_cpu_ranges(b, n, GRAIN / d + 1, norm_rows, &j);
}

static void cpu_zero(struct backend *b, float *y, size_t n)
{
	(void)b;
	memset(y, 0, n * sizeof(*y));
}

static void cpu_add(struct backend *b, float *y, const float *x, size_t n)
{
	(void)b;
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

static void cpu_add_row(struct backend *b, float *y, const float *row, uint32_t n, uint32_t d)
{
	for (uint32_t i = 0; i < n; i++)
		cpu_add(b, y + (size_t)i * d, row, d);
}

static void cpu_scale(struct backend *b, float *y, double by, size_t n)
{
	(void)b;
	for (size_t i = 0; i < n; i++)
		y[i] *= (float)by;
}

static void cpu_scale_rows(struct backend *b, float *y, const float *by, uint32_t n, uint32_t d)
{
	for (uint32_t i = 0; i < n; i++)
		cpu_scale(b, y + (size_t)i * d, (double)by[i], d);
}

static void cpu_softcap(struct backend *b, float *y, double cap, size_t n)
{
	(void)b;
	for (size_t i = 0; i < n; i++)
		y[i] = (float)cap * tanhf(y[i] / (float)cap);
}

/* Angles in double: at position 100,000 a float is off by a hundredth of a turn. */
static void cpu_rope(struct backend *b, float *x, uint32_t n, const struct ops_rope *r)
{
	uint32_t half = r->table->n_rot / 2;
	float cosine[SPEC_ROT_MAX / 2], sine[SPEC_ROT_MAX / 2];

	(void)b;
	for (uint32_t t = 0; t < n; t++) {
		for (uint32_t i = 0; i < half; i++) {
			double angle = r->positions[t] * r->table->inv_freq[i];

			cosine[i] = (float)(cos(angle) * r->table->factor);
			sine[i] = (float)(sin(angle) * r->table->factor);
		}
		for (uint32_t h = 0; h < r->n_head; h++) {
			float *v = x + ((size_t)t * r->n_head + h) * r->d_head + r->offset;

			for (uint32_t i = 0; i < half; i++) {
				float *p = v + (r->interleaved ? 2 * i : i), *q = r->interleaved ? p + 1 : p + half, a = *p;

				*p = a * cosine[i] - *q * sine[i];
				*q = a * sine[i] + *q * cosine[i];
			}
		}
	}
}

static void cpu_join_heads(struct backend *b, float *y, const float *a, const float *shared, uint32_t n, uint32_t n_head, uint32_t d_a, uint32_t d_b)
{
	(void)b;
	for (uint32_t t = 0; t < n; t++) {
		for (uint32_t h = 0; h < n_head; h++, y += d_a + d_b) {
			memcpy(y, a + ((size_t)t * n_head + h) * d_a, d_a * sizeof(*y));
			memcpy(y + d_a, shared + (size_t)t * d_b, d_b * sizeof(*y));
		}
	}
}

struct act_job {
	const struct kernel *kernel;
	float *y;
	const float *up;
	enum act_kind kind;
};

#define ACT_PIECE 256	/* that a buffer on the stack is for */

/* y / (1 + e^z), z in e */
static void divide(const struct kernel *k, float *y, float *e, size_t n)
{
	k->exps(e, e, n);
	for (size_t i = 0; i < n; i++)
		y[i] /= 1 + e[i];
}

static void act(const struct kernel *k, float *y, enum act_kind kind, size_t n)
{
	float e[ACT_PIECE];

	switch (kind) {
	case ACT_SILU:
		for (size_t i = 0; i < n; i++)
			e[i] = -y[i];
		divide(k, y, e, n);
		return;
	case ACT_GELU_TANH:	/* x (1 + tanh z) / 2 = x / (1 + e^-2z) */
		for (size_t i = 0; i < n; i++)
			e[i] = -1.5957691216057307f * (y[i] + 0.044715f * y[i] * y[i] * y[i]);
		divide(k, y, e, n);
		return;
	case ACT_GELU_ERF:
		for (size_t i = 0; i < n; i++)
			y[i] = 0.5f * y[i] * (1 + erff(y[i] * 0.70710678118654752440f));
		return;
	case ACT_RELU:
		for (size_t i = 0; i < n; i++)
			y[i] = y[i] > 0 ? y[i] : 0;
		return;
	}
}

static void act_range(void *arg, size_t from, size_t to)
{
	const struct act_job *j = arg;

	for (size_t at = from, n; at < to; at += n) {
		n = to - at < ACT_PIECE ? to - at : ACT_PIECE;
		act(j->kernel, j->y + at, j->kind, n);
		for (size_t i = at; j->up && i < at + n; i++)
			j->y[i] *= j->up[i];
	}
}

static void cpu_act(struct backend *b, float *y, const float *up, enum act_kind kind, size_t n)
{
	struct act_job j = { b->kernel, y, up, kind };

	ops_cpu_ranges(b, n, GRAIN, act_range, &j);
}

static void cpu_gather(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	(void)b;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < d; k++)
			y[(size_t)i * d + k] = x[(size_t)rows[i] * d + k] * (by ? by[i] : 1);
}

static void cpu_scatter_add(struct backend *b, float *y, const float *x, const uint32_t *rows, const float *by, uint32_t n, uint32_t d)
{
	(void)b;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < d; k++)
			y[(size_t)rows[i] * d + k] += x[(size_t)i * d + k] * (by ? by[i] : 1);
}

static void cpu_gate_rows(struct backend *b, float *y, const float *gate, uint32_t n, uint32_t d)
{
	for (uint32_t i = 0; i < n; i++)
		cpu_scale(b, y + (size_t)i * d, 1 / (1 + exp(-(double)gate[i])), d);
}

struct tally_job {
	const struct kernel *kernel;
	struct ops_tally *t;
	const float *logits;
	uint32_t cols, first_id;
	const int32_t *targets;
};

#define TALLY_PIECE 256

/* Adds e^(x - max) to *sum, and that times x to *dot, in lanes so that the compiler can use vectors; the order is fixed. */
static void add_exps(const struct kernel *k, const float *x, uint32_t n, float max, double *sum, double *dot)
{
	enum { LANES = 16 };
	float e[TALLY_PIECE], sums[LANES] = { 0 }, dots[LANES] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		e[i] = x[i] - max;
	k->exps(e, e, n);
	for (uint32_t i = 0; i + LANES <= n; i += LANES) {
		for (uint32_t l = 0; l < LANES; l++) {
			sums[l] += e[i + l];
			dots[l] += e[i + l] * x[i + l];
		}
	}
	for (uint32_t i = n - n % LANES; i < n; i++) {
		*sum += (double)e[i];
		*dot += (double)e[i] * (double)x[i];
	}
	for (int l = 0; l < LANES; l++) {
		*sum += (double)sums[l];
		*dot += (double)dots[l];
	}
}

/* The id of the first logit that is this one. */
static float id_of(const struct tally_job *j, const float *x, float logit)
{
	uint32_t k = 0;

	while (k + 1 < j->cols && x[k] != logit)
		k++;
	return (float)(j->first_id + k);
}

static void tally_rows(void *arg, size_t from, size_t to)
{
	const struct tally_job *j = arg;

	for (size_t i = from; i < to; i++) {
		const float *x = j->logits + i * j->cols;
		struct ops_tally *t = &j->t[i];
		struct tensor_stats s = { 0 };
		double sum, dot, fade;

		if (j->first_id == 0)
			*t = (struct ops_tally){ .target = NAN, .max = -INFINITY };
		j->kernel->stats(&s, x, j->cols);
		fade = s.max > t->max ? exp((double)t->max - (double)s.max) : 1;
		if (s.max > t->max) {
			t->max = s.max;
			t->top = id_of(j, x, s.max);
		}
		sum = (double)t->sum * fade;
		dot = (double)t->dot * fade;
		for (uint32_t k = 0; k < j->cols; k += TALLY_PIECE)
			add_exps(j->kernel, x + k, j->cols - k < TALLY_PIECE ? j->cols - k : TALLY_PIECE, t->max, &sum, &dot);
		t->sum = (float)sum;
		t->dot = (float)dot;
		t->bad += (float)s.n_nonfinite;
		if (j->targets && j->targets[i] >= (int32_t)j->first_id && j->targets[i] < (int32_t)(j->first_id + j->cols))
			t->target = x[(uint32_t)j->targets[i] - j->first_id];
	}
}

static void cpu_tally(struct backend *b, float *t, const float *logits, uint32_t n, uint32_t cols, uint32_t first_id, const int32_t *targets)
{
	struct tally_job j = { b->kernel, (struct ops_tally *)(void *)t, logits, cols, first_id, targets };

	ops_cpu_ranges(b, n, 1, tally_rows, &j);
}

static void cpu_measure(struct backend *b, float *m, const float *x, size_t n)
{
	struct tensor_stats s = { 0 };

	b->kernel->stats(&s, x, n);
	*(struct ops_measure *)(void *)m = (struct ops_measure){ (float)s.sum_squares, s.absmax, (float)s.n_nonfinite };
}

static void cpu_layer(struct backend *b, uint32_t layer)
{
	(void)b, (void)layer;	/* its errors come from reading a tensor, and name it */
}

static int cpu_status(struct backend *b, struct err *e)
{
	return b->error.code ? err_set(e, b->error.code, "%s", b->error.msg) : 0;
}

static int cpu_finish(struct backend *b, struct err *e)
{
	int rc = cpu_status(b, e);

	b->error = ERR_NONE;
	return rc;
}

static bool cpu_resident(struct backend *b)
{
	(void)b;
	return false;
}

static void cpu_forget(struct backend *b)
{
	(void)b;
}

static uint64_t cpu_peak_bytes(struct backend *b)
{
	return b->peak;
}

static void cpu_close(struct backend *b)
{
	if (!b)
		return;
	pool_close(b->pool);
	for (int i = 0; i < POOL_THREADS_MAX; i++) {
		free(b->raw[i].p);
		free(b->tile[i].p);
		free(b->panel[i].p);
		free(b->acc[i].p);
	}
	free(b->packed.p);
	free(b);
}

static const struct ops cpu_ops = {
	.name = "cpu", .alloc = cpu_alloc, .free = cpu_free, .put = cpu_copy, .get = cpu_copy, .matmul = ops_cpu_matmul, .norm = cpu_norm,
	.zero = cpu_zero, .add = cpu_add, .add_row = cpu_add_row, .scale = cpu_scale, .scale_rows = cpu_scale_rows, .softcap = cpu_softcap, .rope = cpu_rope,
	.attend = ops_cpu_attend, .join_heads = cpu_join_heads, .act = cpu_act, .gather = cpu_gather, .scatter_add = cpu_scatter_add,
	.gate_rows = cpu_gate_rows, .tally = cpu_tally, .measure = cpu_measure, .layer = cpu_layer, .status = cpu_status, .finish = cpu_finish, .resident = cpu_resident, .forget = cpu_forget, .peak_bytes = cpu_peak_bytes,
	.close = cpu_close,
};

const char *ops_cpu_isa(const struct backend *b)
{
	return b->matrix ? b->matrix->name : b->kernel->name;
}

int ops_cpu_open(const struct ops **ops, struct backend **out, unsigned n_threads, const char *isa, struct err *e)
{
	struct backend *b = mem_zalloc(sizeof(*b));
	int rc;

	b->matrix = kernel_pick_matrix(isa);
	b->kernel = kernel_pick(b->matrix ? NULL : isa);
	if (!b->kernel) {
		free(b);
		if (isa && !kernel_usable(isa))
			return err_set(e, ERR_FAILED, kernel_known(isa) ? "this processor has no %s" : "%s is no instruction set we have code for", isa);
		return err_set(e, ERR_FAILED, "the arithmetic of this processor (%s) fails its own test", isa ? isa : "every path");
	}
	rc = pool_open(&b->pool, n_threads, e);
	if (rc < 0) {
		free(b);
		return rc;
	}
	*ops = &cpu_ops;
	*out = b;
	return 0;
}
