/* base64.c - see base64.h. */
#include "verify/base64.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/own.h"
#include "base/vec.h"

json_t *base64_json(const void *p, size_t n)
{
	size_t size = (n + 2) / 3 * 4;
	own(mem) char *text = mem_zalloc(size + 1);

	EVP_EncodeBlock((unsigned char *)text, p, (int)n);
	return json_stringn(text, size);
}

int base64_decode(const char *text, unsigned char **out, size_t *len, size_t max, const char *what, struct err *e)
{
	size_t n = text ? strlen(text) : 0, pad = 0;
	unsigned char *p;
	int got;

	if (!n || n % 4 || n / 4 * 3 > max)
		return err_set(e, ERR_INPUT, "%s is missing, too long or not base64", what);
	while (pad < 2 && text[n - 1 - pad] == '=')
		pad++;
	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != n - pad)
		return err_set(e, ERR_INPUT, "%s is not base64", what);
	p = mem_zalloc(n / 4 * 3 + 1);
	got = EVP_DecodeBlock(p, (const unsigned char *)text, (int)n);
	if (got < 0) {
		free(p);
		return err_set(e, ERR_INPUT, "%s is not base64", what);
	}
	*out = p;
	*len = (size_t)got - pad;	/* the decoder does not take the padding off */
	p[*len] = 0;
	return 0;
}
