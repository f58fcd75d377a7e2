/* sign.c - see sign.h: keys, the signature, the envelope. The statements are in sign_oms.c. */
#include "verify/sign.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/json.h"
#include "base/vec.h"
#include "verify/base64.h"

#define PAYLOAD_TYPE "application/vnd.in-toto+json"
#define BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define SIGNATURE_MAX 256	/* bytes; ECDSA on P-521 takes 141 at most */

static void own_bio(BIO **b)
{
	BIO_free(*b);
}

static void own_md(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

/* The digest that goes with the key's curve, or NULL for any other key. */
static const EVP_MD *digest_for(EVP_PKEY *pkey)
{
	char group[64] = "";

	if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC || !EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL))
		return NULL;
	if (!strcmp(group, "prime256v1"))
		return EVP_sha256();
	if (!strcmp(group, "secp384r1"))
		return EVP_sha384();
	return !strcmp(group, "secp521r1") ? EVP_sha512() : NULL;
}

/* Takes pkey over: checks its curve, writes down the public PEM and the hint. */
static int adopt(struct sign_key *k, EVP_PKEY *pkey, struct err *e)
{
	own(bio) BIO *bio = BIO_new(BIO_s_mem());
	struct digest d;
	char *text;
	long n;

	*k = (struct sign_key){ .pkey = pkey };
	if (!digest_for(pkey)) {
		sign_key_done(k);
		return err_set(e, ERR_UNSUPPORTED, "the key is not an elliptic curve key on P-256, P-384 or P-521");
	}
	if (!bio || !PEM_write_bio_PUBKEY(bio, pkey) || (n = BIO_get_mem_data(bio, &text)) <= 0 || n >= SIGN_PEM_MAX) {
		sign_key_done(k);
		return err_set(e, ERR_FAILED, "the public key can't be written");
	}
	memcpy(k->pem, text, (size_t)n);
	k->pem[n] = 0;
	digest_of(&d, DIGEST_SHA256, k->pem, (size_t)n);
	digest_hex(k->hint, &d);
	return 0;
}

int sign_key_generate(struct sign_key *k, struct err *e)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");

	*k = (struct sign_key){ 0 };
	return pkey ? adopt(k, pkey, e) : err_set(e, ERR_FAILED, "no key could be made");
}

static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;	/* an encrypted key must fail, not ask on the terminal */
}

int sign_key_read_private(struct sign_key *k, const char *pem, size_t n, struct err *e)
{
	own(bio) BIO *bio = n <= SIGN_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	*k = (struct sign_key){ 0 };
	return pkey ? adopt(k, pkey, e) : err_set(e, ERR_INPUT, "not a private key in PEM form without a password");
}

int sign_key_read_public(struct sign_key *k, const char *pem, size_t n, struct err *e)
{
	own(bio) BIO *bio = n <= SIGN_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;

	*k = (struct sign_key){ 0 };
	return pkey ? adopt(k, pkey, e) : err_set(e, ERR_INPUT, "not a public key in PEM form");
}

int sign_key_write_private(const struct sign_key *k, struct buf *b, struct err *e)
{
	own(bio) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) || (n = BIO_get_mem_data(bio, &text)) <= 0)
		return err_set(e, ERR_FAILED, "the private key can't be written");
	return buf_add(b, text, (size_t)n) < 0 ? err_set(e, ERR_LIMIT, "the private key is too long") : 0;
}

void sign_key_done(struct sign_key *k)
{
	EVP_PKEY_free(k->pkey);
	*k = (struct sign_key){ 0 };
}

/* --- the envelope --- */

/* Feeds what is signed: PAE of the payload. */
static int feed(EVP_MD_CTX *c, int (*update)(EVP_MD_CTX *, const void *, size_t), const void *payload, size_t n)
{
	char head[96];
	int len = snprintf(head, sizeof(head), "DSSEv1 %zu " PAYLOAD_TYPE " %zu ", strlen(PAYLOAD_TYPE), n);

	return update(c, head, (size_t)len) && update(c, payload, n);
}

int sign_bundle(const json_t *statement, const struct sign_key *k, struct buf *b, struct err *e)
{
	own(mem) char *payload = json_text(statement);
	own(md) EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char signature[SIGNATURE_MAX];
	size_t n = sizeof(signature), len = strlen(payload);
	own(json) json_t *bundle = NULL;

	if (len > SIGN_BUNDLE_MAX / 2)
		return err_set(e, ERR_LIMIT, "the statement is larger than %zu bytes", SIGN_BUNDLE_MAX / 2);
	if (!c || EVP_DigestSignInit(c, NULL, digest_for(k->pkey), NULL, k->pkey) != 1 || !feed(c, EVP_DigestSignUpdate, payload, len) ||
	    EVP_DigestSignFinal(c, signature, &n) != 1)
		return err_set(e, ERR_FAILED, "the statement can't be signed with this key");
	bundle = json_pack("{s:s, s:{s:{s:s}}, s:{s:o, s:s, s:[{s:o}]}}", "mediaType", BUNDLE_TYPE, "verificationMaterial", "publicKey", "hint", k->hint,
			   "dsseEnvelope", "payload", base64_json(payload, len), "payloadType", PAYLOAD_TYPE, "signatures", "sig", base64_json(signature, n));
	return json_write(b, bundle) < 0 ? err_set(e, ERR_LIMIT, "the bundle does not fit") : 0;
}

int sign_open(struct sign_opened *o, const char *text, size_t n, struct err *e)
{
	own(json) json_t *j = NULL;
	const json_t *envelope, *signatures;
	const char *hint;

	*o = (struct sign_opened){ 0 };
	if (n > SIGN_BUNDLE_MAX)
		return err_set(e, ERR_LIMIT, "the bundle is larger than %zu bytes", SIGN_BUNDLE_MAX);
	j = json_parse(text, n, "the bundle", e);
	if (!j)
		return ERR_INPUT;
	if (strcmp(json_get_str_or(j, "mediaType", ""), BUNDLE_TYPE) != 0)
		return err_set(e, ERR_INPUT, "not a signature bundle: its mediaType is not " BUNDLE_TYPE);
	envelope = json_object_get(j, "dsseEnvelope");
	signatures = json_object_get(envelope, "signatures");
	if (strcmp(json_get_str_or(envelope, "payloadType", ""), PAYLOAD_TYPE) != 0 || json_array_size(signatures) != 1)
		return err_set(e, ERR_INPUT, "the bundle must hold one signature over " PAYLOAD_TYPE);
	hint = json_get_str(json_object_get(json_object_get(j, "verificationMaterial"), "publicKey"), "hint");
	snprintf(o->hint, sizeof(o->hint), "%s", hint ? hint : "");
	if (base64_decode(json_get_str(envelope, "payload"), (unsigned char **)&o->payload, &o->payload_len, SIGN_BUNDLE_MAX, "the bundle's payload", e) < 0 ||
	    base64_decode(json_get_str(json_array_get(signatures, 0), "sig"), &o->signature, &o->signature_len, SIGNATURE_MAX, "the bundle's signature", e) < 0) {
		sign_opened_done(o);
		return ERR_INPUT;
	}
	return 0;
}

void sign_opened_done(struct sign_opened *o)
{
	free(o->payload);
	free(o->signature);
	*o = (struct sign_opened){ 0 };
}

int sign_check(const struct sign_opened *o, const struct sign_key *k, json_t **statement, struct err *e)
{
	own(md) EVP_MD_CTX *c = EVP_MD_CTX_new();
	own(json) json_t *j = NULL;

	if (*o->hint && strcmp(o->hint, k->hint) != 0)
		return err_set(e, ERR_MISMATCH, "the bundle was signed with another key: %.16s…, and not %.16s…", o->hint, k->hint);
	if (!c || EVP_DigestVerifyInit(c, NULL, digest_for(k->pkey), NULL, k->pkey) != 1 || !feed(c, EVP_DigestVerifyUpdate, o->payload, o->payload_len))
		return err_set(e, ERR_FAILED, "the signature can't be checked with this key");
	if (EVP_DigestVerifyFinal(c, o->signature, o->signature_len) != 1)
		return err_set(e, ERR_MISMATCH, "the signature is not one of key %.16s…, or the statement was altered", k->hint);
	j = json_parse(o->payload, o->payload_len, "the signed statement", e);
	if (!j)
		return ERR_INPUT;
	if (strcmp(json_get_str_or(j, "_type", ""), STATEMENT_TYPE) != 0)
		return err_set(e, ERR_INPUT, "what was signed is not an in-toto Statement v1");
	*statement = take(j);
	return 0;
}
