/* gguf_kv.c - reading typed values out of a GGUF file that gguf.c has checked. */
#include <string.h>

#include "verify/gguf.h"

static uint64_t load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* The value's bits, sign-extended; false for types that are no integer. */
static bool bits_of(const struct gguf_kv *kv, uint64_t i, uint64_t *bits, bool *is_signed)
{
	const uint8_t *p = kv->meta + kv->pos;

	*is_signed = false;
	switch (kv->elem) {
	case GGUF_KV_U8:
	case GGUF_KV_BOOL:
		*bits = p[i];
		return true;
	case GGUF_KV_U16:
		*bits = load(p + 2 * i, 2);
		return true;
	case GGUF_KV_U32:
		*bits = load(p + 4 * i, 4);
		return true;
	case GGUF_KV_U64:
		*bits = load(p + 8 * i, 8);
		return true;
	default:
		break;
	}
	*is_signed = true;
	switch (kv->elem) {
	case GGUF_KV_I8:
		*bits = (uint64_t)(int8_t)p[i];
		return true;
	case GGUF_KV_I16:
		*bits = (uint64_t)(int16_t)load(p + 2 * i, 2);
		return true;
	case GGUF_KV_I32:
		*bits = (uint64_t)(int32_t)load(p + 4 * i, 4);
		return true;
	case GGUF_KV_I64:
		*bits = load(p + 8 * i, 8);
		return true;
	default:
		return false;
	}
}

bool gguf_kv_i64(const struct gguf_kv *kv, uint64_t i, int64_t *out)
{
	uint64_t bits;
	bool is_signed;

	if (i >= kv->n || !bits_of(kv, i, &bits, &is_signed) || (!is_signed && bits > INT64_MAX))
		return false;
	*out = (int64_t)bits;
	return true;
}

bool gguf_kv_f64(const struct gguf_kv *kv, uint64_t i, double *out)
{
	uint64_t bits;
	bool is_signed;

	if (i >= kv->n)
		return false;
	if (kv->elem == GGUF_KV_F32) {
		uint32_t u = (uint32_t)load(kv->meta + kv->pos + 4 * i, 4);
		float f;

		memcpy(&f, &u, sizeof(f));
		*out = (double)f;
		return true;
	}
	if (kv->elem == GGUF_KV_F64) {
		uint64_t u = load(kv->meta + kv->pos + 8 * i, 8);

		memcpy(out, &u, sizeof(u));
		return true;
	}
	if (kv->elem == GGUF_KV_BOOL || !bits_of(kv, i, &bits, &is_signed))
		return false;
	*out = is_signed ? (double)(int64_t)bits : (double)bits;
	return true;
}

const char *gguf_kv_str(const struct gguf_kv *kv, uint64_t i, size_t *len)
{
	const uint8_t *p;

	if (i >= kv->n || kv->elem != GGUF_KV_STRING)
		return NULL;
	p = kv->meta + (kv->index ? kv->index[i] : kv->pos);
	*len = (size_t)load(p, 8);
	return (const char *)p + 8;
}

static const struct gguf_kv *scalar(const struct gguf *g, const char *key)
{
	const struct gguf_kv *kv = gguf_find_kv(g, key);

	return kv && kv->type != GGUF_KV_ARRAY ? kv : NULL;
}

bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out)
{
	const struct gguf_kv *kv = scalar(g, key);
	uint64_t bits;
	bool is_signed;

	if (!kv || kv->type == GGUF_KV_BOOL || !bits_of(kv, 0, &bits, &is_signed) || (is_signed && (int64_t)bits < 0))
		return false;
	*out = bits;
	return true;
}

bool gguf_i64(const struct gguf *g, const char *key, int64_t *out)
{
	const struct gguf_kv *kv = scalar(g, key);

	return kv && kv->type != GGUF_KV_BOOL && gguf_kv_i64(kv, 0, out);
}

bool gguf_f64(const struct gguf *g, const char *key, double *out)
{
	const struct gguf_kv *kv = scalar(g, key);

	return kv && gguf_kv_f64(kv, 0, out);
}

bool gguf_bool(const struct gguf *g, const char *key, bool *out)
{
	const struct gguf_kv *kv = scalar(g, key);

	if (!kv || kv->type != GGUF_KV_BOOL)
		return false;
	*out = kv->meta[kv->pos] != 0;
	return true;
}

const char *gguf_str(const struct gguf *g, const char *key)
{
	const struct gguf_kv *kv = scalar(g, key);

	return kv && kv->type == GGUF_KV_STRING ? kv->text : NULL;
}

bool gguf_split(const struct gguf *g, uint64_t *no, uint64_t *count)
{
	return gguf_u64(g, "split.no", no) && gguf_u64(g, "split.count", count);
}
