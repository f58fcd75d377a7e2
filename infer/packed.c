/* packed.c - see packed.h: quant_weight.h's view of a checkpoint, over struct weights. */
#include "infer/packed.h"

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"
#include "infer/gaps.h"

#define SURVEY_FLOATS (1u << 18)	/* decoded at once */
#define CODES_PIECE   (1u << 16)

static bool find_part(void *ctx, const char *name, struct quant_part *out)
{
	struct tensor *t = weights_find(ctx, name);

	if (!t)
		return false;
	t->claimed = true;
	*out = (struct quant_part){ .type = t->type, .dtype = t->type_name, .rank = t->rank, .size_bytes = t->bytes,
		.id = (uint64_t)(t - ((struct weights *)ctx)->tensors) };
	memcpy(out->shape, t->shape, sizeof(t->shape));
	return true;
}

static int load_part(void *ctx, const struct quant_part *part, void *dst, struct err *e)
{
	struct tensor *t = &((struct weights *)ctx)->tensors[part->id];
	int rc = fdio_pread_exact(t->fd, dst, t->bytes, t->at, t->file, e);

	if (rc == 0)
		gaps_look(t, t->at, dst, t->bytes);
	return rc;
}

struct tensor *packed_find(const struct weights *w, const char *name)
{
	static const char *const large[] = { "qweight", "weight_packed" };
	struct tensor *t = weights_find(w, name);
	char other[QUANT_NAME_MAX];

	for (size_t i = 0; !t && i < ARRAY_LEN(large) && str_ends(name, ".weight"); i++)
		if (snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(name) - strlen("weight")), name, large[i]) < (int)sizeof(other))
			t = weights_find(w, other);
	return t;
}

/* Does any row need all of main? Then main is kept in memory: it is read once, not once a tile. */
static int keep_whole(struct packed *p, struct err *e)
{
	uint64_t offset, bytes;
	int rc;

	quant_weight_window(&p->q, 0, 1, &offset, &bytes);
	if (p->q.out <= 1 || bytes != p->main->bytes)
		return 0;
	p->whole = mem_zalloc(bytes);
	rc = fdio_pread_exact(p->main->fd, p->whole, bytes, p->main->at, p->main->file, e);
	if (rc == 0)
		gaps_look(p->main, p->main->at, p->whole, bytes);
	return rc;
}

int packed_open(struct packed **out, struct weights *w, const struct quant_config *c, const char *name, bool to_read, struct err *e)
{
	struct quant_source source = { w, find_part, load_part };
	struct packed *p own(packed) = mem_zalloc(sizeof(*p));
	int rc = quant_weight_open(&p->q, c, &source, name, e);

	if (rc < 0)
		return rc;
	p->main = &w->tensors[p->q.main.id];
	if (p->q.scheme == QUANT_PLAIN) {
		*out = NULL;
		return 0;
	}
	p->main->stands_for[0] = p->q.out;
	p->main->stands_for[1] = p->q.in;
	p->main->zeros = (uint8_t)p->q.zeros;
	p->main->order = (uint8_t)p->q.order;
	rc = to_read ? keep_whole(p, e) : 0;
	if (rc < 0)
		return rc;
	*out = take(p);
	return 0;
}

void packed_close(struct packed *p)
{
	if (!p)
		return;
	quant_weight_close(&p->q);
	free(p->whole);
	free(p);
}

int packed_rows(const struct packed *p, uint64_t row, uint32_t n, float *out, struct scratch *s, struct err *e)
{
	uint64_t offset, bytes;
	void *window = p->whole;

	quant_weight_window(&p->q, row, n, &offset, &bytes);
	if (!window) {
		int rc;

		window = scratch_room(s, bytes);
		rc = fdio_pread_exact(p->main->fd, window, bytes, p->main->at + offset, p->main->file, e);
		if (rc < 0)
			return rc;
		gaps_look(p->main, p->main->at + offset, window, bytes);
	}
	return quant_weight_rows(&p->q, window, row, n, out, e);
}

bool packed_is_one_code(const struct tensor *t)
{
	own(mem) uint8_t *piece = mem_zalloc(CODES_PIECE);

	for (uint64_t at = 0; at < t->bytes; at += CODES_PIECE) {
		uint64_t n = t->bytes - at < CODES_PIECE ? t->bytes - at : CODES_PIECE;
		uint8_t last = piece[0];

		if (fdio_pread_exact(t->fd, piece, n, t->at + at, t->file, NULL) < 0 || (at && piece[0] != last) || memcmp(piece, piece + 1, n - 1) != 0)
			return false;
	}
	return t->bytes > 0;
}

int packed_survey(const struct packed *p, struct err *e)
{
	struct scratch scratch own(scratch) = { 0 }, floats own(scratch) = { 0 };
	uint64_t step = SURVEY_FLOATS / p->q.in + 1;
	struct tensor *t = p->main;

	t->stats = (struct tensor_stats){ 0 };
	for (uint64_t row = 0; row < p->q.out; row += step) {
		uint32_t n = (uint32_t)(p->q.out - row < step ? p->q.out - row : step);
		float *to = scratch_room(&floats, n * p->q.in * sizeof(float));
		int rc = packed_rows(p, row, n, to, &scratch, e);

		if (rc < 0)
			return rc;
		tensor_stats_add(&t->stats, to, n * p->q.in);
	}
	return 0;
}
