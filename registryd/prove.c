/* prove.c - see prove.h. */
#include "registryd/prove.h"

#include "catalog/finding.h"
#include "verify/git_object.h"

/*
 * Does the pointer that digest and size imply have the blob id of the listing? A pointer with extensions has another text, which the
 * listing's pointerSize gives away; such a file is proven by its hash only.
 */
static int check_pointer(const struct hub_file *f, enum proof_level *level, struct err *e)
{
	struct git_pointer p = { f->sha256, f->size_bytes };
	char text[GIT_POINTER_MAX];
	struct digest id;

	if (!f->lfs || !f->size_bytes)	/* an empty file is its own pointer */
		return 0;
	git_pointer_id(&id, &p);
	if (digest_equal(&id, &f->oid))
		return 0;
	if (f->pointer_bytes && f->pointer_bytes != git_pointer_text(text, &p)) {
		*level = PROOF_HASH;
		return 0;
	}
	return err_set(e, ERR_MISMATCH, "the listing contradicts itself about '%.300s': its SHA-256 and size do not give the git object id of its pointer", f->path);
}

static int check_listing(const struct hub_tree *t, enum proof_level *level, struct err *e)
{
	*level = PROOF_LISTING;
	for (size_t i = 0; i < t->n_files; i++) {
		int rc = t->files[i].masked ? 0 : check_pointer(&t->files[i], level, e);

		if (rc)
			return rc;
	}
	return 0;
}

int prove_listing(struct work *w, struct hub *h, const char *repo, const char *commit, const struct hub_tree *t, const struct model_file *files, size_t n,
		  int64_t revision_id, struct err *e)
{
	enum proof_level level;
	int rc = check_listing(t, &level, e);

	(void)h, (void)repo, (void)commit, (void)files, (void)n;
	if (!rc)
		rc = finding_record(w->db, revision_id, "proof", NULL, 0, NULL, 0, true, work_now(), e);
	return rc ? rc : model_set_proof(w->db, revision_id, level, e);
}
