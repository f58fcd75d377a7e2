/*
 * test_licence_corpus.c - the licence of every real card of the corpus (16,587, of 2022) against the tag that the Hub itself derived from it, and
 * of the 15,904 models recorded in 2026. What disagrees is counted by reason; a reason that is not known here fails the test.
 */
#include "catalog_test.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "verify/card.h"

#define CORPUS SHARED_DIR "/data/hub-corpus/"

/* --- tags by model, from the recorded API answers --- */

struct model_tag {
	char *name, *tag;	/* tag: X of "license:X", NULL when there is none */
};

static struct model_tag *tags;
static size_t n_tags, cap_tags;

static int by_name(const void *a, const void *b)
{
	const struct model_tag *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static const struct model_tag *tag_of(const char *name)
{
	const struct model_tag key = { .name = (char *)(uintptr_t)name };

	return bsearch(&key, tags, n_tags, sizeof(*tags), by_name);
}

static struct archive *open_corpus(const char *file, bool raw)
{
	struct archive *ar = archive_read_new();
	char path[600];

	snprintf(path, sizeof(path), CORPUS "%s", file);
	archive_read_support_filter_all(ar);
	if (raw)
		archive_read_support_format_raw(ar);
	else
		archive_read_support_format_tar(ar);
	if (archive_read_open_filename(ar, path, 1 << 20) == ARCHIVE_OK)
		return ar;
	archive_read_free(ar);
	print_message("skipped: %s is not here\n", path);
	return NULL;
}

static void read_rest(struct archive *ar, struct buf *text)
{
	static char chunk[1 << 18];
	la_ssize_t n;

	buf_reset(text);
	while ((n = archive_read_data(ar, chunk, sizeof(chunk))) > 0)
		buf_add(text, chunk, (size_t)n);
	assert_true(n == 0 && !buf_failed(text));
}

/* Each line of a compressed JSONL file. False when the corpus is not here. */
static bool each_line(const char *file, void (*use)(const json_t *model))
{
	struct archive *ar = open_corpus(file, true);
	struct archive_entry *entry;
	own(buf) struct buf text;

	buf_init(&text, 64u << 20);
	if (!ar)
		return false;
	assert_int_equal(archive_read_next_header(ar, &entry), ARCHIVE_OK);
	read_rest(ar, &text);
	archive_read_free(ar);
	for (char *line = text.data, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		own(json) json_t *j = json_parse_lax(line, end ? (size_t)(end - line) : strlen(line), file, NULL);
		assert_non_null(j);
		use(j);
		if (!end)
			break;
	}
	return true;
}

static const char *license_tag(const json_t *model)
{
	const json_t *list = json_object_get(model, "tags"), *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && str_starts(json_string_value(v), "license:"))
			return json_string_value(v) + strlen("license:");
	return NULL;
}

static void keep_tag(const json_t *model)
{
	const char *tag = license_tag(model);

	*vec_push(&tags, &n_tags, &cap_tags) = (struct model_tag){ mem_strdup(json_get_str(model, "modelId")), tag ? mem_strdup(tag) : NULL };
}

/* --- the cards --- */

static struct {
	size_t cards, fronts, broken, odd, claimed, tagged;
	size_t same, same_licence, named_other, several, no_tag, tag_only, differs, contradicted;
} count;

/* Is the card's answer what the tag says? Counted by how. */
static void compare(const char *name, const struct card *c, const struct licence_answer *x)
{
	const struct model_tag *m = tag_of(name);
	const char *tag = m ? m->tag : NULL, *meant = tag ? licence_normalise(tag) : NULL;

	count.tagged += tag != NULL;
	if (!tag && c->license.n == 0)
		return;
	if (!tag)
		count.no_tag++;		/* the recorder's API answer is older than the card, or the Hub took no tag from it */
	else if (c->license.n == 0)
		count.tag_only++;	/* the card has changed since, or the licence came from elsewhere */
	else if (!strcmp(x->id, tag))
		count.same++;
	else if (meant && !strcmp(x->id, meant))
		count.same_licence++;	/* the tag repeats a free spelling ("bsd-3"), the answer is its id */
	else if (str_starts(x->id, "other:"))
		count.named_other++;	/* a name that is no id: kept, where the tag has it too or only "other" */
	else if (c->license.n > 1)
		count.several++;	/* a list: the strictest counts, the tag shows one of them */
	else {
		count.differs++;
		print_message("%s: the card says '%s', the answer is %s, the tag %s\n", name, c->license.item[0], x->id, tag);
	}
}

static void judge(const char *name, const struct buf *text)
{
	own(arena) struct arena a;
	struct licence_answer x;

	arena_init(&a);
	own(card) struct card c = { 0 };
	card_parse(text->data, text->len, &a, &c);
	struct licence_claims claims = { .card = c.license.item, .n_card = c.license.n, .card_name = c.license_name, .card_link = c.license_link };
	licence_resolve(&claims, &a, &x);
	const size_t conflicts = x.n_conflicts;

	licence_read_card(c.front, text->data, text->len, &a, &claims);
	licence_resolve(&claims, &a, &x);
	if (x.n_conflicts > conflicts && licence_find(x.id) && licence_find(x.id)->commercial_use == LICENCE_YES) {
		count.contradicted++;	/* by its own words, beside `license` */
		print_message("%s: %s\n", name, x.conflicts[x.n_conflicts - 1]);
	}
	assert_true(x.id && *x.id && x.spdx && *x.spdx);
	if (c.license.n == 0)
		assert_string_equal(x.id, "unknown");
	count.cards++;
	count.fronts += c.has_front;
	count.broken += c.verdict == CARD_BROKEN;
	count.odd += c.verdict == CARD_ODD;
	count.claimed += c.license.n > 0;
	if (c.verdict != CARD_BROKEN)
		compare(name, &c, &x);
}

static void test_cards(void **state)
{
	struct archive *ar = open_corpus("cards.tar.zst", false);
	struct archive_entry *entry;
	own(buf) struct buf text;
	char name[512];

	(void)state;
	buf_init(&text, 8u << 20);
	if (!ar || !each_line("models.jsonl.zst", keep_tag))
		skip();
	qsort(tags, n_tags, sizeof(*tags), by_name);
	while (archive_read_next_header(ar, &entry) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(entry);

		if (archive_entry_filetype(entry) != AE_IFREG || !str_starts(path, "cards/"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(strlen(path) - strlen("cards/") - strlen("/README.md")), path + strlen("cards/"));
		read_rest(ar, &text);
		judge(name, &text);
	}
	archive_read_free(ar);
	print_message("cards %zu, with front matter %zu, unreadable %zu, odd %zu, naming a licence %zu; models with a licence tag among them %zu\n", count.cards, count.fronts,
		      count.broken, count.odd, count.claimed, count.tagged);
	print_message("as the tag %zu, the tag's spelling resolved %zu, a name that is no id %zu, one of several %zu, card without a tag %zu, tag without a card's word %zu, differs %zu\n",
		      count.same, count.same_licence, count.named_other, count.several, count.no_tag, count.tag_only, count.differs);
	assert_int_equal(count.cards, 16587);
	print_message("free by `license`, and by their own words not %zu\n", count.contradicted);
	assert_int_equal(count.differs, 0);
	assert_int_equal(count.contradicted, 1);
	assert_true(count.same + count.same_licence > 7000);
	assert_true(count.named_other < 40);
}

/* --- 2026: `license` as the recorder normalised it (the license_name where there is one), beside the tag, which is the card's `license` --- */

static struct {
	size_t models, licensed, known, hidden, unnamed, contradicted;
} recent;

static void judge_recent(const json_t *model)
{
	const char *license = json_get_str(model, "license"), *tag = license_tag(model), *claim = tag ? tag : license;
	own(arena) struct arena a;
	struct licence_answer x;

	arena_init(&a);
	recent.models++;
	if (!license)
		return;
	struct licence_claims claims = { .card = &claim, .n_card = 1, .card_name = strcmp(claim, license) != 0 ? license : NULL, .tags = &tag, .n_tags = tag != NULL };
	licence_resolve(&claims, &a, &x);
	recent.licensed++;
	recent.known += licence_find(x.id) != NULL;
	if (tag && !strcmp(tag, "other") && strcmp(license, "other") != 0) {
		/* The Hub's tag hides the name; the answer must not. */
		recent.hidden++;
		recent.unnamed += !strcmp(x.id, "other") || !strcmp(x.id, "unknown") || (!licence_find(x.id) && (!x.name || strcasecmp(x.name, license) != 0));
	} else if (x.n_conflicts) {
		recent.contradicted++;	/* apache-2.0, and by its license_name gemma */
	} else if (tag && licence_find(tag) && strcmp(x.id, tag) != 0) {
		fail_msg("%s: %s, tag %s, answer %s", json_get_str(model, "id"), license, tag, x.id);
	}
}

static void test_recent(void **state)
{
	(void)state;
	if (!each_line("radar-2026.jsonl.zst", judge_recent))
		skip();
	print_message("models of 2026 %zu, licensed %zu, with a row in the table %zu, named where the tag only says other %zu (nameless %zu)\n", recent.models, recent.licensed,
		      recent.known, recent.hidden, recent.unnamed);
	assert_int_equal(recent.models, 15904);
	assert_int_equal(recent.licensed, 15904 - 4426);
	assert_int_equal(recent.unnamed, 0);
	assert_true(recent.hidden > 600);
	assert_int_equal(recent.contradicted, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cards), cmocka_unit_test(test_recent) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
