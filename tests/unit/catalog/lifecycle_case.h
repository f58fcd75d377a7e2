/* lifecycle_case.h - what the tests of lifecycle share: a published model, orders, what holds, a run of the rules, and what events say. */
#ifndef LIFECYCLE_CASE_H
#define LIFECYCLE_CASE_H

#include "catalog_test.h"

#include "base/json.h"
#include "catalog/event.h"
#include "catalog/lifecycle.h"
#include "catalog/model.h"

#define DAY 86400
#define NOW (20000 * (int64_t)DAY)

static inline int64_t make_at(struct db *db, const char *name, char salt, int64_t now, int64_t *rev)
{
	struct model_upstream u = { .name = name, .upstream = "hub" };
	struct model_file file = { .path = "config.json", .size_bytes = 3, .wanted = true };
	struct model_stored stored = { .path = "config.json", .size_bytes = 3 };
	char commit[41];
	int64_t id;

	memset(commit, salt, 40);
	commit[40] = 0;
	digest_of(&stored.sha256, DIGEST_SHA256, &salt, 1);
	file.sha256 = stored.sha256;
	ok(model_upsert(db, &u, now, &id, e));
	struct model_plan p = { .model_id = id, .commit = commit, .ref = "main", .files = &file, .n_files = 1 };
	ok(model_plan(db, &p, now, rev, NULL, e));
	ok(model_files_stored(db, *rev, &stored, 1, e));
	struct policy_verdict v = { .outcome = POLICY_PUBLISH, .summary = "x" };
	ok(model_conclude(db, *rev, &v, now, e));
	return id;
}

static inline int64_t make(struct db *db, const char *name, char salt, int64_t *rev)
{
	return make_at(db, name, salt, NOW, rev);
}

static inline struct policy *policy(const char *text)
{
	struct policy *p = NULL;

	ok(policy_parse(&p, text, strlen(text), "policy.yaml", e));
	return p;
}

/* Before a gate that lets everything pass. */
static inline int restore(struct db *db, const struct lifecycle_order *o, int64_t now, struct err *e)
{
	own(policy) struct policy *p = policy("licenses: {unknown: allow}\nrequire: {proof: none, smoke: none}");
	struct lifecycle_restored *list;
	own(arena) struct arena a;
	size_t n;

	arena_init(&a);
	return lifecycle_restore(db, o, p, now, &a, &list, &n, e);
}

static const struct policy_lifecycle rules = { .notice_s = 90 * DAY, .gone_after_sunset = true };

static inline struct lifecycle at_under(struct db *db, const char *text, int64_t m, int64_t r, int64_t now, struct arena *a)
{
	own(policy) struct policy *p = policy(text);
	struct lifecycle l;

	ok(lifecycle_at(db, m, r, p, now, a, &l, e));
	return l;
}

static inline struct lifecycle at(struct db *db, int64_t m, int64_t r, int64_t now, struct arena *a)
{
	return at_under(db, "{}", m, r, now, a);
}

static inline int64_t sweep(struct db *db, const char *text, int64_t now)
{
	own(policy) struct policy *p = policy(text);
	int64_t n;

	ok(lifecycle_apply_rules(db, p, now, &n, e));
	return n;
}

static inline void facts(struct db *db, int64_t rev, const char *license, const char *dtypes, const char *new_version)
{
	struct model_facts f = { .license = license, .dtypes = dtypes, .new_version = new_version };

	ok(model_set_facts(db, rev, &f, e));
}

/* What the newest of these says of a member; in a. */
static inline const char *said_of(struct db *db, const char *kind, const char *repo, const char *member, struct arena *a)
{
	const char *said = NULL;
	struct event *list;
	size_t n;

	ok(event_list(db, 0, repo, 1000, a, &list, &n, e));
	for (size_t i = 0; i < n; i++) {
		own(json) json_t *data = !strcmp(list[i].kind, kind) ? json_parse(list[i].data, strlen(list[i].data), kind, NULL) : NULL;

		if (data)
			said = arena_strdup(a, json_get_str(data, member));
	}
	return said;
}

static inline size_t count_events(struct db *db, const char *kind, const char *repo, const char *revision)
{
	own(arena) struct arena a;
	struct event *list;
	size_t n, found = 0;

	arena_init(&a);
	ok(event_list(db, 0, repo, 1000, &a, &list, &n, e));
	for (size_t i = 0; i < n; i++)
		found += !strcmp(list[i].kind, kind) && !strcmp(list[i].revision, revision);
	return found;
}

#endif
