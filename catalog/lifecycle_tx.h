/* lifecycle_tx.h - lifecycle_at() within a transaction. For catalog/ only. */
#ifndef CATALOG_LIFECYCLE_TX_H
#define CATALOG_LIFECYCLE_TX_H

#include "catalog/lifecycle.h"

struct db_conn;

int lifecycle_at_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);

#endif
