/* fetch_impl.h - what fetch.c keeps while it runs. Private to it. */
#ifndef REGISTRYD_FETCH_IMPL_H
#define REGISTRYD_FETCH_IMPL_H

#include "registryd/fetch.h"
#include "registryd/stream.h"

#define FETCH_ELSEWHERE_MS   200		/* how often to look whether another job has brought the content */
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

struct transfer {
	struct loop *loop;
	struct fetch_file *file;
	enum transfer_state state;
	CURL *h;
	struct curl_slist *headers;
	char *url;
	struct net_answer answer;
	char curl_error[CURL_ERROR_SIZE];

	struct stream *stream;	/* a large file */
	struct buf small;	/* a small one */

	enum body body;
	uint64_t skip;		/* bytes of this body that are here already */
	uint64_t dropped;
	uint64_t start;		/* what was here when this try began */
	uint64_t counted;	/* part of loop.done_bytes */
	bool paused, starved;
	int64_t resume_ms, retry_ms;
	int hops, attempt, wrong;
	bool booked;		/* this exchange counts against the upstream's limits: hub_pace() said yes */
	bool keep_url;		/* waiting for a turn at t->url, not for another try */
	bool elsewhere;		/* another job is fetching this content */
	struct err why;
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

	struct store_item group[FETCH_GROUP_FILES];
	struct fetch_file *group_files[FETCH_GROUP_FILES];
	size_t n_group;
	int64_t group_since_ms;
};

#endif
