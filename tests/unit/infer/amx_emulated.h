/*
 * amx_emulated.h - AMX tiles in plain C, in place of the intrinsics: include it before the code under test. It follows Intel's manual (vol. 2: LDTILECFG,
 * TILELOADD, TDPBF16PS, TILESTORED): shapes come from the configuration, what does not fit or is used without one ends the test as the processor would.
 */
#ifndef AMX_EMULATED_H
#define AMX_EMULATED_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct amx_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t bytes[16];
	uint8_t rows[16];
};

static _Thread_local struct amx_config amx_config;	/* palette 0: none is loaded */
static _Thread_local uint8_t amx_tile[8][16][64];
static _Atomic uint64_t amx_products;

static void amx_demand(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "AMX: #UD or #GP: %s\n", what);
		abort();
	}
}

static void amx_load_config(const void *from)
{
	struct amx_config c;

	memcpy(&c, from, sizeof(c));
	amx_demand(c.palette == 1 && c.start_row == 0, "palette");
	for (int i = 0; i < 14; i++)
		amx_demand(c.reserved[i] == 0, "reserved bytes");
	for (int i = 0; i < 16; i++)
		amx_demand(c.bytes[i] <= (i < 8 ? 64 : 0) && c.rows[i] <= (i < 8 ? 16 : 0) && !c.bytes[i] == !c.rows[i], "shape");
	amx_config = c;
	memset(amx_tile, 0, sizeof(amx_tile));
}

static void amx_release(void)
{
	amx_config.palette = 0;
}

static void amx_zero(int t)
{
	amx_demand(amx_config.palette && amx_config.rows[t], "no such tile");
	memset(amx_tile[t], 0, sizeof(amx_tile[t]));
}

static void amx_load(int t, const void *from, size_t stride)
{
	amx_zero(t);
	for (unsigned r = 0; r < amx_config.rows[t]; r++)
		memcpy(amx_tile[t][r], (const char *)from + r * stride, amx_config.bytes[t]);
}

static void amx_store(int t, void *to, size_t stride)
{
	amx_demand(amx_config.palette && amx_config.rows[t], "no such tile");
	for (unsigned r = 0; r < amx_config.rows[t]; r++)
		memcpy((char *)to + r * stride, amx_tile[t][r], amx_config.bytes[t]);
}

/* Subnormals count as zero. */
static float amx_bf16(const uint8_t *at)
{
	uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 24;
	float v;

	memcpy(&v, &bits, sizeof(v));
	return bits & 0x7f800000 ? v : 0;
}

static void amx_dpbf16ps(int c, int a, int b)
{
	amx_demand(c != a && c != b && a != b, "one tile twice");
	amx_demand(amx_config.palette && amx_config.rows[c] == amx_config.rows[a] && amx_config.bytes[c] == amx_config.bytes[b] &&
		amx_config.bytes[a] == 4 * amx_config.rows[b], "shapes of a product");
	for (unsigned i = 0; i < amx_config.rows[c]; i++) {
		for (unsigned k = 0; k < amx_config.bytes[a] / 4u; k++) {
			for (unsigned j = 0; j < amx_config.bytes[c] / 4u; j++) {
				float sum;

				memcpy(&sum, amx_tile[c][i] + 4 * j, sizeof(sum));
				sum = fmaf(amx_bf16(amx_tile[a][i] + 4 * k), amx_bf16(amx_tile[b][k] + 4 * j), sum);
				sum = fmaf(amx_bf16(amx_tile[a][i] + 4 * k + 2), amx_bf16(amx_tile[b][k] + 4 * j + 2), sum);
				memcpy(amx_tile[c][i] + 4 * j, &sum, sizeof(sum));
			}
		}
	}
	amx_products++;
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig amx_load_config
#define _tile_release	 amx_release
#define _tile_zero	 amx_zero
#define _tile_loadd	 amx_load
#define _tile_stored	 amx_store
#define _tile_dpbf16ps	 amx_dpbf16ps

#endif
