/* policy_show.c - a policy as YAML, every default filled in: what policy.c reads back to the same rules. */
#include <math.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "catalog/licence.h"
#include "catalog/policy_impl.h"

static void show_list(struct buf *b, const char *name, const struct policy_list *l)
{
	buf_printf(b, "  %s: [", name);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, i ? ", \"%s\"" : "\"%s\"", l->v[i]);
	buf_puts(b, "]\n");
}

static void show_licences(struct buf *b, const struct policy *p)
{
	static const char *const unknown[] = { "allow", "hold", "deny" };
	struct policy_list permissive = { 0 };

	buf_puts(b, "licenses:\n");
	for (size_t i = 0; p->default_licences && licence_at(i); i++)
		if (licence_at(i)->permissive)
			*vec_push(&permissive.v, &permissive.n, &permissive.cap) = licence_at(i)->id;
	show_list(b, "allow", p->default_licences ? &permissive : &p->allow);
	show_list(b, "hold", &p->hold);
	show_list(b, "deny", &p->deny);
	buf_printf(b, "  unknown: %s\n", unknown[p->unknown]);
	free(permissive.v);
}

static void show_formats(struct buf *b, const char *name, unsigned set)
{
	bool first = true;

	buf_printf(b, "  %s: [", name);
	for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++) {
		if (set & FORMAT_BIT(f)) {
			buf_printf(b, first ? "%s" : ", %s", format_name((enum format)f));
			first = false;
		}
	}
	buf_puts(b, "]\n");
}

static void show_text(struct buf *b, const char *before, const char *key, const char *text)
{
	buf_printf(b, "%s%s: \"", before, key);
	buf_json_escaped(b, text);
	buf_putc(b, '"');
}

static void show_exceptions(struct buf *b, const struct policy *p)
{
	buf_printf(b, "smoke:\n  max_bits_per_byte: %g\n  for:%s\n", p->max_bits_per_byte, p->n_exceptions ? "" : " []");
	for (size_t i = 0; i < p->n_exceptions; i++) {
		const struct policy_exception *x = &p->exceptions[i];
		const char *sep = "    - {";

		if (x->repo)
			show_text(b, sep, "repo", x->repo), sep = ", ";
		if (x->task)
			show_text(b, sep, "task", x->task), sep = ", ";
		if (x->require >= 0)
			buf_printf(b, "%srequire: %s", sep, policy_smoke_name((enum policy_smoke)x->require));
		if (!isnan(x->max_bits_per_byte))
			buf_printf(b, "%smax_bits_per_byte: %g", sep, x->max_bits_per_byte);
		buf_puts(b, "}\n");
	}
}

static void show_ends(struct buf *b, const struct policy *p)
{
	char at[STR_TIME_MAX];

	if (p->n_ends)
		buf_puts(b, "  ends:\n");
	for (size_t i = 0; i < p->n_ends; i++) {
		const struct policy_end *x = &p->ends[i];
		const struct {
			const char *key, *text;
		} texts[] = { { "repo", x->repo },   { "license", x->license }, { "architecture", x->architecture }, { "quantization", x->quantization },
			      { "dtype", x->dtype }, { "reason", x->reason },	{ "successor", x->successor } };

		str_format_iso(at, x->at);
		buf_printf(b, "    - {at: \"%s\"", at);
		for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
			if (texts[k].text)
				show_text(b, ", ", texts[k].key, texts[k].text);
		}
		if (x->format) {
			const char *sep = ", format: [";

			for (int f = FORMAT_SAFETENSORS; f < FORMAT_N; f++)
				if (x->format & FORMAT_BIT(f)) {
					buf_printf(b, "%s%s", sep, format_name((enum format)f));
					sep = ", ";
				}
			buf_putc(b, ']');
		}
		if (x->compute_below > 0)
			buf_printf(b, ", compute_below: %g", x->compute_below);
		buf_puts(b, "}\n");
	}
}

static void show_duration(struct buf *b, const char *name, int64_t s)
{
	char text[STR_SIZE_MAX];

	str_format_duration(text, s);
	buf_printf(b, "  %s: %s\n", name, text);
}

static void show_retention(struct buf *b, const struct policy *p)
{
	buf_puts(b, "retention:\n");
	if (p->rejected_s)
		show_duration(b, "rejected", p->rejected_s);
	else
		buf_puts(b, "  rejected: never\n");
	if (p->keep_last)
		buf_printf(b, "  keep_last: %lld\n", (long long)p->keep_last);
	if (p->n_quotas)
		buf_puts(b, "  quotas:\n");
	for (size_t i = 0; i < p->n_quotas; i++) {
		buf_puts(b, "    - {author: \"");
		buf_json_escaped(b, p->quotas[i].author);
		buf_printf(b, "\", max: %llu}\n", (unsigned long long)p->quotas[i].max_bytes);
	}
}

bool policy_lists_licences(const struct policy *p)
{
	return !p->default_licences;
}

char *policy_show(const struct policy *p)
{
	struct buf b;

	buf_init(&b, 4 * POLICY_FILE_MAX);
	show_licences(&b, p);
	buf_puts(&b, "formats:\n");
	show_formats(&b, "deny", p->formats_deny);
	show_formats(&b, "skip", p->formats_skip);
	if (p->size_max)
		buf_printf(&b, "size: {max: %llu}\n", (unsigned long long)p->size_max);
	buf_printf(&b, "require: {proof: %s, smoke: %s}\n", policy_proof_names[p->proof], policy_smoke_name(p->smoke));
	show_exceptions(&b, p);
	buf_puts(&b, "lifecycle:\n");
	show_duration(&b, "notice", p->lifecycle.notice_s);
	if (p->lifecycle.max_age_s)
		show_duration(&b, "max_age", p->lifecycle.max_age_s);
	buf_printf(&b, "  after_sunset: %s\n  deprecated: %s\n", p->lifecycle.gone_after_sunset ? "gone" : "warn",
		   p->lifecycle.refuse_new_when_deprecated ? "pinned_only" : "serve");
	buf_printf(&b, "  hints: %s\n", p->lifecycle.follow_hints ? "deprecate" : "show");
	show_ends(&b, p);
	show_retention(&b, p);
	buf_printf(&b, "gated: %s\n", p->gated_open ? "open" : "token");
	return buf_take(&b);
}
