/* door.c - see door.h. */
#include "registryd/door.h"

#include <stdarg.h>

#include "base/json.h"
#include "base/str.h"
#include "catalog/finding.h"
#include "registryd/auth.h"

/* In the header whose text clients of this door show: `hf` X-HF-Warning, those of the OCI door Warning, 299 (distribution-spec, "Warnings"). */
static void warn(struct request *rq, const char *kind, const char *text)
{
	char *quoted;

	if (!http_is_oci(rq)) {
		http_set(rq, "X-HF-Warning", "%s; %s", kind, text);
		return;
	}
	quoted = arena_strdup(&rq->arena, text);
	for (char *p = quoted; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '\'';
	http_set(rq, "Warning", "299 - \"%s: %s\"", kind, quoted);
}

/* The Hub's X-Error-Code in the words of the OCI distribution API; NULL: what the status stands for. */
static const char *oci_code(const char *code)
{
	static const char *const same[][2] = { { "RepoNotFound", "NAME_UNKNOWN" }, { "RevisionNotFound", "MANIFEST_UNKNOWN" }, { "EntryNotFound", "BLOB_UNKNOWN" } };

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (code && !strcmp(code, same[i][0]))
			return same[i][1];
	return NULL;
}

int door_refuse(struct request *rq, int status, const char *code, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_printable(text);
	if (code)
		http_set(rq, "X-Error-Code", "%s", code);
	http_set(rq, "X-Error-Message", "%s", text);
	if (status == 403 || status == 410 || status == 451)	/* newer `hf` has words of its own for these, and prints ours only so */
		warn(rq, status == 410 ? "gone" : "refused", text);
	if (status == 401)
		http_challenge(rq);
	if (http_is_oci(rq))
		return http_answer_oci_error(rq, status, oci_code(code), text);
	if (!strncmp(rq->path, "/api/", 5))
		return http_answer_json(rq, status, json_pack("{s:s%}", "error", text, strlen(text)));
	if (rq->route && rq->route->flags & HTTP_HTML)
		return http_answer_page(rq, status, text);
	return http_answer_text(rq, status, "text/plain; charset=utf-8", text);
}

const char *door_base_url(struct request *rq)
{
	const struct config *c = daemon_config(rq->app);
	const char *host = rq->host;

	if (c->public_url)
		return c->public_url;
	if (!host || strpbrk(host, "<>\"\\ \t/"))
		host = c->listen.items[0];
	return arena_printf(&rq->arena, "http://%s", host);
}

/* 307 to the same address with the new name in it, relative, as the Hub does. */
static bool moved(struct request *rq, const char *asked, const char *now_called)
{
	const char *at = strstr(rq->uri, asked);
	char *location;

	if (!at)	/* the name was escaped in some way */
		location = arena_printf(&rq->arena, "/%s", now_called);
	else
		location = arena_printf(&rq->arena, "%.*s%s%s", (int)(at - rq->uri), rq->uri, now_called, at + strlen(asked));
	http_answer_redirect(rq, 307, location);
	return false;
}

/*
 * Did the site's own rules refuse this revision (its licence, format or size, or a person), so that the caller may know? What did not verify
 * or did not pass its test is nobody's business outside: to a client it is not there.
 */
static bool refused_by_policy(struct request *rq, int64_t revision_id)
{
	static const char *const rules[] = { "license", "format", "size", "person" };
	struct daemon *d = rq->app;
	struct err e = ERR_NONE;
	own(json) json_t *why = finding_why(d->db, revision_id, &e);
	const json_t *row;
	size_t i;

	json_array_foreach(why, i, row) {
		for (size_t k = 0; k < ARRAY_LEN(rules); k++)
			if (!strcmp(json_get_str_or(row, "rule", ""), rules[k]) && !strcmp(json_get_str_or(row, "verdict", ""), "reject"))
				return true;
	}
	return false;
}

/* Was it published here once, and has given its room to newer ones (gc)? Whoever pinned this commit learns that he has made no mistake. */
static bool was_freed(const struct revision *r, const char *rev)
{
	return r->published_at && r->state >= REVISION_PLANNED && r->state <= REVISION_TESTING && rev && str_is_hex(rev, MODEL_COMMIT_HEX);
}

static const char *and_successor(struct request *rq, const struct lifecycle *l)
{
	return l->successor ? arena_printf(&rq->arena, "; use %s", l->successor) : "";
}

/* Is it off the doors? As an error with their sentence about it; 0: it is not. */
static int check_off(struct request *rq, const struct model *m, const struct lifecycle *l, struct err *e)
{
	int64_t at = l->retired_at ? l->retired_at : l->sunset_at;
	const char *why = l->reason ? arena_printf(&rq->arena, ": %s", l->reason) : "";
	struct policy_lifecycle rules;
	char when[STR_TIME_MAX];

	policy_lifecycle(daemon_policy(rq->app), &rules);
	if (!lifecycle_is_off(l, &rules))
		return 0;
	if (l->state == LIFECYCLE_WITHDRAWN)
		return err_set(e, ERR_REFUSED, "%s has been withdrawn%s", m->name, why);
	if (l->state == LIFECYCLE_WITHDRAWN_LEGAL)
		return err_set(e, ERR_LEGAL, "%s is not available for legal reasons%s", m->name, why);
	str_format_iso(when, at);
	return err_set(e, ERR_GONE, "%s was retired%s%.10s%s", m->name, at ? " on " : "", at ? when : "", and_successor(rq, l));
}

static bool refuse_off(struct request *rq, const struct lifecycle *l, const struct err *e)
{
	if (e->code == ERR_GONE && l->successor)
		http_set(rq, "Link", "<%s/%s>; rel=\"successor-version\"", door_base_url(rq), l->successor);
	door_refuse(rq, err_http_status(e->code), e->code == ERR_GONE ? NULL : "GatedRepo", "%s", e->msg);
	return false;
}

/* Nothing is published under this name. Was it refused or withdrawn, so that the caller should know, or is it just not there? */
static bool absent(struct request *rq, const char *repo, const char *rev, bool no_such_revision)
{
	struct daemon *d = rq->app;
	char when[STR_TIME_MAX];
	struct lifecycle life;
	struct err off;
	struct model m;
	struct revision r;
	bool known = !model_find(d->db, repo, rev, MODEL_ANY, &rq->arena, &m, &r, NULL, NULL);

	if (known && r.state == REVISION_REJECTED && refused_by_policy(rq, r.id)) {
		door_refuse(rq, 403, "GatedRepo", "%s was refused by this registry's policy: %s", m.name, r.reason ? r.reason : "see registryctl why");
		return false;
	}
	if (known && r.published_at && lifecycle_at(d->db, m.id, r.id, daemon_policy(d), rq->now, &rq->arena, &life, NULL) == 0 && life.state > LIFECYCLE_RETIRED &&
	    check_off(rq, &m, &life, &off))
		return refuse_off(rq, &life, &off);
	if (known && was_freed(&r, rev)) {
		str_format_iso(when, r.published_at);
		door_refuse(rq, 410, NULL, "%s@%.12s was published here on %.10s and its files have been freed since: ask for a sync of this commit, or use a newer revision",
			    m.name, r.commit, when);
		return false;
	}
	if (no_such_revision)
		door_refuse(rq, 404, "RevisionNotFound", "Invalid rev id: %s", rev ? rev : "main");
	else
		door_refuse(rq, 404, "RepoNotFound", "Repository not found");
	return false;
}

/* A deprecation that lies in the future is announced to programs; people are warned once it holds, unless a refusal tells them more. */
static void announce(struct request *rq, const struct door *d, bool refused)
{
	char day[STR_TIME_MAX], http[STR_TIME_MAX];
	const struct lifecycle *l = &d->life;
	bool holds = l->state != LIFECYCLE_ACTIVE && !refused;

	if (l->deprecated_at)
		http_set(rq, "Deprecation", "@%lld", (long long)l->deprecated_at);
	if (l->successor)
		http_set(rq, "Link", "<%s/%s>; rel=\"successor-version\"", door_base_url(rq), l->successor);
	if (!l->sunset_at && holds)
		warn(rq, "deprecated", arena_printf(&rq->arena, "%s is deprecated%s%s", d->m.name, l->successor ? ", use " : "", l->successor ? l->successor : ""));
	if (!l->sunset_at)
		return;
	str_format_http_date(http, l->sunset_at);
	str_format_iso(day, l->sunset_at);
	day[10] = 0;
	http_set(rq, "Sunset", "%s", http);
	if (holds)
		warn(rq, "deprecated", arena_printf(&rq->arena, "%s is deprecated until %s%s%s", d->m.name, day, l->successor ? ", use " : "", l->successor ? l->successor : ""));
}

int64_t door_listed_at(const struct request *rq)
{
	struct policy_lifecycle rules;

	policy_lifecycle(daemon_policy(rq->app), &rules);
	return rules.gone_after_sunset ? rq->now : 0;
}

/* Why the policy refuses it to whoever names no commit; NULL: it does not. */
static const char *not_for_new_users(struct request *rq, const struct door *d, const char *rev)
{
	struct policy_lifecycle rules;

	policy_lifecycle(daemon_policy(rq->app), &rules);
	if (!rules.refuse_new_when_deprecated || d->life.state == LIFECYCLE_ACTIVE || (rev && str_is_hex(rev, 40)))
		return NULL;
	return arena_printf(&rq->arena, "%s is deprecated and no longer given to new users%s; one that needs it goes on with the commit %s", d->m.name,
			    and_successor(rq, &d->life), d->r.commit);
}

int door_check(struct request *rq, const struct model *m, const struct revision *r, const char *rev, struct err *e)
{
	struct daemon *daemon = rq->app;
	struct door d = { .m = *m, .r = *r };
	const char *why;

	if (lifecycle_at(daemon->db, m->id, r->id, daemon_policy(daemon), rq->now, &rq->arena, &d.life, e) < 0 || check_off(rq, m, &d.life, e))
		return e->code;
	why = not_for_new_users(rq, &d, rev);
	return why ? err_set(e, ERR_REFUSED, "%s", why) : 0;
}

/* What holds now for this revision: false when that was the answer. */
static bool alive(struct request *rq, struct door *d, const char *rev)
{
	const char *refused = not_for_new_users(rq, d, rev);
	struct err off;

	if (check_off(rq, &d->m, &d->life, &off))
		return refuse_off(rq, &d->life, &off);
	if (d->life.state != LIFECYCLE_ACTIVE || d->life.deprecated_at > rq->now)	/* later: announced */
		announce(rq, d, refused != NULL);
	if (refused)
		door_refuse(rq, 403, "GatedRepo", "%s", refused);
	return !refused;
}

static bool may_have_bytes(struct request *rq, const struct door *d)
{
	if ((d->m.gated == MODEL_OPEN && !d->m.is_private) || auth_known(rq) || policy_gated_open(daemon_policy(rq->app)))
		return true;
	door_refuse(rq, 401, "GatedRepo",
		    "Access to model %s is restricted. You must have access to it and be authenticated to access it: use a token of this registry.", d->m.name);
	return false;
}

/* A model that has no `main` here stands for itself by the revision that listings show. */
static int find_shown(struct request *rq, const char *repo, struct door *out)
{
	struct daemon *d = rq->app;

	return model_find_shown(d->db, repo, &rq->arena, &out->m, &out->r, NULL);
}

bool door_enter(struct request *rq, enum door_for what, struct door *out)
{
	struct daemon *d = rq->app;
	const char *repo = http_param(rq, "repo"), *rev = http_param(rq, "rev");
	bool no_such_revision = false;
	struct err e = ERR_NONE;
	int rc = model_find(d->db, repo, rev, MODEL_VISIBLE, &rq->arena, &out->m, &out->r, &no_such_revision, &e);

	if (rc == ERR_NOT_FOUND && no_such_revision && (!rev || !strcmp(rev, "HEAD")))
		rc = find_shown(rq, repo, out);
	if (rc == ERR_NOT_FOUND)
		return absent(rq, repo, rev, no_such_revision);
	if (!rc && strcasecmp(out->m.name, repo))
		return moved(rq, repo, out->m.name);
	if (!rc)
		rc = lifecycle_at(d->db, out->m.id, out->r.id, daemon_policy(d), rq->now, &rq->arena, &out->life, &e);
	if (rc) {
		http_answer_error(rq, &e);
		return false;
	}
	if (what == DOOR_BYTES)
		http_set(rq, "X-Repo-Commit", "%s", out->r.commit);
	return alive(rq, out, rev) && (what != DOOR_BYTES || may_have_bytes(rq, out));
}
