/* scan_parts.h - between the files of the inspection: one function a format. Each puts what it finds in r and returns nothing. */
#ifndef VERIFY_SCAN_PARTS_H
#define VERIFY_SCAN_PARTS_H

#include <jansson.h>

#include "verify/bytes.h"
#include "verify/path_check.h"
#include "verify/report.h"
#include "verify/scan.h"
#include "verify/zip.h"

/* What an inspection knows beside the bytes. */
struct scan {
	int dirfd;		/* where the file lies: external data is looked for there */
	const char *name;	/* of the file below dirfd; of the member inside a container */
	int nested;		/* containers around it */
	bool alone;		/* the one file asked about, not one of a model */
	struct report *r;
	const char **format;	/* what it turns out to be */
	struct path_set *claimed;	/* names below dirfd that another file says are its raw data; NULL where nobody collects them */
};

/* One file of a directory; `alone` and `claimed` as above. */
int scan_named(int dirfd, const char *name, bool alone, struct path_set *claimed, const struct scan_listener *l, struct report *r, struct err *e);
/* What other files of the directory must agree with this one: the shards of an index, the parts of a split GGUF. */
void scan_siblings(const struct scan *in);

#define SCAN_SCRIPT "a program: nothing here runs it, but its users might"
#define SCAN_NATIVE "a compiled program or library"

/* Code, as its name says: a finding, and true. */
bool scan_code_name(const char *name, struct report *r);

/* The dispatcher, for members of containers. */
void scan_bytes(const struct scan *in, struct bytes *b);
/* A member: path "container!member", one level deeper. */
void scan_member(const struct scan *in, const char *member, struct bytes *b);

void scan_torch_zip(const struct scan *in, struct bytes *b, const struct zip *z, const char *root);	/* torch.save since 1.6; root: "archive/" */
bool scan_is_torch_legacy(struct bytes *b);
void scan_torch_legacy(const struct scan *in, struct bytes *b);
void scan_keras_json(const json_t *config, struct report *r);
void scan_keras_h5(struct bytes *b, struct report *r);
void scan_npy(struct bytes *b, struct report *r);
void scan_onnx(const struct scan *in, struct bytes *b);
void scan_tf(struct bytes *b, struct report *r);
bool scan_openvino(const struct scan *in, struct bytes *b);	/* constants of a network that lies beside: false when they are none, as below */
bool scan_imatrix(const struct scan *in, struct bytes *b);
void scan_msgpack(struct bytes *b, struct report *r);
void scan_card(struct bytes *b, bool alone, struct report *r);	/* alone: not as part of a model */
void scan_json(const struct scan *in, struct bytes *b);
void scan_template(const char *text, size_t n, struct report *r);
void scan_tree(const json_t *listing, struct report *r);
bool scan_is_tar(struct bytes *b);
void scan_tar(const struct scan *in, struct bytes *b);

/* Protocol buffers: one field after another of the message that ends at `end`. 1: a field, 0: the end, negative: malformed (in r). */
struct scan_field {
	uint32_t number, wire;	/* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
	uint64_t value;		/* of a varint */
	uint64_t at, n;		/* of bytes */
};

int scan_proto_next(struct bytes *b, uint64_t *pos, uint64_t end, struct scan_field *f, struct report *r);
/* The bytes of a field as a string of at most `cap` - 1; false when it is longer or holds NULs. */
bool scan_proto_text(struct bytes *b, const struct scan_field *f, char *out, size_t cap);

#endif
