/*
 * smoke.h - registryd-smoke as a child process: it gets a directory with the revision's files, says on stdout as JSON what it found, and
 * may crash, hang or lie. Its output is bounded and read strictly; a death by signal or a timeout is an answer too. No parser of weight
 * files runs in the daemon.
 */
#ifndef REGISTRYD_SMOKE_H
#define REGISTRYD_SMOKE_H

#include <jansson.h>

#include "registryd/work.h"
#include "catalog/finding.h"
#include "catalog/model.h"

#define SMOKE_OUTPUT_MAX  (16u << 20)	/* of a report, but for its list of files */
#define SMOKE_FILES_MAX	  (512u << 20)	/* bytes of it all */
#define SMOKE_STDERR_MAX  4096
#define SMOKE_TIMEOUT_S	  1800
#define SMOKE_LOOK_S	  60

#define SMOKE_REFERENCES_MAX 4
#define SMOKE_FILE_MAX	  200	/* bytes of a file's name that are shown */

/* Where in its work the child says it is. */
struct smoke_place {
	enum smoke_stage { SMOKE_STAGE_NONE, SMOKE_STAGE_INSPECT, SMOKE_STAGE_OPEN, SMOKE_STAGE_TEST, SMOKE_STAGE_SCAN, SMOKE_STAGE_WRITE } stage;
	uint32_t done, total, which, of;	/* of is 0 while that is not known */
	char file[SMOKE_FILE_MAX + 1];	/* printable */
};

/* What running the child came to. */
struct smoke_child {
	json_t *report;		/* its JSON, an object; NULL when it gave none */
	char *text;		/* the same as it came, but for its list of files */
	int exit_status;	/* -1 when it did not end by itself */
	int signal;		/* that stopped it, 0 none */
	bool timed_out;
	struct smoke_place place;	/* the last that it told */
	char problem[512];	/* one sentence when there is no report, "" else */
};

/* "STAGE DONE TOTAL WHICH OF FILE" as the child tells it (without the line's end). False for anything else, which is then ignored. */
bool smoke_place_parse(struct smoke_place *p, const char *line, size_t n);
/* "testing 12/32 layers of b.gguf (2 of 5)" */
void smoke_place_text(const struct smoke_place *p, char *out, size_t size);

void smoke_child_done(struct smoke_child *c);

static inline void own_child(struct smoke_child *c)
{
	smoke_child_done(c);
}

/* A directory of hard links to the stored files of a revision, for the child to look at: DATA/work/<job>. */
int smoke_view_open(struct work *w, int64_t revision_id, char **dir, struct err *e);
/* Removes it. NULL is fine. */
void smoke_view_close(const char *dir);
/* Removes what a dead daemon left in DATA/work. */
void smoke_view_clean(struct store *st);

/*
 * args: NULL-ended, without the program's own name. The elements of the report's "files", which may be as many as the revision has, are given to
 * `file` as they come (and count for nothing when there is no report in the end); NULL: there are none. ERR_CANCELED when w->stop; all else is in c.
 */
int smoke_run(struct work *w, const char *const *args, void (*file)(void *arg, const json_t *item), void *arg, struct smoke_child *c, struct err *e);

/* Inspects dir and records what was found about the revision; *report is the inspector's, without its files (may be NULL, caller frees). */
int smoke_inspect(struct work *w, int64_t revision_id, const char *dir, json_t **report, struct err *e);
/* What a test on the configured device would run on: its "device" and "platform". Waits at most SMOKE_LOOK_S. */
int smoke_look(struct daemon *d, const char *device, json_t **report, struct err *e);
/* Can this device be had? ERR_UNSUPPORTED; what it lacks is no matter of a model. Asks the child: some 100 ms. */
int smoke_check_device(struct daemon *d, const char *device, struct err *e);
/*
 * Tests the model in dir and records the run with its findings. device NULL: as configured. Where the policy wants inspection alone of it, the model is not
 * run, whoever asks for the test: figures that nobody wants would stand in the way of what is wanted.
 */
int smoke_test(struct work *w, int64_t revision_id, const char *dir, const char *device, struct err *e);

/* Earlier reports that the run is held against, as files for --reference. */
struct smoke_references {
	const char *path[SMOKE_REFERENCES_MAX];
	size_t n;
};
int smoke_references_open(struct work *w, int64_t revision_id, struct smoke_references *refs, struct err *e);
void smoke_references_close(struct smoke_references *refs);

#endif
