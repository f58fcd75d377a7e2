/*
 * safetensors.h - the header of a .safetensors file, read strictly: u64le N, N bytes of JSON, then the tensors' bytes, which must
 * tile the rest of the file exactly. Stricter than the reference reader where the format's README says MUST and the reader shrugs
 * (duplicate keys, padding, absurd shapes). Each rule has a short code, given with its sentence as a finding (f may be NULL):
 *	st.too_small st.header_too_large st.header_beyond_file st.header_json st.utf8 st.duplicate st.depth st.metadata st.fields
 *	st.number st.dtype st.name st.limit st.overflow st.subbyte st.size_mismatch st.offsets st.overlap st.gap st.truncated
 *	st.trailing st.padding (flag) st.shape (flag) lfs.pointer
 * The header is held once in memory (at most SAFETENSORS_HEADER_MAX) and parsed in place without recursion.
 * Format: https://github.com/huggingface/safetensors README, "Format".
 */
#ifndef VERIFY_SAFETENSORS_H
#define VERIFY_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "verify/report.h"

#define SAFETENSORS_HEADER_MAX 100000000u	/* bytes; the format's own limit */
#define SAFETENSORS_TENSORS_MAX 1000000u
#define SAFETENSORS_METADATA_MAX 100000u	/* entries of __metadata__ */
#define SAFETENSORS_RANK_MAX 8
#define SAFETENSORS_INDEX_MAX (64u << 20)	/* bytes of model.safetensors.index.json */

enum safetensors_dtype {
	ST_BOOL, ST_F4, ST_F6_E2M3, ST_F6_E3M2, ST_U8, ST_I8, ST_F8_E5M2, ST_F8_E4M3, ST_F8_E8M0, ST_F8_E4M3FNUZ, ST_F8_E5M2FNUZ,
	ST_I16, ST_U16, ST_F16, ST_BF16, ST_I32, ST_U32, ST_F32, ST_C64, ST_F64, ST_I64, ST_U64, ST_DTYPES
};

struct safetensors_tensor {
	const char *name;			/* UTF-8 without NUL bytes; lives as long as the file's struct */
	enum safetensors_dtype dtype;
	uint8_t rank;				/* 0 is a scalar */
	uint64_t shape[SAFETENSORS_RANK_MAX];	/* slowest dimension first */
	uint64_t begin, end;			/* bytes, from data_start */
};

struct safetensors_pair {
	const char *key, *value;
};

struct safetensors {
	uint64_t data_start, file_bytes;
	struct safetensors_tensor *tensors;	/* in file order */
	size_t n_tensors, cap_tensors;
	const struct safetensors_tensor **by_name;	/* n_tensors, sorted by strcmp */
	struct safetensors_pair *metadata;		/* sorted by key */
	size_t n_metadata, cap_metadata;
	char *header;
};

/*
 * Reads the header of fd. 0 when it is well formed (f may have got flags), ERR_INPUT when a rule rejects it: e and a finding
 * say which. `path` names the file in both. st is written only on success.
 */
int safetensors_open(struct safetensors *st, int fd, const char *path, struct report *f, struct err *e);
void safetensors_close(struct safetensors *st);
const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name);	/* NULL when absent */

const char *safetensors_dtype_name(enum safetensors_dtype d);
unsigned safetensors_dtype_bits(enum safetensors_dtype d);

/*
 * A sharded checkpoint: `NAME.safetensors.index.json` (of a variant `….index.fp16.json`) = {"metadata":{"total_size"},"weight_map":{tensor: file}}, or a single file.
 * Rules: json.duplicate idx.json idx.format idx.missing_shard idx.missing_tensor idx.duplicate (flag: in two shards)
 * idx.unlisted (flag: in a shard, not in the map) idx.total_size (flag) idx.numbering (flag: model-00001-of-00003 is not complete)
 */
struct safetensors_shard {
	char *file;
	int fd;
	struct safetensors st;
};

struct safetensors_entry {
	const struct safetensors_tensor *tensor;
	uint32_t shard;
	bool unlisted;				/* in the shard and not in the index */
};

struct safetensors_set {
	struct safetensors_shard *shards;	/* by file name */
	size_t n_shards, cap_shards;
	struct safetensors_entry *entries;	/* every tensor once, sorted by name */
	size_t n_entries, cap_entries;
};

/* `file` below dirfd: an index or one .safetensors file. Opens the shards and keeps their descriptors until closed. */
int safetensors_set_open(struct safetensors_set *set, int dirfd, const char *file, struct report *f, struct err *e);
void safetensors_set_close(struct safetensors_set *set);
const struct safetensors_entry *safetensors_set_find(const struct safetensors_set *set, const char *name);

static inline void own_safetensors(struct safetensors *st)
{
	safetensors_close(st);
}

static inline void own_safetensors_set(struct safetensors_set *set)
{
	safetensors_set_close(set);
}

#endif
