/* yaml.c - see yaml.h. */
#include "base/yaml.h"

#include <yaml.h>

#include "base/json.h"

struct frame {
	json_t *node;	/* object or array being filled */
	char *key;	/* of an object: the key whose value comes next */
};

struct reader {
	yaml_parser_t parser;
	struct frame stack[YAML_DEPTH_MAX];
	size_t depth, nodes, alias_bytes;
	json_t *root, *anchors, *twice, *cut;
	char *outer;	/* the outermost mapping's key that was read last */
	enum yaml_mode mode;
	const char *what;
};

static bool is_null(const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;

	return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (!*s || !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") || !strcmp(s, "NULL"));
}

static int here(const struct reader *r, const yaml_event_t *ev, struct err *e, enum err_code code, const char *why)
{
	return err_set(e, code, "%s: line %zu: %s", r->what, ev->start_mark.line + 1, why);
}

/* Puts a finished or just opened node where it belongs; takes the reference, which then lives in its parent or as the root. */
static int place(struct reader *r, json_t *node, const yaml_event_t *ev, struct err *e)
{
	struct frame *top = r->depth ? &r->stack[r->depth - 1] : NULL;

	if (!top) {
		r->root = node;
		return 0;
	}
	if (json_is_array(top->node))
		return json_array_append_new(top->node, node) < 0 ? here(r, ev, e, ERR_INPUT, "a value can't be kept") : 0;
	if (!top->key) {
		json_decref(node);
		return here(r, ev, e, ERR_INPUT, "a mapping or list can't be a key");
	}
	own(mem) char *key = take(top->key);
	if (json_object_get(top->node, key)) {
		if (r->mode == YAML_STRICT) {
			json_decref(node);
			return err_set(e, ERR_INPUT, "%s: line %zu: '%s' stands twice", r->what, ev->start_mark.line + 1, key);
		}
		if (r->twice && r->depth == 1)
			json_object_set_new(r->twice, key, json_true());
	}
	return json_object_set_new(top->node, key, node) < 0 ? here(r, ev, e, ERR_INPUT, "a key is not valid UTF-8") : 0;
}

static int scalar(struct reader *r, const yaml_event_t *ev, struct err *e)
{
	struct frame *top = r->depth ? &r->stack[r->depth - 1] : NULL;
	const char *text = (const char *)ev->data.scalar.value;
	size_t n = ev->data.scalar.length;
	json_t *node;

	if (memchr(text, 0, n))
		return here(r, ev, e, ERR_INPUT, "a value holds a NUL byte");
	if (top && json_is_object(top->node) && !top->key) {
		top->key = strdup(text);
		if (!top->key)
			abort();
		if (r->cut && r->depth == 1) {
			free(r->outer);
			r->outer = strdup(text);
		}
		return 0;
	}
	node = is_null(ev) ? json_null() : json_stringn(text, n);
	if (!node)
		return here(r, ev, e, ERR_INPUT, "a value is not valid UTF-8");
	if (ev->data.scalar.anchor)
		json_object_set(r->anchors, (const char *)ev->data.scalar.anchor, node);
	return place(r, node, ev, e);
}

/* What stands at the anchor where that is a scalar; else an empty mapping, for trees would grow without end. */
static int alias(struct reader *r, const yaml_event_t *ev, struct err *e)
{
	json_t *node = json_object_get(r->anchors, (const char *)ev->data.alias.anchor);

	if (r->mode == YAML_STRICT)
		return here(r, ev, e, ERR_INPUT, "aliases are not allowed");
	r->alias_bytes += json_string_length(node);
	if (r->alias_bytes > YAML_ALIAS_BYTES)
		return here(r, ev, e, ERR_LIMIT, "its aliases stand for more text than is read");
	if (!node && r->cut && r->outer)
		json_object_set_new(r->cut, r->outer, json_true());
	return place(r, node ? json_incref(node) : json_object(), ev, e);
}

static int open_node(struct reader *r, json_t *node, const yaml_char_t *anchor, const yaml_event_t *ev, struct err *e)
{
	int rc;

	if (anchor)
		json_object_del(r->anchors, (const char *)anchor);	/* a scalar had it before */
	if (r->depth == YAML_DEPTH_MAX) {
		json_decref(node);
		return here(r, ev, e, ERR_LIMIT, "nested too deeply");
	}
	rc = place(r, node, ev, e);
	if (rc < 0)
		return rc;
	r->stack[r->depth++] = (struct frame){ .node = node };
	return 0;
}

static void close_node(struct reader *r)
{
	free(r->stack[--r->depth].key);
}

static bool core_tag(const yaml_char_t *tag)
{
	return !tag || !strncmp((const char *)tag, "tag:yaml.org,2002:", 18) || !strcmp((const char *)tag, "!");
}

static int refuse_extras(const struct reader *r, const yaml_event_t *ev, const yaml_char_t *anchor, const yaml_char_t *tag, struct err *e)
{
	if (r->mode == YAML_STRICT && anchor)
		return here(r, ev, e, ERR_INPUT, "anchors are not allowed");
	if (r->mode == YAML_STRICT && !core_tag(tag))
		return here(r, ev, e, ERR_INPUT, "tags are not allowed");
	return 0;
}

static int handle(struct reader *r, const yaml_event_t *ev, struct err *e)
{
	int rc = 0;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return alias(r, ev, e);
	case YAML_SCALAR_EVENT:
		rc = refuse_extras(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag, e);
		return rc < 0 ? rc : scalar(r, ev, e);
	case YAML_SEQUENCE_START_EVENT:
		rc = refuse_extras(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag, e);
		return rc < 0 ? rc : open_node(r, json_array(), ev->data.sequence_start.anchor, ev, e);
	case YAML_MAPPING_START_EVENT:
		rc = refuse_extras(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag, e);
		return rc < 0 ? rc : open_node(r, json_object(), ev->data.mapping_start.anchor, ev, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_node(r);
		return 0;
	default:
		return 0;
	}
}

/* What stands in a second document would be passed over without a word. */
static int check_end(struct reader *r, struct err *e)
{
	yaml_event_t ev;
	int rc = 0;

	if (!yaml_parser_parse(&r->parser, &ev))
		return err_set(e, ERR_INPUT, "%s: line %zu: %s", r->what, r->parser.problem_mark.line + 1, r->parser.problem ? r->parser.problem : "not valid YAML");
	if (ev.type != YAML_STREAM_END_EVENT)
		rc = here(r, &ev, e, ERR_INPUT, "a second document (---): only one is read");
	yaml_event_delete(&ev);
	return rc;
}

/* Runs the events up to the end of the first document. */
static int run(struct reader *r, struct err *e)
{
	yaml_event_type_t type = YAML_NO_EVENT;

	while (type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
		yaml_event_t ev;
		int rc;

		if (!yaml_parser_parse(&r->parser, &ev))
			return err_set(e, ERR_INPUT, "%s: line %zu: %s", r->what, r->parser.problem_mark.line + 1,
				       r->parser.problem ? r->parser.problem : "not valid YAML");
		type = ev.type;
		rc = ++r->nodes > YAML_NODES_MAX ? here(r, &ev, e, ERR_LIMIT, "more values than are read of one document") : handle(r, &ev, e);
		yaml_event_delete(&ev);
		if (rc < 0)
			return rc;
	}
	return r->mode == YAML_STRICT && type == YAML_DOCUMENT_END_EVENT ? check_end(r, e) : 0;
}

static json_t *parse(const char *text, size_t n, enum yaml_mode mode, const char *what, json_t *twice, json_t *cut, struct err *e)
{
	struct reader *r = calloc(1, sizeof(*r));
	json_t *root = NULL;

	if (!r || !yaml_parser_initialize(&r->parser) || !(r->anchors = json_object()))
		abort();
	r->mode = mode;
	r->what = what;
	r->twice = twice;
	r->cut = cut;
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, n);
	if (run(r, e) == 0)
		root = r->root ? r->root : json_null();
	else
		json_decref(r->root);
	while (r->depth)
		close_node(r);
	json_decref(r->anchors);
	free(r->outer);
	yaml_parser_delete(&r->parser);
	free(r);
	return root;
}

json_t *yaml_parse(const char *text, size_t n, enum yaml_mode mode, const char *what, struct err *e)
{
	return parse(text, n, mode, what, NULL, NULL, e);
}

json_t *yaml_parse_lax(const char *text, size_t n, const char *what, json_t *twice, json_t *cut, struct err *e)
{
	return parse(text, n, YAML_LAX, what, twice, cut, e);
}
