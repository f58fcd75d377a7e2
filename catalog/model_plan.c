/* model_plan.c - see model.h: what a revision consists of, what of it is stored, what is missing. */
#include "catalog/model.h"

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"

/* --- the revision row --- */

static int find_revision(struct db_conn *c, int64_t model_id, const struct digest *commit, int64_t *id, int *state, int64_t *planned_at, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id, state, planned_at FROM revision WHERE model_id = $1 AND commit_id = $2", e);

	*id = *planned_at = 0;
	*state = 0;
	sql_int(&q, model_id);
	sql_digest(&q, commit);
	if (sql_row(&q)) {
		*id = sql_get_int(&q, 0);
		*state = (int)sql_get_int(&q, 1);
		*planned_at = sql_get_int(&q, 2);
	}
	return sql_done(&q);
}

static int insert_revision(struct db_conn *c, const struct model_plan *p, const struct digest *commit, int64_t now, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO revision (model_id, commit_id, state, planned_at, state_at, title, commit_at, selection, upstream_key) "
					    "VALUES ($1, $2, 1, $3, $3, $4, $5, $6, $7) RETURNING id",
					    e);

	sql_int(&q, p->model_id);
	sql_digest(&q, commit);
	sql_int(&q, now);
	sql_text(&q, p->title);
	sql_int(&q, p->commit_at);
	sql_text(&q, p->selection);
	sql_text(&q, p->upstream_key);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

/* A published revision keeps its state; every other begins again. */
static int replan_revision(struct db_conn *c, int64_t id, const struct model_plan *p, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE revision SET planned_at = $2, selection = $3, title = coalesce($4, title), upstream_key = coalesce($6, upstream_key), "
					    "commit_at = CASE WHEN $5 = 0 THEN commit_at ELSE $5 END, reason = CASE state WHEN 7 THEN reason ELSE NULL END, "
					    "state_at = CASE state WHEN 7 THEN state_at ELSE $2 END, state = CASE state WHEN 7 THEN 7 ELSE 1 END WHERE id = $1",
					    e);

	sql_int(&q, id);
	sql_int(&q, now);
	sql_text(&q, p->selection);
	sql_text(&q, p->title);
	sql_int(&q, p->commit_at);
	sql_text(&q, p->upstream_key);
	return sql_run(&q);
}

/* What is asked for last stands last, also behind what was asked for in this second, or while the clock was ahead: asked_at orders, and is no date. */
static int want_ref(struct db_conn *c, int64_t id, const char *ref, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO ref_wanted (revision_id, name, asked_at) SELECT $1, $2, coalesce(max(CASE WHEN x.asked_at < $3 THEN $3 ELSE x.asked_at + 1 END), $3) "
					    "FROM revision AS me JOIN revision AS r ON r.model_id = me.model_id AND r.id <> me.id JOIN ref_wanted AS x ON x.revision_id = r.id AND x.name = $2 "
					    "WHERE me.id = $1 ON CONFLICT (revision_id, name) DO UPDATE SET asked_at = excluded.asked_at",
					    e);

	sql_int(&q, id);
	sql_text(&q, ref);
	sql_int(&q, now);
	return sql_run(&q);
}

/* --- blobs --- */

/* The row of a content, made as a mere claim when it is new. A stored blob's size is the truth. */
static int blob_id(struct db_conn *c, const struct digest *sha256, uint64_t size_bytes, int64_t *id, struct err *e)
{
	char hex[DIGEST_HEX_MAX];
	uint64_t known = size_bytes;
	bool stored = false;
	int rc;

	{
		own(sql) struct sql q = sql_prepare(c, "SELECT id, size_bytes, stored FROM blob WHERE sha256 = $1", e);
		*id = 0;
		sql_digest(&q, sha256);
		if (sql_row(&q)) {
			*id = sql_get_int(&q, 0);
			known = (uint64_t)sql_get_int(&q, 1);
			stored = sql_get_int(&q, 2) != 0;
		}
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	digest_hex(hex, sha256);
	if (stored && known != size_bytes)
		return err_set(e, ERR_MISMATCH, "content %s has %llu bytes, not %llu", hex, (unsigned long long)known, (unsigned long long)size_bytes);
	if (*id)
		return 0;
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO blob (sha256, size_bytes) VALUES ($1, $2) RETURNING id", e);
	sql_digest(&q, sha256);
	sql_int(&q, (int64_t)size_bytes);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

static int use_blob(struct db_conn *c, int64_t blob, int64_t revision_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO blob_use (blob_id, revision_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", e);

	sql_int(&q, blob);
	sql_int(&q, revision_id);
	return sql_run(&q);
}

/* --- files --- */

struct old_file {
	bool known;
	struct digest git_oid, sha256;
	uint64_t size_bytes;
	int wanted;
	int64_t blob;
};

static int find_file(struct db_conn *c, int64_t id, const char *path, struct old_file *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT f.git_oid, f.size_bytes, f.wanted, coalesce(f.blob_id, 0), b.sha256, f.lfs FROM file AS f "
					    "LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 AND f.path = $2",
					    e);

	*f = (struct old_file){ 0 };
	sql_int(&q, id);
	sql_text(&q, path);
	if (sql_row(&q)) {
		f->known = true;
		sql_get_digest(&q, 0, DIGEST_SHA1, &f->git_oid);
		f->size_bytes = (uint64_t)sql_get_int(&q, 1);
		f->wanted = (int)sql_get_int(&q, 2);
		f->blob = sql_get_int(&q, 3);
		sql_get_digest(&q, 4, DIGEST_SHA256, &f->sha256);
		model_file_oid(&f->git_oid, sql_get_int(&q, 5) != 0, &f->sha256, f->size_bytes);
	}
	return sql_done(&q);
}

/* What need not be kept: the id of the pointer that follows from the content's digest and size. */
static const struct digest *kept_oid(const struct model_file *f, int64_t blob, const struct digest *none)
{
	struct digest derived = { 0 };

	if (blob)
		model_file_oid(&derived, f->lfs, &f->sha256, f->size_bytes);
	return digest_equal(&derived, &f->git_oid) ? none : &f->git_oid;
}

static int put_file(struct db_conn *c, int64_t id, const struct model_file *f, int wanted, int64_t blob, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO file (revision_id, path, size_bytes, git_oid, lfs, wanted, blob_id, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
					    "ON CONFLICT (revision_id, path) DO UPDATE SET size_bytes = $3, git_oid = $4, lfs = $5, wanted = $6, blob_id = $7, why = $8",
					    e);
	const struct digest none = { 0 };

	sql_int(&q, id);
	sql_text(&q, f->path);
	sql_int(&q, (int64_t)f->size_bytes);
	sql_digest(&q, kept_oid(f, blob, &none));
	sql_int(&q, f->lfs);
	sql_int(&q, wanted);
	sql_int_or_null(&q, blob);
	sql_text(&q, wanted ? NULL : f->skip_reason);
	return sql_run(&q);
}

/* 0 skipped, 1 wanted, 2 pending: newly wanted while the revision is served. Once served, a file stays. */
static int wanted_now(const struct model_file *f, const struct old_file *old, bool published)
{
	if (!published)
		return f->wanted ? 1 : 0;
	if (old->known && old->wanted == 1)
		return 1;
	return f->wanted ? 2 : 0;
}

static int plan_file(struct db_conn *c, int64_t id, const struct model_file *f, bool published, struct err *e)
{
	struct old_file old;
	int64_t blob;
	bool differs;
	int rc, wanted;

	if ((rc = find_file(c, id, f->path, &old, e)) < 0)
		return rc;
	differs = old.known && f->git_oid.algo != DIGEST_NONE && old.git_oid.algo != DIGEST_NONE && !digest_equal(&old.git_oid, &f->git_oid);
	if (differs && published)
		return err_set(e, ERR_MISMATCH, "%s has another git id than when this commit was listed before: a commit never changes, so one listing was wrong", f->path);
	if (published && old.sha256.algo != DIGEST_NONE && f->sha256.algo != DIGEST_NONE && !digest_equal(&old.sha256, &f->sha256))
		return err_set(e, ERR_MISMATCH, "%s has another SHA-256 than when this commit was listed before: a commit never changes, so one listing was wrong", f->path);
	if (f->size_bytes > INT64_MAX)
		return err_set(e, ERR_INPUT, "%s claims a size of %llu bytes", f->path, (unsigned long long)f->size_bytes);
	/* What was never published may have been planned from a listing that lied: the newer claim counts. */
	blob = differs ? 0 : old.blob;
	if ((blob == 0 || !published) && f->sha256.algo == DIGEST_SHA256 && (rc = blob_id(c, &f->sha256, f->size_bytes, &blob, e)) < 0)
		return err_wrap(e, "%s", f->path);
	wanted = wanted_now(f, &old, published);
	if ((rc = put_file(c, id, f, wanted, blob, e)) < 0)
		return rc;
	return blob && wanted ? use_blob(c, blob, id, e) : 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(const struct model_file *const *)a)->path, (*(const struct model_file *const *)b)->path);
}

/* Is one of the directories on the way to path itself a file of the listing? */
static bool passes_through_file(const struct model_file *const *sorted, size_t n, const char *path)
{
	char dir[1025];	/* fdio_check_relative() has seen to the length */

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct model_file key = { .path = dir };
		const struct model_file *k = &key;

		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
		if (bsearch(&k, sorted, n, sizeof(*sorted), by_path))
			return true;
	}
	return false;
}

/* Two files of one name, or a file where another needs a directory, can't be laid out on any disk. */
static int check_distinct(const struct model_file *const *sorted, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int rc = fdio_check_relative(sorted[i]->path, e);

		if (rc < 0)
			return rc;
		if (i > 0 && !strcmp(sorted[i - 1]->path, sorted[i]->path))
			return err_set(e, ERR_INPUT, "the listing names %s twice", sorted[i]->path);
		if (passes_through_file(sorted, n, sorted[i]->path))
			return err_set(e, ERR_INPUT, "the listing has a file where %s needs a directory", sorted[i]->path);
	}
	return 0;
}

/* Files that an earlier, differing listing of this commit had (a partial one, say): not any more. */
static int forget_unlisted(struct db_conn *c, int64_t id, const struct model_file *const *sorted, size_t n, struct err *e)
{
	own(arena) struct arena a;
	const char **gone = NULL;
	size_t n_gone = 0, cap = 0;
	int rc;

	arena_init(&a);
	{
		own(sql) struct sql q = sql_prepare(c, "SELECT path FROM file WHERE revision_id = $1", e);
		sql_int(&q, id);
		while (sql_row(&q)) {
			struct model_file key = { .path = sql_get_text(&q, 0) };
			const struct model_file *k = &key;

			if (!bsearch(&k, sorted, n, sizeof(*sorted), by_path))
				*list_push(&a, &gone, &n_gone, &cap) = arena_strdup(&a, key.path);
		}
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	for (size_t i = 0; i < n_gone; i++) {
		own(sql) struct sql q = sql_prepare(c, "DELETE FROM file WHERE revision_id = $1 AND path = $2", e);
		sql_int(&q, id);
		sql_text(&q, gone[i]);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return 0;
}

static int plan_files(struct db_conn *c, int64_t id, const struct model_plan *p, bool published, struct err *e)
{
	own(mem) const struct model_file **sorted = NULL;
	int rc;

	if (p->n_files > MODEL_FILES_MAX)
		return err_set(e, ERR_LIMIT, "the revision lists %zu files: at most %d are taken", p->n_files, MODEL_FILES_MAX);
	sorted = calloc(p->n_files + 1, sizeof(*sorted));
	if (!sorted)
		abort();
	for (size_t i = 0; i < p->n_files; i++)
		sorted[i] = &p->files[i];
	qsort(sorted, p->n_files, sizeof(*sorted), by_path);
	if ((rc = check_distinct((const struct model_file *const *)sorted, p->n_files, e)) < 0)
		return rc;
	for (size_t i = 0; i < p->n_files; i++)
		if ((rc = plan_file(c, id, sorted[i], published, e)) < 0)
			return rc;
	return published ? 0 : forget_unlisted(c, id, (const struct model_file *const *)sorted, p->n_files, e);
}

int model_sum_files_tx(struct db_conn *c, int64_t id, struct err *e)
{
	int64_t size = 0;
	unsigned formats = 0;
	int rc;

	{
		own(sql) struct sql q = sql_prepare(c, "SELECT path, size_bytes FROM file WHERE revision_id = $1 AND wanted = 1", e);
		sql_int(&q, id);
		while (sql_row(&q)) {
			enum format f = format_of_path(sql_get_text(&q, 0));

			if (__builtin_add_overflow(size, sql_get_int(&q, 1), &size))
				return err_set(e, ERR_INPUT, "the sizes of the files add up to more than can be counted");
			if (f != FORMAT_NONE)
				formats |= FORMAT_BIT(f);
		}
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET size_bytes = $2, formats = $3 WHERE id = $1", e);
	sql_int(&q, id);
	sql_int(&q, size);
	sql_int(&q, formats);
	return sql_run(&q);
}

/* Is a published revision just as it was asked for? */
static int is_settled(struct db_conn *c, int64_t id, const struct model_plan *p, bool *settled, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT NOT EXISTS (SELECT 1 FROM file WHERE revision_id = $1 AND wanted = 2) AND NOT EXISTS (SELECT 1 FROM file AS f "
					    "LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 AND f.wanted = 1 AND coalesce(b.stored, 0) = 0) "
					    "AND ($3 IS NULL OR EXISTS (SELECT 1 FROM ref WHERE model_id = $2 AND name = $3 AND revision_id = $1))",
					    e);

	sql_int(&q, id);
	sql_int(&q, p->model_id);
	sql_text(&q, p->ref);
	*settled = sql_row(&q) && sql_get_int(&q, 0) != 0;
	return sql_done(&q);
}

/* A published commit that is asked for by its id, and of which nothing new is wanted, is no newer for that: lost files may be fetched again. */
static int keep_place(struct db_conn *c, int64_t id, int64_t planned_at, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE revision SET planned_at = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM file WHERE revision_id = $1 AND wanted = 2)", e);

	sql_int(&q, id);
	sql_int(&q, planned_at);
	return sql_run(&q);
}

/* This one was asked for last, whatever a clock that was ahead has written down with others. */
static int put_others_behind(struct db_conn *c, int64_t model_id, int64_t id, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE revision SET planned_at = $3 - 1 WHERE model_id = $1 AND id <> $2 AND planned_at >= $3 "
					    "AND EXISTS (SELECT 1 FROM revision AS me WHERE me.id = $2 AND me.planned_at = $3)",
					    e);

	sql_int(&q, model_id);
	sql_int(&q, id);
	sql_int(&q, now);
	return sql_run(&q);
}

static int plan_tx(struct db_conn *c, const struct model_plan *p, const struct digest *commit, int64_t now, int64_t *id, bool *changed, struct err *e)
{
	bool settled = false;
	int64_t planned_at;
	int state, rc;

	if ((rc = find_revision(c, p->model_id, commit, id, &state, &planned_at, e)) < 0)
		return rc;
	if (state == REVISION_RETIRED)
		return err_set(e, ERR_REFUSED, "revision %.12s is retired: restore it before it is synced again", p->commit);
	if (*id == 0)
		rc = insert_revision(c, p, commit, now, id, e);
	else
		rc = replan_revision(c, *id, p, now, e);
	if (rc < 0 || (p->ref && (rc = want_ref(c, *id, p->ref, now, e)) < 0))
		return rc;
	if ((rc = plan_files(c, *id, p, state == REVISION_PUBLISHED, e)) < 0 || (rc = model_sum_files_tx(c, *id, e)) < 0)
		return rc;
	if (state == REVISION_PUBLISHED && !p->ref && (rc = keep_place(c, *id, planned_at, e)) < 0)
		return rc;
	if ((rc = put_others_behind(c, p->model_id, *id, now, e)) < 0)
		return rc;
	if (state == REVISION_PUBLISHED && (rc = is_settled(c, *id, p, &settled, e)) < 0)
		return rc;
	*changed = !settled;
	return model_refresh_tx(c, p->model_id, e);
}

int model_plan(struct db *db, const struct model_plan *p, int64_t now, int64_t *revision_id, bool *changed, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct digest commit;
	int64_t id;
	bool differs;
	int rc;

	if ((rc = digest_parse(&commit, DIGEST_SHA1, p->commit, e)) < 0)
		return err_wrap(e, "commit");
	if (p->ref && (strlen(p->ref) == 0 || strlen(p->ref) > MODEL_REF_MAX))
		return err_set(e, ERR_INPUT, "a ref's name has 1 to %d bytes", MODEL_REF_MAX);
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = plan_tx(t.c, p, &commit, now, &id, &differs, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	*revision_id = id;
	if (changed)
		*changed = differs;
	return 0;
}

int model_ask_ref(struct db *db, int64_t revision_id, const char *ref, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = want_ref(t.c, revision_id, ref, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* --- stored --- */

struct planned_file {
	bool found, lfs;
	uint64_t size_bytes;
	struct digest sha256;
};

static int find_planned(struct db_conn *c, int64_t id, const char *path, struct planned_file *f, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT f.lfs, f.size_bytes, b.sha256 FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id "
					    "WHERE f.revision_id = $1 AND f.path = $2",
					    e);

	*f = (struct planned_file){ 0 };
	sql_int(&q, id);
	sql_text(&q, path);
	if (sql_row(&q)) {
		f->found = true;
		f->lfs = sql_get_int(&q, 0) != 0;
		f->size_bytes = (uint64_t)sql_get_int(&q, 1);
		sql_get_digest(&q, 2, DIGEST_SHA256, &f->sha256);
	}
	return sql_done(&q);
}

static int mark_stored(struct db_conn *c, int64_t blob, uint64_t size_bytes, struct err *e)
{
	int rc;

	{
		own(sql) struct sql q = sql_prepare(c, "UPDATE blob SET size_bytes = $2, stored = 1 WHERE id = $1", e);
		sql_int(&q, blob);
		sql_int(&q, (int64_t)size_bytes);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(c, "DELETE FROM lost WHERE blob_id = $1", e);
	sql_int(&q, blob);
	return sql_run(&q);
}

static int set_file_blob(struct db_conn *c, int64_t id, const char *path, int64_t blob, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "UPDATE file SET blob_id = $3 WHERE revision_id = $1 AND path = $2", e);

	sql_int(&q, id);
	sql_text(&q, path);
	sql_int(&q, blob);
	return sql_run(&q);
}

static int store_file(struct db_conn *c, int64_t id, const struct model_stored *s, struct err *e)
{
	struct planned_file f;
	int64_t blob;
	int rc;

	if ((rc = find_planned(c, id, s->path, &f, e)) < 0)
		return rc;
	if (!f.found)
		return err_set(e, ERR_NOT_FOUND, "the revision has no file %s", s->path);
	if (f.size_bytes != s->size_bytes)
		return err_set(e, ERR_MISMATCH, "%s has %llu bytes, the listing says %llu", s->path, (unsigned long long)s->size_bytes, (unsigned long long)f.size_bytes);
	if (f.sha256.algo == DIGEST_SHA256 && !digest_equal(&f.sha256, &s->sha256)) {
		char want[DIGEST_HEX_MAX], is[DIGEST_HEX_MAX];

		digest_hex(want, &f.sha256);
		digest_hex(is, &s->sha256);
		return err_set(e, ERR_MISMATCH, "sha256 mismatch in %s: expected %s, got %s", s->path, want, is);
	}
	if ((rc = blob_id(c, &s->sha256, s->size_bytes, &blob, e)) < 0 || (rc = mark_stored(c, blob, s->size_bytes, e)) < 0)
		return rc;
	if ((rc = set_file_blob(c, id, s->path, blob, e)) < 0)
		return rc;
	return use_blob(c, blob, id, e);
}

int model_files_stored(struct db *db, int64_t revision_id, const struct model_stored *files, size_t n, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if ((rc = store_file(t.c, revision_id, &files[i], e)) < 0)
			return rc;
	return tx_commit(&t, e);
}

int model_kin(struct db *db, int64_t revision_id, const char *const *repos, size_t n_repos, struct model_kin *kin, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	kin->n = 0;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	for (size_t i = 0; i < n_repos && kin->n < MODEL_KIN_MAX; i++) {
		own(sql) struct sql q = sql_prepare(r.c, "SELECT revision_id FROM model WHERE name = $1 AND revision_id IS NOT NULL", e);
		sql_text(&q, repos[i]);
		if (sql_row(&q))
			kin->revision_id[kin->n++] = sql_get_int(&q, 0);
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	own(sql) struct sql q = sql_prepare(r.c,
					    "SELECT DISTINCT u.revision_id FROM file AS f JOIN blob_use AS u ON u.blob_id = f.blob_id AND u.revision_id <> f.revision_id "
					    "WHERE f.revision_id = $1 AND f.lfs = 1 LIMIT $2",
					    e);
	sql_int(&q, revision_id);
	sql_int(&q, MODEL_KIN_MAX - (int64_t)kin->n);
	while (kin->n < MODEL_KIN_MAX && sql_row(&q))
		kin->revision_id[kin->n++] = sql_get_int(&q, 0);
	return sql_done(&q);
}

/* 1: the revision has the file, and its content is stored. */
static int git_blob_of(struct db_conn *c, int64_t revision_id, const char *path, const struct digest *git_oid, uint64_t size_bytes, struct digest *sha256, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT b.sha256 FROM file AS f JOIN blob AS b ON b.id = f.blob_id "
					    "WHERE f.revision_id = $1 AND f.path = $2 AND f.git_oid = $3 AND f.lfs = 0 AND b.size_bytes = $4 AND b.stored = 1",
					    e);
	bool found;
	int rc;

	sql_int(&q, revision_id);
	sql_text(&q, path);
	sql_digest(&q, git_oid);
	sql_int(&q, (int64_t)size_bytes);
	if ((found = sql_row(&q)))
		sql_get_digest(&q, 0, DIGEST_SHA256, sha256);
	rc = sql_done(&q);
	return rc < 0 ? rc : found;
}

int model_kin_git_blob(struct db *db, const struct model_kin *kin, const char *path, const struct digest *git_oid, uint64_t size_bytes, struct digest *sha256, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	for (size_t i = 0; i < kin->n && !rc; i++)
		rc = git_blob_of(r.c, kin->revision_id[i], path, git_oid, size_bytes, sha256, e);
	if (rc)
		return rc < 0 ? rc : 0;
	return err_set(e, ERR_NOT_FOUND, "no related model holds this content as %s", path);
}

int model_known_git_blob(struct db *db, int64_t model_id, const char *path, const struct digest *git_oid, uint64_t size_bytes, struct digest *sha256,
			 struct err *e)
{
	own(read) struct read r = { 0 };
	bool found;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c,
					    path ? "SELECT b.sha256 FROM revision AS r JOIN file AS f ON f.revision_id = r.id AND f.path = $4 JOIN blob AS b ON b.id = f.blob_id "
						   "WHERE r.model_id = $1 AND f.git_oid = $2 AND f.lfs = 0 AND b.size_bytes = $3 AND b.stored = 1 LIMIT 1"
						 : "SELECT b.sha256 FROM revision AS r JOIN file AS f ON f.revision_id = r.id JOIN blob AS b ON b.id = f.blob_id "
						   "WHERE r.model_id = $1 AND f.git_oid = $2 AND f.lfs = 0 AND b.size_bytes = $3 AND b.stored = 1 LIMIT 1",
					    e);
	sql_int(&q, model_id);
	sql_digest(&q, git_oid);
	sql_int(&q, (int64_t)size_bytes);
	if (path)
		sql_text(&q, path);
	if ((found = sql_row(&q)))
		sql_get_digest(&q, 0, DIGEST_SHA256, sha256);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no other revision holds this content as %s", path ? path : "any file");
}
