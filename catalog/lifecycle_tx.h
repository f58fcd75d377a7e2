/* lifecycle_tx.h - what the files of lifecycle* share within a transaction. For catalog/ only. */
#ifndef CATALOG_LIFECYCLE_TX_H
#define CATALOG_LIFECYCLE_TX_H

#include "catalog/lifecycle.h"

struct db_conn;

/* As the marks have it, whatever has become of the successor. */
int lifecycle_at_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);
/* What would hold with this in place of the mark that the policy's rules have on the revision: its dates and its reason, deprecated_at 0 for none. */
int lifecycle_with_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct lifecycle *rule, int64_t now, struct arena *a, struct lifecycle *out, struct err *e);
/* What the marks alone make of it, to what it is under the policy: past its sunset and served still, it is deprecated. */
void lifecycle_under(struct lifecycle *l, const struct policy_lifecycle *rules);
/* As lifecycle_at(). */
int lifecycle_told_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct policy_lifecycle *rules, int64_t now, struct arena *a, struct lifecycle *out,
		      struct err *e);

/*
 * *successor, which may be NULL, becomes the first that people can get, from itself on; NULL: none is, short of the model itself, or the way leads back to that and
 * people can get it: then the two would send people to each other. What only a revision says that the model shows no more leads nowhere back.
 */
int lifecycle_served_successor_tx(struct db_conn *c, int64_t model_id, int64_t revision_id, const struct policy_lifecycle *rules, int64_t now, struct arena *a,
				  const char **successor, struct err *e);

/* What an order is about. */
struct lifecycle_subject {
	char repo[MODEL_NAME_MAX + 1];
	char commit[MODEL_COMMIT_HEX + 1];	/* "" for the whole model */
};

int lifecycle_subject_tx(struct db_conn *c, const struct lifecycle_order *o, struct lifecycle_subject *s, struct err *e);
/* The event of an order; more is taken, NULL for nothing besides who and why. */
int lifecycle_tell_tx(struct db_conn *c, const char *kind, const struct lifecycle_subject *s, const struct lifecycle_order *o, json_t *more, int64_t now, struct err *e);
/* A person's row that says nothing more goes: the policy's rules look at what it was about again. */
int lifecycle_drop_empty_tx(struct db_conn *c, const struct lifecycle_order *o, struct err *e);
/* o's successor: ERR_NOT_FOUND when there is no such model, ERR_REFUSED when it is not served or leads back. */
int lifecycle_check_successor_tx(struct db_conn *c, const struct lifecycle_order *o, const struct policy_lifecycle *rules, int64_t now, struct err *e);

#endif
