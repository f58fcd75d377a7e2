/* policy.c - reading policy.yaml: one table of keys, clear errors, near names. Showing it again is policy_show.c, deciding policy_decide.c. */
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "catalog/policy_impl.h"

#define DEFAULT_MAX_BITS_PER_BYTE 2.5
#define DEFAULT_NOTICE_S	  (90 * 86400)
#define DEFAULT_REJECTED_S	  (30 * 86400)
#define BITS_PER_BYTE_LIMIT	  64.0	/* a larger limit is a slip of the pen */

struct reader {
	struct policy *p;
	const char *file;	/* for messages */
};

/* One key: its name in its section, and what reads its value. */
struct key {
	const char *name;
	int (*read)(const struct reader *r, const char *path, const json_t *v, struct err *e);
};

const char *const policy_proof_names[4] = { "none", "hash", "listing", "commit" };
static const char *const outcome_names[] = { "publish", "hold", "reject" };
static const char *const smoke_names[] = { "pass", "pass_or_not_run", "inspect", "none" };

const char *policy_outcome_name(enum policy_outcome o)
{
	return outcome_names[o];
}

const char *policy_smoke_name(enum policy_smoke s)
{
	return smoke_names[s];
}

/* --- values ----------------------------------------------------------------------------------------------------------------------- */

static int want_text(const struct reader *r, const char *path, const json_t *v, const char **out, struct err *e)
{
	*out = json_string_value(v);
	return *out && **out ? 0 : err_set(e, ERR_USAGE, "%s: %s must be a word or a number", r->file, path);
}

/* One of n words; the index into *out. */
static int want_word(const struct reader *r, const char *path, const json_t *v, const char *const *words, size_t n, int *out, struct err *e)
{
	own(buf) struct buf all;
	const char *text;

	buf_init(&all, 1000);
	if (want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(words[i], text)) {
			*out = (int)i;
			return 0;
		}
		buf_printf(&all, i ? ", %s" : "%s", words[i]);
	}
	return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not one of: %s", r->file, path, text, all.data);
}

static int want_positive(const struct reader *r, const char *path, const json_t *v, double max, double *out, struct err *e)
{
	const char *text;
	char *end;

	if (want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	*out = strtod(text, &end);	/* which reads 0x10 too, as nobody writes a limit */
	if (*end || strpbrk(text, "xX") || !(*out > 0) || *out > max)
		return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not a number above 0 and at most %g", r->file, path, text, max);
	return 0;
}

static int want_duration(const struct reader *r, const char *path, const json_t *v, int64_t *out, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_duration(text, out, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

/* Calls each for every text of a list; a single word is a list of one. */
static int each_text(const struct reader *r, const char *path, const json_t *v,
		     int (*each)(const struct reader *r, const char *path, const char *text, void *arg, struct err *e), void *arg, struct err *e)
{
	const char *text;
	int rc = 0;

	if (json_is_string(v))
		return each(r, path, json_string_value(v), arg, e);
	if (!json_is_array(v))
		return err_set(e, ERR_USAGE, "%s: %s must be a list", r->file, path);
	if (json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s has more than %d entries", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v) && rc == 0; i++) {
		rc = want_text(r, path, json_array_get(v, i), &text, e);
		if (rc == 0)
			rc = each(r, path, text, arg, e);
	}
	return rc;
}

/* Keys of a mapping through a table; an unknown one is an error that names the nearest. */
static int read_section(const struct reader *r, const char *section, const json_t *v, const struct key *keys, size_t n, struct err *e)
{
	const char *names[16], *name, *near;
	json_t *value;
	char path[80];

	if (!json_is_object(v))
		return err_set(e, ERR_USAGE, "%s: %s must be a mapping", r->file, *section ? section : "the policy");
	for (size_t i = 0; i < n; i++)
		names[i] = keys[i].name;
	json_object_foreach((json_t *)v, name, value) {
		size_t i = 0;

		while (i < n && strcmp(keys[i].name, name) != 0)
			i++;
		snprintf(path, sizeof(path), *section ? "%s.%.40s" : "%s%.40s", section, name);
		near = i == n ? str_nearest(name, names, n) : NULL;
		if (i == n)
			return err_set(e, ERR_USAGE, near ? "%s: unknown key '%s'; did you mean '%s'?" : "%s: unknown key '%s'", r->file, path, near);
		if (keys[i].read(r, path, value, e) < 0)
			return e ? (int)e->code : ERR_USAGE;
	}
	return 0;
}

/* --- sections --------------------------------------------------------------------------------------------------------------------- */

static bool matches_known(const char *pattern)
{
	for (size_t i = 0; licence_at(i); i++)
		if (str_glob_nocase(pattern, licence_at(i)->id))
			return true;
	return false;
}

/*
 * A licence of a list: a known id, "other:<name>" for those the Hub has no id for, or a glob that matches a known id. A name is written as on the card or
 * as in the id that is made of it; what could match no id is refused, for it would seem to be in force.
 */
static int add_licence(const struct reader *r, const char *path, const char *text, void *arg, struct err *e)
{
	const struct licence *l = licence_find(text);
	bool is_pattern = strchr(text, '*') != NULL, is_other = !strncasecmp(text, "other:", 6);
	struct policy_list *list = arg;
	const char *near, *id = l ? l->id : NULL;

	if (!id && is_other && !is_pattern)
		id = licence_of_name(text + 6, &r->p->arena);
	if (!id && is_other && text[6])
		id = is_pattern ? licence_other_pattern(&r->p->arena, text) : licence_other_id(&r->p->arena, text);
	else if (!id && is_pattern && matches_known(text))
		id = text;
	if (!id && is_other)
		return err_set(e, ERR_USAGE, "%s: %s: '%.60s' names no licence: %s", r->file, path, text,
			       is_pattern ? "a pattern takes letters of ASCII only" : "write other:NAME, with the license_name of the card");
	near = id ? NULL : licence_nearest(text);
	if (!id)
		return err_set(e, ERR_USAGE, near ? "%s: %s: unknown licence '%.60s'; did you mean '%s'?" : "%s: %s: unknown licence '%.60s'", r->file, path, text, near);
	*vec_push(&list->v, &list->n, &list->cap) = arena_strdup(&r->p->arena, id);
	return 0;
}

static int read_allow(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_licence, &r->p->allow, e);
}

static int read_hold(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_licence, &r->p->hold, e);
}

static int read_deny(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_licence, &r->p->deny, e);
}

static int read_unknown(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "allow", "hold", "deny" };
	int i = POLICY_HOLD, rc = want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->unknown = (enum policy_outcome)i;
	return rc;
}

/* A licence must not stand in two lists, where one would silently win. */
static int check_lists(const struct reader *r, struct err *e)
{
	const struct policy_list *lists[] = { &r->p->allow, &r->p->hold, &r->p->deny };
	static const char *const names[] = { "allow", "hold", "deny" };

	for (size_t a = 0; a < 3; a++)
		for (size_t b = a + 1; b < 3; b++)
			for (size_t i = 0; i < lists[a]->n; i++)
				for (size_t j = 0; j < lists[b]->n; j++)
					if (!strcasecmp(lists[a]->v[i], lists[b]->v[j]))
						return err_set(e, ERR_USAGE, "%s: licence '%s' stands in both licenses.%s and licenses.%s", r->file,
							       lists[a]->v[i], names[a], names[b]);
	return 0;
}

static int read_licences(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "allow", read_allow }, { "hold", read_hold }, { "deny", read_deny }, { "unknown", read_unknown } };
	int rc = read_section(r, path, v, keys, ARRAY_LEN(keys), e);

	r->p->default_licences = false;
	return rc < 0 ? rc : check_lists(r, e);
}

static int add_format(const struct reader *r, const char *path, const char *text, void *arg, struct err *e)
{
	enum format f = format_parse(text);
	size_t n = 0;

	while (format_names()[n])
		n++;
	if (f == FORMAT_NONE) {
		const char *near = str_nearest(text, format_names(), n);

		return err_set(e, ERR_USAGE, near ? "%s: %s: unknown format '%.40s'; did you mean '%s'?" : "%s: %s: unknown format '%.40s'", r->file, path, text, near);
	}
	*(unsigned *)arg |= FORMAT_BIT(f);
	return 0;
}

static int read_formats_deny(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_format, &r->p->formats_deny, e);
}

static int read_formats_skip(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_format, &r->p->formats_skip, e);
}

static int read_formats(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "deny", read_formats_deny }, { "skip", read_formats_skip } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_size_max(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_size(text, &r->p->size_max, e);
	if (rc == 0 && !r->p->size_max)
		return err_set(e, ERR_USAGE, "%s: %s must be above 0; without it any size is taken", r->file, path);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_size(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "max", read_size_max } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_proof(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	int i = PROOF_LISTING, rc = want_word(r, path, v, policy_proof_names, ARRAY_LEN(policy_proof_names), &i, e);

	r->p->proof = (enum proof_level)i;
	return rc;
}

static int read_require_smoke(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	int i = POLICY_SMOKE_PASS, rc = want_word(r, path, v, smoke_names, ARRAY_LEN(smoke_names), &i, e);

	r->p->smoke = (enum policy_smoke)i;
	return rc;
}

static int read_require(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "proof", read_proof }, { "smoke", read_require_smoke } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static struct policy_exception *last_exception(const struct reader *r)
{
	return &r->p->exceptions[r->p->n_exceptions - 1];
}

static int read_for_repo(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		last_exception(r)->repo = arena_strdup(&r->p->arena, text);
	return rc;
}

static int read_for_task(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		last_exception(r)->task = arena_strdup(&r->p->arena, text);
	return rc;
}

static int read_for_require(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return want_word(r, path, v, smoke_names, ARRAY_LEN(smoke_names), &last_exception(r)->require, e);
}

static int read_for_bits(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return want_positive(r, path, v, BITS_PER_BYTE_LIMIT, &last_exception(r)->max_bits_per_byte, e);
}

static int read_for(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "repo", read_for_repo }, { "task", read_for_task }, { "require", read_for_require }, { "max_bits_per_byte", read_for_bits } };

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct policy_exception *x = vec_push(&r->p->exceptions, &r->p->n_exceptions, &r->p->cap_exceptions);
		int rc;

		x->require = -1;
		x->max_bits_per_byte = NAN;
		rc = read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e);
		if (rc < 0)
			return rc;
		if (!last_exception(r)->repo && !last_exception(r)->task)
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu names neither a repo nor a task", r->file, path, i + 1);
	}
	return 0;
}

static int read_bits(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return want_positive(r, path, v, BITS_PER_BYTE_LIMIT, &r->p->max_bits_per_byte, e);
}

static int read_smoke(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "max_bits_per_byte", read_bits }, { "for", read_for } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_notice(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return want_duration(r, path, v, &r->p->lifecycle.notice_s, e);
}

static int read_max_age(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	int rc = want_duration(r, path, v, &r->p->lifecycle.max_age_s, e);

	if (rc == 0 && !r->p->lifecycle.max_age_s)
		return err_set(e, ERR_USAGE, "%s: %s must be above 0; without it nothing ends by its age", r->file, path);
	return rc;
}

static int read_after_sunset(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "warn", "gone" };
	int i = 1, rc = want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.gone_after_sunset = i == 1;
	return rc;
}

static int read_deprecated(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "serve", "pinned_only" };
	int i = 0, rc = want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.refuse_new_when_deprecated = i == 1;
	return rc;
}

static int read_hints(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "show", "deprecate" };
	int i = 0, rc = want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.follow_hints = i == 1;
	return rc;
}

static struct policy_end *last_end(const struct reader *r)
{
	return &r->p->ends[r->p->n_ends - 1];
}

static int end_text(const struct reader *r, const char *path, const json_t *v, const char **into, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		*into = arena_strdup(&r->p->arena, text);
	return rc;
}

/* One reader a text of the entry: what it is called is where it goes. */
#define END_TEXT(field)                                                                                              \
	static int read_end_##field(const struct reader *r, const char *path, const json_t *v, struct err *e)        \
	{                                                                                                            \
		return end_text(r, path, v, &last_end(r)->field, e);                                                 \
	}
END_TEXT(repo)
END_TEXT(architecture)
END_TEXT(quantization)
END_TEXT(dtype)
END_TEXT(reason)

static int read_end_successor(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	int rc = end_text(r, path, v, &last_end(r)->successor, e);

	if (rc < 0)
		return rc;
	rc = model_check_name(last_end(r)->successor, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_end_license(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	struct policy_list one = { 0 };
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0 && (rc = add_licence(r, path, text, &one, e)) == 0)
		last_end(r)->license = one.v[0];
	free(one.v);
	return rc;
}

static int read_end_format(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return each_text(r, path, v, add_format, &last_end(r)->format, e);
}

static int read_end_compute(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return want_positive(r, path, v, 1000, &last_end(r)->compute_below, e);
}

static int read_end_at(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_time(text, &last_end(r)->at, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_ends(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "repo", read_end_repo },		  { "license", read_end_license }, { "format", read_end_format },
					   { "architecture", read_end_architecture }, { "quantization", read_end_quantization }, { "dtype", read_end_dtype },
					   { "compute_below", read_end_compute }, { "at", read_end_at },	 { "reason", read_end_reason },
					   { "successor", read_end_successor } };
	const struct policy_end *loop;

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct policy_end *x = vec_push(&r->p->ends, &r->p->n_ends, &r->p->cap_ends);
		int rc = read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e);

		if (rc < 0)
			return rc;
		x = last_end(r);
		if (x->at == 0)
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu has no date (at: 2027-01-01)", r->file, path, i + 1);
		if (!x->repo && !x->license && !x->format && !x->architecture && !x->quantization && !x->dtype && !(x->compute_below > 0))
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu says when, but not what ends", r->file, path, i + 1);
	}
	loop = policy_ends_loop(r->p);
	if (loop)
		return err_set(e, ERR_USAGE, "%s: %s: entry %zu: its successor %.200s ends by these entries too, and their successors lead in a circle: name one that goes on", r->file, path,
			       (size_t)(loop - r->p->ends) + 1, loop->successor);
	return 0;
}

static int read_lifecycle(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "notice", read_notice }, { "max_age", read_max_age }, { "after_sunset", read_after_sunset }, { "deprecated", read_deprecated },
					   { "ends", read_ends },     { "hints", read_hints } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_keep_last(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	uint64_t n;

	if (want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	if (str_parse_u64(text, &n, NULL) < 0 || n < 1 || n > INT32_MAX)
		return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not a number from 1 on: that many revisions of a model stay", r->file, path, text);
	r->p->keep_last = (int64_t)n;
	return 0;
}

static int read_rejected(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;

	if (want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	r->p->rejected_s = 0;
	return strcmp(text, "never") ? want_duration(r, path, v, &r->p->rejected_s, e) : 0;
}

static struct policy_quota *last_quota(const struct reader *r)
{
	return &r->p->quotas[r->p->n_quotas - 1];
}

static int read_quota_author(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	return end_text(r, path, v, &last_quota(r)->author, e);
}

static int read_quota_max(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_size(text, &last_quota(r)->max_bytes, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_quotas(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "author", read_quota_author }, { "max", read_quota_max } };

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		*vec_push(&r->p->quotas, &r->p->n_quotas, &r->p->cap_quotas) = (struct policy_quota){ 0 };
		if (read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e) < 0)
			return ERR_USAGE;
		if (!last_quota(r)->author || !last_quota(r)->max_bytes)
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu needs an author and a max above 0: {author: \"org*\", max: 500GB}", r->file, path, i + 1);
	}
	return 0;
}

static int read_retention(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct key keys[] = { { "keep_last", read_keep_last }, { "rejected", read_rejected }, { "quotas", read_quotas } };

	return read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_gated(const struct reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "token", "open" };
	int i = 0, rc = want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->gated_open = i == 1;
	return rc;
}

/* --- the whole -------------------------------------------------------------------------------------------------------------------- */

static struct policy *new_policy(void)
{
	struct policy *p = mem_zalloc(sizeof(*p));

	arena_init(&p->arena);
	p->default_licences = true;
	p->unknown = POLICY_HOLD;
	p->proof = PROOF_LISTING;
	p->smoke = POLICY_SMOKE_PASS;
	p->max_bits_per_byte = DEFAULT_MAX_BITS_PER_BYTE;
	p->lifecycle = (struct policy_lifecycle){ .notice_s = DEFAULT_NOTICE_S, .gone_after_sunset = true };
	p->rejected_s = DEFAULT_REJECTED_S;
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->allow.v);
	free(p->hold.v);
	free(p->deny.v);
	free(p->exceptions);
	free(p->ends);
	free(p->quotas);
	arena_done(&p->arena);
	free(p);
}

int policy_parse(struct policy **out, const char *text, size_t n, const char *name, struct err *e)
{
	static const struct key keys[] = {
		{ "licenses", read_licences }, { "formats", read_formats }, { "size", read_size },   { "require", read_require },
		{ "smoke", read_smoke },       { "lifecycle", read_lifecycle }, { "gated", read_gated }, { "retention", read_retention },
	};
	struct policy *p = new_policy();
	struct err own_err = ERR_NONE;
	struct err *err = e ? e : &own_err;
	int rc = 0;

	if (text) {
		own(json) json_t *doc = yaml_parse(text, n, YAML_STRICT, name, err);

		rc = doc ? 0 : ERR_USAGE;
		if (rc == 0 && !json_is_null(doc))
			rc = read_section(&(struct reader){ p, name }, "", doc, keys, ARRAY_LEN(keys), err);
	}
	if (rc < 0) {
		err->code = ERR_USAGE;	/* however it came about, it is the site's file that is wrong */
		policy_free(p);
		return ERR_USAGE;
	}
	*out = p;
	return 0;
}

int policy_load(struct policy **out, const char *path, struct err *e)
{
	own(buf) struct buf text;
	int rc;

	buf_init(&text, POLICY_FILE_MAX);
	if (!path)
		return policy_parse(out, NULL, 0, "the default policy", e);
	rc = fdio_slurp(AT_FDCWD, path, &text, e);
	return rc < 0 ? rc : policy_parse(out, text.data, text.len, path, e);
}

void policy_lifecycle(const struct policy *p, struct policy_lifecycle *out)
{
	*out = p->lifecycle;
}

bool policy_gated_open(const struct policy *p)
{
	return p->gated_open;
}

int64_t policy_rejected_s(const struct policy *p)
{
	return p->rejected_s;
}

int64_t policy_keep_last(const struct policy *p)
{
	return p->keep_last;
}

uint64_t policy_quota(const struct policy *p, const char *author)
{
	for (size_t i = 0; i < p->n_quotas; i++)
		if (str_glob_nocase(p->quotas[i].author, author))
			return p->quotas[i].max_bytes;
	return 0;
}

bool policy_has_quotas(const struct policy *p)
{
	return p->n_quotas > 0;
}
