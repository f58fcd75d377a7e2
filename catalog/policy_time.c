/* policy_time.c - what a policy says of time: the sections `lifecycle` and `retention`. See policy_read.h. */
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/policy_read.h"

static int read_notice(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_want_duration(r, path, v, &r->p->lifecycle.notice_s, e);
}

static int read_max_age(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	int rc = policy_want_duration(r, path, v, &r->p->lifecycle.max_age_s, e);

	if (rc == 0 && !r->p->lifecycle.max_age_s)
		return err_set(e, ERR_USAGE, "%s: %s must be above 0; without it nothing ends by its age", r->file, path);
	return rc;
}

static int read_after_sunset(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "warn", "gone" };
	int i = 1, rc = policy_want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.gone_after_sunset = i == 1;
	return rc;
}

static int read_deprecated(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "serve", "pinned_only" };
	int i = 0, rc = policy_want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.refuse_new_when_deprecated = i == 1;
	return rc;
}

static int read_hints(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "show", "deprecate" };
	int i = 0, rc = policy_want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->lifecycle.follow_hints = i == 1;
	return rc;
}

static struct policy_end *last_end(const struct policy_reader *r)
{
	return &r->p->ends[r->p->n_ends - 1];
}

static int end_text(const struct policy_reader *r, const char *path, const json_t *v, const char **into, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		*into = arena_strdup(&r->p->arena, text);
	return rc;
}

/* One reader a text of the entry: what it is called is where it goes. */
#define END_TEXT(field)                                                                                              \
	static int read_end_##field(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)        \
	{                                                                                                            \
		return end_text(r, path, v, &last_end(r)->field, e);                                                 \
	}
END_TEXT(repo)
END_TEXT(architecture)
END_TEXT(quantization)
END_TEXT(dtype)
END_TEXT(reason)

static int read_end_successor(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	int rc = end_text(r, path, v, &last_end(r)->successor, e);

	if (rc < 0)
		return rc;
	rc = model_check_name(last_end(r)->successor, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_end_license(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	struct policy_list one = { 0 };
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0 && (rc = policy_add_licence(r, path, text, &one, e)) == 0)
		last_end(r)->license = one.v[0];
	free(one.v);
	return rc;
}

static int read_end_format(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_format, &last_end(r)->format, e);
}

static int read_end_compute(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_want_positive(r, path, v, 1000, &last_end(r)->compute_below, e);
}

static int read_end_at(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_time(text, &last_end(r)->at, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_ends(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "repo", read_end_repo },		  { "license", read_end_license }, { "format", read_end_format },
					   { "architecture", read_end_architecture }, { "quantization", read_end_quantization }, { "dtype", read_end_dtype },
					   { "compute_below", read_end_compute }, { "at", read_end_at },	 { "reason", read_end_reason },
					   { "successor", read_end_successor } };
	const struct policy_end *loop;

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct policy_end *x = vec_push(&r->p->ends, &r->p->n_ends, &r->p->cap_ends);
		int rc = policy_read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e);

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

int policy_read_lifecycle(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "notice", read_notice }, { "max_age", read_max_age }, { "after_sunset", read_after_sunset }, { "deprecated", read_deprecated },
					   { "ends", read_ends },     { "hints", read_hints } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_keep_last(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	uint64_t n;

	if (policy_want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	if (str_parse_u64(text, &n, NULL) < 0 || n < 1 || n > INT32_MAX)
		return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not a number from 1 on: that many revisions of a model stay", r->file, path, text);
	r->p->keep_last = (int64_t)n;
	return 0;
}

static int read_rejected(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;

	if (policy_want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	r->p->rejected_s = 0;
	return strcmp(text, "never") ? policy_want_duration(r, path, v, &r->p->rejected_s, e) : 0;
}

static struct policy_quota *last_quota(const struct policy_reader *r)
{
	return &r->p->quotas[r->p->n_quotas - 1];
}

static int read_quota_author(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return end_text(r, path, v, &last_quota(r)->author, e);
}

static int read_quota_max(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_size(text, &last_quota(r)->max_bytes, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_quotas(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "author", read_quota_author }, { "max", read_quota_max } };

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		*vec_push(&r->p->quotas, &r->p->n_quotas, &r->p->cap_quotas) = (struct policy_quota){ 0 };
		if (policy_read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e) < 0)
			return ERR_USAGE;
		if (!last_quota(r)->author || !last_quota(r)->max_bytes)
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu needs an author and a max above 0: {author: \"org*\", max: 500GB}", r->file, path, i + 1);
		if (strchr(last_quota(r)->author, '/'))
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu fits no author: in '%.100s' is a '/', and an author is what stands before it in a model's name", r->file, path, i + 1,
				       last_quota(r)->author);
	}
	return 0;
}

int policy_read_retention(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "keep_last", read_keep_last }, { "rejected", read_rejected }, { "quotas", read_quotas } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}
