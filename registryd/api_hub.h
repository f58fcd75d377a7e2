/*
 * api_hub.h - the Hub's read API over what is published here, so that unmodified clients work with HF_ENDPOINT. Files are answered
 * with 200 or 206 directly, never a redirect; there is no marker of the Hub's chunk store anywhere, so clients use plain HTTP.
 */
#ifndef REGISTRYD_API_HUB_H
#define REGISTRYD_API_HUB_H

#include "registryd/door.h"

#define API_HUB_PATHS_MAX 2000		/* of one paths-info */
#define API_HUB_ANSWER_MAX (256u << 20)	/* bytes of one JSON answer */
#define API_HUB_JSON	   "application/json; charset=utf-8"

extern const struct http_route api_hub_routes[];

/* Handlers, one file each kind. */
int api_hub_list(struct request *rq, struct err *e);
int api_hub_tags_by_type(struct request *rq, struct err *e);
int api_hub_info(struct request *rq, struct err *e);
int api_hub_tree(struct request *rq, struct err *e);
int api_hub_treesize(struct request *rq, struct err *e);
int api_hub_paths_info(struct request *rq, struct err *e);
int api_hub_resolve(struct request *rq, struct err *e);
int api_hub_raw(struct request *rq, struct err *e);

/* --- what they share -------------------------------------------------------------------------------------------------------------- */

/* Which fields an item of the listing or a model's info has. */
struct api_hub_fields {
	const char *const *expand;	/* names asked for by ?expand=, or NULL for the defaults below */
	size_t n_expand;
	bool info;			/* a model's own page: everything; else an item of a listing */
	bool full, config, card_data, blobs;
};
/* Reads expand (also expand[], repeated), full, config, cardData and blobs from the query. */
void api_hub_fields_read(struct request *rq, struct api_hub_fields *f);
/* The Hub's object for a model at a revision. */
int api_hub_put_model(struct spool *s, struct request *rq, const struct model *m, const struct revision *r, const struct api_hub_fields *f, struct err *e);

/* The header that leads to the rest of a listing: the same question from the cursor on. ERR_USAGE when that would be too long an address. */
int api_hub_set_next(struct request *rq, const char *cursor, struct err *e);

/* The hash that is a file's ETag: SHA-256 for LFS files, the git blob id for the others. */
void api_hub_etag(char out[DIGEST_HEX_MAX], const struct model_file *f);
/* Is the file one that the Hub would show as LFS? Also one of an import that no git knows. */
bool api_hub_is_lfs(const struct model_file *f);
/* The id in the tree: of the content, or of the LFS pointer. */
void api_hub_oid(char out[DIGEST_HEX_MAX], const struct model_file *f);
size_t api_hub_pointer_size(const struct model_file *f);
/* {"type":"file",…} as tree and paths-info have it. */
void api_hub_put_file(struct spool *s, const struct model_file *f, const struct revision *r, bool expand);

#endif
