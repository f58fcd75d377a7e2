/* licence_table.h - between the licence*.c and, for the ids that its lists name, policy.c; nobody else includes it. */
#ifndef CATALOG_LICENCE_TABLE_H
#define CATALOG_LICENCE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

/* The embedded file schema/NAME. */
const struct embedded *licence_file(const char *name);
/* Cuts one CSV line in place into at most max fields; how many there were. */
size_t licence_csv_row(char *line, char **fields, size_t max);

/* The id of a licence that the table does not have, made of its name. */
const char *licence_other_id(struct arena *a, const char *name);
/* The same for a glob over such ids; NULL when letters outside ASCII are in it, for which ids have a hash. */
const char *licence_other_pattern(struct arena *a, const char *glob);
/* The id of the known licence that a license_name (or what follows "other:") names; NULL when it is none. Hiding behind `other` makes it no other. */
const char *licence_of_name(const char *name, struct arena *a);

#define LICENCE_KEY_MAX 128

/* What two written forms of one licence have in common: "apache 2", "cc by nc 4". False: `written` may say more than the key would. */
bool licence_key(char key[LICENCE_KEY_MAX], const char *written);
/* The row whose id, SPDX id or name has this key; NULL: none. */
const char *licence_of_key(const char *key);

/*
 * Do these words take back commercial use, of a licence that gives it? Words are in lower case with blanks between them, and a "." ends a sentence; they are cut in place.
 */
bool licence_restricts(char *words);
/* The same of the n bytes of a text as written, in the larger languages but English: by the phrases that restrict in them. */
bool licence_restricts_foreign(const char *text, size_t n);

/* The licence that an address of creativecommons.org names, or NULL: it names none. One that the table does not have has an id of the same form. */
const char *licence_of_address(const char *address, size_t n, struct arena *a);
/* The licence whose page among those of the known lists an address is ("opensource.org/licenses/MIT"), or NULL. */
const char *licence_of_list(const char *address, struct arena *a);
/* What licences a short text speaks of, in out: at most `max`; how many. */
size_t licence_spoken_of(const char *text, size_t n, struct arena *a, const char **out, size_t max);

/*
 * What is read of one file, or of one card, is bounded by the memory that reading takes: each name that is tried and each sentence that is copied costs some of it, so that
 * the time is bounded too. Loops over names, lines or sentences end when it is spent; then nobody has read it.
 */
#define LICENCE_SCRATCH_MAX ((size_t)16 << 20)	/* four times what the longest real notices take */
static inline bool licence_is_spent(const struct arena *scratch)
{
	return scratch->used_bytes > LICENCE_SCRATCH_MAX;
}
struct licence_text;
void licence_note_spent(const struct arena *scratch, struct licence_text *out);
/* A copy of *n bytes of text without long runs of white space. NULL, and out->unread, when it has more, or a longer word, than anybody reads. */
const char *licence_bounded(const char *text, size_t *n, struct arena *scratch, struct licence_text *out);
/* licence_read_text() with results that live in scratch, which is its limit, too; licence_keep() copies them to where they last. */
void licence_read_within(const char *text, size_t n, struct arena *scratch, struct licence_text *out);
void licence_keep(const struct licence_text *from, struct arena *a, struct licence_text *out);

/* Calls `each` for every place of a card's text that is about its licence; `where` says what it is. */
void licence_each_section(const char *text, const char *end, const char *repo, struct arena *a, void (*each)(void *, const char *where, const char *text, size_t n), void *arg);
/* Blanks the sentences that are about data, and not about what is published here. */
void licence_blank_data(char *text, struct arena *a);
bool licence_is_of_data(const char *sentence, struct arena *a);
/* Does an entry of a list, a row of a table, a heading, a label before a colon or nothing stand on this line? */
bool licence_begins_item(const char *line);

/* Is it a text beside the card that is called an agreement, a policy or terms? */
bool licence_is_called_terms(const char *path);
/* Of an agreement that is too long to be read as a word about a licence: the licences in it that forbid commercial use, where it speaks of the model. */
void licence_read_agreement(const char *text, struct arena *a, struct licence_text *out);

/* Is it read as data: JSON, YAML or TOML? */
bool licence_is_data(const char *path);

/* The text of a page; false when a part of it may not have been read: something has no end. */
bool licence_read_page(struct buf *out, const char *page);

/* Is it a line that says nothing of the licence's name? */
bool licence_is_beside_name(const char *line);
/* Is "all rights reserved" at `at` an owner's word, on the line of one or behind such lines? Of weights it is a term. */
bool licence_is_reserved_by_owner(const char *text, const char *at);
#define LICENCE_LINE_MARKS " \t\r#*/"	/* before what a line says */
bool licence_is_of_owner(const char *line);
/* Does the line at `at` name an owner, or is it a tag of SPDX, an address or a licence's name and no more? */
bool licence_is_title(const char *at, size_t n, struct arena *a);

#define LICENCE_NAMED '\x01'
/* A copy with LICENCE_NAMED, and blanks behind it, for each known licence's name. */
char *licence_mark_names(const char *text, struct arena *a);
/*
 * Is there a word of what terms are made of in what is left of a text, but for the owners' lines and plain sentences? Sentences that only allow, or only give no warranty,
 * become blanks in `affirmed`, a copy of it.
 */
bool licence_has_terms(const char *left, char *affirmed, struct arena *a);

/* Does a card's word on its licence deny, limit, or ask for, what a free licence does not, or name other terms? Of what is_prompt asks before access only the latter counts. */
bool licence_binds(const char *text, bool is_prompt, struct arena *a);

/* What stands beside known texts: a word of it is read for the licences that it speaks of; more than `most` letters of `unsaid`, which is that without
 * the sentences that only allow, are unknown terms. It is written to. */
void licence_read_rest(char *left, const char *unsaid, size_t most, struct arena *a, struct licence_text *out);

#endif
