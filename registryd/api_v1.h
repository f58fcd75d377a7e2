/*
 * api_v1.h - the daemon's own JSON API under /-/v1, which registryctl and scripts use. schema/openapi.yaml describes it and is served at
 * /-/openapi.json; a test holds the two against each other, so adding a route is adding a row here and a path there.
 *
 * Work that takes long becomes a job (catalog/job.h). The kinds and their arguments, and what a worker leaves as the result:
 *
 *	sync	args {"include":[…],"exclude":[…],"upstream":NAME}, each left out when not given
 *		result {"revision":COMMIT,"state":STATE,"reason":TEXT|null,"code":LABEL|null,"size_bytes":N,…}; code says why it was
 *		rejected where the gate did not decide: "mismatch" when content did not verify
 *	plan	the same args; nothing is fetched or recorded
 *		result {"repo","revision","license","size_bytes","fetch_bytes","files":[{"path","size_bytes","stored","skip_reason"}…],
 *		"gate":{"outcome":"publish|hold|reject","reasons":[{"rule","outcome","reason"}…]}}
 *	verify	args {}; repo "" means everything
 *		result {"same":N,"differs":N,"missing":N,"files":[{"repo","revision","path","status":"same|differs|missing"}…]}
 *	smoke	args {"device":NAME} or {}
 *		result {"revision":COMMIT,"smoke":{…as in `show`…},"state":STATE}
 *	import	args {"dir":NAME below DATA/incoming,"license":ID or left out}; result as sync
 *	bundle	args {"entry":SHA-256 of an upload}; result as sync
 *	gc	args {"dry_run":BOOL,"keep_last":N}, each left out when not given
 *		result {"dry_run":BOOL,"revisions":[{"repo","revision"}…],"blobs":N,"bytes":N,"partial_bytes":N}
 *	rebuild	args {}; result {"models":N,"revisions":N}
 */
#ifndef REGISTRYD_API_V1_H
#define REGISTRYD_API_V1_H

#include "registryd/http.h"

extern const struct http_route api_v1_routes[];

/* schema/openapi.yaml as JSON: plain true, false and whole numbers get their types, all else is text. NULL with e set. */
json_t *api_v1_openapi(const char *yaml, size_t n, struct err *e);

#endif
