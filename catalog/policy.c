/* policy.c - reading policy.yaml: one table of keys, clear errors, near names. Lifecycle and retention are policy_time.c; showing it again is policy_show.c, deciding policy_decide.c. */
#include <fcntl.h>
#include <math.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "catalog/policy_read.h"

#define DEFAULT_MAX_BITS_PER_BYTE 2.5
#define DEFAULT_NOTICE_S	  (90 * 86400)
#define DEFAULT_REJECTED_S	  (30 * 86400)
#define BITS_PER_BYTE_LIMIT	  64.0	/* a larger limit is a slip of the pen */

const char *const policy_proof_names[4] = { "none", "hash", "listing", "commit" };
static const char *const outcome_names[] = { "publish", "hold", "reject" };
static const char *const smoke_names[] = { "pass", "pass_or_not_run", "inspect", "none" };

const char *policy_outcome_name(enum policy_outcome o)
{
	return outcome_names[o];
}

const char *policy_smoke_name(enum policy_smoke s)
{
	return smoke_names[s];
}

/* --- sections --------------------------------------------------------------------------------------------------------------------- */

static int read_allow(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_licence, &r->p->allow, e);
}

static int read_hold(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_licence, &r->p->hold, e);
}

static int read_deny(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_licence, &r->p->deny, e);
}

static int read_unknown(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "allow", "hold", "deny" };
	int i = POLICY_HOLD, rc = policy_want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->unknown = (enum policy_outcome)i;
	return rc;
}

/* A licence must not stand in two lists, where one would silently win. */
static int check_lists(const struct policy_reader *r, struct err *e)
{
	const struct policy_list *lists[] = { &r->p->allow, &r->p->hold, &r->p->deny };
	static const char *const names[] = { "allow", "hold", "deny" };

	for (size_t a = 0; a < 3; a++)
		for (size_t b = a + 1; b < 3; b++)
			for (size_t i = 0; i < lists[a]->n; i++)
				for (size_t j = 0; j < lists[b]->n; j++)
					if (!strcasecmp(lists[a]->v[i], lists[b]->v[j]))
						return err_set(e, ERR_USAGE, "%s: licence '%s' stands in both licenses.%s and licenses.%s", r->file,
							       lists[a]->v[i], names[a], names[b]);
	return 0;
}

static int read_licences(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "allow", read_allow }, { "hold", read_hold }, { "deny", read_deny }, { "unknown", read_unknown } };
	int rc = policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);

	r->p->default_licences = false;
	return rc < 0 ? rc : check_lists(r, e);
}

static int read_formats_deny(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_format, &r->p->formats_deny, e);
}

static int read_formats_skip(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_each_text(r, path, v, policy_add_format, &r->p->formats_skip, e);
}

static int read_formats(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "deny", read_formats_deny }, { "skip", read_formats_skip } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_size_max(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		rc = str_parse_size(text, &r->p->size_max, e);
	if (rc == 0 && !r->p->size_max)
		return err_set(e, ERR_USAGE, "%s: %s must be above 0; without it any size is taken", r->file, path);
	return rc < 0 && e ? err_wrap(e, "%s: %s", r->file, path) : rc;
}

static int read_size(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "max", read_size_max } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_proof(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	int i = PROOF_LISTING, rc = policy_want_word(r, path, v, policy_proof_names, ARRAY_LEN(policy_proof_names), &i, e);

	r->p->proof = (enum proof_level)i;
	return rc;
}

static int read_require_smoke(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	int i = POLICY_SMOKE_PASS, rc = policy_want_word(r, path, v, smoke_names, ARRAY_LEN(smoke_names), &i, e);

	r->p->smoke = (enum policy_smoke)i;
	return rc;
}

static int read_require(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "proof", read_proof }, { "smoke", read_require_smoke } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static struct policy_exception *last_exception(const struct policy_reader *r)
{
	return &r->p->exceptions[r->p->n_exceptions - 1];
}

static int read_for_repo(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		last_exception(r)->repo = arena_strdup(&r->p->arena, text);
	return rc;
}

static int read_for_task(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	const char *text;
	int rc = policy_want_text(r, path, v, &text, e);

	if (rc == 0)
		last_exception(r)->task = arena_strdup(&r->p->arena, text);
	return rc;
}

static int read_for_require(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_want_word(r, path, v, smoke_names, ARRAY_LEN(smoke_names), &last_exception(r)->require, e);
}

static int read_for_bits(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_want_positive(r, path, v, BITS_PER_BYTE_LIMIT, &last_exception(r)->max_bits_per_byte, e);
}

static int read_for(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "repo", read_for_repo }, { "task", read_for_task }, { "require", read_for_require }, { "max_bits_per_byte", read_for_bits } };

	if (!json_is_array(v) || json_array_size(v) > POLICY_LIST_MAX)
		return err_set(e, ERR_USAGE, "%s: %s must be a list of at most %d mappings", r->file, path, POLICY_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct policy_exception *x = vec_push(&r->p->exceptions, &r->p->n_exceptions, &r->p->cap_exceptions);
		int rc;

		x->require = -1;
		x->max_bits_per_byte = NAN;
		rc = policy_read_section(r, path, json_array_get(v, i), keys, ARRAY_LEN(keys), e);
		if (rc < 0)
			return rc;
		if (!last_exception(r)->repo && !last_exception(r)->task)
			return err_set(e, ERR_USAGE, "%s: %s: entry %zu names neither a repo nor a task", r->file, path, i + 1);
	}
	return 0;
}

static int read_bits(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	return policy_want_positive(r, path, v, BITS_PER_BYTE_LIMIT, &r->p->max_bits_per_byte, e);
}

static int read_smoke(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const struct policy_key keys[] = { { "max_bits_per_byte", read_bits }, { "for", read_for } };

	return policy_read_section(r, path, v, keys, ARRAY_LEN(keys), e);
}

static int read_gated(const struct policy_reader *r, const char *path, const json_t *v, struct err *e)
{
	static const char *const words[] = { "token", "open" };
	int i = 0, rc = policy_want_word(r, path, v, words, ARRAY_LEN(words), &i, e);

	r->p->gated_open = i == 1;
	return rc;
}

/* --- the whole -------------------------------------------------------------------------------------------------------------------- */

static struct policy *new_policy(void)
{
	struct policy *p = mem_zalloc(sizeof(*p));

	arena_init(&p->arena);
	p->default_licences = true;
	p->unknown = POLICY_HOLD;
	p->proof = PROOF_LISTING;
	p->smoke = POLICY_SMOKE_PASS;
	p->max_bits_per_byte = DEFAULT_MAX_BITS_PER_BYTE;
	p->lifecycle = (struct policy_lifecycle){ .notice_s = DEFAULT_NOTICE_S, .gone_after_sunset = true };
	p->rejected_s = DEFAULT_REJECTED_S;
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->allow.v);
	free(p->hold.v);
	free(p->deny.v);
	free(p->exceptions);
	free(p->ends);
	free(p->quotas);
	arena_done(&p->arena);
	free(p);
}

int policy_parse(struct policy **out, const char *text, size_t n, const char *name, struct err *e)
{
	static const struct policy_key keys[] = {
		{ "licenses", read_licences }, { "formats", read_formats }, { "size", read_size },   { "require", read_require },
		{ "smoke", read_smoke },       { "lifecycle", policy_read_lifecycle }, { "gated", read_gated }, { "retention", policy_read_retention },
	};
	struct policy *p = new_policy();
	struct err own_err = ERR_NONE;
	struct err *err = e ? e : &own_err;
	int rc = 0;

	if (text) {
		own(json) json_t *doc = yaml_parse(text, n, YAML_STRICT, name, err);

		rc = doc ? 0 : ERR_USAGE;
		if (rc == 0 && !json_is_null(doc))
			rc = policy_read_section(&(struct policy_reader){ p, name }, "", doc, keys, ARRAY_LEN(keys), err);
	}
	if (rc < 0) {
		err->code = ERR_USAGE;	/* however it came about, it is the site's file that is wrong */
		policy_free(p);
		return ERR_USAGE;
	}
	*out = p;
	return 0;
}

int policy_load(struct policy **out, const char *path, struct err *e)
{
	own(buf) struct buf text;
	int rc;

	buf_init(&text, POLICY_FILE_MAX);
	if (!path)
		return policy_parse(out, NULL, 0, "the default policy", e);
	rc = fdio_slurp(AT_FDCWD, path, &text, e);
	return rc < 0 ? rc : policy_parse(out, text.data, text.len, path, e);
}

void policy_lifecycle(const struct policy *p, struct policy_lifecycle *out)
{
	*out = p->lifecycle;
}

bool policy_gated_open(const struct policy *p)
{
	return p->gated_open;
}

int64_t policy_rejected_s(const struct policy *p)
{
	return p->rejected_s;
}

int64_t policy_keep_last(const struct policy *p)
{
	return p->keep_last;
}

uint64_t policy_quota(const struct policy *p, const char *author)
{
	for (size_t i = 0; i < p->n_quotas; i++)
		if (str_glob_nocase(p->quotas[i].author, author))
			return p->quotas[i].max_bytes;
	return 0;
}

bool policy_has_quotas(const struct policy *p)
{
	return p->n_quotas > 0;
}
