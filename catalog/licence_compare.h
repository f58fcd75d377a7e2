/* licence_compare.h - what one licence asks or forbids beside another, by their rows in the table; for licence.c. What has no row is unknown in everything. */
#ifndef CATALOG_LICENCE_COMPARE_H
#define CATALOG_LICENCE_COMPARE_H

#include "catalog/licence.h"

enum licence_use licence_use_of(const char *id);
/* May what is made from it be shared with nobody? */
bool licence_forbids_derivatives(const char *id);
/* Does `id` allow commercially what `other` does not? */
bool licence_allows_more(const char *id, const char *other);
/* Does it ask less of derivatives than `other`, which asks for its own terms? */
bool licence_drops_copyleft(const char *id, const char *other);
/* Does it go without the restrictions of use that `other` has, of two that allow commercial use? */
bool licence_drops_restrictions(const char *id, const char *other);
/* Does `id` forbid anything that `other` allows? Of two licences each may, of other things. */
bool licence_forbids_more(const char *id, const char *other);
/* Is it one of the licences for which a family's name stands? "gpl" for gpl-3.0 and not for lgpl-3.0: the name stands alone between what are no letters. */
bool licence_is_of_family(const char *id, const char *family);
/* Do two claims leave each other room: the same licence, or a family and one of it? */
bool licence_agree(const char *id, const char *other);

#endif
