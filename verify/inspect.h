/*
 * inspect.h - the verdict on files as they lie: accept, flag or reject, with findings. Nothing is loaded, run or unpacked to disk.
 * A file is judged by what it is, not by what it is called: a pickle named tokenizer.json is a pickle. What is told by its first bytes:
 * safetensors, GGUF, ZIP (torch, Keras, npz, plain), pickles and torch's older files, tar, gzip, NumPy, HDF5, programs, LFS pointers; the
 * rest by name: ONNX, SavedModel, msgpack, JSON, cards, templates, scripts. What can't be told apart is flagged, never accepted.
 */
#ifndef VERIFY_INSPECT_H
#define VERIFY_INSPECT_H

#include "base/err.h"
#include "verify/report.h"

#define INSPECT_FILES_MAX  100000	/* in a directory */
#define INSPECT_DEPTH_MAX  32		/* directories below one another */
#define INSPECT_NESTED_MAX 3		/* containers within containers */

/* A file or a directory. An error only when it can't be opened or read; everything else is a finding. */
int inspect_path(const char *path, struct report *r, struct err *e);
/* Every file below dirfd, and what must agree between them: shard indexes, parts of a split GGUF, external data. */
int inspect_dir(int dirfd, struct report *r, struct err *e);
struct path_set;
/* One file below dirfd; `name` may have directories in it. Links and special files are refused. `claimed` (or NULL) collects the names
 * of raw data that belongs to other files, which is then no unknown format: look at ONNX models first. */
int inspect_file(int dirfd, const char *name, struct path_set *claimed, struct report *r, struct err *e);

#endif
