"""Writers of packed checkpoints, one a method, and what tests of forms have in common."""
import array
import bisect
import json
import struct

from tests.system.test_smoke_runner import read_tensors, smoke, write_fp8, write_gptq, write_quantised, write_tensors


def findings(report, severity):
    return [(f["rule"], f["message"]) for f in report["findings"] if f["severity"] == severity]


def add(where, file="model.safetensors", **tensors):
    write_tensors(where / file, {**read_tensors(where / file), **tensors})


def f32(*values):
    return "F32", [len(values)], struct.pack(f"<{len(values)}f", *values)


def matrix(rows, cols):
    values = [((i * 7919 + 13) % 1000 - 500) / 1e4 for i in range(rows * cols)]
    return "F32", [rows, cols], struct.pack(f"<{rows * cols}f", *values)


def write_int4(model, where, zeros):
    def linear(name, shape, data):
        base, (n_out, n_in) = name[:-len("weight")], shape
        scale = [max(abs(v) for v in data[o * n_in:(o + 1) * n_in]) / 7 for o in range(n_out)]
        words = []
        for o in range(n_out):
            codes = [max(0, min(15, round(v / scale[o]) + 8)) for v in data[o * n_in:(o + 1) * n_in]] + [0] * (-n_in % 8)
            words += [sum(c << 4 * k for k, c in enumerate(codes[i:i + 8])) for i in range(0, len(codes), 8)]
        yield base + "weight_packed", "I32", [n_out, len(words) // n_out], struct.pack(f"<{len(words)}I", *words)
        yield base + "weight_scale", "F32", [n_out, 1], struct.pack(f"<{n_out}f", *scale)
        yield base + "weight_shape", "I64", [2], struct.pack("<2q", n_out, n_in)
        if zeros:
            yield base + "weight_zero_point", "I32", [-(-n_out // 8), 1], struct.pack(f"<{-(-n_out // 8)}I", *[0x88888888] * -(-n_out // 8))

    weights = {"num_bits": 4, "type": "int", "strategy": "channel", "symmetric": not zeros}
    return write_quantised(model, where, {"quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": weights}}}, linear)


def write_int8(model, where):
    def linear(name, shape, data):
        n_out, n_in = shape
        low = [min(data[o * n_in:(o + 1) * n_in]) for o in range(n_out)]
        scale = [(max(data[o * n_in:(o + 1) * n_in]) - low[o]) / 255 for o in range(n_out)]
        zero = [round(-128 - low[o] / scale[o]) for o in range(n_out)]
        codes = [max(-128, min(127, round(v / scale[i // n_in]) + zero[i // n_in])) for i, v in enumerate(data)]
        yield name, "I8", shape, struct.pack(f"<{n_out * n_in}b", *codes)
        yield name + "_scale", "F32", [n_out, 1], struct.pack(f"<{n_out}f", *scale)
        yield name + "_zero_point", "I8", [n_out, 1], struct.pack(f"<{n_out}b", *zero)
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": False}
    return write_quantised(model, where, {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": weights}}}, linear)


def write_nf4(model, where, storage="U8", size=1):
    code = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983,
            0.562617, 0.72295684, 1.0]
    middle = [(a + b) / 2 for a, b in zip(code, code[1:])]

    def linear(name, shape, data):
        absmax = [max(abs(v) for v in data[i:i + 64]) for i in range(0, len(data), 64)]
        q = [bisect.bisect(middle, v / absmax[i // 64]) for i, v in enumerate(data)]
        state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": shape}).encode()
        yield name, storage, [len(q) // 2 // size, 1], bytes(a << 4 | b for a, b in zip(q[::2], q[1::2]))
        yield name + ".absmax", "F32", [len(absmax)], struct.pack(f"<{len(absmax)}f", *absmax)
        yield name + ".quant_map", "F32", [16], struct.pack("<16f", *code)
        yield name + ".quant_state.bitsandbytes__nf4", "U8", [len(state)], state

    return write_quantised(model, where, {"quant_method": "bitsandbytes", "load_in_4bit": True}, linear)


def write_awq(model, where):
    """Groups of 32 inputs; words of eight outputs, where they come to whole ones; zeros are 8."""
    order = [0, 4, 1, 5, 2, 6, 3, 7]

    def linear(name, shape, data):
        base, (n_out, n_in) = name[:-len("weight")], shape
        groups = [range(i, min(i + 32, n_in)) for i in range(0, n_in, 32)]
        if n_out % 8:
            yield name, "F32", shape, data.tobytes()
            return
        scale = [[max(abs(data[o * n_in + i]) for i in group) / 7 for o in range(n_out)] for group in groups]
        code = lambda o, i: round(data[o * n_in + i] / scale[i // 32][o]) + 8    # noqa: E731
        words = [sum(code(o + k, i) << 4 * order[k] for k in range(8)) for i in range(n_in) for o in range(0, n_out, 8)]
        yield base + "qweight", "I32", [n_in, n_out // 8], struct.pack(f"<{len(words)}I", *words)
        yield base + "qzeros", "I32", [len(groups), n_out // 8], struct.pack("<I", 0x88888888) * (len(groups) * n_out // 8)
        yield base + "scales", "F32", [len(groups), n_out], b"".join(struct.pack(f"<{n_out}f", *row) for row in scale)

    return write_quantised(model, where, {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}, linear)


PACKED = {"gptq": write_gptq, "nf4": write_nf4, "nf4 in halves": lambda model, where: write_nf4(model, where, "F16", 2),
          "int4": lambda model, where: write_int4(model, where, zeros=False), "fp8": lambda model, where: write_fp8(model, where, scales=True)}


def transposed(model, layer=2):
    """One matrix of queries the wrong way round: quiet, for the loss alone."""
    name = f"model.layers.{layer}.self_attn.q_proj.weight"
    (rows, cols), v = model.tensors[name]
    model.tensors[name] = [rows, cols], array.array("f", (v[j * cols + i] for i in range(rows) for j in range(cols)))
    return model


def reference(tmp_path, model, relation):
    path = tmp_path / "reference.json"
    path.write_text(json.dumps({"relation": relation, "name": "org/base", "report": smoke(model)[1]}))
    return path
