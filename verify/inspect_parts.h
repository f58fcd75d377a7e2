/* inspect_parts.h - between the files of the inspection: one function a format. Each puts what it finds in r and returns nothing. */
#ifndef VERIFY_INSPECT_PARTS_H
#define VERIFY_INSPECT_PARTS_H

#include <jansson.h>

#include "verify/bytes.h"
#include "verify/path_check.h"
#include "verify/report.h"
#include "verify/zip.h"

/* What an inspection knows beside the bytes. */
struct inspect {
	int dirfd;		/* where the file lies: external data is looked for there */
	const char *name;	/* of the file below dirfd; of the member inside a container */
	int nested;		/* containers around it */
	bool alone;		/* the one file asked about, not one of a model */
	struct report *r;
	struct path_set *claimed;	/* names below dirfd that another file says are its raw data; NULL where nobody collects them */
};

/* The dispatcher, for members of containers. */
void inspect_bytes(const struct inspect *in, struct bytes *b);
/* A member: path "container!member", one level deeper. */
void inspect_member(const struct inspect *in, const char *member, struct bytes *b);

void torch_inspect_zip(const struct inspect *in, struct bytes *b, const struct zip *z, const char *root);	/* torch.save since 1.6; root: "archive/" */
bool torch_is_legacy(struct bytes *b);
void torch_inspect_legacy(const struct inspect *in, struct bytes *b);
void keras_inspect_json(const json_t *config, struct report *r);
void keras_inspect_h5(struct bytes *b, struct report *r);
void npy_inspect(struct bytes *b, struct report *r);
void onnx_inspect(const struct inspect *in, struct bytes *b);
void tf_inspect(struct bytes *b, struct report *r);
void msgpack_inspect(struct bytes *b, struct report *r);
void card_inspect(struct bytes *b, bool alone, struct report *r);	/* alone: not as part of a model */
void doc_inspect_json(const struct inspect *in, struct bytes *b);
void doc_inspect_template(const char *text, size_t n, struct report *r);
void tree_inspect(const json_t *listing, struct report *r);
bool tar_is(struct bytes *b);
void tar_inspect(const struct inspect *in, struct bytes *b);

/* Protocol buffers: one field after another of the message that ends at `end`. 1: a field, 0: the end, negative: malformed (in r). */
struct proto_field {
	uint32_t number, wire;	/* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
	uint64_t value;		/* of a varint */
	uint64_t at, n;		/* of bytes */
};

int proto_next(struct bytes *b, uint64_t *pos, uint64_t end, struct proto_field *f, struct report *r);
/* The bytes of a field as a string of at most `cap` - 1; false when it is longer or holds NULs. */
bool proto_text(struct bytes *b, const struct proto_field *f, char *out, size_t cap);

#endif
