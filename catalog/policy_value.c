/* policy_value.c - see policy_read.h. */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"
#include "catalog/policy_read.h"

int policy_want_text(const struct policy_reader *r, const char *path, const json_t *v, const char **out, struct err *e)
{
	*out = json_string_value(v);
	return *out && **out ? 0 : err_set(e, ERR_USAGE, "%s: %s must be a word or a number", r->file, path);
}

int policy_want_word(const struct policy_reader *r, const char *path, const json_t *v, const char *const *words, size_t n, int *out, struct err *e)
{
	own(buf) struct buf all;
	const char *text;

	buf_init(&all, 1000);
	if (policy_want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(words[i], text)) {
			*out = (int)i;
			return 0;
		}
		buf_printf(&all, i ? ", %s" : "%s", words[i]);
	}
	return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not one of: %s", r->file, path, text, all.data);
}

int policy_want_positive(const struct policy_reader *r, const char *path, const json_t *v, double max, double *out, struct err *e)
{
	const char *text;
	char *end;

	if (policy_want_text(r, path, v, &text, e) < 0)
		return ERR_USAGE;
	*out = strtod(text, &end);	/* which reads 0x10 too, as nobody writes a limit */
	if (*end || strpbrk(text, "xX") || !(*out > 0) || *out > max)
		return err_set(e, ERR_USAGE, "%s: %s: '%.40s' is not a number above 0 and at most %g", r->file, path, text, max);
	return 0;
}

int policy_want_duration(const struct policy_reader *r, const char *path, const json_t *v, int64_t *out, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_duration(text, out, e);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

int policy_each_text(const struct policy_reader *r, const char *path, const json_t *v,
		     int (*each)(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e), void *arg, struct err *e)
{
	const char *text;
	int rc = 0;

	if (json_is_string(v))
		return each(r, path, json_string_value(v), arg, e);
	if (!json_is_array(v))
		return err_set(e, ERR_USAGE, "%s: %s must be a list", r->file, path);
	if (json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s has more than %d entries", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v) && rc == 0; i++) {
		rc = policy_want_text(r, path, json_array_get(v, i), &text, e);
		if (rc == 0)
			rc = each(r, path, text, arg, e);
	}
	return rc;
}

int policy_read_section(const struct policy_reader *r, const char *section, const json_t *v, const struct policy_key *keys, size_t n, struct err *e)
{
	const char *names[16], *name, *near;
	json_t *value;
	char path[80];

	if (!json_is_object(v))
		return err_set(e, ERR_USAGE, "%s: %s must be a mapping", r->file, *section ? section : "the policy");
	for (size_t i = 0; i < n; i++)
		names[i] = keys[i].name;
	json_object_foreach((json_t *)v, name, value) {
		size_t i = 0;

		while (i < n && strcmp(keys[i].name, name) != 0)
			i++;
		snprintf(path, sizeof(path), *section ? "%s.%.40s" : "%s%.40s", section, name);
		near = i == n ? str_nearest(name, names, n) : NULL;
		if (i == n)
			return err_set(e, ERR_USAGE, near ? "%s: unknown key '%s'; did you mean '%s'?" : "%s: unknown key '%s'", r->file, path, near);
		if (keys[i].read(r, path, value, e) < 0)
			return e ? (int)e->code : ERR_USAGE;
	}
	return 0;
}

static bool matches_known(const char *pattern)
{
	for (size_t i = 0; licence_at(i); i++)
		if (str_glob_nocase(pattern, licence_at(i)->id))
			return true;
	return false;
}

int policy_add_licence(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e)
{
	const struct licence *l = licence_find(text);
	bool is_pattern = strchr(text, '*') != NULL, is_other = !strncasecmp(text, "other:", 6);
	struct policy_list *list = arg;
	const char *near, *id = l ? l->id : NULL;

	if (!id && is_other && !is_pattern)
		id = licence_of_name(text + 6, &r->p->arena);
	if (!id && is_other && text[6])
		id = is_pattern ? licence_other_pattern(&r->p->arena, text) : licence_other_id(&r->p->arena, text);
	else if (!id && is_pattern && matches_known(text))
		id = text;
	if (!id && is_other)
		return err_set(e, ERR_USAGE, "%s: %s: '%.60s' names no licence: %s", r->file, path, text,
			       is_pattern ? "a pattern takes letters of ASCII only" : "write other:NAME, with the license_name of the card");
	near = id ? NULL : licence_nearest(text);
	if (!id)
		return err_set(e, ERR_USAGE, near ? "%s: %s: unknown licence '%.60s'; did you mean '%s'?" : "%s: %s: unknown licence '%.60s'", r->file, path, text, near);
	*vec_push(&list->v, &list->n, &list->cap) = arena_strdup(&r->p->arena, id);
	return 0;
}

int policy_add_format(const struct policy_reader *r, const char *path, const char *text, void *arg, struct err *e)
{
	enum format f = format_parse(text);
	size_t n = 0;

	while (format_names()[n])
		n++;
	if (f == FORMAT_NONE) {
		const char *near = str_nearest(text, format_names(), n);

		return err_set(e, ERR_USAGE, near ? "%s: %s: unknown format '%.40s'; did you mean '%s'?" : "%s: %s: unknown format '%.40s'", r->file, path, text, near);
	}
	*(unsigned *)arg |= FORMAT_BIT(f);
	return 0;
}
