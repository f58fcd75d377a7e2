/*
 * token.h - who may call. A token is "hf_" and 40 random letters and digits (238 bits), so that every Hub client sends it; it is kept as its
 * SHA-256, which is right for secrets of high entropy, and shown once.
 */
#ifndef CATALOG_TOKEN_H
#define CATALOG_TOKEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "catalog/db.h"

#define TOKEN_MAX      64	/* room for a token's text and its NUL */
#define TOKEN_NAME_MAX 64

enum token_role {	/* each may do what those before it may */
	TOKEN_READER = 1,
	TOKEN_PUBLISHER,
	TOKEN_ADMIN,
};
const char *token_role_name(enum token_role r);
int token_role_parse(enum token_role *out, const char *name, struct err *e);

struct token {
	int64_t id;
	const char *name;
	enum token_role role;
	int64_t created_at, expires_at, revoked_at, last_used_at;	/* 0: never */
};

/* text receives the token, the only time it is seen. A name in use is ERR_CONFLICT. expires_at 0: never. */
int token_create(struct db *db, const char *name, enum token_role role, int64_t expires_at, int64_t now, char text[TOKEN_MAX], struct err *e);
/* Who is this? ERR_AUTH when the token is unknown, expired or revoked (the message says which, without the token). */
int token_lookup(struct db *db, const char *text, int64_t now, struct arena *a, struct token *out, struct err *e);
/* The same without noting that it was used. */
int token_look(struct db *db, const char *text, int64_t now, struct arena *a, struct token *out, struct err *e);
/* Is there any token with this role that is neither revoked nor expired? */
int token_in_force(struct db *db, enum token_role role, int64_t now, bool *any, struct err *e);
int token_revoke(struct db *db, const char *name, int64_t now, struct err *e);
int token_list(struct db *db, struct arena *a, struct token **out, size_t *n, struct err *e);
json_t *token_json(const struct token *t);

#endif
