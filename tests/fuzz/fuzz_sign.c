/* fuzz_sign.c - a signature bundle, and a statement that somebody trusted signed: what is believed has distinct, safe names and no hidden paths. */
#include "base/fdio.h"
#include "base/json.h"
#include "verify/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_statement(const char *text, size_t n)
{
	own(json) json_t *j = json_parse(text, n, "statement", NULL);
	own(mem) struct sign_file *files = NULL;
	size_t n_files = 0;

	if (!j || sign_oms_files(j, &files, &n_files, NULL) < 0)
		return;
	for (size_t i = 0; i < n_files; i++)
		if (fdio_check_relative(files[i].path, NULL) < 0 || (i && strcmp(files[i - 1].path, files[i].path) >= 0))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own(sign_opened) struct sign_opened o = { 0 };
	own(sign_key) struct sign_key k = { 0 };

	if (sign_open(&o, (const char *)data, size, NULL) == 0)
		read_statement(o.payload, o.payload_len);
	read_statement((const char *)data, size);
	sign_key_read_public(&k, (const char *)data, size, NULL);
	return 0;
}
