/* survey.c - see survey.h. */
#include "infer/survey.h"

#include <ctype.h>
#include <math.h>

#include "base/str.h"
#include "base/vec.h"
#include "infer/gaps.h"
#include "infer/kernel.h"
#include "infer/kind.h"
#include "infer/packed.h"

#define READ_FLOATS   (1u << 18)	/* decoded at once */
#define PEERS_MIN     4			/* of a role, before one can be an outlier among them */
#define ABSMAX_TIMES  30		/* the largest weight over what is usual for the role */
#define RMS_LOG_MAX   2.08		/* ln 8 */
#define HOLES_SHARE   0.2			/* of a tensor's elements that are zero, over what is usual for the role */
#define TYPES_MAX     64			/* more than there are */
#define HOLES_FEW     0.04			/* of one that nothing was rounded in: worth a look */
#define RMS_MADS      8			/* and so many median deviations */

/* Packed codes and indices are integers: only the scales beside them are numbers of the model. */
static bool is_real(const struct tensor *t)
{
	return t->type && (t->type_name[0] != 'I' || t->type_name[1] == 'Q') && t->type_name[0] != 'U' && strcmp(t->type_name, "BOOL") != 0;
}

/* bitsandbytes keeps its codes in elements of whatever type it was told to, as a column of them. */
static bool is_column_of_codes(const struct weights *w, const struct tensor *t)
{
	static const char *const states[] = { "nf4", "fp4" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(states) && !found && t->rank == 2 && t->shape[1] == 1; i++) {
		own(mem) char *name = NULL;

		if (asprintf(&name, "%s.quant_state.bitsandbytes__%s", t->name, states[i]) < 0)
			abort();
		found = weights_find(w, name) != NULL;
	}
	return found;
}

/* Elements of a tensor that nobody has read yet (or only in part) are read from the beginning. */
static int complete(struct tensor *t, const struct kernel *k, float *floats, struct scratch *scratch, struct err *e)
{
	uint64_t n = tensor_elements(t), cols = t->rank ? t->shape[t->rank - 1] : 1;
	struct weight w;
	uint32_t step;

	if (!is_real(t) || t->stats.n == n || n == 0 || cols > READ_FLOATS * 16ull || n / cols > UINT32_MAX)
		return 0;
	t->stats = (struct tensor_stats){ 0 };
	w = weight_of(t, 0, (uint32_t)(n / cols), (uint32_t)cols, false);
	step = cols >= READ_FLOATS ? 1 : (uint32_t)(READ_FLOATS / cols);
	for (uint32_t row = 0; row < w.rows; row += step) {
		uint32_t rows = w.rows - row < step ? w.rows - row : step;
		int rc = weight_rows(&w, row, rows, floats, scratch, NULL, e);

		if (rc < 0)
			return rc;
		k->stats(&t->stats, floats, (size_t)rows * cols);
	}
	return 0;
}

static double rms(const struct tensor *t)
{
	return t->stats.n ? sqrt(t->stats.sum_squares / (double)t->stats.n) : 0;
}

static bool is_matrix(const struct tensor *t)
{
	int wide = 0;

	if (t->stands_for[0])
		return t->stands_for[0] > 1 && t->stands_for[1] > 1;
	for (int i = 0; i < t->rank; i++)
		wide += t->shape[i] > 1;
	return wide >= 2;
}

static bool is_norm(const struct tensor *t)
{
	return t->claimed && !t->is_bias && !is_matrix(t) && t->role != ROLE_ROUTER_BIAS && t->role != ROLE_SHARED_ROUTER;
}

/* All that a classifier says, be it about one label. */
static bool is_labels(const struct tensor *t)
{
	return t->claimed && !t->is_bias && (t->role == ROLE_TEXT_LABELS || t->role == ROLE_TOKEN_LABELS);
}

/* One finding, and one reason where that settles it. */
static void found(struct smoke *s, struct report *r, enum report_severity severity, const struct tensor *t, const char *rule, const char *fmt, double a, double b)
{
	char what[200];

	snprintf(what, sizeof(what), fmt, a, b);
	report_path(r, "%s", t->file);
	if (severity == REPORT_FLAG) {
		report_flag(r, rule, "tensor %s %s", t->name, what);
		return;
	}
	report_reject(r, rule, t->file, NULL, "tensor %s %s", t->name, what);
	smoke_reason(s, SMOKE_FAIL, "tensor %s %s", t->name, what);
}

/* What is wrong with a tensor by itself. True when something is. */
static bool judge_alone(struct smoke *s, const struct model *m, const struct tensor *t, struct report *r)
{
	const struct tensor_stats *x = &t->stats;

	if (x->n_nonfinite)
		found(s, r, REPORT_REJECT, t, "stats.nonfinite", "holds %.0f values that are not finite, of %.0f", (double)x->n_nonfinite, (double)x->n);
	else if (x->n_zero == x->n && (is_matrix(t) || is_labels(t) || (is_norm(t) && !m->spec->norm_plus1)))
		found(s, r, REPORT_REJECT, t, "stats.zero", "is zero in all its %.0f elements", (double)x->n, 0);
	else if (x->min >= x->max && is_matrix(t) && x->n > 1)
		found(s, r, REPORT_REJECT, t, "stats.constant", "holds the same number %g in all its %.0f elements", (double)x->min, (double)x->n);
	else if (x->n && t->stands_for[0] && is_matrix(t) && packed_is_one_code(t))
		found(s, r, REPORT_REJECT, t, "stats.constant", "packs the same number in all its %.0f elements", (double)x->n, 0);
	else
		return false;
	return true;
}

/* How many, and where the first of them is. */
static void found_gaps(struct smoke *s, struct report *r, enum report_severity severity, const struct tensor *t, const struct gaps *x, const char *where)
{
	char what[160], more[48] = "";

	if (x->n == 0)
		return;
	if (x->n > 1)
		snprintf(more, sizeof(more), ", and %llu times more,", (unsigned long long)x->n - 1);
	snprintf(what, sizeof(what), "holds %%.0f bytes of zeros, from byte %%.0f of the file on%s which begin or end %s", *more ? more : ",", where);
	found(s, r, severity, t, "stats.gap", what, (double)(x->first.to - x->first.from), (double)x->first.from);
}

/* Bytes that never came. */
static int judge_gaps(struct smoke *s, const struct tensor *t, struct report *r, struct err *e)
{
	struct gaps_found x = { 0 };
	int rc = (is_matrix(t) || !is_real(t)) && t->stats.n_zero < t->stats.n + !t->stats.n ? gaps_find(t, &x, e) : 0;

	if (rc < 0)
		return rc;
	found_gaps(s, r, t->claimed ? REPORT_REJECT : REPORT_FLAG, t, &x.at_page, "within a row and at a page of the file");
	found_gaps(s, r, REPORT_FLAG, t, &x.elsewhere, "within a row");
	found_gaps(s, r, REPORT_FLAG, t, &x.columns, "at a page of the file, at one place of many rows");
	return 0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The matrices that stand in one place of their layers, healthy ones only. */
struct peers {
	struct tensor **v;
	size_t n, cap;
	enum report_severity severity;	/* of one that is unlike the others */
};

static double zero_share(const struct tensor *t)
{
	return (double)t->stats.n_zero / (double)t->stats.n;
}

/* Numbers as they are, that no quantisation has rounded to zero. */
static bool is_plain(const struct tensor *t)
{
	return t->type && t->type->block == 1 && !t->stands_for[0];
}

/* Of a number that is packed: layers of one model may have different ones, in elements of one type. */
static uint64_t code_bits(const struct tensor *t)
{
	uint64_t n = tensor_numbers(t);

	return t->stands_for[0] ? (t->bytes * 8 + n / 2) / n : 0;
}

/* Few bits round much to zero, and many little: shares are compared within a type and a size, plain ones all together. */
static bool rounds_alike(const struct tensor *a, const struct tensor *b)
{
	return (is_plain(a) && is_plain(b)) || (strcmp(a->type_name, b->type_name) == 0 && code_bits(a) == code_bits(b));
}

/* Of tensors that round as `like` does, those with far more zeros than is usual among them. */
static void judge_holes_of(struct smoke *s, const struct peers *p, const struct tensor *like, double *room, struct report *r)
{
	double usual, few = is_plain(like) ? HOLES_FEW : HOLES_SHARE;
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (rounds_alike(like, p->v[i]))
			room[n++] = zero_share(p->v[i]);
	if (n < PEERS_MIN && is_plain(like)) {	/* the others have rounded more: where these have fewer zeros still, it tells */
		for (n = 0; n < p->n; n++)
			room[n] = zero_share(p->v[n]);
		few = HOLES_SHARE;
	}
	if (n < PEERS_MIN)
		return;
	usual = median(room, n);
	for (size_t i = 0; i < p->n; i++) {
		const struct tensor *t = p->v[i];
		double share = zero_share(t);

		if (rounds_alike(like, t) && share > usual + few)
			found(s, r, share <= usual + HOLES_SHARE ? REPORT_FLAG : t->claimed ? REPORT_REJECT : p->severity, t, "stats.holes",
				"is zero in %.0f %% of its elements, where %.0f %% are usual in its place", 100 * share, 100 * usual);
	}
}

/* Zeros where a download stopped or a disk had holes: many, where others in this place have few. */
static void judge_holes(struct smoke *s, const struct peers *p, struct report *r)
{
	own(mem) double *room = mem_zalloc((p->n + 1) * sizeof(double));
	const struct tensor *seen[TYPES_MAX];
	size_t n = 0, k;

	for (size_t i = 0; i < p->n && n < TYPES_MAX; i++) {
		for (k = 0; k < n && !rounds_alike(seen[k], p->v[i]); k++)
			;
		if (k < n)
			continue;
		seen[n++] = p->v[i];
		judge_holes_of(s, p, p->v[i], room, r);
	}
}

static void judge_peers(struct smoke *s, struct peers *p, struct report *r)
{
	own(mem) double *log_rms = mem_zalloc((p->n + 1) * sizeof(double)), *absmax = mem_zalloc((p->n + 1) * sizeof(double));
	double middle, spread, usual;

	if (p->n < PEERS_MIN)
		return;
	judge_holes(s, p, r);
	for (size_t i = 0; i < p->n; i++) {
		log_rms[i] = log(rms(p->v[i]));
		absmax[i] = (double)p->v[i]->stats.absmax;
	}
	middle = median(log_rms, p->n);
	usual = median(absmax, p->n);
	for (size_t i = 0; i < p->n; i++)
		log_rms[i] = fabs(log(rms(p->v[i])) - middle);
	spread = median(log_rms, p->n);
	for (size_t i = 0; i < p->n; i++) {
		const struct tensor *t = p->v[i];
		double away = fabs(log(rms(t)) - middle);

		if ((double)t->stats.absmax > ABSMAX_TIMES * usual)
			found(s, r, p->severity, t, "stats.outlier", "reaches %g where %g is usual in its place", (double)t->stats.absmax, usual);
		else if (away > RMS_LOG_MAX && away > RMS_MADS * spread)
			found(s, r, p->severity, t, "stats.scale", "has a root mean square of %g where %g is usual in its place", rms(t), exp(middle));
	}
}

static bool same_numbers(const struct tensor *a, const struct tensor *b)
{
	return a->stats.n == b->stats.n && a->stats.sum_squares == b->stats.sum_squares && a->stats.min == b->stats.min && a->stats.max == b->stats.max;
}

static void judge_copies(const struct peers *p, struct report *r)
{
	for (size_t i = 0; i < p->n && p->n <= SPEC_LAYERS_MAX; i++) {
		for (size_t j = i + 1; j < p->n; j++) {
			if (p->v[i]->layer != p->v[j]->layer && same_numbers(p->v[i], p->v[j])) {
				report_path(r, "%s", p->v[j]->file);
				report_flag(r, "stats.duplicate", "tensor %s holds the same numbers as %s", p->v[j]->name, p->v[i]->name);
				break;
			}
		}
	}
}

static int scan_all(struct model *m, struct tell *listener, struct err *e)
{
	const struct kernel *k = kernel_pick(NULL);
	struct scratch scratch own(scratch) = { 0 }, floats own(scratch) = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->weights.n; i++) {
		struct tensor *t = &m->weights.tensors[i];
		uint64_t cols = t->rank ? t->shape[t->rank - 1] : 1;

		tell(listener, "scan", i, m->weights.n);
		if (is_column_of_codes(&m->weights, t))
			continue;
		rc = complete(t, k, scratch_room(&floats, (cols > READ_FLOATS ? cols <= READ_FLOATS * 16ull ? cols : 1 : READ_FLOATS) * sizeof(float)),
			&scratch, e);
	}
	return rc;
}

/* The same name but for its numbers, of which the first is taken for the layer. */
static int compare_alike(const void *a, const void *b)
{
	const char *x = (*(struct tensor *const *)a)->name, *y = (*(struct tensor *const *)b)->name;

	for (;;) {
		bool digits = isdigit((unsigned char)*x) && isdigit((unsigned char)*y);

		if (!digits && *x != *y)
			return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
		if (!*x)
			return 0;
		x += digits ? strspn(x, "0123456789") : 1;
		y += digits ? strspn(y, "0123456789") : 1;
	}
}

/* Matrices that may be zero and mean it: adapters that have learnt nothing yet, embeddings of a difference that is not used. */
static bool may_be_zero(const char *name)
{
	return str_glob("*lora_*B*", name) || str_ends(name, ".lora_b") || str_ends(name, ".lora_embedding_A") || str_glob("*token_type_embeddings*", name) || str_glob("*controlnet_*", name) || str_glob("*proj_out*", name);
}

static void judge_unknown(struct smoke *s, const struct tensor *t, struct report *r)
{
	if (t->stats.n_nonfinite) {
		found(s, r, REPORT_REJECT, t, "stats.nonfinite", "holds %.0f values that are not finite, of %.0f", (double)t->stats.n_nonfinite, (double)t->stats.n);
	} else if (t->stats.n && t->stats.n_zero == t->stats.n && is_matrix(t)) {
		if (t->claimed && !may_be_zero(t->name)) {
			found(s, r, REPORT_REJECT, t, "stats.zero", "is zero in all its %.0f elements", (double)t->stats.n, 0);
			return;
		}
		report_path(r, "%s", t->file);
		report_flag(r, "stats.zero", "tensor %s is zero in all its elements", t->name);
	} else if (t->stats.n && t->stands_for[0] && is_matrix(t) && (t->stats.min >= t->stats.max || packed_is_one_code(t))) {
		found(s, r, REPORT_REJECT, t, "stats.constant", "packs the same number in all its %.0f elements", (double)t->stats.n, 0);
	}
}

static uint8_t zeros_of(const struct tensor *t)
{
	return t->zeros;
}

static uint8_t order_of(const struct tensor *t)
{
	return t->order;
}

static void judge_zeros(struct smoke *s, const struct tensor *t, size_t n_others, size_t n, struct report *r)
{
	found(s, r, REPORT_REJECT, t, "stats.zero", "has zero points of no bits but zeros, and %.0f of %.0f in its place have others", (double)n_others, (double)n);
}

static void judge_order(struct smoke *s, const struct tensor *t, size_t n_others, size_t n, struct report *r)
{
	found(s, r, REPORT_FLAG, t, "stats.order", "has a g_idx of zeros, which programs read as inputs in order, and %.0f of %.0f in its place have another",
		(double)n_others, (double)n);
}

/* What stands beside one matrix and is all zeros, where that of its likes is not. */
static void judge_blank(struct smoke *s, const struct weights *w, uint8_t (*of)(const struct tensor *t),
	void (*judge)(struct smoke *s, const struct tensor *t, size_t n_others, size_t n, struct report *r), struct report *r)
{
	own(mem) struct tensor **all = mem_zalloc((w->n + 1) * sizeof(struct tensor *));
	size_t n = 0, blank;

	for (size_t i = 0; i < w->n; i++)
		if (of(&w->tensors[i]) != ZEROS_NONE)
			all[n++] = &w->tensors[i];
	if (n)
		qsort(all, n, sizeof(*all), compare_alike);
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i, blank = 0; j < n && compare_alike(&all[i], &all[j]) == 0; j++)
			blank += of(all[j]) == ZEROS_BLANK;
		for (size_t k = i; k < j && j - i >= PEERS_MIN && blank * 2 < j - i; k++)
			if (of(all[k]) == ZEROS_BLANK)
				judge(s, all[k], j - i - blank, j - i, r);
	}
}

static void judge_beside(struct smoke *s, const struct weights *w, struct report *r)
{
	judge_blank(s, w, zeros_of, judge_zeros, r);
	judge_blank(s, w, order_of, judge_order, r);
}

/* Tensors that are called alike in other layers are compared with one another. */
static void judge_alike(struct smoke *s, const struct model *m, struct report *r)
{
	own(mem) struct tensor **all = mem_zalloc((m->weights.n + 1) * sizeof(struct tensor *));
	size_t n = 0;

	for (size_t i = 0; i < m->weights.n; i++) {
		struct tensor *t = &m->weights.tensors[i];
		const char *digits = strpbrk(t->name, "0123456789");

		if (!digits || !is_matrix(t) || t->stats.n == 0 || t->stats.n_zero == t->stats.n || t->stats.n_nonfinite)
			continue;
		t->layer = (uint32_t)strtoul(digits, NULL, 10);
		all[n++] = t;
	}
	if (n)
		qsort(all, n, sizeof(*all), compare_alike);
	for (size_t i = 0, j; i < n; i = j) {
		struct peers p = { .v = all + i, .severity = REPORT_FLAG };	/* what is usual there is not known so well */

		for (j = i; j < n && compare_alike(&all[i], &all[j]) == 0; j++)
			;
		p.n = j - i;
		judge_peers(s, &p, r);
		judge_copies(&p, r);
	}
}

int survey_unknown(struct smoke *s, int dirfd, const char *file, struct tell *listener, struct report *r, struct err *e)
{
	struct model m = { 0 };
	int rc = str_ends(file, ".gguf") ? weights_open_gguf(&m.weights, dirfd, file, r, e) : weights_open_safetensors(&m.weights, dirfd, file, r, e);

	if (rc == 0)
		rc = kind_check(s, &m.weights, dirfd, file, r, e);
	if (rc == 0)
		rc = scan_all(&m, listener, e);
	for (size_t i = 0; rc == 0 && i < m.weights.n; i++) {
		s->weight_bytes += m.weights.tensors[i].bytes;
		s->n_params += tensor_elements(&m.weights.tensors[i]);
		judge_unknown(s, &m.weights.tensors[i], r);
		rc = judge_gaps(s, &m.weights.tensors[i], r, e);
	}
	if (rc == 0) {
		judge_beside(s, &m.weights, r);
		judge_alike(s, &m, r);
	}
	weights_close(&m.weights);
	return rc;
}

int survey_run(struct smoke *s, struct model *m, struct tell *listener, struct report *r, struct err *e)
{
	struct peers peers[ROLE_COUNT] = { 0 };
	int rc = scan_all(m, listener, e);

	for (size_t i = 0; rc == 0 && i < m->weights.n; i++) {
		struct tensor *t = &m->weights.tensors[i];

		rc = judge_gaps(s, t, r, e);
		if (rc < 0 || t->stats.n == 0 || judge_alone(s, m, t, r) || !t->claimed || t->is_bias || !is_matrix(t) || t->role < ROLE_LAYER_FIRST)
			continue;
		*vec_push(&peers[t->role].v, &peers[t->role].n, &peers[t->role].cap) = t;
	}
	if (rc == 0)
		judge_beside(s, &m->weights, r);
	for (int role = 0; role < ROLE_COUNT; role++) {
		peers[role].severity = REPORT_REJECT;
		judge_peers(s, &peers[role], r);
		judge_copies(&peers[role], r);
		free(peers[role].v);
	}
	return rc;
}
