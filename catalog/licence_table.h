/* licence_table.h - between licence.c and licence_text.c; nobody else includes it. */
#ifndef CATALOG_LICENCE_TABLE_H
#define CATALOG_LICENCE_TABLE_H

#include <stddef.h>

/* The embedded file schema/NAME. */
const struct embedded *licence_file(const char *name);
/* Cuts one CSV line in place into at most max fields; how many there were. */
size_t licence_csv_row(char *line, char **fields, size_t max);

#endif
