/* cmd_show.c - show and why: all that is known of one revision, and what was decided about it. */
#include "base/str.h"
#include "cli/text.h"
#include "cli/verb.h"

static int fetch(struct ctl *c, const char *tail, json_t **answer, struct err *e)
{
	own(buf) struct buf path;
	struct ctl_model m;
	int rc;

	buf_init(&path, 0);
	rc = ctl_parse_model(&m, c->args.words[0], e);
	if (rc < 0)
		return rc;
	ctl_model_path(&path, &m, tail);
	return client_get(&c->client, path.data, answer, e);
}

static void line(const char *name, const char *text)
{
	if (strcmp(text, "-") != 0)
		printf("%-14s %s\n", name, text);
}

/* What the licence asks for beyond keeping its notices, in the words of our table. */
static void print_terms(const json_t *terms)
{
	static const char *const names[] = { "redistribution", "attribution", "copyleft", "restrictions", "notes" };
	int64_t users = json_get_int(terms, "user_limit", 0);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(ctl_text(terms, names[i]), "-") != 0)
			printf("%-14s %s: %s\n", "", names[i], ctl_text(terms, names[i]));
	if (users > 0)
		printf("%-14s another agreement is needed from %lld monthly users on\n", "", (long long)users);
}

static void print_license(const json_t *l)
{
	const json_t *s;
	size_t i;

	printf("%-14s %s (SPDX %s), commercial use: %s, according to: %s\n", "license", ctl_text(l, "id"), ctl_text(l, "spdx"),
	       ctl_text(l, "commercial_use"), ctl_text(l, "source"));
	line("", ctl_text(l, "name"));
	print_terms(json_object_get(l, "terms"));
	json_array_foreach(json_object_get(l, "conflicts"), i, s) {
		own(mem) char *clean = text_clean(json_string_value(s));

		printf("%-14s conflict: %s\n", "", clean);
	}
}

/* One line for each checkpoint of several. */
static void print_artefacts(const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *reason = json_string_value(json_array_get(json_object_get(one, "reasons"), 0));
		own(mem) char *clean = text_clean(reason ? reason : "");
		double bpb = json_get_real(one, "bits_per_byte", -1);

		printf("%-14s %-7s %s", i ? "" : "artefacts", ctl_text(one, "verdict"), ctl_text(one, "file"));
		if (bpb >= 0)
			printf(", %.4g bits per byte", bpb);
		printf(*clean ? ": %s\n" : "%s\n", clean);
	}
}

/* A later test went wrong: the verdict above goes on counting. */
static void print_last_try(const json_t *t)
{
	const char *reason = json_string_value(json_array_get(json_object_get(t, "reasons"), 0));
	own(mem) char *clean = text_clean(reason ? reason : "no reason was given");

	if (t)
		printf("%-14s tried again %s, which went wrong: %s\n", "", ctl_when(t, "at"), clean);
}

static void print_smoke(const json_t *s)
{
	double bpb = json_get_real(s, "bits_per_byte", -1), rate = json_get_real(s, "tokens_per_s", -1);
	const json_t *reason;
	size_t i;

	if (!json_is_object(s)) {
		line("smoke", "not tested");
		return;
	}
	printf("%-14s %s", "smoke", ctl_text(s, "verdict"));
	if (bpb >= 0)
		printf(", %.4g bits per byte", bpb);
	if (rate >= 0)
		printf(", %.4g tokens/s", rate);
	printf(" on %s, %s\n", ctl_text(s, "device"), ctl_when(s, "at"));
	json_array_foreach(json_object_get(s, "reasons"), i, reason) {
		own(mem) char *clean = text_clean(json_string_value(reason));

		printf("%-14s %s\n", "", clean);
	}
	json_array_foreach(json_object_get(s, "compared"), i, reason) {
		own(mem) char *clean = text_clean(json_string_value(reason));

		printf("%-14s %s\n", "", clean);
	}
	print_artefacts(json_object_get(s, "artefacts"));
	print_last_try(json_object_get(s, "last_try"));
}

/* What upstream says of its end, for a person to act on. */
static void print_hints(const json_t *h)
{
	if (json_get_str(h, "new_version"))
		printf("%-14s names a newer version: %s\n", "upstream", ctl_text(h, "new_version"));
	if (json_get_bool(h, "disabled", false))
		line("upstream", "has disabled it");
	if (json_get_str(h, "vanished_at"))
		printf("%-14s no longer has it, seen %s\n", "upstream", ctl_date(h, "vanished_at"));
}

static void print_lifecycle(const json_t *l)
{
	const char *state = json_get_str_or(l, "state", "");

	if (!strcmp(state, "retired") || str_starts(state, "withdrawn")) {
		line("lifecycle", state);
		line("", ctl_text(l, "reason"));
	}
	if (!json_get_str(l, "deprecated_at") && !json_get_str(l, "sunset_at"))
		return;
	printf("%-14s deprecated %s, ends %s, successor %s\n", "lifecycle", ctl_date(l, "deprecated_at"), ctl_date(l, "sunset_at"),
	       ctl_text(l, "successor"));
	line("", ctl_text(l, "reason"));
}

static void print_list(const char *name, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		own(mem) char *clean = text_clean(json_string_value(v));

		printf("%-14s %s\n", i ? "" : name, clean);
	}
}

/* Files that clients see in a published revision and can't have. */
static void print_lost(const json_t *list)
{
	const json_t *f;
	size_t i;

	json_array_foreach(list, i, f)
		printf("%-14s %s since %s: %s\n", i ? "" : "lost", ctl_text(f, "path"), ctl_when(f, "since"), ctl_text(f, "reason"));
	if (json_array_size(list))
		line("", "clients are told to come again until a sync has brought the bytes back");
}

static void print_findings(const struct ctl *c, const json_t *findings)
{
	static const struct table_column columns[] = { { "SEVERITY", TABLE_LEFT }, { "RULE", TABLE_LEFT }, { "PATH", TABLE_FLEX }, { "FINDING", TABLE_FLEX } };
	own(table) struct table t;
	const json_t *f;
	size_t i;

	table_init(&t, columns, ARRAY_LEN(columns));
	json_array_foreach(findings, i, f) {
		table_add(&t, json_get_str(f, "severity"));
		table_add(&t, json_get_str(f, "rule"));
		table_add(&t, json_get_str(f, "path"));
		table_add(&t, json_get_str(f, "message"));
	}
	if (!t.n_cells)
		return;
	putchar('\n');
	table_print(&t, stdout, c->columns);
}

static void print_files(const struct ctl *c, const json_t *files)
{
	static const struct table_column columns[] = { { "FILE", TABLE_FLEX }, { "SIZE", TABLE_RIGHT }, { "SHA256", TABLE_FLEX } };
	own(table) struct table t;
	const json_t *f;
	size_t i;

	table_init(&t, columns, ARRAY_LEN(columns));
	json_array_foreach(files, i, f) {
		table_add(&t, json_get_str(f, "path"));
		table_add_size(&t, json_get_int(f, "size_bytes", -1));
		table_add(&t, json_get_str(f, "sha256"));
	}
	if (!t.n_cells)
		return;
	putchar('\n');
	table_print(&t, stdout, c->columns);
}

static void print_model(const struct ctl *c, const json_t *m)
{
	char size[TEXT_SHORT_MAX], params[TEXT_SHORT_MAX], files[TEXT_SHORT_MAX];

	text_size(size, json_get_int(m, "size_bytes", -1));
	text_params(params, json_get_int(m, "params", -1));
	text_count(files, (int64_t)json_array_size(json_object_get(m, "files")), "file");
	printf("%s@%s\n\n", ctl_text(m, "repo"), ctl_text(m, "revision"));
	line("state", ctl_text(m, "state"));
	line("reason", ctl_text(m, "reason"));
	print_lost(json_object_get(m, "lost"));
	print_list("refs", json_object_get(m, "refs"));
	line("upstream", ctl_text(m, "upstream"));
	print_license(json_object_get(m, "license"));
	printf("%-14s %s in %s\n", "size", size, files);
	line("parameters", params);
	print_list("formats", json_object_get(m, "formats"));
	line("quantization", ctl_text(m, "quantization"));
	line("architecture", ctl_text(m, "architecture"));
	line("task", ctl_text(m, "task"));
	print_list("base models", json_object_get(m, "base_models"));
	line("proof", ctl_text(m, "proof"));
	line("", ctl_text(m, "proof_reason"));
	print_smoke(json_object_get(m, "smoke"));
	line("published", ctl_when(m, "published_at"));
	print_lifecycle(json_object_get(m, "lifecycle"));
	print_hints(json_object_get(m, "hints"));
	print_findings(c, json_object_get(m, "findings"));
	print_files(c, json_object_get(m, "files"));
}

int cmd_show(struct ctl *c, struct err *e)
{
	own(json) json_t *m = NULL;
	int rc = fetch(c, "", &m, e);

	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(m, e);
	print_model(c, m);
	return 0;
}

int cmd_why(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "WHEN", TABLE_LEFT }, { "BY", TABLE_LEFT }, { "RULE", TABLE_LEFT }, { "VERDICT", TABLE_LEFT }, { "REASON", TABLE_LEFT },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *d;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	rc = fetch(c, "/-/decisions", &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(answer, e);
	printf("%s@%s is %s%s%s\n\n", ctl_text(answer, "repo"), ctl_text(answer, "revision"), ctl_text(answer, "state"),
	       json_get_str(answer, "reason") ? ": " : "", json_get_str(answer, "reason") ? ctl_text(answer, "reason") : "");
	if (json_array_size(json_object_get(answer, "lost"))) {
		print_lost(json_object_get(answer, "lost"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(answer, "decisions"), i, d) {
		table_add(&t, ctl_when(d, "at"));
		table_add(&t, json_get_str(d, "by"));
		table_add(&t, json_get_str(d, "rule"));
		table_add(&t, json_get_str(d, "verdict"));
		table_add(&t, json_get_str(d, "reason"));
	}
	ctl_print_table(c, &t, "nothing has been decided yet");
	return 0;
}
