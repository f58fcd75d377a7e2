/* config_show.c - the settings for people: as YAML that can be read back, and as the body of a manual page. */
#include <ctype.h>

#include "base/buf.h"
#include "base/str.h"
#include "registryd/config_table.h"

#define SHOW_MAX_BYTES (16 << 20)

/* Plain where YAML can't mistake it for anything else, in double quotes otherwise. */
static void put_text(struct buf *b, const char *s)
{
	bool plain = isalnum((unsigned char)s[0]) || s[0] == '/';

	for (const char *p = s; plain && *p; p++)
		plain = isalnum((unsigned char)*p) || strchr("_/.@-", *p) || (*p == ':' && p[1] && p[1] != ' ');
	if (plain && strcasecmp(s, "null")) {
		buf_puts(b, s);
		return;
	}
	buf_putc(b, '"');
	buf_json_escaped(b, s);
	buf_putc(b, '"');
}

static void put_span(struct buf *b, int64_t s)
{
	static const struct { int64_t s; const char *unit; } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } };

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (s % units[i].s == 0) {
			buf_printf(b, "%lld%s", (long long)(s / units[i].s), units[i].unit);
			return;
		}
}

static void put_size(struct buf *b, uint64_t n)
{
	static const struct { uint64_t n; const char *unit; } units[] = { { 1ull << 40, "TiB" }, { 1000000000000ull, "TB" }, { 1ull << 30, "GiB" },
		{ 1000000000ull, "GB" }, { 1ull << 20, "MiB" }, { 1000000ull, "MB" }, { 1ull << 10, "KiB" }, { 1000ull, "KB" } };

	for (size_t i = 0; n && i < ARRAY_LEN(units); i++)
		if (n % units[i].n == 0) {
			buf_printf(b, "%llu%s", (unsigned long long)(n / units[i].n), units[i].unit);
			return;
		}
	buf_printf(b, "%llu", (unsigned long long)n);
}

static void put_choice(struct buf *b, const char *choices, int index)
{
	for (; index > 0; index--)
		choices += strcspn(choices, " ") + 1;
	buf_printf(b, "%.*s", (int)strcspn(choices, " "), choices);
}

static void put_list(struct buf *b, const struct config_list *list)
{
	buf_putc(b, '[');
	for (size_t i = 0; i < list->n; i++) {
		buf_puts(b, i ? ", " : "");
		put_text(b, list->items[i]);
	}
	buf_putc(b, ']');
}

/* False when there is nothing to show: an optional setting that is not set. */
static bool put_value(struct buf *b, const struct setting *s, const char *base)
{
	const void *at = base + s->offset;
	const struct config_window *w = at;

	switch (s->type) {
	case SETTING_TEXT:
	case SETTING_URL:
		if (!*(const char *const *)at)
			return false;
		put_text(b, *(const char *const *)at);
		return true;
	case SETTING_SIZE:
	case SETTING_RATE:
		put_size(b, *(const uint64_t *)at);
		buf_puts(b, s->type == SETTING_RATE && *(const uint64_t *)at ? "/s" : "");
		return true;
	case SETTING_COUNT:
		buf_printf(b, "%lld", (long long)*(const int64_t *)at);
		return true;
	case SETTING_DURATION:
		put_span(b, *(const int64_t *)at);
		return true;
	case SETTING_MILLIS:
		buf_printf(b, "%lldms", (long long)*(const int64_t *)at);
		return true;
	case SETTING_CHOICE:
		put_choice(b, s->choices, *(const int *)at);
		return true;
	case SETTING_LIST:
		put_list(b, at);
		return ((const struct config_list *)at)->n > 0;
	case SETTING_WINDOW:
		buf_printf(b, "%02d:%02d-%02d:%02d", w->from / 60, w->from % 60, w->to / 60, w->to % 60);
		return w->from != w->to;
	}
	return false;
}

/* indent: of the keys; first: what stands before the first key ("- " of a list entry). Comments only where asked. */
static void put_section(struct buf *b, const struct section *sec, const char *base, int indent, const char *first, bool comments)
{
	for (size_t i = 0; i < config_n_settings; i++) {
		const struct setting *s = &config_settings[i];
		own(buf) struct buf value;
		bool there;

		buf_init(&value, SHOW_MAX_BYTES);
		if (strcmp(s->section, sec->name))
			continue;
		there = put_value(&value, s, base);
		if (comments)
			buf_printf(b, "%*s# %s\n", indent, "", s->meaning);
		if (there) {
			buf_printf(b, "%*s%s%s: %s\n", indent - (int)strlen(first), "", first, s->key, value.data);
			first = "";
		} else if (comments) {
			buf_printf(b, "%*s#%s:\n", indent, "", s->key);
		}
	}
}

char *config_show(const struct config *c)
{
	struct buf b;

	buf_init(&b, SHOW_MAX_BYTES);
	put_section(&b, &config_sections[0], (const char *)c, 0, "", true);
	for (size_t i = 1; i < config_n_sections; i++) {
		const struct section *sec = &config_sections[i];
		const char *base = (const char *)c + sec->offset;
		size_t n = sec->list ? *(const size_t *)((const char *)c + sec->count_offset) : 1;

		buf_printf(&b, "\n# %s\n%s:%s\n", sec->meaning, sec->name, n ? "" : " []");
		if (!sec->list)
			put_section(&b, sec, base, 2, "", true);
		for (size_t k = 0; sec->list && k < n; k++)
			put_section(&b, sec, *(const char *const *)base + k * sec->size, 4, "- ", false);
	}
	return buf_take(&b);
}

/* Text for man(7): backslashes, and a leading dot or quote, are not to be taken for requests. */
static void put_roff(struct buf *b, const char *s)
{
	for (const char *p = s; *p; p++) {
		if (p == s && (*p == '.' || *p == '\''))
			buf_puts(b, "\\&");
		buf_puts(b, *p == '\\' ? "\\e" : *p == '-' ? "\\-" : (char[]){ *p, 0 });
	}
}

static void man_setting(struct buf *b, const struct setting *s)
{
	static const char *const types[] = { "text", "URL", "size", "size/s", "number", "duration", "duration", "choice", "list", "HH:MM\\-HH:MM" };

	buf_printf(b, ".TP\n.B %s\n", s->key);
	put_roff(b, s->meaning);
	buf_printf(b, "\n(%s", types[s->type]);
	if (s->choices) {
		buf_puts(b, ": ");
		put_roff(b, s->choices);
	}
	if (s->type == SETTING_COUNT)
		buf_printf(b, " from %lld to %lld", (long long)s->min, (long long)s->max);
	if (s->otherwise && !strcmp(s->otherwise, "!"))
		buf_puts(b, "; must be given");
	else if (s->otherwise)
		buf_printf(b, "; default %s", s->otherwise);
	buf_puts(b, ")\n");
}

char *config_man(void)
{
	struct buf b;

	buf_init(&b, SHOW_MAX_BYTES);
	for (size_t i = 0; i < config_n_sections; i++) {
		const struct section *sec = &config_sections[i];

		buf_printf(&b, ".SS %s\n", *sec->name ? sec->name : "Top level");
		if (sec->meaning) {
			put_roff(&b, sec->meaning);
			buf_putc(&b, '\n');
		}
		for (size_t k = 0; k < config_n_settings; k++)
			if (!strcmp(config_settings[k].section, sec->name))
				man_setting(&b, &config_settings[k]);
	}
	return buf_take(&b);
}
