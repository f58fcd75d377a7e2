#!/usr/bin/env python3
"""Makes gguf.bin beside itself, and infer/quant_grid.h.

gguf.bin: for every GGUF element type a few random blocks and what gguf-py (the format's own Python package, `pip install gguf numpy`)
decodes them to. Records: name padded with NULs to 16 bytes, u32 bytes, u32 elements, the bytes, the f32 values; little endian.
quant_grid.h: the codebooks of the IQ types, which are part of the format; gguf-py (MIT) is where they are read from.
"""
import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf import quants

HERE = Path(__file__).resolve().parent
TYPES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4"
# Byte offsets of half-precision scales in a block: kept finite, so that values are compared and not NaNs.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208], "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0],
          "TQ1_0": [52], "TQ2_0": [64]}
GRIDS = [("iq2xxs", "IQ2_XXS", 2), ("iq2xs", "IQ2_XS", 2), ("iq2s", "IQ2_S", 2), ("iq3xxs", "IQ3_XXS", 4), ("iq3s", "IQ3_S", 4), ("iq1s", "IQ1_S", 2)]


def blocks_of(name, rng):
    block, size = GGML_QUANT_SIZES[T[name]]
    n = 2 if block >= 64 else 4 if block > 1 else 64
    raw = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in SCALES.get(name, []):
        raw[:, at:at + 2] = rng.normal(0, 0.05, (n, 1)).astype(np.float16).view(np.uint8)
    if name in ("F16", "BF16"):
        raw = rng.normal(0, 1, (n, 1)).astype(np.float32)
        raw = raw.astype(np.float16).view(np.uint8) if name == "F16" else np.ascontiguousarray(raw.view(np.uint8)[:, 2:])
    if name == "IQ1_M":		# its scale lies in the top nibbles of four words
        d = rng.normal(0, 0.05, n).astype(np.float16).view(np.uint16)
        for k in range(4):
            raw[:, 49 + 2 * k] = (raw[:, 49 + 2 * k] & 0x0f) | (((d >> (4 * k)) & 0xf) << 4).astype(np.uint8)
    return raw


def vectors():
    rng = np.random.default_rng(7)
    out = b""
    for name in TYPES.split():
        raw = blocks_of(name, rng)
        values = quants.dequantize(raw.reshape(1, -1), T[name]).astype(np.float32).ravel()
        assert np.isfinite(values).all(), name
        out += name.encode().ljust(16, b"\0") + struct.pack("<II", raw.size, values.size) + raw.tobytes() + values.tobytes()
    (HERE / "gguf.bin").write_bytes(out)


def codes(cls, bits):
    """Each grid row as one number: code k in bits [k*bits, k*bits+bits)."""
    cls.init_grid()
    rows = cls.grid.reshape(cls.grid_shape)
    index = {float(v): i for i, v in enumerate(cls.grid_map)}
    return [sum(index[float(v)] << (k * bits) for k, v in enumerate(row)) for row in rows]


def grids():
    text = ["/*", " * quant_grid.h - the codebooks of GGUF's IQ types: part of the format, written by tests/golden/quant/make.py from gguf-py (MIT).",
            " * A row is one number; its codes stand 2 bits (8 of them) or 4 bits (4 of them) apart, lowest first, and index the map of the type.", " */",
            "#ifndef INFER_QUANT_GRID_H", "#define INFER_QUANT_GRID_H", "", '#include "infer/quant_parts.h"', ""]
    for symbol, name, bits in GRIDS:
        values = codes(getattr(quants, name), bits)
        text.append(f"QUANT_CONST uint16_t grid_{symbol}[{len(values)}] = {{")
        for i in range(0, len(values), 16):
            text.append("\t" + " ".join(f"0x{v:04x}," for v in values[i:i + 16]))
        text += ["};", ""]
    text.append("#endif")
    (HERE.parents[2] / "infer" / "quant_grid.h").write_text("\n".join(text) + "\n")


vectors()
grids()
