/* config.c - reads registryd.yaml by the table of settings. */
#include "registryd/config.h"

#include <ctype.h>
#include <fcntl.h>
#include <pwd.h>
#include <syslog.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "catalog/event.h"
#include "catalog/licence.h"
#include "registryd/config_table.h"
#include "registryd/hub.h"

#define KEYS_MAX  64
#define KINDS_MAX 64	/* of events */

static const char embedded_default[] = "upstreams:\n  - {name: hub, endpoint: https://huggingface.co}\n";

/* --- values ------------------------------------------------------------------------------------------------------------------------- */

static int bounded(const struct setting *s, uint64_t v, const char *text, struct err *e)
{
	if ((s->min > 0 && v < (uint64_t)s->min) || v > (uint64_t)s->max)
		return err_set(e, ERR_USAGE, "%s is out of bounds: between %lld and %lld", text, (long long)s->min, (long long)s->max);
	return 0;
}

static int read_size(const struct setting *s, const char *text, uint64_t *out, struct err *e)
{
	size_t n = strlen(text);
	char copy[64];
	uint64_t v;
	int rc;

	if (s->type == SETTING_RATE && n > 2 && n < sizeof(copy) && str_ends(text, "/s")) {
		snprintf(copy, sizeof(copy), "%.*s", (int)(n - 2), text);
		text = copy;
	}
	if ((rc = str_parse_size(text, &v, e)) || (rc = bounded(s, v, text, e)))
		return rc;
	*out = v;
	return 0;
}

static int read_span(const struct setting *s, const char *text, int64_t *out, struct err *e)
{
	bool millis = s->type == SETTING_MILLIS && str_ends(text, "ms");
	char copy[32];
	uint64_t n;
	int64_t v;
	int rc;

	if (millis) {
		snprintf(copy, sizeof(copy), "%.*s", (int)(strlen(text) - 2), text);
		if ((rc = str_parse_u64(copy, &n, e)))
			return rc;
		v = n > INT64_MAX ? INT64_MAX : (int64_t)n;
	} else {
		if ((rc = str_parse_duration(text, &v, e)))
			return rc;
		if (s->type == SETTING_MILLIS && __builtin_mul_overflow(v, 1000, &v))
			v = INT64_MAX;
	}
	if ((rc = bounded(s, (uint64_t)v, text, e)))
		return rc;
	*out = v;
	return 0;
}

static int read_choice(const struct setting *s, const char *text, int *out, struct err *e)
{
	const char *at = s->choices;

	for (int i = 0; *at; i++) {
		size_t n = strcspn(at, " ");

		if (strlen(text) == n && !strncmp(at, text, n)) {
			*out = i;
			return 0;
		}
		at += n + strspn(at + n, " ");
	}
	return err_set(e, ERR_USAGE, "\"%s\" is not one of: %s", text, s->choices);
}

static bool read_minutes(const char **s, int *out)
{
	int hours, minutes;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? (*s)[i] != ':' : !isdigit((unsigned char)(*s)[i]))
			return false;
	hours = ((*s)[0] - '0') * 10 + (*s)[1] - '0';
	minutes = ((*s)[3] - '0') * 10 + (*s)[4] - '0';
	*s += 5;
	*out = hours * 60 + minutes;
	return hours < 24 && minutes < 60;
}

static int read_window(const char *text, struct config_window *out, struct err *e)
{
	const char *s = text;
	struct config_window w;

	if (!read_minutes(&s, &w.from) || *s++ != '-' || !read_minutes(&s, &w.to) || *s)
		return err_set(e, ERR_USAGE, "\"%s\" is not a time of day such as 22:00-06:00", text);
	*out = w;
	return 0;
}

/* An address as it may be shown: a name and a password in it are for the other side alone. */
static const char *shown(struct config *c, const char *url)
{
	const char *scheme = strstr(url, "://");
	size_t n = scheme ? (size_t)(scheme + 3 - url) : 0;
	const char *at = strrchr(url + n, '@');

	return at ? arena_printf(&c->arena, "%.*s...%s", (int)n, url, at) : url;
}

static int read_url(struct config *c, const char *text, const char **out, struct err *e)
{
	char *url = arena_strdup(&c->arena, text);
	size_t n = strlen(url);

	if ((!str_starts(url, "http://") && !str_starts(url, "https://")) || strpbrk(url, " \t\"<>"))
		return err_set(e, ERR_USAGE, "\"%s\" is not an address that begins with http:// or https://", shown(c, text));
	while (n > 8 && url[n - 1] == '/')
		url[--n] = 0;
	*out = url;
	return 0;
}

static int read_list(struct config *c, const struct setting *s, const json_t *v, struct config_list *out, struct err *e)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	struct config_list list = { arena_alloc(&c->arena, (n ? n : 1) * sizeof(char *)), 0 };

	if (n > (uint64_t)s->max || n < (uint64_t)s->min)
		return err_set(e, ERR_USAGE, "between %lld and %lld entries are possible, not %zu", (long long)s->min, (long long)s->max, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;

		if (!json_is_string(item) || !*json_string_value(item))
			return err_set(e, ERR_USAGE, "must be a list of texts");
		list.items[list.n++] = arena_strdup(&c->arena, json_string_value(item));
	}
	*out = list;
	return 0;
}

static int read_value(struct config *c, const struct setting *s, const json_t *v, char *base, struct err *e)
{
	void *at = base + s->offset;
	const char *text;

	if (s->type == SETTING_LIST)
		return read_list(c, s, v, at, e);
	if (!json_is_string(v) || !*json_string_value(v))
		return err_set(e, ERR_USAGE, "must be one value");
	text = json_string_value(v);
	switch (s->type) {
	case SETTING_TEXT:
		*(const char **)at = arena_strdup(&c->arena, text);
		return 0;
	case SETTING_URL:
		return read_url(c, text, at, e);
	case SETTING_SIZE:
	case SETTING_RATE:
		return read_size(s, text, at, e);
	case SETTING_COUNT: {
		uint64_t n;
		int rc = str_parse_u64(text, &n, e);

		if (rc || (rc = bounded(s, n, text, e)))
			return rc;
		*(int64_t *)at = (int64_t)n;
		return 0;
	}
	case SETTING_DURATION:
	case SETTING_MILLIS:
		return read_span(s, text, at, e);
	case SETTING_CHOICE:
		return read_choice(s, text, at, e);
	case SETTING_WINDOW:
		return read_window(text, at, e);
	case SETTING_LIST:
		break;
	}
	return err_set(e, ERR_FAILED, "a setting of an unknown type");
}

/* --- sections ----------------------------------------------------------------------------------------------------------------------- */

static const struct setting *find_setting(const char *section, const char *key)
{
	for (size_t i = 0; i < config_n_settings; i++)
		if (!strcmp(config_settings[i].section, section) && !strcmp(config_settings[i].key, key))
			return &config_settings[i];
	return NULL;
}

static const struct section *find_section(const char *name)
{
	for (size_t i = 1; i < config_n_sections; i++)
		if (!strcmp(config_sections[i].name, name))
			return &config_sections[i];
	return NULL;
}

static int unknown_key(const char *section, const char *key, struct err *e)
{
	const char *names[KEYS_MAX], *near;
	size_t n = 0;

	for (size_t i = 0; i < config_n_settings; i++)
		if (!strcmp(config_settings[i].section, section) && n < KEYS_MAX)
			names[n++] = config_settings[i].key;
	for (size_t i = 1; !*section && i < config_n_sections && n < KEYS_MAX; i++)
		names[n++] = config_sections[i].name;
	near = str_nearest(key, names, n);
	if (near)
		return err_set(e, ERR_USAGE, "unknown setting \"%s\"; did you mean \"%s\"?", key, near);
	return err_set(e, ERR_USAGE, "unknown setting \"%s\"", key);
}

static int set_defaults(struct config *c, const struct section *sec, char *base, struct err *e)
{
	for (size_t i = 0; i < config_n_settings; i++) {
		const struct setting *s = &config_settings[i];
		own(json) json_t *v = NULL;
		int rc;

		if (strcmp(s->section, sec->name) || !s->otherwise || !strcmp(s->otherwise, "!"))
			continue;
		v = json_string(s->otherwise);
		if ((rc = read_value(c, s, v, base, e)))
			return rc;
	}
	return 0;
}

/* One section's keys into its struct. where names it for messages: "smoke", "mirror[2]", "". */
static int read_section(struct config *c, const struct section *sec, const json_t *obj, char *base, const char *where, struct err *e)
{
	const char *dot = *where ? "." : "", *key;
	const json_t *v;
	int rc = set_defaults(c, sec, base, e);

	if (rc)
		return rc;
	if (!json_is_object(obj))
		return err_set(e, ERR_USAGE, "%s must have settings below it, as key: value", where);
	json_object_foreach((json_t *)obj, key, v) {
		const struct setting *s = find_setting(sec->name, key);

		if (!s && !*sec->name && find_section(key))
			continue;
		if (!s)
			return rc = unknown_key(sec->name, key, e), *where ? err_wrap(e, "%s", where) : rc;
		if (json_is_null(v))
			continue;	/* "key:" with nothing behind it leaves the default */
		if (read_value(c, s, v, base, e))
			return err_wrap(e, "%s%s%s", where, dot, key);
	}
	for (size_t i = 0; i < config_n_settings; i++) {
		const struct setting *s = &config_settings[i];

		v = json_object_get(obj, s->key);
		if (!strcmp(s->section, sec->name) && s->otherwise && !strcmp(s->otherwise, "!") && (!v || json_is_null(v)))
			return err_set(e, ERR_USAGE, "%s%s%s is missing", where, dot, s->key);
	}
	return 0;
}

static int read_sections(struct config *c, const struct section *sec, const json_t *v, struct err *e)
{
	size_t n = json_array_size(v);
	char where[64], *base;

	if (!json_is_array(v) || n > CONFIG_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s must be a list of at most %d entries", sec->name, CONFIG_LIST_MAX);
	base = arena_alloc(&c->arena, (n ? n : 1) * sec->size);
	*(void **)((char *)c + sec->offset) = base;
	*(size_t *)((char *)c + sec->count_offset) = n;
	for (size_t i = 0; i < n; i++) {
		int rc;

		snprintf(where, sizeof(where), "%s[%zu]", sec->name, i + 1);
		if ((rc = read_section(c, sec, json_array_get(v, i), base + i * sec->size, where, e)))
			return rc;
	}
	return 0;
}

static int read_all(struct config *c, const json_t *root, struct err *e)
{
	int rc = read_section(c, &config_sections[0], root, (char *)c, "", e);

	for (size_t i = 1; !rc && i < config_n_sections; i++) {
		const struct section *sec = &config_sections[i];
		const json_t *v = json_object_get(root, sec->name);

		if (sec->list)
			rc = v && !json_is_null(v) ? read_sections(c, sec, v, e) : 0;
		else if (v && !json_is_null(v))
			rc = read_section(c, sec, v, (char *)c + sec->offset, sec->name, e);
		else
			rc = set_defaults(c, sec, (char *)c + sec->offset, e);
	}
	return rc;
}

/* --- what spans settings ------------------------------------------------------------------------------------------------------------ */

/* Such an address stands in messages, in the answers of the API and in bundles. */
static int check_open(struct config *c, const char *url, const char *where, const char *instead, struct err *e)
{
	const char *host = strstr(url, "://") + 3;

	if (!memchr(host, '@', strcspn(host, "/?#")))
		return 0;
	return err_set(e, ERR_USAGE, "%s: \"%s\" holds a user's name or password, and everybody is shown this address: leave them out%s", where, shown(c, url), instead);
}

static int check_endpoint(struct config *c, size_t i, struct err *e)
{
	char where[48];

	snprintf(where, sizeof(where), "upstreams[%zu].endpoint", i + 1);
	return check_open(c, c->upstreams[i].endpoint, where, ", and name a file with a token in token_file", e);
}

static int check_upstreams(struct config *c, struct err *e)
{
	if (c->public_url && check_open(c, c->public_url, "public_url", "", e))
		return e->code;
	if (!c->n_upstreams)
		return err_set(e, ERR_USAGE, "upstreams is empty: name at least one, such as {name: hub, endpoint: https://huggingface.co}");
	for (size_t i = 0; i < c->n_upstreams; i++) {
		const char *proxy = c->upstreams[i].proxy;

		if (check_endpoint(c, i, e))
			return e->code;
		if (proxy && !net_is_proxy(proxy))
			return err_set(e, ERR_USAGE, "upstreams[%zu].proxy: \"%s\" is not HOST:PORT, or an address that begins with http://, https:// or socks5://", i + 1, shown(c, proxy));
		if (!strcmp(c->upstreams[i].name, "import") || !strcmp(c->upstreams[i].name, "bundle"))
			return err_set(e, ERR_USAGE, "upstreams[%zu].name: \"%s\" is where models come from that no upstream gave; choose another", i + 1, c->upstreams[i].name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(c->upstreams[i].name, c->upstreams[k].name))
				return err_set(e, ERR_USAGE, "upstreams: the name \"%s\" is used twice", c->upstreams[i].name);
	}
	return 0;
}

/* A listing is filtered by the Hub's own ids. */
static int check_licences(const struct config_mirror *m, const char *where, struct err *e)
{
	for (size_t i = 0; i < m->license.n; i++) {
		const char *id = m->license.items[i], *near = licence_normalise(id);

		if (licence_find(id))
			continue;
		near = near ? near : licence_nearest(id);
		return err_set(e, ERR_USAGE, "%s.license: unknown licence \"%.60s\"%s%s%s", where, id, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
	return 0;
}

static int check_repo(const struct config_mirror *m, const char *where, struct err *e)
{
	const char *at = strchr(m->repo, '@');

	if (m->names.n || m->license.n)
		return err_set(e, ERR_USAGE, "%s.%s: chooses among the models of an author or a query, and this entry is of one repo", where, m->names.n ? "names" : "license");
	if (at && at[1])
		return err_set(e, ERR_USAGE, "%s.repo: \"%.200s\" names a revision: write repo: %.*s, revision: %.100s", where, m->repo, (int)(at - m->repo), m->repo, at + 1);
	return hub_check_repo(m->repo, e) ? err_wrap(e, "%s.repo", where) : 0;
}

/* One entry by itself; where names it for messages. */
static int check_entry(const struct config *c, const struct config_mirror *m, const char *where, struct err *e)
{
	if (!!m->repo + !!m->author + !!m->query != 1)
		return err_set(e, ERR_USAGE, "%s: give exactly one of repo, author and query", where);
	if (m->upstream && !config_find_upstream(c, m->upstream))
		return err_set(e, ERR_USAGE, "%s.upstream: there is no upstream \"%s\"", where, m->upstream);
	if (m->repo)
		return check_repo(m, where, e);
	if (m->author && hub_check_author(m->author, e))
		return err_wrap(e, "%s.author", where);
	return check_licences(m, where, e);
}

/* Another branch of a repo is another entry. */
static const char *mirror_name(struct config *c, const struct config_mirror *m)
{
	if (m->name)
		return m->name;
	if (!m->repo || !strcmp(m->revision, "main"))
		return m->repo ? m->repo : m->author ? m->author : m->query;
	return arena_printf(&c->arena, "%s@%s", m->repo, m->revision);
}

/* The catalog tells names apart as it does models: not by case. */
static int check_mirror(struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_mirror; i++) {
		struct config_mirror *m = &c->mirror[i];
		char where[32];

		snprintf(where, sizeof(where), "mirror[%zu]", i + 1);
		if (check_entry(c, m, where, e))
			return e->code;
		m->name = mirror_name(c, m);
		for (size_t k = 0; k < i; k++) {
			const char *other = c->mirror[k].name;

			if (!strcasecmp(other, m->name))
				return err_set(e, ERR_USAGE, "mirror: \"%s\" is there twice%s%s%s; give one of them a name", m->name, strcmp(other, m->name) ? ", also as \"" : "",
					       strcmp(other, m->name) ? other : "", strcmp(other, m->name) ? "\"" : "");
		}
	}
	return 0;
}

/* The same address twice can't be bound. */
static int check_listen(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->listen.n; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcasecmp(c->listen.items[i], c->listen.items[k]))
				return err_set(e, ERR_USAGE, "listen: %s is there twice", c->listen.items[i]);
	return 0;
}

/* A glob that no kind of event fits would never be told anything. */
static int check_event_glob(const char *glob, size_t hook, struct err *e)
{
	char families[KINDS_MAX][24];
	const char *names[2 * KINDS_MAX], *near;
	size_t n = 0;

	for (const char *const *kind = event_kinds; *kind && n + 2 <= ARRAY_LEN(names); kind++) {
		char *family = families[n / 2];

		if (str_glob(glob, *kind))
			return 0;
		snprintf(family, sizeof(families[0]), "%.*s.*", (int)strcspn(*kind, "."), *kind);
		names[n++] = family;
		names[n++] = *kind;
	}
	near = str_nearest(glob, names, n);
	return err_set(e, ERR_USAGE, "webhooks[%zu].events: there is no event \"%.80s\"%s%s%s", hook + 1, glob, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int check_events(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_webhooks; i++)
		for (size_t k = 0; k < c->webhooks[i].events.n; k++)
			if (check_event_glob(c->webhooks[i].events.items[k], i, e) < 0)
				return e->code;
	return 0;
}

/* How far an address was told is kept by address. */
static int check_webhooks(struct config *c, struct err *e)
{
	if (c->n_webhooks > CONFIG_WEBHOOKS_MAX)
		return err_set(e, ERR_USAGE, "webhooks must be a list of at most %d addresses", CONFIG_WEBHOOKS_MAX);
	for (size_t i = 0; i < c->n_webhooks; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(c->webhooks[k].url, c->webhooks[i].url))
				return err_set(e, ERR_USAGE, "webhooks: \"%s\" is there twice; one entry may name all the events it wants", shown(c, c->webhooks[i].url));
	return check_events(c, e);
}

static int check_device(const struct config *c, struct err *e)
{
	const char *d = c->smoke.device;

	if (!strcmp(d, "auto") || !strcmp(d, "cpu") || !strcmp(d, "cuda"))
		return 0;
	if (str_starts(d, "cuda:") && d[5] && strspn(d + 5, "0123456789") == strlen(d + 5) && strlen(d) < 9)
		return 0;
	return err_set(e, ERR_USAGE, "smoke.device: \"%s\" is not auto, cpu, cuda or cuda:N", d);
}

static void default_data(struct config *c)
{
	const char *home = getenv("HOME");
	const struct passwd *pw = home ? NULL : getpwuid(geteuid());

	if (c->data)
		return;
	if (!geteuid())
		c->data = "/var/lib/registryd";
	else
		c->data = arena_printf(&c->arena, "%s/.local/share/registryd", home ? home : pw ? pw->pw_dir : "");
}

static int settle(struct config *c, const struct config_override *o, struct err *e)
{
	int rc;

	if (o && o->data)
		c->data = arena_strdup(&c->arena, o->data);
	if (o && o->listen) {
		c->listen.items = arena_alloc(&c->arena, sizeof(char *));
		c->listen.items[0] = arena_strdup(&c->arena, o->listen);
		c->listen.n = 1;
	}
	default_data(c);
	if ((rc = check_listen(c, e)) || (rc = check_upstreams(c, e)) || (rc = check_mirror(c, e)) || (rc = check_webhooks(c, e)))
		return rc;
	return check_device(c, e);
}

int config_parse(struct config **out, const char *text, size_t n, const char *what, const struct config_override *o, struct err *e)
{
	own(config) struct config *c = mem_zalloc(sizeof(*c));
	own(json) json_t *root = NULL;
	own(json) json_t *defaults = NULL;
	struct err ignored;
	int rc;

	e = e ? e : &ignored;
	arena_init(&c->arena);
	root = yaml_parse(text, n, YAML_STRICT, what, e);
	if (!root)
		return e->code = ERR_USAGE;
	if (json_is_null(root)) {	/* an empty file */
		json_decref(root);
		root = json_object();
	}
	if (!json_is_object(root))
		return err_set(e, ERR_USAGE, "%s: settings are written as key: value", what);
	defaults = yaml_parse(embedded_default, sizeof(embedded_default) - 1, YAML_STRICT, "the embedded default", e);
	if (!defaults)
		return e->code;
	json_object_update_missing(root, defaults);
	if ((rc = read_all(c, root, e)) || (rc = settle(c, o, e))) {
		e->code = ERR_USAGE;
		return err_wrap(e, "%s", what);
	}
	*out = take(c);
	return 0;
}

int config_load(struct config **out, const char *path, const struct config_override *o, struct err *e)
{
	own(buf) struct buf b;
	int rc;

	buf_init(&b, CONFIG_FILE_MAX);
	if (path && (rc = fdio_slurp(AT_FDCWD, path, &b, e)))
		return err_wrap(e, "configuration");
	return config_parse(out, b.data, b.len, path ? path : "the embedded default", o, e);
}

static int check_file(const char *path, const char *section, size_t at, const char *key, struct err *e)
{
	own(fd) int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (!path || fd >= 0)
		return 0;
	err_errno(e, "%s[%zu].%s: %s", section, at + 1, key, path);
	return e->code = ERR_USAGE;
}

int config_check_files(const struct config *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < c->n_upstreams; i++)
		if (!(rc = check_file(c->upstreams[i].token_file, "upstreams", i, "token_file", e)))
			rc = check_file(c->upstreams[i].ca_file, "upstreams", i, "ca_file", e);
	for (size_t i = 0; !rc && i < c->n_webhooks; i++)
		rc = check_file(c->webhooks[i].secret_file, "webhooks", i, "secret_file", e);
	return rc;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	arena_done(&c->arena);
	free(c);
}

int config_log_level(const struct config *c)
{
	static const int levels[] = { LOG_WARNING, LOG_INFO, LOG_DEBUG };

	return levels[c->log];
}

const struct config_upstream *config_find_upstream(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_upstreams; i++)
		if (!name || !strcmp(c->upstreams[i].name, name))
			return &c->upstreams[i];
	return NULL;
}
