/* sync_here.c - which of a revision's files the store holds already, from whatever model, and what is left to fetch. See sync_impl.h. */
#include "base/vec.h"
#include "registryd/documents.h"
#include "registryd/loss.h"
#include "registryd/sync_impl.h"
#include "verify/card.h"

#define FOUND_GROUP	   500
#define EVIDENCE_FILES_MAX 200	/* licence texts that are read and not served; the card besides */
#define MOVED_MIN	   4096	/* a smaller file is fetched sooner than looked for under other names */
#define MOVED_FILES_MAX	   5000	/* that looks at every file of the model */

/* In a copy, a conversion or a fine-tuning most small files are those of the model that it was made from. */
static int known_to_kin(struct sync *s, const struct model_file *f, struct digest *sha256, struct err *e)
{
	struct err why = ERR_NONE;
	int rc = model_kin_git_blob(s->w->db, &s->kin, f->path, &f->git_oid, f->size_bytes, sha256, &why);

	if (rc == ERR_NOT_FOUND || !rc)
		return !rc;
	*e = why;
	return rc;
}

/* The content that a git id stands for in this model, under its path or, where that is no long search, any other. 1 when it is known. */
static int known_git_blob(struct sync *s, const struct model_file *f, struct digest *sha256, struct err *e)
{
	const char *const paths[] = { f->path, NULL };
	size_t n = f->size_bytes >= MOVED_MIN && s->n_listed <= MOVED_FILES_MAX ? 2 : 1;

	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_NONE;
		int rc = model_known_git_blob(s->w->db, s->model_id, paths[i], &f->git_oid, f->size_bytes, sha256, &why);

		if (!rc)
			return 1;
		if (rc != ERR_NOT_FOUND) {
			*e = why;
			return rc;
		}
	}
	return known_to_kin(s, f, sha256, e);
}

int sync_held(struct sync *s, const struct model_file *f, struct digest *sha256, struct err *e)
{
	int rc;

	*sha256 = f->sha256;
	if (f->sha256.algo == DIGEST_NONE && (rc = known_git_blob(s, f, sha256, e)) != 1)
		return rc;
	rc = store_has(s->w->store, sha256, f->size_bytes, e);
	if (rc != ERR_MISMATCH)
		return rc;
	/* Damage: put it aside and fetch it anew. */
	return loss_note(s->w->d, sha256, true, e->msg, e);
}

/* Large files first: the last to end should not be the longest. Equal contents, whose sizes are equal too, come side by side. */
static int by_size_and_content(const void *a, const void *b)
{
	const struct fetch_file *x = a, *y = b;
	int way = memcmp(&x->id, &y->id, sizeof(x->id));

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes < y->size_bytes ? 1 : -1;
	return way ? way : strcmp(x->path, y->path);
}

static void order_wanted(struct sync *s)
{
	if (s->n_wanted)
		qsort(s->wanted, s->n_wanted, sizeof(*s->wanted), by_size_and_content);
	for (size_t i = 1; i < s->n_wanted; i++)
		s->wanted[i].same = s->wanted[i - 1].size_bytes == s->wanted[i].size_bytes && digest_equal(&s->wanted[i - 1].id, &s->wanted[i].id);
}

static void want(struct sync *s, const struct model_file *f)
{
	struct fetch_file *to = vec_push(&s->wanted, &s->n_wanted, &s->cap_wanted);

	*to = (struct fetch_file){ .path = arena_strdup(&s->missing, f->path), .size_bytes = f->size_bytes, .id = f->sha256.algo == DIGEST_SHA256 ? f->sha256 : f->git_oid };
}

/* What the store holds already of what is missing, recorded in groups. */
struct found {
	struct model_stored files[FOUND_GROUP];
	size_t n;
};

static int record_found(struct sync *s, struct found *found, struct err *e)
{
	int rc = found->n ? model_files_stored(s->w->db, s->revision_id, found->files, found->n, e) : 0;

	found->n = 0;
	return rc;
}

bool sync_is_evidence(struct sync *s, const struct model_file *f)
{
	if (f->wanted || f->stored || !documents_is_evidence(f->path, f->size_bytes, s->linked))
		return false;
	if (s->evidence_files == EVIDENCE_FILES_MAX && strcmp(f->path, CARD_PATH) != 0)
		return false;
	s->evidence_files++;
	s->evidence_bytes += f->size_bytes;
	return true;
}

/* Of what is missing (which: FILES_MISSING) or left out (FILES_SKIPPED): what the store holds already is recorded, the rest must be fetched. */
static int look_at(struct sync *s, enum model_files_of which, struct err *e)
{
	own(walk) struct model_walk w = { .db = s->w->db, .revision_id = s->revision_id, .which = which };
	own(mem) struct found *found = mem_zalloc(sizeof(*found));
	own(arena) struct arena paths = { 0 };
	const struct model_file *f;
	int rc;

	while ((rc = model_walk_next(&w, &f, e)) > 0) {
		struct digest sha256;

		if (which == FILES_SKIPPED && !sync_is_evidence(s, f))
			continue;
		rc = sync_held(s, f, &sha256, e);
		if (rc < 0)
			return rc;
		if (!rc) {
			want(s, f);
			continue;
		}
		found->files[found->n++] = (struct model_stored){ arena_strdup(&paths, f->path), sha256, f->size_bytes };
		if (found->n == FOUND_GROUP) {
			if (record_found(s, found, e) < 0)
				return e->code;
			arena_done(&paths);
		}
	}
	return rc < 0 ? rc : record_found(s, found, e);
}

int sync_look_around(struct sync *s, struct err *e)
{
	int rc = look_at(s, FILES_MISSING, e);

	if (!rc)
		rc = look_at(s, FILES_SKIPPED, e);
	order_wanted(s);
	return rc;
}
