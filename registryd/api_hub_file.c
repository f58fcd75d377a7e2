/* api_hub_file.c - resolve and raw: one file of a published revision, whole or in part. */
#include "base/str.h"
#include "registryd/api_hub.h"
#include "registryd/file_answer.h"
#include "verify/git_object.h"

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
	http_set(rq, "Content-Disposition", "inline; filename*=UTF-8''%s; filename=\"%s\";", escaped, plain);
	http_set(rq, "Access-Control-Expose-Headers", EXPOSED);
	http_set(rq, "Access-Control-Allow-Origin", "*");
	http_set(rq, "Content-Security-Policy", "default-src 'none'; sandbox");
	http_set(rq, "X-Content-Type-Options", "nosniff");
}

static int send_file(struct request *rq, const struct door *d, const struct model_file *f, struct err *e)
{
	char etag[DIGEST_HEX_MAX];

	api_hub_etag(etag, f);
	http_set(rq, "X-Linked-Etag", "\"%s\"", etag);
	http_set(rq, "X-Linked-Size", "%llu", (unsigned long long)f->size_bytes);
	set_common(rq, f);
	return file_answer(rq, d, f, etag, content_type(f), e);
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
		file_answer_lost(rq, f);
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
