/* catalog_test.h - what the tests of catalog/ share: a scratch data directory, an opened catalog, a checked call. */
#ifndef CATALOG_TEST_H
#define CATALOG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "catalog/db.h"
#include "catalog/store.h"

/* Expects success, and prints the sentence when there is none. */
#define ok(call)                                                                              \
	do {                                                                                  \
		struct err e_ = ERR_NONE, *e = &e_;                                           \
		long rc_ = (long)(call);                                                      \
		if (rc_ < 0)                                                                  \
			fail_msg("%s:%d: %s: %ld %s", __FILE__, __LINE__, #call, rc_, e->msg); \
	} while (0)

/* Expects this code and these words in the message. */
#define fails(want, words, call)                                                                                            \
	do {                                                                                                                \
		struct err e_ = ERR_NONE, *e = &e_;                                                                         \
		long rc_ = (long)(call);                                                                                    \
		if (rc_ != (long)(want) || e->code != (want) || !strstr(e->msg, words))                                    \
			fail_msg("%s:%d: %s: got %ld '%s', expected %d '%s'", __FILE__, __LINE__, #call, rc_, e->msg, (int)(want), words); \
	} while (0)

#define scratch_MAX 256

static inline void scratch_make(char dir[scratch_MAX])
{
	snprintf(dir, scratch_MAX, "%s/registryd-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
}

static inline void scratch_remove(const char *dir)
{
	char cmd[scratch_MAX + 16];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

struct fixture {
	char dir[scratch_MAX];
	char path[scratch_MAX + 32];	/* of the catalog */
	struct db *db;
	struct store *store;
};

static inline int fixture_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	scratch_make(f->dir);
	snprintf(f->path, sizeof(f->path), "%s/catalog.sqlite", f->dir);
	ok(store_open(&f->store, f->dir, e));
	ok(db_open(&f->db, f->path, 0, e));
	*state = f;
	return 0;
}

static inline int fixture_down(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	store_close(f->store);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_up, fixture_down)

#endif
