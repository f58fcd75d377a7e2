/*
 * progress.h - one job's way on stderr. On a terminal a line that is redrawn (bar, bytes, rate, time left, phase); elsewhere a plain
 * line whenever the phase changes. What a line says is worked out by pure functions of the job and the time.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define PROGRESS_PHASE_MAX 200
#define PROGRESS_WINDOW 16	/* samples that the rate is taken over */

struct progress_state {		/* what the daemon says about a job */
	int64_t bytes_done, bytes_total, files_done, files_total;
	const char *phase;	/* may be NULL */
};

struct progress {
	bool terminal, quiet;
	char phase[PROGRESS_PHASE_MAX];
	struct {
		int64_t at_ms, bytes;
	} sample[PROGRESS_WINDOW];
	unsigned n_samples;
	bool drawn;
};

int64_t progress_now_ms(void);	/* a clock that is never set back */
void progress_init(struct progress *p, bool terminal, bool quiet);
/* Bytes a second over the last samples; 0 while there is nothing to tell. */
double progress_rate(const struct progress *p);
void progress_sample(struct progress *p, int64_t now_ms, int64_t bytes_done);
/* The line for a terminal of so many columns, without line end. */
void progress_line(const struct progress *p, const struct progress_state *s, size_t columns, struct buf *out);

/* Draws, or prints a line when the phase is a new one. */
void progress_show(struct progress *p, const struct progress_state *s, int64_t now_ms);
/* Takes the drawn line away, before something else is printed. */
void progress_clear(struct progress *p);

#endif
