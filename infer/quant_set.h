/*
 * quant_set.h - all row functions and their table, compiled once for each instruction set: a file defines QUANT_SET, the table's name, and
 * includes this. The code is the same and products are never fused with sums (-ffp-contract=off), so every set gives the same bits.
 */
#ifndef INFER_QUANT_SET_H
#define INFER_QUANT_SET_H

#include "infer/quant.h"
#include "infer/quant_block.h"
#include "infer/quant_k.h"
#include "infer/quant_iq.h"
#include "infer/quant_plain.h"

const struct quant_type QUANT_SET[] = {
	{ "F32", 1, 4, row_f32 },
	{ "BF16", 1, 2, row_bf16 },
	{ "F16", 1, 2, row_f16 },
	{ "F64", 1, 8, row_f64 },
	{ "F8_E4M3", 1, 1, row_f8_e4m3 },
	{ "F8_E5M2", 1, 1, row_f8_e5m2 },
	{ "F8_E4M3FNUZ", 1, 1, row_f8_e4m3fnuz },
	{ "F8_E5M2FNUZ", 1, 1, row_f8_e5m2fnuz },
	{ "F8_E8M0", 1, 1, row_f8_e8m0 },
	{ "F4", 2, 1, row_f4 },
	{ "I8", 1, 1, row_i8 },
	{ "U8", 1, 1, row_u8 },
	{ "I16", 1, 2, row_i16 },
	{ "U16", 1, 2, row_u16 },
	{ "I32", 1, 4, row_i32 },
	{ "U32", 1, 4, row_u32 },
	{ "I64", 1, 8, row_i64 },
	{ "U64", 1, 8, row_u64 },
	{ "Q4_0", 32, 18, row_q4_0 },
	{ "Q4_1", 32, 20, row_q4_1 },
	{ "Q5_0", 32, 22, row_q5_0 },
	{ "Q5_1", 32, 24, row_q5_1 },
	{ "Q8_0", 32, 34, row_q8_0 },
	{ "Q8_1", 32, 36, row_q8_1 },
	{ "Q2_K", 256, 84, row_q2_k },
	{ "Q3_K", 256, 110, row_q3_k },
	{ "Q4_K", 256, 144, row_q4_k },
	{ "Q5_K", 256, 176, row_q5_k },
	{ "Q6_K", 256, 210, row_q6_k },
	{ "Q8_K", 256, 292, row_q8_k },
	{ "IQ1_S", 256, 50, row_iq1_s },
	{ "IQ1_M", 256, 56, row_iq1_m },
	{ "IQ2_XXS", 256, 66, row_iq2_xxs },
	{ "IQ2_XS", 256, 74, row_iq2_xs },
	{ "IQ2_S", 256, 82, row_iq2_s },
	{ "IQ3_XXS", 256, 98, row_iq3_xxs },
	{ "IQ3_S", 256, 110, row_iq3_s },
	{ "IQ4_NL", 32, 18, row_iq4_nl },
	{ "IQ4_XS", 256, 136, row_iq4_xs },
	{ "TQ1_0", 256, 54, row_tq1_0 },
	{ "TQ2_0", 256, 66, row_tq2_0 },
	{ "MXFP4", 32, 17, row_mxfp4 },
	{ "NVFP4", 64, 36, row_nvfp4 },
	{ NULL, 0, 0, NULL },
};

#endif
