/* hubs.c - see hubs.h. */
#include "registryd/hubs.h"

#include <fcntl.h>

#include "base/fdio.h"
#include "base/vec.h"

void hubs_init(struct hubs *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
}

void hubs_done(struct hubs *s)
{
	for (size_t i = 0; i < s->n; i++)
		hub_free(s->all[i]);
	free(s->all);
	pthread_mutex_destroy(&s->lock);
}

/* The first line of a token file. It is for whoever runs the daemon, not for whoever asked for the job. */
static int read_token(const char *path, struct buf *b, struct err *e)
{
	if (fdio_slurp(AT_FDCWD, path, b, e)) {
		e->code = ERR_FAILED;
		return err_wrap(e, "token_file");
	}
	b->len = strcspn(b->data, "\r\n");
	b->data[b->len] = 0;
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] <= ' ' || b->data[i] > '~')
			return err_set(e, ERR_FAILED, "token_file %s: its first line is not a token", path);
	return b->len ? 0 : err_set(e, ERR_FAILED, "token_file %s: there is no token in its first line", path);
}

static struct hub *make_hub(const struct config_upstream *u, struct err *e)
{
	struct hub_config c = {
		.name = u->name,
		.endpoint = u->endpoint,
		.proxy = u->proxy,
		.ca_file = u->ca_file,
		.connections = (int)u->connections,
		.rate_limit = u->rate_limit,
		.retries = u->retries ? (int)u->retries : -1,
		.backoff_ms = u->backoff_ms,
		.stall_s = (int)u->stall_s,
		.window_from = u->window.from,
		.window_to = u->window.to,
	};
	own(buf) struct buf token;

	buf_init(&token, HUB_TOKEN_MAX);
	if (u->token_file && read_token(u->token_file, &token, e)) {
		err_wrap(e, "upstream '%s'", u->name);
		return NULL;
	}
	c.token = u->token_file ? token.data : NULL;
	return hub_new(&c);
}

static void drop_locked(struct hubs *s, size_t i)
{
	memmove(s->all + i, s->all + i + 1, (s->n - i - 1) * sizeof(*s->all));
	s->n--;
}

static struct hub *named_locked(struct hubs *s, const char *name)
{
	for (size_t i = s->n; i--;)
		if (!strcmp(s->all[i]->config.name, name))
			return s->all[i];
	return NULL;
}

/* The one that is equal, or the new one, becomes the last of its name. A former one may work for hours yet: both together keep to the limits. */
static struct hub *make_current_locked(struct hubs *s, struct hub *made)
{
	const struct hub *former = named_locked(s, made->config.name);
	struct hub *h = made;

	if (former)
		hub_share(made, former);
	for (size_t i = 0; i < s->n; i++)
		if (hub_equal(s->all[i], made)) {
			h = s->all[i];
			drop_locked(s, i);
			break;
		}
	*vec_push(&s->all, &s->n, &s->cap) = h;
	return h;
}

/* One that nobody uses and that is not the last of its name; NULL: there is none. */
static struct hub *take_old_locked(struct hubs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct hub *h = s->all[i];

		for (size_t k = i + 1; !h->users && k < s->n; k++)
			if (!strcmp(h->config.name, s->all[k]->config.name)) {
				drop_locked(s, i);
				return h;
			}
	}
	return NULL;
}

/* Closing connections takes its time: not under the lock. */
static void free_old(struct hubs *s)
{
	struct hub *old;

	do {
		pthread_mutex_lock(&s->lock);
		old = take_old_locked(s);
		pthread_mutex_unlock(&s->lock);
		hub_free(old);
	} while (old);
}

static void follow(struct hub *h, const struct config *c)
{
	const struct config_upstream *u = config_find_upstream(c, h->config.name);

	if (!u)
		return;
	hub_set_window(h, u->window.from, u->window.to);
	hub_set_limits(h, (int)u->connections, u->rate_limit);
}

/* The settings are looked at again under the lock: hubs_follow() may have been here since they were. */
struct hub *hubs_take(struct hubs *s, struct daemon *d, const char *name, struct err *e)
{
	const struct config_upstream *u = config_find_upstream(daemon_config(d), name);
	struct hub *made, *h;

	if (!u) {
		err_set(e, ERR_USAGE, "there is no upstream '%s' in the settings", name ? name : "");
		return NULL;
	}
	made = make_hub(u, e);
	if (!made)
		return NULL;
	pthread_mutex_lock(&s->lock);
	h = make_current_locked(s, made);
	h->users++;
	follow(h, daemon_config(d));
	pthread_mutex_unlock(&s->lock);
	if (h != made)
		hub_free(made);
	free_old(s);
	return h;
}

void hubs_follow(struct hubs *s, const struct config *c)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++)
		follow(s->all[i], c);
	pthread_mutex_unlock(&s->lock);
}

void hubs_give(struct hubs *s, struct hub *h)
{
	pthread_mutex_lock(&s->lock);
	h->users--;
	pthread_mutex_unlock(&s->lock);
	free_old(s);
}
