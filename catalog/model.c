/* model.c - see model.h: repositories as upstream describes them, states, documents, and the derived row. */
#include "catalog/model.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event_tx.h"
#include "catalog/model_tx.h"
#include "catalog/term.h"

static const char *const states[] = { "none", "planned", "fetching", "verifying", "testing", "held", "rejected", "published", "retired", NULL };
static const char *const proofs[] = { "none", "hash", "listing", "commit", NULL };

const char *revision_state_name(enum revision_state s)
{
	return states[s <= REVISION_RETIRED ? s : 0];
}

int revision_state_parse(enum revision_state *out, const char *name, struct err *e)
{
	for (int i = 1; states[i]; i++)
		if (!strcmp(states[i], name)) {
			*out = (enum revision_state)i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "unknown state '%.40s': planned, fetching, verifying, testing, held, rejected, published or retired", name);
}

const char *proof_level_name(enum proof_level p)
{
	return proofs[p <= PROOF_COMMIT ? p : 0];
}

int proof_level_parse(enum proof_level *out, const char *name, struct err *e)
{
	for (int i = 0; proofs[i]; i++)
		if (!strcmp(proofs[i], name)) {
			*out = (enum proof_level)i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "unknown proof level '%.40s': none, hash, listing or commit", name);
}

/* --- repositories --- */

int model_check_name(const char *name, struct err *e)
{
	const char *slash = strchr(name, '/');
	size_t n = strlen(name);

	if (n == 0 || n > MODEL_NAME_MAX)
		return err_set(e, ERR_USAGE, "a model's name has 1 to %d characters", MODEL_NAME_MAX);
	if (slash == name || (slash && (slash[1] == 0 || strchr(slash + 1, '/'))))
		return err_set(e, ERR_USAGE, "'%.120s' is not a model's name: ORG/NAME is", name);
	for (size_t i = 0; i < n; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/", name[i]))
			return err_set(e, ERR_USAGE, "a model's name is made of letters, digits and . _ - (character %zu is not)", i + 1);
	for (const char *part = name; part; part = (part = strchr(part, '/')) ? part + 1 : NULL)
		if (part[0] == '.' || str_starts(part, "-"))
			return err_set(e, ERR_USAGE, "no part of a model's name begins with '.' or '-': %.120s", name);
	if (strstr(name, "..") || str_ends(name, ".git"))
		return err_set(e, ERR_USAGE, "'%.120s' is not a model's name: \"..\" and \".git\" at the end are not allowed", name);
	return 0;
}

int model_id_tx(struct db_conn *c, const char *repo, int64_t *id, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT id FROM model WHERE name = $1 UNION ALL SELECT model_id FROM alias WHERE name = $1 LIMIT 1", e);

	sql_text(&q, repo);
	*id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
	return sql_done(&q);
}

static int insert_model(struct db_conn *c, const struct model_upstream *u, int64_t now, int64_t *id, struct err *e)
{
	const char *slash = strchr(u->name, '/');
	own(mem) char *author = strndup(u->name, slash ? (size_t)(slash - u->name) : 0);
	int64_t author_id, upstream_id;
	int rc;

	if ((rc = term_id(c, TERM_AUTHOR, author, &author_id, e)) < 0 || (rc = term_id(c, TERM_UPSTREAM, u->upstream, &upstream_id, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(c, "INSERT INTO model (name, author_id, upstream_id, checked_at) VALUES ($1, $2, $3, $4) RETURNING id", e);
	sql_text(&q, u->name);
	sql_int(&q, author_id);
	sql_int(&q, upstream_id);
	sql_int(&q, now);
	if (sql_row(&q))
		*id = sql_get_int(&q, 0);
	return sql_done(&q);
}

struct known {
	char name[MODEL_NAME_MAX + 1], upstream[256];
	int gated, is_private, disabled;
	bool vanished;
};

static int read_known(struct db_conn *c, int64_t id, struct known *k, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT m.name, t.name, m.gated, m.private, m.disabled, m.vanished_at FROM model AS m JOIN term AS t ON t.id = m.upstream_id "
					    "WHERE m.id = $1",
					    e);
	bool found;
	int rc;

	sql_int(&q, id);
	if ((found = sql_row(&q))) {
		snprintf(k->name, sizeof(k->name), "%s", sql_get_text(&q, 0));
		snprintf(k->upstream, sizeof(k->upstream), "%s", sql_get_text(&q, 1));
		k->gated = (int)sql_get_int(&q, 2);
		k->is_private = (int)sql_get_int(&q, 3);
		k->disabled = (int)sql_get_int(&q, 4);
		k->vanished = !sql_is_null(&q, 5);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no model %lld", (long long)id);
}

/* modified_at stays that of the shown revision where there is one (model_refresh.c): of what upstream did since, nobody sees anything here. */
static int update_model(struct db_conn *c, int64_t id, const struct model_upstream *u, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE model SET gated = CASE WHEN $2 < 0 THEN gated ELSE $2 END, private = CASE WHEN $3 < 0 THEN private ELSE $3 END, "
					    "disabled = CASE WHEN $4 < 0 THEN disabled ELSE $4 END, downloads = CASE WHEN $5 < 0 THEN downloads ELSE $5 END, "
					    "likes = CASE WHEN $6 < 0 THEN likes ELSE $6 END, created_at = CASE WHEN $7 = 0 THEN created_at ELSE $7 END, "
					    "modified_at = CASE WHEN $8 = 0 OR EXISTS (SELECT 1 FROM revision AS r WHERE r.id = model.revision_id AND r.commit_at > 0) THEN modified_at "
					    "ELSE $8 END, checked_at = $9, vanished_at = NULL WHERE id = $1",
					    e);

	sql_int(&q, id);
	sql_int(&q, u->gated);
	sql_int(&q, u->is_private < 0 ? -1 : u->is_private != 0);
	sql_int(&q, u->disabled < 0 ? -1 : u->disabled != 0);
	sql_int(&q, u->downloads);
	sql_int(&q, u->likes);
	sql_int(&q, u->created_at);
	sql_int(&q, u->modified_at);
	sql_int(&q, now);
	return sql_run(&q);
}

/* One event for each property that upstream changed under us. What is taken back is of another kind: whoever is warned of the one need not hear of the other. */
static int tell_drift(struct db_conn *c, const struct known *k, const struct model_upstream *u, int64_t now, struct err *e)
{
	const struct {
		const char *kind, *taken_back;
		int before, after;
	} changes[] = {
		{ "upstream.gated", "upstream.ungated", k->gated, u->gated },
		{ "upstream.private", "upstream.public", k->is_private, u->is_private },
		{ "upstream.disabled", "upstream.enabled", k->disabled, u->disabled },
	};
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (changes[i].after >= 0 && changes[i].after != changes[i].before &&
		    (rc = event_add_tx(c, changes[i].after ? changes[i].kind : changes[i].taken_back, k->name, NULL, json_pack("{s:i,s:i}", "before", changes[i].before, "now", changes[i].after), now, e)) < 0)
			return rc;
	if (k->vanished)
		return event_add_tx(c, "upstream.returned", k->name, NULL, NULL, now, e);
	return 0;
}

int model_add_alias_tx(struct db_conn *c, const char *name, int64_t model_id, const char *canonical, int64_t now, struct err *e)
{
	int rc;
	bool fresh;

	{
		own(sql) struct sql q = sql_prepare(c, "INSERT INTO alias (name, model_id, since) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING name", e);
		sql_text(&q, name);
		sql_int(&q, model_id);
		sql_int(&q, now);
		fresh = sql_row(&q);
		if ((rc = sql_done(&q)) < 0)
			return rc;
	}
	if (!fresh)
		return 0;
	return event_add_tx(c, "upstream.renamed", canonical, NULL, json_pack("{s:s}", "also", name), now, e);
}

/*
 * Which of our models is it? What is here by the name that it was asked by (upstream may have renamed it since), or else by its canonical one. The name we know a
 * model by does not change by itself: the other one becomes an alias. 0 when it is new.
 */
static int find_known(struct db_conn *c, const struct model_upstream *u, int64_t *id, struct err *e)
{
	int rc = 0;

	*id = 0;
	if (u->asked_name)
		rc = model_id_tx(c, u->asked_name, id, e);
	return rc || *id ? rc : model_id_tx(c, u->name, id, e);
}

/* What upstream calls the model that is here as `known`. Where that is another model here, which stays so, the former name points to the later one. */
static int add_canonical(struct db_conn *c, const char *known, const struct model_upstream *u, int64_t id, int64_t now, struct err *e)
{
	struct known later;
	int64_t canonical;
	int rc = model_id_tx(c, u->name, &canonical, e);

	if (rc || canonical == id)
		return rc;
	if (!canonical)
		return model_add_alias_tx(c, u->name, id, known, now, e);
	rc = read_known(c, canonical, &later, e);
	return rc || strcmp(later.upstream, u->upstream) ? rc : model_add_alias_tx(c, known, canonical, later.name, now, e);
}

static int refuse_other(const struct known *k, const char *upstream, struct err *e)
{
	int rc = err_set(e, ERR_CONFLICT, "%s came from upstream '%s' and now would come from '%s': a model does not change where it comes from", k->name, k->upstream, upstream);
	size_t n = e ? strlen(e->msg) : 0;

	if (e && strcmp(k->upstream, "import") != 0 && strcmp(k->upstream, "bundle") != 0)
		snprintf(e->msg + n, sizeof(e->msg) - n, "; if it is the same place under a new name or address, keep the name '%s' in the settings and change its endpoint", k->upstream);
	return rc;
}

static int upsert_tx(struct db_conn *c, const struct model_upstream *u, int64_t now, int64_t *id, struct err *e)
{
	struct known k = { 0 };
	bool known;
	int rc;

	if ((rc = find_known(c, u, id, e)) < 0)
		return rc;
	known = *id != 0;
	if (!known && (rc = insert_model(c, u, now, id, e)) < 0)
		return rc;
	if ((rc = read_known(c, *id, &k, e)) < 0)
		return rc;
	if (strcmp(k.upstream, u->upstream) != 0)
		return refuse_other(&k, u->upstream, e);
	if (known && (rc = tell_drift(c, &k, u, now, e)) < 0)
		return rc;
	if ((rc = add_canonical(c, k.name, u, *id, now, e)) < 0)
		return rc;
	if (u->asked_name && strcasecmp(k.name, u->asked_name) != 0 && (rc = model_add_alias_tx(c, u->asked_name, *id, k.name, now, e)) < 0)
		return rc;
	return update_model(c, *id, u, now, e);
}

int model_upsert(struct db *db, const struct model_upstream *u, int64_t now, int64_t *id, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t found;
	int rc;

	if ((rc = model_check_name(u->name, e)) < 0 || (u->asked_name && (rc = model_check_name(u->asked_name, e)) < 0))
		return rc;
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = upsert_tx(t.c, u, now, &found, e)) < 0 || (rc = tx_commit(&t, e)) < 0)
		return rc;
	*id = found;
	return 0;
}

/* May this one be left out without spoiling the rest? A bad name or another upstream is its own matter; a failing disk is everybody's. */
static bool is_its_own(int rc)
{
	return rc == ERR_USAGE || rc == ERR_CONFLICT;
}

static int upsert_one(struct db_conn *c, const struct model_upstream *u, int64_t now, int64_t *id, struct err *e)
{
	int rc;

	if ((rc = model_check_name(u->name, e)) < 0 || (u->asked_name && (rc = model_check_name(u->asked_name, e)) < 0))
		return rc;
	return upsert_tx(c, u, now, id, e);
}

int model_upsert_many(struct db *db, const struct model_upstream *u, size_t n, int64_t now, int64_t *ids, size_t *skipped, struct err *why, struct err *e)
{
	own(tx) struct tx t = { 0 };
	size_t left_out = 0;
	int rc;

	if (n > MODEL_BATCH_MAX)
		return err_set(e, ERR_LIMIT, "%zu models in one batch: at most %d", n, MODEL_BATCH_MAX);
	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		int64_t id = 0;

		rc = upsert_one(t.c, &u[i], now, &id, e);
		if (rc < 0 && !is_its_own(rc))
			return rc;
		if (rc < 0 && left_out++ == 0 && why && e)
			*why = *e;
		if (ids)
			ids[i] = rc < 0 ? 0 : id;
	}
	if ((rc = tx_commit(&t, e)) < 0)
		return rc;
	if (skipped)
		*skipped = left_out;
	return 0;
}

int model_saw_gone(struct db *db, int64_t model_id, bool gone, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct known k;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = read_known(t.c, model_id, &k, e)) < 0)
		return rc;
	if (k.vanished == gone)
		return 0;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE model SET vanished_at = $2, checked_at = $3 WHERE id = $1", e);
		sql_int(&q, model_id);
		sql_int_or_null(&q, gone ? now : 0);
		sql_int(&q, now);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	if ((rc = event_add_tx(t.c, gone ? "upstream.vanished" : "upstream.returned", k.name, NULL, NULL, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_saw_disabled(struct db *db, int64_t model_id, int64_t now, struct err *e)
{
	const struct model_upstream u = { .gated = -1, .is_private = -1, .disabled = 1, .downloads = -1, .likes = -1 };
	own(tx) struct tx t = { 0 };
	struct known k;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = read_known(t.c, model_id, &k, e)) < 0)
		return rc;
	if ((rc = tell_drift(t.c, &k, &u, now, e)) < 0 || (rc = update_model(t.c, model_id, &u, now, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

/* --- upstream's refs --- */

static int upstream_ref(struct db_conn *c, int64_t model_id, const char *ref, bool *seen, struct digest *commit, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT commit_id FROM upstream_ref WHERE model_id = $1 AND name = $2", e);

	*commit = (struct digest){ 0 };
	sql_int(&q, model_id);
	sql_text(&q, ref);
	*seen = sql_row(&q);
	if (*seen)
		sql_get_digest(&q, 0, DIGEST_SHA1, commit);
	return sql_done(&q);
}

static int put_upstream_ref(struct db_conn *c, int64_t model_id, const char *ref, const struct digest *commit, bool moved, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO upstream_ref (model_id, name, commit_id, seen_at, moved_at) VALUES ($1, $2, $3, $4, $4) "
					    "ON CONFLICT (model_id, name) DO UPDATE SET commit_id = $3, seen_at = $4, "
					    "moved_at = CASE WHEN $5 = 1 THEN $4 ELSE upstream_ref.moved_at END",
					    e);

	sql_int(&q, model_id);
	sql_text(&q, ref);
	sql_digest(&q, commit);
	sql_int(&q, now);
	sql_int(&q, moved);
	return sql_run(&q);
}

int model_saw_ref(struct db *db, int64_t model_id, const char *ref, const char *commit, int64_t now, bool *moved, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct digest before, after = { 0 };
	char hex[2][DIGEST_HEX_MAX];
	struct known k;
	bool seen, differs;
	int rc;

	if (strlen(ref) == 0 || strlen(ref) > MODEL_REF_MAX)
		return err_set(e, ERR_INPUT, "a ref's name has 1 to %d bytes", MODEL_REF_MAX);
	if (commit && (rc = digest_parse(&after, DIGEST_SHA1, commit, e)) < 0)
		return err_wrap(e, "ref %.80s", ref);
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = read_known(t.c, model_id, &k, e)) < 0 || (rc = upstream_ref(t.c, model_id, ref, &seen, &before, e)) < 0)
		return rc;
	if (!seen && !commit)
		return 0;	/* what was never there has not gone */
	differs = seen && before.algo != after.algo ? true : seen && before.algo != DIGEST_NONE && !digest_equal(&before, &after);
	if ((rc = put_upstream_ref(t.c, model_id, ref, &after, differs, now, e)) < 0)
		return rc;
	digest_hex(hex[0], &before);
	digest_hex(hex[1], &after);
	if (differs && (rc = event_add_tx(t.c, commit ? "upstream.moved" : "upstream.ref_gone", k.name, hex[1],
					  json_pack("{s:s,s:s,s:s}", "ref", ref, "before", hex[0], "now", hex[1]), now, e)) < 0)
		return rc;
	if ((rc = tx_commit(&t, e)) < 0)
		return rc;
	if (moved)
		*moved = differs;
	return 0;
}

int model_ref_is_tag(struct db *db, int64_t model_id, const char *ref, bool is_tag, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE upstream_ref SET is_tag = $3 WHERE model_id = $1 AND name = $2", e);

		sql_int(&q, model_id);
		sql_text(&q, ref);
		sql_int(&q, is_tag);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

int model_upstream_ref(struct db *db, int64_t model_id, const char *ref, char commit[MODEL_COMMIT_HEX + 1], struct err *e)
{
	own(read) struct read r = { 0 };
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	bool seen;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0 || (rc = upstream_ref(r.c, model_id, ref, &seen, &d, e)) < 0)
		return rc;
	digest_hex(hex, &d);
	snprintf(commit, MODEL_COMMIT_HEX + 1, "%.40s", hex);
	return 0;
}

/* --- states --- */

int model_rev_tx(struct db_conn *c, int64_t revision_id, struct model_rev *out, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "SELECT r.id, r.model_id, m.name, r.commit_id, r.state, r.published_at FROM revision AS r JOIN model AS m ON m.id = r.model_id "
					    "WHERE r.id = $1",
					    e);
	char hex[DIGEST_HEX_MAX];
	struct digest d;
	bool found;
	int rc;

	sql_int(&q, revision_id);
	if ((found = sql_row(&q))) {
		*out = (struct model_rev){ .id = sql_get_int(&q, 0),
					   .model_id = sql_get_int(&q, 1),
					   .state = (enum revision_state)sql_get_int(&q, 4),
					   .published_at = sql_get_int(&q, 5) };
		snprintf(out->repo, sizeof(out->repo), "%s", sql_get_text(&q, 2));
		sql_get_digest(&q, 3, DIGEST_SHA1, &d);
		digest_hex(hex, &d);
		snprintf(out->commit, sizeof(out->commit), "%.40s", hex);
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no revision %lld", (long long)revision_id);
}

int model_set_state_tx(struct db_conn *c, int64_t revision_id, enum revision_state state, const char *reason, int64_t now, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "UPDATE revision SET state = $2, reason = $3, state_at = $4, "
					    "published_at = CASE WHEN $2 = 7 AND published_at = 0 THEN $4 ELSE published_at END, published_no = CASE WHEN $2 = 7 AND published_at = 0 THEN "
					    "(SELECT max(o.published_no) + 1 FROM revision AS o WHERE o.model_id = revision.model_id) ELSE published_no END WHERE id = $1",
					    e);

	sql_int(&q, revision_id);
	sql_int(&q, state);
	sql_text(&q, reason);
	sql_int(&q, now);
	return sql_run(&q);
}

int model_set_state(struct db *db, int64_t revision_id, enum revision_state state, const char *reason, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	struct model_rev rev;
	int rc;

	if (state == REVISION_PUBLISHED || state == REVISION_RETIRED)
		return err_set(e, ERR_CONFLICT, "a revision becomes %s by a decision, not by setting a state", revision_state_name(state));
	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = model_rev_tx(t.c, revision_id, &rev, e)) < 0)
		return rc;
	if (rev.state == REVISION_PUBLISHED)
		return 0;	/* pending files are worked on behind what is served */
	if (rev.state == REVISION_RETIRED)
		return err_set(e, ERR_REFUSED, "%s@%.12s is retired: restore it first", rev.repo, rev.commit);
	if ((rc = model_set_state_tx(t.c, revision_id, state, reason, now, e)) < 0)
		return rc;
	if ((state == REVISION_HELD || state == REVISION_REJECTED) &&
	    (rc = event_turned_down_tx(t.c, state == REVISION_HELD ? "revision.held" : "revision.rejected", rev.repo, rev.commit, reason, NULL, now, e)) < 0)
		return rc;
	if ((rc = model_refresh_tx(t.c, rev.model_id, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_set_proof(struct db *db, int64_t revision_id, enum proof_level proof, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0)
		return rc;
	{
		own(sql) struct sql q = sql_prepare(t.c, "UPDATE revision SET proof = $2 WHERE id = $1", e);
		sql_int(&q, revision_id);
		sql_int(&q, proof);
		if ((rc = sql_run(&q)) < 0)
			return rc;
	}
	return tx_commit(&t, e);
}

/* --- documents --- */

/* text NULL: room for n bytes of body, which are written afterwards into *row. */
static int put_document(struct db_conn *c, int64_t revision_id, enum document_kind kind, const char *name, const void *text, uint64_t n, int64_t now, int64_t *row, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c,
					    "INSERT INTO document (revision_id, kind, name, at, body) VALUES ($1, $2, $3, $4, $5) "
					    "ON CONFLICT (revision_id, kind, name) DO UPDATE SET at = $4, body = $5 RETURNING rowid",
					    e);

	if (n > MODEL_DOCUMENT_MAX)
		return err_set(e, ERR_LIMIT, "a document of %llu bytes (%s): at most %u are kept", (unsigned long long)n, name, MODEL_DOCUMENT_MAX);
	sql_int(&q, revision_id);
	sql_int(&q, kind);
	sql_text(&q, name);
	sql_int(&q, now);
	if (text)
		sql_blob(&q, text, (size_t)n);
	else
		sql_room(&q, n);
	if (sql_row(&q))
		*row = sql_get_int(&q, 0);
	return sql_done(&q);
}

int model_keep_document(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, const void *text, size_t n, int64_t now,
			struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t row;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = put_document(t.c, revision_id, kind, name, text, n, now, &row, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_keep_spool(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, const struct spool *text, int64_t now, struct err *e)
{
	own(tx) struct tx t = { 0 };
	int64_t row = 0;
	int rc;

	if ((rc = tx_begin(&t, db, e)) < 0 || (rc = put_document(t.c, revision_id, kind, name, NULL, text->n, now, &row, e)) < 0 ||
	    (rc = sql_fill(t.c, "document", "body", row, text, e)) < 0)
		return rc;
	return tx_commit(&t, e);
}

int model_document(struct db *db, int64_t revision_id, enum document_kind kind, const char *name, struct arena *a, const char **text, size_t *n,
		   struct err *e)
{
	own(read) struct read r = { 0 };
	const void *p;
	bool found;
	size_t len;
	int rc;

	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT body FROM document WHERE revision_id = $1 AND kind = $2 AND name = $3", e);
	sql_int(&q, revision_id);
	sql_int(&q, kind);
	sql_text(&q, name);
	if ((found = sql_row(&q))) {
		p = sql_get_blob(&q, 0, &len);
		*text = arena_strndup(a, p ? p : "", len);
		*n = len;
	}
	if ((rc = sql_done(&q)) < 0)
		return rc;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no such document is kept: %s", name);
}

int model_selection(struct db *db, int64_t revision_id, struct arena *a, const char **selection, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc;

	*selection = NULL;
	if ((rc = read_begin(&r, db, e)) < 0)
		return rc;
	own(sql) struct sql q = sql_prepare(r.c, "SELECT selection FROM revision WHERE id = $1", e);
	sql_int(&q, revision_id);
	if (sql_row(&q))
		*selection = sql_get_dup(&q, 0, a);
	return sql_done(&q);
}

int model_is_metadata_tx(struct db_conn *c, int64_t revision_id, bool *metadata, struct err *e)
{
	own(sql) struct sql q = sql_prepare(c, "SELECT 1 FROM revision WHERE id = $1 AND state <> 7 AND json_extract(selection, '$.metadata_only')", e);

	sql_int(&q, revision_id);
	*metadata = sql_row(&q);
	return sql_done(&q);
}

int model_is_metadata(struct db *db, int64_t revision_id, bool *metadata, struct err *e)
{
	own(read) struct read r = { 0 };
	int rc = read_begin(&r, db, e);

	return rc < 0 ? rc : model_is_metadata_tx(r.c, revision_id, metadata, e);
}
