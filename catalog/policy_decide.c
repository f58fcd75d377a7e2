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

/* Content that a person's word can't publish stands under these rules. */
static bool binding(const struct policy_reason *r)
{
	return (!strcmp(r->rule, "files") && r->outcome != POLICY_PUBLISH) || (!strcmp(r->rule, "findings") && r->outcome == POLICY_REJECT);
}

static void add(struct deciding *d, const char *rule, enum policy_outcome outcome, const char *text)
{
	if (d->out->n_reasons < POLICY_REASONS_MAX)
		d->out->reasons[d->out->n_reasons++] = (struct policy_reason){ .rule = rule, .outcome = outcome, .text = text };
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

static void smoke_passed(struct deciding *d, double max)
{
	double bits = d->f->bits_per_byte;

	if (isnan(bits))
		add(d, "smoke", POLICY_HOLD, "the smoke test passed but gave no bits per byte");
	else if (bits > max)
		add(d, "smoke", POLICY_REJECT, arena_printf(d->a, "%.3f bits per byte are more than %g (smoke.max_bits_per_byte)", bits, max));
	else
		add(d, "smoke", POLICY_PUBLISH, arena_printf(d->a, "smoke test passed with %.3f bits per byte", bits));
}

static void rule_smoke(struct deciding *d)
{
	const struct policy_facts *f = d->f;
	const char *why = f->smoke_reason ? f->smoke_reason : "no reason given";
	double max;
	enum policy_smoke want = policy_smoke_for(d->p, f->repo, f->task, &max);

	if (want == POLICY_SMOKE_NONE)
		add(d, "smoke", POLICY_PUBLISH, "policy demands no smoke test");
	else if (f->smoke && !strcmp(f->smoke, "fail"))
		add(d, "smoke", POLICY_REJECT, arena_printf(d->a, "smoke test failed: %s", why));
	else if (f->smoke && !strcmp(f->smoke, "pass"))
		smoke_passed(d, max);
	else if (want == POLICY_SMOKE_INSPECT && (!f->smoke || strcmp(f->smoke, "error")))
		add(d, "smoke", POLICY_PUBLISH, arena_printf(d->a, "inspection is enough for task %s", f->task ? f->task : "of this model"));
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

static void live_with(struct policy_reason *r, struct arena *a)
{
	r->lived_with = r->outcome;
	r->outcome = POLICY_PUBLISH;
	r->text = arena_printf(a, "%s; it has been served all the same", r->text);
}

static bool is_conflict(const struct policy_reason *r)
{
	return !strncmp(r->text, LICENCE_CONFLICT, strlen(LICENCE_CONFLICT));
}

/* Of licences only what came about since: one that the policy lists anew is its word on that. */
static bool is_marked(const struct policy_facts *f, const struct policy_reason *r)
{
	if (r->outcome == POLICY_PUBLISH)
		return false;
	if (!strcmp(r->rule, "smoke"))
		return f->smoke_mark && r->outcome == POLICY_REJECT;
	return f->license_mark && !strcmp(r->rule, "license") && (is_conflict(r) || !strcmp(r->text, f->license_mark));
}

static void live_with_marked(struct deciding *d)
{
	for (size_t i = 0; i < d->out->n_reasons; i++)
		if (is_marked(d->f, &d->out->reasons[i]))
			live_with(&d->out->reasons[i], d->a);
}

bool policy_lives_with(const struct policy_verdict *v, const char *rule)
{
	for (size_t i = 0; i < v->n_reasons; i++)
		if (v->reasons[i].lived_with != POLICY_PUBLISH && !strcmp(v->reasons[i].rule, rule))
			return true;
	return false;
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

/* By the same rule. That licences conflict is another matter than which the policy lists. */
static bool is_objected(const struct policy_verdict *before, const struct policy_reason *to)
{
	for (size_t i = 0; i < before->n_reasons; i++) {
		const struct policy_reason *r = &before->reasons[i];

		if (!strcmp(r->rule, to->rule) && is_conflict(r) == is_conflict(to) && (r->outcome >= to->outcome || r->lived_with >= to->outcome))
			return true;
	}
	return false;
}

void policy_object_anew(const struct policy_verdict *before, struct arena *a, struct policy_verdict *after)
{
	if (after->outcome == POLICY_PUBLISH)
		return;
	for (size_t i = 0; i < after->n_reasons; i++) {
		struct policy_reason *r = &after->reasons[i];

		if (r->outcome != POLICY_PUBLISH && is_objected(before, r))
			live_with(r, a);
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
	live_with_marked(&d);
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
