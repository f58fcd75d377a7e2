/*
 * kind.h - what a directory that holds no language model is: by adapter_config.json, by the architecture or class that config.json
 * names, by modules.json beside it, without any by the names of its tensors. And whether it is built as such a thing must be (shape.h).
 */
#ifndef INFER_KIND_H
#define INFER_KIND_H

#include "infer/smoke.h"

/* The structure of an opened artefact, as far as we know its kind. ERR_INPUT when it is not as its configuration demands. */
int kind_check(struct smoke *s, struct weights *w, int dirfd, const char *file, struct report *r, struct err *e);
/*
 * "not run: …" where the file is none that a language model is in; 0 else. What is no model at all (an adapter, a GGUF that says so, a
 * file `beside` a model that holds no tensor of it) is marked as s->side.
 */
int kind_not_run(struct smoke *s, int dirfd, const char *file, bool beside, struct err *e);
/* The task of a language model that is used as an embedder: by the files of a sentence encoder beside it, or by a GGUF's pooling. NULL: it is none. Static. */
const char *kind_embeds(int dirfd, const struct model *m);
/* The task of a file that no config.json speaks of, and the one that all such files of the directory have; NULL where that can't be told. Static. */
const char *kind_by_tensors(int dirfd, const char *file);
const char *kind_by_files(int dirfd);
/* What the directory is for, as the Hub calls it; NULL when that can't be told. Static. */
const char *kind_task(int dirfd);

#endif
