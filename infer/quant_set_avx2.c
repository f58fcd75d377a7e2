/* quant_set_avx2.c - quant_set.h for AVX2; flags in CMakeLists.txt. */
#define QUANT_SET quant_set_avx2
#include "infer/quant_set.h"
