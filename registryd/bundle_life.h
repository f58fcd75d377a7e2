/*
 * bundle_life.h - what a bundle says of a model's end, and what becomes of that at the other site: a mark that stays the bundle's, and follows what the
 * other site says later, until people here say otherwise. See bundle.h.
 */
#ifndef REGISTRYD_BUNDLE_LIFE_H
#define REGISTRYD_BUNDLE_LIFE_H

#include "catalog/lifecycle.h"
#include "registryd/work.h"

/* Into the entry: what marks of the model and of the revision say, see bundle.h. NULL with e set. */
json_t *bundle_life_entry(struct daemon *d, const struct model *m, const struct revision *r, int64_t now, struct arena *a, struct err *e);

/*
 * Takes what the entry says of the model m of here, which may spell its name otherwise, and of its revision r. *changed: either has another mark now. *otherwise, in w->arena: what became otherwise than at the other site, to go on
 * after the model's name; else NULL.
 */
int bundle_life_take(struct work *w, const struct model *m, const struct revision *r, const json_t *life, bool *changed, const char **otherwise, struct err *e);

#endif
