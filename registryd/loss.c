/* loss.c - see loss.h. */
#include "registryd/loss.h"

#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "catalog/job.h"
#include "catalog/lost.h"

#define SYNCS_MAX 8	/* one brings the content back for all; the others are for when it can't */

/* As it was selected when it was published: nothing else is to come of this. */
static int sync_args(struct daemon *d, const struct lost_use *u, struct arena *a, char **out, struct err *e)
{
	own(json) json_t *args = NULL;
	const char *selection;
	int rc = model_selection(d->db, u->revision_id, a, &selection, e);

	if (rc)
		return rc;
	args = selection ? json_parse_lax(selection, strlen(selection), "the selection", NULL) : NULL;
	if (!args)
		args = json_object();
	json_object_set_new(args, "upstream", json_string(u->upstream));
	*out = json_text(args);
	return 0;
}

static int queue_sync(struct daemon *d, const struct lost_use *u, struct arena *a, int64_t now, struct err *e)
{
	own(mem) char *args = NULL;
	struct job_new j = { .kind = "sync", .repo = u->repo, .revision = u->commit, .who = "schedule" };
	int64_t id;
	int rc = sync_args(d, u, a, &args, e);

	j.args = args;
	return rc ? rc : job_enqueue(d->db, &j, now, &id, NULL, e);
}

static int fetch_again(struct daemon *d, const struct lost_use *uses, size_t n, struct arena *a, int64_t now, struct err *e)
{
	size_t queued = 0;
	int rc = 0;

	for (size_t i = 0; i < n && queued < SYNCS_MAX && !rc; i++) {
		if (!config_find_upstream(daemon_config(d), uses[i].upstream))
			continue;	/* imported, or from a bundle */
		rc = queue_sync(d, &uses[i], a, now, e);
		queued++;
	}
	return rc;
}

int loss_note(struct daemon *d, const struct digest *sha256, bool damaged, const char *why, struct err *e)
{
	own(mem) char *reason = mem_strdup(why);	/* it may lie in e */
	char hex[DIGEST_HEX_MAX], quoted[LOG_QUOTE_MAX];
	int64_t now = (int64_t)time(NULL);
	own(arena) struct arena a;
	struct lost_use *uses;
	bool news;
	size_t n;
	int rc;

	arena_init(&a);
	rc = damaged ? store_quarantine_blob(d->store, sha256, reason, now, e) : 0;
	if (rc == ERR_NOT_FOUND)
		rc = 0;		/* somebody else was sooner */
	if (!rc)
		rc = lost_note(d->db, sha256, reason, now, &a, &uses, &n, &news, e);
	if (rc)
		return rc;
	digest_hex(hex, sha256);
	if (news)
		log_event(LOG_ERR, "blob.lost", "sha256=%s damaged=%d published=%zu error=%s", hex, damaged, n, log_quote(quoted, reason));
	return fetch_again(d, uses, n, &a, now, e);
}

int loss_look(struct daemon *d, const struct digest *sha256, uint64_t size_bytes, struct err *e)
{
	struct err why = ERR_NONE;
	int has = store_has(d->store, sha256, size_bytes, &why);

	if (has == 1)
		return 0;
	if (has < 0 && has != ERR_MISMATCH) {
		*e = why;
		return has;
	}
	return loss_note(d, sha256, has < 0, has < 0 ? why.msg : "it is no longer in the store", e);
}
