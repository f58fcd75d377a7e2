/* policy_ends.c - `lifecycle: {ends: …}`: which rule of an end a revision falls under. Pure. */
#include "base/str.h"
#include "base/vec.h"
#include "catalog/policy_impl.h"

static bool glob_or_any(const char *pattern, const char *text)
{
	return !pattern || (text && str_glob_nocase(pattern, text));
}

/* dtypes is {"Q4_K":123,…}: the name stands there in quotes. */
static bool has_dtype(const char *dtypes, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = dtypes; p && (p = strcasestr(p, name)); p += n)
		if (p > dtypes && p[-1] == '"' && p[n] == '"')
			return true;
	return false;
}

static bool matches(const struct policy_end *x, const struct policy_traits *t)
{
	bool is_of_license = glob_or_any(x->license, t->license) || (t->license_said && glob_or_any(x->license, t->license_said));

	if (!glob_or_any(x->repo, t->repo) || !is_of_license || !glob_or_any(x->architecture, t->architecture) ||
	    !glob_or_any(x->quantization, t->quantization))
		return false;
	if (x->format && !(x->format & t->formats))
		return false;
	if (x->dtype && !has_dtype(t->dtypes, x->dtype))
		return false;
	return !(x->compute_below > 0) || (t->compute_capability > 0 && t->compute_capability < x->compute_below);
}

const struct policy_end *policy_end_of(const struct policy *p, const struct policy_traits *t)
{
	const struct policy_end *first = NULL;

	for (size_t i = 0; i < p->n_ends; i++)
		if (matches(&p->ends[i], t) && (!first || p->ends[i].at < first->at))
			first = &p->ends[i];
	return first;
}

/* The entry that a model of this name falls under whatever else it is; NULL: none. */
static const struct policy_end *end_by_name(const struct policy *p, const char *repo)
{
	return repo ? policy_end_of(p, &(struct policy_traits){ .repo = repo }) : NULL;
}

bool policy_end_is_of(const struct policy *p, const struct policy_end *x, const char *repo)
{
	return end_by_name(p, repo) == x;
}

const struct policy_end *policy_ends_loop(const struct policy *p)
{
	own(mem) const struct policy_end **next = mem_zalloc(p->n_ends * sizeof(*next) + 1);
	const struct policy_end *at;

	for (size_t i = 0; i < p->n_ends; i++)
		next[i] = end_by_name(p, p->ends[i].successor);
	for (size_t i = 0; i < p->n_ends; i++) {
		at = &p->ends[i];
		for (size_t steps = 0; at && steps < p->n_ends; steps++)
			at = next[at - p->ends];
		if (at)
			return at;	/* whoever has gone so far without an end is in a circle */
	}
	return NULL;
}

const struct policy_end *policy_ends(const struct policy *p, size_t *n)
{
	*n = p->n_ends;
	return p->ends;
}

bool policy_has_lifecycle_rules(const struct policy *p)
{
	return p->n_ends || p->lifecycle.max_age_s || p->lifecycle.follow_hints;
}
