/* event_tx.h - an event written in the transaction of the change that it tells of. For catalog/ only. */
#ifndef CATALOG_EVENT_TX_H
#define CATALOG_EVENT_TX_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

struct db_conn;

/* As event_add(); c is that of a struct tx. */
int event_add_tx(struct db_conn *c, const char *kind, const char *repo, const char *revision, json_t *data, int64_t now, struct err *e);
/*
 * A revision was held or rejected (again): writes the event unless the last one about this revision's state says the same. It is judged again as
 * often as somebody asks, and nobody wants to be told each time.
 */
int event_turned_down_tx(struct db_conn *c, const char *kind, const char *repo, const char *revision, const char *reason, const char *by, int64_t now, struct err *e);

#endif
