/* card_case.h - is a card held for what it says of its licence? */
#ifndef TESTS_UNIT_CATALOG_CARD_CASE_H
#define TESTS_UNIT_CATALOG_CARD_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "verify/card.h"

/* A card of acme/acme-7b under `id` with this line of front matter and this text. */
static inline void check(const char *id, const char *front, const char *text, bool is_held)
{
	struct licence_claims claims = { .card = NULL };
	struct licence_answer out;
	own(arena) struct arena a;
	own(card) struct card c = { 0 };
	const char *whole;

	arena_init(&a);
	whole = arena_printf(&a, "---\nlicense: %s\n%s\n---\n# A model\n\n%s", id, front, text);
	card_parse(whole, strlen(whole), &a, &c);
	claims.card = c.license.item;
	claims.n_card = c.license.n;
	claims.card_name = c.license_name;
	claims.card_link = c.license_link;
	claims.repo = "acme/acme-7b";
	licence_read_card(c.front, whole, strlen(whole), &a, &claims);
	licence_resolve(&claims, &a, &out);
	if ((out.n_conflicts > 0) != is_held)
		fail_msg("%s, \"%s\", \"%s\": %s, %zu conflicts %s", id, front, text, out.id, out.n_conflicts, out.n_conflicts ? out.conflicts[0] : "");
}

#endif
