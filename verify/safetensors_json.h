/*
 * safetensors_json.h - the JSON of a safetensors header, read strictly and in place; for safetensors.c alone. Each gives 0, or ERR_INPUT with a finding that
 * names the byte.
 */
#ifndef VERIFY_SAFETENSORS_JSON_H
#define VERIFY_SAFETENSORS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "verify/report.h"

/* The header while it is read. Strings are unescaped in place, so what is handed out points into it. */
struct header_reader {
	char *p, *end, *start;
	const char *path;
	struct report *f;
	struct err *e;
};

#define HEADER_REJECT(r, rule, ...) report_reject((r)->f, rule, (r)->path, (r)->e, __VA_ARGS__)

int header_malformed(struct header_reader *r, const char *wanted);
void header_skip_space(struct header_reader *r);
/* Is c next (after white space)? Then steps over it. */
bool header_accept(struct header_reader *r, char c);
int header_expect(struct header_reader *r, char c, const char *wanted);
/* A string, unescaped and NUL-terminated in place. */
int header_string(struct header_reader *r, const char **out);
/* A JSON number that must be an unsigned integer without fraction or exponent. */
int header_number(struct header_reader *r, uint64_t *out, const char *what);
/* One value nobody asked for, nested at most four levels deep with the `depth` that it stands in; a header needs three. */
int header_skip_value(struct header_reader *r, int depth);

#endif
