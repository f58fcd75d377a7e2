/* trust.c - see trust.h. */
#include "cli/trust.h"

#include "base/json.h"

int trust_check(struct ctl *c, const struct sign_opened *o, json_t **statement, char hint[DIGEST_HEX_MAX], struct err *e)
{
	own(json) json_t *answer = NULL;
	const json_t *k;
	size_t i;
	int rc = client_get(&c->client, "/-/v1/keys", &answer, e);

	if (rc < 0)
		return rc;
	json_array_foreach(json_object_get(answer, "keys"), i, k) {
		const char *pem = json_get_str_or(k, "pem", "");
		own(sign_key) struct sign_key key = { 0 };

		if (sign_key_read_public(&key, pem, strlen(pem), e) < 0)
			return err_wrap(e, "key '%s'", ctl_text(k, "name"));
		if (*o->hint && strcmp(o->hint, key.hint) != 0)
			continue;
		rc = sign_check(o, &key, statement, e);
		snprintf(hint, DIGEST_HEX_MAX, "%s", key.hint);
		if (rc != ERR_MISMATCH || *o->hint)
			return rc;
	}
	return err_set(e, ERR_REFUSED, "it is signed with a key that is not trusted here (%.16s…): `registryctl key trust` takes one", o->hint);
}
