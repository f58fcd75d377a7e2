/* test_hubs.c - how long upstreams are kept: as long as they are current, or somebody works with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "registryd/hubs.h"

static char token_path[] = "/tmp/registryd-token-XXXXXX";

static void write_token(const char *token)
{
	FILE *f = fopen(token_path, "w");

	assert_non_null(f);
	fprintf(f, "%s\n", token);
	assert_int_equal(fclose(f), 0);
}

static struct config_upstream upstreams[] = {
	{ .name = "hub", .endpoint = "https://h", .token_file = token_path, .connections = 8, .stall_s = 30 },
	{ .name = "site", .endpoint = "https://h", .token_file = token_path, .connections = 8, .stall_s = 30 },
};
static struct config settings = { .upstreams = upstreams, .n_upstreams = 2 };

static struct hub *take_hub(struct hubs *s, const char *name)
{
	struct daemon d = { .config = &settings };
	struct err e = ERR_NONE;
	struct hub *h = hubs_take(s, &d, name, &e);

	if (!h)
		fail_msg("%s", e.msg);
	return h;
}


static void the_current_one_stays(void **state)
{
	struct hubs s;
	struct hub *first, *other;

	(void)state;
	hubs_init(&s);
	write_token("hf_a");
	first = take_hub(&s, "hub");
	other = take_hub(&s, "site");
	assert_ptr_not_equal(first, other);
	hubs_give(&s, first);
	hubs_give(&s, other);
	assert_ptr_equal(take_hub(&s, "hub"), first);
	assert_ptr_equal(take_hub(&s, "site"), other);
	assert_ptr_equal(take_hub(&s, "hub"), first);
	assert_int_equal(first->users, 2);
	hubs_give(&s, first);
	hubs_give(&s, first);
	hubs_give(&s, other);
	assert_int_equal(s.n, 2);
	hubs_done(&s);
}

static void one_with_a_former_token_goes(void **state)
{
	struct hubs s;
	char token[32];

	(void)state;
	hubs_init(&s);
	for (int i = 0; i < 20; i++) {
		struct hub *h;

		snprintf(token, sizeof(token), "hf_%d", i);
		write_token(token);
		h = take_hub(&s, "hub");
		assert_string_equal(h->config.token, token);
		hub_put(h, hub_take(h));
		hubs_give(&s, h);
		assert_int_equal(s.n, 1);
	}
	hubs_done(&s);
}

static void one_that_is_in_use_stays_until_it_is_given_back(void **state)
{
	struct hubs s;
	struct hub *a, *b;

	(void)state;
	hubs_init(&s);
	write_token("hf_a");
	a = take_hub(&s, "hub");
	write_token("hf_b");
	b = take_hub(&s, "hub");
	assert_int_equal(s.n, 2);
	hubs_give(&s, b);
	assert_int_equal(s.n, 2);
	assert_string_equal(a->config.token, "hf_a");
	write_token("hf_a");
	assert_ptr_equal(take_hub(&s, "hub"), a);	/* current again, and the other one goes */
	assert_int_equal(s.n, 1);
	write_token("hf_c");
	b = take_hub(&s, "hub");
	hubs_give(&s, a);
	assert_int_equal(s.n, 2);
	hubs_give(&s, a);
	assert_int_equal(s.n, 1);
	assert_ptr_equal(s.all[0], b);
	hubs_give(&s, b);
	hubs_done(&s);
}

/* For who is at work as for who comes: the figures of the upstream stay what they are. */
static void a_window_follows_the_settings(void **state)
{
	struct config later = settings;
	struct config_upstream moved[] = { upstreams[0], upstreams[1] };
	struct hubs s;
	struct hub *h;

	(void)state;
	hubs_init(&s);
	write_token("hf_a");
	h = take_hub(&s, "hub");
	assert_int_equal(hub_window_wait(h, 12 * 3600), 0);
	moved[0].window = (struct config_window){ 22 * 60, 6 * 60 };
	later.upstreams = moved;
	hubs_follow(&s, &later);
	assert_int_equal(hub_window_wait(h, 12 * 3600), 10 * 3600);
	assert_ptr_equal(take_hub(&s, "hub"), h);
	assert_int_equal(hub_window_wait(h, 12 * 3600), 0);	/* the settings that it was asked for by now */
	hubs_give(&s, h);
	hubs_give(&s, h);
	hubs_done(&s);
}

/* For who is at work, by whatever token, and for who comes, together. */
static void limits_follow_the_settings(void **state)
{
	struct config later = settings;
	struct config_upstream lower[] = { upstreams[0], upstreams[1] };
	struct hub *a, *b;
	struct hubs s;

	(void)state;
	hubs_init(&s);
	write_token("hf_a");
	a = take_hub(&s, "hub");
	write_token("hf_b");
	b = take_hub(&s, "hub");
	assert_ptr_not_equal(a, b);
	assert_true(hub_enter(a) && hub_enter(a) && hub_enter(b));
	lower[0].connections = 2;
	lower[0].rate_limit = 1000000;
	later.upstreams = lower;
	hubs_follow(&s, &later);
	assert_true(hub_is_crowded(a));	/* one too many is under way */
	hub_leave(a);
	assert_false(hub_enter(b));
	hub_leave(b);
	assert_true(hub_enter(b));
	assert_false(hub_enter(a));
	hub_spend(a, 100000000);
	assert_true(hub_spend(b, 0) > 1000);
	hubs_give(&s, a);
	assert_true(hub_spend(b, 0) > 1000);
	hubs_give(&s, b);
	hubs_done(&s);
}

static int make_file(void **state)
{
	int fd = mkstemp(token_path);

	(void)state;
	net_init();
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(token_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_current_one_stays),
		cmocka_unit_test(one_with_a_former_token_goes),
		cmocka_unit_test(one_that_is_in_use_stays_until_it_is_given_back),
		cmocka_unit_test(a_window_follows_the_settings),
		cmocka_unit_test(limits_follow_the_settings),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
