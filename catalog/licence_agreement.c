/* licence_agreement.c - terms, EULAs and agreements beside the card: which files are called so, and what those say of the model however long they are; see licence_table.h. */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/licence_table.h"

#define STEM_MAX       256	/* bytes of a file's name */
#define SENTENCE_BYTES 1000
#define NAMES_MAX      64

static bool one_of(const char *s, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && !strncasecmp(s, *list, n))
			return true;
	return false;
}

/* Bytes of the name before its kind. */
static size_t stem_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? (size_t)(dot - path) : strlen(path);
}

/* The name without its kind, in lower case, with single blanks for marks, and without the number, version or language at its end: "Acme_EULA-v2.en" is "acme eula". */
static void words_of_stem(const char *name, size_t stem, char out[STEM_MAX])
{
	size_t n = 0, last;

	for (size_t i = 0; i < stem && n < STEM_MAX - 1; i++) {
		bool is_blank = strchr(" -_.", name[i]) != NULL;

		if (!is_blank || (n && out[n - 1] != ' '))
			out[n++] = is_blank ? ' ' : (char)tolower((unsigned char)name[i]);
	}
	while (n) {
		for (last = n; last && out[last - 1] != ' '; last--)
			;
		if (last && n != last && n - last != 2 && !isdigit((unsigned char)out[last]) && !(out[last] == 'v' && isdigit((unsigned char)out[last + 1])))
			break;
		if (!last)
			break;
		n = last - 1;
	}
	out[n] = 0;
}

/* Does the name begin or end with these words? What has them within is about something else: "search terms of 2020", "beulah". */
static bool is_at_an_end(const char *name, const char *words)
{
	size_t n = strlen(words), all = strlen(name);

	return (str_starts(name, words) && strchr(" ", name[n])) || (str_ends(name, words) && all > n && name[all - n - 1] == ' ');
}

/* With endings, or within words; strcasestr() knows the capitals of ASCII alone. */
bool licence_is_foreign(const char *path)
{
	static const char *const names[] = { "lizenz", "licencia", "licença", "licenÇa", "лицензи", "Лицензи", "ЛИЦЕНЗИ", "许可", "許可", "协议", "協議", "ライセンス", "라이선스" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasestr(path, names[i]))
			return true;
	return false;
}

/* A text beside the card whose name says that it is an agreement, a policy or terms, in the languages of publishers. */
bool licence_is_called_terms(const char *path)
{
	static const char *const kinds[] = { "txt", "md", "rst", "html", "htm", NULL };
	static const char *const exact[] = { "terms", "legal", "copyright", "agreement", "aup", "tos", NULL };
	static const char *const ends[] = { "license agreement", "licence agreement", "use policy", "usage policy", "acceptable use", "use restrictions", "terms of use", "terms of service", "terms and conditions", "eula" };
	static const char *const starts[] = { "terms of ", "terms and " };
	size_t stem = stem_of(path);
	char name[STEM_MAX];

	if (strchr(path, '/') || (path[stem] && !one_of(path + stem + 1, strlen(path + stem + 1), kinds)))
		return false;
	if (one_of(path, stem, exact))
		return true;
	words_of_stem(path, stem, name);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (is_at_an_end(name, ends[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (str_starts(name, starts[i]))
			return true;
	return licence_is_foreign(path);
}

/* Does the sentence say under what the model is? */
static bool is_of_model(const char *sentence)
{
	static const char *const models[] = { "weight", "model", "checkpoint", "parameter" }, *const says[] = { "licen", "under", "governed", "subject to", ":" };
	bool is_model = false, is_said = false;

	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		is_model |= strcasestr(sentence, models[i]) != NULL;
	for (size_t i = 0; i < ARRAY_LEN(says); i++)
		is_said |= strcasestr(sentence, says[i]) != NULL;
	return is_model && is_said;
}

/* Of an agreement, however long: what licences it names that forbid commercial use, where it speaks of the model. */
void licence_read_agreement(const char *text, struct arena *a, struct licence_text *out)
{
	const char **said = arena_alloc(a, NAMES_MAX * sizeof(*said)), *names[NAMES_MAX];
	size_t n_said = 0;

	for (const char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		for (end = p; *end && end - p < SENTENCE_BYTES && !(strchr(".;", *end) && isspace((unsigned char)end[1])) && !str_starts(end, "\n\n"); end++)
			;
		end += *end != 0;
		char *sentence = arena_strndup(a, p, (size_t)(end - p));
		size_t n = is_of_model(sentence) ? licence_spoken_of(sentence, strlen(sentence), a, names, NAMES_MAX) : 0;

		for (size_t i = 0; i < n && n_said < NAMES_MAX; i++) {
			const struct licence *l = licence_find(names[i]);

			if ((l && l->commercial_use == LICENCE_NO) || str_starts(names[i], "cc-by-nc"))
				said[n_said++] = names[i];
		}
	}
	out->said = said;
	out->n_said = n_said;
	licence_note_spent(a, out);
}

bool licence_is_agreement(const char *path)
{
	char name[STEM_MAX];

	words_of_stem(path, stem_of(path), name);
	return licence_is_called_terms(path) && (is_at_an_end(name, "terms") || is_at_an_end(name, "eula") || is_at_an_end(name, "agreement"));
}
