/*
 * sign.h - statements about files, signed and checked. Pure: keys and texts in, texts out; no network, no certificates.
 *
 * A statement is an in-toto Statement v1 (github.com/in-toto/attestation) in a DSSE envelope (github.com/secure-systems-lab/dsse), carried in a
 * Sigstore bundle v0.3 with a public key's hint: what OpenSSF Model Signing v1.0 writes and reads. The bytes signed are
 * "DSSEv1 <len of type> <type> <len of payload> <payload>". Keys are ECDSA on P-256 with SHA-256, P-384 with SHA-384 or P-521 with SHA-512;
 * new ones are P-256. The hint is the hex SHA-256 of the public key's PEM text.
 */
#ifndef VERIFY_SIGN_H
#define VERIFY_SIGN_H

#include <jansson.h>

#include "base/buf.h"
#include "verify/digest.h"

#define SIGN_PEM_MAX	4096	/* bytes of one key */
#define SIGN_BUNDLE_MAX ((size_t)256 << 20)
#define SIGN_FILES_MAX	200000
#define SIGN_TYPE_OMS	"https://model_signing/signature/v1.0"
#define SIGN_TYPE_SLSA	"https://slsa.dev/provenance/v1"

/* A private or public key. Zeroed is "none". */
struct sign_key {
	void *pkey;
	char pem[SIGN_PEM_MAX];		/* of its public half */
	char hint[DIGEST_HEX_MAX];
};

int sign_key_generate(struct sign_key *k, struct err *e);
/* PEM text of a private key (PKCS #8 or SEC 1, not encrypted) or of a public one. ERR_INPUT: what it is instead; ERR_UNSUPPORTED: not of these curves. */
int sign_key_read_private(struct sign_key *k, const char *pem, size_t n, struct err *e);
int sign_key_read_public(struct sign_key *k, const char *pem, size_t n, struct err *e);
/* The private key as PKCS #8 PEM into b. */
int sign_key_write_private(const struct sign_key *k, struct buf *b, struct err *e);
void sign_key_done(struct sign_key *k);
static inline void own_sign_key(struct sign_key *k)
{
	sign_key_done(k);
}

/* One file of a statement. */
struct sign_file {
	const char *path;
	struct digest sha256;
};

/* Does Model Signing leave this path out of a statement? .git, .gitattributes, .github, .gitignore at the top. */
bool sign_is_ignored(const char *path);
/*
 * The statement of Model Signing about these files, which are sorted by path in bytes; ignored ones are left out. ERR_INPUT without any.
 * NULL with e set.
 */
json_t *sign_oms_statement(const char *name, const struct sign_file *files, size_t n, struct err *e);

/* Signs a statement with a private key; the bundle's JSON text into b. */
int sign_bundle(const json_t *statement, const struct sign_key *k, struct buf *b, struct err *e);

/* A bundle taken apart, its statement not yet believed. */
struct sign_opened {
	char hint[DIGEST_HEX_MAX];	/* "" when it gives none */
	char *payload;			/* the statement's bytes as they were signed */
	size_t payload_len;
	unsigned char *signature;
	size_t signature_len;
};
/* ERR_INPUT: what is wrong with it. */
int sign_open(struct sign_opened *o, const char *text, size_t n, struct err *e);
void sign_opened_done(struct sign_opened *o);
static inline void own_sign_opened(struct sign_opened *o)
{
	sign_opened_done(o);
}

/* ERR_MISMATCH unless k signed it. Then *statement is the parsed payload (the caller's reference), an in-toto Statement v1. */
int sign_check(const struct sign_opened *o, const struct sign_key *k, json_t **statement, struct err *e);
/*
 * The files that a Model Signing statement names, checked for what reference verifiers let through: duplicate or unsafe names, paths hidden
 * by ignore_paths, a root digest that is not theirs. *files is the caller's to free(); the paths live in the statement.
 */
int sign_oms_files(const json_t *statement, struct sign_file **files, size_t *n, struct err *e);

#endif
