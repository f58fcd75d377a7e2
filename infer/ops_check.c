/*
 * ops_check.c - see ops_check.h. A check fills arrays from a seed, runs one operation on a backend and hands the outcome back; it is run on
 * both and the outcomes compared: |a - b| <= bound * (|b| + the largest of b), which for sums of n terms of either sign is what rounding can do.
 */
#include "infer/ops_check.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "base/vec.h"

#define TRIES 64	/* to find bytes of a block that are moderate numbers */
#define MODERATE 100.0f
#define TOKENS 9	/* of a product with each type, at most */

/* The shape of a check, each number used for what the operation has. */
struct shape {
	uint32_t n, d, heads;
};

struct check {
	const struct ops *op;
	struct backend *be;
	struct shape s;
	uint32_t seed;
	float *out;		/* host */
	size_t n_out;
};

/* ---- arrays --------------------------------------------------------------------------------------------------------- */

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed;
}

static float noise(uint32_t *seed)
{
	return (float)(int32_t)next(seed) * 0x1p-30f;	/* -2 … 2 */
}

static float *host_noise(struct check *c, size_t n)
{
	float *p = mem_zalloc((n ? n : 1) * sizeof(*p));

	for (size_t i = 0; i < n; i++)
		p[i] = noise(&c->seed);
	return p;
}

/* n random floats in the backend's memory. */
static float *fill(struct check *c, size_t n)
{
	own(mem) float *host = host_noise(c, n);
	float *p = c->op->alloc(c->be, n);

	c->op->put(c->be, p, host, n);
	return p;
}

/* What is at p becomes (a further part of) the outcome, and p goes. */
static void yield_array(struct check *c, float *p, size_t n)
{
	float *out = mem_zalloc((c->n_out + n) * sizeof(*out));

	if (c->n_out)
		memcpy(out, c->out, c->n_out * sizeof(*out));
	c->op->get(c->be, out + c->n_out, p, n);
	c->op->free(c->be, p);
	free(c->out);
	c->out = out;
	c->n_out += n;
}

static size_t all(const struct check *c)
{
	return (size_t)c->s.n * c->s.d;
}

/* ---- the operations ---------------------------------------------------------------------------------------------------- */

static void norms(struct check *c, enum norm_kind kind)
{
	float *x = fill(c, all(c)), *w = fill(c, c->s.d), *bias = fill(c, c->s.d), *y = c->op->alloc(c->be, all(c));

	c->op->norm(c->be, y, x, w, bias, c->s.n, c->s.d, 1e-5, kind);
	c->op->norm(c->be, x, x, NULL, NULL, c->s.n, c->s.d, 1e-6, kind);
	yield_array(c, y, all(c));
	yield_array(c, x, all(c));
	c->op->free(c->be, w);
	c->op->free(c->be, bias);
}

static void norm_rms(struct check *c)
{
	norms(c, NORM_RMS);
}

static void norm_layer(struct check *c)
{
	norms(c, NORM_LAYER);
}

static void adding(struct check *c)
{
	float *y = fill(c, all(c)), *x = fill(c, all(c)), *row = fill(c, c->s.d), *z = fill(c, all(c));

	c->op->add(c->be, y, x, all(c));
	c->op->add_row(c->be, y, row, c->s.n, c->s.d);
	c->op->zero(c->be, z, all(c));
	c->op->add(c->be, z, y, all(c) - 1);
	yield_array(c, y, all(c));
	yield_array(c, z, all(c));
	c->op->free(c->be, x);
	c->op->free(c->be, row);
}

static void scaling(struct check *c)
{
	own(mem) float *by = host_noise(c, c->s.n);
	float *y = fill(c, all(c)), *gate = fill(c, c->s.n);

	c->op->scale(c->be, y, 0.7, all(c));
	c->op->scale_rows(c->be, y, by, c->s.n, c->s.d);
	memset(by, 0, c->s.n * sizeof(*by));	/* the call has returned: the array is ours again */
	c->op->gate_rows(c->be, y, gate, c->s.n, c->s.d);
	yield_array(c, y, all(c));
	c->op->free(c->be, gate);
}

static void softcap(struct check *c)
{
	float *y = fill(c, all(c));

	c->op->softcap(c->be, y, 1.5, all(c));
	yield_array(c, y, all(c));
}

static void activations(struct check *c)
{
	for (int kind = ACT_SILU; kind <= ACT_RELU; kind++) {
		float *y = fill(c, all(c)), *z = fill(c, all(c)), *up = fill(c, all(c));

		c->op->act(c->be, y, up, (enum act_kind)kind, all(c));
		c->op->act(c->be, z, NULL, (enum act_kind)kind, all(c));
		yield_array(c, y, all(c));
		yield_array(c, z, all(c));
		c->op->free(c->be, up);
	}
}

static void rope(struct check *c)
{
	struct rope_table table = { .n_rot = c->s.d / 4 * 2 < SPEC_ROT_MAX ? c->s.d / 4 * 2 : SPEC_ROT_MAX, .factor = 1.1 };
	own(mem) uint32_t *positions = mem_zalloc(c->s.n * sizeof(*positions));
	struct ops_rope r = { .table = &table, .n_head = c->s.heads, .d_head = c->s.d, .positions = positions };
	size_t n = (size_t)c->s.heads * all(c);

	for (uint32_t i = 0; i < table.n_rot / 2; i++)
		table.inv_freq[i] = pow(10000, -2.0 * i / table.n_rot);
	for (uint32_t i = 0; i < c->s.n; i++)
		positions[i] = i * 1009;
	for (int interleaved = 0; interleaved < 2; interleaved++) {
		float *x = fill(c, n);

		r.interleaved = interleaved;
		r.offset = interleaved ? c->s.d - table.n_rot : 0;
		c->op->rope(c->be, x, c->s.n, &r);
		yield_array(c, x, n);
	}
}

/* Two texts, the second with earlier keys in front of it. */
static void attend_as(struct check *c, struct ops_attend a)
{
	uint32_t n = c->s.n, past = 3, n_kv = c->s.heads % 2 ? 1 : c->s.heads / 2, d_v = c->s.d / 2 + 1;
	struct ops_seq seqs[] = { { .n = n / 2, .n_keys = n / 2 }, { .first = n / 2, .n = n - n / 2, .key_first = n / 2, .n_keys = n - n / 2 + past, .position = past + 2 } };
	float *q = fill(c, c->s.heads * all(c)), *k = fill(c, (size_t)(n + past) * n_kv * c->s.d), *v = fill(c, (size_t)(n + past) * n_kv * d_v);
	float *out = c->op->alloc(c->be, (size_t)n * c->s.heads * d_v);

	a.seqs = seqs;
	a.n_seqs = n > 1 ? 2 : 1;
	if (n == 1)
		seqs[0] = (struct ops_seq){ .n = 1, .n_keys = 1 + past, .position = past };
	a.n_head = c->s.heads;
	a.n_kv = n_kv;
	a.d_k = c->s.d;
	a.d_v = d_v;
	a.scale = 1 / sqrt(c->s.d);
	c->op->attend(c->be, out, q, k, v, &a);
	memset(seqs, 0, sizeof(seqs));
	yield_array(c, out, (size_t)n * c->s.heads * d_v);
	c->op->free(c->be, q);
	c->op->free(c->be, k);
	c->op->free(c->be, v);
}

static void attention(struct check *c)
{
	attend_as(c, (struct ops_attend){ 0 });
}

static void attention_masked(struct check *c)
{
	own(mem) float *slopes = host_noise(c, c->s.heads);

	attend_as(c, (struct ops_attend){ .window = 5 });
	attend_as(c, (struct ops_attend){ .chunk = 4 });
	attend_as(c, (struct ops_attend){ .softcap = 0.8 });
	attend_as(c, (struct ops_attend){ .alibi = slopes });
}

static void attention_half(struct check *c)
{
	attend_as(c, (struct ops_attend){ .half = true });
}

static void heads(struct check *c)
{
	uint32_t d_b = 3;
	float *a = fill(c, c->s.heads * all(c)), *shared = fill(c, (size_t)c->s.n * d_b);
	size_t n = (size_t)c->s.n * c->s.heads * (c->s.d + d_b);
	float *y = c->op->alloc(c->be, n);

	c->op->join_heads(c->be, y, a, shared, c->s.n, c->s.heads, c->s.d, d_b);
	yield_array(c, y, n);
	c->op->free(c->be, a);
	c->op->free(c->be, shared);
}

static void experts(struct check *c)
{
	own(mem) uint32_t *rows = mem_zalloc(c->s.n * sizeof(*rows));
	own(mem) float *by = host_noise(c, c->s.n);
	float *x = fill(c, all(c)), *y = fill(c, all(c)), *z = c->op->alloc(c->be, all(c));

	for (uint32_t i = 0; i < c->s.n; i++)
		rows[i] = c->s.n - 1 - i;
	c->op->gather(c->be, z, x, rows, by, c->s.n, c->s.d);
	c->op->scatter_add(c->be, y, z, rows, NULL, c->s.n, c->s.d);
	for (uint32_t i = 0; i < c->s.n; i++)
		rows[i] = i;
	c->op->scatter_add(c->be, y, x, rows, by, c->s.n, c->s.d);
	for (uint32_t i = 0; i < c->s.n; i++)
		rows[i] = i / 2;		/* a row that comes twice gets both */
	c->op->scatter_add(c->be, y, x, rows, by, c->s.n, c->s.d);
	yield_array(c, z, all(c));
	yield_array(c, y, all(c));
	c->op->free(c->be, x);
}

/* The vocabulary in two pieces; the second holds a greater logit for some. */
static void tally(struct check *c)
{
	own(mem) int32_t *targets = mem_zalloc(c->s.n * sizeof(*targets));
	float *t = c->op->alloc(c->be, c->s.n * OPS_TALLY_FLOATS), *x = fill(c, all(c)), *y = fill(c, all(c));

	for (uint32_t i = 0; i < c->s.n; i++)
		targets[i] = (int32_t)(next(&c->seed) % (2 * c->s.d));
	c->op->tally(c->be, t, x, c->s.n, c->s.d, 0, targets);
	c->op->tally(c->be, t, y, c->s.n, c->s.d, c->s.d, targets);
	yield_array(c, t, c->s.n * OPS_TALLY_FLOATS);
	c->op->free(c->be, x);
	c->op->free(c->be, y);
}

static void measuring(struct check *c)
{
	own(mem) float *host = host_noise(c, all(c));
	float *x = c->op->alloc(c->be, all(c)), *m = c->op->alloc(c->be, 2 * OPS_MEASURE_FLOATS);

	c->op->put(c->be, x, host, all(c));
	c->op->measure(c->be, m, x, all(c));
	host[0] = NAN;
	host[all(c) - 1] = -INFINITY;
	c->op->put(c->be, x, host, all(c));
	c->op->measure(c->be, m + OPS_MEASURE_FLOATS, x, all(c));
	yield_array(c, m, 2 * OPS_MEASURE_FLOATS);
	c->op->free(c->be, x);
}

static const struct operation {
	const char *name;
	void (*run)(struct check *c);
	double bound;
} operations[] = {
	{ "norm (RMS)", norm_rms, 2e-6 }, { "norm (layer)", norm_layer, 2e-6 }, { "add", adding, 1e-6 }, { "scale", scaling, 1e-6 },
	{ "softcap", softcap, 2e-6 }, { "activation", activations, 2e-6 }, { "rope", rope, 1e-6 }, { "attention", attention, 5e-6 },
	{ "attention with masks", attention_masked, 5e-6 }, { "attention in half precision", attention_half, 2e-3 }, { "join heads", heads, 0 },
	{ "gather and scatter", experts, 1e-6 }, { "tally of logits", tally, 5e-6 }, { "measure", measuring, 2e-6 },
};

/* ---- products ------------------------------------------------------------------------------------------------------------ */

static bool is_moderate(const struct quant_type *t, const uint8_t *p)
{
	float v[512];

	t->row(v, p, t->block);
	for (uint32_t i = 0; i < t->block; i++)
		if (!(fabsf(v[i]) < MODERATE))
			return false;
	return true;
}

/* Random bytes of one block that decode to moderate numbers; false when some tries bring none. */
static bool random_block(const struct quant_type *t, uint8_t *p, uint32_t *seed)
{
	for (int tries = 0; tries < TRIES; tries++) {
		for (uint32_t i = 0; i < t->bytes; i++)
			p[i] = (uint8_t)(next(seed) >> 24);
		if (is_moderate(t, p))
			return true;
	}
	return false;
}

/* A block that is random in its first byte alone: a small number, of either sign in a type that has two's complement. */
static void small_block(const struct quant_type *t, uint8_t *p, uint32_t *seed)
{
	uint8_t low = (uint8_t)(next(seed) >> 26);

	memset(p, next(seed) >> 31 ? 0xff : 0, t->bytes);
	p[0] ^= low;
	if (!is_moderate(t, p)) {
		memset(p, 0, t->bytes);
		p[0] = low;
	}
}

/* A tensor of rows x cols (stored so) in a file of memory. */
static int make_tensor(struct tensor *t, const struct quant_type *type, uint32_t rows, uint32_t cols, uint32_t seed, struct err *e)
{
	size_t bytes = quant_row_bytes(type, (size_t)rows * cols);
	own(mem) uint8_t *data = mem_zalloc(bytes);
	bool by_chance = true;	/* until that has failed: wide integers are hardly ever small */

	for (size_t at = 0; at < bytes; at += type->bytes) {
		by_chance = by_chance && random_block(type, data + at, &seed);
		if (!by_chance)
			small_block(type, data + at, &seed);
	}
	*t = (struct tensor){ .name = type->name, .file = "self-test", .type_name = type->name, .type = type, .rank = 2, .shape = { rows, cols }, .at = 0,
		.bytes = bytes, .fd = memfd_create("self-test", MFD_CLOEXEC) };
	if (t->fd < 0 || pwrite(t->fd, data, bytes, 0) != (ssize_t)bytes)
		return err_errno(e, "write a file of memory for the self-test");
	return 0;
}

/* The views of one tensor that a model may take: all of it, some rows, heads of a fused matrix, its columns. */
static unsigned make_views(struct tensor *t, struct weight v[4])
{
	uint32_t rows = (uint32_t)t->shape[0], cols = (uint32_t)t->shape[1];
	struct weight whole = weight_of(t, 0, rows, cols, false);

	v[0] = whole;
	v[1] = weight_slice(whole, rows / 3, rows / 2);
	v[2] = weight_heads(weight_slice(whole, 0, rows / 6 * 6), 2, 3, 6);
	v[3] = weight_slice(weight_of(t, 0, cols, rows, true), cols / 4, cols / 2);	/* product with what is stored, not its transpose */
	return 4;
}

/* Outcomes of x times each view, with a gap between the rows of y. */
static void products(struct check *c, struct tensor *t)
{
	struct weight views[4];
	unsigned n_views = make_views(t, views);

	t->stats = (struct tensor_stats){ 0 };
	for (unsigned i = 0; i < n_views; i++) {
		const struct weight *w = &views[i];
		size_t ldy = w->rows + 3;
		float *x = fill(c, (size_t)c->s.n * w->cols), *y = c->op->alloc(c->be, c->s.n * ldy);

		c->op->matmul(c->be, y, ldy, x, c->s.n, w);
		yield_array(c, y, c->s.n * ldy);
		c->op->free(c->be, x);
	}
}

static bool same_stats(const struct tensor_stats *a, const struct tensor_stats *b)
{
	return a->n == b->n && a->n_nonfinite == b->n_nonfinite && a->n_zero == b->n_zero && a->bits == b->bits && a->absmax == b->absmax && a->min == b->min && a->max == b->max &&
		fabs(a->sum_squares - b->sum_squares) <= 1e-5 * b->sum_squares;
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------- */

/* The largest difference, in units of what bounds it; INFINITY where one is not finite and the other is. */
static double difference(const struct check *a, const struct check *b)
{
	double top = 0, worst = 0;

	for (size_t i = 0; i < b->n_out; i++)
		if (isfinite(b->out[i]) && fabs((double)b->out[i]) > top)
			top = fabs((double)b->out[i]);
	for (size_t i = 0; i < b->n_out; i++) {
		double x = (double)a->out[i], y = (double)b->out[i], d = fabs(x - y) / (fabs(y) + top + 1e-30);

		if (!isfinite(x) && !isfinite(y))
			d = isnan(x) == isnan(y) && (isnan(x) || x == y) ? 0 : INFINITY;
		worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
	}
	return worst;
}

static int compare(struct check *a, struct check *b, const char *name, double bound, struct err *e)
{
	int rc = a->op->finish(a->be, e);
	double d = rc == 0 ? difference(a, b) : 0;

	free(a->out);
	free(b->out);
	if (rc == 0 && d > bound)
		return err_set(e, ERR_FAILED, "the %s backend fails its self-test: %s of %u x %u (%u heads) differs from plain loops by %.3g, bound %.3g", a->op->name, name,
			a->s.n, a->s.d, a->s.heads, d, bound);
	return rc;
}

static int check_operations(struct check a, struct check b, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(operations); i++) {
		struct check x = a, y = b;

		operations[i].run(&x);
		operations[i].run(&y);
		rc = compare(&x, &y, operations[i].name, operations[i].bound, e);
	}
	return rc;
}

/* Bound: what fp32 sums and, for bfloat16, activations in two terms may lose. */
static int check_type(struct check a, struct check b, const struct quant_type *type, struct err *e)
{
	uint32_t cols = type->block > 1 ? 2 * type->block : a.s.d, rows = type->block > 1 ? 2 * type->block : 6 * (a.s.d / 6 + 1);
	struct tensor t;
	struct tensor_stats stats;
	int rc = make_tensor(&t, type, rows, cols, a.seed, e);

	a.s.n = b.s.n = a.s.n < TOKENS ? a.s.n : TOKENS;	/* a type does not care */
	if (rc == 0) {
		products(&b, &t);
		stats = t.stats;
		products(&a, &t);
		rc = compare(&a, &b, type->name, 2e-5, e);
		if (rc == 0 && !same_stats(&t.stats, &stats))
			rc = err_set(e, ERR_FAILED, "the %s backend fails its self-test: statistics of %s differ from plain loops'", a.op->name, type->name);
	}
	a.op->forget(a.be);
	if (t.fd >= 0)
		close(t.fd);
	return rc;
}

static bool usual(const struct quant_type *t)
{
	static const char *const names[] = { "F32", "BF16", "F16", "F8_E4M3", "Q8_0", "Q4_K", "IQ2_XXS" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(t->name, names[i]) == 0)
			return true;
	return false;
}

int ops_check(const struct ops *op, struct backend *be, enum ops_check_depth depth, struct err *e)
{
	static const struct shape shapes[] = { { 7, 40, 4 }, { 1, 18, 3 }, { 130, 300, 2 }, { 33, 1030, 1 } };
	size_t n_shapes = depth == OPS_CHECK_FULL ? ARRAY_LEN(shapes) : 1;
	struct check a = { .op = op, .be = be }, b = { 0 };
	int rc = ops_cpu_open(&b.op, &b.be, 1, "scalar", e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n_shapes; i++) {
		a.s = b.s = shapes[i];
		a.seed = b.seed = (uint32_t)i + 1;
		rc = check_operations(a, b, e);
		for (size_t k = 0; rc == 0 && quant_type_at(k); k++)
			if (depth == OPS_CHECK_FULL || usual(quant_type_at(k)))
				rc = check_type(a, b, quant_type_at(k), e);
	}
	b.op->close(b.be);
	return rc;
}
