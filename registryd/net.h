/*
 * net.h - what every HTTP exchange with an upstream has in common: a libcurl handle set up the same way, the few answer headers
 * that matter, whole URLs, and how long to wait before the next try. Redirects are never followed by libcurl: the caller does
 * it by hand, because the first answer of a Hub carries facts that the last one lacks, and so that the Authorization header
 * never reaches another host or port.
 */
#ifndef REGISTRYD_NET_H
#define REGISTRYD_NET_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define NET_HEADER_MAX	  8192	/* bytes of one header value that are kept; signed URLs reach 2 KiB */
#define NET_REDIRECTS_MAX 5
#define NET_WAIT_MAX_S	  600	/* longer waits that an upstream asks for end the attempt instead */

enum net_header {
	NET_LOCATION,
	NET_ETAG,
	NET_LINKED_ETAG,
	NET_LINKED_SIZE,
	NET_REPO_COMMIT,
	NET_ERROR_CODE,
	NET_ERROR_MESSAGE,
	NET_LINK,
	NET_RETRY_AFTER,
	NET_DATE,
	NET_RATELIMIT,
	NET_CONTENT_RANGE,
	NET_CONTENT_TYPE,
	NET_CONTENT_ENCODING,
	NET_HEADERS,
};

struct net_answer {
	long status;			/* of the last answer; 0 before one came */
	char *header[NET_HEADERS];	/* NULL when it was not sent */
};

void net_answer_reset(struct net_answer *a);
void net_answer_done(struct net_answer *a);

static inline void own_answer(struct net_answer *a)
{
	net_answer_done(a);
}

/* How to reach the outside; NULL proxy means the environment's http_proxy and so on. */
struct net_via {
	const char *proxy, *ca_file;
	int stall_s;	/* a body that moves under 1 KiB/s for so long is given up */
};

/* Once, before the first thread starts. */
void net_init(void);
/* A handle for GETs whose header lines go to `a`. Aborts when out of memory. curl_easy_cleanup() ends it. */
CURL *net_open(const struct net_via *via);
void net_prepare(CURL *h, const char *url, struct net_answer *a);
/* Could this be a proxy's address, as libcurl reads one? */
bool net_is_proxy(const char *text);
/* libcurl gives this one only with an option that is not used here. */
#define NET_PROXY_NOT_TRUSTED CURLE_SSL_ISSUER_ERROR
/*
 * After a failure: when it was a proxy that refused, says so in `why` instead of libcurl's words. A proxy's name and password never stand there.
 * Returns code, or NET_PROXY_NOT_TRUSTED when it was the proxy's certificate that failed.
 */
CURLcode net_blame_proxy(CURL *h, CURLcode code, char why[CURL_ERROR_SIZE]);

/* Do two URLs name the same scheme, host and port? Unparsable URLs are the same as nothing. */
bool net_same_origin(const char *a, const char *b);
/* The absolute URL that `location` means on a page at `base`; http and https only. Caller frees; NULL when it is none. */
char *net_join(const char *base, const char *location);
/*
 * A listing's next page, which `link` names on the page that was asked for: the query of the link at the address that was asked. A server, or who stands before
 * it, may have another host and path for itself than we have for it, and no listing leads us elsewhere. Caller frees; NULL when it is no http address with a query.
 */
char *net_page(const char *asked, const char *link);
/* scheme://host:port of a URL, for messages (signed query strings stay out of logs). */
void net_origin(char *out, size_t n, const char *url);
/* The target of rel="next" in a Link header (RFC 8288; several lines are joined with commas), or NULL; caller frees. */
char *net_link_next(const char *link);

/*
 * Takes gzip off an answer's body, at most to the body's own ceiling; what has no Content-Encoding stays as it is. ERR_INPUT when it is not whole or comes in another
 * encoding, ERR_LIMIT when there is more in it.
 */
int net_unpack(const struct net_answer *a, struct buf *body, struct err *e);
/* Seconds named by Retry-After (number, or date by the clock of whoever answered, else by `now`), -1 when it says nothing. */
int64_t net_retry_after(const struct net_answer *a, int64_t now);
/* r and t of RateLimit's item `bucket` ("api"), 0 or -1 when it is not there. */
int net_ratelimit(const struct net_answer *a, const char *bucket, int64_t *remaining, int64_t *reset_s);

/* Milliseconds before try number `attempt` (1 is the second try): base doubled each time up to a minute, half of it by chance. */
int64_t net_backoff_ms(int attempt, int64_t base_ms);
/* Is another try worth anything after this status? */
bool net_status_transient(long status);
/* As above, for libcurl's own codes. */
bool net_code_transient(CURLcode rc);

int64_t net_now_ms(void);	/* monotonic */
/* False when *stop became true first. stop may be NULL. */
bool net_sleep(int64_t ms, const atomic_bool *stop);

#endif
