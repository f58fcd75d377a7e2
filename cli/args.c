/* args.c - see args.h. */
#include "cli/args.h"

#include "base/str.h"
#include "base/vec.h"

#define NAMES_MAX 128	/* verbs, or options of a verb, that are compared with a misspelt one */

static const struct opt *find_opt(const struct opt *opts, const char *name, size_t n)
{
	for (; opts && opts->name; opts++)
		if (strlen(opts->name) == n && !memcmp(opts->name, name, n))
			return opts;
	return NULL;
}

static size_t collect_opts(const char **names, size_t n, const struct opt *opts)
{
	for (; opts && opts->name && n < NAMES_MAX; opts++)
		names[n++] = opts->name;
	return n;
}

static int unknown_option(const struct args *a, const struct opt *globals, const char *given, size_t n, struct err *e)
{
	const char *names[NAMES_MAX];
	char word[64];
	const char *near;
	size_t count = collect_opts(names, 0, globals);

	snprintf(word, sizeof(word), "%.*s", (int)n, given);
	if (a->verb)
		count = collect_opts(names, count, a->verb->opts);
	near = str_nearest(word, names, count);
	str_printable(word);
	if (near)
		return err_set(e, ERR_USAGE, "unknown option --%s%s%s; did you mean --%s?", word, a->verb ? " for " : "",
			       a->verb ? a->verb->name : "", near);
	return err_set(e, ERR_USAGE, "unknown option --%s; `registryctl %s%s--help` lists those there are", word,
		       a->verb ? a->verb->name : "", a->verb ? " " : "");
}

/* "7B", "500M", "1000": as a size, but B behind a digit counts billions and not bytes. */
static int parse_params(const char *s, uint64_t *out, struct err *e)
{
	size_t n = strlen(s);
	char number[40];

	snprintf(number, sizeof(number), "%s", s);
	if (n >= 2 && n < sizeof(number) && (s[n - 1] == 'B' || s[n - 1] == 'b') && s[n - 2] >= '0' && s[n - 2] <= '9')
		number[n - 1] = 'G';
	if (n >= sizeof(number) || str_parse_size(number, out, NULL) < 0)
		return err_set(e, ERR_USAGE, "'%.40s' is not a number of parameters: write it as 7B, 500M or 1000000", s);
	return 0;
}

static int read_value(struct opt_value *v, struct err *e)
{
	int64_t seconds = 0;
	int rc = 0;

	switch (v->opt->kind) {
	case OPT_SIZE:
		rc = str_parse_size(v->text, &v->number, e);
		break;
	case OPT_COUNT:
		rc = str_parse_u64(v->text, &v->number, e);
		break;
	case OPT_PARAMS:
		rc = parse_params(v->text, &v->number, e);
		break;
	case OPT_DURATION:
		rc = str_parse_duration(v->text, &seconds, e);
		v->number = (uint64_t)seconds;
		break;
	case OPT_DATE:
		rc = str_parse_time(v->text, &v->at, e);
		if (rc == 0 && strlen(v->text) > strlen("2027-06-30"))	/* what is shown later is the day */
			rc = err_set(e, ERR_USAGE, "'%.40s' has an hour and a day is meant, which begins at 00:00 UTC: write it as %.10s", v->text, v->text);
		break;
	case OPT_TEXT:
	case OPT_LIST:
		rc = str_utf8_valid(v->text, strlen(v->text)) ? 0 : err_set(e, ERR_USAGE, "its text is not UTF-8");
		break;
	case OPT_FLAG:
	case OPT_FILE:
		break;
	}
	return rc < 0 ? err_wrap(e, "--%s", v->opt->name) : 0;
}

static bool given(const struct args *a, const struct opt *o)
{
	for (size_t i = 0; i < a->n_values; i++)
		if (a->values[i].opt == o)
			return true;
	return false;
}

/* One option at argv[*i]; moves *i over a value that stands by itself. */
static int take_option(struct args *a, const struct opt *globals, int argc, char *const *argv, int *i, struct err *e)
{
	bool brief = argv[*i][1] != '-';
	const char *name = argv[*i] + (brief ? 1 : 2);
	const char *equals = brief ? NULL : strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct opt *o = NULL;
	struct opt_value v = { 0 };

	if (brief == (n == 1)) {
		o = find_opt(globals, name, n);
		if (!o && a->verb)
			o = find_opt(a->verb->opts, name, n);
	}
	if (!o)
		return unknown_option(a, globals, name, n, e);
	if (o->kind != OPT_LIST && given(a, o))
		return o->kind == OPT_FLAG ? 0 : err_set(e, ERR_USAGE, "--%s is given twice", o->name);
	if (a->n_values == ARGS_VALUES_MAX)
		return err_set(e, ERR_USAGE, "more than %d options", ARGS_VALUES_MAX);
	v.opt = o;
	if (o->kind == OPT_FLAG) {
		if (equals)
			return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
	} else if (equals) {
		v.text = equals + 1;
	} else if (*i + 1 < argc) {
		v.text = argv[++*i];
	} else {
		return err_set(e, ERR_USAGE, "%s%s needs a value: %s", brief ? "-" : "--", o->name, o->metavar);
	}
	if (read_value(&v, e) < 0)
		return e ? (int)e->code : ERR_USAGE;
	*vec_push(&a->values, &a->n_values, &a->cap_values) = v;
	return 0;
}

/* Is `word` the first of a verb's two words? */
static bool is_family(const struct verb *verbs, const char *word)
{
	size_t n = strlen(word);

	for (; verbs->name; verbs++)
		if (!strncmp(verbs->name, word, n) && verbs->name[n] == ' ')
			return true;
	return false;
}

static int unknown_verb(const struct verb *verbs, const char *word, struct err *e)
{
	const char *names[NAMES_MAX];
	const char *near;
	size_t n = 0;
	char shown[80];

	for (const struct verb *v = verbs; v->name && n < NAMES_MAX; v++)
		names[n++] = v->name;
	near = str_nearest(word, names, n);
	snprintf(shown, sizeof(shown), "%s", word);
	str_printable(shown);
	if (near)
		return err_set(e, ERR_USAGE, "unknown command '%s'; did you mean '%s'?", shown, near);
	return err_set(e, ERR_USAGE, "unknown command '%s'; `registryctl --help` lists those there are", shown);
}

/* The word may be a verb, a verb's first word (kept in *family until the second comes), or a mistake. */
static int take_verb(struct args *a, const struct verb *verbs, const char *word, const char **family, struct err *e)
{
	char name[80];

	if (*family)
		snprintf(name, sizeof(name), "%s %s", *family, word);
	else
		snprintf(name, sizeof(name), "%s", word);
	for (const struct verb *v = verbs; v->name; v++)
		if (!strcmp(v->name, name)) {
			a->verb = v;
			return 0;
		}
	if (!*family && is_family(verbs, word)) {
		*family = word;
		return 0;
	}
	return unknown_verb(verbs, name, e);
}

/* Paths may be of any bytes. What goes into a request may not: it could not be said there. */
static int check_text(const struct args *a, struct err *e)
{
	const struct verb *v = a->verb;

	for (size_t i = 0; i < a->n_words && !strstr(v->args, "FILE") && !strstr(v->args, "DIR"); i++)
		if (!str_utf8_valid(a->words[i], strlen(a->words[i])))
			return err_set(e, ERR_USAGE, "%s: an argument is not UTF-8", v->name);
	return 0;
}

static int check_words(const struct args *a, struct err *e)
{
	const struct verb *v = a->verb;

	if (a->n_words < v->min_words)
		return err_set(e, ERR_USAGE, "%s needs %s", v->name, v->args);
	if (a->n_words > v->max_words)
		return err_set(e, ERR_USAGE, "%s takes %s%s, and '%.80s' is too much", v->name, v->max_words ? "only " : "no argument",
			       v->max_words ? v->args : "", a->words[v->max_words]);
	return check_text(a, e);
}

static int family_needs(const struct verb *verbs, const char *family, struct err *e)
{
	char list[200] = "";
	size_t n = strlen(family), len = 0;

	for (; verbs->name; verbs++)
		if (!strncmp(verbs->name, family, n) && verbs->name[n] == ' ' && len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", verbs->name + n + 1);
	return err_set(e, ERR_USAGE, "%s needs one of: %s", family, list);
}

int args_parse(struct args *a, const struct verb *verbs, const struct opt *globals, int argc, char *const *argv, struct err *e)
{
	const char *family = NULL;
	bool options = true;
	int rc;

	*a = (struct args){ 0 };
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (options && !strcmp(word, "--")) {
			options = false;
		} else if (options && word[0] == '-' && word[1]) {
			rc = take_option(a, globals, argc, argv, &i, e);
			if (rc < 0)
				return rc;
		} else if (!a->verb) {
			rc = take_verb(a, verbs, word, &family, e);
			if (rc < 0)
				return rc;
			if (a->verb && !a->verb->run)
				return 0;	/* not supported yet: its options are not known either */
		} else if (a->n_words == ARGS_WORDS_MAX) {
			return err_set(e, ERR_USAGE, "more than %d names in one call", ARGS_WORDS_MAX);
		} else {
			*vec_push(&a->words, &a->n_words, &a->cap_words) = word;
		}
	}
	if (args_has(a, "help") || args_has(a, "h") || args_has(a, "version"))
		return 0;
	if (family && !a->verb)
		return family_needs(verbs, family, e);
	if (!a->verb)
		return err_set(e, ERR_USAGE, "a command is missing; `registryctl --help` lists them");
	return check_words(a, e);
}

void args_done(struct args *a)
{
	free(a->words);
	free(a->values);
	*a = (struct args){ 0 };
}

const char *args_nth(const struct args *a, const char *name, size_t n)
{
	for (size_t i = 0; i < a->n_values; i++)
		if (!strcmp(a->values[i].opt->name, name) && n-- == 0)
			return a->values[i].text ? a->values[i].text : "";
	return NULL;
}

static const struct opt_value *first(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->n_values; i++)
		if (!strcmp(a->values[i].opt->name, name))
			return &a->values[i];
	return NULL;
}

bool args_has(const struct args *a, const char *name)
{
	return first(a, name) != NULL;
}

const char *args_text(const struct args *a, const char *name)
{
	return args_nth(a, name, 0);
}

uint64_t args_number(const struct args *a, const char *name, uint64_t otherwise)
{
	const struct opt_value *v = first(a, name);

	return v ? v->number : otherwise;
}

int64_t args_time(const struct args *a, const char *name, int64_t otherwise)
{
	const struct opt_value *v = first(a, name);

	return v ? v->at : otherwise;
}
