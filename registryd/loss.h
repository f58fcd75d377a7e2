/*
 * loss.h - the store turns out not to hold what the catalog promises: damaged bytes are put aside, the loss is recorded and told (catalog/lost.h),
 * and what came from an upstream is asked for again.
 */
#ifndef REGISTRYD_LOSS_H
#define REGISTRYD_LOSS_H

#include "registryd/daemon.h"

/* Somebody has read this content or looked for it. damaged: it is there, and wrong. why: what he saw, a sentence. */
int loss_note(struct daemon *d, const struct digest *sha256, bool damaged, const char *why, struct err *e);
/* A door could not send it. Looks whether it is there and has its size, and takes note if not. */
int loss_look(struct daemon *d, const struct digest *sha256, uint64_t size_bytes, struct err *e);

#endif
