/*
 * licence_of_data.c - which sentences of a card's words on its licence are about data only: what the model was made from, and not what is published here. Data must be what is
 * licensed, as the subject or before a colon or the bar of a table, and nothing of the model may be in the sentence; whatever else mentions data is read. See licence_table.h.
 */
#include <ctype.h>

#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence_table.h"

#define WORD_MAX   24	/* bytes of a word that a list has */
#define LABEL_MOST 40	/* bytes before the colon of a line that says what it is about */
#define CLAUSES_MOST 400	/* bytes of a sentence with two subjects; a longer one is about more */
#define FRONT_MOST 24	/* bytes in which a script without blanks names what the sentence is about */

typedef const char *const words_list[];

/* A "*" stands for any end. */
static words_list data = { "data", "dataset*", "datasets*", "corpus", "corpora", "benchmark*", "video", "videos", "paper", "slides", "figures", "logo", "logos", "trainset", "testset", "daten", "datens*", "trainingsdaten*", "korpus", "datos", "donn\xc3\xa9" "es",
			   "dados", "dati", "\xd0\xb4\xd0\xb0\xd0\xbd\xd0\xbd\xd1\x8b\xd0\xb5", NULL };
/* What may stand with it in the subject: it makes nothing else of it. */
static words_list beside = { "the", "a", "an", "this", "these", "all", "our", "its", "and", "or", "of", "for", "used", "training", "train", "trained", "pretraining", "pre", "fine", "finetuning", "tuning",
			     "instruction", "evaluation", "eval", "validation", "test", "testing", "dev", "set", "sets", "split", "splits", "source", "sources", "original", "underlying", "raw", "text", "texts",
			     "speech", "audio", "image", "images", "demo", "project", "license*", "licence*", "licensing", "terms", "itself", "die", "der", "das", "lizenz", NULL };
/* What makes the subject something else that has to do with data, or that it is the reason for something. */
static words_list not_subject = { "on", "with", "from", "using", "by", "in", "to", "as", "like", "since", "because", "than", "via", "without", "plus", "besides", "trained", "based", "owing", "due", "given",
				  "following", "per", "despite", "unlike", "both", "including", "incl", "also", "builds", "derived", "not", NULL };
/* Nothing of the sentence may be about what is published, or follow from what it says of data. */
static words_list of_model = { "model*", "mod\xc3\xa8" "le*", "weight*", "checkpoint*", "parameter*", "code*", "software", "we", "everything", "it", "work", "works", "lora*", "adapter*", "network*", "llm*",
			       "gguf*", "finetune*", "derivative*", "so", "therefore", "thus", "hence", "consequently", "accordingly", "likewise", "too", "also", "same", "which", "both", "wir", "gewichte*",
			       "pesos", "poids", "\xd0\xbc\xd0\xbe\xd0\xb4\xd0\xb5\xd0\xbb*", "\xd0\xb2\xd0\xb5\xd1\x81\xd0\xb0", NULL };
/* Behind these stands what is said of the subject. */
static words_list verbs = { "is", "are", "was", "were", "has", "have", "can", "cannot", "may", "must", "should", "comes", "come", "contains", "contain", "falls", "fall", "licensed", "released", "distributed",
			    "published", "provided", "available", "under", "ist", "sind", "steht", "stehen", "unterliegt", "est", "sont", "es", "son", "sono", NULL };

static bool is_one(const char *word, const char *const *list)
{
	for (; *list; list++) {
		size_t n = strlen(*list);

		if ((*list)[n - 1] == '*' ? !strncmp(word, *list, n - 1) : !strcmp(word, *list))
			return true;
	}
	return false;
}

/* The word at *p, in lower case; *p is behind it. */
static void next_word(const char **p, char out[WORD_MAX])
{
	size_t n = 0;

	for (; isalnum((unsigned char)**p) || (unsigned char)**p >= 0x80; (*p)++)
		if (n < WORD_MAX - 1)
			out[n++] = (char)tolower((unsigned char)**p);
	out[n] = 0;
}

static bool is_word(const char *p)
{
	return isalnum((unsigned char)*p) || ((unsigned char)*p >= 0xc3 && (unsigned char)*p <= 0xd1);
}

static bool has_word(const char *sentence, const char *const *list)
{
	char word[WORD_MAX];

	for (const char *p = sentence; *p;)
		if (is_word(p)) {
			next_word(&p, word);
			if (is_one(word, list))
				return true;
		} else {
			p++;
		}
	return false;
}

static bool is_about_model(const char *sentence)
{
	return has_word(sentence, of_model);
}

/* Does the subject end here, at a colon, the bar of a table or a dash? */
static bool ends_subject(const char *p)
{
	return strchr(":|=", *p) || str_starts(p, " - ") || str_starts(p, "\xe2\x80\x93") || str_starts(p, "\xe2\x80\x94");
}

/* Is data, and nothing else, what the sentence says something of? What stands in brackets is its name, unless it adds something. */
static bool is_subject_data(const char *p)
{
	bool is_data = false, is_joined = false, is_strange = false, is_behind_strange = false;
	int depth = 0;
	char word[WORD_MAX];

	while (*p && !is_word(p))
		p++;
	while (*p && (depth || !ends_subject(p))) {
		if (!is_word(p)) {
			depth += *p == '(' ? 1 : *p == ')' && depth ? -1 : 0;
			is_joined |= !depth && strchr(",&/+", *p) != NULL;
			p++;
			continue;
		}
		next_word(&p, word);
		if (!depth && is_one(word, verbs))
			break;
		is_joined |= !strcmp(word, "and") || !strcmp(word, "or");
		if (is_one(word, not_subject) && !(is_data && !strcmp(word, "to")))
			return false;
		if (depth)
			continue;
		bool is_known = is_one(word, beside);

		is_behind_strange = is_one(word, data) ? false : is_behind_strange || (is_data && !is_known);
		is_data |= is_one(word, data);
		is_strange |= !is_known && !is_one(word, data);
	}
	return is_data && !is_behind_strange && !(is_joined && is_strange);
}

static bool has_any(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strstr(text, *list))
			return true;
	return false;
}

/* The same in scripts that have no blanks between words: data is named first. */
static bool is_data_in_han(const char *sentence, struct arena *a)
{
	static words_list data_words = { "\xe6\x95\xb0\xe6\x8d\xae", "\xe6\x95\xb8\xe6\x93\x9a", "\xe3\x83\x87\xe3\x83\xbc\xe3\x82\xbf", "\xeb\x8d\xb0\xec\x9d\xb4\xed\x84\xb0", NULL };
	static words_list model_words = { "\xe6\xa8\xa1\xe5\x9e\x8b", "\xe6\x9d\x83\xe9\x87\x8d", "\xe6\xac\x8a\xe9\x87\x8d", "\xe4\xbb\xa3\xe7\xa0\x81", "\xe3\x83\xa2\xe3\x83\x87\xe3\x83\xab", "\xe9\x87\x8d\xe3\x81\xbf",
					  "\xe3\x82\xb3\xe3\x83\xbc\xe3\x83\x89", "\xeb\xaa\xa8\xeb\x8d\xb8", "\xea\xb0\x80\xec\xa4\x91\xec\xb9\x98", "\xec\xbd\x94\xeb\x93\x9c", "\xe5\x92\x8c", "\xe5\x8f\x8a", "\xe3\x81\xa8", NULL };
	const char *front = sentence;

	while (*front && (unsigned char)*front < 0x80 && !isalnum((unsigned char)*front))
		front++;
	front = arena_strndup(a, front, strnlen(front, FRONT_MOST));
	for (const char *p = front; *p && (unsigned char)*p >= 0x80; p++)
		if (has_any(p, data_words) && !has_any(sentence, model_words))
			return true;
	return false;
}

bool licence_is_of_data(const char *sentence, struct arena *a)
{
	return !is_about_model(sentence) && (is_subject_data(sentence) || is_data_in_han(sentence, a));
}

/* Does the line say what it is about, before a colon: "Parameters: CC BY-NC 4.0"? */
static bool is_labelled(const char *line)
{
	size_t n = strcspn(line, ":\n.");

	return n && n <= LABEL_MOST && line[n] == ':' && line[n + 1] != '/';
}

bool licence_begins_item(const char *line)
{
	size_t digits;

	line += strspn(line, " \t\r>");
	digits = strspn(line, "0123456789");
	return (*line && strchr("-*+#|<\n", *line)) || (digits && strchr(".)", line[digits])) || str_starts(line, "\xe2\x80\xa2") || is_labelled(line);
}

/* Behind the sentence at p. Each line of a list or table is one, each with a label, and each that a line break ends. */
static char *sentence_end(char *p)
{
	for (char *begin = p; *p; p++) {
		bool is_broken = p - begin > 1 && (str_starts(p - 2, "  ") || p[-1] == '\\' || p[-1] == '>');

		if (*p == '\n' && (is_broken || !p[1] || licence_begins_item(p + 1)))
			return p + 1;
		if ((strchr(".!?", *p) && (!p[1] || isspace((unsigned char)p[1]))) || *p == ';')
			return p + 1;
		if (str_starts(p, "\xe3\x80\x82") || str_starts(p, "\xef\xbc\x9b"))
			return p + 3;
	}
	return p;
}

/*
 * The way to name what a work was made from: "X is a derivative of CSR-I by LDC, used under its agreement (research only)", where its own licence is named behind that. What
 * it is a derivative of is said to be no model, and what the agreement's name is followed by is no more than a remark.
 */
static bool is_attribution(const char *sentence, struct arena *a)
{
	static words_list more = { "may", "must", "can", "cannot", "is", "are", "so", "thus", "which", "therefore", "hence", NULL };
	const char *of = strcasestr(sentence, "derivative of"), *under = of ? strcasestr(of, "used under") : NULL;

	if (!under)
		return false;
	of += strlen("derivative of");
	return !is_about_model(arena_strndup(a, of, (size_t)(under - of))) && !has_word(under, more);
}

/* Is it of nothing but the model, and a licence's name: "the model is released under MIT"? */
static bool is_own_clause(const char *clause, struct arena *a)
{
	static words_list plain = { "the", "our", "this", "its", "and", "is", "are", "was", "has", "have", "been", "itself", "licensed", "released", "distributed", "published", "made", "available", "under", "by",
				    "license", "licence", "code", "model", "models", "weights", "checkpoint", "checkpoints", NULL };
	bool is_named = false;
	char word[WORD_MAX];

	if (!is_about_model(clause))
		return false;
	for (const char *p = licence_mark_names(clause, a); *p;) {
		is_named |= *p == LICENCE_NAMED;
		if (!is_word(p)) {
			p++;
			continue;
		}
		next_word(&p, word);
		if (!is_one(word, plain))
			return false;
	}
	return is_named;
}

static bool is_data_clause(const char *clause, struct arena *a)
{
	return licence_is_of_data(clause, a) && strchr(licence_mark_names(clause, a), LICENCE_NAMED);
}

/* "The data is CC BY-NC 4.0, the model Apache 2.0": of two clauses that each name the licence of their own, where the first one ends; else the end. */
static char *clause_end(char *p, char *end, struct arena *a)
{
	static words_list joins = { ",", " and ", " while ", " whereas ", NULL };
	const char *sentence = arena_strndup(a, p, end - p > CLAUSES_MOST ? 0 : (size_t)(end - p));

	if (!is_about_model(sentence))
		return end;
	for (const char *at = sentence; *at; at++)
		for (size_t k = 0; joins[k]; k++) {
			if (!str_starts(at, joins[k]))
				continue;
			const char *first = arena_strndup(a, sentence, (size_t)(at - sentence)), *behind = at + strlen(joins[k]);

			if ((is_data_clause(behind, a) && is_own_clause(first, a)) || (is_data_clause(first, a) && is_own_clause(behind, a)))
				return p + (at - sentence) + 1;
		}
	return end;
}

/* "So are the weights", "the model inherits this license", "Weights: same as the data": what was said of data before it is said of the model. */
static bool carries_over(const char *sentence, struct arena *a)
{
	static words_list model = { "model*", "weight*", "checkpoint*", "lora*", "adapter*", "everything", NULL }, over = { "same", "inherit*", "likewise", "ditto", NULL };
	static words_list verbs_of_so = { "is", "are", "do", "does", NULL }, elsewhere = { "base", "original", "upstream", "parent", NULL };
	char word[WORD_MAX], before[WORD_MAX] = "";
	bool is_of_model = false, is_over = false;
	size_t n = 0;

	for (const char *p = sentence; *p;) {
		if (!is_word(p)) {
			p++;
			continue;
		}
		next_word(&p, word);
		is_of_model |= is_one(word, model);
		is_over |= is_one(word, over) || (++n == 2 && !strcmp(before, "so") && is_one(word, verbs_of_so));
		if (is_one(word, elsewhere))
			return false;
		memcpy(before, word, sizeof(before));
	}
	is_over |= !strcmp(before, "too") || !strcmp(before, "well");
	return is_of_model && is_over && !strchr(licence_mark_names(sentence, a), LICENCE_NAMED);
}

static bool is_carried_over(char *next, struct arena *a)
{
	return carries_over(arena_strndup(a, next, (size_t)(sentence_end(next) - next)), a);
}

static void blank(char *p, const char *end)
{
	for (; p < end; p++)
		*p = *p == '\n' ? '\n' : ' ';
}

/* "Acme-8B is derived from X, which is originally licensed under Y": where it says of what that was made, and under what that was. False: nowhere, or more follows from it. */
static bool find_origin(const char *sentence, const char **from, const char **to, struct arena *a)
{
	static words_list made = { "derived from ", "based on ", "built on ", "built upon ", "tuned from ", NULL };
	static words_list under = { "which is originally licensed under", "which are originally licensed under", "originally licensed under", "which is licensed under", "which are licensed under", "which was licensed under", "which were licensed under", NULL };
	static words_list follows = { "so", "therefore", "thus", "hence", "consequently", "accordingly", "likewise", "too", "also", "same", "still", "remain*", "inherit*", "keep*", NULL };
	const char *licensed = NULL;
	int depth = 0;

	*from = NULL;
	for (size_t i = 0; made[i] && !*from; i++)
		*from = strcasestr(sentence, made[i]);
	for (size_t i = 0; *from && under[i] && !licensed; i++)
		licensed = strcasestr(*from, under[i]);
	if (!licensed || is_about_model(arena_strndup(a, *from, (size_t)(licensed - *from))) || has_word(*from, follows))
		return false;
	for (*to = licensed; **to && (depth > 0 || !strchr(",;", **to)); (*to)++)
		depth += **to == '(' ? 1 : **to == ')' ? -1 : 0;
	return true;
}

/* Does a sentence say what the model itself is under, and not its code alone? */
static bool names_own_licence(char *text, struct arena *a)
{
	static words_list own = { "model*", "weight*", "checkpoint*", "lora*", "adapter*", "everything", NULL };
	const char *from, *to;

	for (char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		end = sentence_end(p);
		const char *sentence = arena_strndup(a, p, (size_t)(end - p));

		if ((strcasestr(sentence, "licensed under") || strcasestr(sentence, "released under")) && has_word(sentence, own) && !find_origin(sentence, &from, &to, a))
			return true;
	}
	return false;
}

/* What the work was made from was under a licence of its own; where the work's is named, too, that says nothing of it. */
static void blank_origins(char *text, struct arena *a)
{
	const char *from, *to;
	bool is_asked = false;

	for (char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		end = sentence_end(p);
		const char *sentence = arena_strndup(a, p, (size_t)(end - p));

		if (!find_origin(sentence, &from, &to, a) || is_carried_over(end, a))
			continue;
		if (!is_asked && !names_own_licence(text, a))
			return;
		is_asked = true;
		blank(p + (from - sentence), p + (to - sentence));
	}
}

void licence_blank_data(char *text, struct arena *a)
{
	const char *own_licence = NULL;	/* the last place that may name one */

	blank_origins(text, a);
	for (const char *at = text; (at = strcasestr(at, "licensed under")); at++)
		own_licence = at;
	for (char *p = text, *end; *p && !licence_is_spent(a); p = end) {
		end = clause_end(p, sentence_end(p), a);
		const char *sentence = arena_strndup(a, p, (size_t)(end - p));

		if ((licence_is_of_data(sentence, a) && !is_carried_over(end, a)) || (own_licence && own_licence >= end && is_attribution(sentence, a)))
			blank(p, end);
	}
}
