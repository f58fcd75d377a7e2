/* rules.c - see rules.h. */
#include "registryd/rules.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/job.h"
#include "catalog/lifecycle.h"
#include "registryd/bases.h"
#include "registryd/bill.h"
#include "registryd/derive.h"
#include "registryd/gate.h"

#define SETTINGS "settings"	/* who puts a policy in force that comes from the file */

/* A policy that a person is asked about. */
struct waiting {
	bool is;
	int64_t at;
	struct digest sha256;
	struct policy_effect effect;
};

struct rules {
	pthread_mutex_t change;		/* held while one policy takes another's place, which may take seconds; for all */
	struct policy **all;		/* whoever works goes on with the one that he took */
	size_t n, cap;
	pthread_mutex_t lock;		/* for waiting */
	struct waiting waiting;
	pthread_mutex_t dates;		/* held while the lifecycle rules are run */
	pthread_mutex_t work;		/* held while a change is worked through: what two did at once, neither would see */
	atomic_bool owed;		/* the start could not write what it should have */
	atomic_uint adopted;		/* how many policies took another's place */
	/* The one that was in force when the daemon last ran can't be read: the file's is asked about all that comes, and what was settled waits until it is adopted. */
	atomic_bool unread;
};

/* ---- those before ----------------------------------------------------------------------------------------------- */

/* One that nobody can read any more, because another version of this program wrote it, may have been any: between these two lie all, and whatever it settled changes for one of them. */
static const char *const extremes[] = {
	"licenses: {unknown: allow}\nrequire: {proof: none, smoke: none}\n",
	"licenses: {unknown: hold}\nrequire: {proof: none, smoke: none}\n",
};

struct before {
	struct policy **v;
	size_t n, cap;
};

static void own_before(struct before *b)
{
	for (size_t i = 0; i < b->n; i++)
		policy_free(b->v[i]);
	free(b->v);
}

static int add_extremes(struct before *b, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(extremes) && !rc; i++) {
		struct policy *p;

		rc = policy_parse(&p, extremes[i], strlen(extremes[i]), "one that can't be read", e);
		if (!rc)
			*vec_push(&b->v, &b->n, &b->cap) = p;
	}
	return rc;
}

static int add_before(struct before *b, const char *text, struct err *e)
{
	struct policy *p;

	if (policy_parse(&p, text, strlen(text), "the policy before", NULL))
		return add_extremes(b, e);
	*vec_push(&b->v, &b->n, &b->cap) = p;
	return 0;
}

int rules_compare(struct daemon *d, const struct policy *p, int64_t now, int (*each)(void *arg, const struct policy_changed *ch, struct err *e), void *arg,
		  struct policy_effect *out, struct err *e)
{
	const struct policy *old = daemon_policy(d);
	own(before) struct before b = { 0 };
	bool unread = atomic_load(&d->rules->unread);
	int rc = unread ? add_extremes(&b, e) : 0;

	return rc ? rc : policy_compare(d->db, unread ? (const struct policy *const *)b.v : &old, unread ? b.n : 1, p, now, each, arg, out, e);
}

/* ---- what waits ------------------------------------------------------------------------------------------------- */

static struct waiting get_waiting(struct rules *r)
{
	struct waiting w;

	pthread_mutex_lock(&r->lock);
	w = r->waiting;
	pthread_mutex_unlock(&r->lock);
	return w;
}

static void set_waiting(struct rules *r, struct waiting w)
{
	pthread_mutex_lock(&r->lock);
	r->waiting = w;
	pthread_mutex_unlock(&r->lock);
}

static json_t *effect_json(const struct policy_effect *x)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tested", (json_int_t)x->tested, "published", (json_int_t)x->published, "unpublishes",
			 (json_int_t)x->unpublishes, "publishes", (json_int_t)x->publishes, "deprecates", (json_int_t)x->deprecates, "pins", (json_int_t)x->pins, "ends",
			 (json_int_t)x->ends);
}

static void put_in_force(struct daemon *d, struct policy *p)
{
	struct rules *r = d->rules;

	if (daemon_policy(d) == p)
		return;
	*vec_push(&r->all, &r->n, &r->cap) = p;
	atomic_store(&d->policy, p);
	atomic_fetch_add(&d->reloads, 1);
}

/* An identical job that waits already does for both. */
static int queue_work(struct daemon *d, const char *who, struct err *e)
{
	struct job_new j = { .kind = "policy", .args = "{}", .who = who };
	int64_t id;

	return job_enqueue(d->db, &j, work_now(), &id, NULL, e);
}

/* ---- one in another's place ------------------------------------------------------------------------------------- */

/* The old one stays. Said once, not at every reload of the same file. */
static int ask(struct daemon *d, const struct digest *sha256, const struct policy_effect *x, struct err *e)
{
	struct waiting w = get_waiting(d->rules);
	bool again = w.is && digest_equal(&w.sha256, sha256);
	const char *meanwhile = atomic_load(&d->rules->unread) ? "the one before can't be read, and what was published under it stays" : "the new policy waits and the old one stays";
	char hex[DIGEST_HEX_MAX], question[200];
	json_t *data = effect_json(x);
	int rc = 0;

	set_waiting(d->rules, (struct waiting){ true, again ? w.at : work_now(), *sha256, *x });
	digest_hex(hex, sha256);
	json_object_set_new(data, "sha256", json_string(hex));
	if (again)
		json_decref(data);
	else
		rc = event_add(d->db, "policy.refused", NULL, NULL, data, work_now(), e);
	policy_effect_question(question, sizeof(question), x);
	return rc ? rc : err_set(e, ERR_REFUSED, "%s: %s. `registryctl policy test FILE` lists them; `registryctl policy reload --yes` puts it in force all the same", meanwhile,
				 question);
}

static int adopt(struct daemon *d, struct policy *p, const char *who, bool yes, bool *taken, struct err *e)
{
	own(mem) char *text = policy_show(p), *old = policy_show(daemon_policy(d));
	struct policy_effect x;
	struct digest sha256;
	int rc;

	if (!atomic_load(&d->rules->unread) && !strcmp(text, old)) {
		set_waiting(d->rules, (struct waiting){ 0 });
		*taken = policy_lists_licences(p) != policy_lists_licences(daemon_policy(d));	/* the same rules, which stand elsewhere now: reasons name that */
		if (*taken)
			put_in_force(d, p);
		return 0;
	}
	digest_of(&sha256, DIGEST_SHA256, text, strlen(text));
	rc = rules_compare(d, p, work_now(), NULL, NULL, &x, e);
	if (!rc && policy_effect_is_drastic(&x) && !yes)
		return ask(d, &sha256, &x, e);
	if (!rc)
		rc = policy_keep(d->db, text, who, effect_json(&x), work_now(), e);
	if (rc)
		return rc;
	*taken = true;
	atomic_fetch_add(&d->rules->adopted, 1);
	set_waiting(d->rules, (struct waiting){ 0 });
	put_in_force(d, p);
	atomic_store(&d->rules->unread, false);
	log_event(LOG_NOTICE, "policy.changed", "by=%s unpublishes=%lld publishes=%lld deprecates=%lld pins=%lld ends=%lld", who, (long long)x.unpublishes,
		  (long long)x.publishes, (long long)x.deprecates, (long long)x.pins, (long long)x.ends);
	return queue_work(d, who, e);
}

int rules_adopt(struct daemon *d, struct policy *p, const char *who, bool yes, struct err *e)
{
	bool taken = false;
	int rc;

	pthread_mutex_lock(&d->rules->change);
	rc = adopt(d, p, who, yes, &taken, e);
	pthread_mutex_unlock(&d->rules->change);
	if (!taken)
		policy_free(p);
	return rc;
}

int rules_reload(struct daemon *d, const char *who, bool yes, struct err *e)
{
	struct policy *p;
	int rc = policy_load(&p, daemon_config(d)->policy, e);

	return rc ? rc : rules_adopt(d, p, who, yes, e);
}

/* ---- the start -------------------------------------------------------------------------------------------------- */

static void log_refusal(const struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	log_event(LOG_WARNING, "policy.refused", "error=%s", log_quote(quoted, e->msg));
}

/* The file's, without one before it that it could be compared with. */
static int begin(struct daemon *d, struct policy *p, struct err *e)
{
	own(mem) char *text = policy_show(p);

	put_in_force(d, p);
	return policy_keep(d->db, text, SETTINGS, NULL, work_now(), e);
}

/* One that waits is no reason not to start. */
static int unless_refused(int rc, struct err *e)
{
	if (rc != ERR_REFUSED)
		return rc;
	log_refusal(e);
	*e = (struct err)ERR_NONE;
	return 0;
}

/* In force is the file's from now on, for there is no other; what it changes is worked through, or waits, all the same. */
static int begin_unread(struct daemon *d, struct policy *p, struct err *e)
{
	bool taken;

	put_in_force(d, p);
	atomic_store(&d->rules->unread, true);
	return unless_refused(adopt(d, p, SETTINGS, false, &taken, e), e);
}

/* The one that was in force when the daemon last ran, then the file's. */
static int resume(struct daemon *d, const struct policy_kept *kept, struct policy *p, struct err *e)
{
	own(mem) char *text = policy_show(p);
	struct err why = ERR_NONE;
	struct policy *old;
	int rc;

	if (!strcmp(text, kept->text)) {	/* the same rules; this one knows besides whether they stand in a file, and so what its reasons should name */
		put_in_force(d, p);
		return kept->applied ? 0 : queue_work(d, SETTINGS, e);
	}
	if (policy_parse(&old, kept->text, strlen(kept->text), "the policy that was in force", &why)) {
		log_refusal(&why);	/* another version of this program wrote it */
		return begin_unread(d, p, e);
	}
	put_in_force(d, old);
	rc = unless_refused(rules_adopt(d, p, SETTINGS, false, e), e);
	return rc || kept->applied ? rc : queue_work(d, SETTINGS, e);	/* the last run did not come to its end with it */
}

/* Without room in the catalog the old one stays, until rules_catch_up(). */
static int unless_full(struct daemon *d, int rc, struct err *e)
{
	char quoted[LOG_QUOTE_MAX];

	if (rc != ERR_NOSPACE)
		return rc;
	log_event(LOG_ERR, "policy.no_room", "error=%s effect=\"the policy of the settings is put in force when there is room\"", log_quote(quoted, e->msg));
	*e = (struct err)ERR_NONE;
	atomic_store(&d->rules->owed, true);
	return 0;
}

int rules_catch_up(struct daemon *d, struct err *e)
{
	struct err why = ERR_NONE;
	int rc;

	if (!atomic_load(&d->rules->owed))
		return 0;
	rc = rules_reload(d, SETTINGS, false, &why);
	if (rc && rc != ERR_NOSPACE)
		log_refusal(&why);
	if (rc != ERR_NOSPACE)
		rc = queue_work(d, SETTINGS, &why);
	if (rc)
		return err_set(e, why.code, "%s", why.msg);
	atomic_store(&d->rules->owed, false);
	return 0;
}

int rules_open(struct daemon *d, struct policy *p, struct err *e)
{
	own(arena) struct arena a;
	struct policy_kept kept;
	int rc;

	arena_init(&a);
	d->rules = mem_zalloc(sizeof(*d->rules));
	pthread_mutex_init(&d->rules->change, NULL);
	pthread_mutex_init(&d->rules->lock, NULL);
	pthread_mutex_init(&d->rules->dates, NULL);
	pthread_mutex_init(&d->rules->work, NULL);
	rc = policy_kept_newest(d->db, &a, &kept, e);
	if (!rc && kept.id)
		return unless_full(d, resume(d, &kept, p, e), e);
	if (!rc)
		return begin(d, p, e);
	policy_free(p);
	return rc;
}

void rules_close(struct daemon *d)
{
	struct rules *r = d->rules;

	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		policy_free(r->all[i]);
	free(r->all);
	pthread_mutex_destroy(&r->change);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->dates);
	pthread_mutex_destroy(&r->work);
	free(r);
	d->rules = NULL;
}

/* ---- what is said about it -------------------------------------------------------------------------------------- */

static json_t *time_json(int64_t at)
{
	char text[STR_TIME_MAX];

	str_format_iso(text, at);
	return json_string(text);
}

static json_t *waiting_json(const struct waiting *w)
{
	char hex[DIGEST_HEX_MAX], question[200];
	json_t *j;

	if (!w->is)
		return json_null();
	digest_hex(hex, &w->sha256);
	policy_effect_question(question, sizeof(question), &w->effect);
	j = effect_json(&w->effect);
	json_object_set_new(j, "since", time_json(w->at));
	json_object_set_new(j, "sha256", json_string(hex));
	json_object_set_new(j, "message", json_string(question));
	return j;
}

json_t *rules_json(struct daemon *d, struct err *e)
{
	own(arena) struct arena a;
	struct policy_kept kept;
	struct waiting waiting = get_waiting(d->rules);
	char hex[DIGEST_HEX_MAX];

	arena_init(&a);
	if (policy_kept_newest(d->db, &a, &kept, e))
		return NULL;
	digest_hex(hex, &kept.sha256);
	return json_pack("{s:s, s:o, s:s, s:o}", "sha256", hex, "since", time_json(kept.at), "by", kept.who, "waiting", waiting_json(&waiting));
}

/* ---- working a change through ----------------------------------------------------------------------------------- */

struct through {
	struct work *w;
	unsigned adopted;		/* rules.adopted when it began */
	int64_t published, unpublished, others;
	struct work_failures failures;
};

/* Then the job of the policy that came meanwhile does what is left, and undoes what was too much. */
static bool is_overtaken(const struct through *t)
{
	return atomic_load(&t->w->d->rules->adopted) != t->adopted;
}

/* model_reconsider(), and a look at what was made from the model. */
static int reconsider(struct work *w, const struct policy_changed *ch, struct err *e)
{
	own(arena) struct arena a;
	const char *before;
	struct revision r;
	int rc;

	arena_init(&a);
	if ((rc = model_revision(w->db, ch->revision_id, &a, NULL, &r, e)))
		return rc;
	before = bases_standing(w->db, r.model_id, &a);
	rc = model_reconsider(w->db, ch->revision_id, ch->from, ch->verdict, work_now(), e);
	return rc ? rc : derive_queue(w->db, r.model_id, before, &a, e);
}

static int work_one(void *arg, const struct policy_changed *ch, struct err *e)
{
	struct through *t = arg;
	struct err why = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	int rc = work_check(t->w, e);

	if (rc)
		return rc;
	if (is_overtaken(t))
		return err_set(e, ERR_CONFLICT, "another policy has taken its place");
	work_phase(t->w, "judging %s", ch->repo);
	rc = ch->verdict->outcome == POLICY_PUBLISH ? gate_check_store(t->w->d, ch->revision_id, &why) : 0;
	if (!rc)
		rc = reconsider(t->w, ch, &why);
	if (rc == ERR_CONFLICT) {	/* its content has gone meanwhile, say: it stays what it is */
		log_event(LOG_WARNING, "policy.not_applied", "repo=%s revision=%s error=%s", ch->repo, ch->commit, log_quote(quoted, why.msg));
		return 0;
	}
	if (rc) {
		*e = why;
		err_wrap(e, "judge %s@%.12s", ch->repo, ch->commit);
		return work_failed(t->w, &t->failures, e);
	}
	bill_note(t->w->d, ch->revision_id);
	t->published += ch->verdict->outcome == POLICY_PUBLISH;
	t->unpublished += ch->from == REVISION_PUBLISHED;
	t->others += ch->from != REVISION_PUBLISHED && ch->verdict->outcome != POLICY_PUBLISH;
	return 0;
}

/* The rules that are kept under this text, as they are in force: the text itself does not know whether they stand in a file. *parsed: the caller's, where another took its place. */
static const struct policy *as_in_force(struct work *w, const struct policy_kept *k, struct policy **parsed, struct err *e)
{
	const struct policy *p = daemon_policy(w->d);
	own(mem) char *text = policy_show(p);

	if (!strcmp(text, k->text))
		return p;
	return policy_parse(parsed, k->text, strlen(k->text), "the policy in force", e) ? NULL : *parsed;
}

int rules_apply_dates(struct daemon *d, int64_t now, struct err *e)
{
	int64_t changed = 0;
	int rc;

	if (atomic_load(&d->rules->unread))
		return 0;
	pthread_mutex_lock(&d->rules->dates);
	rc = lifecycle_apply_rules(d->db, daemon_policy(d), now, &changed, e);
	pthread_mutex_unlock(&d->rules->dates);
	if (changed)
		log_event(LOG_NOTICE, "lifecycle.rules", "revisions=%lld", (long long)changed);
	return rc;
}

/* Has a later one the same rules? */
static bool is_again(const struct policy_kept *kept, size_t n, size_t i)
{
	for (size_t j = i + 1; j < n; j++)
		if (digest_equal(&kept[i].sha256, &kept[j].sha256))
			return true;
	return false;
}

/* Between the last policy that was worked through and the newest there may be some that were begun and given up: what they did is to be judged too. */
static int judge_all(struct through *t, const struct policy_kept *kept, size_t n, struct err *e)
{
	const struct policy_kept *to = &kept[n - 1];
	own(policy) struct policy *parsed = NULL;
	own(before) struct before b = { 0 };
	const struct policy *new;
	int rc = 0;

	for (size_t i = 0; i + 1 < n && !rc; i++)
		rc = is_again(kept, n, i) ? 0 : add_before(&b, kept[i].text, e);
	if (rc || !b.n)
		return rc;
	new = as_in_force(t->w, to, &parsed, e);
	return new ? policy_compare(t->w->db, (const struct policy *const *)b.v, b.n, new, work_now(), work_one, t, NULL, e) : (int)e->code;
}

static int work_through(struct through *t, struct err *e)
{
	struct work *w = t->w;
	struct policy_kept *kept;
	size_t n;
	int rc;

	if (atomic_load(&w->d->rules->unread))
		return 0;	/* the job of a daemon before this one; adopting the policy queues another */
	t->adopted = atomic_load(&w->d->rules->adopted);
	rc = policy_kept_at_work(w->db, w->arena, &kept, &n, e);
	if (!rc && n)
		rc = judge_all(t, kept, n, e);
	if (rc == ERR_CONFLICT && is_overtaken(t)) {
		*e = (struct err)ERR_NONE;
		return 0;
	}
	if (!rc)
		rc = rules_apply_dates(w->d, work_now(), e);
	if (!rc)
		rc = work_failures(&t->failures, e);	/* then it is not applied, and is worked through again later */
	return rc || !n ? rc : policy_applied(w->db, kept[n - 1].id, e);
}

int rules_job(struct work *w, struct err *e)
{
	struct through t = { .w = w };
	int rc;

	pthread_mutex_lock(&w->d->rules->work);
	rc = work_through(&t, e);
	pthread_mutex_unlock(&w->d->rules->work);
	if (!rc)
		w->result = json_pack("{s:I, s:I, s:I}", "published", (json_int_t)t.published, "unpublished", (json_int_t)t.unpublished, "others", (json_int_t)t.others);
	return rc;
}
