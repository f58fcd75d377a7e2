/*
 * split.c - when a large file is received in several lanes, and where they begin.
 *
 * One connection a file is the fastest way from an upstream that is near: lanes cost requests, smaller writes, and reading back what comes
 * before its turn. They pay where each connection is slow by itself, by distance or by a limit. So it is measured: files come one a
 * connection; while connections of the upstream are left over, no other file could use them, nothing of ours holds the transfers up, and a
 * connection brings less than SPLIT_SLOW_BYTES_S, the number of lanes is doubled, or grows by what the bandwidth cap has room for, as long as that brings more. One thread receives them all: when
 * it spends less than half of its time waiting for the network, the disk, the hash or the processor is what is slow.
 *
 * Lanes take the file from its front in segments of about SPLIT_SEGMENT_S, so that the hash follows closely and what it reads back is in the
 * page cache still. When nothing is left to claim, the lane that has most to do gives half of it away.
 */
#include "registryd/fetch_impl.h"

#define SPLIT_WINDOW_MS	   500			/* what is measured at a time */
#define SPLIT_SETTLE_MS	   1000			/* connections need a moment to get up to speed */
#define SPLIT_SLOW_BYTES_S (128u << 20)		/* one connection that brings as much is let alone */
#define SPLIT_GAIN	   1.25			/* twice the lanes must bring so many times the bytes, fewer as much less */
#define SPLIT_HOLD_MS	   20000		/* else, and after a failure of a lane, it is tried again after so long */
#define SPLIT_SEGMENT_S	   2
#define SPLIT_SEGMENT_MIN  (16u << 20)
#define SPLIT_SEGMENT_MAX  (256u << 20)
#define SPLIT_PIECE_MIN	   (1u << 20)		/* less than two of these are not split */

uint64_t split_claim_max(const struct loop *l, const struct large *g)
{
	return g->lanes > 1 && !g->plain ? l->split.segment : UINT64_MAX;
}

void split_hold(struct loop *l)
{
	l->split.hold_ms = net_now_ms() + SPLIT_HOLD_MS;
	l->split.want = 0;
}

static bool receives(const struct transfer *t)
{
	return t->state == RECEIVING && t->body == BODY_TAKE;
}

static size_t count_receiving(const struct loop *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_places; i++)
		n += receives(&l->places[i]);
	return n;
}

static uint64_t left(const struct transfer *t)
{
	return t->lane.end - t->lane.at;
}

/* Bytes that the lane could leave to others, and those that it has not even claimed. 0: another lane is not worth it at `rate` bytes a second. */
static uint64_t to_share(const struct transfer *t, double rate)
{
	uint64_t unclaimed;

	if (!receives(t) || !t->large || t->large->plain)
		return 0;
	unclaimed = stream_unclaimed(t->large->stream);
	return unclaimed || (left(t) >= 2 * SPLIT_PIECE_MIN && (double)left(t) >= rate) ? unclaimed + left(t) : 0;
}

static struct transfer *longest(const struct loop *l, double rate)
{
	struct transfer *most = NULL;
	uint64_t n, max = 0;

	for (size_t i = 0; i < l->n_places; i++) {
		n = to_share(&l->places[i], rate);
		if (n > max) {
			max = n;
			most = &l->places[i];
		}
	}
	return most;
}

/* Leaves the lane one segment, or half, and the rest to others. */
static void give_away(const struct loop *l, struct transfer *t)
{
	uint64_t keep = left(t) > 2 * l->split.segment ? l->split.segment : left(t) / 2;

	stream_cut(t->large->stream, &t->lane, (t->lane.at + keep) / PARTIAL_ALIGN * PARTIAL_ALIGN);
}

static struct transfer *free_place(struct loop *l)
{
	for (size_t i = 0; i < l->n_places; i++)
		if (l->places[i].state == IDLE)
			return &l->places[i];
	return NULL;
}

/* One lane more, where most is to be done. */
static int add_lane(struct loop *l, double rate, bool *added, struct err *e)
{
	struct transfer *place = free_place(l), *t = longest(l, rate);
	int rc;

	*added = false;
	if (!place || !t || !hub_enter(l->f->hub))
		return 0;
	rc = transfer_begin_lane(l, place, t->large, added, e);
	if (!rc && !*added && !stream_unclaimed(t->large->stream)) {
		give_away(l, t);
		rc = transfer_begin_lane(l, place, t->large, added, e);
	}
	if (!*added)
		hub_leave(l->f->hub);
	return rc;
}

static int grow(struct loop *l, size_t by, double rate, double want, struct err *e)
{
	bool added = true, any = false;
	int rc = 0;

	for (size_t i = 0; i < by && added && !rc; i++) {
		rc = add_lane(l, rate, &added, e);
		any |= added;
	}
	if (any) {
		l->split.want = want;
		l->split.settled_ms = net_now_ms() + SPLIT_SETTLE_MS;
	}
	return rc;
}

static uint64_t segment_at(double rate)
{
	double bytes = rate * SPLIT_SEGMENT_S;

	return bytes < SPLIT_SEGMENT_MIN ? SPLIT_SEGMENT_MIN : bytes > SPLIT_SEGMENT_MAX ? SPLIT_SEGMENT_MAX : (uint64_t)bytes;
}

/*
 * How many of n lanes more the bandwidth cap has room for. It does not hold them up at once where they bring little more than it allows: until then that waits in
 * the kernel, and is lost with the connection of a lane that gives its rest away.
 */
static size_t within_cap(struct loop *l, const struct split *was, int64_t ms, size_t n, double each)
{
	uint64_t rate_limit = hub_rate_limit(l->f->hub);
	double spare = (double)rate_limit - (double)(hub_spent(l->f->hub) - was->spent) * 1000 / (double)ms;

	if (!rate_limit || spare >= each * (double)n)
		return n;
	return spare > 0 ? (size_t)(spare / each) + 1 : 0;
}

int split_step(struct loop *l, struct err *e)
{
	struct split *s = &l->split, was = *s;
	int64_t now = net_now_ms();
	size_t n = count_receiving(l), by;
	double all, each;

	if (now - was.since_ms < SPLIT_WINDOW_MS)
		return 0;
	s->since_ms = now;
	s->bytes = 0;
	s->spent = hub_spent(l->f->hub);
	s->ours = false;
	s->idle_ms = 0;
	if (now < was.settled_ms)
		return 0;
	s->want = 0;
	if (!n || !was.bytes || was.ours || was.idle_ms < (now - was.since_ms) / 2 || now < was.hold_ms || fetch_can_start(l))
		return 0;
	all = (double)was.bytes * 1000 / (double)(now - was.since_ms);
	each = all / (double)n;
	if (was.want > 0 && all < was.want) {
		split_hold(l);
		return 0;
	}
	by = within_cap(l, &was, now - was.since_ms, n, each);
	if (each >= SPLIT_SLOW_BYTES_S || !by)
		return 0;
	s->segment = segment_at(each);
	return grow(l, by, each, all * (1 + (SPLIT_GAIN - 1) * (double)by / (double)n), e);
}
