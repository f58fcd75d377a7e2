/*
 * tell.h - tells the parent how far this process is, on a descriptor of its own. What was told last is also what is known when the
 * process dies, so every file is named before it is touched. One line a message, written whole or not at all:
 *
 *	STAGE DONE TOTAL WHICH OF FILE\n	"test 12 32 2 5 model-Q4_K_M.gguf": layer 12 of 32 in the second of five artefacts
 *
 * STAGE is inspect, open, test, scan or write; numbers that make no sense there are 0. A parent that does not read loses lines and
 * holds nobody up.
 */
#ifndef INFER_TELL_H
#define INFER_TELL_H

#include <stdint.h>

#define TELL_LINE_MAX 512	/* bytes; a longer name is cut */

struct tell {
	int fd;			/* 0: nobody listens */
	uint32_t which, of;	/* artefact */
	const char *file;
	const char *stage;	/* of the last line */
	int64_t at_ms;		/* and when it was written */
};

/* Readies the descriptor. */
void tell_open(struct tell *t, int fd);
/* What the next lines are about. */
void tell_file(struct tell *t, uint32_t which, uint32_t of, const char *file);
/* t may be NULL. Of one stage of one file a line is written only now and then. */
void tell(struct tell *t, const char *stage, uint64_t done, uint64_t total);

#endif
