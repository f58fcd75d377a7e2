/*
 * hub.h - what a Hub's API says, as structs: revision info, the listing of a revision, refs, and lists of models. Knows nothing
 * of disk or policy. One `struct hub` stands for one upstream and is shared by all threads: it keeps idle connections and the
 * limits that the upstream announced (RateLimit, Retry-After). The places for exchanges and the bandwidth cap it may share with what it replaces.
 *
 * Calls are retried here (network faults, 408, 429, 5xx) with growing, partly random delays; what comes back as an error is final for now:
 * ERR_NOT_FOUND no such repository or revision · ERR_AUTH gated or private, with what to do · ERR_REFUSED disabled upstream ·
 * ERR_UNREACHABLE and ERR_THROTTLED later may be better · ERR_INPUT what it said makes no sense · ERR_LIMIT more than a named limit.
 */
#ifndef REGISTRYD_HUB_H
#define REGISTRYD_HUB_H

#include <jansson.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "catalog/model.h"
#include "registryd/net.h"
#include "verify/digest.h"

#define HUB_FILES_MAX	   200000	/* entries of one revision */
#define HUB_PAGES_MAX	   4000		/* pages of one listing */
#define HUB_PAGE_MAX_BYTES (64u << 20)
#define HUB_INFO_MAX_BYTES (32u << 20)
#define HUB_TOKEN_MAX	   512
#define HUB_TREE_RAW_MAX   (2u << 20)	/* of a listing as it came; what it says is in the files anyway */
#define HUB_FILE_SIZE_MAX  (UINT64_C(1) << 42)	/* 4 TiB; the Hub's own limit is 500 GB */
#define HUB_LIST_MAX	   100000	/* models of one author or query */

struct hub_config {
	const char *name;		/* "hub" */
	const char *endpoint;		/* "https://huggingface.co", no '/' at the end */
	const char *token;		/* NULL: anonymous */
	const char *proxy, *ca_file;	/* NULL: the environment's, the system's */
	int connections;		/* exchanges at once, see hub_enter(); 0 means 8. hub_set_limits() changes both */
	uint64_t rate_limit;		/* bytes a second over all bodies that come: files, API, git; 0 means none */
	int retries;			/* further tries after a passing fault; 0 means 6, below 0 none */
	int64_t backoff_ms;		/* the first delay; 0 means 500 */
	int stall_s;			/* give up a body that stands still; 0 means 30 */
	int window_from, window_to;	/* minutes after midnight UTC between which files are fetched; equal means always. hub_set_window() changes it */
};

enum hub_bucket {
	HUB_API,	/* "api": /api/… */
	HUB_RESOLVE,	/* "resolvers": files */
	HUB_PAGES,	/* "pages": git, as for what browsers read */
	HUB_ELSEWHERE,	/* other hosts that upstream redirects to, all together: they announce nothing, but may say Retry-After */
	HUB_BUCKETS,
};

struct hub_shared;

struct hub {
	struct hub_config config;	/* strings owned; the window is the lock's, too; connections and rate_limit are hub_connections() and hub_rate_limit() */
	struct hub_shared *shared;
	struct net_via via;
	pthread_mutex_t lock;		/* for all below */
	CURL *idle[16];
	size_t n_idle;
	struct hub_limit {
		int64_t not_before_ms;	/* monotonic: no request of the bucket earlier */
		int64_t left;		/* requests that the upstream still allows until reset_ms, those under way taken off; -1 unknown */
		int64_t reset_ms;
		int under_way;		/* begun with hub_pace() and not learned from yet */
		bool met;		/* an answer has told how things stand; until then one request goes alone */
	} limit[HUB_BUCKETS];
	int users;			/* jobs that work with it; for hubs.c */
};

/* Copies the configuration. Aborts when out of memory. */
struct hub *hub_new(const struct hub_config *config);
void hub_free(struct hub *h);
/* Were they made from the same configuration? All but the window and the limits, which may change. */
bool hub_equal(const struct hub *a, const struct hub *b);

/* What this one uses from now on counts with what that one uses, against its limits. Before anything has used it. */
void hub_share(struct hub *h, const struct hub *with);
/* As in struct hub_config. What is under way beyond fewer connections goes to its end; nothing else begins until then. */
void hub_set_limits(struct hub *h, int connections, uint64_t rate_limit);
int hub_connections(struct hub *h);
uint64_t hub_rate_limit(struct hub *h);
struct hub_shared *hub_shared_new(void);
void hub_shared_leave(struct hub_shared *s);

/* An idle connection's handle or a new one; hub_put gives it back. */
CURL *hub_take(struct hub *h);
void hub_put(struct hub *h, CURL *c);
/*
 * Milliseconds until a request of this bucket may start, and books it when that is now (0); each booking is ended by hub_learn().
 * The last requests of an allowance are spread over the time until it is renewed, so that no 429 is ever provoked.
 */
int64_t hub_pace(struct hub *h, enum hub_bucket b);
/* Ends a booking and learns from the answer's RateLimit and Retry-After; a: NULL when no request was made or no answer came. */
void hub_learn(struct hub *h, enum hub_bucket b, const struct net_answer *a);
/* Where a request to this address counts: `home` on the upstream's own host, else HUB_ELSEWHERE. */
enum hub_bucket hub_bucket_of(const struct hub *h, const char *url, enum hub_bucket home);
/*
 * One of `connections` places for a transfer of a file; false when all are taken. Each exchange of hub_call() takes one too, and waits for it. A
 * file may hold its place for hours, and its own job may have something to ask meanwhile, so where no other call is under way, one goes besides
 * the files that have taken all: a call waits for other calls at most, and there are never more exchanges than `connections` and one.
 */
bool hub_enter(struct hub *h);
void hub_leave(struct hub *h);
bool hub_enter_call(struct hub *h);
void hub_leave_call(struct hub *h);
/* Says that a file waits for a place; who holds one that can be spared asks, and is told so too where more are taken than there are. */
void hub_crowd(struct hub *h);
bool hub_is_crowded(struct hub *h);
/*
 * Sets a handle up for a GET of this address: net_prepare(), and past any proxy when the token goes along and the address is plain http,
 * where a proxy would read it. Under https the proxy only sees a tunnel.
 */
void hub_prepare(const struct hub *h, CURL *c, const char *url, struct net_answer *a);
/* What libcurl's failure means, `said` being its own words (may be empty): ERR_UNREACHABLE, with what to do where that is known. */
int hub_unreachable(const struct hub *h, const char *what, const char *url, CURLcode code, const char *said, struct err *e);
/* Takes n bytes from the bandwidth cap; returns how many milliseconds to pause before reading on. */
int64_t hub_spend(struct hub *h, uint64_t n);
uint64_t hub_spent(struct hub *h);	/* all that was spent of a cap so far */
/* Seconds until the time-of-day window opens, 0 when it is open at `now` (unix seconds). */
int64_t hub_window_wait(struct hub *h, int64_t now);
void hub_set_window(struct hub *h, int from, int to);
/* The Authorization header for a URL: NULL unless there is a token and the URL is on the endpoint's own host and port. Caller frees with curl_slist_free_all. */
struct curl_slist *hub_headers(const struct hub *h, const char *url);

/* One exchange with all the care above; body gets the answer (its ceiling holds). For callers that speak other parts of the Hub, like git. */
struct hub_call {
	const char *url;
	const char *what;	/* for messages: "the listing of org/name" */
	const char *repo;	/* for messages about access; may be NULL */
	enum hub_bucket bucket;
	const char *post;	/* NULL: GET; else the body of a POST */
	size_t post_bytes;
	const char *content_type, *extra_header;	/* may be NULL */
	bool basic;		/* the token goes as a password, as git sends it */
	int tries;		/* 0: as configured */
	const atomic_bool *stop;
};

int hub_call(struct hub *h, const struct hub_call *call, struct net_answer *a, struct buf *body, struct err *e);

/* Says what a final status other than 2xx means, with what to do about it; returns the code. Asks whoami when the token may be at fault. */
int hub_explain(struct hub *h, const char *repo, const char *what, const struct net_answer *a, const atomic_bool *stop, struct err *e);
/* The same where a gate shows without a status: the listing hides hashes. */
int hub_explain_gated(struct hub *h, const char *repo, const char *what, const atomic_bool *stop, struct err *e);
/* Is this answer the refusal of a repository that upstream has disabled? */
bool hub_says_disabled(const struct net_answer *a);
/* Does it say that there is the repository, and only the revision is not? */
bool hub_says_no_revision(const struct net_answer *a);

enum hub_gated {
	HUB_OPEN,
	HUB_GATED,	/* "auto" or "manual" */
};

struct hub_revision {
	char sha[41];
	char key[MODEL_KEY_HEX + 1];	/* what upstream calls the repository in its database, which outlasts a rename; "" unknown */
	char *id;		/* the canonical name: differs from what was asked for after a rename */
	enum hub_gated gated;
	bool is_private, disabled;
	bool no_such_revision;	/* see hub_get_revision() */
	int64_t last_modified;	/* unix seconds, 0 unknown */
	size_t n_siblings;	/* files that it lists; 0 none, or unknown */
	char *raw;		/* the document as it came, but for its list of files: the listing says more */
	size_t raw_bytes;
	json_t *doc;
};

void hub_revision_done(struct hub_revision *r);

static inline void own_revision(struct hub_revision *r)
{
	hub_revision_done(r);
}

/* The key in what upstream says of a model that it calls id; "" when there is none. */
void hub_read_key(const json_t *doc, const char *id, char out[MODEL_KEY_HEX + 1]);
/* What r->doc, which somebody (`from`) gave for repo, says: fills in the rest but for raw. ERR_INPUT when it makes no sense. */
int hub_revision_read(struct hub_revision *r, const char *from, const char *repo, const char *what, struct err *e);
/*
 * rev NULL is the default branch. With ERR_REFUSED, out->disabled tells whether that is because upstream has disabled the repository; with ERR_NOT_FOUND,
 * out->no_such_revision that it has the repository, and not this revision of it.
 */
int hub_get_revision(struct hub *h, const char *repo, const char *rev, const atomic_bool *stop, struct hub_revision *out, struct err *e);

/* Does upstream call this ref a tag? 1 yes, 0 no, -1 it can't be known. */
int hub_is_tag(struct hub *h, const char *repo, const char *ref, const atomic_bool *stop);
/* Does head's history hold this commit? 1 yes, 0 no, -1 it can't be known: no such list there, or a longer one than is read. */
int hub_descends(struct hub *h, const char *repo, const char *head, const char *commit, const atomic_bool *stop);

struct hub_file {
	const char *path;
	uint64_t size_bytes;
	struct digest oid;	/* git blob id: of the content, or of the pointer for an LFS file */
	struct digest sha256;	/* DIGEST_NONE for a git file */
	uint32_t pointer_bytes;	/* 0 unknown */
	bool lfs;
	bool masked;		/* the Hub hides the hash (64 asterisks): gated, no access */
};

struct hub_tree {
	struct arena arena;
	struct hub_file *files;		/* sorted by path, paths checked and distinct */
	size_t n_files, cap_files;
	size_t n_dirs, n_others;
	uint64_t total_bytes;
	const char *odd_path;		/* a name that other systems can't hold (case, trailing dot), NULL when none */
	struct buf raw;			/* the pages as they came, one a line; failed, and nothing, when they are more than HUB_TREE_RAW_MAX bytes */
};

void hub_tree_init(struct hub_tree *t);
void hub_tree_done(struct hub_tree *t);

/* Gives back the files but for their paths, which plans made from them go on using. */
void hub_tree_keep_paths(struct hub_tree *t);

static inline void own_tree(struct hub_tree *t)
{
	hub_tree_done(t);
}

int hub_get_tree(struct hub *h, const char *repo, const char *sha, const atomic_bool *stop, struct hub_tree *t, struct err *e);
/* One page of a listing into t; then hub_tree_finish() sorts and checks the whole. */
int hub_tree_page(struct hub_tree *t, const char *text, size_t n, struct err *e);
int hub_tree_finish(struct hub_tree *t, struct err *e);
const struct hub_file *hub_tree_find(const struct hub_tree *t, const char *path);

/* {endpoint}/{repo}/resolve/{sha}/{path}; caller frees. */
char *hub_resolve_url(const struct hub *h, const char *repo, const char *sha, const char *path);

/* What the listing of models says about one. */
struct hub_listed {
	char *id, *sha;		/* sha NULL when not given */
	int64_t last_modified;
	json_t *doc;
};

/*
 * Models of an author or a search, newest change first, until one is older than `since` (0: all). Calls `each` for every one;
 * it returns nonzero to end the walk.
 */
struct hub_query {
	const char *author, *search, *filter;	/* NULL when not asked */
	int64_t since;
};

int hub_list(struct hub *h, const struct hub_query *q, const atomic_bool *stop, int (*each)(const struct hub_listed *m, void *arg), void *arg, struct err *e);

/* Is name a repository id the Hub could have ("ns/name" or "name")? */
int hub_check_repo(const char *name, struct err *e);
/* And an author's? */
int hub_check_author(const char *name, struct err *e);
/* JSON that an upstream sent; a page of a login or a proxy is told apart. NULL with *e. */
json_t *hub_parse_answer(const char *text, size_t n, const char *what, const char *endpoint, struct err *e);
/* The address of the listing's next page from the Link header, see net_page(). *next is the caller's, NULL at the end. */
int hub_next_page(struct hub *h, const char *url, const struct net_answer *a, char **next, struct err *e);

#endif
