/* webhook.c - see webhook.h. */
#include "registryd/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/hook.h"
#include "registryd/net.h"

#define TIMEOUT_S     15L
#define LOOK_EVERY_MS 5000	/* retries fall due and settings change without an event */
#define SECRET_MAX    4096

struct webhook {
	struct daemon *d;
	pthread_t thread;
	atomic_bool stop;
	CURL *h;
};

void webhook_sign(char out[WEBHOOK_SIGNATURE_MAX], const char *secret, const char *body, size_t n)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, n, mac, &len) || len != 32)
		abort();
	str_hex(out, mac, 32);
}

/* The first line of the file, read anew each time: a secret may be changed without a restart. */
static int read_secret(const char *path, struct buf *secret, struct err *e)
{
	int rc = fdio_slurp(AT_FDCWD, path, secret, e);

	if (rc < 0)
		return err_wrap(e, "secret_file");
	secret->data[strcspn(secret->data, "\r\n")] = 0;
	return *secret->data ? 0 : err_set(e, ERR_USAGE, "secret_file %s is empty", path);
}

static size_t ignore_body(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
	char line[300];

	snprintf(line, sizeof(line), "%s: %s", name, value);
	list = curl_slist_append(list, line);
	if (!list)
		abort();
	return list;
}

static struct curl_slist *headers_of(const struct event *ev, int attempt, const char *secret, const char *body)
{
	char number[48], signature[7 + WEBHOOK_SIGNATURE_MAX] = "sha256=";
	struct curl_slist *list = add_header(NULL, "Content-Type", "application/json");

	snprintf(number, sizeof(number), "%lld-%d", (long long)ev->id, attempt);
	list = add_header(list, "X-Registryd-Event", ev->kind);
	list = add_header(list, "X-Registryd-Delivery", number);
	list = add_header(list, "Expect", "");
	if (secret) {
		webhook_sign(signature + 7, secret, body, strlen(body));
		list = add_header(list, "X-Registryd-Signature-256", signature);
	}
	return list;
}

/* ERR_UNREACHABLE and the like with words for the history; *status is the answer's. */
static int post(struct webhook *w, const char *url, const char *body, struct curl_slist *headers, long *status, struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";
	CURLcode rc;

	curl_easy_reset(w->h);
	curl_easy_setopt(w->h, CURLOPT_URL, url);
	curl_easy_setopt(w->h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(w->h, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(w->h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(w->h, CURLOPT_WRITEFUNCTION, ignore_body);
	curl_easy_setopt(w->h, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(w->h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->h, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(w->h, CURLOPT_USERAGENT, "registryd/" REGISTRYD_VERSION);
	rc = curl_easy_perform(w->h);
	*status = 0;
	if (rc != CURLE_OK)
		return err_set(e, ERR_UNREACHABLE, "%s", *why ? why : curl_easy_strerror(rc));
	curl_easy_getinfo(w->h, CURLINFO_RESPONSE_CODE, status);
	return *status >= 200 && *status < 300 ? 0 : err_set(e, ERR_FAILED, "the answer was %ld", *status);
}

static int deliver(struct webhook *w, const struct config_webhook *hook, const struct event *ev, int attempt, long *status, struct err *e)
{
	own(json) json_t *j = event_json(ev);
	own(mem) char *body = json_text(j);
	own(buf) struct buf secret;
	struct curl_slist *headers;
	int rc;

	buf_init(&secret, SECRET_MAX);
	*status = 0;
	if (hook->secret_file && (rc = read_secret(hook->secret_file, &secret, e)) < 0)
		return rc;
	headers = headers_of(ev, attempt, hook->secret_file ? secret.data : NULL, body);
	rc = post(w, hook->url, body, headers, status, e);
	curl_slist_free_all(headers);
	return rc;
}

/* One event for one address. False when there is nothing to do for it now. */
static bool serve_one(struct webhook *w, const struct config_webhook *hook)
{
	struct err e = ERR_NONE, why = ERR_NONE;
	own(arena) struct arena a;
	char quoted[LOG_QUOTE_MAX];
	struct event ev;
	long status;
	int attempt, rc;

	arena_init(&a);
	rc = hook_next(w->d->db, hook->url, hook->events.items, hook->events.n, (int64_t)time(NULL), &a, &ev, &attempt, NULL, &e);
	if (rc == 0) {
		rc = deliver(w, hook, &ev, attempt, &status, &why);
		if (rc < 0)
			log_event(LOG_WARNING, "webhook.failed", "event=%lld attempt=%d error=%s", (long long)ev.id, attempt, log_quote(quoted, why.msg));
		rc = hook_tried(w->d->db, hook->url, ev.id, attempt, (int)status, rc < 0 ? why.msg : NULL, (int64_t)time(NULL), &e);
	}
	if (rc < 0 && rc != ERR_NOT_FOUND)
		log_event(LOG_ERR, "webhook.not_recorded", "error=%s", log_quote(quoted, e.msg));
	return rc == 0;
}

static void *work(void *arg)
{
	struct webhook *w = arg;
	uint64_t seen = 0;

	while (!atomic_load(&w->stop)) {
		const struct config *c = daemon_config(w->d);
		bool busy = false;

		for (size_t i = 0; i < c->n_webhooks && !atomic_load(&w->stop); i++)
			busy |= serve_one(w, &c->webhooks[i]);
		if (!busy && c->n_webhooks)
			db_wait_change(w->d->db, &seen, LOOK_EVERY_MS);	/* a commit may be an event */
		else if (!busy)
			net_sleep(LOOK_EVERY_MS, &w->stop);
	}
	return NULL;
}

int webhook_start(struct webhook **out, struct daemon *d, struct err *e)
{
	struct webhook *w = mem_zalloc(sizeof(*w));

	w->d = d;
	w->h = curl_easy_init();
	if (!w->h)
		abort();
	if (pthread_create(&w->thread, NULL, work, w) != 0) {
		curl_easy_cleanup(w->h);
		free(w);
		return err_set(e, ERR_FAILED, "no thread could be started for webhooks");
	}
	*out = w;
	return 0;
}

void webhook_stop(struct webhook *w)
{
	if (!w)
		return;
	atomic_store(&w->stop, true);
	db_wake(w->d->db);
	pthread_join(w->thread, NULL);
	curl_easy_cleanup(w->h);
	free(w);
}
