/* client.c - see client.h. */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "base/str.h"
#include "base/vec.h"

#define ERROR_BODY_MAX 65536	/* bytes kept of an answer that says no */

/* One exchange: what is sent, what comes back, and the first thing that went wrong in a callback. */
struct exchange {
	struct client *client;
	struct buf answer;
	int (*sink)(void *arg, const char *p, size_t n, struct err *e);
	void *sink_arg;
	int fd;	/* -1: no file is sent */
	uint64_t left_bytes, sent_bytes;
	struct digest_ctx digest;
	void (*moved)(void *arg, uint64_t bytes);
	void *moved_arg;
	struct err failure;
};

bool client_is_local(const char *url)
{
	static const char *const hosts[] = { "127.", "localhost", "[::1]" };
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	if (memchr(host, '@', strcspn(host, "/")))
		return false;	/* http://localhost:x@elsewhere */
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		size_t n = strlen(hosts[i]);

		if (strncmp(host, hosts[i], n))
			continue;
		if (i == 0)
			return host[strspn(host, "0123456789.")] == ':' || !host[strspn(host, "0123456789.")] ||
			       host[strspn(host, "0123456789.")] == '/';
		if (!host[n] || host[n] == ':' || host[n] == '/')
			return true;
	}
	return false;
}

static int check_token(const char *token, const char *what, struct err *e)
{
	if (!*token)
		return err_set(e, ERR_USAGE, "%s holds no token", what);
	for (const char *p = token; *p; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, ERR_USAGE, "%s does not hold a token: there is a blank or control character in it", what);
	return 0;
}

static int read_token(char **token, const char *path, struct err *e)
{
	own(buf) struct buf b;
	int rc;

	buf_init(&b, CLIENT_TOKEN_MAX);
	rc = fdio_slurp(AT_FDCWD, path, &b, e);
	if (rc < 0)
		return rc;
	b.data[strcspn(b.data, "\r\n")] = 0;
	rc = check_token(b.data, path, e);
	if (rc < 0)
		return rc;
	*token = mem_strdup(b.data);
	return 0;
}

static int find_token(char **token, const char *url, const struct client_token_sources *from, struct err *e)
{
	char path[4096];
	int rc;

	if (from->file)
		return read_token(token, from->file, e) < 0 ? err_wrap(e, "--token-file") : 0;
	if (from->value && *from->value) {
		rc = check_token(from->value, "$REGISTRYD_TOKEN", e);
		if (rc == 0)
			*token = mem_strdup(from->value);
		return rc;
	}
	if (from->data) {
		snprintf(path, sizeof(path), "%s/admin.token", from->data);
		return read_token(token, path, e) < 0 ? err_wrap(e, "--data") : 0;
	}
	if (from->default_data && client_is_local(url)) {
		snprintf(path, sizeof(path), "%s/admin.token", from->default_data);
		if (read_token(token, path, NULL) < 0)
			*token = NULL;	/* reading needs none; the daemon says when one is missing */
	}
	return 0;
}

int client_open(struct client *c, const char *url, const struct client_token_sources *from, struct err *e)
{
	size_t n;
	int rc;

	*c = (struct client){ 0 };
	if (!str_starts(url, "http://") && !str_starts(url, "https://"))
		return err_set(e, ERR_USAGE, "the daemon's URL must begin with http:// or https://, and '%.200s' does not", url);
	rc = find_token(&c->token, url, from, e);
	if (rc < 0)
		return rc;
	c->url = mem_strdup(url);
	for (n = strlen(c->url); n > 0 && c->url[n - 1] == '/'; n--)
		c->url[n - 1] = 0;
	c->curl = curl_easy_init();
	if (!c->curl)
		return err_set(e, ERR_FAILED, "libcurl can't be started");
	return 0;
}

void client_close(struct client *c)
{
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->url);
	free(c->token);
	*c = (struct client){ 0 };
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	long status = 0;

	n *= size;
	curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (x->sink && status < 300)
		return x->sink(x->sink_arg, p, n, &x->failure) < 0 ? CURL_WRITEFUNC_ERROR : n;
	if (buf_add(&x->answer, p, n) < 0) {
		err_set(&x->failure, ERR_LIMIT, "the answer is larger than %zu bytes", x->answer.max);
		return CURL_WRITEFUNC_ERROR;
	}
	return n;
}

static size_t on_send(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	ssize_t got;

	n *= size;
	if (n > x->left_bytes)
		n = (size_t)x->left_bytes;
	if (!n)
		return 0;
	got = fdio_read(x->fd, p, n, "the file", &x->failure);
	if (got < 0)
		return CURL_READFUNC_ABORT;
	if (got == 0) {
		err_set(&x->failure, ERR_FAILED, "it became shorter while it was read");
		return CURL_READFUNC_ABORT;
	}
	digest_update(&x->digest, p, (size_t)got);
	x->left_bytes -= (uint64_t)got;
	x->sent_bytes += (uint64_t)got;
	if (x->moved)
		x->moved(x->moved_arg, x->sent_bytes);
	return (size_t)got;
}

/* libcurl starts a request over on a new connection when an idle one turns out to be dead. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct exchange *x = arg;

	if (origin != SEEK_SET || offset != 0 || lseek(x->fd, -(off_t)x->sent_bytes, SEEK_CUR) < 0)
		return CURL_SEEKFUNC_FAIL;
	x->left_bytes += x->sent_bytes;
	x->sent_bytes = 0;
	digest_begin(&x->digest, DIGEST_SHA256);
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct exchange *x = arg;

	(void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
	return x->client->stop && *x->client->stop;
}

static void set_common(struct exchange *x, const char *method, const char *url, struct curl_slist *headers)
{
	CURL *curl = x->client->curl;

	curl_easy_reset(curl);	/* connections stay */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "registryctl/" REGISTRYD_VERSION);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)CLIENT_STALL_S);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (client_is_local(url))
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	if (x->fd < 0)
		return;
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->left_bytes);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(curl, CURLOPT_READDATA, x);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, x);
}

/* The daemon's own words when it sent them: {"error":{"code":…,"message":…}}. */
static int refusal(struct exchange *x, long status, struct err *e)
{
	own(json) json_t *j = json_parse_lax(x->answer.data, x->answer.len, "the answer", NULL);
	const json_t *error = json_object_get(j, "error");
	const char *message = json_get_str(error, "message");
	char text[ERR_MSG_MAX];
	int code;

	if (!message)
		return err_set(e, status == 401 || status == 403 ? ERR_REFUSED : ERR_FAILED,
			       "%s answered with HTTP status %ld and no reason: is that registryd, of this version?", x->client->url, status);
	snprintf(text, sizeof(text), "%s", message);
	str_printable(text);
	code = err_from_label(json_get_str(error, "code"));
	if (code == ERR_UNREACHABLE)
		code = ERR_FAILED;
	if (code == ERR_AUTH && !x->client->token)
		return err_set(e, ERR_AUTH, "%s (no token was sent: give --token-file, $REGISTRYD_TOKEN or --data DIR)", text);
	return err_set(e, code, "%s", text);
}

static int transfer_failed(struct exchange *x, CURLcode cc, const char *detail, struct err *e)
{
	if (x->client->stop && *x->client->stop)
		return err_set(e, ERR_CANCELED, "interrupted");
	if (x->failure.code) {
		if (e)
			*e = x->failure;
		return x->failure.code;
	}
	switch (cc) {
	case CURLE_URL_MALFORMAT:
		return err_set(e, ERR_USAGE, "'%s' is not a URL that can be used", x->client->url);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return err_set(e, ERR_UNREACHABLE, "the daemon at %s can't be reached: %s", x->client->url, detail);
	default:
		return err_set(e, ERR_UNREACHABLE, "the connection to the daemon at %s broke off: %s", x->client->url, detail);
	}
}

static int perform(struct exchange *x, const char *method, const char *path, struct curl_slist *headers, const char *text, size_t n, struct err *e)
{
	CURL *curl = x->client->curl;
	char detail[CURL_ERROR_SIZE] = "";
	own(buf) struct buf url;
	long status = 0;
	CURLcode cc;

	buf_init(&url, CLIENT_PATH_MAX + 4096);
	buf_printf(&url, "%s%s", x->client->url, path);
	if (buf_failed(&url))
		return err_set(e, ERR_USAGE, "the names in this call are longer than %d bytes together", CLIENT_PATH_MAX);
	set_common(x, method, url.data, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	if (!text && x->fd < 0 && strcmp(method, "GET") != 0)
		text = "";	/* so that a length of 0 is sent */
	if (text) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	}
	cc = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (cc == CURLE_OK && status < 300)
		return 0;
	/* A daemon that refuses an upload answers before it has read it all: its answer matters more than the broken pipe. */
	if (status >= 400 && x->answer.len && !(x->client->stop && *x->client->stop))
		return refusal(x, status, e);
	if (cc == CURLE_OK)
		return refusal(x, status, e);
	return transfer_failed(x, cc, detail[0] ? detail : curl_easy_strerror(cc), e);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
	char line[CLIENT_TOKEN_MAX + 64];
	struct curl_slist *longer;

	snprintf(line, sizeof(line), "%s%s", name, value);
	longer = curl_slist_append(list, line);
	if (!longer)
		abort();
	return longer;
}

static void own_slist(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

static int exchange(struct exchange *x, const char *method, const char *path, const char *type, const char *text, size_t n, json_t **answer,
		    struct err *e)
{
	own(slist) struct curl_slist *headers = add_header(NULL, "Accept: ", "application/json");
	own(buf) struct buf body;
	json_t *j;
	int rc;

	buf_init(&x->answer, x->sink ? ERROR_BODY_MAX : CLIENT_ANSWER_MAX);
	headers = add_header(headers, "Expect:", "");
	if (x->client->token)
		headers = add_header(headers, "Authorization: Bearer ", x->client->token);
	if (type)
		headers = add_header(headers, "Content-Type: ", type);
	rc = perform(x, method, path, headers, text, n, e);
	body = x->answer;	/* freed here, whatever happened */
	if (rc < 0 || !answer)
		return rc;
	j = json_parse(body.data, body.len, "the daemon's answer", e);
	if (!j)
		return ERR_FAILED;
	*answer = j;
	return 0;
}

int client_send_text(struct client *c, const char *method, const char *path, const char *type, const char *text, size_t n, json_t **answer,
		     struct err *e)
{
	struct exchange x = { .client = c, .fd = -1 };

	return exchange(&x, method, path, type, text, n, answer, e);
}

int client_call(struct client *c, const char *method, const char *path, const json_t *body, json_t **answer, struct err *e)
{
	own(mem) char *text = body ? json_text(body) : NULL;

	return client_send_text(c, method, path, text ? "application/json" : NULL, text, text ? strlen(text) : 0, answer, e);
}

int client_upload(struct client *c, const char *path, int fd, uint64_t size_bytes, void (*moved)(void *arg, uint64_t bytes), void *arg,
		  struct digest *sha256, json_t **answer, struct err *e)
{
	struct exchange x = { .client = c, .fd = fd, .left_bytes = size_bytes, .moved = moved, .moved_arg = arg };
	int rc;

	digest_begin(&x.digest, DIGEST_SHA256);
	rc = exchange(&x, "PUT", path, "application/octet-stream", NULL, 0, answer, e);
	digest_end(&x.digest, sha256);
	digest_done(&x.digest);
	return rc;
}

int client_stream(struct client *c, const char *path, int (*sink)(void *arg, const char *p, size_t n, struct err *e), void *arg, struct err *e)
{
	struct exchange x = { .client = c, .fd = -1, .sink = sink, .sink_arg = arg };

	return exchange(&x, "GET", path, NULL, NULL, 0, NULL, e);
}

void client_path_add(struct buf *b, const char *segment)
{
	own(mem) char *escaped = str_percent_encode(segment, "/@");

	buf_puts(b, escaped);
}

void client_segment_add(struct buf *b, const char *segment)
{
	own(mem) char *escaped = str_percent_encode(segment, "");

	buf_puts(b, escaped);
}

void client_query_add(struct buf *b, const char *key, const char *value)
{
	own(mem) char *escaped = NULL;

	if (!value)
		return;
	escaped = str_percent_encode(value, "/");
	buf_printf(b, "%c%s=%s", strchr(b->data, '?') ? '&' : '?', key, escaped);
}

void client_query_number(struct buf *b, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	client_query_add(b, key, text);
}
