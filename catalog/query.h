/*
 * query.h - questions about the whole catalog: what `ls` filters by, the Hub's listing, facets, licences with counts and bytes. Answers are the
 * JSON of contract section 2. Built for 2,000,000 models: names that repeat are small integers, and query_index_load() may keep a posting index
 * in memory, in front of the same rows; answers are the same with and without it.
 */
#ifndef CATALOG_QUERY_H
#define CATALOG_QUERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/spool.h"
#include "base/err.h"
#include "catalog/db.h"
#include "catalog/licence.h"
#include "catalog/model.h"
#include "catalog/policy.h"

#define QUERY_LIST_MAX	32	/* values of one repeated filter */
#define QUERY_LIMIT_MAX 1000	/* rows of one answer */

enum query_sort {
	QUERY_SORT_NAME,
	QUERY_SORT_DOWNLOADS,
	QUERY_SORT_LIKES,
	QUERY_SORT_MODIFIED,
	QUERY_SORT_CREATED,
	QUERY_SORT_SIZE,
	QUERY_SORT_PARAMS,
	QUERY_SORT_PUBLISHED,
	QUERY_SORT_SUNSET,
};
/* "name", "-size", "downloads", "lastModified", "createdAt", "trendingScore" (as downloads) …; a leading '-' is descending. */
int query_sort_parse(enum query_sort *out, bool *descending, const char *key, struct err *e);

struct query_filter {
	const char *license[QUERY_LIST_MAX];	/* any of */
	size_t n_license;
	bool commercial;			/* commercial use: yes, or conditional */
	uint64_t min_size, max_size;		/* bytes, 0 none */
	int64_t min_params, max_params;		/* 0 none */
	enum format format;			/* FORMAT_NONE any */
	const char *quantization, *architecture, *task, *library, *author;	/* NULL any; task and author in any case */
	const char *tag[QUERY_LIST_MAX];	/* all of */
	size_t n_tag;
	int state;				/* enum revision_state, 0 any */
	bool visible_only;			/* published and served: what the Hub listing shows */
	int gated;				/* 1 only gated, 0 only open, -1 any */
	bool deprecated;
	int64_t sunset_before;			/* unix seconds, 0 none */
	struct digest contains;			/* SHA-256 of a file that a revision holds; DIGEST_NONE any */
	const char *search[QUERY_LIST_MAX];	/* all of, as substrings of the name */
	size_t n_search;
	enum query_sort sort;
	bool descending;
	size_t limit;				/* 0: no limit up to QUERY_LIMIT_MAX a page */
	const char *cursor;			/* from the page before, or NULL */
};
#define QUERY_FILTER_ANY ((struct query_filter){ .gated = -1 })

struct query_row {
	struct model m;
	struct revision r;	/* the one shown: what is served, else the newest; with `state`, the newest in that state, of several published ones the one that is served */
};
/* A model without any revision, of which only upstream's listing has told, is no row of any answer here. */
/* One page. *next (in the arena) is the next page's cursor or NULL. A foreign or stale cursor is ERR_USAGE. */
int query_models(struct db *db, const struct query_filter *f, int64_t now, struct arena *a, struct query_row **rows, size_t *n, const char **next,
		 struct err *e);
/* Calls each for every model that the filter lets through, page by page; stops at the first that fails. */
int query_each(struct db *db, struct query_filter f, int64_t now, int (*each)(void *arg, const struct query_row *row, struct err *e), void *arg, struct err *e);
int query_count(struct db *db, const struct query_filter *f, int64_t now, uint64_t *models, uint64_t *bytes, struct err *e);

/* Contract section 2; p: as for lifecycle_at(). */
json_t *query_ls(struct db *db, const struct query_filter *f, const struct policy *p, int64_t now, const char **next, struct arena *a, struct err *e);
json_t *query_show(struct db *db, int64_t revision_id, const struct policy *p, int64_t now, struct err *e);	/* with findings */
/* Further members of that object, which may be long: ,"files":[…],"skipped":[…] */
int query_put_files(struct db *db, int64_t revision_id, struct spool *s, struct err *e);
json_t *query_row_json(struct db *db, int64_t revision_id, const struct policy *p, int64_t now, struct err *e);	/* the same without */
/* [{"id","spdx","name","commercial_use","models","bytes"}…], most models first. Of what ls lists. */
json_t *query_licenses(struct db *db, struct err *e);
/* {"license":[{"value","models","bytes"}…],"format":…,"architecture":…,"state":…,"task":…} within the filter. */
json_t *query_facets(struct db *db, const struct query_filter *f, int64_t now, struct err *e);
/* {"models","revisions","published","held","rejected","files","blobs","blob_bytes","events","head"} for status and metrics. */
json_t *query_totals(struct db *db, struct err *e);

/*
 * Loads the posting index, in some seconds for millions of models; until it is there, and for what it does not know, SQLite answers. Called by a
 * background thread of the daemon, and again when query_index_grown() says that much has changed since; until the new one is there the old one
 * answers, and both take their memory. ERR_LIMIT, and no index, when it would take more than memory_max bytes.
 */
int query_index_load(struct db *db, uint64_t memory_max, struct err *e);
bool query_index_grown(struct db *db);

#endif
