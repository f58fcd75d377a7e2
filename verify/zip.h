/*
 * zip.h - a ZIP archive read so strictly that every other reader must see the same members: it begins at byte 0 and ends with its one
 * end record, local and central headers agree, nothing overlaps, no name occurs twice, checksums hold, and output is bounded
 * by what is declared. Stored and deflated members; ZIP64 as torch writes it for large ones.
 * Rules: zip.prefix zip.structure zip.duplicate zip.overlap zip.mismatch zip.flags zip.encrypted zip.method zip.crc zip.size zip.ratio zip.limit
 * zip.gap (flag), and those of path_check.h. Source: PKWARE's APPNOTE 6.3.10.
 */
#ifndef VERIFY_ZIP_H
#define VERIFY_ZIP_H

#include "base/buf.h"
#include "verify/bytes.h"
#include "verify/report.h"

#define ZIP_ENTRIES_MAX 65535
#define ZIP_RATIO_MAX	200	/* bytes out for each byte in, once more than ZIP_RATIO_FROM come out */
#define ZIP_RATIO_FROM	((uint64_t)1 << 20)
#define ZIP_OUT_MAX	((uint64_t)1 << 40)

struct zip_member {
	char *name;		/* NUL-terminated */
	uint64_t local_at;	/* of its local header */
	uint64_t data_at;
	uint64_t packed_bytes, bytes;
	uint32_t crc;
	uint16_t flags, method;	/* 0 stored, 8 deflated */
};

struct zip {
	struct zip_member *members;	/* in the order of the central directory */
	size_t n, cap;
	const struct zip_member **by_name;	/* n, sorted */
	bool overlaps;				/* members share bytes: reading each may take for ever */
	uint64_t directory_at, end_at;
};

/* Is there an end record that speaks of a ZIP, wherever it begins? */
bool zip_is(struct bytes *b);
/* Reads and checks the directory and every local header. 0, or ERR_INPUT when it can't be read at all; what is wrong is in r either way. */
int zip_open(struct zip *z, struct bytes *b, struct report *r);
void zip_close(struct zip *z);
const struct zip_member *zip_find(const struct zip *z, const char *name);
/* Reads a member through: size, checksum, ratio. Up to `keep` of its bytes go to `out` (initialised; NULL: none). */
int zip_read(struct bytes *b, const struct zip_member *m, struct buf *out, size_t keep, struct report *r);

static inline void own_zip(struct zip *z)
{
	zip_close(z);
}

#endif
