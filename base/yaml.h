/*
 * yaml.h - a YAML document as a JSON tree, through libyaml's events (its loader has no depth limit and takes quadratic time in
 * open brackets). Aliases, anchors and non-core tags are refused where `strict`; else an alias of a scalar is that scalar, and one of a
 * list or mapping an empty mapping. Every scalar becomes a string, whatever it looks like, except plain `null`, `~` and nothing, which
 * become null: YAML 1.1 would turn `language: no` into false. Readers give strings their types. A repeated key is an error where `strict`,
 * else the last wins.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <jansson.h>

#include "base/err.h"

#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 200000
#define YAML_ALIAS_BYTES (1u << 20)	/* for which all aliases of a document stand */

enum yaml_mode {
	YAML_STRICT,	/* our own files */
	YAML_LAX,	/* cards of others */
};

/* NULL with ERR_INPUT (line named) or ERR_LIMIT in e. An empty document is JSON null. Only the first document is read. */
json_t *yaml_parse(const char *text, size_t n, enum yaml_mode mode, const char *what, struct err *e);
/*
 * The same, lax. Of the outermost mapping's keys becomes true: in the object twice each that it has more than once, in the object cut each under which an alias stands for
 * a list or mapping, which are left out.
 */
json_t *yaml_parse_lax(const char *text, size_t n, const char *what, json_t *twice, json_t *cut, struct err *e);

#endif
