"""What stands beside packed codes: zero points that were lost, and a file of settings that says otherwise than config.json."""
import json
import random
import struct

import pytest

from tests.system.mutate import Model
from tests.system.test_smoke_gaps import erase, pages, place, rewrite, widen
from tests.system.test_smoke_runner import copy, read_tensors, smoke, stories, write_gptq, write_quantised, write_tensors    # noqa: F401

WEIGHTS = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 8, "symmetric": False}
CONFIGS = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 8, "sym": False, "desc_act": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 8, "version": "gemm", "zero_point": True},
    "compressed": {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": {"targets": ["Linear"], "weights": WEIGHTS}}},
}


def parts(form, n_out, n_in):
    """Of a matrix of 4 bits in groups of 8 inputs: name, type and shape each."""
    groups = n_in // 8
    if form == "compressed":
        return (("weight_packed", "I32", [n_out, n_in // 8]), ("weight_scale", "F32", [n_out, groups]), ("weight_zero_point", "I32", [n_out // 8, groups]),
                ("weight_shape", "I64", [2]))
    words = [n_in // 8, n_out] if form == "gptq" else [n_in, n_out // 8]
    return ("qweight", "I32", words), ("scales", "F32", [groups, n_out]), ("qzeros", "I32", [groups, n_out // 8])


def write_any(stories, tmp_path, form):
    """Any codes: only structure and statistics are asked for."""
    rng = random.Random(7)
    wide = copy(stories, tmp_path)
    write_tensors(wide / "model.safetensors", widen(wide, 16))

    def linear(name, shape, data):
        for part, dtype, dims in parts(form, *shape):
            n = dims[0] * dims[-1] if len(dims) > 1 else 2
            raw = {"F32": lambda: struct.pack(f"<{n}f", *(rng.uniform(0.01, 0.02) for _ in range(n))), "I64": lambda: struct.pack("<2q", *shape)}.get(
                dtype, lambda: rng.randbytes(4 * n))()
            yield name[:-len("weight")] + part, dtype, dims, raw
    return write_quantised(Model(wide), tmp_path / "packed", CONFIGS[form], linear)


def found(where):
    return [(f["severity"], f["rule"], f["message"].split()[1]) for f in smoke("--no-run", where)[1]["findings"]]


@pytest.mark.parametrize("form", CONFIGS)
def test_zero_points_that_were_lost(stories, tmp_path, form):
    where = write_any(stories, tmp_path, form)
    path = where / "model.safetensors"
    part, large = ("weight_zero_point", "weight_packed") if form == "compressed" else ("qzeros", "qweight")
    whole = read_tensors(path)
    rewrite(where, whole)
    assert found(where) == []
    name = f"model.layers.2.mlp.up_proj.{part}"
    first = pages(*place(path, name))[0]
    erase(path, first, first + 4096)
    assert found(where) == [("reject", "stats.gap", name)]
    for layers in ([2], [1, 3], range(5)):
        rewrite(where, {n: (d, s, bytes(len(raw)) if n.endswith(f".self_attn.q_proj.{part}") and int(n.split(".")[2]) in layers else raw)
                        for n, (d, s, raw) in whole.items()})
        assert found(where) == [("reject", "stats.zero", f"model.layers.{i}.self_attn.q_proj.{large}") for i in layers if len(layers) < 5]


def test_a_list_of_groups_of_zeros(stories, tmp_path):
    """Stands for inputs in order; one among lists that say so is odd, and means the same."""
    where = write_any(stories, tmp_path, "gptq")
    whole, lists = read_tensors(where / "model.safetensors"), {}
    for name, (_, shape, _) in whole.items():
        if name.endswith(".qweight"):
            n = shape[0] * 8
            lists[name[:-len("qweight")] + "g_idx"] = "I32", [n], struct.pack(f"<{n}i", *(k // 8 for k in range(n)))
    for layers in (), [2], [1, 3], range(5):
        rewrite(where, {**whole, **{n: (d, s, bytes(len(raw)) if ".q_proj." in n and int(n.split(".")[2]) in layers else raw) for n, (d, s, raw) in lists.items()}})
        assert found(where) == [("flag", "stats.order", f"model.layers.{i}.self_attn.q_proj.qweight") for i in layers if len(layers) < 5]


def test_settings_beside_the_configuration_that_say_otherwise(stories, tmp_path):
    where = write_gptq(Model(stories / "hf-f32"), tmp_path / "m")
    alike = {"bits": 8, "group_size": -1, "desc_act": False, "sym": True, "damp_percent": 0.1}
    for file, said, rule, word in (("quantize_config.json", alike, None, None), ("quantize_config.json", {**alike, "bits": "8", "group_size": -1.0}, None, None),
                                   ("quantize_config.json", {**alike, "bits": "4"}, "reject", 'bits "4", and config.json 8'),
                                   ("quantize_config.json", {**alike, "bits": 4}, "reject", "bits 4, and config.json 8"),
                                   ("quantize_config.json", {**alike, "group_size": 128}, "reject", "group_size 128, and config.json -1"),
                                   ("quantize_config.json", {**alike, "group_size": None, "desc_act": True}, "flag", "desc_act true, and config.json false"),
                                   ("quant_config.json", {"w_bit": 4, "q_group_size": 128, "version": "GEMM"}, "flag", "bits 4"),
                                   ("hf_quant_config.json", {"quantization": {"quant_method": "modelopt", "quant_algo": "FP8"}}, "flag", 'quant_method "modelopt"'),
                                   ("quantize_config.json", [], None, None)):
        (where / file).write_text(json.dumps(said))
        done, report = smoke(where)
        assert done.returncode == (6 if rule == "reject" else 0), report["reasons"]
        assert [(f["severity"], f["rule"], f["path"]) for f in report["findings"]] == ([(rule, "config.beside", file)] if rule else []), report["findings"]
        assert not rule or word in report["findings"][0]["message"], report["findings"]
        (where / file).unlink()
