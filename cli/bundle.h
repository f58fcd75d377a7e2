/*
 * bundle.h - a bundle on a medium (docs/bundle.md), as a directory:
 *
 *	bundle.json		the manifest, written last
 *	bundle.json.sigstore	a signature over it, optional
 *	entries/<sha256>.json	what a site needs to prove and judge one revision
 *	blobs/sha256/<sha256>	contents; with --volume-size below volume-001/, volume-002/ …, larger ones in parts <sha256>.001, .002 …
 *
 * The manifest, JSON: {"format": BUNDLE_FORMAT, "created_at", "source": URL, "differential": made against a receipt, "volumes": 0 none,
 *	"models": [{"repo","revision","license","size_bytes","entry": SHA-256,"entry_bytes"}…],
 *	"blobs": [{"sha256","size_bytes","parts": [[volume, bytes]…]}…] by sha256}
 * No path stands in it: all follow from names, so a manifest can't lead out of the directory.
 */
#ifndef CLI_BUNDLE_H
#define CLI_BUNDLE_H

#include "cli/ctl.h"
#include "verify/sign.h"

#define BUNDLE_FORMAT	     "registryd-bundle/1"
#define BUNDLE_RECEIPT	     "registryd-receipt/1"
#define BUNDLE_MANIFEST	     "bundle.json"
#define BUNDLE_SIGNATURE     "bundle.json.sigstore"
#define BUNDLE_MANIFEST_MAX  ((size_t)1 << 30)
#define BUNDLE_ENTRY_MAX     ((size_t)64 << 20)
#define BUNDLE_PATH_MAX	     128
#define BUNDLE_VOLUMES_MAX   999
#define BUNDLE_PARTS_MAX     999

struct bundle {
	int dirfd;
	json_t *manifest;
	const json_t *models, *blobs;	/* of the manifest, checked */
	unsigned volumes;		/* 0: contents lie in the directory itself */
	struct digest sha256;		/* of the manifest's bytes */
};

/* Reads and checks the manifest. ERR_NOT_FOUND when dir holds none. bundle_done() is due in any case. */
int bundle_open(struct bundle *b, const char *dir, struct err *e);
void bundle_done(struct bundle *b);

/*
 * The signature: with the key in trust_file, else with the keys that the daemon has or trusts. hint gets the key's. Without a signature hint is "" when
 * no trust_file was given, and ERR_MISMATCH when one was. ERR_MISMATCH too for a signature of something else; ERR_REFUSED: of a key not trusted.
 */
int bundle_check_signature(struct ctl *c, const struct bundle *b, const char *trust_file, char hint[DIGEST_HEX_MAX], struct err *e);

/* The content of that name among the blobs, or NULL. */
const json_t *bundle_find_blob(const struct bundle *b, const char *sha256);
size_t bundle_parts(const json_t *blob);
/* Where part i of the blob lies, and its bytes. */
void bundle_part(const json_t *blob, size_t i, char path[BUNDLE_PATH_MAX], uint64_t *bytes);
/* The same for what is about to be written; n_parts 1: whole. */
void bundle_part_path(char path[BUNDLE_PATH_MAX], const char *sha256, unsigned volume, size_t i, size_t n_parts);
void bundle_entry_path(char path[BUNDLE_PATH_MAX], const char *sha256);
/* Opens part i for reading and checks its size. ERR_NOT_FOUND names the volume that is missing. */
int bundle_open_part(const struct bundle *b, const json_t *blob, size_t i, uint64_t *bytes, struct err *e);
/* The entry of one of the models, read and its SHA-256 checked: text into b. */
int bundle_read_entry(const struct bundle *b, const json_t *model, struct buf *text, struct err *e);

static inline void own_bundle(struct bundle *b)
{
	bundle_done(b);
}

#endif
