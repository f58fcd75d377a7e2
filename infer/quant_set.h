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
#include "infer/quant_types.h"

#define QUANT_ROW(name, block, bytes, row) { name, block, bytes, row },
const struct quant_type QUANT_SET[] = { QUANT_TYPES(QUANT_ROW) { NULL, 0, 0, NULL } };

#endif
