/* licence_table.h - between licence.c, licence_text.c, licence_file.c and, for the ids that its lists name, policy.c; nobody else includes it. */
#ifndef CATALOG_LICENCE_TABLE_H
#define CATALOG_LICENCE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* The embedded file schema/NAME. */
const struct embedded *licence_file(const char *name);
/* Cuts one CSV line in place into at most max fields; how many there were. */
size_t licence_csv_row(char *line, char **fields, size_t max);

/* The id of a licence that the table does not have, made of its name. */
const char *licence_other_id(struct arena *a, const char *name);
/* The same for a glob over such ids; NULL when letters outside ASCII are in it, for which ids have a hash. */
const char *licence_other_pattern(struct arena *a, const char *glob);
/* The id of the known licence that a license_name (or what follows "other:") names; NULL when it is none. Hiding behind `other` makes it no other. */
const char *licence_of_name(const char *name, struct arena *a);

/* Do these reduced words take back commercial use, of a licence that gives it? */
bool licence_restricts(const char *reduced);

#endif
