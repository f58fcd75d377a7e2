/* loss.c - see loss.h. */
#include "registryd/loss.h"

#include "base/fdio.h"
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

/* ---- small files ------------------------------------------------------------------------------------------------ */

static int read_store(struct daemon *d, const struct model_file *f, struct buf *b, struct err *e)
{
	int rc = store_has(d->store, &f->sha256, f->size_bytes, e);
	struct digest is;

	if (rc < 0)
		return rc;
	if (!rc)
		return err_set(e, ERR_NOT_FOUND, "it is no longer in the store");
	own(fd) int fd = store_open_blob(d->store, &f->sha256, NULL, e);
	if (fd < 0 || (rc = fdio_slurp_fd(fd, f->path, b, e)) < 0)
		return fd < 0 ? fd : rc;
	digest_of(&is, DIGEST_SHA256, b->data, b->len);
	return digest_equal(&is, &f->sha256) ? 0 : err_set(e, ERR_MISMATCH, "it is damaged: its bytes have another hash");
}

const char *loss_document_name(enum document_kind kind, const char *path)
{
	return kind == DOCUMENT_CARD ? "" : path;
}

static int read_kept(struct daemon *d, int64_t revision_id, const struct model_file *f, enum document_kind kind, struct buf *b, struct err *e)
{
	own(arena) struct arena a;
	const char *text;
	size_t n;
	int rc;

	arena_init(&a);
	rc = model_document(d->db, revision_id, kind, loss_document_name(kind, f->path), &a, &text, &n, e);
	if (rc)
		return rc;
	buf_reset(b);	/* of what is damaged, nothing */
	return buf_add(b, text, n) < 0 ? err_set(e, ERR_LIMIT, "%s is larger than %zu bytes, the most that is read of it", f->path, b->max) : 0;
}

int loss_read(struct daemon *d, int64_t revision_id, const struct model_file *f, enum document_kind kind, struct buf *b, bool *kept, struct err *e)
{
	struct err why = ERR_NONE;
	int rc = f->stored ? read_store(d, f, b, &why) : ERR_NOT_FOUND, noted = 0;
	bool lost = rc == ERR_NOT_FOUND || rc == ERR_MISMATCH;

	*kept = rc != 0;
	if (!rc)
		return 0;
	if (lost && f->stored)
		noted = loss_note(d, &f->sha256, rc == ERR_MISMATCH, why.msg, e);
	if (noted)
		return noted;
	rc = read_kept(d, revision_id, f, kind, b, e);
	if (rc == ERR_NOT_FOUND && !lost) {	/* it is there, and can't be read now */
		*e = why;
		return why.code;
	}
	return rc;
}
