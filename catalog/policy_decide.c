/* policy_decide.c - the gate's decision: evidence, rules and time in, reasons out. Reads nothing, knows no database. See policy.h. */
#include <math.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/policy_impl.h"
#include "catalog/usage.h"

struct deciding {
	const struct policy *p;
	const struct policy_facts *f;
	struct arena *a;
	struct policy_verdict *out;
	int64_t now;
};

#define LICENCE_CONFLICT "licence conflict: "
#define LIVED_WITH	 "; it has been served all the same"

/* Content that a person's word can't publish stands under these rules. */
static bool binding(const struct policy_reason *r)
{
	return (!strcmp(r->rule, "files") && r->outcome != POLICY_PUBLISH) || (!strcmp(r->rule, "findings") && r->outcome == POLICY_REJECT);
}

static void add(struct deciding *d, const char *rule, enum policy_outcome outcome, const char *text)
{
	if (d->out->n_reasons < POLICY_REASONS_MAX)
		d->out->reasons[d->out->n_reasons++] = (struct policy_reason){ .rule = rule, .outcome = outcome, .text = text, .objection = outcome == POLICY_PUBLISH ? NULL : text };
}

static void rule_files(struct deciding *d)
{
	const struct policy_facts *f = d->f;

	if (f->n_wanted == 0)
		add(d, "files", POLICY_HOLD, "no file is mirrored");
	else if (f->n_stored < f->n_wanted)
		add(d, "files", POLICY_HOLD, arena_printf(d->a, "%zu of %zu files are not in the store", f->n_wanted - f->n_stored, f->n_wanted));
	else
		add(d, "files", POLICY_PUBLISH, arena_printf(d->a, "all %zu files are stored and verified", f->n_wanted));
}

static void rule_proof(struct deciding *d)
{
	int have = d->f->proof < 0 || d->f->proof > PROOF_COMMIT ? PROOF_NONE : d->f->proof, want = (int)d->p->proof;

	if (have < want)
		add(d, "proof", POLICY_HOLD, arena_printf(d->a, "proof reaches '%s' but policy demands '%s'", policy_proof_names[have], policy_proof_names[want]));
	else
		add(d, "proof", POLICY_PUBLISH, arena_printf(d->a, "proof reaches '%s'", policy_proof_names[have]));
}

static void rule_inspect(struct deciding *d)
{
	const struct policy_facts *f = d->f;

	if (f->n_inspected < f->n_weight_files)
		add(d, "inspect", POLICY_HOLD,
		    arena_printf(d->a, "not inspected: %s (%zu of %zu weight files)", f->not_inspected ? f->not_inspected : "a weight file",
				 f->n_weight_files - f->n_inspected, f->n_weight_files));
	else
		add(d, "inspect", POLICY_PUBLISH, arena_printf(d->a, "every weight file was inspected (%zu)", f->n_weight_files));
}

static void rule_findings(struct deciding *d)
{
	const struct policy_facts *f = d->f;

	if (f->n_rejected || f->n_flagged)
		add(d, "findings", f->n_rejected ? POLICY_REJECT : POLICY_HOLD,
		    arena_printf(d->a, "%s: %s (%s)", f->worst_path && *f->worst_path ? f->worst_path : "the revision", f->worst_message ? f->worst_message : "an inspector objects",
				 f->worst_rule ? f->worst_rule : "unnamed rule"));
	else
		add(d, "findings", POLICY_PUBLISH, "no finding");
}

/* Before anything is fetched only that there is nothing to fetch is known. */
static void rule_known_files(struct deciding *d)
{
	if (!d->f->n_wanted)
		rule_files(d);
}

/* Before anything was looked at "no finding" would be no news. */
static void rule_known_findings(struct deciding *d)
{
	if (d->f->n_flagged || d->f->n_rejected)
		rule_findings(d);
}

static bool listed(const struct policy_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcasecmp(l->v[i], id) || (strchr(l->v[i], '*') && str_glob_nocase(l->v[i], id)))
			return true;
	return false;
}

/* A pattern allows licences, and these two name none: only `unknown` does, or the word itself. */
static bool allowed(const struct policy_list *l, const char *id)
{
	bool named = strcmp(id, "unknown") != 0 && strcmp(id, "other") != 0;

	for (size_t i = 0; i < l->n && !named; i++)
		if (!strcasecmp(l->v[i], id))
			return true;
	return named && listed(l, id);
}

/* By its id, or by the name that the card has for it. */
static bool listed_as_said(const struct deciding *d, const struct policy_list *l, const char *id)
{
	return listed(l, id) || (d->f->license_said && listed(l, d->f->license_said));
}

static void rule_licence_listed(struct deciding *d, const char *id)
{
	static const char *const unknown_words[] = { "allow", "hold", "deny" };
	const struct policy *p = d->p;
	const struct licence *l = licence_find(id);

	if (listed_as_said(d, &p->deny, id))
		add(d, "license", POLICY_REJECT, arena_printf(d->a, "licence %s is denied (licenses.deny)", id));
	else if (listed_as_said(d, &p->hold, id))
		add(d, "license", POLICY_HOLD, arena_printf(d->a, "licence %s needs a person's decision (licenses.hold)", id));
	else if (allowed(&p->allow, id))
		add(d, "license", POLICY_PUBLISH, arena_printf(d->a, "licence %s is allowed (licenses.allow)", id));
	else if (p->default_licences && l && l->permissive)
		add(d, "license", POLICY_PUBLISH, arena_printf(d->a, "licence %s is permissive", id));
	else if (p->default_licences)
		add(d, "license", POLICY_HOLD, arena_printf(d->a, "licence %s is not one of the permissive licences, which alone are published where no policy file lists licences", id));
	else
		add(d, "license", p->unknown, arena_printf(d->a, "licence %s is in no list of the policy (licenses.unknown: %s)", id, unknown_words[p->unknown]));
}

static void rule_licence(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	const char *id = f->license ? f->license : "unknown";

	rule_licence_listed(d, id);
	if (f->license_unread)
		add(d, "license", POLICY_PUBLISH, f->license_unread);	/* no objection of its own; whoever reads `why` should know */
	for (size_t i = 0; i < f->n_license_conflicts; i++)
		add(d, "license", POLICY_HOLD, arena_printf(d->a, LICENCE_CONFLICT "%s", f->license_conflicts[i]));
}

static void rule_format(struct deciding *d)
{
	unsigned denied = d->f->formats & d->p->formats_deny;

	for (int format = FORMAT_SAFETENSORS; format < FORMAT_N; format++)
		if (denied & FORMAT_BIT(format))
			add(d, "format", POLICY_REJECT, arena_printf(d->a, "format %s is denied (formats.deny)", format_name((enum format)format)));
	if (!denied)
		add(d, "format", POLICY_PUBLISH, "no denied format");
}

static void rule_size(struct deciding *d)
{
	char have[STR_SIZE_MAX], max[STR_SIZE_MAX];

	str_format_size(have, d->f->size_bytes);
	str_format_size(max, d->p->size_max);
	if (d->p->size_max && d->f->size_bytes > d->p->size_max)
		add(d, "size", POLICY_REJECT, arena_printf(d->a, "%s are more than the %s that policy allows (size.max)", have, max));
	else
		add(d, "size", POLICY_PUBLISH, have[0] ? arena_printf(d->a, "%s", have) : "");
}

/* Of the namespace as a whole, with this revision in it. What is published already is not taken off for the sake of room. */
static void rule_quota(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	uint64_t max = policy_quota(d->p, f->author ? f->author : "");
	char have[STR_SIZE_MAX], most[STR_SIZE_MAX];

	if (!max || !f->namespace_bytes || f->is_published)
		return;
	str_format_size(have, f->namespace_bytes);
	str_format_size(most, max);
	if (f->namespace_bytes > max)
		add(d, "quota", POLICY_HOLD,
		    arena_printf(d->a, "with it the models of %s take %s, more than their quota of %s (retention.quotas): `registryctl gc` lets go of what is not in use and of what was retired %d days ago; else raise it",
				 f->author && *f->author ? f->author : "no namespace", have, most, USAGE_LATELY_DAYS));
	else
		add(d, "quota", POLICY_PUBLISH, arena_printf(d->a, "%s of the namespace's %s", have, most));
}

enum policy_smoke policy_smoke_for(const struct policy *p, const char *repo, const char *task, double *max_bits_per_byte)
{
	enum policy_smoke smoke = p->smoke;
	double bits = p->max_bits_per_byte;

	/* The first entry that fits and speaks of a demand decides that demand. */
	for (size_t i = p->n_exceptions; i-- > 0;) {
		const struct policy_exception *x = &p->exceptions[i];

		if ((x->repo && !(repo && str_glob_nocase(x->repo, repo))) || (x->task && !(task && str_glob_nocase(x->task, task))))
			continue;
		if (x->require >= 0)
			smoke = (enum policy_smoke)x->require;
		if (!isnan(x->max_bits_per_byte))
			bits = x->max_bits_per_byte;
	}
	*max_bits_per_byte = bits;
	return smoke;
}

/* What the test says against it, whether policy demands it or not. Where inspection is enough, how it speaks is no matter. */
static const char *smoke_failed(struct deciding *d, enum policy_smoke want, double max)
{
	const struct policy_facts *f = d->f;

	if (want == POLICY_SMOKE_INSPECT && (f->is_sound || !f->smoke || strcmp(f->smoke, "fail") != 0))
		return NULL;
	if (f->smoke && !strcmp(f->smoke, "fail"))
		return arena_printf(d->a, POLICY_SMOKE_FAILED "%s", f->smoke_reason ? f->smoke_reason : "no reason given");
	if (f->smoke && !strcmp(f->smoke, "pass") && f->bits_per_byte > max)
		return arena_printf(d->a, "%.3f bits per byte are more than %g (smoke.max_bits_per_byte)", f->bits_per_byte, max);
	return NULL;
}

static void smoke_not_asked(struct deciding *d, const char *failed)
{
	if (d->out->n_reasons < POLICY_REASONS_MAX)
		d->out->reasons[d->out->n_reasons++] = (struct policy_reason){ .rule = "smoke", .text = "policy demands no smoke test", .objection = failed };
}

static void smoke_passed(struct deciding *d)
{
	double bits = d->f->bits_per_byte;

	if (isnan(bits))
		add(d, "smoke", POLICY_HOLD, "the smoke test passed but gave no bits per byte");
	else
		add(d, "smoke", POLICY_PUBLISH, arena_printf(d->a, "smoke test passed with %.3f bits per byte", bits));
}

static void rule_smoke(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	const char *why = f->smoke_reason ? f->smoke_reason : "no reason given";
	double max;
	enum policy_smoke want = policy_smoke_for(d->p, f->repo, f->task, &max);
	const char *failed = smoke_failed(d, want, max);

	if (want == POLICY_SMOKE_NONE)
		smoke_not_asked(d, failed);
	else if (failed)
		add(d, "smoke", POLICY_REJECT, failed);
	else if (want == POLICY_SMOKE_INSPECT && (!f->smoke || strcmp(f->smoke, "error")))
		add(d, "smoke", POLICY_PUBLISH, arena_printf(d->a, "inspection is enough for task %s", f->task ? f->task : "of this model"));
	else if (f->smoke && !strcmp(f->smoke, "pass"))
		smoke_passed(d);
	else if (!f->smoke)
		add(d, "smoke", POLICY_HOLD, f->formats ? "the smoke test was not run" : "the smoke test was not run: there are no weights");
	else if (!strcmp(f->smoke, "not_run") && want == POLICY_SMOKE_PASS_OR_NOT_RUN)
		add(d, "smoke", POLICY_PUBLISH, arena_printf(d->a, "%s (policy allows that)", why));
	else if (!strcmp(f->smoke, "not_run"))
		add(d, "smoke", POLICY_HOLD, arena_printf(d->a, "%s", why));
	else
		add(d, "smoke", POLICY_HOLD, arena_printf(d->a, "the smoke test could not be made: %s", why));
}

/* What a test would say nobody knows, but that there is nothing to test. */
static void rule_known_smoke(struct deciding *d)
{
	if (!d->f->formats)
		rule_smoke(d);
}

/* --- what is served all the same --- */

static void live_with(struct policy_reason *r, enum policy_outcome outcome, struct arena *a)
{
	r->lived_with = outcome;
	r->outcome = POLICY_PUBLISH;
	r->text = arena_printf(a, "%s" LIVED_WITH, r->objection);
}

const char *policy_lived_with(const char *sentence, struct arena *a)
{
	return str_ends(sentence, LIVED_WITH) ? arena_printf(a, "%.*s", (int)(strlen(sentence) - strlen(LIVED_WITH)), sentence) : NULL;
}

static bool is_conflict(const char *text)
{
	return !strncmp(text, LICENCE_CONFLICT, strlen(LICENCE_CONFLICT));
}

static bool is_failure(const char *text)
{
	return !strncmp(text, POLICY_SMOKE_FAILED, strlen(POLICY_SMOKE_FAILED));
}

/* Of licences only what came about since: one that the policy lists anew is its word on that. What a test fails with may have changed, and what a licence is in conflict with. */
static bool is_about(const struct policy_lived *l, const struct policy_reason *r)
{
	if (strcmp(l->rule, r->rule) != 0)
		return false;
	if (!strcmp(r->rule, "smoke") && r->outcome != POLICY_HOLD && (l->is_mark || (is_failure(l->text) && is_failure(r->objection))))
		return true;
	return !strcmp(l->text, r->objection) || (is_conflict(r->objection) && (l->is_mark || is_conflict(l->text)));
}

static bool is_lived_with(const struct policy_facts *f, const struct policy_reason *r)
{
	for (size_t i = 0; r->objection && !binding(r) && i < f->n_lived_with; i++)
		if (is_about(&f->lived_with[i], r))
			return true;
	return false;
}

static void live_with_known(struct deciding *d)
{
	for (size_t i = 0; i < d->out->n_reasons; i++) {
		struct policy_reason *r = &d->out->reasons[i];

		if (is_lived_with(d->f, r))
			live_with(r, r->outcome == POLICY_PUBLISH ? POLICY_REJECT : r->outcome, d->a);
	}
}

bool policy_lives_with(const struct policy_verdict *v, const char *rule, const char **what)
{
	bool is_there = false;

	*what = NULL;
	for (size_t i = 0; i < v->n_reasons && !*what; i++) {
		const struct policy_reason *r = &v->reasons[i];

		if (strcmp(r->rule, rule) != 0)
			continue;
		is_there = true;
		if (r->outcome == POLICY_PUBLISH)
			*what = r->objection;
	}
	return *what || !is_there;
}

/* The worst reason decides, the first of those. */
static void conclude(struct policy_verdict *v)
{
	v->outcome = POLICY_PUBLISH;
	v->summary = "every rule of the policy is met";
	for (size_t i = 0; i < v->n_reasons; i++) {
		if (v->reasons[i].lived_with != POLICY_PUBLISH && v->outcome == POLICY_PUBLISH)
			v->summary = v->reasons[i].text;
		if (v->reasons[i].outcome > v->outcome) {
			v->outcome = v->reasons[i].outcome;
			v->summary = v->reasons[i].text;
		}
	}
}

/* How bad the rules before found it, by the same rule; POLICY_PUBLISH: not. That licences conflict is another matter than which the policy lists. */
static enum policy_outcome objected(const struct policy_verdict *before, const struct policy_reason *to)
{
	enum policy_outcome worst = POLICY_PUBLISH;

	for (size_t i = 0; i < before->n_reasons; i++) {
		const struct policy_reason *r = &before->reasons[i];
		enum policy_outcome was = r->outcome > r->lived_with ? r->outcome : r->lived_with;

		if (r->objection && !strcmp(r->rule, to->rule) && is_conflict(r->objection) == is_conflict(to->objection) && was > worst)
			worst = was;
	}
	return worst;
}

void policy_object_anew(const struct policy_verdict *before, struct arena *a, struct policy_verdict *after)
{
	if (after->outcome == POLICY_PUBLISH)
		return;
	for (size_t i = 0; i < after->n_reasons; i++) {
		struct policy_reason *r = &after->reasons[i];
		enum policy_outcome was = r->objection && r->lived_with == POLICY_PUBLISH ? objected(before, r) : POLICY_PUBLISH;

		if (was != POLICY_PUBLISH && was >= r->outcome)
			live_with(r, r->outcome == POLICY_PUBLISH ? was : r->outcome, a);
	}
	conclude(after);
}

static void person_says(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	struct policy_verdict *v = d->out;
	const char *who = f->person_name ? f->person_name : "a person", *why = f->person_reason ? f->person_reason : "no reason given";

	if (f->person == POLICY_NOBODY)
		return;
	if (f->person == POLICY_PERSON_REJECTED) {
		v->outcome = POLICY_REJECT;
		v->summary = arena_printf(d->a, "%s rejected it: %s", who, why);
		add(d, "person", POLICY_REJECT, v->summary);
		return;
	}
	for (size_t i = 0; i < v->n_reasons; i++) {
		if (binding(&v->reasons[i])) {
			add(d, "person", v->reasons[i].outcome, arena_printf(d->a, "%s decided to publish it, which content that does not verify overrules", who));
			v->outcome = v->reasons[i].outcome;
			v->summary = v->reasons[i].text;
			return;
		}
	}
	v->outcome = POLICY_PUBLISH;
	v->summary = arena_printf(d->a, "%s decided to publish it: %s", who, why);
	add(d, "person", POLICY_PUBLISH, v->summary);
}

/* Nothing new of a kind whose end has come; what ends later may still come in, and is deprecated towards its date. */
static void rule_ends(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	const struct policy_traits t = { .repo = f->repo, .license = f->license, .license_said = f->license_said, .architecture = f->architecture, .quantization = f->quantization, .dtypes = f->dtypes,
					 .formats = f->formats, .compute_capability = f->compute_capability };
	const struct policy_end *end = policy_end_of(d->p, &t);
	char at[STR_TIME_MAX];

	if (!end || end->at > d->now || d->f->is_published)
		return;
	str_format_iso(at, end->at);
	add(d, "ends", POLICY_HOLD, arena_printf(d->a, "ended on %.10s: %s", at, end->reason ? end->reason : "the policy says so"));
}

static void run(const struct policy *p, const struct policy_facts *f, int64_t now, struct arena *a, struct policy_verdict *out, void (*const *rules)(struct deciding *),
		size_t n)
{
	struct deciding d = { p, f, a, out, now };

	*out = (struct policy_verdict){ 0 };
	for (size_t i = 0; i < n; i++)
		rules[i](&d);
	live_with_known(&d);
	conclude(out);
	person_says(&d);
}

void policy_decide(const struct policy *p, const struct policy_facts *f, int64_t now, struct arena *a, struct policy_verdict *out)
{
	static void (*const rules[])(struct deciding *) = { rule_files, rule_proof, rule_inspect, rule_findings, rule_licence, rule_format, rule_size, rule_quota, rule_ends, rule_smoke };

	run(p, f, now, a, out, rules, ARRAY_LEN(rules));
}

void policy_preview(const struct policy *p, const struct policy_facts *f, int64_t now, struct arena *a, struct policy_verdict *out)
{
	static void (*const rules[])(struct deciding *) = { rule_known_files, rule_known_findings, rule_licence, rule_format, rule_size, rule_quota, rule_ends, rule_known_smoke };

	run(p, f, now, a, out, rules, ARRAY_LEN(rules));
}

/* --- which files are left out ------------------------------------------------------------------------------------------------------- */

/* The format that a file belongs to: its own, or for an index of shards that of the shards. */
static enum format format_with_index(const char *path)
{
	static const char suffix[] = ".index.json";
	size_t n = strlen(path);
	char stem[1100];

	if (!str_ends(path, suffix) || n >= sizeof(stem))
		return format_of_path(path);
	snprintf(stem, sizeof(stem), "%.*s", (int)(n - strlen(suffix)), path);
	return format_of_path(stem);
}

static size_t directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Weights in a format that is neither skipped nor denied. Whoever leaves them out does not get the skipped ones for it. */
static bool is_alternative(const struct policy *p, const struct model_file *f)
{
	enum format format = format_of_path(f->path);

	return (format == FORMAT_SAFETENSORS || format == FORMAT_GGUF || format == FORMAT_ONNX) && !((p->formats_skip | p->formats_deny) & FORMAT_BIT(format));
}

static int by_directory(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t m = directory_length(x), n = directory_length(y);
	int way = strncmp(x, y, m < n ? m : n);

	return way ? way : (m > n) - (m < n);
}

/* The paths of all alternatives in the order of their directories; an answer for each of 100,000 files is looked up there. */
static const char **find_alternatives(const struct policy *p, const struct model_file *files, size_t n, size_t *count)
{
	const char **list = NULL;
	size_t cap = 0;

	*count = 0;
	for (size_t i = 0; i < n; i++)
		if (is_alternative(p, &files[i]))
			*vec_push(&list, count, &cap) = files[i].path;
	if (*count)
		qsort(list, *count, sizeof(*list), by_directory);
	return list;
}

static bool is_skipped(const struct policy *p, const struct model_file *f)
{
	enum format format = format_with_index(f->path);

	return f->wanted && format != FORMAT_NONE && (p->formats_skip & FORMAT_BIT(format));
}

static const char skipped_state[] = "training state, and policy skips its format";
static const char skipped_format[] = "policy skips its format, and the same weights are there in another";

bool policy_has_skipped(const char *reason)
{
	return reason && (!strcmp(reason, skipped_state) || !strcmp(reason, skipped_format));
}

void policy_skip_files(const struct policy *p, struct model_file *files, size_t n)
{
	own(mem) const char **others = NULL;
	size_t n_others;

	if (!p->formats_skip)
		return;
	others = find_alternatives(p, files, n, &n_others);
	for (size_t i = 0; i < n && n_others; i++) {
		bool state = format_is_training_state(files[i].path);

		if (!is_skipped(p, &files[i]) || (!state && !bsearch(&files[i].path, others, n_others, sizeof(*others), by_directory)))
			continue;
		files[i].wanted = false;
		files[i].skip_reason = state ? skipped_state : skipped_format;
	}
}
