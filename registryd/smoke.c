/* smoke.c - what registryd-smoke's reports mean for a revision. They are foreign input: every value is bounded and checked against what is known. */
#include "registryd/smoke.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/format.h"

#define REASONS_MAX	  20
#define REASON_MAX_BYTES  1000
#define TEXT_MAX_BYTES	  300
#define TOKENS_MAX	  100000000
#define SMOKE_TEST_ARGS	  24

/* As configured, or three quarters of the machine's. */
static const char *memory_limit(struct work *w)
{
	uint64_t bytes = w->config->smoke.memory, page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (uint64_t)sysconf(_SC_PHYS_PAGES);

	return arena_printf(w->arena, "%llu", (unsigned long long)(bytes ? bytes : pages / 4 * 3 * page));
}

/* ---- inspection ------------------------------------------------------------------------------------------------ */

struct evidence {
	struct arena texts;
	struct finding *findings;
	size_t n_findings, cap_findings;
	struct finding_file *files;
	size_t n_files, cap_files;
	bool complete;
};

static void own_evidence(struct evidence *ev)
{
	free(ev->findings);
	free(ev->files);
	arena_done(&ev->texts);
}

/* A copy that is printable and not too long; NULL for NULL. */
static const char *tame(struct arena *a, const char *s, size_t max)
{
	return s ? str_printable(arena_strndup(a, s, strnlen(s, max))) : NULL;
}

static void add_finding(struct evidence *ev, const char *path, const char *rule, enum finding_severity severity, const char *message)
{
	if (ev->n_findings < FINDING_MAX)
		*vec_push(&ev->findings, &ev->n_findings, &ev->cap_findings) = (struct finding){ path, rule, severity, message };
}

static void read_findings(const json_t *list, struct evidence *ev)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *path = json_get_str_or(item, "path", ""), *rule = json_get_str(item, "rule"), *message = json_get_str(item, "message");
		enum finding_severity severity;

		/* A finding that can't be read is still a finding. */
		if (!rule || finding_severity_parse(&severity, json_get_str_or(item, "severity", ""), NULL)) {
			rule = "inspector-report";
			message = "the inspector reports something that can't be read";
			severity = FINDING_FLAG;
		}
		if (severity != FINDING_ACCEPT)
			add_finding(ev, tame(&ev->texts, path, 1024), tame(&ev->texts, rule, 64), severity, tame(&ev->texts, message ? message : rule, FINDING_MESSAGE_MAX - 1));
	}
}

/* Of a file that is not of the revision the catalog keeps nothing; one that can't be read here counts as not inspected, which holds. */
static void read_file(void *arg, const json_t *item)
{
	struct evidence *ev = arg;
	const char *path = json_get_str(item, "path");
	enum finding_severity verdict;

	if (!path || ev->n_files >= MODEL_FILES_MAX || finding_severity_parse(&verdict, json_get_str_or(item, "verdict", ""), NULL))
		return;
	*vec_push(&ev->files, &ev->n_files, &ev->cap_files) =
		(struct finding_file){ arena_strndup(&ev->texts, path, strnlen(path, 1024)), verdict, tame(&ev->texts, json_get_str(item, "format"), 64) };
}

/* The verdict of the whole must not be kinder than the parts, nor the parts kinder than the whole. */
static void check_whole(const json_t *report, struct evidence *ev)
{
	enum finding_severity whole, worst = FINDING_ACCEPT;

	for (size_t i = 0; i < ev->n_findings; i++)
		worst = ev->findings[i].severity > worst ? ev->findings[i].severity : worst;
	if (finding_severity_parse(&whole, json_get_str_or(report, "verdict", ""), NULL)) {
		ev->complete = false;
		add_finding(ev, "", "inspector-report", FINDING_FLAG, "the inspector's report has no verdict");
	} else if (whole > worst) {
		add_finding(ev, "", "inspector-report", whole, "the inspector's verdict is worse than its findings say");
	}
}

static void read_failure(struct work *w, int64_t revision_id, const struct smoke_child *c, struct evidence *ev)
{
	/*
	 * A parser that dies of a file, or comes to no end with it, met what it must not meet; one that did not start says nothing about the
	 * file. Reading takes little time and memory, so a limit that was passed is the file's doing too.
	 */
	bool stopped = c->signal || c->timed_out;
	struct model_file f;
	const char *path = model_file(w->db, revision_id, c->place.file, FILES_ALL, &ev->texts, &f, NULL) ? "" : f.path;

	add_finding(ev, path, stopped ? "inspector-crash" : "inspector-failed", stopped ? FINDING_REJECT : FINDING_FLAG, tame(&ev->texts, c->problem, sizeof(c->problem)));
}

int smoke_inspect(struct work *w, int64_t revision_id, const char *dir, json_t **report, struct err *e)
{
	const char *const args[] = { "--inspect", "--json", "--memory", memory_limit(w), dir, NULL };
	own(evidence) struct evidence ev = { 0 };
	own(child) struct smoke_child c = { 0 };
	int rc;

	*report = NULL;
	rc = smoke_run(w, args, read_file, &ev, &c, e);
	if (rc)
		return rc;
	if (c.report) {
		ev.complete = true;
		read_findings(json_object_get(c.report, "findings"), &ev);
		check_whole(c.report, &ev);
		rc = model_keep_document(w->db, revision_id, DOCUMENT_INSPECTION, "", c.text, strlen(c.text), work_now(), e);
	} else {
		read_failure(w, revision_id, &c, &ev);
	}
	if (!rc)
		rc = finding_record(w->db, revision_id, "inspect", ev.files, ev.n_files, ev.findings, ev.n_findings, ev.complete, work_now(), e);
	*report = take(c.report);
	return rc;
}

/* ---- smoke test ------------------------------------------------------------------------------------------------ */

static double figure(const json_t *report, const char *key)
{
	const json_t *v = json_object_get(report, key);
	double x = json_is_number(v) ? json_number_value(v) : NAN;

	return isfinite(x) && x >= 0 && x < 1e12 ? x : NAN;
}

static json_t *one_reason(const char *text)
{
	own(mem) char *clean = mem_strndup(text, strnlen(text, REASON_MAX_BYTES));

	return json_string(str_printable(clean));
}

static json_t *reasons_of(const json_t *report)
{
	const json_t *list = json_object_get(report, "reasons"), *item;
	json_t *out = json_array();
	size_t i;

	json_array_foreach (list, i, item)
		if (json_is_string(item) && json_array_size(out) < REASONS_MAX)
			json_array_append_new(out, one_reason(json_string_value(item)));
	return out;
}

/* Of several artefacts each that is as bad as the whole says why, with its name. */
static json_t *all_reasons(struct work *w, const json_t *report)
{
	const json_t *artefacts = json_object_get(report, "artefacts"), *one, *item;
	const char *verdict = json_get_str_or(report, "verdict", "");
	json_t *out = json_array();
	size_t i, k;

	if (!json_array_size(artefacts)) {
		json_decref(out);
		return reasons_of(report);
	}
	json_array_foreach (artefacts, i, one)
		if (!strcmp(json_get_str_or(one, "verdict", ""), verdict))
			json_array_foreach (json_object_get(one, "reasons"), k, item)
				if (json_is_string(item) && json_array_size(out) < REASONS_MAX)
					json_array_append_new(out, one_reason(arena_printf(w->arena, "%s: %.900s", tame(w->arena, json_get_str_or(one, "file", ""), TEXT_MAX_BYTES),
											   json_string_value(item))));
	return out;
}

static bool verdict_known(const char *v)
{
	return !strcmp(v, "pass") || !strcmp(v, "fail") || !strcmp(v, "not_run") || !strcmp(v, "error");
}

static void read_run(struct work *w, const struct smoke_child *c, struct finding_smoke *s, json_t *reasons)
{
	const char *verdict = json_get_str_or(c->report, "verdict", "");
	int64_t tokens = json_get_int(c->report, "prompt_tokens", 0);
	const json_t *platform = json_object_get(c->report, "platform");

	s->verdict = verdict_known(verdict) ? verdict : "error";
	s->device = tame(w->arena, json_get_str(c->report, "device"), TEXT_MAX_BYTES);
	s->bits_per_byte = figure(c->report, "bits_per_byte");
	s->tokens_per_s = figure(c->report, "tokens_per_s");
	s->prompt_tokens = tokens > 0 && tokens < TOKENS_MAX ? tokens : 0;
	s->report = c->text;
	if (json_is_object(platform)) {
		own(mem) char *text = json_text(platform);

		s->platform = arena_strdup(w->arena, text);
	}
	if (!strcmp(s->verdict, "pass") && !isfinite(s->bits_per_byte)) {
		s->verdict = "error";
		json_array_append_new(reasons, json_string("the smoke test says pass but gives no figure"));
	}
	if (!verdict_known(verdict))
		json_array_append_new(reasons, json_string("the smoke test's report has no verdict"));
}

/* Dying of a file is the file's fault; what was stopped from outside (time, memory) may be too large for this machine, and sound. */
static void read_death(struct work *w, const struct smoke_child *c, struct finding_smoke *s, json_t *reasons)
{
	if (c->signal && c->signal != SIGKILL && !c->timed_out)
		s->verdict = "fail";
	json_array_append_new(reasons, json_string(str_printable(arena_strdup(w->arena, c->problem))));
}

/*
 * What the run found in the files is kept as evidence with its verdict. A comparison with another revision that is worth a look is a
 * finding of its own, which holds until a person has looked.
 */
static int record_findings(struct work *w, int64_t revision_id, const json_t *report, struct err *e)
{
	static const char *const inspectors[] = { "smoke", "reference" };
	own(evidence) struct evidence all = { 0 }, one = { 0 };
	int rc = 0;

	read_findings(json_object_get(report, "findings"), &all);
	for (size_t k = 0; !rc && k < ARRAY_LEN(inspectors); k++) {
		one.n_findings = 0;
		for (size_t i = 0; i < all.n_findings; i++)
			if (!strcmp(all.findings[i].rule, "reference") == (k == 1))
				add_finding(&one, all.findings[i].path, all.findings[i].rule, all.findings[i].severity, all.findings[i].message);
		rc = finding_record(w->db, revision_id, inspectors[k], NULL, 0, one.findings, one.n_findings, true, work_now(), e);
	}
	return rc;
}

/* The options that the settings and the policy ask for. */
static size_t add_options(struct work *w, const char *args[SMOKE_TEST_ARGS], const char *device, bool structure_alone, const struct smoke_references *refs)
{
	const struct config_smoke *cfg = &w->config->smoke;
	size_t n = 0;

	args[n++] = "--json";
	args[n++] = "--device";
	args[n++] = device ? device : cfg->device ? cfg->device : "auto";
	args[n++] = "--memory";
	args[n++] = memory_limit(w);
	if (structure_alone)
		args[n++] = "--no-run";
	if (cfg->device_memory) {
		args[n++] = "--device-memory";
		args[n++] = arena_printf(w->arena, "%llu", (unsigned long long)cfg->device_memory);
	}
	if (cfg->timeout_s > 0) {
		args[n++] = "--timeout";
		args[n++] = arena_printf(w->arena, "%llds", (long long)cfg->timeout_s);
	}
	for (size_t i = 0; i < refs->n; i++) {
		args[n++] = "--reference";
		args[n++] = refs->path[i];
	}
	return n;
}

/* One that went wrong takes nothing away from an earlier verdict, nor from what was found then. */
static bool counts(struct work *w, int64_t revision_id, const struct finding_smoke *s)
{
	struct finding_smoke before;

	return strcmp(s->verdict, "error") != 0 || finding_smoke(w->db, revision_id, w->arena, &before, NULL) < 0 || !strcmp(before.verdict, "error");
}

int smoke_look(struct daemon *d, const char *device, json_t **report, struct err *e)
{
	struct config quick = *daemon_config(d);
	const char *args[] = { "--platform", "--device", device ? device : quick.smoke.device ? quick.smoke.device : "auto", NULL };
	own(child) struct smoke_child c = { 0 };
	struct work w = { .d = d, .config = &quick, .lock = PTHREAD_MUTEX_INITIALIZER };
	int rc;

	quick.smoke.timeout_s = SMOKE_LOOK_S;
	rc = smoke_run(&w, args, NULL, NULL, &c, e);
	if (rc)
		return rc;
	if (!c.report || !json_get_str(c.report, "device") || !json_is_object(json_object_get(c.report, "platform")))
		return err_set(e, ERR_FAILED, "what tests run on: %s", c.report ? "the answer names no device" : c.problem);
	*report = take(c.report);
	return 0;
}

int smoke_check_device(struct daemon *d, const char *device, struct err *e)
{
	own(json) json_t *report = NULL;
	struct err why = ERR_NONE;

	if (!device || !strcmp(device, "auto") || !strcmp(device, "cpu") || !smoke_look(d, device, &report, &why))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, "nothing is tested on %s: %s", device, why.msg);
}

int smoke_test(struct work *w, int64_t revision_id, const char *dir, const char *device, struct err *e)
{
	struct finding_smoke s = { .verdict = "error", .bits_per_byte = NAN, .tokens_per_s = NAN, .at = work_now() };
	const char *args[SMOKE_TEST_ARGS] = { NULL };
	struct smoke_references refs = { 0 };
	own(child) struct smoke_child c = { 0 };
	own(json) json_t *reasons = NULL;
	own(mem) char *text = NULL;
	struct revision r;
	struct model m;
	double max;
	int rc = model_revision(w->db, revision_id, w->arena, &m, &r, e);

	if (!rc)
		rc = smoke_references_open(w, revision_id, &refs, e);
	if (rc)
		return rc;
	args[add_options(w, args, device, policy_smoke_for(daemon_policy(w->d), m.name, r.task, &max) == POLICY_SMOKE_INSPECT, &refs)] = dir;
	rc = smoke_run(w, args, NULL, NULL, &c, e);
	smoke_references_close(&refs);
	if (rc)
		return rc;
	reasons = all_reasons(w, c.report);
	if (c.report)
		read_run(w, &c, &s, reasons);
	else
		read_death(w, &c, &s, reasons);
	if (counts(w, revision_id, &s) && (rc = record_findings(w, revision_id, c.report, e)))
		return rc;
	text = json_text(reasons);
	s.reasons = text;
	return finding_record_smoke(w->db, revision_id, &s, e);
}
