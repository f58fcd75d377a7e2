/* test_config.c - registryd.yaml: the contract's example, what is refused and in which words, and that --print-config reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <syslog.h>

#include "base/fdio.h"
#include "registryd/config.h"

static const char example[] =
	"data: /var/lib/registryd\n"
	"listen: [127.0.0.1:8640]\n"
	"public_url: http://models.example.internal\n"
	"upstreams:\n"
	"  - {name: hub, endpoint: https://huggingface.co/, token_file: /etc/registryd/hub.token, rate_limit: 200MB/s, connections: 8}\n"
	"mirror:\n"
	"  - {repo: Qwen/Qwen2.5-0.5B-Instruct, revision: main, include: [\"*.safetensors\", \"*.json\"], every: 6h}\n"
	"  - {author: Qwen, name: all of Qwen, license: apache-2.0, max_size: 20GB, metadata: only}\n"
	"policy: /etc/registryd/policy.yaml\n"
	"smoke: {device: auto, timeout: 30m}\n"
	"auth: {anonymous: read}\n";

static struct config *parsed(const char *text)
{
	struct config *c = NULL;
	struct err e = ERR_NONE;

	if (config_parse(&c, text, strlen(text), "test.yaml", NULL, &e))
		fail_msg("%s", e.msg);
	return c;
}

static void the_contracts_example(void **state)
{
	own(config) struct config *c = parsed(example);

	(void)state;
	assert_string_equal(c->data, "/var/lib/registryd");
	assert_string_equal(c->listen.items[0], "127.0.0.1:8640");
	assert_int_equal(c->n_upstreams, 1);
	assert_string_equal(c->upstreams[0].endpoint, "https://huggingface.co");
	assert_int_equal(c->upstreams[0].rate_limit, 200000000);
	assert_int_equal(c->upstreams[0].backoff_ms, 500);
	assert_int_equal(c->n_mirror, 2);
	assert_int_equal(c->mirror[0].include.n, 2);
	assert_int_equal(c->mirror[0].every_s, 6 * 3600);
	assert_string_equal(c->mirror[0].name, "Qwen/Qwen2.5-0.5B-Instruct");
	assert_string_equal(c->mirror[1].name, "all of Qwen");
	assert_int_equal(c->mirror[1].max_size, 20000000000);
	assert_int_equal(c->mirror[1].metadata, CONFIG_METADATA_ONLY);
	assert_string_equal(c->mirror[1].revision, "main");
	assert_int_equal(c->smoke.timeout_s, 1800);
	assert_int_equal(c->auth.anonymous, CONFIG_ANONYMOUS_READ);
	assert_int_equal(config_log_level(c), LOG_INFO);
}

static void nothing_gives_the_default(void **state)
{
	own(config) struct config *c = NULL;
	struct config_override o = { "/tmp/data", "127.0.0.1:0" };
	struct err e = ERR_NONE;

	(void)state;
	assert_int_equal(config_load(&c, NULL, &o, &e), 0);
	assert_string_equal(c->data, "/tmp/data");
	assert_string_equal(c->listen.items[0], "127.0.0.1:0");
	assert_string_equal(config_find_upstream(c, NULL)->endpoint, "https://huggingface.co");
	assert_null(config_find_upstream(c, "other"));
}

static const struct {
	const char *text, *message;
} refused[] = {
	{ "lisen: [x]", "test.yaml: unknown setting \"lisen\"; did you mean \"listen\"?" },
	{ "smoke: {devise: cpu}", "test.yaml: smoke: unknown setting \"devise\"; did you mean \"device\"?" },
	{ "qqqqqqqq: 1", "test.yaml: unknown setting \"qqqqqqqq\"" },
	{ "smoke: {device: gpu}", "test.yaml: smoke.device: \"gpu\" is not auto, cpu, cuda or cuda:N" },
	{ "smoke: {timeout: 0s}", "test.yaml: smoke.timeout: 0s is out of bounds: between 1 and 604800" },
	{ "smoke: cpu", "test.yaml: smoke must have settings below it, as key: value" },
	{ "http: {threads: 65}", "test.yaml: http.threads: 65 is out of bounds: between 1 and 64" },
	{ "auth: {anonymous: write}", "test.yaml: auth.anonymous: \"write\" is not one of: read none" },
	{ "listen: []", "test.yaml: listen: between 1 and 8 entries are possible, not 0" },
	{ "data: [a, b]", "test.yaml: data: must be one value" },
	{ "public_url: models.example", "test.yaml: public_url: \"models.example\" is not an address that begins with http:// or https://" },
	{ "upstreams: []", "test.yaml: upstreams is empty: name at least one, such as {name: hub, endpoint: https://huggingface.co}" },
	{ "upstreams: [{name: a}]", "test.yaml: upstreams[1].endpoint is missing" },
	{ "upstreams: [{name: a, endpoint: http://x}, {name: a, endpoint: http://y}]", "test.yaml: upstreams: the name \"a\" is used twice" },
	{ "upstreams: [{name: a, endpoint: http://x, window: 25:00-01:00}]",
	  "test.yaml: upstreams[1].window: \"25:00-01:00\" is not a time of day such as 22:00-06:00" },
	{ "mirror: [{repo: a/b, author: c}]", "test.yaml: mirror[1]: give exactly one of repo, author and query" },
	{ "mirror: [{repo: a/b, upstream: z}]", "test.yaml: mirror[1].upstream: there is no upstream \"z\"" },
	{ "mirror: [{repo: a/b}, {repo: a/b}]", "test.yaml: mirror: \"a/b\" is there twice; give one of them a name" },
	{ "mirror: [{repo: a/b}, {repo: A/b}]", "test.yaml: mirror: \"A/b\" is there twice, also as \"a/b\"; give one of them a name" },
	{ "mirror: [{repo: https://huggingface.co/a/b}]",
	  "test.yaml: mirror[1].repo: 'https://huggingface.co/a/b' is not a repository name: ORG/NAME of letters, digits, '-', '_' and '.' is meant" },
	{ "mirror: [{repo: datasets/a/b}]", "test.yaml: mirror[1].repo: 'datasets/a/b' is not a repository name: ORG/NAME of letters, digits, '-', '_' and '.' is meant" },
	{ "mirror: [{repo: a/b@v1}]", "test.yaml: mirror[1].repo: \"a/b@v1\" names a revision: write repo: a/b, revision: v1" },
	{ "mirror: [{repo: a/b, names: [x]}]", "test.yaml: mirror[1].names: chooses among the models of an author or a query, and this entry is of one repo" },
	{ "mirror: [{repo: a/b, license: [mit]}]", "test.yaml: mirror[1].license: chooses among the models of an author or a query, and this entry is of one repo" },
	{ "mirror: [{author: a/b}]", "test.yaml: mirror[1].author: 'a/b' is not an author's name: ORG of letters, digits, '-', '_' and '.' is meant" },
	{ "mirror: [{author: a, license: [mitt]}]", "test.yaml: mirror[1].license: unknown licence \"mitt\"; did you mean \"mit\"?" },
	{ "mirror: [{query: a, license: [Apache 2.0]}]", "test.yaml: mirror[1].license: unknown licence \"Apache 2.0\"; did you mean \"apache-2.0\"?" },
	{ "upstreams: [{name: a, endpoint: 'https://u:pw@x/y'}]",
	  "test.yaml: upstreams[1].endpoint: \"https://...@x/y\" holds a user's name or password, and everybody is shown this address: leave them out, and name a file with a token in "
	  "token_file" },
	{ "public_url: 'http://u@x'", "test.yaml: public_url: \"http://...@x\" holds a user's name or password, and everybody is shown this address: leave them out" },
	{ "upstreams: [{name: a, endpoint: 'htps://u:pw@x'}]", "test.yaml: upstreams[1].endpoint: \"htps://...@x\" is not an address that begins with http:// or https://" },
	{ "upstreams: [{name: a, endpoint: http://x, proxy: 'http://u:pw@x:port'}]",
	  "test.yaml: upstreams[1].proxy: \"http://...@x:port\" is not HOST:PORT, or an address that begins with http://, https:// or socks5://" },
	{ "upstreams: [{name: a, endpoint: http://x, proxy: ftp://x}]",
	  "test.yaml: upstreams[1].proxy: \"ftp://x\" is not HOST:PORT, or an address that begins with http://, https:// or socks5://" },
	{ "webhooks: [{url: http://a/h}, {url: http://a/h, events: [x]}]", "test.yaml: webhooks: \"http://a/h\" is there twice; one entry may name all the events it wants" },
	{ "mirror: {repo: a/b}", "test.yaml: mirror must be a list of at most 1000 entries" },
	{ "- a", "test.yaml: settings are written as key: value" },
};

static void bad_files_say_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct config *c = NULL;
		struct err e = ERR_NONE;

		assert_int_equal(config_parse(&c, refused[i].text, strlen(refused[i].text), "test.yaml", NULL, &e), ERR_USAGE);
		assert_null(c);
		assert_string_equal(e.msg, refused[i].message);
	}
}

static void every_revision_is_an_entry(void **state)
{
	own(config) struct config *c = parsed("mirror: [{repo: a/b}, {repo: A/B, revision: v1}, {author: a, license: [MIT, other]}]\nupstreams: [{name: a, endpoint: http://x, proxy: 'u:p@h:3128'}]\n");

	(void)state;
	assert_int_equal(c->n_mirror, 3);
	assert_string_equal(c->mirror[0].name, "a/b");
	assert_string_equal(c->mirror[1].name, "A/B@v1");
}

static void shown_settings_read_back(void **state)
{
	static const char *const texts[] = { example, "", "upstreams: [{name: 'a: \"b', endpoint: http://x, window: 22:00-06:30, backoff: 250ms, rate_limit: 1.5MB/s}]\n"
		"webhooks: [{url: http://h/x, events: [revision.*]}]\nsync: {buffers: 5000001}\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		own(config) struct config *c = parsed(texts[i]);
		own(mem) char *once = config_show(c);
		own(config) struct config *again = parsed(once);
		own(mem) char *twice = config_show(again);

		assert_string_equal(once, twice);
	}
}

static void manual_is_up_to_date(void **state)
{
	own(buf) struct buf b;
	own(mem) char *body = config_man();
	struct err e = ERR_NONE;

	(void)state;
	buf_init(&b, 1 << 20);
	if (fdio_slurp(AT_FDCWD, SOURCE_DIR "/etc/man/registryd.yaml.5", &b, &e))
		fail_msg("%s", e.msg);
	if (!strstr(b.data, body))
		fail_msg("etc/man/registryd.yaml.5 is not what the table of settings says; script/make-man writes it anew");
}

static void the_shipped_file_is_valid(void **state)
{
	own(config) struct config *c = NULL;
	struct err e = ERR_NONE;

	(void)state;
	if (config_load(&c, SOURCE_DIR "/etc/registryd.yaml", NULL, &e))
		fail_msg("%s", e.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_contracts_example), cmocka_unit_test(nothing_gives_the_default), cmocka_unit_test(bad_files_say_why),
		cmocka_unit_test(every_revision_is_an_entry),
		cmocka_unit_test(shown_settings_read_back), cmocka_unit_test(manual_is_up_to_date), cmocka_unit_test(the_shipped_file_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
