/* net.c - see net.h. */
#include "registryd/net.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <zlib.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define CONNECT_TIMEOUT_S 20
#define BACKOFF_MAX_MS	  60000
#define SLEEP_SLICE_MS	  50
#define UNPACK_BYTES	  (32 << 10)
#define RECEIVE_BYTES	  (2 << 20)	/* the kernel takes it twice, for its own needs */

static const char *const header_names[NET_HEADERS] = {
	[NET_LOCATION] = "location",
	[NET_ETAG] = "etag",
	[NET_LINKED_ETAG] = "x-linked-etag",
	[NET_LINKED_SIZE] = "x-linked-size",
	[NET_REPO_COMMIT] = "x-repo-commit",
	[NET_ERROR_CODE] = "x-error-code",
	[NET_ERROR_MESSAGE] = "x-error-message",
	[NET_LINK] = "link",
	[NET_RETRY_AFTER] = "retry-after",
	[NET_DATE] = "date",
	[NET_RATELIMIT] = "ratelimit",
	[NET_CONTENT_RANGE] = "content-range",
	[NET_CONTENT_TYPE] = "content-type",
	[NET_CONTENT_ENCODING] = "content-encoding",
};

void net_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

void net_answer_reset(struct net_answer *a)
{
	for (size_t i = 0; i < NET_HEADERS; i++)
		free(take(a->header[i]));
	a->status = 0;
}

void net_answer_done(struct net_answer *a)
{
	net_answer_reset(a);
}

/* A list may come in several lines, which mean the same as one. Of other headers the last counts. What would be longer than is kept is left out. */
static void set_header(struct net_answer *a, size_t i, const char *value, size_t n)
{
	char *before = take(a->header[i]);
	int rc = 0;

	if (i != NET_LINK || !before)
		a->header[i] = mem_strndup(value, n);
	else if (strlen(before) + n + 2 > NET_HEADER_MAX)
		a->header[i] = take(before);
	else
		rc = asprintf(&a->header[i], "%s, %.*s", before, (int)n, value);
	if (rc < 0)
		abort();
	free(before);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct net_answer *a = arg;
	size_t len = size * n, key, start, end;

	if (len >= 5 && !memcmp(line, "HTTP/", 5)) {	/* a new answer begins: 100 Continue came before, say */
		size_t sp = 0;

		net_answer_reset(a);
		while (sp < len && line[sp] != ' ')
			sp++;
		for (size_t i = sp + 1; i < len && i < sp + 4 && line[i] >= '0' && line[i] <= '9'; i++)
			a->status = a->status * 10 + (line[i] - '0');
		return len;
	}
	for (key = 0; key < len && line[key] != ':'; key++)
		;
	start = key + 1;
	end = len;
	while (start < end && (line[start] == ' ' || line[start] == '\t'))
		start++;
	while (end > start && (line[end - 1] == '\r' || line[end - 1] == '\n' || line[end - 1] == ' '))
		end--;
	if (start > end || end - start > NET_HEADER_MAX)
		return len;
	for (size_t i = 0; i < NET_HEADERS; i++) {
		if (strlen(header_names[i]) != key || strncasecmp(header_names[i], line, key))
			continue;
		set_header(a, i, line + start, end - start);
	}
	return len;
}

/*
 * What has come and lies in the kernel is lost in a kill and has to be sent again. Left to itself the buffer grows until it holds tens of MiB,
 * while the disk is slower than the network. Fixing it is only for where that much is allowed: it would make it small elsewhere.
 */
static int fix_receive_buffer(void *unused, curl_socket_t fd, curlsocktype purpose)
{
	int n = RECEIVE_BYTES;

	(void)unused;
	if (purpose == CURLSOCKTYPE_IPCXN)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	return CURL_SOCKOPT_OK;
}

static bool may_fix_receive_buffer(void)
{
	own(fd) int fd = open("/proc/sys/net/core/rmem_max", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? 0 : fdio_read(fd, text, sizeof(text) - 1, "rmem_max", NULL);

	text[n > 0 ? n : 0] = 0;
	return strtoull(text, NULL, 10) >= RECEIVE_BYTES;
}

CURL *net_open(const struct net_via *via)
{
	CURL *h = curl_easy_init();

	if (!h)
		abort();
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);	/* a name server that is silent is waited for by nobody but the thread that asks it */
	curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_USERAGENT, "registryd/" REGISTRYD_VERSION);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)via->stall_s);
	curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, may_fix_receive_buffer() ? fix_receive_buffer : NULL);
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);	/* one connection a transfer: HTTP/2 would squeeze all through one */
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	if (via->proxy)
		curl_easy_setopt(h, CURLOPT_PROXY, via->proxy);
	if (via->ca_file) {
		curl_easy_setopt(h, CURLOPT_CAINFO, via->ca_file);
		curl_easy_setopt(h, CURLOPT_PROXY_CAINFO, via->ca_file);
	}
	return h;
}

void net_prepare(CURL *h, const char *url, struct net_answer *a)
{
	net_answer_reset(a);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, a);
}

CURLcode net_blame_proxy(CURL *h, CURLcode code, char why[CURL_ERROR_SIZE])
{
	long status = 0, unproven = 0;

	if (str_starts(why, "Unsupported proxy"))	/* libcurl goes on to show the whole address, with the password in it */
		snprintf(why, CURL_ERROR_SIZE, "its address makes no sense");
	if (curl_easy_getinfo(h, CURLINFO_HTTP_CONNECTCODE, &status) == CURLE_OK && status >= 300)
		snprintf(why, CURL_ERROR_SIZE, "the proxy answers %ld: see the upstream's proxy setting, or https_proxy in the daemon's environment", status);
	/* One that proved itself to libcurl has 0 there, whatever became of the upstream behind it; so has one that speaks no TLS. */
	if (code == CURLE_PEER_FAILED_VERIFICATION && curl_easy_getinfo(h, CURLINFO_PROXY_SSL_VERIFYRESULT, &unproven) == CURLE_OK && unproven)
		return NET_PROXY_NOT_TRUSTED;
	return code;
}

static void own_url(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void own_part(char **p)
{
	curl_free(*p);
}

static CURLU *parse(const char *url)
{
	CURLU *u = curl_url();

	if (!u)
		abort();
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		return u;
	curl_url_cleanup(u);
	return NULL;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	own(part) char *x = NULL;
	own(part) char *y = NULL;

	return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK && curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && !strcasecmp(x, y);
}

bool net_same_origin(const char *a, const char *b)
{
	own(url) CURLU *x = parse(a);
	own(url) CURLU *y = parse(b);

	return x && y && same_part(x, y, CURLUPART_SCHEME) && same_part(x, y, CURLUPART_HOST) && same_part(x, y, CURLUPART_PORT);
}

/* Without a scheme it is an HTTP proxy. */
bool net_is_proxy(const char *text)
{
	static const char *const schemes[] = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" };
	own(url) CURLU *u = curl_url();
	own(part) char *scheme = NULL;
	bool known = false;

	if (!u)
		abort();
	if (strpbrk(text, " \t\"<>") || curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) != CURLUE_OK)
		return false;
	if (!strstr(text, "://"))	/* libcurl would guess by the host's name */
		return true;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(schemes) && !known; i++)
		known = !strcasecmp(schemes[i], scheme);
	return known;
}

char *net_join(const char *base, const char *location)
{
	own(url) CURLU *u = parse(base);
	own(part) char *out = NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, location, 0) != CURLUE_OK || curl_url_get(u, CURLUPART_URL, &out, 0) != CURLUE_OK)
		return NULL;
	if (!str_starts(out, "http://") && !str_starts(out, "https://"))
		return NULL;
	return mem_strdup(out);
}

static size_t origin_bytes(const char *url)
{
	const char *p = strstr(url, "://");

	return p ? (size_t)(p + 3 - url) + strcspn(p + 3, "/?#") : strcspn(url, "/?#");
}

/* Put together as text: libcurl would write the escapes anew. */
char *net_page(const char *asked, const char *link)
{
	own(mem) char *named = net_join(asked, link);
	const char *query = named ? strchr(named, '?') : NULL;
	char *out;

	if (!query)
		return NULL;
	if (asprintf(&out, "%.*s%.*s", (int)strcspn(asked, "?#"), asked, (int)strcspn(query, "#"), query) < 0)
		abort();
	return out;
}

void net_origin(char *out, size_t n, const char *url)
{
	snprintf(out, n, "%.*s", (int)origin_bytes(url), url);
}

/* Where a quoted string ends that begins at p: behind its closing quote, or at the end of the text. */
static const char *skip_quoted(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		p += *p == '\\' && p[1];
	return p + (*p == '"');
}

/* Is "next" among the relations of a value: several are parted by blanks, and it may stand in quotes? */
static bool holds_next(const char *value, size_t n)
{
	static const char blanks[] = " \t\"";

	for (size_t word = 0, i = 0; i <= n; i++) {
		if (i < n && !strchr(blanks, value[i]))
			continue;
		if (i - word == 4 && !strncasecmp(value + word, "next", 4))
			return true;
		word = i + 1;
	}
	return false;
}

/*
 * The parameters of one link, up to the comma that ends it, or the end. *next is what the first rel says; RFC 8288 has the others ignored. A comma or a
 * semicolon within quotes parts nothing.
 */
static const char *read_parameters(const char *p, bool *next)
{
	bool had_rel = false;

	*next = false;
	while (*p && *p != ',') {
		const char *name = p += strspn(p, "; \t"), *value;
		size_t n = strcspn(p, "=;, \t\"");

		p += n;
		p += strspn(p, " \t");
		if (*p != '=') {
			p = *p == '"' ? skip_quoted(p) : p;
			continue;
		}
		p++;
		value = p += strspn(p, " \t");
		p = *p == '"' ? skip_quoted(p) : p + strcspn(p, ";,");
		if (n == 3 && !strncasecmp(name, "rel", 3) && !had_rel) {
			had_rel = true;
			*next = holds_next(value, (size_t)(p - value));
		}
	}
	return p;
}

char *net_link_next(const char *link)
{
	const char *p = link;
	bool next;

	while (*(p += strspn(p, ", \t"))) {
		const char *target = p + 1;
		size_t n = strcspn(p, ">");

		if (*p != '<') {
			p = read_parameters(p, &next);	/* no link */
			continue;
		}
		if (!p[n])
			return NULL;
		p = read_parameters(p + n + 1, &next);
		if (next)
			return mem_strndup(target, n - 1);
	}
	return NULL;
}

static void own_inflate(z_stream *z)
{
	inflateEnd(z);
}

/* One layer only, so that no more is ever worked on than came. */
static int inflate_into(struct buf *out, const struct buf *from, struct err *e)
{
	own(inflate) z_stream z = { .next_in = (unsigned char *)from->data, .avail_in = (unsigned)from->len };
	unsigned char piece[UNPACK_BYTES];
	int rc = Z_OK;

	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		abort();
	while (rc == Z_OK || (rc == Z_STREAM_END && z.avail_in)) {
		if (rc == Z_STREAM_END)
			inflateReset(&z);	/* a stream may follow another one */
		z.next_out = piece;
		z.avail_out = sizeof(piece);
		rc = inflate(&z, Z_NO_FLUSH);
		if (buf_add(out, piece, sizeof(piece) - z.avail_out))
			return err_set(e, ERR_LIMIT, "there are more than %zu bytes in its compressed answer", out->max);
	}
	return rc == Z_STREAM_END ? 0 : err_set(e, ERR_INPUT, "its compressed answer is damaged or not whole");
}

int net_unpack(const struct net_answer *a, struct buf *body, struct err *e)
{
	const char *encoding = a->header[NET_CONTENT_ENCODING];
	own(buf) struct buf out;
	int rc;

	buf_init(&out, body->max);
	if (!encoding || !*encoding || !strcasecmp(encoding, "identity") || !body->len)
		return 0;
	if (strcasecmp(encoding, "gzip") && strcasecmp(encoding, "x-gzip"))
		return err_set(e, ERR_INPUT, "its answer comes encoded as '%.60s', which was not asked for: is there a proxy in between?", str_printable(a->header[NET_CONTENT_ENCODING]));
	rc = inflate_into(&out, body, e);
	if (rc)
		return rc;
	buf_done(body);
	*body = out;
	out = (struct buf){ 0 };
	return 0;
}

int64_t net_retry_after(const struct net_answer *a, int64_t now)
{
	const char *s = a->header[NET_RETRY_AFTER], *date = a->header[NET_DATE];
	time_t at, theirs = date ? curl_getdate(date, NULL) : (time_t)-1;
	uint64_t v;

	if (!s)
		return -1;
	if (!str_parse_u64(s, &v, NULL))
		return v > INT32_MAX ? INT32_MAX : (int64_t)v;
	at = curl_getdate(s, NULL);
	if (at == (time_t)-1)
		return -1;
	if (theirs != (time_t)-1)
		now = theirs;
	return at > now ? at - now : 0;
}

/* The number behind `key` ("r=") among the parameters at p, which end at a comma. */
static int64_t parameter(const char *p, const char *key)
{
	for (size_t n = strcspn(p, ","); n; n--, p++)
		if ((p[-1] == ';' || p[-1] == ' ') && str_starts(p, key))
			return strtoll(p + strlen(key), NULL, 10);
	return -1;
}

int net_ratelimit(const struct net_answer *a, const char *bucket, int64_t *remaining, int64_t *reset_s)
{
	const char *p = a->header[NET_RATELIMIT];
	size_t n = strlen(bucket);
	int64_t r, t;

	for (; p && (p = strchr(p, '"')); p++) {
		if (strncmp(p + 1, bucket, n) || p[n + 1] != '"')
			continue;
		r = parameter(p + n + 2, "r=");
		t = parameter(p + n + 2, "t=");
		if (r < 0 || t < 0 || t > 86400)
			return -1;
		*remaining = r;
		*reset_s = t;
		return 0;
	}
	return -1;
}

static uint32_t chance(uint32_t below)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) < 0)
		v = (uint32_t)net_now_ms();	/* jitter need not be secret */
	return below ? v % below : 0;
}

int64_t net_backoff_ms(int attempt, int64_t base_ms)
{
	int64_t ms = base_ms;

	for (int i = 1; i < attempt && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + chance((uint32_t)(ms / 2 + 1));
}

bool net_status_transient(long status)
{
	return status == 408 || status == 425 || status == 429 || status >= 500;
}

bool net_code_transient(CURLcode rc)
{
	switch (rc) {
	case CURLE_OK:
	case CURLE_ABORTED_BY_CALLBACK:
	case CURLE_WRITE_ERROR:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PEER_FAILED_VERIFICATION:
	case NET_PROXY_NOT_TRUSTED:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_OUT_OF_MEMORY:
		return false;
	default:
		return true;
	}
}

int64_t net_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool net_sleep(int64_t ms, const atomic_bool *stop)
{
	int64_t until = net_now_ms() + ms;

	for (int64_t left = ms; left > 0; left = until - net_now_ms()) {
		struct timespec ts = { 0, (left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS) * 1000000 };

		if (stop && atomic_load(stop))
			return false;
		nanosleep(&ts, NULL);
	}
	return !(stop && atomic_load(stop));
}
