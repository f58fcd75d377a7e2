/*
 * fetch_impl.h - what fetch.c (the loop, small files), transfer.c (one exchange after another) and split.c (when a large file is received in
 * several lanes) keep while a fetch runs. Private to them.
 */
#ifndef REGISTRYD_FETCH_IMPL_H
#define REGISTRYD_FETCH_IMPL_H

#include "registryd/fetch.h"
#include "registryd/stream.h"

#define FETCH_ELSEWHERE_MS   200		/* how often to look whether another job has brought the content */
#define FETCH_BUFFER_MS	     50			/* how often to look whether there are buffers for one more large file */
#define FETCH_PLACES_MAX     64			/* transfers at once, whatever the configuration says */
#define FETCH_ERROR_BODY_MAX (1u << 20)		/* bytes of an error's page that are read, so that the connection can be used again */
#define FETCH_PROGRESS_BYTES (256u << 10)	/* a transfer that brings as much starts its count of tries anew */

enum transfer_state {
	IDLE,		/* the place is free */
	RECEIVING,
	WAITING,	/* for its next try */
	DRAINING,	/* all bytes are here; the stream verifies and publishes */
	ENDED,
};

enum body {
	BODY_UNJUDGED,
	BODY_TAKE,
	BODY_DROP,	/* of a redirect or an error */
	BODY_WRONG,	/* not what was asked for: transfer.why says what */
};

struct loop;

/* A large file under way, and what the transfers that receive it side by side share. The last of them ends it. */
struct large {
	struct fetch_file *file;
	struct stream *stream;
	int lanes;		/* transfers at it; at least one as long as it exists */
	char *url;		/* where its bytes were found last, after `hops` redirects; NULL: not known yet */
	int hops;
	int wrong;		/* times that its bytes were wrong */
	bool plain;		/* one lane only: upstream answers a range with everything, or the bytes were wrong once */
	uint64_t counted;	/* part of loop.done_bytes */
};

struct transfer {
	struct loop *loop;
	struct fetch_file *file;
	enum transfer_state state;
	CURL *h;
	struct curl_slist *headers;
	char *url;
	struct net_answer answer;
	char curl_error[CURL_ERROR_SIZE];

	struct large *large;	/* NULL: a small file */
	struct stream_lane lane;
	struct buf small;

	enum body body;
	bool ranged;		/* a range was asked for */
	uint64_t until;		/* the first byte that was not asked for */
	bool cut;		/* the lane ended before what was asked for did: split.c gave the rest to others */
	uint64_t skip;		/* bytes of this body that are here already */
	uint64_t dropped;
	uint64_t start;		/* what was here when this try began */
	uint64_t counted;	/* of a small file: part of loop.done_bytes */
	bool paused, starved;
	int64_t resume_ms, retry_ms;
	int hops, attempt, wrong;
	bool kept_url;		/* t->url is where bytes were found before: a refusal means that it has expired */
	bool booked;		/* hub_pace() said yes to this exchange */
	enum hub_bucket bucket;	/* in which that was */
	bool keep_url;		/* waiting for a turn at t->url, not for another try */
	bool elsewhere;		/* another job is fetching this content */
	struct err why;
};

/* What is measured to decide whether more lanes would help; see split.c. */
struct split {
	int64_t since_ms;	/* begin of the window */
	uint64_t bytes;		/* received in it */
	bool ours;		/* a transfer was paused in it: the cap, or for long the disk, the hash or the pool */
	int64_t idle_ms;	/* waited in it for the network, and for nothing else */
	uint64_t spent;		/* hub_spent() at its begin */
	double want;		/* bytes a second that the lanes added last are to bring all to; 0: there are none */
	int64_t settled_ms;	/* when those have got up to speed */
	uint64_t segment;	/* how much a further lane gets at a time */
	int64_t hold_ms;	/* no further lanes before */
};

struct loop {
	struct fetch *f;
	CURLM *multi;
	struct transfer *places;
	size_t n_places;
	size_t next_large, next_small;	/* of f->files: all before were started, or are of the other kind */
	size_t small_bytes;
	int large;		/* large files under way */
	uint64_t done_bytes;
	int64_t progress_ms;
	const char *moved;
	struct split split;

	struct store_item group[FETCH_GROUP_FILES];
	struct fetch_file *group_files[FETCH_GROUP_FILES];
	size_t n_group;
	int64_t group_since_ms;
};

static inline bool is_small(const struct fetch_file *f)
{
	return f->size_bytes <= FETCH_SMALL_BYTES;
}

/* fetch.c */

/* A whole small file: 0 stored with its group, ERR_MISMATCH, or another failure. */
int fetch_take_small(struct loop *l, struct fetch_file *f, const void *p, size_t n, bool last_try, struct err *e);
/* Could another file be started, were there a place for it? */
bool fetch_can_start(const struct loop *l);
/* The host of this address asks to wait longer than a fetch does. */
int fetch_too_long(struct loop *l, const char *url, int64_t ms, struct err *e);

/* transfer.c: each in a place that holds one of the upstream's connections (hub_enter) */

/* hub_pace() has said yes to one request already. */
int transfer_begin(struct loop *l, struct transfer *t, struct fetch_file *f, struct err *e);
/* A further lane of a large file, where one is to be had: *began tells. Otherwise the place stays as it was. */
int transfer_begin_lane(struct loop *l, struct transfer *t, struct large *g, bool *began, struct err *e);
/* libcurl is done with the exchange. */
int transfer_exchanged(struct transfer *t, CURLcode code, struct err *e);
/* What it waited for is due, or the stream may have ended. */
int transfer_retry(struct transfer *t, struct err *e);
int transfer_drained(struct transfer *t, struct err *e);
void transfer_end(struct transfer *t);

/* split.c */

/* How much a lane may claim. */
uint64_t split_claim_max(const struct loop *l, const struct large *g);
/* Adds lanes when that is likely to help. Called in each turn. */
int split_step(struct loop *l, struct err *e);
/* A further lane failed: none is added for a while. */
void split_hold(struct loop *l);

#endif
