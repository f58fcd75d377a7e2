/* api_hub_file.c - resolve and raw: one file of a published revision, whole or in part. */
#include "base/str.h"
#include "catalog/usage.h"
#include "registryd/api_hub.h"
#include "registryd/loss.h"
#include "registryd/range.h"
#include "verify/git_object.h"

#define LOST_RETRY_S 10	/* clients that heed it try some five times */

#define EXPOSED \
	"X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag"

bool api_hub_is_lfs(const struct model_file *f)
{
	return f->lfs || f->git_oid.algo == DIGEST_NONE;
}

void api_hub_etag(char out[DIGEST_HEX_MAX], const struct model_file *f)
{
	digest_hex(out, api_hub_is_lfs(f) ? &f->sha256 : &f->git_oid);
}

static struct git_pointer pointer_of(const struct model_file *f)
{
	return (struct git_pointer){ f->sha256, f->size_bytes };
}

void api_hub_oid(char out[DIGEST_HEX_MAX], const struct model_file *f)
{
	struct git_pointer p = pointer_of(f);
	struct digest id = f->git_oid;

	if (id.algo == DIGEST_NONE)
		git_pointer_id(&id, &p);
	digest_hex(out, &id);
}

size_t api_hub_pointer_size(const struct model_file *f)
{
	struct git_pointer p = pointer_of(f);
	char text[GIT_POINTER_MAX];

	return git_pointer_text(text, &p);
}

/* Nothing of a model is ever shown as a page of this server, whatever its bytes are. */
static const char *content_type(const struct model_file *f)
{
	static const char *const texts[] = { ".json", ".txt", ".md", ".yaml", ".yml", ".py", ".jinja", ".csv", ".toml", ".cfg", ".gitattributes", "LICENSE", "NOTICE" };

	for (size_t i = 0; !api_hub_is_lfs(f) && i < ARRAY_LEN(texts); i++)
		if (str_ends(f->path, texts[i]))
			return "text/plain; charset=utf-8";
	return "application/octet-stream";
}

static void set_common(struct request *rq, const struct model_file *f)
{
	const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path;
	own(mem) char *escaped = str_percent_encode(name, "");
	char *plain = arena_strdup(&rq->arena, name);

	for (char *p = plain; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '_';
	http_set(rq, "Accept-Ranges", "bytes");
	http_set(rq, "Content-Disposition", "inline; filename*=UTF-8''%s; filename=\"%s\";", escaped, plain);
	http_set(rq, "Access-Control-Expose-Headers", EXPOSED);
	http_set(rq, "Access-Control-Allow-Origin", "*");
	http_set(rq, "Content-Security-Policy", "default-src 'none'; sandbox");
	http_set(rq, "X-Content-Type-Options", "nosniff");
}

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
static int refuse_lost(struct request *rq, const struct model_file *f)
{
	http_set(rq, "Retry-After", "%d", LOST_RETRY_S);
	return door_refuse(rq, 503, NULL, "%s is part of this revision, but its bytes are lost from this registry's store at the moment; its operator can see it in registryctl show",
			   f->path);
}

static int send_bytes(struct request *rq, const struct door *d, const struct model_file *f, int status, const struct range *part, struct err *e)
{
	struct daemon *app = rq->app;
	uint64_t size;
	int fd;

	if (http_is_head(rq))
		return http_answer_head(rq, status, content_type(f), part->length);
	fd = store_open_blob(app->store, &f->sha256, &size, e);
	if (fd >= 0 && size != f->size_bytes) {
		close(fd);
		fd = err_set(e, ERR_MISMATCH, "the stored file has %llu bytes", (unsigned long long)size);
	}
	if (fd == ERR_NOT_FOUND || fd == ERR_MISMATCH) {
		int rc = loss_look(app, &f->sha256, f->size_bytes, e);

		return rc ? rc : refuse_lost(rq, f);
	}
	if (fd < 0)
		return fd;
	count_pull(rq, d, part);
	return http_answer_fd(rq, status, content_type(f), fd, part->offset, part->length);
}

static int send_file(struct request *rq, const struct door *d, const struct model_file *f, struct err *e)
{
	const char *if_none_match = http_header(rq, "If-None-Match"), *range;
	char etag[DIGEST_HEX_MAX];
	struct range part;

	api_hub_etag(etag, f);
	http_set(rq, "ETag", "\"%s\"", etag);
	http_set(rq, "X-Linked-Etag", "\"%s\"", etag);
	http_set(rq, "X-Linked-Size", "%llu", (unsigned long long)f->size_bytes);
	set_common(rq, f);
	if (if_none_match && etag_listed(if_none_match, etag))
		return http_answer_empty(rq, 304);
	range = range_header(rq, etag);
	switch (range_parse(range, f->size_bytes, &part)) {
	case RANGE_WHOLE:
		if (range && !f->size_bytes)	/* what the Hub's JavaScript client and the hf-hub crate can read for an empty file */
			http_set(rq, "Content-Range", "bytes */0");
		return send_bytes(rq, d, f, 200, &part, e);
	case RANGE_PART:
		http_set(rq, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)part.offset, (unsigned long long)(part.offset + part.length - 1),
			 (unsigned long long)f->size_bytes);
		return send_bytes(rq, d, f, 206, &part, e);
	case RANGE_UNSATISFIABLE:
		break;
	}
	http_set(rq, "Content-Range", "bytes */%llu", (unsigned long long)f->size_bytes);
	return door_refuse(rq, 416, NULL, "the file has %llu bytes", (unsigned long long)f->size_bytes);
}

/* False when the request has been answered. */
static bool find_file(struct request *rq, struct door *d, struct model_file *f)
{
	struct daemon *app = rq->app;
	struct err e = ERR_NONE;
	int rc;

	if (!door_enter(rq, DOOR_BYTES, d))
		return false;
	rc = model_file(app->db, d->r.id, http_param(rq, "path"), FILES_SERVED, &rq->arena, f, &e);
	if (rc == ERR_NOT_FOUND)
		door_refuse(rq, 404, "EntryNotFound", "Entry not found");
	else if (rc)
		http_answer_error(rq, &e);
	else if (!f->stored)
		refuse_lost(rq, f);
	return !rc && f->stored;
}

int api_hub_resolve(struct request *rq, struct err *e)
{
	struct model_file f;
	struct door d;

	return find_file(rq, &d, &f) ? send_file(rq, &d, &f, e) : 0;
}

/* As git has it: an LFS file is its pointer. */
int api_hub_raw(struct request *rq, struct err *e)
{
	char text[GIT_POINTER_MAX], oid[DIGEST_HEX_MAX];
	struct git_pointer p;
	struct model_file f;
	struct door d;

	if (!find_file(rq, &d, &f))
		return 0;
	if (!api_hub_is_lfs(&f))
		return send_file(rq, &d, &f, e);
	p = pointer_of(&f);
	api_hub_oid(oid, &f);
	http_set(rq, "ETag", "\"%s\"", oid);
	set_common(rq, &f);
	return http_answer_bytes(rq, 200, "text/plain; charset=utf-8", text, git_pointer_text(text, &p));
}
