/* quant_set_avx512.c - quant_set.h for AVX-512 (F, BW, VL, DQ); flags in CMakeLists.txt. */
#define QUANT_SET quant_set_avx512
#include "infer/quant_set.h"
