/* policy_task.h - tasks that a policy names and that nothing has: most likely they are misspelt. */
#ifndef CATALOG_POLICY_TASK_H
#define CATALOG_POLICY_TASK_H

#include <jansson.h>

#include "catalog/db.h"
#include "catalog/policy.h"

/* Adds a sentence for each entry of smoke.for whose task neither the Hub knows, as far as we do, nor a model here has. */
int policy_idle_tasks(struct db *db, const struct policy *p, json_t *out, struct err *e);

#endif
