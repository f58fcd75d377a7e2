/* smoke_place.c - where the child says it is; see smoke.h. Foreign input: a fixed form, bounded numbers, a printable name. */
#include "base/str.h"
#include "registryd/smoke.h"

#define NUMBER_MAX 100000000u
#define LINE_MAX   1024

static const struct {
	const char *word, *doing;
} stages[] = {
	[SMOKE_STAGE_NONE] = { "", "its start" },
	[SMOKE_STAGE_INSPECT] = { "inspect", "inspecting" },
	[SMOKE_STAGE_OPEN] = { "open", "testing: opening" },
	[SMOKE_STAGE_TEST] = { "test", "testing" },
	[SMOKE_STAGE_SCAN] = { "scan", "testing: scanning" },
	[SMOKE_STAGE_WRITE] = { "write", "testing: writing a text with" },
};

/* The next field, ended by a blank. */
static bool next_number(char **at, uint32_t *out)
{
	char *end = strchr(*at, ' ');
	uint64_t v;

	if (!end)
		return false;
	*end = 0;
	if (str_parse_u64(*at, &v, NULL) || v > NUMBER_MAX)
		return false;
	*out = (uint32_t)v;
	*at = end + 1;
	return true;
}

bool smoke_place_parse(struct smoke_place *p, const char *line, size_t n)
{
	struct smoke_place q = { 0 };
	char text[LINE_MAX], *at = text, *blank;

	if (n == 0 || n >= sizeof(text) || memchr(line, 0, n))
		return false;
	memcpy(text, line, n);
	text[n] = 0;
	blank = strchr(at, ' ');
	if (!blank)
		return false;
	*blank = 0;
	for (size_t i = SMOKE_STAGE_INSPECT; i < ARRAY_LEN(stages); i++)
		if (!strcmp(stages[i].word, at))
			q.stage = (enum smoke_stage)i;
	at = blank + 1;
	if (q.stage == SMOKE_STAGE_NONE || !next_number(&at, &q.done) || !next_number(&at, &q.total) || !next_number(&at, &q.which) || !next_number(&at, &q.of))
		return false;
	if (q.done > q.total || (q.of && q.which > q.of))
		return false;
	snprintf(q.file, sizeof(q.file), "%.*s", SMOKE_FILE_MAX, at);
	str_printable(q.file);
	*p = q;
	return true;
}

void smoke_place_text(const struct smoke_place *p, char *out, size_t size)
{
	char count[64] = "", which[64] = "";

	if (p->stage == SMOKE_STAGE_NONE) {
		snprintf(out, size, "%s", stages[SMOKE_STAGE_NONE].doing);
		return;
	}
	if (p->total)
		snprintf(count, sizeof(count), " %u/%u %s of", p->done, p->total, p->stage == SMOKE_STAGE_TEST ? "layers" : "tensors");
	if (p->of > 1)
		snprintf(which, sizeof(which), " (%u of %u)", p->which, p->of);
	snprintf(out, size, "%s%s %s%s", stages[p->stage].doing, count, *p->file ? p->file : "the checkpoint", which);
}
