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

/* Who tells one address: a receiver that takes its time keeps nobody waiting but itself. */
struct teller {
	struct webhook *w;
	const char *url;	/* NULL: the place is free */
	pthread_t thread;
	atomic_bool gone;	/* the settings no longer name the address, and the thread has ended or is about to */
	CURL *h;
};

struct webhook {
	struct daemon *d;
	pthread_t thread;	/* starts the others, and the only one that touches which there are */
	atomic_bool stop;
	struct teller tellers[CONFIG_WEBHOOKS_MAX];
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

/* libcurl asks at least once a second. */
static int on_progress(void *stop, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load((atomic_bool *)stop);
}

/* ERR_UNREACHABLE and the like with words for the history, ERR_CANCELED where the daemon stops; *status is the answer's. */
static int post(struct teller *t, const char *url, const char *body, struct curl_slist *headers, long *status, struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";
	CURLcode rc;

	curl_easy_reset(t->h);
	curl_easy_setopt(t->h, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(t->h, CURLOPT_XFERINFODATA, &t->w->stop);
	curl_easy_setopt(t->h, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(t->h, CURLOPT_URL, url);
	curl_easy_setopt(t->h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->h, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(t->h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(t->h, CURLOPT_WRITEFUNCTION, ignore_body);
	curl_easy_setopt(t->h, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(t->h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->h, CURLOPT_QUICK_EXIT, 1L);	/* a name server that is silent is waited for by nobody but the thread that asks it */
	curl_easy_setopt(t->h, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(t->h, CURLOPT_USERAGENT, "registryd/" REGISTRYD_VERSION);
	rc = curl_easy_perform(t->h);
	*status = 0;
	if (rc == CURLE_ABORTED_BY_CALLBACK)
		return err_set(e, ERR_CANCELED, "the daemon stops");
	if (rc != CURLE_OK)
		return err_set(e, ERR_UNREACHABLE, "%s", *why ? why : curl_easy_strerror(rc));
	curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, status);
	return *status >= 200 && *status < 300 ? 0 : err_set(e, ERR_FAILED, "the answer was %ld", *status);
}

static int deliver(struct teller *t, const struct config_webhook *hook, const struct event *ev, int attempt, long *status, struct err *e)
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
	rc = post(t, hook->url, body, headers, status, e);
	curl_slist_free_all(headers);
	return rc;
}

/* One event. False when there is nothing to do for it now. One that is broken off because the daemon stops was no attempt: it is told anew after the start. */
static bool serve_one(struct teller *t, const struct config_webhook *hook)
{
	struct db *db = t->w->d->db;
	struct err e = ERR_NONE, why = ERR_NONE;
	own(arena) struct arena a;
	char quoted[LOG_QUOTE_MAX];
	struct event ev;
	long status;
	int attempt, rc;

	arena_init(&a);
	rc = hook_next(db, hook->url, hook->events.items, hook->events.n, (int64_t)time(NULL), &a, &ev, &attempt, NULL, &e);
	if (rc == 0) {
		rc = deliver(t, hook, &ev, attempt, &status, &why);
		if (rc == ERR_CANCELED)
			return false;
		if (rc < 0)
			log_event(LOG_WARNING, "webhook.failed", "event=%lld attempt=%d error=%s", (long long)ev.id, attempt, log_quote(quoted, why.msg));
		rc = hook_tried(db, hook->url, ev.id, attempt, (int)status, rc < 0 ? why.msg : NULL, (int64_t)time(NULL), &e);
	}
	if (rc < 0 && rc != ERR_NOT_FOUND)
		log_event(LOG_ERR, "webhook.not_recorded", "error=%s", log_quote(quoted, e.msg));
	return rc == 0;
}

/* As the settings have it now; NULL: they no longer name the address. */
static const struct config_webhook *find_hook(const struct webhook *w, const char *url)
{
	const struct config *c = daemon_config(w->d);

	for (size_t i = 0; i < c->n_webhooks; i++)
		if (!strcmp(c->webhooks[i].url, url))
			return &c->webhooks[i];
	return NULL;
}

static void *tell(void *arg)
{
	const struct config_webhook *hook;
	struct teller *t = arg;
	uint64_t seen = 0;

	while (!atomic_load(&t->w->stop) && (hook = find_hook(t->w, t->url)))
		if (!serve_one(t, hook))
			db_wait_change(t->w->d->db, &seen, LOOK_EVERY_MS);	/* a commit may be an event */
	atomic_store(&t->gone, true);
	return NULL;
}

/* ---- who tells -------------------------------------------------------------------------------------------------- */

static void end(struct teller *t)
{
	if (!t->url)
		return;
	pthread_join(t->thread, NULL);
	curl_easy_cleanup(t->h);
	t->url = NULL;
}

static int start(struct webhook *w, struct teller *t, const char *url, struct err *e)
{
	int rc = hook_begin(w->d->db, url, e);	/* where that could not be recorded when it was named */

	if (rc)
		return rc;
	t->w = w;
	t->h = curl_easy_init();
	if (!t->h)
		abort();
	atomic_store(&t->gone, false);
	t->url = url;
	if (pthread_create(&t->thread, NULL, tell, t) == 0)
		return 0;
	curl_easy_cleanup(t->h);
	t->url = NULL;
	return err_set(e, ERR_FAILED, "no thread could be started for a webhook");
}

static bool is_told(const struct webhook *w, const char *url)
{
	for (size_t i = 0; i < CONFIG_WEBHOOKS_MAX; i++)
		if (w->tellers[i].url && !strcmp(w->tellers[i].url, url))
			return true;
	return false;
}

/* NULL while one of the addresses that went is told its last event. */
static struct teller *free_place(struct webhook *w)
{
	for (size_t i = 0; i < CONFIG_WEBHOOKS_MAX; i++)
		if (!w->tellers[i].url)
			return &w->tellers[i];
	return NULL;
}

static void follow_settings(struct webhook *w)
{
	const struct config *c = daemon_config(w->d);
	char quoted[LOG_QUOTE_MAX];
	struct err e = ERR_NONE;
	struct teller *t;

	for (size_t i = 0; i < CONFIG_WEBHOOKS_MAX; i++)
		if (w->tellers[i].url && atomic_load(&w->tellers[i].gone))
			end(&w->tellers[i]);
	for (size_t i = 0; i < c->n_webhooks; i++)
		if (!is_told(w, c->webhooks[i].url) && (t = free_place(w)) && start(w, t, c->webhooks[i].url, &e) < 0)
			log_event(LOG_ERR, "webhook.not_started", "error=%s", log_quote(quoted, e.msg));
}

static void *work(void *arg)
{
	struct webhook *w = arg;
	uint64_t seen = 0;

	while (!atomic_load(&w->stop)) {
		follow_settings(w);
		db_wait_change(w->d->db, &seen, LOOK_EVERY_MS);
	}
	for (size_t i = 0; i < CONFIG_WEBHOOKS_MAX; i++)
		end(&w->tellers[i]);
	return NULL;
}

void webhook_begin(struct db *db, const struct config *c)
{
	const char *urls[CONFIG_WEBHOOKS_MAX];
	char quoted[LOG_QUOTE_MAX];
	struct err e = ERR_NONE;

	for (size_t i = 0; i < c->n_webhooks; i++) {
		urls[i] = c->webhooks[i].url;
		if (hook_begin(db, urls[i], &e) < 0)
			log_event(LOG_ERR, "webhook.not_recorded", "error=%s", log_quote(quoted, e.msg));
	}
	if (hook_forget_others(db, urls, c->n_webhooks, &e) < 0)
		log_event(LOG_ERR, "webhook.not_recorded", "error=%s", log_quote(quoted, e.msg));
}

int webhook_start(struct webhook **out, struct daemon *d, struct err *e)
{
	struct webhook *w = mem_zalloc(sizeof(*w));

	w->d = d;
	webhook_begin(d->db, daemon_config(d));
	if (pthread_create(&w->thread, NULL, work, w) != 0) {
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
	free(w);
}
