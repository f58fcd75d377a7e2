/* tell.c - see tell.h. */
#include "infer/tell.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 100	/* between two lines of one stage */

void tell_open(struct tell *t, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	*t = (struct tell){ .fd = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? 0 : fd };
}

void tell_file(struct tell *t, uint32_t which, uint32_t of, const char *file)
{
	if (t)
		*t = (struct tell){ .fd = t->fd, .which = which, .of = of, .file = file };
}

void tell(struct tell *t, const char *stage, uint64_t done, uint64_t total)
{
	struct timespec now;
	char line[TELL_LINE_MAX];
	int64_t now_ms;
	int n;

	if (!t || !t->fd)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (t->stage && strcmp(t->stage, stage) == 0 && now_ms - t->at_ms < PAUSE_MS)
		return;
	n = snprintf(line, sizeof(line), "%s %llu %llu %u %u %s\n", stage, (unsigned long long)done, (unsigned long long)total, t->which, t->of,
		t->file ? t->file : "");
	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (write(t->fd, line, (size_t)n) != n)
		return;		/* the parent has not read the last ones yet: it will have the next */
	t->stage = stage;
	t->at_ms = now_ms;
}
