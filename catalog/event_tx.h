/* event_tx.h - an event written in the transaction of the change that it tells of. For catalog/ only. */
#ifndef CATALOG_EVENT_TX_H
#define CATALOG_EVENT_TX_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

struct db_conn;

/* As event_add(); c is that of a struct tx. */
int event_add_tx(struct db_conn *c, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e);

#endif
