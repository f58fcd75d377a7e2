/* rules.c - see rules.h. */
#include "registryd/rules.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/event.h"
#include "catalog/job.h"
#include "registryd/bill.h"
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
};

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
	return rc ? rc : err_set(e, ERR_REFUSED, "the new policy waits and the old one stays: %s. `registryctl policy test FILE` lists them; `registryctl policy reload --yes` puts it in force all the same",
				 question);
}

static int adopt(struct daemon *d, struct policy *p, const char *who, bool yes, bool *taken, struct err *e)
{
	own(mem) char *text = policy_show(p), *old = policy_show(daemon_policy(d));
	struct policy_effect x;
	struct digest sha256;
	int rc;

	if (!strcmp(text, old)) {
		set_waiting(d->rules, (struct waiting){ 0 });
		*taken = policy_lists_licences(p) != policy_lists_licences(daemon_policy(d));	/* the same rules, which stand elsewhere now: reasons name that */
		if (*taken)
			put_in_force(d, p);
		return 0;
	}
	digest_of(&sha256, DIGEST_SHA256, text, strlen(text));
	rc = policy_compare(d->db, daemon_policy(d), p, work_now(), NULL, NULL, &x, e);
	if (!rc && policy_effect_is_drastic(&x) && !yes)
		return ask(d, &sha256, &x, e);
	if (!rc)
		rc = policy_keep(d->db, text, who, effect_json(&x), work_now(), e);
	if (rc)
		return rc;
	*taken = true;
	set_waiting(d->rules, (struct waiting){ 0 });
	put_in_force(d, p);
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
	own(arena) struct arena a;
	struct policy_kept kept;
	int rc;

	arena_init(&a);
	put_in_force(d, p);
	rc = policy_keep(d->db, text, SETTINGS, NULL, work_now(), e);
	if (!rc)
		rc = policy_kept_newest(d->db, false, &a, &kept, e);
	return rc ? rc : policy_applied(d->db, kept.id, e);
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
		return begin(d, p, e);
	}
	put_in_force(d, old);
	rc = rules_adopt(d, p, SETTINGS, false, e);
	if (rc == ERR_REFUSED) {
		log_refusal(e);
		*e = (struct err)ERR_NONE;
		rc = 0;
	}
	return rc || kept->applied ? rc : queue_work(d, SETTINGS, e);	/* the last run did not come to its end with it */
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
	rc = policy_kept_newest(d->db, false, &a, &kept, e);
	if (!rc && kept.id)
		return resume(d, &kept, p, e);
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
	if (policy_kept_newest(d->db, false, &a, &kept, e))
		return NULL;
	digest_hex(hex, &kept.sha256);
	return json_pack("{s:s, s:o, s:s, s:o}", "sha256", hex, "since", time_json(kept.at), "by", kept.who, "waiting", waiting_json(&waiting));
}

/* ---- working a change through ----------------------------------------------------------------------------------- */

struct through {
	struct work *w;
	int64_t published, unpublished, others;
	struct work_failures failures;
};

static int work_one(void *arg, const struct policy_changed *ch, struct err *e)
{
	struct through *t = arg;
	struct err why = ERR_NONE;
	char quoted[LOG_QUOTE_MAX];
	int rc = work_check(t->w, e);

	if (rc)
		return rc;
	work_phase(t->w, "judging %s", ch->repo);
	rc = ch->verdict->outcome == POLICY_PUBLISH ? gate_check_store(t->w->d, ch->revision_id, &why) : 0;
	if (!rc)
		rc = model_reconsider(t->w->db, ch->revision_id, ch->from, ch->verdict, work_now(), &why);
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

int rules_job(struct work *w, struct err *e)
{
	own(policy) struct policy *old = NULL, *parsed = NULL;
	const struct policy *new;
	struct through t = { .w = w };
	struct policy_kept from, to;
	int rc;

	rc = policy_kept_newest(w->db, true, w->arena, &from, e);
	if (!rc)
		rc = policy_kept_newest(w->db, false, w->arena, &to, e);
	if (!rc && from.id != to.id && !(rc = policy_parse(&old, from.text, strlen(from.text), "the policy before", e))) {
		new = as_in_force(w, &to, &parsed, e);
		rc = new ? policy_compare(w->db, old, new, work_now(), work_one, &t, NULL, e) : (int)e->code;
	}
	if (!rc)
		rc = work_failures(&t.failures, e);	/* then it is not applied, and is worked through again later */
	if (!rc)
		rc = policy_applied(w->db, to.id, e);
	if (!rc)
		w->result = json_pack("{s:I, s:I, s:I}", "published", (json_int_t)t.published, "unpublished", (json_int_t)t.unpublished, "others", (json_int_t)t.others);
	return rc;
}
