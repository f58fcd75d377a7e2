/* test_stream.c - one file in several lanes: whatever the order in which bytes come, lanes end, break off and begin, it is the file that is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/vec.h"
#include "registryd/net.h"
#include "registryd/stream.h"

#define MIB   (1u << 20)
#define LANES 5

struct scene {
	char dir[256];
	struct store *store;
	struct pool pool;
	CURLM *multi;
	unsigned char *data;
	size_t size;
	struct stream_want want;
	uint32_t random;
};

static uint32_t chance(struct scene *c, uint32_t below)
{
	c->random = c->random * 1664525 + 1013904223;
	return (c->random >> 8) % below;
}

static int up(void **state)
{
	struct scene *c = mem_zalloc(sizeof(*c));
	struct err e = ERR_NONE;

	net_init();
	snprintf(c->dir, sizeof(c->dir), "%s/registryd-stream-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");	/* where O_DIRECT may be had */
	assert_non_null(mkdtemp(c->dir));
	assert_int_equal(store_open(&c->store, c->dir, &e), 0);
	pool_init(&c->pool, 16 * MIB);
	c->multi = curl_multi_init();
	c->random = 7;
	*state = c;
	return 0;
}

static int down(void **state)
{
	struct scene *c = *state;
	char command[300];

	assert_int_equal(c->pool.receivers, 0);
	pool_done(&c->pool);
	curl_multi_cleanup(c->multi);
	store_close(c->store);
	snprintf(command, sizeof(command), "rm -rf '%s'", c->dir);
	assert_int_equal(system(command), 0);
	free(c->data);
	free(c);
	return 0;
}

static void make(struct scene *c, size_t size)
{
	free(c->data);
	c->size = size;
	c->data = mem_zalloc(size);
	for (size_t i = 0; i < size; i += 3)
		c->data[i] = (unsigned char)chance(c, 256);
	c->want = (struct stream_want){ .path = "f", .size_bytes = size };
	digest_of(&c->want.sha256, DIGEST_SHA256, c->data, size);
}

static struct stream *begin(struct scene *c)
{
	struct err e = ERR_NONE;
	struct stream *s = NULL;

	if (stream_open(&s, c->store, &c->pool, &c->want, c->multi, &e))
		fail_msg("%s", e.msg);
	return s;
}

/* Up to n bytes for the lane; how many it took. */
static size_t push(struct scene *c, struct stream *s, struct stream_lane *l, size_t n)
{
	if (n > l->end - l->at)
		n = (size_t)(l->end - l->at);
	for (int tries = 0; tries < 20000; tries++) {
		uint64_t at = l->at;

		switch (stream_push(s, l, c->data + at, n)) {
		case STREAM_TOOK:
			assert_int_equal(l->at, at + n);
			return n;
		case STREAM_FULL:
			net_sleep(1, NULL);
			break;
		case STREAM_BROKEN:
			fail_msg("the stream broke");
		}
	}
	fail_msg("no room came");
	return 0;
}

static int finish(struct stream *s, struct err *e)
{
	struct digest sha256;
	int rc = 0;

	stream_finish(s);
	while (!stream_ended(s, &sha256, &rc, e))
		net_sleep(1, NULL);
	return rc;
}

static bool any_open(const struct stream_lane *lanes)
{
	for (int i = 0; i < LANES; i++)
		if (lanes[i].open)
			return true;
	return false;
}

/* Random lanes receive random pieces until `stop_at` bytes have come, or all. */
static void receive(struct scene *c, struct stream *s, struct stream_lane *lanes, uint64_t stop_at)
{
	uint64_t came = 0;

	while (came < stop_at && (stream_unclaimed(s) || any_open(lanes))) {
		struct stream_lane *l = &lanes[chance(c, LANES)];

		if (!l->open || l->at == l->end) {
			if (stream_claim(s, l, (chance(c, 40) + 1) * 64 * 1024) == STREAM_ALL_TAKEN && l->open)
				stream_release(s, l);
			continue;
		}
		came += push(c, s, l, chance(c, STREAM_PUSH_MAX) + 1);
		if (!chance(c, 30))
			stream_cut(s, l, (l->at + (l->end - l->at) / 2) / PARTIAL_ALIGN * PARTIAL_ALIGN);
		if (!chance(c, 40))
			came -= stream_release(s, l);
	}
}

static void test_random_lanes(void **state)
{
	struct scene *c = *state;

	for (int round = 0; round < 6; round++) {
		struct stream_lane lanes[LANES] = { { 0 } };
		struct err e = ERR_NONE;
		struct stream *s;

		make(c, 9 * MIB + chance(c, MIB));
		s = begin(c);
		receive(c, s, lanes, UINT64_MAX);
		if (finish(s, &e))
			fail_msg("%s", e.msg);
		stream_close(s);
		assert_int_equal(store_rehash(c->store, &c->want.sha256, NULL, &e), 0);
	}
}

/* Left in the middle again and again, with holes: what was noted is not asked for again, and the end is right. */
static void test_goes_on_with_holes(void **state)
{
	struct scene *c = *state;
	struct err e = ERR_NONE;
	uint64_t had = 0;
	bool holes = false;

	make(c, 30 * MIB + 123);
	for (int round = 0; round < 5; round++) {
		struct stream_lane lanes[LANES] = { { 0 } };
		struct stream *s = begin(c);

		assert_true(stream_resumed(s) >= had);
		assert_true(round == 0 || stream_resumed(s) > had);
		had = stream_resumed(s);
		receive(c, s, lanes, 4 * MIB);
		for (int i = 0; i < LANES; i++) {
			holes |= lanes[i].open && lanes[i].at < lanes[i].end;
			stream_release(s, &lanes[i]);
		}
		stream_close(s);
	}
	assert_true(holes);
	struct stream_lane lanes[LANES] = { { 0 } };
	struct stream *s = begin(c);

	receive(c, s, lanes, UINT64_MAX);
	if (finish(s, &e))
		fail_msg("%s", e.msg);
	stream_close(s);
	assert_int_equal(store_rehash(c->store, &c->want.sha256, NULL, &e), 0);
}

static void test_wrong_byte(void **state)
{
	struct scene *c = *state;
	struct stream_lane lanes[LANES] = { { 0 } };
	struct err e = ERR_NONE;
	struct stream *s;

	make(c, 5 * MIB);
	c->data[4 * MIB + 17] ^= 1;
	s = begin(c);
	receive(c, s, lanes, UINT64_MAX);
	assert_int_equal(finish(s, &e), ERR_MISMATCH);
	stream_close(s);
	s = begin(c);
	assert_int_equal(stream_resumed(s), 0);		/* nothing of it is believed */
	stream_close(s);
}

/* Lanes stop where too few buffers would be left to go round; one that is open always gets on. */
static void test_buffers_go_round(void **state)
{
	struct scene *c = *state;
	struct stream_lane lanes[16] = { { 0 } };
	struct stream *s;
	size_t n = 0;

	make(c, 40 * MIB);
	s = begin(c);
	while (n < 16 && stream_claim(s, &lanes[n], MIB) == STREAM_CLAIMED)
		n++;
	assert_int_equal(n, 8);		/* half of the pool's 16 */
	for (uint64_t done = 0; done < MIB; done += 100000)
		for (size_t i = 0; i < n; i++)
			push(c, s, &lanes[i], 100000);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(lanes[i].at, lanes[i].end);
		stream_release(s, &lanes[i]);
	}
	stream_close(s);
	s = begin(c);
	assert_int_equal(stream_resumed(s), 8 * MIB);
	stream_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_lanes, up, down),
		cmocka_unit_test_setup_teardown(test_goes_on_with_holes, up, down),
		cmocka_unit_test_setup_teardown(test_wrong_byte, up, down),
		cmocka_unit_test_setup_teardown(test_buffers_go_round, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
