/*
 * hubs.h - the upstreams that jobs work with. What limits one has announced and its idle connections outlast a job and a reload of the settings; they
 * belong to its settings and its token, though. One whose settings or token have been replaced since is freed when the last job that uses it
 * ends; until then it shares `connections` and `rate_limit`, as the settings have them now, with the one that came in its place.
 */
#ifndef REGISTRYD_HUBS_H
#define REGISTRYD_HUBS_H

#include "registryd/daemon.h"
#include "registryd/hub.h"

struct hubs {
	pthread_mutex_t lock;	/* for all below, and for hub->users */
	struct hub **all;	/* of those with one name the last is current */
	size_t n, cap;
};

void hubs_init(struct hubs *s);
void hubs_done(struct hubs *s);	/* every one must be given back */

/*
 * The upstream of this name (NULL: the first) as d's settings have it now, with the token that its file holds now. NULL with ERR_USAGE when there is none, ERR_FAILED
 * when its token can't be read. hubs_give() ends its use.
 */
struct hub *hubs_take(struct hubs *s, struct daemon *d, const char *name, struct err *e);
void hubs_give(struct hubs *s, struct hub *h);
/* After a reload: its windows and limits count for those who are at work, too. */
void hubs_follow(struct hubs *s, const struct config *c);

#endif
