/*
 * door.h - the one function through which every protocol hands out a model: finds what is published, and says what policy and
 * lifecycle have to say about it, in headers and, where it may not be had, as the whole answer.
 *
 *	unknown, not published, renamed      404 with the Hub's X-Error-Code · 307 to the new name
 *	refused by the gate                  403 with the reason
 *	gated upstream, no token             401 GatedRepo (only for bytes: metadata stays readable, as on the Hub)
 *	deprecated                           served, with Deprecation, Sunset, Link and X-HF-Warning
 *	past its sunset, retired             410 naming the successor
 *	a commit that gc has freed           410: it was here, and a sync brings it back
 *	withdrawn                            403, or 451 for legal reasons
 */
#ifndef REGISTRYD_DOOR_H
#define REGISTRYD_DOOR_H

#include "catalog/lifecycle.h"
#include "catalog/model.h"
#include "registryd/daemon.h"
#include "registryd/http.h"

enum door_for {
	DOOR_FACTS,	/* metadata */
	DOOR_BYTES,	/* the files themselves: also sends X-Repo-Commit */
};

struct door {
	struct model m;
	struct revision r;
	struct lifecycle life;
};

/*
 * The model and revision that rq's {repo} and {rev} name. Without {rev}, or with HEAD, that is `main`; where no `main` is here, the revision that listings show, so
 * that what is listed can be asked about. False: the request has been answered.
 */
bool door_enter(struct request *rq, enum door_for what, struct door *out);

/*
 * For what is handed out past door_enter(): 0, or with the door's own words ERR_REFUSED, ERR_LEGAL or ERR_GONE for what is withdrawn or has ended, and ERR_REFUSED
 * where the policy gives a deprecated model only to whoever names its commit (`deprecated: pinned_only`) and rev is none.
 */
int door_check(struct request *rq, const struct model *m, const struct revision *r, const char *rev, struct err *e);

/* The time by which a listing leaves out what has ended: now, or never where the policy goes on serving that (`after_sunset: warn`). */
int64_t door_listed_at(const struct request *rq);

/*
 * Answers with a status, the Hub's X-Error-Code (may be NULL) and a sentence: as JSON below /api, in the OCI door's shape below /v2, as text elsewhere. Always 0.
 */
int door_refuse(struct request *rq, int status, const char *code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* "http://host:port" for links: public_url, or the request's own Host. */
const char *door_base_url(struct request *rq);

#endif
