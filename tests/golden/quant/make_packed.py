#!/usr/bin/env python3
"""Makes packed.safetensors beside itself: small weights packed by the packages that write such checkpoints, each with what that
package itself unpacks to (<name>.expected, F32). Needs torch, safetensors, bitsandbytes, and the sources of auto-gptq, autoawq and
compressed-tensors (pip download --no-deps, unpacked) in the directory given.
"""
import importlib.util
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

SRC = Path(sys.argv[1])
sys.path.insert(0, str(SRC))
torch.manual_seed(3)
tensors = {}


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m


def put(name, expected, **parts):
    for k, v in parts.items():
        tensors[f"{name}.{k.replace('__dot__', '.')}"] = v.contiguous().clone()
    tensors[f"{name}.expected"] = expected.float().contiguous().clone()


def gptq():
    qlinear = module(SRC / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py")
    out, inp, group = 32, 64, 16
    for bits in (2, 3, 4, 8):
        linear = torch.nn.Linear(inp, out, bias=False)
        q = qlinear.QuantLinear(bits, group, inp, out, False)
        g_idx = torch.arange(inp) // group
        if bits == 4:			# as desc_act writes it: groups in any order
            g_idx = g_idx[torch.randperm(inp)]
        maxq = 2**bits - 1
        scales = (torch.rand(out, inp // group) * 0.1 + 0.01).half().float()
        zeros = torch.randint(1, maxq + 1, (out, inp // group)).float()	# 0 does not survive "minus one" in version 1
        codes = torch.randint(0, maxq + 1, (out, inp)).float()
        linear.weight.data = (codes - zeros[:, g_idx]) * scales[:, g_idx]
        q.pack(linear, scales, zeros, g_idx.int())
        expected = (codes - zeros[:, g_idx]) * scales[:, g_idx]
        ours = q.forward(torch.eye(inp)).t().float()
        assert torch.allclose(ours, expected, atol=2e-3, rtol=2e-3), bits
        put(f"gptq{bits}", expected, qweight=q.qweight, qzeros=q.qzeros, scales=q.scales.half(), g_idx=q.g_idx.int())
        if bits == 4:
            v2 = q.qzeros + 0x11111111	# no field is 15 here, so nothing carries
            keep = zeros < 16
            assert keep.all()
            tensors["gptq4.qzeros_v2"] = v2.to(torch.int32)


def awq():
    packing = module(next(SRC.glob("autoawq-*")) / "awq/utils/packing_utils.py")
    out, inp, group = 32, 64, 32
    qweight = torch.randint(-2**31, 2**31, (inp, out // 8), dtype=torch.int64).to(torch.int32)
    qzeros = torch.randint(-2**31, 2**31, (inp // group, out // 8), dtype=torch.int64).to(torch.int32)
    scales = (torch.rand(inp // group, out) * 0.1).half()
    w, z = packing.reverse_awq_order(*packing.unpack_awq(qweight, qzeros, 4), 4)
    w, z = w & 15, z & 15
    expected = (w.float() - z.float().repeat_interleave(group, 0)) * scales.float().repeat_interleave(group, 0)
    put("awq", expected.t(), qweight=qweight, qzeros=qzeros, scales=scales)


def bnb():
    import bitsandbytes.functional as F
    w = torch.randn(24, 40) * 0.05		# 40 is no multiple of the block of 64: blocks run over row ends
    for kind in ("nf4", "fp4"):
        for nested in (False, True):
            q, state = F.quantize_4bit(w, compress_statistics=nested, quant_type=kind, blocksize=64)
            parts = {f"weight__dot__{k.replace('.', '__dot__')}": v for k, v in state.as_dict(packed=True).items()}
            put(f"{kind}{'_nested' if nested else ''}", F.dequantize_4bit(q, state), weight=q, **parts)
    q, scb, _ = F.int8_vectorwise_quant(w.half())
    put("int8", q.float() * scb[:, None].float() / 127, weight=q, SCB=scb.float(), weight_format=torch.zeros((), dtype=torch.uint8))


def compressed():
    pack = module(SRC / "compressed_tensors/compressors/pack_quantized/helpers.py").pack_to_int32
    out, inp, group = 16, 64, 32
    codes = torch.randint(-8, 8, (out, inp), dtype=torch.int8)
    scale = (torch.rand(out, inp // group) * 0.1).bfloat16()
    put("packed4", codes.float() * scale.float().repeat_interleave(group, 1), weight_packed=pack(codes, 4), weight_scale=scale,
        weight_shape=torch.tensor([out, inp]))
    codes = torch.randint(-128, 128, (out, inp), dtype=torch.int8)
    put("packed8", codes.float() * scale.float().repeat_interleave(group, 1), weight_packed=pack(codes, 8), weight_scale=scale,
        weight_shape=torch.tensor([out, inp]))
    codes = torch.randint(-128, 128, (out, inp), dtype=torch.int8)
    put("int8_channel", codes.float() * scale[:, :1].float(), weight=codes, weight_scale=scale[:, :1])


def fp8():
    """By definition: the element times its scale."""
    w = (torch.randn(20, 40) * 0.1).to(torch.float8_e4m3fn)		# blocks of 16 x 32, the last ones cut
    block = torch.rand(2, 2) * 0.1 + 0.01
    wide = block.repeat_interleave(16, 0)[:20].repeat_interleave(32, 1)[:, :40]
    put("fp8_block", w.float() * wide, weight=w, weight_scale_inv=block)
    w = (torch.randn(8, 16) * 10).to(torch.float8_e4m3fn)
    channel = torch.rand(8, 1).bfloat16()
    put("fp8_channel", w.float() * channel.float(), weight=w, weight_scale=channel)
    put("fp8_tensor", w.float() * 0.125, weight=w, weight_scale=torch.tensor(0.125), input_scale=torch.tensor(1.0))
    put("fp8_none", w.float(), weight=w)
    w5 = (torch.randn(8, 16) * 10).to(torch.float8_e5m2)
    put("fp8_e5m2", w5.float() * 0.5, weight=w5, weight_scale=torch.tensor([0.5]))


def nvfp4():
    """By definition: E2M1 times the scale of its sixteen, times weight_scale_2 (modelopt) or divided by weight_global_scale (compressed-tensors)."""
    values = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6])
    values = torch.cat([values, -values])
    packed = torch.randint(0, 256, (6, 16), dtype=torch.uint8)
    scale = torch.rand(6, 2).to(torch.float8_e4m3fn)
    w = torch.stack([values[(packed & 15).long()], values[(packed >> 4).long()]], -1).reshape(6, 32) * scale.float().repeat_interleave(16, 1)
    put("nvfp4_modelopt", w * 0.25, weight=packed, weight_scale=scale, weight_scale_2=torch.tensor(0.25))
    put("nvfp4_packed", w / 8, weight_packed=packed, weight_scale=scale, weight_global_scale=torch.tensor([8.0]))


def compressed_more():
    """Zero points beside the codes, groups of bytes, two bits: the codes less their zeros, times the scale."""
    helpers = module(SRC / "compressed_tensors/compressors/pack_quantized/helpers.py")
    torch.manual_seed(4)
    for bits, out, inp, group in ((2, 24, 48, 16), (4, 24, 64, 32), (8, 20, 64, 16)):
        low, high = -2 ** (bits - 1), 2 ** (bits - 1)
        codes = torch.randint(low, high, (out, inp), dtype=torch.int8)
        zeros = torch.randint(low, high, (out, inp // group), dtype=torch.int8)
        scale = (torch.rand(out, inp // group) * 0.1).bfloat16()
        expected = (codes.float() - zeros.float().repeat_interleave(group, 1)) * scale.float().repeat_interleave(group, 1)
        packed, packed_zeros = helpers.pack_to_int32(codes, bits), helpers.pack_to_int32(zeros, bits, packed_dim=0)
        assert torch.equal(helpers.unpack_from_int32(packed_zeros, bits, zeros.shape, packed_dim=0), zeros)
        put(f"packed{bits}_zeros", expected, weight_packed=packed, weight_scale=scale, weight_shape=torch.tensor([out, inp]), weight_zero_point=packed_zeros)
        if bits == 8:
            put("int8_zeros", expected, weight=codes, weight_scale=scale, weight_zero_point=zeros)
            tensors["packed8_zeros.bytes"] = zeros      # as older programs had them
            one = (codes.float() - 3) * 0.01
            put("int8_tensor", one, weight=codes, weight_scale=torch.tensor([0.01]), weight_zero_point=torch.tensor([3], dtype=torch.int8))


gptq()
awq()
bnb()
compressed()
fp8()
nvfp4()
compressed_more()
save_file(tensors, Path(__file__).resolve().parent / "packed.safetensors")
