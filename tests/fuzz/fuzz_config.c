/* fuzz_config.c - registryd.yaml: what is accepted is shown as text that is accepted again and shown the same. */
#include <stdint.h>

#include "registryd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct config_override o = { "/data", NULL };
	own(config) struct config *c = NULL;
	own(config) struct config *again = NULL;
	own(mem) char *once = NULL;
	own(mem) char *twice = NULL;

	if (config_parse(&c, (const char *)data, n, "fuzz", &o, NULL))
		return 0;
	once = config_show(c);
	if (!once || config_parse(&again, once, strlen(once), "shown", NULL, NULL))
		abort();
	twice = config_show(again);
	if (strcmp(once, twice))
		abort();
	return 0;
}
