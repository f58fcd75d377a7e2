/*
 * loss.h - the store turns out not to hold what the catalog promises: damaged bytes are put aside, the loss is recorded and told (catalog/lost.h),
 * and what came from an upstream is asked for again.
 */
#ifndef REGISTRYD_LOSS_H
#define REGISTRYD_LOSS_H

#include "base/buf.h"
#include "catalog/model.h"
#include "registryd/daemon.h"

/* Somebody has read this content or looked for it. damaged: it is there, and wrong. why: what he saw, a sentence. */
int loss_note(struct daemon *d, const struct digest *sha256, bool damaged, const char *why, struct err *e);
/* A door could not send it. Looks whether it is there and has its size, and takes note if not. */
int loss_look(struct daemon *d, const struct digest *sha256, uint64_t size_bytes, struct err *e);

/*
 * A small file of a revision as text: what the store holds, when it is that; else what was kept of it as a document (*kept), and a loss is taken note of.
 * ERR_NOT_FOUND: neither the store nor the catalog has it.
 */
int loss_read(struct daemon *d, int64_t revision_id, const struct model_file *f, enum document_kind kind, struct buf *b, bool *kept, struct err *e);
/* Under which name a document of this kind is kept. */
const char *loss_document_name(enum document_kind kind, const char *path);

#endif
