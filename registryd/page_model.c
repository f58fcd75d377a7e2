/* page_model.c - one model's page: what it is, what was checked, how to get it, its files and its card; and the lifecycle page. */
#include "base/json.h"
#include "base/str.h"
#include "catalog/query.h"
#include "catalog/usage.h"
#include "registryd/page.h"
#include "verify/card.h"

#define CARD_SHOWN_MAX (200 << 10)
#define FILES_SHOWN_MAX 2000
#define LIFECYCLE_AHEAD_S (200 * 365 * INT64_C(86400))	/* all of it */

static void put_fact(struct buf *b, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(b, "<dt>%s</dt><dd>", name);
	page_text(b, value);
	buf_puts(b, "</dd>\n");
}

static void put_licence(struct buf *b, const json_t *show)
{
	const json_t *l = json_object_get(show, "license"), *conflict;
	const char *name = json_get_str(l, "name");
	size_t i;

	buf_puts(b, "<dt>Licence</dt><dd>");
	page_text(b, json_get_str_or(l, "id", "unknown"));
	if (name) {
		buf_puts(b, " (");
		page_text(b, name);
		buf_putc(b, ')');
	}
	buf_puts(b, ", commercial use: ");
	page_text(b, json_get_str_or(l, "commercial_use", "unknown"));
	buf_puts(b, ", said by ");
	page_text(b, json_get_str_or(l, "source", "nobody"));
	buf_puts(b, "</dd>\n");
	json_array_foreach(json_object_get(l, "conflicts"), i, conflict)
		put_fact(b, "Licence conflict", json_string_value(conflict));
}

static void put_smoke(struct buf *b, const json_t *show)
{
	const json_t *s = json_object_get(show, "smoke"), *reason;
	size_t i;

	if (!json_is_object(s))
		return;
	buf_puts(b, "<dt>Smoke test</dt><dd>");
	page_text(b, json_get_str_or(s, "verdict", "not run"));
	if (json_is_number(json_object_get(s, "bits_per_byte")))
		buf_printf(b, ", %.3f bits per byte", json_get_real(s, "bits_per_byte", 0));
	if (json_get_str(s, "device")) {
		buf_puts(b, " on ");
		page_text(b, json_get_str(s, "device"));
	}
	json_array_foreach(json_object_get(s, "reasons"), i, reason) {
		buf_puts(b, "; ");
		page_text(b, json_string_value(reason));
	}
	buf_puts(b, "</dd>\n");
}

static void put_facts(struct buf *b, const struct door *d, const json_t *show)
{
	buf_puts(b, "<dl>\n");
	put_licence(b, show);
	buf_puts(b, "<dt>Size</dt><dd>");
	page_size(b, d->r.size_bytes);
	buf_puts(b, "</dd>\n<dt>Parameters</dt><dd>");
	page_count(b, d->r.params);
	buf_puts(b, "</dd>\n");
	put_fact(b, "Architecture", d->r.architecture);
	put_fact(b, "Task", d->r.task);
	put_fact(b, "Quantisation", d->r.quantization);
	put_fact(b, "Commit", d->r.commit);
	put_fact(b, "Proof", proof_level_name(d->r.proof));
	put_smoke(b, show);
	put_fact(b, "Upstream", d->m.upstream);
	buf_puts(b, "<dt>Published</dt><dd>");
	page_day(b, d->r.published_at);
	buf_puts(b, "</dd>\n</dl>\n");
}

static void put_lifecycle(struct buf *b, const struct lifecycle *l)
{
	if (l->state == LIFECYCLE_ACTIVE && !l->deprecated_at)
		return;
	buf_puts(b, "<p class=\"notice\">");
	buf_puts(b, l->state == LIFECYCLE_ACTIVE ? "Deprecation announced for " : "Deprecated since ");
	page_day(b, l->deprecated_at);
	if (l->sunset_at) {
		buf_puts(b, ", available until ");
		page_day(b, l->sunset_at);
	}
	if (l->successor) {
		buf_puts(b, "; use ");
		page_link_model(b, l->successor);
	}
	if (l->reason) {
		buf_puts(b, ". ");
		page_text(b, l->reason);
	}
	buf_puts(b, "</p>\n");
}

static void put_lost(struct buf *b, const json_t *show)
{
	const json_t *list = json_object_get(show, "lost"), *f;
	size_t i;

	if (!json_array_size(list))
		return;
	buf_puts(b, "<p class=\"notice\">Lost from the store, and not to be had until a sync has brought them back:");
	json_array_foreach(list, i, f) {
		buf_puts(b, i ? ", " : " ");
		page_text(b, json_get_str(f, "path"));
	}
	buf_puts(b, "</p>\n");
}

static void put_findings(struct buf *b, const json_t *show)
{
	const json_t *list = json_object_get(show, "findings"), *f;
	size_t i;

	if (!json_array_size(list))
		return;
	buf_puts(b, "<h2>Findings</h2><table><thead><tr><th>File</th><th>Rule</th><th>Severity</th><th>What</th></tr></thead><tbody>\n");
	json_array_foreach(list, i, f) {
		static const char *const keys[] = { "path", "rule", "severity", "message" };

		buf_puts(b, "<tr>");
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			buf_puts(b, "<td>");
			page_text(b, json_get_str(f, keys[k]));
			buf_puts(b, "</td>");
		}
		buf_puts(b, "</tr>\n");
	}
	buf_puts(b, "</tbody></table>\n");
}

/* The first n of `all`. */
static void put_files(struct buf *b, const struct door *d, const struct model_file *files, size_t n, uint64_t all)
{
	char hex[DIGEST_HEX_MAX];

	buf_printf(b, "<h2>Files (%llu)</h2><table><thead><tr><th>Path</th><th class=\"n\">Size</th><th>SHA-256</th></tr></thead><tbody>\n", (unsigned long long)all);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, "<tr><td><a href=\"/");
		page_url(b, d->m.name, "/");
		buf_printf(b, "/resolve/%s/", d->r.commit);
		page_url(b, files[i].path, "/");
		buf_puts(b, "\">");
		page_text(b, files[i].path);
		buf_puts(b, "</a></td><td class=\"n\">");
		page_size(b, files[i].size_bytes);
		digest_hex(hex, &files[i].sha256);
		buf_printf(b, "</td><td class=\"hash\">%s</td></tr>\n", hex);
	}
	buf_puts(b, "</tbody></table>\n");
	if (all > n)
		buf_printf(b, "<p>… and %llu more.</p>\n", (unsigned long long)all - n);
}

static void put_card(struct buf *b, struct request *rq, const struct door *d)
{
	struct daemon *app = rq->app;
	struct model_file f;
	const char *text;
	size_t n;

	if (model_file(app->db, d->r.id, CARD_PATH, FILES_SERVED, &rq->arena, &f, NULL) ||	/* it was read for its licence, and is not served */
	    model_document(app->db, d->r.id, DOCUMENT_CARD, "", &rq->arena, &text, &n, NULL) || !str_utf8_valid(text, n))
		return;
	buf_puts(b, "<h2>Model card</h2><pre>");
	page_text(b, n > CARD_SHOWN_MAX ? arena_strndup(&rq->arena, text, CARD_SHOWN_MAX) : text);
	buf_puts(b, "</pre>\n");
}

static void put_commands(struct buf *b, struct request *rq, const struct door *d)
{
	buf_puts(b, "<h2>Get it</h2><pre>HF_ENDPOINT=");
	page_text(b, door_base_url(rq));
	buf_puts(b, " hf download ");
	page_text(b, d->m.name);
	buf_printf(b, " --revision %s</pre>\n", d->r.commit);
}

int page_model(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	own(json) json_t *show = NULL;
	struct model_file *files;
	uint64_t all;
	struct door d;
	struct buf b;
	size_t n;
	int rc;

	if (!door_enter(rq, DOOR_FACTS, &d))
		return 0;
	if ((rc = model_files(app->db, d.r.id, FILES_SERVED, "", NULL, FILES_SHOWN_MAX, &rq->arena, &files, &n, e)) ||
	    (rc = model_count(app->db, d.r.id, FILES_SERVED, &all, e)))
		return rc;
	if (!(show = query_show(app->db, d.r.id, daemon_policy(app), rq->now, e)))
		return e->code;
	page_begin(&b, d.m.name);
	buf_puts(&b, "<h1>");
	page_text(&b, d.m.name);
	buf_puts(&b, "</h1>\n");
	put_lifecycle(&b, &d.life);
	put_lost(&b, show);
	put_facts(&b, &d, show);
	put_commands(&b, rq, &d);
	put_findings(&b, show);
	put_files(&b, &d, files, n, all);
	put_card(&b, rq, &d);
	return page_answer(rq, 200, &b);
}

static void put_end(struct buf *b, const json_t *row)
{
	static const char *const days[] = { "deprecated_at", "sunset_at" };

	buf_puts(b, "<tr><td>");
	page_link_model(b, json_get_str_or(row, "repo", ""));
	buf_puts(b, "</td><td>");
	page_text(b, json_get_str_or(row, "state", ""));
	buf_puts(b, "</td>");
	for (size_t i = 0; i < ARRAY_LEN(days); i++)
		buf_printf(b, "<td>%.10s</td>", json_get_str_or(row, days[i], "–"));
	buf_puts(b, "<td>");
	if (json_get_str(row, "successor"))
		page_link_model(b, json_get_str(row, "successor"));
	buf_puts(b, "</td><td>");
	page_text(b, json_get_str_or(row, "reason", ""));
	buf_printf(b, "</td><td class=\"n\">%lld</td></tr>\n", (long long)json_get_int(row, "pulls_30d", 0));
}

int page_lifecycle(struct request *rq, struct err *e)
{
	struct daemon *app = rq->app;
	own(json) json_t *list = NULL;
	const json_t *row;
	struct buf b;
	size_t i;

	if (usage_flush(app->db, e))	/* counters still in memory belong to the answer */
		return e->code;
	list = lifecycle_list(app->db, daemon_policy(app), rq->now + LIFECYCLE_AHEAD_S, rq->now, e);
	if (!list)
		return e->code;
	page_begin(&b, "Lifecycle");
	buf_puts(&b, "<h1>Lifecycle</h1><p>What is deprecated and what ends. <a href=\"/-/lifecycle.ics\">As a calendar</a></p>\n"
		     "<table><thead><tr><th>Model</th><th>State</th><th>Deprecated</th><th>Ends</th><th>Successor</th><th>Reason</th>"
		     "<th class=\"n\">Pulls in 30 days</th></tr></thead><tbody>\n");
	json_array_foreach(list, i, row)
		put_end(&b, row);
	buf_puts(&b, "</tbody></table>\n");
	if (!json_array_size(list))
		buf_puts(&b, "<p>Nothing is deprecated.</p>\n");
	return page_answer(rq, 200, &b);
}
