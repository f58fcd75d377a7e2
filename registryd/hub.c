/* hub.c - see hub.h. Calls, their limits and retries; what the answers hold is in hub_doc.c. */
#include "registryd/hub.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"

#define RETRIES_DEFAULT	    6
#define BACKOFF_DEFAULT_MS  500
#define STALL_DEFAULT_S	    30
#define PACE_BELOW	    32	/* remaining requests under which they are spread over the rest of the window */
#define FIRST_WAIT_MS	    10	/* how soon to look again while the first request of an allowance is under way */
#define RETRY_AFTER_MAX_S   86400	/* a server that says more is asked again after this */
#define PLACE_WAIT_MS	    10	/* how soon a call looks again for a place; others are held by calls, which end soon */
#define CALL_BYTES_S	    4096	/* what a call reads at least, whatever the bandwidth cap, lest libcurl take it for one that stands still */
#define AUTH_HEADER_MAX	    (HUB_TOKEN_MAX + 32)

static char *copy(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

struct hub *hub_new(const struct hub_config *c)
{
	struct hub *h = mem_zalloc(sizeof(*h));
	size_t n = strlen(c->endpoint);

	h->config = *c;
	h->config.name = mem_strdup(c->name);
	while (n && c->endpoint[n - 1] == '/')
		n--;
	h->config.endpoint = mem_strndup(c->endpoint, n);
	h->config.token = c->token && *c->token ? mem_strdup(c->token) : NULL;
	h->config.proxy = copy(c->proxy);
	h->config.ca_file = copy(c->ca_file);
	if (h->config.retries == 0)
		h->config.retries = RETRIES_DEFAULT;
	else if (h->config.retries < 0)
		h->config.retries = 0;
	if (h->config.backoff_ms <= 0)
		h->config.backoff_ms = BACKOFF_DEFAULT_MS;
	if (h->config.stall_s <= 0)
		h->config.stall_s = STALL_DEFAULT_S;
	h->via = (struct net_via){ h->config.proxy, h->config.ca_file, h->config.stall_s };
	h->shared = hub_shared_new();
	hub_set_limits(h, c->connections, c->rate_limit);
	for (size_t i = 0; i < HUB_BUCKETS; i++)
		h->limit[i].left = -1;
	h->limit[HUB_ELSEWHERE].met = true;	/* there is no allowance to be learned of */
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_idle; i++)
		curl_easy_cleanup(h->idle[i]);
	free((void *)h->config.name);
	free((void *)h->config.endpoint);
	free((void *)h->config.token);
	free((void *)h->config.proxy);
	free((void *)h->config.ca_file);
	hub_shared_leave(h->shared);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool hub_equal(const struct hub *a, const struct hub *b)
{
	const struct hub_config *x = &a->config, *y = &b->config;

	return same_text(x->name, y->name) && same_text(x->endpoint, y->endpoint) && same_text(x->token, y->token) && same_text(x->proxy, y->proxy) &&
	       same_text(x->ca_file, y->ca_file) && x->retries == y->retries &&
	       x->backoff_ms == y->backoff_ms && x->stall_s == y->stall_s;
}

CURL *hub_take(struct hub *h)
{
	CURL *c = NULL;

	pthread_mutex_lock(&h->lock);
	if (h->n_idle)
		c = h->idle[--h->n_idle];
	pthread_mutex_unlock(&h->lock);
	return c ? c : net_open(&h->via);
}

void hub_put(struct hub *h, CURL *c)
{
	pthread_mutex_lock(&h->lock);
	if (h->n_idle < ARRAY_LEN(h->idle)) {
		h->idle[h->n_idle++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (c)
		curl_easy_cleanup(c);
}

enum hub_bucket hub_bucket_of(const struct hub *h, const char *url, enum hub_bucket home)
{
	return net_same_origin(url, h->config.endpoint) ? home : HUB_ELSEWHERE;
}

int64_t hub_pace(struct hub *h, enum hub_bucket b)
{
	struct hub_limit *l = &h->limit[b];
	int64_t now = net_now_ms(), wait;

	pthread_mutex_lock(&h->lock);
	if (l->left >= 0 && now >= l->reset_ms) {	/* a new allowance of unknown size */
		l->left = -1;
		l->met = false;
	}
	wait = l->not_before_ms - now;
	if (wait <= 0 && !l->met && l->under_way)
		wait = FIRST_WAIT_MS;
	if (wait <= 0 && l->left == 0)
		wait = l->reset_ms - now;
	if (wait <= 0) {
		wait = 0;
		l->under_way++;
		if (l->left > 0 && l->left < PACE_BELOW)
			l->not_before_ms = now + (l->reset_ms - now) / l->left;
		l->left -= l->left > 0;
	}
	pthread_mutex_unlock(&h->lock);
	return wait;
}

void hub_learn(struct hub *h, enum hub_bucket b, const struct net_answer *a)
{
	static const char *const names[HUB_BUCKETS] = { [HUB_API] = "api", [HUB_RESOLVE] = "resolvers", [HUB_PAGES] = "pages" };
	struct hub_limit *l = &h->limit[b];
	int64_t now = net_now_ms(), r, t, retry = -1;

	pthread_mutex_lock(&h->lock);
	l->under_way -= l->under_way > 0;
	if (a && a->status) {
		l->met = true;
		if (names[b] && !net_ratelimit(a, names[b], &r, &t)) {
			l->left = r > l->under_way ? r - l->under_way : 0;
			l->reset_ms = now + (t + 1) * 1000;
		}
		if (a->status == 429 || a->status == 503)
			retry = net_retry_after(a, time(NULL));
		if (retry > RETRY_AFTER_MAX_S)
			retry = RETRY_AFTER_MAX_S;
		if (retry >= 0 && now + retry * 1000 > l->not_before_ms)
			l->not_before_ms = now + retry * 1000;
	}
	pthread_mutex_unlock(&h->lock);
}

void hub_set_window(struct hub *h, int from, int to)
{
	pthread_mutex_lock(&h->lock);
	h->config.window_from = from;
	h->config.window_to = to;
	pthread_mutex_unlock(&h->lock);
}

int64_t hub_window_wait(struct hub *h, int64_t now)
{
	int minute = (int)(now % 86400 / 60), from, to;
	bool open;

	pthread_mutex_lock(&h->lock);
	from = h->config.window_from, to = h->config.window_to;
	pthread_mutex_unlock(&h->lock);
	open = from == to || (from < to ? minute >= from && minute < to : minute >= from || minute < to);
	return open ? 0 : (int64_t)((from - minute + 1440) % 1440) * 60 - now % 60;
}

static bool sends_token(const struct hub *h, const char *url)
{
	return h->config.token && net_same_origin(url, h->config.endpoint);
}

void hub_prepare(const struct hub *h, CURL *c, const char *url, struct net_answer *a)
{
	bool open_letter = sends_token(h, url) && !strncasecmp(url, "http:", 5);

	net_prepare(c, url, a);
	curl_easy_setopt(c, CURLOPT_NOPROXY, open_letter ? "*" : NULL);
}

int hub_unreachable(const struct hub *h, const char *what, const char *url, CURLcode code, const char *said, struct err *e)
{
	const char *why = said && *said ? said : curl_easy_strerror(code);
	bool nested = h->config.proxy && !strncasecmp(h->config.proxy, "https:", 6);
	char origin[300];

	net_origin(origin, sizeof(origin), url);
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(e, ERR_UNREACHABLE, "%s: the certificate of %s is not trusted (%s): if it is the right one, name the authority that signed it in ca_file of upstream '%s'",
			       what, origin, why, h->config.name);
	case NET_PROXY_NOT_TRUSTED:
		return err_set(e, ERR_UNREACHABLE, "%s: the certificate of the proxy to %s is not trusted (%s): if it is the right one, name the authority that signed it in ca_file of upstream '%s', beside the one of the upstream itself",
			       what, origin, why, h->config.name);
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, ERR_UNREACHABLE, "%s: ca_file of upstream '%s' can't be used: %s", what, h->config.name, why);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_set(e, ERR_UNREACHABLE, "%s: the proxy to %s can't be found (%s): see proxy of upstream '%s', or https_proxy in the daemon's environment", what, origin, why,
			       h->config.name);
	case CURLE_SSL_CONNECT_ERROR:
		if (nested)	/* of a handshake in a tunnel of TLS libcurl loses why it failed */
			return err_set(e, ERR_UNREACHABLE, "%s: %s: %s: it may be that its certificate is not trusted: if it is the right one, name the authority that signed it in ca_file of upstream '%s'",
				       what, origin, why, h->config.name);
		break;
	default:
		break;
	}
	return err_set(e, ERR_UNREACHABLE, "%s: %s: %s", what, origin, why);
}

static void append(struct curl_slist *list, const char *line)
{
	if (!curl_slist_append(list, line))
		abort();
}

static struct curl_slist *headers(const struct hub *h, const char *url, const char *encoding)
{
	struct curl_slist *list = curl_slist_append(NULL, encoding);
	char line[AUTH_HEADER_MAX];

	if (!list)
		abort();
	snprintf(line, sizeof(line), "Authorization: Bearer %s", sends_token(h, url) ? h->config.token : "");
	if (sends_token(h, url))
		append(list, line);
	return list;
}

struct curl_slist *hub_headers(const struct hub *h, const char *url)
{
	return headers(h, url, "Accept-Encoding: identity");
}

/* ---- one call ------------------------------------------------------------------------------------------------- */

static void own_slist(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

/* Where a call's body goes. */
struct sink {
	struct hub *h;
	struct buf *body;
	const atomic_bool *stop;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	const struct sink *s = arg;
	int64_t len = (int64_t)(size * n), wait;

	if (buf_add(s->body, p, size * n))
		return 0;
	wait = hub_spend(s->h, size * n);
	if (wait > len * 1000 / CALL_BYTES_S)
		wait = len * 1000 / CALL_BYTES_S;
	return net_sleep(wait, s->stop) ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t dt, curl_off_t dn, curl_off_t ut, curl_off_t un)
{
	const atomic_bool *stop = arg;

	(void)dt, (void)dn, (void)ut, (void)un;
	return stop && atomic_load(stop);
}

/* Waits for the bucket's turn. */
static int wait_turn(struct hub *h, const struct hub_call *call, enum hub_bucket bucket, const char *url, struct err *e)
{
	char origin[300];
	int64_t ms;

	while ((ms = hub_pace(h, bucket)) > 0) {
		net_origin(origin, sizeof(origin), url);
		if (ms > NET_WAIT_MAX_S * 1000)
			return err_set(e, ERR_THROTTLED, "%s: %s asks to wait %lld s before the next request", call->what, origin, (long long)ms / 1000);
		if (!net_sleep(ms, call->stop))
			return err_set(e, ERR_CANCELED, "%s: stopped while waiting for %s", call->what, h->config.endpoint);
	}
	return 0;
}

/* Headers of one exchange. git's token is sent by libcurl as a password; it goes with the request to this one address only. */
static struct curl_slist *headers_for(struct hub *h, const struct hub_call *call, const char *url, CURL *c)
{
	bool basic = call->basic && sends_token(h, url);
	struct curl_slist *list = call->basic ? curl_slist_append(NULL, "Accept-Encoding: identity") : headers(h, url, "Accept-Encoding: gzip");
	char line[128];

	if (!list)
		abort();
	curl_easy_setopt(c, CURLOPT_USERNAME, basic ? "registryd" : NULL);
	curl_easy_setopt(c, CURLOPT_PASSWORD, basic ? h->config.token : NULL);
	if (call->content_type) {
		snprintf(line, sizeof(line), "Content-Type: %s", call->content_type);
		append(list, line);
	}
	if (call->extra_header)
		append(list, call->extra_header);
	if (call->post)
		append(list, "Expect:");
	return list;
}

/* One exchange with one URL, no redirects, in a place of its own. libcurl's result goes to *rc. */
static void exchange(struct hub *h, const struct hub_call *call, const char *url, struct net_answer *a, struct buf *body, CURLcode *rc, char why[CURL_ERROR_SIZE])
{
	struct sink sink = { h, body, call->stop };
	own(slist) struct curl_slist *headers = NULL;
	CURL *c;

	buf_reset(body);
	net_answer_reset(a);
	*why = 0;
	*rc = CURLE_ABORTED_BY_CALLBACK;
	while (!hub_enter_call(h))
		if (!net_sleep(PLACE_WAIT_MS, call->stop))
			return;
	c = hub_take(h);
	headers = headers_for(h, call, url, c);
	hub_prepare(h, c, url, a);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &sink);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, call->stop);
	if (call->post) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->post_bytes);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, call->post);
	} else {
		curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	}
	*rc = curl_easy_perform(c);
	if (*rc != CURLE_OK)
		*rc = net_blame_proxy(c, *rc, why);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c, CURLOPT_USERNAME, NULL);
	curl_easy_setopt(c, CURLOPT_PASSWORD, NULL);
	hub_put(h, c);
	hub_leave_call(h);
}

/* Redirects by hand. The token is sent only to the endpoint's own host and port (hub_headers sees to it). *url becomes the address that answered. */
static int follow(struct hub *h, const struct hub_call *call, char **url, struct net_answer *a, struct buf *body, CURLcode *rc, char why[CURL_ERROR_SIZE], struct err *e)
{
	free(*url);
	*url = mem_strdup(call->url);
	for (int hop = 0; hop <= NET_REDIRECTS_MAX; hop++) {
		enum hub_bucket bucket = hub_bucket_of(h, *url, call->bucket);
		char *next;

		if (wait_turn(h, call, bucket, *url, e))
			return e->code;
		exchange(h, call, *url, a, body, rc, why);
		hub_learn(h, bucket, *rc == CURLE_OK ? a : NULL);
		if (*rc != CURLE_OK || a->status < 301 || a->status > 308 || a->status == 304 || !a->header[NET_LOCATION])
			return 0;
		next = net_join(*url, a->header[NET_LOCATION]);
		if (!next)
			return err_set(e, ERR_INPUT, "%s: %s redirects to '%.200s', which is no http address", call->what, h->config.endpoint, a->header[NET_LOCATION]);
		free(*url);
		*url = next;
	}
	return err_set(e, ERR_INPUT, "%s: %s redirects more than %d times", call->what, h->config.endpoint, NET_REDIRECTS_MAX);
}

/* ---- what a refusal means ------------------------------------------------------------------------------------- */

enum token { TOKEN_KNOWN, TOKEN_UNKNOWN, TOKEN_UNCLEAR };

/* An answer to whose the token is that is neither a name nor a plain no. */
static void say_unclear(const struct hub *h, const struct net_answer *a, const char *url, struct err *unclear)
{
	own(mem) char *to = a->status >= 301 && a->status <= 308 && a->header[NET_LOCATION] ? net_join(url, a->header[NET_LOCATION]) : NULL;
	char origin[200];

	if (!to || net_same_origin(to, url)) {
		err_set(unclear, ERR_INPUT, "asked whose it is, %s answers %ld%s", h->config.endpoint, a->status, a->status == 200 ? " without a name" : "");
		return;
	}
	net_origin(origin, sizeof(origin), to);
	err_set(unclear, ERR_INPUT, "%s redirects to %s, and the token is sent to no other address: if that is the right one, make it the endpoint", h->config.endpoint, origin);
}

/* Does the Hub know our token? What is no answer to that, from a gateway on the way say, counts neither way. */
static enum token ask_token(struct hub *h, const atomic_bool *stop, struct err *unclear)
{
	own(answer) struct net_answer a = { 0 };
	own(json) json_t *doc = NULL;
	own(buf) struct buf body;
	own(mem) char *url = NULL;
	char why[CURL_ERROR_SIZE];
	CURLcode code;

	buf_init(&body, HUB_INFO_MAX_BYTES);
	if (asprintf(&url, "%s/api/whoami-v2", h->config.endpoint) < 0)
		abort();
	exchange(h, &(struct hub_call){ .url = url, .what = "whoami", .bucket = HUB_API, .stop = stop }, url, &a, &body, &code, why);
	if (code == CURLE_OK && a.status == 401)
		return TOKEN_UNKNOWN;
	if (code == CURLE_OK && a.status == 200 && !net_unpack(&a, &body, NULL) && (doc = json_parse_lax(body.data, body.len, "whoami", NULL)) && json_get_str(doc, "name"))
		return TOKEN_KNOWN;
	if (code == CURLE_OK)
		say_unclear(h, &a, url, unclear);
	else
		hub_unreachable(h, "asked whose it is", url, code, why, unclear);
	return TOKEN_UNCLEAR;
}

static int token_is_not_valid(const struct hub *h, const char *what, struct err *e)
{
	return err_set(e, ERR_AUTH, "%s: the token of upstream '%s' is not valid (%s does not know it): write a current one to its token_file, which every sync reads anew", what,
		       h->config.name, h->config.endpoint);
}

int hub_explain_gated(struct hub *h, const char *repo, const char *what, const atomic_bool *stop, struct err *e)
{
	const char *ep = h->config.endpoint, *name = h->config.name;
	struct err unclear;

	if (!h->config.token)
		return err_set(e, ERR_AUTH, "%s: %s is gated upstream: accept its terms at %s/%s, then set token_file of upstream '%s' to a token of that account", what, repo, ep, repo, name);
	switch (ask_token(h, stop, &unclear)) {
	case TOKEN_UNKNOWN:
		return token_is_not_valid(h, what, e);
	case TOKEN_KNOWN:
		return err_set(e, ERR_AUTH, "%s: %s is gated upstream and the account of upstream '%s' has no access: the token is valid, so accept the terms at %s/%s (or wait until its owner grants access)", what, repo, name, ep, repo);
	case TOKEN_UNCLEAR:
		break;
	}
	return err_set(e, ERR_AUTH, "%s: %s is gated upstream and upstream '%s' gets no access: accept the terms at %s/%s with its account, or write a current token to its token_file; whether the token is valid could not be found out (%s)",
		       what, repo, name, ep, repo, unclear.msg);
}

static int explain_401(struct hub *h, const char *repo, const char *what, const atomic_bool *stop, struct err *e)
{
	const char *ep = h->config.endpoint, *name = h->config.name;
	struct err unclear;

	if (!h->config.token)
		return err_set(e, ERR_NOT_FOUND, "%s: %s has no public repository '%s': check the name, or, when it is private, set token_file of upstream '%s'", what, ep, repo, name);
	switch (ask_token(h, stop, &unclear)) {
	case TOKEN_UNKNOWN:
		return token_is_not_valid(h, what, e);
	case TOKEN_KNOWN:
		return err_set(e, ERR_AUTH, "%s: %s answers 401 for '%s' although it knows the token of upstream '%s': the token lacks the right to read it", what, ep, repo, name);
	case TOKEN_UNCLEAR:
		break;
	}
	return err_set(e, ERR_AUTH, "%s: %s answers 401 for '%s': the name is wrong, or the token of upstream '%s' lacks the right to read it or is not valid, which could not be found out (%s)",
		       what, ep, repo, name, unclear.msg);
}

/* The Hub has no code for it: only this sentence tells a disabled repository from another refusal. */
bool hub_says_disabled(const struct net_answer *a)
{
	const char *said = a->header[NET_ERROR_MESSAGE];

	return a->status == 403 && said && !strcmp(said, "Access to this resource is disabled.");
}

bool hub_says_no_revision(const struct net_answer *a)
{
	return a->header[NET_ERROR_CODE] && !strcmp(a->header[NET_ERROR_CODE], "RevisionNotFound");
}

/* Another registryd gives this code to all that it refuses, so that clients print why; what it says tells terms to be accepted from its own rules. */
static bool is_gated(const struct net_answer *a)
{
	const char *code = a->header[NET_ERROR_CODE], *said = a->header[NET_ERROR_MESSAGE];

	return code && !strcmp(code, "GatedRepo") && (a->status != 403 || !said || str_starts(said, "Access to "));
}

static bool is_withdrawn(const struct net_answer *a)
{
	return a->status == 403 && a->header[NET_ERROR_MESSAGE] && strstr(a->header[NET_ERROR_MESSAGE], " has been withdrawn");
}

int hub_explain(struct hub *h, const char *repo, const char *what, const struct net_answer *a, const atomic_bool *stop, struct err *e)
{
	const char *code = a->header[NET_ERROR_CODE] ? a->header[NET_ERROR_CODE] : "", *ep = h->config.endpoint;
	char said[200] = "";

	if (a->header[NET_ERROR_MESSAGE])
		snprintf(said, sizeof(said), " (%s)", str_printable(a->header[NET_ERROR_MESSAGE]));
	if (!repo)
		repo = "this";
	if (a->status == 410 || a->status == 451 || is_withdrawn(a))
		return err_set(e, ERR_GONE, "%s: %s no longer serves %s (%ld)%s", what, ep, repo, a->status, said);
	if (is_gated(a))
		return hub_explain_gated(h, repo, what, stop, e);
	if (hub_says_no_revision(a))
		return err_set(e, ERR_NOT_FOUND, "%s: %s has no such revision of %s%s", what, ep, repo, said);
	if (!strcmp(code, "EntryNotFound"))
		return err_set(e, ERR_NOT_FOUND, "%s: %s does not have it%s", what, ep, said);
	if (hub_says_disabled(a))
		return err_set(e, ERR_REFUSED, "%s: %s has disabled %s: nobody gets it there", what, ep, repo);
	switch (a->status) {
	case 401:
		return explain_401(h, repo, what, stop, e);
	case 403:
		return err_set(e, ERR_REFUSED, "%s: %s refuses %s (403)%s", what, ep, repo, said);
	case 404:
		if (h->config.token)
			return err_set(e, ERR_NOT_FOUND, "%s: %s has no repository '%s', or it is private and the token of upstream '%s' gives no access to it%s", what, ep, repo, h->config.name, said);
		return err_set(e, ERR_NOT_FOUND, "%s: %s has no repository '%s'; a private one needs a token%s", what, ep, repo, said);
	case 407:	/* of plain http; a tunnel that is refused libcurl tells of */
		return err_set(e, ERR_UNREACHABLE, "%s: %s: the proxy answers 407: see the upstream's proxy setting, or http_proxy in the daemon's environment", what, ep);
	case 429:
		return err_set(e, ERR_THROTTLED, "%s: %s says there were too many requests (429); trying again later", what, ep);
	}
	if (a->status >= 500)
		return err_set(e, ERR_UNREACHABLE, "%s: %s answers %ld%s, also after %d tries", what, ep, a->status, said, h->config.retries + 1);
	return err_set(e, ERR_INPUT, "%s: %s answers %ld%s, which is not expected here", what, ep, a->status, said);
}

/* Would the answer perhaps have been another one, had the token gone along to where the upstream sent us? */
static bool lacked_token(const struct hub *h, const char *url, const struct net_answer *a)
{
	const char *code = a->header[NET_ERROR_CODE];

	if (!h->config.token || sends_token(h, url))
		return false;
	return a->status == 401 || is_gated(a) || (a->status == 404 && (!code || !strcmp(code, "RepoNotFound")));
}

static int explain_elsewhere(const struct hub *h, const struct hub_call *call, const char *url, const struct net_answer *a, struct err *e)
{
	char origin[300];

	net_origin(origin, sizeof(origin), url);
	return err_set(e, a->status == 404 ? ERR_NOT_FOUND : ERR_AUTH,
		       "%s: %s redirects to %s, which answers %ld, and the token of upstream '%s' is sent to no other address: if that is the right one, make it the endpoint", call->what,
		       h->config.endpoint, origin, a->status, h->config.name);
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

int hub_call(struct hub *h, const struct hub_call *call, struct net_answer *a, struct buf *body, struct err *e)
{
	own(mem) char *url = NULL;
	char why[CURL_ERROR_SIZE];
	CURLcode code;
	int rc, retries = call->tries ? call->tries - 1 : h->config.retries;

	for (int attempt = 0;; attempt++) {
		if (attempt && !net_sleep(net_backoff_ms(attempt, h->config.backoff_ms), call->stop))
			return err_set(e, ERR_CANCELED, "%s: stopped while waiting for %s", call->what, h->config.endpoint);
		rc = follow(h, call, &url, a, body, &code, why, e);
		if (rc)
			return rc;
		if (call->stop && atomic_load(call->stop))
			return err_set(e, ERR_CANCELED, "%s: stopped", call->what);
		if (buf_failed(body))
			return err_set(e, ERR_LIMIT, "%s: the answer of %s is longer than %zu bytes", call->what, h->config.endpoint, body->max);
		if (code == CURLE_OK && a->status >= 200 && a->status < 300)
			return net_unpack(a, body, e) ? err_wrap(e, "%s: %s", call->what, h->config.endpoint) : 0;
		if (attempt < retries && (code == CURLE_OK ? net_status_transient(a->status) : net_code_transient(code)))
			continue;
		if (code != CURLE_OK) {
			hub_unreachable(h, call->what, url, code, why, e);
			return attempt ? err_wrap(e, "tried %d times", attempt + 1) : e->code;
		}
		if (lacked_token(h, url, a))
			return explain_elsewhere(h, call, url, a, e);
		return hub_explain(h, call->repo, call->what, a, call->stop, e);
	}
}
