/* licence_compare.c - see licence_compare.h. */
#include "catalog/licence_compare.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

enum licence_use licence_use_of(const char *id)
{
	const struct licence *l = licence_find(id);

	return l ? l->commercial_use : LICENCE_UNKNOWN;
}

/* How much is forbidden: no > unknown > conditional > yes. */
static int strictness(enum licence_use u)
{
	static const int order[] = { [LICENCE_YES] = 0, [LICENCE_CONDITIONAL] = 1, [LICENCE_UNKNOWN] = 2, [LICENCE_NO] = 3 };

	return order[u];
}

/* How much of what is made from it must be under its own terms: 0 nothing. What is not known says nothing. */
static int copyleft_of(const char *id)
{
	static const char *const kinds[] = { "weak", "share-alike", "strong", "strong + network" };
	const struct licence *l = licence_find(id);
	int rank = 0;

	for (size_t i = 0; l && i < ARRAY_LEN(kinds); i++)
		if (str_starts(l->copyleft, kinds[i]))
			rank = (int)i + 1;
	return rank;
}

bool licence_forbids_derivatives(const char *id)
{
	const struct licence *l = licence_find(id);

	return l && str_starts(l->derivatives, "no ");
}

bool licence_allows_more(const char *id, const char *other)
{
	return strictness(licence_use_of(id)) < strictness(licence_use_of(other));
}

bool licence_drops_copyleft(const char *id, const char *other)
{
	return licence_use_of(id) != LICENCE_UNKNOWN && copyleft_of(id) < copyleft_of(other);
}

bool licence_drops_restrictions(const char *id, const char *other)
{
	const struct licence *mine = licence_find(id), *theirs = licence_find(other);

	return mine && theirs && mine->commercial_use == LICENCE_YES && theirs->commercial_use == LICENCE_YES && !*mine->restrictions && *theirs->restrictions &&
	       !licence_forbids_derivatives(other);
}

bool licence_forbids_more(const char *id, const char *other)
{
	return licence_allows_more(other, id) || licence_drops_copyleft(other, id) || licence_drops_restrictions(other, id) || (licence_forbids_derivatives(id) && !licence_forbids_derivatives(other));
}

/* An order, so that of several licences the same one counts whichever comes first: commercial use, then derivatives, then copyleft. */
bool licence_is_stricter(const char *id, const char *other)
{
	int mine = strictness(licence_use_of(id)), theirs = strictness(licence_use_of(other));

	if (mine != theirs)
		return mine > theirs;
	if (licence_forbids_derivatives(id) != licence_forbids_derivatives(other))
		return licence_forbids_derivatives(id);
	return copyleft_of(id) > copyleft_of(other);
}

bool licence_is_of_family(const char *id, const char *family)
{
	const struct licence *f = licence_find(family);
	size_t n = strlen(family);

	for (const char *p = f && f->family ? id : ""; (p = strstr(p, family)); p++)
		if ((p == id || !isalpha((unsigned char)p[-1])) && !isalpha((unsigned char)p[n]))
			return true;
	return false;
}

/* "Public domain" is pddl by its name, and may be any of these. */
static bool is_public_domain(const char *id)
{
	return !strcmp(id, "pddl") || !strcmp(id, "cc0-1.0") || !strcmp(id, "unlicense");
}

bool licence_agree(const char *id, const char *other)
{
	return !strcmp(id, other) || licence_is_of_family(id, other) || licence_is_of_family(other, id) || (is_public_domain(id) && is_public_domain(other));
}
