/* json_list.c - see json_list.h. Follows strings and nesting only as far as it must to tell where an element ends. */
#include "base/json_list.h"

#define MEMBERS 1	/* the depth at which the outermost object's members stand */
#define ELEMENTS 2

void json_list_begin(struct json_list *l, const char *key, struct buf *rest, void (*each)(void *arg, const json_t *item), void *arg)
{
	*l = (struct json_list){ .key = key, .each = each, .arg = arg, .rest = rest };
	buf_init(&l->item, JSON_LIST_ITEM_MAX);
}

void json_list_done(struct json_list *l)
{
	buf_done(&l->item);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool blank(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (!is_space(b->data[i]))
			return false;
	return true;
}

static int end_item(struct json_list *l)
{
	own(json) json_t *item = NULL;

	if (buf_failed(&l->item))
		return ERR_LIMIT;
	if (blank(&l->item))	/* an empty list, or what is behind a comma too many */
		return 0;
	item = json_parse(l->item.data, l->item.len, "an element", NULL);
	buf_reset(&l->item);
	if (!item)
		return ERR_INPUT;
	l->each(l->arg, item);
	return 0;
}

/* A string's byte: of a member's name where one may stand. */
static void in_string(struct json_list *l, char c)
{
	bool ends = c == '"' && !l->escaped;

	l->escaped = c == '\\' && !l->escaped;
	l->in_string = !ends;
	if (l->depth != MEMBERS)
		return;
	if (ends)
		l->at = JSON_LIST_NAMED;
	else if (l->n_name < sizeof(l->name))
		l->name[l->n_name++] = c;
}

/* Is this the bracket that the list begins with? */
static bool opens_list(const struct json_list *l, char c)
{
	return c == '[' && l->depth == ELEMENTS && l->at == JSON_LIST_COLON && l->n_name == strlen(l->key) && !memcmp(l->name, l->key, l->n_name);
}

static void between(struct json_list *l, char c)
{
	if (c == '"') {
		l->in_string = true;
		l->n_name = l->depth == MEMBERS ? 0 : l->n_name;
	} else if (c == '[' || c == '{') {
		l->depth++;
	} else if ((c == ']' || c == '}') && l->depth) {
		l->depth--;
	}
	if (opens_list(l, c))
		l->in_list = true;
	if (l->depth == MEMBERS && c == ':' && l->at == JSON_LIST_NAMED)
		l->at = JSON_LIST_COLON;
	else if (!is_space(c))
		l->at = JSON_LIST_BETWEEN;
}

/* One byte outside of the list goes to rest, one inside to its element. */
static int add_byte(struct json_list *l, char c)
{
	bool listed = l->in_list, string = l->in_string;
	int rc = 0;

	if (string)
		in_string(l, c);
	else
		between(l, c);
	if (!listed)
		return buf_putc(l->rest, c);
	if (!string && ((c == ',' && l->depth == ELEMENTS) || l->depth < ELEMENTS)) {
		rc = end_item(l);
		l->in_list = l->depth >= ELEMENTS;
		return rc || l->in_list ? rc : buf_putc(l->rest, c);
	}
	buf_putc(&l->item, c);
	return buf_failed(&l->item) ? ERR_LIMIT : 0;
}

int json_list_add(struct json_list *l, const char *p, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = add_byte(l, p[i]);
	return rc;
}
