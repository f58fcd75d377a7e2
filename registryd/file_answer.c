/* file_answer.c - see file_answer.h. */
#include "registryd/file_answer.h"

#include "catalog/usage.h"
#include "registryd/loss.h"
#include "registryd/range.h"

#define LOST_RETRY_S 10	/* clients that heed it try some five times */

/* Is `etag` (without quotes) in a list such as `W/"a", "b"`? */
static bool etag_listed(const char *list, const char *etag)
{
	size_t n = strlen(etag);

	if (!strcmp(list, "*"))
		return true;
	for (const char *at = strstr(list, etag); at; at = strstr(at + 1, etag))
		if ((at == list || at[-1] == '"') && (at[n] == '"' || !at[n]))
			return true;
	return false;
}

/* Only a GET has parts (RFC 9110, 14.2). If-Range: the part is wanted only if the file is still the one that the client has the beginning of. A date never is proof enough. */
static const char *range_header(struct request *rq, const char *etag)
{
	const char *if_range = http_header(rq, "If-Range"), *range = http_header(rq, "Range");
	size_t n = strlen(etag);

	if (http_is_head(rq) || (if_range && !(if_range[0] == '"' && !strncmp(if_range + 1, etag, n) && !strcmp(if_range + 1 + n, "\""))))
		return NULL;
	return range;
}

static void count_pull(struct request *rq, const struct door *d, const struct range *part)
{
	struct daemon *app = rq->app;
	char peer[HTTP_WHO_MAX];

	if (http_is_head(rq))
		return;
	if (rq->role < 0)
		http_peer(rq, peer);
	usage_count(app->db, d->m.id, d->r.id, rq->role < 0 ? peer : rq->who, part->length, rq->now);
}

/* Published with this file, and the store has lost it: not a "not found", which clients keep for ever. */
int file_answer_lost(struct request *rq, const struct model_file *f)
{
	http_set(rq, "Retry-After", "%d", LOST_RETRY_S);
	return door_refuse(rq, 503, NULL, "%s is part of this revision, but its bytes are lost from this registry's store at the moment; its operator can see it in registryctl show",
			   f->path);
}

static int send_bytes(struct request *rq, const struct door *d, const struct model_file *f, int status, const char *type, const struct range *part, struct err *e)
{
	struct daemon *app = rq->app;
	uint64_t size;
	int fd;

	if (http_is_head(rq))
		return http_answer_head(rq, status, type, part->length);
	fd = store_open_blob(app->store, &f->sha256, &size, e);
	if (fd >= 0 && size != f->size_bytes) {
		close(fd);
		fd = err_set(e, ERR_MISMATCH, "the stored file has %llu bytes", (unsigned long long)size);
	}
	if (fd == ERR_NOT_FOUND || fd == ERR_MISMATCH) {
		int rc = loss_look(app, &f->sha256, f->size_bytes, e);

		return rc ? rc : file_answer_lost(rq, f);
	}
	if (fd < 0)
		return fd;
	count_pull(rq, d, part);
	return http_answer_fd(rq, status, type, fd, part->offset, part->length);
}

int file_answer(struct request *rq, const struct door *d, const struct model_file *f, const char *etag, const char *type, struct err *e)
{
	const char *if_none_match = http_header(rq, "If-None-Match"), *range;
	struct range part;

	http_set(rq, "ETag", "\"%s\"", etag);
	http_set(rq, "Accept-Ranges", "bytes");
	if (if_none_match && etag_listed(if_none_match, etag))
		return http_answer_head(rq, 304, NULL, f->size_bytes);	/* the length that 200 would have (RFC 9110, 8.6) */
	range = range_header(rq, etag);
	switch (range_parse(range, f->size_bytes, &part)) {
	case RANGE_WHOLE:
		if (range && !f->size_bytes)	/* what the Hub's JavaScript client and the hf-hub crate can read for an empty file */
			http_set(rq, "Content-Range", "bytes */0");
		return send_bytes(rq, d, f, 200, type, &part, e);
	case RANGE_PART:
		http_set(rq, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)part.offset, (unsigned long long)(part.offset + part.length - 1),
			 (unsigned long long)f->size_bytes);
		return send_bytes(rq, d, f, 206, type, &part, e);
	case RANGE_UNSATISFIABLE:
		break;
	}
	http_set(rq, "Content-Range", "bytes */%llu", (unsigned long long)f->size_bytes);
	return door_refuse(rq, 416, NULL, "the file has %llu bytes", (unsigned long long)f->size_bytes);
}
