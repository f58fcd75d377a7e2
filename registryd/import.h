/*
 * import.h - a model that no Hub holds: job kind "import". Its files lie in DATA/incoming/<dir>, where the API has put them. They get a
 * git commit of their own, made from their bytes alone (the same files give the same commit), and go through the same inspection,
 * test and gate as any other revision. The catalog calls their upstream "import".
 */
#ifndef REGISTRYD_IMPORT_H
#define REGISTRYD_IMPORT_H

#include "registryd/work.h"

#define IMPORT_UPSTREAM	 "import"
#define IMPORT_LFS_BYTES (1u << 20)	/* larger files are kept as Git LFS would: the commit holds a pointer */

int import_job(struct work *w, struct err *e);
/* The job's end is written down: its files are removed now and no sooner, for one that is run again must find all of them, and so must another active one of the same files. */
void import_ended(struct store *st, const struct job *ended, const struct job *active, size_t n_active);

#endif
