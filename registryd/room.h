/*
 * room.h - one account of the store's disk for the syncs and uploads that run side by side: what each has still to write. One that begins leaves the others the room
 * that they counted on when they began, and sync.keep_free besides; a sync that fits only without them waits until one of them ends, an upload is refused.
 */
#ifndef REGISTRYD_ROOM_H
#define REGISTRYD_ROOM_H

#include "catalog/store.h"
#include "registryd/fetch.h"

struct room;
struct room_claim;

struct room *room_new(struct store *st);
void room_free(struct room *r);

struct room_want {
	int64_t job;
	const char *name;	/* of what it brings, for those who wait: "org/model@abc"; lives as long as the claim */
	const struct fetch_file *files;	/* as in struct fetch, none of them fetched */
	size_t n_files;
	uint64_t keep_free;
};

/*
 * Claims the room for what is to be fetched and has none in partial/ yet. ERR_NOSPACE: there is not so much; where others write, room_due() names the job as
 * soon as one of them has ended.
 */
int room_take(struct room *r, const struct room_want *want, struct room_claim **out, struct err *e);
/* This one of want.files is in the store. */
void room_wrote(struct room *r, struct room_claim *c, const struct fetch_file *f);

/* Claims the room for an upload of so many bytes. name, of what it brings, lives as long as the claim. */
int room_take_upload(struct room *r, const char *name, uint64_t bytes, uint64_t keep_free, struct room_claim **out, struct err *e);
/* So many more of its bytes are written. */
void room_received(struct room *r, struct room_claim *c, uint64_t bytes);

/* The job has ended, or fetches nothing more; the upload has ended, and what it leaves unfinished is closed or cut already. Accepts NULL. */
void room_give(struct room *r, struct room_claim *c);
/* What all claims together have still to write. */
uint64_t room_claimed(struct room *r);

/* A job that was refused beside others and may be looked at again: 0, there is none. Each is told once; room_wait() has it told again. */
int64_t room_due(struct room *r);
void room_wait(struct room *r, int64_t job);

#endif
