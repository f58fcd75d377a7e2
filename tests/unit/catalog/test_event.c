/* test_event.c - the chain shows every tampering; tokens open doors only while they are in force. */
#include "catalog_test.h"

#include "base/json.h"
#include "base/str.h"
#include "catalog/event.h"
#include "catalog/hook.h"
#include "catalog/sql.h"
#include "catalog/token.h"

static void tamper(struct db *db, const char *text)
{
	own(tx) struct tx t = { 0 };

	ok(tx_begin(&t, db, e));
	ok(sql_exec(t.c, text, e));
	ok(tx_commit(&t, e));
}

static void add(struct db *db, int n)
{
	for (int i = 0; i < n; i++)
		ok(event_add(db, "test.thing", "org/m", NULL, json_pack("{s:i,s:f}", "n", i, "x", 0.1), 1000 + i, e));
}

static void test_chain(void **state)
{
	struct fixture *f = *state;
	struct event_head head;
	const struct digest none = { 0 };
	int64_t checked, bad;
	own(arena) struct arena a;
	struct event *ev;
	size_t n;

	arena_init(&a);
	ok(event_verify(f->db, &none, &checked, NULL, e));
	assert_int_equal(checked, 0);
	add(f->db, 20);
	ok(event_head(f->db, &head, e));
	assert_int_equal(head.id, 20);
	ok(event_verify(f->db, &head.hash, &checked, &bad, e));
	assert_int_equal(checked, 20);
	add(f->db, 5);
	ok(event_verify(f->db, &head.hash, &checked, &bad, e));	/* an older head is in the chain still */
	ok(event_list(f->db, 22, NULL, 100, &a, &ev, &n, e));
	assert_int_equal(n, 3);
	own(json) json_t *j = event_json(&ev[0]);
	assert_int_equal(json_get_int(json_object_get(j, "data"), "n", -1), 2);
	assert_int_equal(event_wait(f->db, 24, 0, NULL), 25);
	assert_int_equal(event_wait(f->db, 25, 20, NULL), 25);

	tamper(f->db, "UPDATE event SET data = '{\"n\":99}' WHERE id = 7");
	fails(ERR_MISMATCH, "event 7", event_verify(f->db, &none, &checked, &bad, e));
	assert_int_equal(bad, 7);
	assert_int_equal(checked, 6);
}

static void test_missing_and_cut(void **state)
{
	struct fixture *f = *state;
	struct event_head head;
	const struct digest none = { 0 };
	int64_t bad;

	add(f->db, 10);
	ok(event_head(f->db, &head, e));
	tamper(f->db, "DELETE FROM event WHERE id > 8");
	ok(event_verify(f->db, &none, NULL, &bad, e));	/* a cut tail holds in itself … */
	fails(ERR_MISMATCH, "cut off", event_verify(f->db, &head.hash, NULL, &bad, e));	/* … but not against an exported head */
	assert_int_equal(bad, 9);
	tamper(f->db, "DELETE FROM event WHERE id = 4");
	fails(ERR_MISMATCH, "event 4 is missing", event_verify(f->db, &none, NULL, &bad, e));
	assert_int_equal(bad, 4);
}

/* What is put behind a NUL is in the file, though neither a reader nor a hash of C strings would see it. */
static void test_behind_a_nul(void **state)
{
	static const char *const columns[] = { "kind", "repo", "revision", "data" };
	struct fixture *f = *state;
	const struct digest none = { 0 };
	int64_t checked, bad;

	add(f->db, 5);
	for (size_t i = 0; i < 4; i++) {
		char text[200];

		snprintf(text, sizeof(text), "UPDATE event SET %s = %s || char(0) || 'x' WHERE id = 3", columns[i], columns[i]);
		tamper(f->db, text);
		fails(ERR_MISMATCH, "event 3", event_verify(f->db, &none, &checked, &bad, e));
		assert_int_equal(bad, 3);
		assert_int_equal(checked, 2);
		snprintf(text, sizeof(text), "UPDATE event SET %s = substr(%s, 1, instr(%s, char(0)) - 1) WHERE id = 3", columns[i], columns[i], columns[i]);
		tamper(f->db, text);
		ok(event_verify(f->db, &none, &checked, &bad, e));
	}
}

static void test_tokens(void **state)
{
	struct fixture *f = *state;
	own(arena) struct arena a;
	char text[TOKEN_MAX], other[TOKEN_MAX];
	struct token t, *list;
	size_t n;

	arena_init(&a);
	ok(token_create(f->db, "ci", TOKEN_PUBLISHER, 0, 1000, text, e));
	assert_true(str_starts(text, "hf_") && strlen(text) >= 40);
	for (const char *p = text + 3; *p; p++)
		assert_true((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'));
	fails(ERR_CONFLICT, "already", token_create(f->db, "ci", TOKEN_READER, 0, 1000, other, e));
	fails(ERR_USAGE, "letters", token_create(f->db, "a b", TOKEN_READER, 0, 1000, other, e));
	fails(ERR_USAGE, "expired", token_create(f->db, "old", TOKEN_READER, 999, 1000, other, e));
	ok(token_create(f->db, "short", TOKEN_READER, 2000, 1000, other, e));
	assert_string_not_equal(text, other);
	ok(token_lookup(f->db, text, 90000, &a, &t, e));	/* the clock is ahead, and then right */
	ok(token_lookup(f->db, text, 1000, &a, &t, e));
	ok(token_look(f->db, text, 1000, &a, &t, e));
	assert_int_equal(t.last_used_at, 1000);
	assert_int_equal(t.role, TOKEN_PUBLISHER);
	ok(token_lookup(f->db, other, 1999, &a, &t, e));
	fails(ERR_AUTH, "expired", token_lookup(f->db, other, 2000, &a, &t, e));
	fails(ERR_AUTH, "unknown", token_lookup(f->db, "hf_nope", 1000, &a, &t, e));
	ok(token_revoke(f->db, "ci", 1500, e));
	fails(ERR_NOT_FOUND, "in force", token_revoke(f->db, "ci", 1500, e));
	fails(ERR_AUTH, "revoked", token_lookup(f->db, text, 1500, &a, &t, e));
	ok(token_list(f->db, &a, &list, &n, e));
	assert_int_equal(n, 2);
	own(json) json_t *j = token_json(&list[0]);
	assert_string_equal(json_get_str(j, "role"), "publisher");
	/* The secret itself is nowhere in the file. */
	char cmd[512];
	db_close(f->db);
	f->db = NULL;
	snprintf(cmd, sizeof(cmd), "grep -q '%s' '%s'", text, f->path);
	assert_int_not_equal(system(cmd), 0);
}

/* --- webhooks --- */

static int64_t next_event(struct db *db, const char *url, const char *const *kinds, size_t n, int64_t now, int *attempt)
{
	own(arena) struct arena a;
	struct event ev;
	int rc;

	arena_init(&a);
	rc = hook_next(db, url, kinds, n, now, &a, &ev, attempt, NULL, NULL);
	assert_true(rc == 0 || rc == ERR_NOT_FOUND);
	return rc == 0 ? ev.id : 0;
}

static void test_hooks(void **state)
{
	struct fixture *f = *state;
	static const char *const kinds[] = { "test.*" };
	int attempt;

	add(f->db, 3);
	ok(hook_begin(f->db, "http://a", e));
	assert_int_equal(next_event(f->db, "http://a", NULL, 0, 100, &attempt), 0);	/* what was before it is not told */
	add(f->db, 1);
	ok(event_add(f->db, "other.thing", "org/m", NULL, NULL, 2000, e));
	add(f->db, 1);
	ok(hook_begin(f->db, "http://b", e));
	assert_int_equal(next_event(f->db, "http://b", kinds, 1, 100, &attempt), 0);
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, 100, &attempt), 4);
	assert_int_equal(attempt, 1);
	ok(hook_tried(f->db, "http://a", 4, 1, 500, "the answer was 500", 100, e));
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, 100 + HOOK_PAUSE_S - 1, &attempt), 0);
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, 99, &attempt), 4);	/* the clock was set back: that pause was never meant */
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, 100 + HOOK_PAUSE_S, &attempt), 4);
	assert_int_equal(attempt, 2);
	ok(hook_tried(f->db, "http://a", 4, 2, 204, NULL, 110, e));
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, 110, &attempt), 6);	/* 5 was not asked for */
	int64_t now = 200;
	for (int i = 1; i <= HOOK_ATTEMPTS_MAX; i++, now += HOOK_PAUSE_MAX_S) {
		assert_int_equal(next_event(f->db, "http://a", kinds, 1, now, &attempt), 6);
		assert_int_equal(attempt, i);
		ok(hook_tried(f->db, "http://a", 6, attempt, 0, "refused", now, e));
	}
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, now, &attempt), 0);	/* given up */
	add(f->db, 1);
	assert_int_equal(next_event(f->db, "http://a", kinds, 1, now, &attempt), 7);	/* the next one is told all the same */
	ok(hook_begin(f->db, "http://c", e));
	add(f->db, 1);
	ok(hook_begin(f->db, "http://c", e));	/* a reload that brings nothing new */
	assert_int_equal(next_event(f->db, "http://c", NULL, 0, now, &attempt), 8);
	own(json) json_t *all = hook_history(f->db, NULL, 0, NULL), *none = hook_history(f->db, "http://b", 0, NULL);
	assert_int_equal(json_array_size(all), 2 + HOOK_ATTEMPTS_MAX);
	assert_int_equal(json_array_size(none), 0);
	assert_true(json_is_true(json_object_get(json_array_get(all, HOOK_ATTEMPTS_MAX), "delivered")));
}

/* What comes while the settings do not name an address is not told when they do again, not even to one that is told something as they change. */
static void test_a_hook_that_comes_again(void **state)
{
	static const char *const named[] = { "http://b" };
	struct fixture *f = *state;
	int attempt;

	ok(hook_begin(f->db, "http://a", e));
	ok(hook_begin(f->db, "http://b", e));
	add(f->db, 1);
	assert_int_equal(next_event(f->db, "http://a", NULL, 0, 100, &attempt), 1);
	ok(hook_forget_others(f->db, named, 1, e));
	ok(hook_tried(f->db, "http://a", 1, 1, 204, NULL, 100, e));	/* it was on its way */
	assert_int_equal(next_event(f->db, "http://a", NULL, 0, 100, &attempt), 0);
	add(f->db, 2);
	ok(hook_begin(f->db, "http://a", e));
	assert_int_equal(next_event(f->db, "http://a", NULL, 0, 100, &attempt), 0);
	ok(hook_tried(f->db, "http://a", 2, 1, 204, NULL, 100, e));	/* so late that it has begun again */
	add(f->db, 1);
	assert_int_equal(next_event(f->db, "http://a", NULL, 0, 100, &attempt), 4);
	assert_int_equal(next_event(f->db, "http://b", NULL, 0, 100, &attempt), 1);
}

/* The settings no longer ask for the event that is tried again: attempts are of that one alone. */
static void test_a_hook_with_other_kinds(void **state)
{
	static const char *const all[] = { "test.*", "other.*" };
	struct fixture *f = *state;
	int attempt;

	ok(hook_begin(f->db, "http://a", e));
	add(f->db, 1);
	ok(event_add(f->db, "other.thing", "org/m", NULL, NULL, 2000, e));
	add(f->db, 1);
	assert_int_equal(next_event(f->db, "http://a", &all[1], 1, 100, &attempt), 2);
	ok(hook_tried(f->db, "http://a", 2, HOOK_ATTEMPTS_MAX - 1, 500, "the answer was 500", 100, e));
	assert_int_equal(next_event(f->db, "http://a", all, 2, 101, &attempt), 0);
	assert_int_equal(next_event(f->db, "http://a", all, 2, 100 + HOOK_PAUSE_MAX_S, &attempt), 2);	/* asked for still */
	assert_int_equal(attempt, HOOK_ATTEMPTS_MAX);
	assert_int_equal(next_event(f->db, "http://a", all, 1, 101, &attempt), 3);
	assert_int_equal(attempt, 1);
	ok(hook_tried(f->db, "http://a", 3, 1, 500, "the answer was 500", 101, e));
	assert_int_equal(next_event(f->db, "http://a", all, 1, 101 + HOOK_PAUSE_S, &attempt), 3);
	assert_int_equal(attempt, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { with_fixture(test_chain), with_fixture(test_missing_and_cut), with_fixture(test_behind_a_nul), with_fixture(test_tokens), with_fixture(test_hooks),
					    with_fixture(test_a_hook_that_comes_again), with_fixture(test_a_hook_with_other_kinds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
