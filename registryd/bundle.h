/*
 * bundle.h - models that come on a medium from another registryd (docs/bundle.md). A bundle carries contents by SHA-256 and an *entry* a revision: what
 * its Hub said of it and the git objects of its commit, so that everything a sync proves is proved here again; then the same inspection, test and gate
 * follow. The catalog calls the upstream of such a model "bundle".
 *
 * An entry, JSON: {"format": BUNDLE_ENTRY_FORMAT, "repo", "revision", "refs": [name…], "upstream": {"name","endpoint"},
 *	"info": the Hub's model info, "tree": [page of the Hub's listing…], "pack": base64 of the commit's git pack, or null,
 *	"tags": [those of refs that upstream calls tags…], absent in older ones, "held": [{"path","sha256","size_bytes"}…] by path,
 *	"base_models": what upstream said of their licences (bases.h), or absent, "lifecycle": as in show, of the model's
 *	own marks, with "said_at": when anything was last said of its end, null or absent in older ones: never or not known, "first_said": {"sunset_at","reason","deprecated_at"} of
 *	the site that a bundle brought the mark from, where it came so (and "revision": of which an older entry gave it to the model), and "of_revision": the same, of the revision's own marks; older ones have one for both, and no such member, "about": {"license","size_bytes","smoke"} for people to read}
 */
#ifndef REGISTRYD_BUNDLE_H
#define REGISTRYD_BUNDLE_H

#include <jansson.h>

#include "catalog/model.h"
#include "registryd/work.h"

#define BUNDLE_UPSTREAM	    "bundle"
#define BUNDLE_ENTRY_FORMAT "registryd-bundle-entry/1"
#define BUNDLE_ENTRY_MAX    (64u << 20)	/* bytes; a revision of 100,000 files takes 30 MB */

/* The entry of a published revision. NULL with e set. */
json_t *bundle_entry(struct daemon *d, const struct model *m, const struct revision *r, struct arena *a, struct err *e);

/*
 * Job kind "bundle": repo; args {"entry": SHA-256 of an uploaded entry, "rollback": true where refs may go back to what was superseded here}; result as
 * sync, and "refs_kept": [{"name","revision"}…], those that stayed with a later revision, and "lifecycle": what became otherwise of the other site's deprecation.
 */
int bundle_job(struct work *w, struct err *e);

#endif
