/* embed.h - files built into a program: tables made by script/embed, in name order, ended by a NULL name. data is NUL-terminated. */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include <stddef.h>

struct embedded {
	const char *name;	/* base name of the file */
	const char *data;
	size_t size_bytes;	/* without the NUL */
};

extern const struct embedded schema_migrations[];	/* schema/NNNN_name.sql */
extern const struct embedded schema_licences[];		/* schema/licen*.csv */
extern const struct embedded smoke_fixed_text[];	/* infer/fixed_text.txt */
extern const struct embedded page_assets[];		/* registryd/assets/, schema/openapi.yaml */

#endif
