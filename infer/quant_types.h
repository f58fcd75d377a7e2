/* quant_types.h - the list of element types, for the tables on the processor (quant_set.h) and on GPUs (cuda/decode.cu). */
#ifndef INFER_QUANT_TYPES_H
#define INFER_QUANT_TYPES_H

/* X(name, elements of a block, bytes of a block, row function): the element types, in the order of every table. */
#define QUANT_TYPES(X) \
	X("F32", 1, 4, row_f32) \
	X("BF16", 1, 2, row_bf16) \
	X("F16", 1, 2, row_f16) \
	X("F64", 1, 8, row_f64) \
	X("F8_E4M3", 1, 1, row_f8_e4m3) \
	X("F8_E5M2", 1, 1, row_f8_e5m2) \
	X("F8_E4M3FNUZ", 1, 1, row_f8_e4m3fnuz) \
	X("F8_E5M2FNUZ", 1, 1, row_f8_e5m2fnuz) \
	X("F8_E8M0", 1, 1, row_f8_e8m0) \
	X("F4", 2, 1, row_f4) \
	X("I8", 1, 1, row_i8) \
	X("U8", 1, 1, row_u8) \
	X("I16", 1, 2, row_i16) \
	X("U16", 1, 2, row_u16) \
	X("I32", 1, 4, row_i32) \
	X("U32", 1, 4, row_u32) \
	X("I64", 1, 8, row_i64) \
	X("U64", 1, 8, row_u64) \
	X("Q4_0", 32, 18, row_q4_0) \
	X("Q4_1", 32, 20, row_q4_1) \
	X("Q5_0", 32, 22, row_q5_0) \
	X("Q5_1", 32, 24, row_q5_1) \
	X("Q8_0", 32, 34, row_q8_0) \
	X("Q8_1", 32, 36, row_q8_1) \
	X("Q2_K", 256, 84, row_q2_k) \
	X("Q3_K", 256, 110, row_q3_k) \
	X("Q4_K", 256, 144, row_q4_k) \
	X("Q5_K", 256, 176, row_q5_k) \
	X("Q6_K", 256, 210, row_q6_k) \
	X("Q8_K", 256, 292, row_q8_k) \
	X("IQ1_S", 256, 50, row_iq1_s) \
	X("IQ1_M", 256, 56, row_iq1_m) \
	X("IQ2_XXS", 256, 66, row_iq2_xxs) \
	X("IQ2_XS", 256, 74, row_iq2_xs) \
	X("IQ2_S", 256, 82, row_iq2_s) \
	X("IQ3_XXS", 256, 98, row_iq3_xxs) \
	X("IQ3_S", 256, 110, row_iq3_s) \
	X("IQ4_NL", 32, 18, row_iq4_nl) \
	X("IQ4_XS", 256, 136, row_iq4_xs) \
	X("TQ1_0", 256, 54, row_tq1_0) \
	X("TQ2_0", 256, 66, row_tq2_0) \
	X("MXFP4", 32, 17, row_mxfp4) \
	X("NVFP4", 64, 36, row_nvfp4)

#endif
