/* quant_set_scalar.c - quant_set.h for any x86-64; flags in CMakeLists.txt. */
#define QUANT_SET quant_set_scalar
#include "infer/quant_set.h"
