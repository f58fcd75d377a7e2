/*
 * scan.h - the verdict on files as they lie: accept, flag or reject, with findings. Nothing is loaded, run or unpacked to disk.
 * A file is judged by what it is, not by what it is called: a pickle named tokenizer.json is a pickle. Told by its first bytes:
 * safetensors, GGUF, ZIP (torch, Keras, npz, plain), pickles and torch's older files, tar, gzip, NumPy, HDF5, programs, LFS pointers; the
 * rest by name: ONNX, SavedModel, msgpack, JSON, cards, templates, scripts. What can't be told apart is flagged, never accepted.
 */
#ifndef VERIFY_SCAN_H
#define VERIFY_SCAN_H

#include "base/err.h"
#include "verify/report.h"

#define SCAN_FILES_MAX	200000	/* in a directory; as many as a listing may name */
#define SCAN_DEPTH_MAX	32	/* directories below one another */
#define SCAN_NESTED_MAX 3	/* containers within containers */

/*
 * Who wants to know of every file: its path below the directory, what it is ("safetensors", "gguf", "pickle", "onnx", "keras",
 * "tensorflow", "flax", "numpy", "archive", "json", "card", "template", "tokenizer", "code", "media", "text", "data", "special",
 * "unknown") and the worst that was found in it.
 */
struct scan_listener {
	void (*begin)(void *ctx, const char *path);	/* before the file is touched; may be NULL */
	void (*seen)(void *ctx, const char *path, const char *format, enum report_severity verdict);
	void *ctx;
};

/* Every file below dirfd, and what must agree between them: shard indexes, parts of a split GGUF, external data. l may be NULL. */
int scan_dir(int dirfd, const struct scan_listener *l, struct report *r, struct err *e);
/* What is certain of a directory with files of these names, before any of them is there: names that clash or are not portable, and code. */
void scan_names(const char *const *names, size_t n, struct report *r);
/* One file below dirfd, asked about by itself: what matters only to a reader of that file (a card's licence, markup) counts too. */
int scan_file(int dirfd, const char *name, const struct scan_listener *l, struct report *r, struct err *e);
/* A file or a directory by its path. An error only when it can't be opened or read; everything else is a finding. */
int scan_path(const char *path, struct report *r, struct err *e);

#endif
