/* model_find.c - see model.h: from names to models, revisions, refs and files. */
#include "catalog/model.h"

#include "base/str.h"
#include "base/vec.h"
#include "catalog/list.h"
#include "catalog/model_tx.h"
#include "verify/git_object.h"

#define SHORT_COMMIT_MIN 7

/* --- rows --- */

void model_row(struct sql *q, int col, struct arena *a, struct model *m)
{
	*m = (struct model){
		.id = sql_get_int(q, col),
		.name = sql_get_dup(q, col + 1, a),
		.author = sql_get_dup(q, col + 2, a),
		.upstream = sql_get_dup(q, col + 3, a),
		.gated = (enum model_gate)sql_get_int(q, col + 4),
		.is_private = sql_get_int(q, col + 5) != 0,
		.disabled = sql_get_int(q, col + 6) != 0,
		.vanished_at = sql_get_int(q, col + 7),
		.downloads = sql_get_int(q, col + 8),
		.likes = sql_get_int(q, col + 9),
		.created_at = sql_get_int(q, col + 10),
		.modified_at = sql_get_int(q, col + 11),
		.checked_at = sql_get_int(q, col + 12),
	};
}

static void hex_commit(struct sql *q, int col, char out[MODEL_COMMIT_HEX + 1])
{
	char hex[DIGEST_HEX_MAX];
	struct digest d;

	sql_get_digest(q, col, DIGEST_SHA1, &d);
	digest_hex(hex, &d);
	snprintf(out, MODEL_COMMIT_HEX + 1, "%.40s", hex);
}

void model_revision_row(struct sql *q, int col, struct arena *a, struct revision *r)
{
	*r = (struct revision){
		.id = sql_get_int(q, col),
		.model_id = sql_get_int(q, col + 1),
		.state = (enum revision_state)sql_get_int(q, col + 3),
		.reason = sql_get_dup(q, col + 4, a),
		.proof = (enum proof_level)sql_get_int(q, col + 5),
		.planned_at = sql_get_int(q, col + 6),
		.state_at = sql_get_int(q, col + 7),
		.published_at = sql_get_int(q, col + 8),
		.title = sql_get_dup(q, col + 9, a),
		.commit_at = sql_get_int(q, col + 10),
		.license = sql_is_null(q, col + 11) ? "unknown" : sql_get_dup(q, col + 11, a),
		.license_name = sql_get_dup(q, col + 12, a),
		.license_source = sql_get_dup(q, col + 13, a),
		.size_bytes = (uint64_t)sql_get_int(q, col + 14),
		.params = sql_get_int(q, col + 15),
		.dtypes = sql_get_dup(q, col + 16, a),
		.architecture = sql_get_dup(q, col + 17, a),
		.quantization = sql_get_dup(q, col + 18, a),
		.task = sql_get_dup(q, col + 19, a),
		.library = sql_get_dup(q, col + 20, a),
		.context_length = sql_get_int(q, col + 21),
		.formats = (unsigned)sql_get_int(q, col + 22),
	};
	hex_commit(q, col + 2, r->commit);
}

/* --- one model, one revision --- */

static int read_model(struct db_conn *c, int64_t id, struct arena *a, struct model *m, int64_t *newest_id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " MODEL_COLUMNS ", coalesce(m.newest_id, 0) FROM model AS m" MODEL_JOINS "WHERE m.id = $1", e);
	bool found;
	int rc;

	sql_int(&q, id);
	if ((found = sql_row(&q))) {
		model_row(&q, 0, a, m);
		if (newest_id)
			*newest_id = sql_get_int(&q, MODEL_N_COLUMNS);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no model %lld", (long long)id);
}

static int read_revision(struct db_conn *c, int64_t id, struct arena *a, struct revision *r, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT " REVISION_COLUMNS " FROM revision AS r" REVISION_JOINS "WHERE r.id = $1", e);
	bool found;
	int rc;

	sql_int(&q, id);
	if ((found = sql_row(&q)))
		model_revision_row(&q, 0, a, r);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no revision %lld", (long long)id);
}

static int no_model(const char *repo, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "no model %.200s", repo);
}

/* Clients may not learn from our answers that a model exists which they can't have. */
static int has_visible(struct db_conn *c, int64_t model_id, bool *has, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM revision WHERE model_id = $1 AND published_at > 0 AND state IN (7, 8) LIMIT 1", e);

	sql_int(&q, model_id);
	*has = sql_row(&q);
	return sql_done(&q);
}

/* Revision by ref. Operators see what was last asked for under that name; clients what it serves. */
static int by_ref(struct db_conn *c, int64_t model_id, const char *ref, enum model_who who, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    who == MODEL_VISIBLE
						    ? "SELECT f.revision_id FROM ref AS f JOIN revision AS r ON r.id = f.revision_id "
						      "WHERE f.model_id = $1 AND f.name = $2 AND r.state IN (7, 8)"
						    : "SELECT revision_id FROM (SELECT w.revision_id, w.asked_at FROM revision AS r JOIN ref_wanted AS w ON w.revision_id = r.id "
						      "WHERE r.model_id = $1 AND w.name = $2 UNION ALL SELECT revision_id, 0 FROM ref WHERE model_id = $1 AND name = $2) AS x "
						      "ORDER BY asked_at DESC, revision_id DESC LIMIT 1",
					    e);

	sql_int(&q, model_id);
	sql_text(&q, ref);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

/* Revision by commit or the beginning of one: every commit between prefix000… and prefixfff…. Two of them are one too many. */
static int by_commit(struct db_conn *c, int64_t model_id, const char *hex, enum model_who who, int64_t *id, struct err *e)
{
	struct digest low, high;
	char text[MODEL_COMMIT_HEX + 1] = "";
	size_t n = strlen(hex);

	*id = 0;
	if (n < SHORT_COMMIT_MIN || n > MODEL_COMMIT_HEX || strspn(hex, "0123456789abcdef") != n)
		return 0;
	memset(text, '0', MODEL_COMMIT_HEX);
	memcpy(text, hex, n);
	digest_parse(&low, DIGEST_SHA1, text, NULL);
	memset(text + n, 'f', MODEL_COMMIT_HEX - n);
	digest_parse(&high, DIGEST_SHA1, text, NULL);
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT id FROM revision WHERE model_id = $1 AND commit_id BETWEEN $2 AND $3 AND ($4 = 0 OR (published_at > 0 AND state IN (7, 8))) "
					    "LIMIT 2",
					    e);
	sql_int(&q, model_id);
	sql_digest(&q, &low);
	sql_digest(&q, &high);
	sql_int(&q, who == MODEL_VISIBLE);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	if (*id && sql_row(&q)) {
		sql_done(&q);
		return err_set(e, ERR_NOT_FOUND, "more than one revision begins with %s: give more digits", hex);
	}
	return sql_done(&q);
}

static const char *plain_ref(const char *rev)
{
	static const char *const prefixes[] = { "refs/heads/", "refs/tags/" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_starts(rev, prefixes[i]))
			return rev + strlen(prefixes[i]);
	return rev;
}

static int find_rev(struct db_conn *c, const struct model *m, int64_t newest_id, const char *rev, enum model_who who, int64_t *id, struct err *e)
{
	int rc = 0;

	*id = 0;
	if (!rev && who == MODEL_ANY)
		*id = newest_id;
	else
		rc = by_ref(c, m->id, !rev || !strcmp(rev, "HEAD") ? "main" : plain_ref(rev), who, id, e);
	if (rc == 0 && *id == 0 && rev)
		rc = by_commit(c, m->id, rev, who, id, e);
	if (rc < 0 || *id)
		return rc;
	if (!rev && who == MODEL_ANY)
		return err_set(e, ERR_NOT_FOUND, "%s has no revision here: nothing of it was synced yet", m->name);
	return err_set(e, ERR_NOT_FOUND, "%s has no revision %.80s here", m->name, rev ? rev : "main");
}

int model_find(struct db *db, const char *repo, const char *rev, enum model_who who, struct arena *a, struct model *m, struct revision *r,
	       bool *no_such_revision, struct err *e)
{
	own(read) struct read rd = { 0 };
	int64_t model_id, newest_id, id;
	bool visible = true;
	int rc;

	if (no_such_revision)
		*no_such_revision = false;
	if ((rc = read_begin(&rd, db, e)) < 0 || (rc = model_id_tx(rd.c, repo, &model_id, e)) < 0)
		return rc;
	if (model_id && who == MODEL_VISIBLE && (rc = has_visible(rd.c, model_id, &visible, e)) < 0)
		return rc;
	if (model_id == 0 || !visible)
		return no_model(repo, e);
	if ((rc = read_model(rd.c, model_id, a, m, &newest_id, e)) < 0)
		return rc;
	if ((rc = find_rev(rd.c, m, newest_id, rev, who, &id, e)) < 0) {
		if (no_such_revision)
			*no_such_revision = rc == ERR_NOT_FOUND;
		return rc;
	}
	return read_revision(rd.c, id, a, r, e);
}

int model_find_repo(struct db *db, const char *repo, struct arena *a, struct model *m, struct err *e)
{
	own(read) struct read rd = { 0 };
	int64_t id;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0 || (rc = model_id_tx(rd.c, repo, &id, e)) < 0)
		return rc;
	return id ? read_model(rd.c, id, a, m, NULL, e) : no_model(repo, e);
}

static int shown_revision(struct db_conn *c, int64_t model_id, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT r.id FROM model AS m JOIN revision AS r ON r.id = m.revision_id WHERE m.id = $1 AND r.published_at > 0 AND r.state IN (7, 8)", e);

	sql_int(&q, model_id);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int model_find_shown(struct db *db, const char *repo, struct arena *a, struct model *m, struct revision *r, struct err *e)
{
	own(read) struct read rd = { 0 };
	int64_t model_id, id;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0 || (rc = model_id_tx(rd.c, repo, &model_id, e)) < 0 || (rc = shown_revision(rd.c, model_id, &id, e)) < 0)
		return rc;
	if (!id)
		return no_model(repo, e);
	rc = read_model(rd.c, model_id, a, m, NULL, e);
	return rc < 0 ? rc : read_revision(rd.c, id, a, r, e);
}

int model_revision(struct db *db, int64_t revision_id, struct arena *a, struct model *m, struct revision *r, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0 || (rc = read_revision(rd.c, revision_id, a, r, e)) < 0)
		return rc;
	return m ? read_model(rd.c, r->model_id, a, m, NULL, e) : 0;
}

int model_next_revision(struct db *db, int64_t after, int64_t *id, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT coalesce(min(id), 0) FROM revision WHERE id > $1", e);
	sql_int(&q, after);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int model_revisions(struct db *db, int64_t model_id, enum model_who who, struct arena *a, struct revision **out, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	struct revision *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "SELECT " REVISION_COLUMNS " FROM revision AS r" REVISION_JOINS
					    "WHERE r.model_id = $1 AND ($2 = 0 OR (r.published_at > 0 AND r.state IN (7, 8))) ORDER BY r.planned_at DESC, r.id DESC",
					    e);
	sql_int(&q, model_id);
	sql_int(&q, who == MODEL_VISIBLE);
	while (sql_row(&q))
		model_revision_row(&q, 0, a, list_push(a, &list, &count, &cap));
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*out = list;
	*n = count;
	return 0;
}

/* --- refs --- */

int model_refs(struct db *db, int64_t model_id, int64_t revision_id, struct arena *a, struct model_ref **refs, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	struct model_ref *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "SELECT f.name, r.commit_id, r.id, f.moved_at, coalesce(u.is_tag, 0) FROM ref AS f JOIN revision AS r ON r.id = f.revision_id "
					    "LEFT JOIN upstream_ref AS u ON u.model_id = f.model_id AND u.name = f.name WHERE f.model_id = $1 AND ($2 = 0 OR r.id = $2) ORDER BY f.name",
					    e);
	sql_int(&q, model_id);
	sql_int(&q, revision_id);
	while (sql_row(&q)) {
		struct model_ref *f = list_push(a, &list, &count, &cap);

		*f = (struct model_ref){ .name = sql_get_dup(&q, 0, a), .revision_id = sql_get_int(&q, 2), .moved_at = sql_get_int(&q, 3),
					  .is_tag = sql_get_int(&q, 4) != 0 };
		hex_commit(&q, 1, f->commit);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*refs = list;
	*n = count;
	return 0;
}

int model_ref_superseded(struct db *db, int64_t revision_id, const char *ref, char commit[MODEL_COMMIT_HEX + 1], struct err *e)
{
	own(read) struct read rd = { 0 };
	bool found;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "SELECT h.commit_id FROM revision AS r JOIN ref_wanted AS w ON w.revision_id = r.id AND w.name = $2 "
					    "JOIN ref AS f ON f.model_id = r.model_id AND f.name = w.name AND f.revision_id <> r.id JOIN revision AS h ON h.id = f.revision_id "
					    "JOIN ref_wanted AS x ON x.revision_id = h.id AND x.name = f.name WHERE r.id = $1 AND x.asked_at > w.asked_at",
					    e);
	sql_int(&q, revision_id);
	sql_text(&q, ref);
	if ((found = sql_row(&q)))
		hex_commit(&q, 0, commit);
	rc = sql_done(&q);
	return rc < 0 ? rc : found;
}

/* --- files --- */

#define FILE_FIELDS  "f.path, f.size_bytes, f.git_oid, b.sha256, f.lfs, f.wanted, f.why, coalesce(b.stored, 0), " MODEL_IS_EVIDENCE("f")
#define FILE_COLUMNS "SELECT " FILE_FIELDS " FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id "
#define HELD	     "AND f.wanted = 1 AND b.stored = 1 "
#define SERVED	     "AND f.wanted = 1 "
#define FIRST                                                                                                                        \
	"AND f.revision_id = (SELECT min(u.revision_id) FROM blob_use AS u WHERE u.blob_id = f.blob_id) AND (b.stored = 1 "                 \
	"OR EXISTS (SELECT 1 FROM lost AS l WHERE l.blob_id = b.id) "                                                                       \
	"OR (f.wanted = 1 AND EXISTS (SELECT 1 FROM revision AS r WHERE r.id = f.revision_id AND r.state = 7))) "
#define WANTED	     "AND f.wanted > 0 "
#define SKIPPED	     "AND f.wanted = 0 "
#define MISSING	     "AND f.wanted > 0 AND coalesce(b.stored, 0) = 0 "
#define BETWEEN	     "WHERE f.revision_id = $1 AND f.path > $2 AND ($3 IS NULL OR f.path < $3) "
#define COUNT	     "SELECT count(*) FROM file AS f LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 "
#define WALK_FIRST   20		/* most revisions have no more */
#define WALK_PAGE    500

void model_file_oid(struct digest *git_oid, bool lfs, const struct digest *sha256, uint64_t size_bytes)
{
	if (lfs && git_oid->algo == DIGEST_NONE && sha256->algo == DIGEST_SHA256)
		git_pointer_id(git_oid, &(struct git_pointer){ *sha256, size_bytes });
}

static void file_row(struct sql *q, struct arena *a, struct model_file *f)
{
	*f = (struct model_file){
		.path = sql_get_dup(q, 0, a),
		.size_bytes = (uint64_t)sql_get_int(q, 1),
		.lfs = sql_get_int(q, 4) != 0,
		.wanted = sql_get_int(q, 5) != 0,
		.pending = sql_get_int(q, 5) == 2,
		.skip_reason = sql_get_dup(q, 6, a),
		.stored = sql_get_int(q, 7) != 0,
		.evidence = sql_get_int(q, 8) != 0,
	};
	sql_get_digest(q, 2, DIGEST_SHA1, &f->git_oid);
	sql_get_digest(q, 3, DIGEST_SHA256, &f->sha256);
	model_file_oid(&f->git_oid, f->lfs, &f->sha256, f->size_bytes);
}

/* All between two paths, for a list whose length is not known: an upper bound of it. */
static int count_between(struct db_conn *c, int64_t revision_id, const char *low, const char *high, size_t *n, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT count(*) FROM file AS f " BETWEEN, e);

	sql_int(&q, revision_id);
	sql_text(&q, low);
	sql_text(&q, high);
	*n = sql_row(&q) ? (size_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int model_files(struct db *db, int64_t revision_id, enum model_files_of which, const char *under, const char *after, size_t limit, struct arena *a,
		struct model_file **files, size_t *n, struct err *e)
{
	static const char *const texts[] = {
		[FILES_ALL] = FILE_COLUMNS BETWEEN "ORDER BY f.path LIMIT $4",
		[FILES_HELD] = FILE_COLUMNS BETWEEN HELD "ORDER BY f.path LIMIT $4",
		[FILES_SERVED] = FILE_COLUMNS BETWEEN SERVED "ORDER BY f.path LIMIT $4",
		[FILES_FIRST] = FILE_COLUMNS BETWEEN FIRST "ORDER BY f.path LIMIT $4",
		[FILES_WANTED] = FILE_COLUMNS BETWEEN WANTED "ORDER BY f.path LIMIT $4",
		[FILES_SKIPPED] = FILE_COLUMNS BETWEEN SKIPPED "ORDER BY f.path LIMIT $4",
		[FILES_MISSING] = FILE_COLUMNS BETWEEN MISSING "ORDER BY f.path LIMIT $4",
	};
	own(read) struct read rd = { 0 };
	const char *low = under && *under ? arena_printf(a, "%s/", under) : "";
	const char *high = *low ? arena_printf(a, "%s0", under) : NULL;	/* '0' follows '/' */
	struct model_file *list;
	size_t count = 0;
	int rc;

	if (after && strcmp(after, low) > 0)
		low = after;
	if ((rc = read_begin(&rd, db, e)) < 0 || (!limit && (rc = count_between(rd.c, revision_id, low, high, &limit, e)) < 0))
		return rc;
	list = arena_alloc(a, limit * sizeof(*list));
	own(sql) struct sql q = sql_prepare(rd.c, texts[which], e);
	sql_int(&q, revision_id);
	sql_text(&q, low);
	sql_text(&q, high);
	sql_int(&q, (int64_t)limit);
	while (count < limit && sql_row(&q))
		file_row(&q, a, &list[count++]);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*files = list;
	*n = count;
	return 0;
}

void model_walk_rewind(struct model_walk *w)
{
	arena_done(&w->page);
	w->files = NULL;
	w->n = w->i = 0;
	w->ended = false;
}

static int next_page(struct model_walk *w, struct err *e)
{
	own(mem) char *after = w->n ? mem_strdup(w->files[w->n - 1].path) : NULL;
	size_t limit = after ? WALK_PAGE : WALK_FIRST;
	int rc;

	arena_done(&w->page);
	rc = model_files(w->db, w->revision_id, w->which, "", after, limit, &w->page, &w->files, &w->n, e);
	if (rc < 0)
		w->n = 0;
	w->i = 0;
	w->ended = w->n < limit;
	return rc;
}

int model_walk_next(struct model_walk *w, const struct model_file **f, struct err *e)
{
	int rc = w->i == w->n && !w->ended ? next_page(w, e) : 0;

	if (rc < 0)
		return rc;
	if (w->i == w->n)
		return 0;
	*f = &w->files[w->i++];
	return 1;
}

int model_count(struct db *db, int64_t revision_id, enum model_files_of which, uint64_t *n, struct err *e)
{
	static const char *const texts[] = { [FILES_ALL] = COUNT, [FILES_HELD] = COUNT HELD, [FILES_SERVED] = COUNT SERVED, [FILES_FIRST] = COUNT FIRST, [FILES_WANTED] = COUNT WANTED, [FILES_SKIPPED] = COUNT SKIPPED, [FILES_MISSING] = COUNT MISSING };
	own(read) struct read rd = { 0 };
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, texts[which], e);
	sql_int(&q, revision_id);
	*n = sql_row(&q) ? (uint64_t)sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

int model_sum(struct db *db, int64_t revision_id, struct model_sum *out, struct err *e)
{
	own(read) struct read rd = { 0 };
	int rc;

	*out = (struct model_sum){ 0 };
	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "SELECT count(*), sum(f.size_bytes), sum(b.stored), sum(f.size_bytes * b.stored) FROM file AS f "
					    "LEFT JOIN blob AS b ON b.id = f.blob_id WHERE f.revision_id = $1 AND f.wanted > 0",
					    e);
	sql_int(&q, revision_id);
	if (sql_row(&q))
		*out = (struct model_sum){ (uint64_t)sql_get_int(&q, 0), (uint64_t)sql_get_int(&q, 1), (uint64_t)sql_get_int(&q, 2), (uint64_t)sql_get_int(&q, 3) };
	return sql_done(&q);
}

int model_file(struct db *db, int64_t revision_id, const char *path, enum model_files_of which, struct arena *a, struct model_file *f, struct err *e)
{
	own(read) struct read rd = { 0 };
	bool found;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, which == FILES_SERVED ? FILE_COLUMNS "WHERE f.revision_id = $1 AND f.path = $2 " SERVED : FILE_COLUMNS "WHERE f.revision_id = $1 AND f.path = $2",
					    e);
	sql_int(&q, revision_id);
	sql_text(&q, path);
	if ((found = sql_row(&q)))
		file_row(&q, a, f);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "the revision has no file %.200s", path);
}

int model_contents(struct db *db, int64_t model_id, const struct digest *sha256, struct arena *a, struct model_content **list, size_t *n, struct err *e)
{
	own(read) struct read rd = { 0 };
	size_t cap = 0;
	int rc;

	*list = NULL;
	*n = 0;
	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c,
					    "SELECT " FILE_FIELDS ", r.id, r.commit_id FROM blob AS b JOIN blob_use AS u ON u.blob_id = b.id JOIN revision AS r ON r.id = u.revision_id "
					    "JOIN file AS f ON f.revision_id = r.id AND f.blob_id = b.id WHERE b.sha256 = $1 AND r.model_id = $2 "
					    "AND r.published_at > 0 AND r.state IN (7, 8) " SERVED "ORDER BY r.planned_at DESC, r.id DESC, f.path",
					    e);
	sql_digest(&q, sha256);
	sql_int(&q, model_id);
	while (sql_row(&q)) {
		struct model_content *c;

		if (*n && (*list)[*n - 1].revision_id == sql_get_int(&q, 9))
			continue;	/* the same content under another name */
		c = list_push(a, list, n, &cap);
		c->revision_id = sql_get_int(&q, 9);
		hex_commit(&q, 10, c->commit);
		file_row(&q, a, &c->file);
	}
	return sql_done(&q);
}

int model_blobs(struct db *db, const struct digest *after, size_t limit, struct arena *a, struct digest **blobs, size_t *n, struct err *e)
{
	struct digest *list = arena_alloc(a, (limit + 1) * sizeof(*list));
	own(read) struct read rd = { 0 };
	size_t count = 0;
	int rc;

	if ((rc = read_begin(&rd, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(rd.c, "SELECT sha256 FROM blob WHERE sha256 > $1 AND stored = 1 ORDER BY sha256 LIMIT $2", e);
	sql_blob(&q, after->bytes, digest_size(after->algo));
	sql_int(&q, (int64_t)limit);
	while (sql_row(&q) && count < limit)
		sql_get_digest(&q, 0, DIGEST_SHA256, &list[count++]);
	if ((rc = sql_done(&q)) < 0)
		return rc;
	*blobs = list;
	*n = count;
	return 0;
}
