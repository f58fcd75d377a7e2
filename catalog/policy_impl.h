/* policy_impl.h - a parsed policy; between policy.c (reading) and policy_decide.c (deciding), nobody else includes it. */
#ifndef CATALOG_POLICY_IMPL_H
#define CATALOG_POLICY_IMPL_H

#include "catalog/model.h"
#include "catalog/policy.h"

struct policy_list {
	const char **v;
	size_t n, cap;
};

/* `smoke: {for: [...]}`: models that other demands apply to. A NULL pattern matches all; repo and task are globs. */
struct policy_exception {
	const char *repo, *task;
	int require;			/* enum policy_smoke, -1: the general one */
	double max_bits_per_byte;	/* NAN: the general one */
};

/* `retention: {quotas: [...]}`: author is a pattern. */
struct policy_quota {
	const char *author;
	uint64_t max_bytes;
};

struct policy {
	struct arena arena;		/* all strings */
	bool default_licences;		/* no `licenses` section: permissive licences are published, the rest is held */
	struct policy_list allow, hold, deny;
	enum policy_outcome unknown;
	unsigned formats_deny, formats_skip;	/* FORMAT_BIT sets */
	uint64_t size_max;		/* bytes, 0 none */
	enum proof_level proof;
	enum policy_smoke smoke;
	double max_bits_per_byte;
	struct policy_exception *exceptions;
	size_t n_exceptions, cap_exceptions;
	struct policy_lifecycle lifecycle;
	struct policy_end *ends;
	size_t n_ends, cap_ends;
	int64_t keep_last;		/* 0 all */
	int64_t rejected_s;		/* how long gc leaves what was rejected; 0 for ever */
	struct policy_quota *quotas;
	size_t n_quotas, cap_quotas;
	bool gated_open;
};

const char *policy_smoke_name(enum policy_smoke s);
extern const char *const policy_proof_names[4];	/* by enum proof_level */

#endif
