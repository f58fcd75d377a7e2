/* digest.c - see digest.h. OpenSSL's EVP uses the CPU's SHA instructions; the algorithms are fetched once. */
#include "verify/digest.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "base/fdio.h"
#include "base/str.h"

#define READ_BYTES ((size_t)256 << 10)	/* stays in L2 between read and hash */

static const struct {
	const char *name, *openssl;
	size_t size;
} algos[] = {
	[DIGEST_NONE] = { "none", NULL, 0 },
	[DIGEST_SHA256] = { "sha256", "SHA256", 32 },
	[DIGEST_SHA1] = { "sha1", "SHA1", 20 },
};

static EVP_MD *fetched[ARRAY_LEN(algos)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
	for (size_t i = 1; i < ARRAY_LEN(algos); i++) {
		fetched[i] = EVP_MD_fetch(NULL, algos[i].openssl, NULL);
		if (!fetched[i])
			abort();	/* an OpenSSL without SHA-256 or SHA-1 can't run this program */
	}
}

size_t digest_size(enum digest_algo algo)
{
	return algos[algo].size;
}

const char *digest_name(enum digest_algo algo)
{
	return algos[algo].name;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->algo != DIGEST_NONE && a->algo == b->algo && !memcmp(a->bytes, b->bytes, algos[a->algo].size);
}

void digest_hex(char out[DIGEST_HEX_MAX], const struct digest *d)
{
	str_hex(out, d->bytes, algos[d->algo].size);
}

int digest_parse(struct digest *out, enum digest_algo algo, const char *hex, struct err *e)
{
	struct digest d = { .algo = algo };

	if (!str_is_hex(hex, 2 * algos[algo].size))
		return err_set(e, ERR_INPUT, "'%.70s' is not a %s digest (%zu lower-case hex digits)", hex, algos[algo].name, 2 * algos[algo].size);
	str_unhex(d.bytes, algos[algo].size, hex);
	*out = d;
	return 0;
}

int digest_parse_any_case(struct digest *out, enum digest_algo algo, const char *hex, struct err *e)
{
	char lower[DIGEST_HEX_MAX + 1] = "";	/* one more: what is too long stays so */

	for (size_t i = 0; hex[i] && i < DIGEST_HEX_MAX; i++)
		lower[i] = (char)tolower((unsigned char)hex[i]);
	return digest_parse(out, algo, lower, e);
}

void digest_begin(struct digest_ctx *c, enum digest_algo algo)
{
	pthread_once(&once, fetch_all);
	if (!c->md)
		c->md = EVP_MD_CTX_new();
	if (!c->md || !EVP_DigestInit_ex2(c->md, fetched[algo], NULL))
		abort();
	c->algo = algo;
}

void digest_update(struct digest_ctx *c, const void *p, size_t n)
{
	if (!EVP_DigestUpdate(c->md, p, n))
		abort();
}

void digest_end(struct digest_ctx *c, struct digest *out)
{
	*out = (struct digest){ .algo = c->algo };
	if (!EVP_DigestFinal_ex(c->md, out->bytes, NULL))
		abort();
}

void digest_done(struct digest_ctx *c)
{
	EVP_MD_CTX_free(c->md);
	c->md = NULL;
}

void digest_of(struct digest *out, enum digest_algo algo, const void *p, size_t n)
{
	own(digest) struct digest_ctx c = { 0 };

	digest_begin(&c, algo);
	digest_update(&c, p, n);
	digest_end(&c, out);
}

int digest_of_fd(struct digest *out, enum digest_algo algo, int fd, uint64_t *size_bytes, const char *what, struct err *e)
{
	own(digest) struct digest_ctx c = { 0 };
	own(mem) void *chunk = malloc(READ_BYTES);
	uint64_t total = 0;
	ssize_t n;

	if (!chunk)
		abort();
	digest_begin(&c, algo);
	while ((n = fdio_read(fd, chunk, READ_BYTES, what, e)) > 0) {
		digest_update(&c, chunk, (size_t)n);
		total += (uint64_t)n;
	}
	if (n < 0)
		return (int)n;
	digest_end(&c, out);
	if (size_bytes)
		*size_bytes = total;
	return 0;
}
