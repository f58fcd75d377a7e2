/* test_webhook.c - the end waits for no answer, and not for a name server that is silent either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <netdb.h>

#include "base/err.h"
#include "catalog/event.h"
#include "registryd/webhook.h"

#define SILENT_S 8
#define WAIT_MS	 5000

static atomic_bool asked;

/* libcurl's thread comes here too. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)out;
	atomic_store(&asked, true);
	sleep(SILENT_S);
	return EAI_AGAIN;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void a_name_server_that_is_silent(void **state)
{
	static const char settings[] = "data: /nowhere\nwebhooks: [{url: \"http://slow.example/\"}]\n";
	char dir[] = "/tmp/registryd-webhook-XXXXXX", path[64], cmd[64];
	struct config *c = NULL;
	struct webhook *w;
	struct daemon d = { .db = NULL };
	struct err e = ERR_NONE;
	int64_t begun;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/catalog.sqlite", dir);
	assert_int_equal(db_open(&d.db, path, 0, &e), 0);
	assert_int_equal(config_parse(&c, settings, sizeof(settings) - 1, "test.yaml", NULL, &e), 0);
	atomic_store(&d.config, c);
	assert_int_equal(webhook_start(&w, &d, &e), 0);
	assert_int_equal(event_add(d.db, "job.failed", "org/m", NULL, NULL, 1000, &e), 0);	/* at once: the address began with the start */
	for (begun = now_ms(); !atomic_load(&asked) && now_ms() - begun < WAIT_MS;)
		usleep(10000);
	assert_true(atomic_load(&asked));
	begun = now_ms();
	webhook_stop(w);
	assert_in_range(now_ms() - begun, 0, SILENT_S * 1000 / 2);
	db_close(d.db);
	config_free(c);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_name_server_that_is_silent) };

	return cmocka_run_group_tests_name("webhook", tests, NULL, NULL);
}
