/*
 * policy.h - the site's rules (policy.yaml, contract section 4) and the gate's decision as a pure function of evidence, rules and time.
 * It fails closed: whatever is unknown, missing, unreadable or not inspected holds a revision; only evidence publishes it.
 */
#ifndef CATALOG_POLICY_H
#define CATALOG_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define POLICY_FILE_MAX	   (1u << 20)
#define POLICY_REASONS_MAX 64
#define POLICY_LIST_MAX	   2000	/* entries of one list */
#define POLICY_SMOKE_FAILED "smoke test failed: "	/* begins the objection to a test that came to its end and failed */

struct policy;
struct model_file;

enum policy_outcome {
	POLICY_PUBLISH,
	POLICY_HOLD,
	POLICY_REJECT,
};
const char *policy_outcome_name(enum policy_outcome o);	/* "publish" "hold" "reject" */

/* text NULL: the built-in default. ERR_USAGE: what is wrong, with the nearest known key, licence or format for a typo. name: for messages. */
int policy_parse(struct policy **out, const char *text, size_t n, const char *name, struct err *e);
int policy_load(struct policy **out, const char *path, struct err *e);	/* path NULL: the default */
void policy_free(struct policy *p);	/* accepts NULL */
static inline void own_policy(struct policy **p)
{
	policy_free(*p);
}
bool policy_lists_licences(const struct policy *p);	/* false: it has no `licenses`, so that the built-in rule for them holds and is what its reasons name */
char *policy_show(const struct policy *p);	/* as YAML with every default filled in; caller frees */

enum policy_person {
	POLICY_NOBODY,
	POLICY_PERSON_PUBLISHED,
	POLICY_PERSON_REJECTED,
};

/* The evidence. Zero everywhere means "nothing is known", and that holds. */
struct policy_facts {
	const char *repo, *author, *task;	/* NULL unknown */
	const char *license;			/* resolved id, NULL or "unknown" when undetermined */
	const char *license_said;		/* licence_said() of the card's name for it, NULL none: patterns of what is not allowed count for it too */
	const char *const *license_conflicts;
	size_t n_license_conflicts;
	const char *license_unread;	/* where its terms are said to be, when nobody here can have read them; else NULL */
	const char *architecture, *quantization, *dtypes;	/* as in struct revision; NULL unknown */
	double compute_capability;		/* of the device of the newest test; 0 unknown */
	uint64_t size_bytes;
	uint64_t namespace_bytes;		/* what the author's models take, this one with them; 0 not asked for */
	int proof;				/* enum proof_level */
	unsigned formats;			/* FORMAT_BIT set of wanted weight files */
	size_t n_wanted, n_stored;		/* files */
	size_t n_weight_files, n_inspected;	/* wanted weight files, and those with an inspection that came to its end */
	const char *not_inspected;		/* path of one weight file that was not, or NULL */
	size_t n_flagged, n_rejected;		/* findings */
	const char *worst_path, *worst_rule, *worst_message;	/* the first finding of the worst severity, NULL when there is none */
	const char *smoke;			/* newest verdict, NULL: never run */
	const char *smoke_reason;		/* its first reason, or NULL */
	bool is_sound;				/* a failed one's structure and statistics are known to be in order: only the run failed */
	double bits_per_byte;			/* NAN unknown */
	int64_t modified_at;			/* the commit's date, 0 unknown */
	bool is_published;			/* already: then `ends` leaves it to the dates of its lifecycle, which keep the notice */
	enum policy_person person;
	const char *person_name, *person_reason;
	const struct policy_lived *lived_with;	/* what it went on being served with (recertify_lived_with()): no objection then */
	size_t n_lived_with;
};

/* The sentence of a decision, or that of a mark. */
struct policy_lived {
	const char *rule, *text;
	bool is_mark;
};

struct policy_reason {
	const char *rule;	/* "license", "format", "size", "quota", "proof", "inspect", "findings", "ends", "smoke", "files", "person" */
	enum policy_outcome outcome;
	const char *text;	/* one sentence */
	const char *objection;	/* what the rule has against it, though it may not be asked for that or it is lived with; NULL nothing */
	enum policy_outcome lived_with;	/* the outcome that it would have, where it is served all the same; else POLICY_PUBLISH */
};

struct policy_verdict {
	enum policy_outcome outcome;	/* the worst of the reasons, or what the person said */
	struct policy_reason reasons[POLICY_REASONS_MAX];
	size_t n_reasons;		/* every rule that was asked, in order, those that passed too */
	const char *summary;		/* the sentence that decides: for the state's reason */
};

/*
 * A person's publish overrides hold, and licence, size, format and smoke rejections, but never content that does not verify: a missing file, a
 * proof that failed or a finding of severity reject. A person's reject always counts. Sentences live in a.
 */
void policy_decide(const struct policy *p, const struct policy_facts *f, int64_t now, struct arena *a, struct policy_verdict *out);
/* Another policy comes for what is published: what the one before was against too, or more so, is lived with, and only the rest decides. */
void policy_object_anew(const struct policy_verdict *before, struct arena *a, struct policy_verdict *after);
/* Does what this rule has against it stay, because it is lived with or nobody has asked? *what: it, NULL where the rule is not among the reasons. */
bool policy_lives_with(const struct policy_verdict *v, const char *rule, const char **what);
/* The objection in the sentence of a decision that says that it is lived with; NULL: it says something else. */
const char *policy_lived_with(const char *sentence, struct arena *a);
/* In advance, from licence, size, format, age, what the names of its files tell and what is known of it under another name: for --dry-run and `policy check`. The outcome says what can be said before fetching. */
void policy_preview(const struct policy *p, const struct policy_facts *f, int64_t now, struct arena *a, struct policy_verdict *out);

/*
 * Marks files that `formats: {skip: …}` leaves out: wanted becomes false, skip_reason says why. Only where the revision has the same weights in
 * an allowed format: weights in that file's directory or, for training state, anywhere. Files already unwanted are left alone.
 */
void policy_skip_files(const struct policy *p, struct model_file *files, size_t n);
/* Is this a skip_reason of policy_skip_files()? NULL is none. */
bool policy_has_skipped(const char *reason);

/* What the smoke test must do for this model: run the model, inspect only, or nothing; and the limit on bits per byte. */
enum policy_smoke {
	POLICY_SMOKE_PASS,		/* must pass */
	POLICY_SMOKE_PASS_OR_NOT_RUN,
	POLICY_SMOKE_INSPECT,		/* inspection is enough */
	POLICY_SMOKE_NONE,
};
enum policy_smoke policy_smoke_for(const struct policy *p, const char *repo, const char *task, double *max_bits_per_byte);

/* Lifecycle rules, for lifecycle.h. Seconds, 0 none. */
struct policy_lifecycle {
	int64_t notice_s;
	int64_t max_age_s;
	bool gone_after_sunset;		/* after_sunset: gone (410), else warn only */
	bool refuse_new_when_deprecated;	/* deprecated: pinned_only: `main` refused between deprecation and sunset */
	bool follow_hints;		/* hints: deprecate: upstream's new_version marks a model as deprecated; else it is only shown */
};
void policy_lifecycle(const struct policy *p, struct policy_lifecycle *out);

/*
 * `lifecycle: {ends: [{format: pickle, at: 2027-01-01, reason: …}]}`: what ends on a date, wherever it is found. Every condition that is given must
 * hold. After its date the gate holds what matches; what is published already is deprecated towards it (lifecycle_apply_rules).
 */
struct policy_end {
	const char *repo;		/* glob */
	const char *license, *architecture, *quantization, *dtype;	/* NULL any; dtype: of some tensor, as in struct revision's dtypes */
	unsigned format;		/* FORMAT_BIT, 0 any */
	double compute_below;		/* was tested on a device of a lower compute capability; 0 none */
	int64_t at;
	const char *reason, *successor;	/* NULL none */
};
struct policy_traits {
	const char *repo, *license, *license_said, *architecture, *quantization, *dtypes;	/* NULL unknown */
	unsigned formats;
	double compute_capability;	/* 0 unknown */
};
/* The matching rule that ends first, or NULL. */
const struct policy_end *policy_end_of(const struct policy *p, const struct policy_traits *t);
/* All of them, as written. */
const struct policy_end *policy_ends(const struct policy *p, size_t *n);
/* Is it by this entry that a model of this name (NULL: none) ends, whatever else it is? */
bool policy_end_is_of(const struct policy *p, const struct policy_end *x, const char *repo);
/* One whose successor ends by an entry whose successor ends … and so back to it; NULL: none. */
const struct policy_end *policy_ends_loop(const struct policy *p);
/* Has the policy any rule by which time alone changes what is served (max_age, ends, hints)? */
bool policy_has_lifecycle_rules(const struct policy *p);
/*
 * `retention: {keep_last: 3, rejected: 30d, quotas: [{author: "big*", max: 500GB}]}`: what gc may let go (retention.h), and how much a namespace may
 * take. Of the quotas the first whose pattern matches counts; 0 none. keep_last 0: all. rejected: seconds after which, 0 never.
 */
int64_t policy_keep_last(const struct policy *p);
int64_t policy_rejected_s(const struct policy *p);
uint64_t policy_quota(const struct policy *p, const char *author);
bool policy_has_quotas(const struct policy *p);
/* May a model gated upstream be read without a token? gated: token (default) | open. */
bool policy_gated_open(const struct policy *p);

#endif
