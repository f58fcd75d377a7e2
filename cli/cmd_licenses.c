/* cmd_licenses.c - licences in the catalog with counts and bytes. */
#include "cli/verb.h"

int cmd_licenses(struct ctl *c, struct err *e)
{
	static const struct table_column columns[] = {
		{ "LICENSE", TABLE_FLEX }, { "SPDX", TABLE_FLEX }, { "COMMERCIAL USE", TABLE_LEFT }, { "MODELS", TABLE_RIGHT }, { "BYTES", TABLE_RIGHT },
	};
	own(json) json_t *answer = NULL;
	own(table) struct table t;
	const json_t *l;
	size_t i;
	int rc;

	table_init(&t, columns, ARRAY_LEN(columns));
	rc = client_get(&c->client, "/-/v1/licenses", &answer, e);
	if (rc < 0)
		return rc;
	if (c->json)
		return ctl_print_json(json_object_get(answer, "licenses"), e);
	json_array_foreach(json_object_get(answer, "licenses"), i, l) {
		table_add(&t, json_get_str(l, "id"));
		table_add(&t, json_get_str(l, "spdx"));
		table_add(&t, json_get_str(l, "commercial_use"));
		table_add_count(&t, json_get_int(l, "models", 0));
		table_add_size(&t, json_get_int(l, "bytes", -1));
	}
	ctl_print_table(c, &t, "the catalog is empty");
	return 0;
}
